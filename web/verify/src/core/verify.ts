/** All checks of docs/formats.md, in its order, on one pack. */

import { checkCheckpoint } from "./checkpoint.ts";
import {
  checkEmitters,
  checkEvidence,
  checkPolicies,
  checkRegistrations,
  checkRotations,
  type Gap,
} from "./accounts.ts";
import { Bad } from "./bad.ts";
import { type Callers, checkCallers, type Signed } from "./callers.ts";
import { Day } from "./day.ts";
import type { Manifest } from "./formats.ts";
import { type Heads, readHeads } from "./heads.ts";
import { type LogKeys, parseKeys } from "./keys.ts";
import { kindOf, type PackKind } from "./kind.ts";
import { checkHashes, readHeld, readManifest } from "./manifest.ts";
import type { DayTree } from "./merkle.ts";
import type { Progress } from "./progress.ts";
import { checkConsistency, checkEnds, checkInclusion, growTree } from "./proofs.ts";
import { absentRemarks, gapRemarks, type Notice, type Released, remarksOn } from "./remarks.ts";
import { Zip, ZIP } from "./zip.ts";

/**
 * The checks, in order: what each is called, and what a failure without a place is filed under.
 *
 * Those that cost little come first: of another log than the one expected no member but its keys is read.
 */
export const CHECKS = [
  { id: "zip", title: "The zip has the one form of a pack", file: ZIP },
  { id: "manifest", title: "The manifest names every member", file: "manifest.json" },
  { id: "keys", title: "The keys are those of the log", file: "keys.json" },
  { id: "hashes", title: "Every member has its hash", file: "manifest.json" },
  { id: "heads", title: "The tree heads form a chain, each signed twice", file: "sth.json" },
  { id: "receipts", title: "Every receipt is whole, and follows the one before", file: "receipts.jsonl" },
  { id: "ends", title: "The chains end where the tree head says", file: "receipts.jsonl" },
  { id: "tree", title: "The receipts lead to the signed root", file: "proofs/range.json" },
  { id: "registrations", title: "Decisions agree with the day's registrations", file: "receipts.jsonl" },
  { id: "callers", title: "Transcripts are what the callers signed", file: "transcripts" },
  { id: "rotations", title: "Each new key set is on record", file: "receipts.jsonl" },
  { id: "consistency", title: "Each day's tree extends the one before", file: "proofs/consistency.json" },
  { id: "inclusion", title: "Each receipt's own proof holds", file: "proofs/inclusion.jsonl" },
  { id: "checkpoint", title: "The checkpoint is of this tree, signed twice", file: "checkpoint" },
  { id: "emitters", title: "The emitters' accounts match the receipts", file: "sth.json" },
  { id: "policy", title: "The policy files have their hash", file: "policy" },
  { id: "evidence", title: "The evidence has its hash, and a receipt names it", file: "evidence" },
] as const;
export type CheckId = (typeof CHECKS)[number]["id"];

export interface Failure {
  readonly check: CheckId;
  readonly code: string;
  readonly file: string;
  readonly line: number | null;
  readonly reason: string;
}

/** What a pack is held to besides itself. */
export interface Expected {
  /** Hex id of the log as known from elsewhere; null takes any. */
  readonly logId: string | null;
  /** The day that was asked for, YYYY-MM-DD; null takes any. */
  readonly date: string | null;
  /** The callers' public keys, as the reader got them from the callers. */
  readonly callers: Callers;
  /** The checkers that packs have been given. */
  readonly released: Released;
}

export interface Listener {
  started(check: CheckId): void;
  progress(check: CheckId, done: number, total: number): void;
  finished(check: CheckId, state: "passed" | "skipped" | Failure): void;
}

/** What the checks found; a member is there if the check that reads it passed. */
export interface Outcome {
  readonly kind: PackKind;
  readonly failures: readonly Failure[];
  readonly notices: readonly Notice[];
  readonly gaps: readonly Gap[];
  readonly zip?: Zip;
  readonly keys?: LogKeys;
  readonly heads?: Heads;
  readonly day?: Day;
  readonly tree?: DayTree;
  readonly signed?: Signed;
}

class Skip extends Error {}

/** What the checks have found so far; asking for what is missing leaves a check out. */
class Found {
  zip?: Zip;
  manifest?: Manifest;
  keys?: LogKeys;
  heads?: Heads;
  day?: Day;
  tree?: DayTree;
  signed?: Signed;
  gaps: Gap[] = [];
  absent: string[] = [];

  need<Name extends "zip" | "manifest" | "keys" | "heads" | "day">(name: Name): NonNullable<Found[Name]> {
    const value = this[name];
    if (value === undefined) throw new Skip();
    return value as NonNullable<Found[Name]>;
  }
}

/**
 * Check a pack.
 *
 * All bytes, hostile ones too, end in an outcome; only a file that cannot be read (`DOMException`) throws.
 */
export async function verify(pack: Blob, expected: Expected, listener: Listener): Promise<Outcome> {
  const found = new Found();
  const failures: Failure[] = [];
  const steps = stepsOf(pack, expected, found);
  for (const { id, file } of CHECKS) {
    listener.started(id);
    try {
      await steps[id]((done, total) => listener.progress(id, done, total));
      listener.finished(id, "passed");
    } catch (error) {
      if (error instanceof DOMException) throw error;
      const failure = error instanceof Skip ? null : failureOf(id, file, error);
      if (failure !== null) failures.push(failure);
      listener.finished(id, failure ?? "skipped");
    }
  }
  const kind = await kindOf(pack, found.zip === undefined ? (failures[0]?.code ?? "") : null);
  return { ...found, kind, failures, notices: failures.length === 0 ? noticesOf(found, expected) : [] };
}

function stepsOf(
  pack: Blob,
  { logId, date, callers }: Expected,
  found: Found,
): Record<CheckId, (progress: Progress) => Promise<void>> {
  return {
    zip: async () => void (found.zip = await Zip.open(pack)),
    manifest: async () => void (found.manifest = await readManifest(found.need("zip"))),
    keys: async () => {
      const [zip, manifest] = [found.need("zip"), found.need("manifest")];
      found.keys = await parseKeys(await readHeld(zip, manifest, "keys.json"), manifest.log_id, logId);
    },
    hashes: async (progress) => {
      found.need("keys");
      await checkHashes(found.need("zip"), found.need("manifest"), progress);
    },
    heads: async (progress) => {
      const [zip, manifest, keys] = [found.need("zip"), found.need("manifest"), found.need("keys")];
      found.heads = await readHeads(zip, manifest, keys, date, progress);
    },
    receipts: async (progress) => {
      const { last, before } = found.need("heads");
      found.day = await Day.read(found.need("zip"), last, before, progress);
    },
    ends: async () => checkEnds(found.need("day"), found.need("heads").last),
    tree: async () =>
      void (found.tree = await growTree(found.need("zip"), found.need("heads"), found.need("day"))),
    registrations: async () => checkRegistrations(found.need("day")),
    callers: async (progress) => {
      const [zip, manifest, day] = [found.need("zip"), found.need("manifest"), found.need("day")];
      found.signed = await checkCallers(zip, manifest, day, callers, progress);
    },
    rotations: async () => checkRotations(found.need("keys"), found.need("heads").last, found.need("day")),
    consistency: () => checkConsistency(found.need("zip"), found.need("heads")),
    inclusion: (progress) =>
      checkInclusion(found.need("zip"), found.need("heads").last, found.need("day"), progress),
    checkpoint: () => checkCheckpoint(found.need("zip"), found.need("heads").last, found.need("keys")),
    emitters: async () =>
      void (found.gaps = await checkEmitters(found.need("heads").last, found.need("day"))),
    policy: async () => void (found.absent = await checkPolicies(found.need("zip"), found.need("day"))),
    evidence: async () => checkEvidence(found.need("manifest"), found.need("day")),
  };
}

function failureOf(check: CheckId, file: string, error: unknown): Failure {
  if (error instanceof Bad) {
    return { check, code: error.code, file: error.file, line: error.line, reason: error.reason };
  }
  // Fail closed: hostile bytes end as a verdict, also where they made the code stumble.
  const name = error instanceof Error ? error.name : typeof error;
  return {
    check,
    code: "malformed",
    file,
    line: null,
    reason: `is malformed in a way no check foresaw (${name})`,
  };
}

/** Return the remarks on a pack whose checks have all passed. */
function noticesOf(found: Found, { logId, released }: Expected): Notice[] {
  const notices: Notice[] = [];
  if (logId === null) {
    const text = "Without the log id this shows only that the pack agrees with itself, not whose log it is.";
    notices.push({ code: "log_id_not_pinned", text });
  }
  notices.push(...remarksOn(found.need("manifest"), found.need("heads"), found.need("day"), released));
  notices.push(...gapRemarks(found.gaps));
  notices.push(...absentRemarks(found.absent));
  return notices;
}
