/** What the day adds up to: emitters, rotations of the log's keys, policies, evidence. */

import { sha256 } from "@noble/hashes/sha2.js";
import { Bad } from "./bad.ts";
import { hex, utf8 } from "./bytes.ts";
import type { Day } from "./day.ts";
import { digest } from "./digest.ts";
import type { EmitterTotals, Head, Manifest } from "./formats.ts";
import { canonical, type Json } from "./json.ts";
import type { LogKeys } from "./keys.ts";
import { evidenceIn, evidenceName } from "./manifest.ts";
import type { Zip } from "./zip.ts";

/** Numbers of an emitter that are not among the day's receipts, both ends included. */
export interface Gap {
  readonly emitter: string;
  readonly first: number;
  readonly last: number;
}

/** What one emitter's decisions of the day add up to, as the log's accounts have it. */
/** A type and no interface: so it counts as JSON. */
type Account = {
  readonly count: number;
  readonly first: number;
  readonly last: number;
  readonly gaps: [number, number][];
};

/**
 * Hold what the head says of the emitters to the receipts; return their gaps, which prove loss before the log.
 *
 * @throws Bad `wrong_emitters`
 */
export async function checkEmitters(head: Head, day: Day): Promise<Gap[]> {
  const accounts: Record<string, Account> = {};
  const gaps: Gap[] = [];
  let [decisions, missing] = [0, 0];
  for (const [emitter, { numbers }] of [...day.emitters].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const account = accountOf(numbers);
    accounts[emitter] = account;
    decisions += account.count;
    for (const [first, last] of account.gaps) {
      gaps.push({ emitter, first, last });
      // Kept below 2^53 at every step: the sum may be larger, and a double would round it.
      missing = Math.min(missing + (last - first + 1), Number.MAX_SAFE_INTEGER);
    }
  }
  const encoded = utf8(canonical(accounts));
  const count = day.emitters.size;
  const found: EmitterTotals = { count, decisions, missing, sha256: hex(await digest(encoded)) };
  for (const name of ["count", "decisions", "missing", "sha256"] as const) {
    if (found[name] !== head.emitters[name]) {
      throw new Bad("wrong_emitters", "sth.json", `emitters.${name} is not what the receipts add up to`);
    }
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
 * Check that a decision's registration, where it is a receipt of this day, is of the API that the decision names.
 *
 * @throws Bad `wrong_registration`
 */
export function checkRegistrations(day: Day): void {
  for (const { registration, api, line } of day.called.values()) {
    const registered = day.registered.get(registration);
    const wrong =
      registered === undefined
        ? day.has(registration) && "names a receipt as its registration that is none"
        : registered !== api && "names the registration of an API that it is not on";
    if (wrong !== false) throw new Bad("wrong_registration", "receipts.jsonl", wrong, line);
  }
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
  return [...day.bundles.keys()].filter((bundle) => !bundles.has(bundle)).sort();
}

/**
 * Hold the evidence to the hash it is named by, and that to a receipt.
 *
 * @param manifest whose hashes the members have been held to
 * @throws Bad `evidence_hash`, `evidence_unnamed`
 */
export function checkEvidence(manifest: Manifest, day: Day): void {
  const hashes = new Map(manifest.files.map((file) => [file.name, file.sha256]));
  for (const digest of evidenceIn(hashes.keys())) {
    const name = evidenceName(digest);
    if (hashes.get(name) !== digest) {
      throw new Bad("evidence_hash", name, "has not the hash it is named by");
    }
    if (day.unnamed.has(digest)) {
      throw new Bad("evidence_unnamed", name, "is evidence that no receipt names");
    }
  }
}
