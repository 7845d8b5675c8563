/** The chain of final tree heads, from the first day to the pack's. */

import { Bad } from "./bad.ts";
import { type Bytes, bytesOf, equal, hex, utf8 } from "./bytes.ts";
import { digest } from "./digest.ts";
import { type ChainSummary, HEAD, type Head, type Manifest } from "./formats.ts";
import { canonical, parseCanonical } from "./json.ts";
import { faultIn, type LogKeys, setFor } from "./keys.ts";
import { EMPTY_ROOT } from "./merkle.ts";
import type { Progress } from "./progress.ts";
import { hex32, held, type Shape, text } from "./shape.ts";
import type { Zip } from "./zip.ts";

const LATEST = "sth.json";
/** What `prev` and a chain's `head` are before there is a receipt. */
export const NO_RECEIPT = "A".repeat(43) + "=";
export const DAY_MS = 86_400_000;
/** `emitters.sha256` of a day without decisions: SHA-256 of `{}`. */
const NO_ACCOUNTS = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const SIGNATURES: Shape = [{ alg: text, keyid: hex32, sig: text }];

export interface Heads {
  /** All final heads, first day to last. */
  readonly all: readonly Head[];
  /** The head of the pack's day. */
  readonly last: Head;
  /** The head of the day before; null on the first. */
  readonly before: Head | null;
}

/**
 * Read all heads and check each, and that each follows the one before.
 *
 * @param asked the day that was asked for, YYYY-MM-DD; null takes any
 * @throws Bad `bad_sth`, `bad_signature`, `broken_sth_chain`, `wrong_day`, `wrong_head`, `key_set_later`,
 *   `other_day`
 */
export async function readHeads(
  zip: Zip,
  manifest: Manifest,
  keys: LogKeys,
  asked: string | null,
  progress: Progress,
): Promise<Heads> {
  const names = manifest.files.map((file) => file.name).filter((name) => name.startsWith("sth/"));
  const all: Head[] = [];
  let raw: Bytes = new Uint8Array(0);
  for (const [index, name] of names.entries()) {
    const sha256 = index === 0 ? null : hex(await digest(raw));
    raw = await zip.read(name);
    const head = await readHead(name, raw, keys);
    checkFollows(name, head, all.at(-1) ?? null, sha256);
    if (name !== `sth/${head.date}.json`)
      throw new Bad("wrong_day", name, `is the head of another day, ${head.date}`);
    all.push(head);
    progress(index + 1, names.length);
  }
  const last = all.at(-1) as Head;
  if (!equal(await zip.read(LATEST), raw)) {
    throw new Bad("wrong_head", LATEST, `is not the same as sth/${last.date}.json`);
  }
  if (asked !== null && asked !== last.date) {
    throw new Bad("other_day", LATEST, `is the head of ${last.date}; the day asked for is ${asked}`);
  }
  const later = keys.sets.find((set) => set.from > last.tree_size);
  if (later !== undefined) {
    throw new Bad("key_set_later", "keys.json", `has key set ${later.n}, which begins after the day`);
  }
  return { all, last, before: all.at(-2) ?? null };
}

async function readHead(name: string, raw: Bytes, keys: LogKeys): Promise<Head> {
  const value = parseCanonical(name, raw, null, "bad_sth");
  const { signatures: unread, ...unsigned } = held(value, HEAD, (wrong) => new Bad("bad_sth", name, wrong));
  const contradiction = contradictionIn(unsigned, keys);
  if (contradiction !== null) throw new Bad("bad_sth", name, contradiction);
  const unsignable = (wrong: string): Bad => new Bad("bad_signature", name, wrong);
  const signatures = held(unread, SIGNATURES, unsignable, "signatures");
  const head: Head = { ...unsigned, signatures };
  const message = utf8(`signet-sth-v1\n${canonical(unsigned)}`);
  const set = setFor(keys, head.tree_size);
  const fault = await faultIn(signatures, set, ["ed25519", "ml-dsa-65"], message);
  if (fault !== null) throw new Bad("bad_signature", name, fault.reason);
  return head;
}

/** Return what cannot be true of one head by itself; null if nothing. */
function contradictionIn(head: Omit<Head, "signatures">, keys: LogKeys): string | null {
  const { chains, emitters, tree_size: size, first_leaf: first } = head;
  const sum = (numbers: number[]): number => numbers.reduce((total, number) => total + number, 0);
  const rules: [string, boolean][] = [
    ["belongs to another log", head.log_id === keys.logId],
    ["first_leaf is beyond tree_size", first <= size],
    [
      "chains must be numbered 0, 1, 2 …",
      chains.length > 0 && chains.every((chain, index) => chain.id === index),
    ],
    ["a chain ends before it begins", chains.every((chain) => chain.first_seq <= chain.next_seq)],
    [
      "the chains do not hold as many receipts as the tree",
      sum(chains.map((chain) => chain.next_seq)) === size,
    ],
    ["the chains do not begin where the day begins", sum(chains.map((chain) => chain.first_seq)) === first],
    ["emitters counts more decisions than the day has receipts", emitters.decisions <= size - first],
    ["emitters counts more emitters than decisions", emitters.count <= emitters.decisions],
    [
      "emitters has gaps, but no emitter has two decisions",
      emitters.count < emitters.decisions || emitters.missing === 0,
    ],
    [
      "emitters says both that there are some and that there are none",
      new Set([emitters.count === 0, emitters.decisions === 0, emitters.sha256 === NO_ACCOUNTS]).size === 1,
    ],
    ["the root of the empty tree is wrong", size > 0 || equal(bytesOf(head.root_hash), EMPTY_ROOT)],
  ];
  return rules.find(([, holds]) => !holds)?.[0] ?? null;
}

function checkFollows(name: string, head: Head, previous: Head | null, sha256: string | null): void {
  const rules: [string, boolean][] = [
    ["is not final", head.final],
    ["prev_sth_sha256 is not the hash of the head before", head.prev_sth_sha256 === sha256],
    ["does not begin where the day before ended", head.first_leaf === (previous?.tree_size ?? 0)],
    [
      "has other chains than the day before",
      previous === null || previous.chains.length === head.chains.length,
    ],
    [
      "a chain does not continue where the day before left it",
      head.chains.every((chain, index) => continues(chain, previous?.chains[index])),
    ],
  ];
  if (previous !== null) {
    rules.push(
      [
        `does not follow ${previous.date}: a day is missing, or comes twice`,
        head.date === nextDay(previous.date),
      ],
      ["was signed before the head of the day before", head.timestamp >= previous.timestamp],
      [
        "has another root than the day before for the same size",
        head.tree_size !== previous.tree_size || head.root_hash === previous.root_hash,
      ],
    );
  }
  const broken = rules.find(([, holds]) => !holds);
  if (broken !== undefined) throw new Bad("broken_sth_chain", name, broken[0]);
}

function continues(chain: ChainSummary, before: ChainSummary | undefined): boolean {
  const { next_seq: next, head } = before ?? { next_seq: 0, head: NO_RECEIPT };
  return chain.first_seq === next && (chain.next_seq > next || chain.head === head);
}

/** Return the first instant of a day, in Unix milliseconds. */
export function dayStart(date: string): number {
  return Date.parse(`${date}T00:00:00.000Z`);
}

function nextDay(date: string): string {
  return new Date(dayStart(date) + DAY_MS).toISOString().slice(0, 10);
}
