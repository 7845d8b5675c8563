/** What page and worker say to each other. */

import type { Signed } from "./core/callers.ts";
import type { Decision, Event } from "./core/formats.ts";
import type { PackKind } from "./core/kind.ts";
import type { Notice } from "./core/remarks.ts";
import type { CheckId, Failure } from "./core/verify.ts";

export type ToWorker =
  | { kind: "verify"; pack: File; logId: string | null; date: string | null; callers: string | null }
  | { kind: "filter"; filter: Filter }
  | { kind: "rows"; start: number; end: number }
  | { kind: "receipt"; index: number };

export type ToPage =
  | { kind: "started"; check: CheckId }
  | { kind: "progress"; check: CheckId; done: number; total: number }
  | { kind: "finished"; check: CheckId; state: "passed" | "skipped" | Failure }
  | { kind: "verdict"; verdict: Verdict }
  | { kind: "obstacle"; text: string }
  | { kind: "filtered"; selection: number; count: number }
  | { kind: "rows"; selection: number; start: number; rows: Row[] }
  | { kind: "receipt"; detail: Detail };

/** Which receipts to list; an empty member lets all pass. */
export interface Filter {
  /** Part of a receipt's id. */
  id: string;
  /** A reason, or the type of a receipt that is no decision. */
  reason: string;
  /** Part of a key id. */
  keyid: string;
}

export interface Verdict {
  /** What the file is. */
  kind: PackKind;
  failures: readonly Failure[];
  notices: readonly Notice[];
  milliseconds: number;
  /** Plain bytes that came out of members, counting each reading. */
  inflated: number;
  /** What the pack proves; null if a check failed. */
  proven: Proven | null;
}

/** Decisions, and the types of receipts that are none. */
export type Kind = Decision | Event;

export interface Proven {
  /** Of the signed tree head. */
  date: string;
  logId: string;
  pinned: boolean;
  origin: string;
  receipts: number;
  /** How many allowed requests their callers signed, as far as this pack and the keys at hand show it. */
  signed: Signed;
  firstLeaf: number;
  treeSize: number;
  rootHash: string;
  timestamp: number;
  policy: string;
  chains: number;
  emitters: number;
  heads: { date: string; treeSize: number; receipts: number; rootHash: string }[];
  sets: { n: number; from: number; signs: boolean; keys: { alg: string; keyid: string }[] }[];
  /** Receipts by reason (or type), most frequent first. */
  reasons: { reason: string; kind: Kind; count: number }[];
  /** Receipts by kind and minute of the day: 1,440 each. */
  minutes: Record<Kind, Uint32Array>;
}

export interface Row {
  /** Place among the day's receipts, from 0. */
  index: number;
  leaf: number;
  id: string;
  recordedAt: string;
  kind: Kind;
  /** Of a decision its reason; of others their type. */
  reason: string;
  /** What it is about: the request that was decided on, or what changed. */
  about: string;
  keyid: string;
  evidence: Evidence;
}

/** Whether a receipt names evidence, and whether the pack holds it. */
export type Evidence = "none" | "absent" | "here";

export interface Detail {
  row: Row;
  /** The receipt, indented for people. */
  text: string;
  /** Digest of the evidence that it names, in hex; empty if it names none. */
  evidenceSha256: string;
  leafHash: string;
  treeSize: number;
  rootHash: string;
  /** From the leaf upward. */
  steps: { side: "left" | "right"; sibling: string; start: number; end: number; parent: string }[];
}
