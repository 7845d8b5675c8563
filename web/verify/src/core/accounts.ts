/** What the day adds up to: emitters, rotations of the log's keys, policies, evidence. */

import { sha256 } from "@noble/hashes/sha2.js";
import { Bad } from "./bad.ts";
import { hex, utf8 } from "./bytes.ts";
import type { Day } from "./day.ts";
import type { Account, Head, Manifest } from "./formats.ts";
import { canonical, type Json } from "./json.ts";
import type { LogKeys } from "./keys.ts";
import type { Zip } from "./zip.ts";

/** Numbers of an emitter that are not among the day's receipts, both ends included. */
export interface Gap {
  readonly emitter: string;
  readonly first: number;
  readonly last: number;
}

/**
 * Hold the head's accounting to the receipts; return its gaps, which prove loss before the log.
 *
 * @throws Bad `wrong_emitters`
 */
export function checkEmitters(head: Head, day: Day): Gap[] {
  const found: Record<string, Account> = {};
  const gaps: Gap[] = [];
  for (const [emitter, numbers] of [...day.emitters].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const account = accountOf(numbers);
    found[emitter] = account;
    gaps.push(...account.gaps.map(([first, last]) => ({ emitter, first, last })));
  }
  if (canonical(found as unknown as Json) !== canonical(head.emitters as unknown as Json)) {
    throw new Bad("wrong_emitters", "sth.json", "emitters is not what the receipts add up to");
  }
  return gaps;
}

function accountOf(numbers: readonly number[]): Account {
  const ordered = Float64Array.from(numbers).sort();
  const [first, last] = [ordered[0] as number, ordered.at(-1) as number];
  const gaps: [number, number][] = [];
  let expected = first;
  for (const number of ordered) {
    if (number > expected) gaps.push([expected, number - 1]);
    expected = number + 1;
  }
  return { count: ordered.length, first, last, gaps };
}

/**
 * Check that each key set that began in the day has its one leaf, and no other set has one.
 *
 * @throws Bad `rotation_unknown`, `rotation_missing`
 */
export function checkRotations(keys: LogKeys, head: Head, day: Day): void {
  // As bytes: a set must stand in its leaf exactly as it stands in keys.json.
  const bytesOfSet = (set: unknown): string => canonical(set as Json);
  const begun = keys.sets.filter((set) => set.from > head.first_leaf);
  const expected = new Map(begun.map((set) => [bytesOfSet(set.object), set.n]));
  for (const { line, set } of day.rotations) {
    if (!expected.delete(bytesOfSet(set))) {
      const reason = "announces a key set that did not begin in this day, or twice";
      throw new Bad("rotation_unknown", "receipts.jsonl", reason, line);
    }
  }
  for (const n of expected.values()) {
    throw new Bad(
      "rotation_missing",
      "receipts.jsonl",
      `holds no receipt of key set ${n}, which began in this day`,
    );
  }
}

/**
 * Hold the policy files to the hash they are filed under; return the hashes of bundles that are absent.
 *
 * @throws Bad `policy_unnamed`, `policy_hash`
 */
export async function checkPolicies(zip: Zip, day: Day): Promise<string[]> {
  const bundles = new Map<string, ReturnType<typeof sha256.create>>();
  for (const member of zip.members.values()) {
    if (!member.name.startsWith("policy/")) continue;
    const [, bundle, ...file] = member.name.split("/") as [string, string, ...string[]];
    if (!day.bundles.has(bundle)) {
      throw new Bad("policy_unnamed", member.name, "belongs to a policy that nothing in this pack names");
    }
    const hash = bundles.get(bundle) ?? sha256.create();
    bundles.set(bundle, hash);
    hash.update(utf8(`${file.join("/")}\0${member.size}\0`));
    for await (const chunk of zip.chunks(member.name)) hash.update(chunk);
  }
  for (const [bundle, hash] of bundles) {
    if (hex(hash.digest()) !== bundle) {
      throw new Bad("policy_hash", `policy/${bundle}`, "the files have not the hash they are filed under");
    }
  }
  return [...day.bundles].filter((bundle) => !bundles.has(bundle)).sort();
}

/**
 * Hold evidence to the hash it is named by, and to the receipts; what is absent is none of a verifier's business.
 *
 * @throws Bad `evidence_hash`, `evidence_unnamed`
 */
export function checkEvidence(manifest: Manifest, day: Day): void {
  for (const { name, sha256: digest } of manifest.files) {
    if (!name.startsWith("evidence/")) continue;
    if (name !== `evidence/${digest}`) {
      throw new Bad("evidence_hash", name, "has not the hash it is named by");
    }
    if (day.unnamed.has(name)) throw new Bad("evidence_unnamed", name, "is evidence that no receipt names");
  }
}
