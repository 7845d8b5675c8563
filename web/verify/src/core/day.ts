/**
 * The receipts of one day: each checked by itself, against its chain, and kept as a leaf of the tree.
 *
 * Chain and tree are fed from the same bytes in the same pass. Checked apart they could be made to tell
 * two stories.
 */

import { Bad } from "./bad.ts";
import { type Bytes, encodeBase64, utf8 } from "./bytes.ts";
import { Bytes32Column, NumberColumn, WordColumn } from "./columns.ts";
import { contradictionOf } from "./decisions.ts";
import { digest, sha256 } from "./digest.ts";
import {
  type COMMON,
  DECISION,
  DECISION_OF,
  type DecisionReceipt,
  eventShape,
  type Head,
  type LATER_COMMON,
  LATER_DECISION,
  type LaterDecision,
  type Members,
  type Receipt,
} from "./formats.ts";
import { NO_RECEIPT } from "./heads.ts";
import { type Json, parseCanonical } from "./json.ts";
import { evidenceIn } from "./manifest.ts";
import { leafInput } from "./merkle.ts";
import type { Progress } from "./progress.ts";
import { isFarApart, Tally } from "./remarks.ts";
import { held, isObject } from "./shape.ts";
import { type Line, MAX_LINE_BYTES, type Zip } from "./zip.ts";

const NAME = "receipts.jsonl";
/** The newest version of a receipt that is known here. */
const NEWEST_VERSION = 2;
/** Receipts whose hashes are awaited together. */
const BATCH = 1024;
/** Bytes of checked lines that become one part of the blob. */
const PART_BYTES = 8 * 1024 * 1024;

interface ChainState {
  next: number;
  head: string;
  recordedAt: string;
}

interface Rotation {
  readonly line: number;
  readonly set: Json;
}

/** Numbers of one emitter in the order of their receipts, and the lines of those. */
export interface Emitted {
  readonly numbers: number[];
  readonly lines: number[];
}

/** A summary of refusals, or an emitter's end: what an emitter numbers beside decisions. */
interface Numbered {
  readonly emitter: { readonly id: string; readonly n: number };
  readonly counts?: Readonly<Record<string, number>>;
}

interface Said {
  readonly n: number;
  readonly folded: number;
}

/** What one emitter says of refusals that it counted in summaries: smallest and largest number of a decision. */
export interface Folded {
  first: Said | null;
  last: Said | null;
  summarised: number;
}

interface Parsed {
  readonly line: Line;
  readonly receipt: Receipt;
  /** The whole receipt, as it was read. */
  readonly members: Members;
}

export class Day {
  readonly chains: ChainState[];
  readonly leaves = new Bytes32Column();
  /** Where each receipt begins in `text`. */
  readonly starts = new NumberColumn();
  /** Receipt ids, as they are written. */
  readonly ids: string[] = [];
  /** Reason of a decision; of other receipts their type. */
  readonly reasons = new WordColumn();
  readonly keyids = new WordColumn();
  /** Allowed requests, by version of their receipt: 1 and 2. */
  readonly allowed: [number, number] = [0, 0];
  /** Whether a receipt says that transcripts were erased. */
  erased = false;
  /** Minute of the UTC day at which each receipt was recorded. */
  readonly minutes = new NumberColumn();
  readonly emitters = new Map<string, Emitted>();
  /** Summaries of refusals, and the refusals that they count, by reason. */
  summaries = 0;
  readonly summarised = new Map<string, number>();
  readonly folded = new Map<string, Folded>();
  /** Policies that the head or a decision names, each with the decisions that do. */
  readonly bundles: Map<string, Tally>;
  /** Policies that a `policy.changed` of the day leads to or from. */
  readonly announced = new Set<Json>();
  /** The latest `recorded_at`; empty without receipts. */
  lastRecorded = "";
  /** Decisions whose own time is far from that of their record. */
  readonly farApart = new Tally();
  /** Digests of the pack's evidence that no receipt has named. */
  readonly unnamed: Set<string>;
  readonly rotations: Rotation[] = [];
  /** What each `api.added` of the day says of its API, by its id. */
  readonly registered = new Map<string, string>();
  /** What decisions say of their API under a registration: `registration` and the API, with the first line. */
  readonly called = new Map<
    string,
    { readonly registration: string; readonly api: string; readonly line: number }
  >();
  private readonly seen = new Set<string>();
  /** `nonce_sha256` of the allowed decisions. */
  private readonly spent = new Set<string>();
  private readonly parts: Blob[] = [];
  private pending: Bytes[] = [];
  private pendingBytes = 0;
  private bytes = 0;

  private constructor(
    private readonly head: Head,
    before: Head | null,
    /** Digests of the pack's evidence. */
    readonly evidence: ReadonlySet<string>,
  ) {
    this.chains = head.chains.map((chain, index) => ({
      next: chain.first_seq,
      head: before?.chains[index]?.head ?? NO_RECEIPT,
      recordedAt: "",
    }));
    this.bundles = new Map([[head.policy_bundle_sha256, new Tally()]]);
    this.unnamed = new Set(evidence);
  }

  /**
   * Read and check all receipts of the pack.
   *
   * @throws Bad `not_canonical`, `bad_receipt`, `receipt_too_long`, `receipt_repeated`, `wrong_chain`,
   *   `chain_gap`, `chain_broken`, `outside_day`, `recorded_at_decreases`, `nonce_allowed_twice`, `line_too_long`,
   *   `line_unfinished`
   */
  static async read(zip: Zip, head: Head, before: Head | null, progress: Progress): Promise<Day> {
    const day = new Day(head, before, evidenceIn(zip.members.keys()));
    const total = zip.member(NAME).size;
    for await (const lines of zip.lines(NAME)) {
      for (let at = 0; at < lines.length; at += BATCH) await day.take(lines.slice(at, at + BATCH));
      progress(day.bytes, total);
    }
    day.flush();
    return day;
  }

  get count(): number {
    return this.ids.length;
  }

  /** Return the bytes of a receipt of the day, from 0. */
  async receipt(index: number): Promise<Bytes> {
    const start = this.starts.at(index);
    const end = index + 1 < this.count ? this.starts.at(index + 1) : this.bytes;
    return new Uint8Array(await new Blob(this.parts).slice(start, end - 1).arrayBuffer());
  }

  private async take(lines: readonly Line[]): Promise<void> {
    const parsed: Parsed[] = [];
    let failure: unknown = null;
    for (const line of lines) {
      try {
        parsed.push(parseReceipt(line));
      } catch (error) {
        failure = error; // of this line; lines before it may still fail in their chain
        break;
      }
    }
    const digests = await Promise.all(
      parsed.flatMap(({ line }) => [digest(line.data), digest(leafInput(line.data))]),
    );
    for (const [index, { line, receipt, members }] of parsed.entries()) {
      this.link(line, receipt, digests[2 * index] as Bytes);
      this.leaves.push(digests[2 * index + 1] as Bytes);
      this.account(line, receipt, members);
    }
    if (failure !== null) throw failure;
  }

  private link(line: Line, receipt: Receipt, itsHash: Bytes): void {
    const { id, chain: link } = receipt;
    const refuse = (code: string, reason: string): Bad => new Bad(code, NAME, reason, line.number);
    if (this.seen.has(id)) throw refuse("receipt_repeated", "has the id of an earlier receipt");
    this.seen.add(id);
    const own = chainOf(id, this.chains.length);
    const chain = this.chains[own] as ChainState;
    if (link.id !== own)
      throw refuse("wrong_chain", `is in chain ${link.id}, but its id belongs to chain ${own}`);
    if (link.seq !== chain.next)
      throw refuse("chain_gap", `has seq ${link.seq}, but ${chain.next} comes next`);
    if (link.prev !== chain.head)
      throw refuse("chain_broken", "prev is not the hash of the receipt before it in its chain");
    if (
      link.recorded_at.slice(0, 10) > this.head.date ||
      (chain.recordedAt === "" && !this.isOfDay(link.recorded_at))
    ) {
      throw refuse("outside_day", `was recorded at ${link.recorded_at}, outside the day`);
    }
    if (link.recorded_at < chain.recordedAt) {
      throw refuse("recorded_at_decreases", "was recorded before the receipt before it in its chain");
    }
    chain.next += 1;
    chain.head = encodeBase64(itsHash);
    chain.recordedAt = link.recorded_at;
    if (link.recorded_at > this.lastRecorded) this.lastRecorded = link.recorded_at;
    if (!isDecision(receipt) || receipt.decision !== "allow") return;
    const nonce = receipt.proof.nonce_sha256 as string;
    if (this.spent.has(nonce)) {
      throw refuse("nonce_allowed_twice", "allows a request with the nonce of an earlier one");
    }
    this.spent.add(nonce);
  }

  private isOfDay(time: string): boolean {
    return time.startsWith(this.head.date);
  }

  /** Keep what the later checks and the reader of the page need. */
  private account(line: Line, receipt: Receipt, members: Members): void {
    this.ids.push(receipt.id);
    this.minutes.push(
      60 * Number(receipt.chain.recorded_at.slice(11, 13)) + Number(receipt.chain.recorded_at.slice(14, 16)),
    );
    this.starts.push(this.bytes);
    this.keep(line.data);
    if (isDecision(receipt)) {
      const { emitter, policy, proof } = receipt;
      this.number(emitter.id, emitter.n, line.number);
      const bundle = policy.bundle_sha256;
      if (bundle !== null) {
        const named = this.bundles.get(bundle) ?? new Tally();
        if (named.count === 0) this.bundles.set(bundle, named);
        named.add(line.number);
      }
      if (receipt.decision === "allow") this.allowed[receipt.v === 2 ? 1 : 0] += 1;
      if (receipt.v === 2) {
        this.noteApi(receipt, line.number);
        this.noteFolded(receipt.emitter);
      }
      if (isFarApart(receipt.decided_at, receipt.chain.recorded_at)) this.farApart.add(line.number);
      this.reasons.push(receipt.reason);
      this.keyids.push(proof.keyid);
      if (proof.evidence_sha256 !== null) this.unnamed.delete(proof.evidence_sha256);
      return;
    }
    this.reasons.push(receipt.type);
    const kind: string = receipt.type;
    if (receipt.v === 2 && (kind === "refusals.summary" || kind === "emitter.ended")) {
      const numbered = members as unknown as Numbered;
      this.number(numbered.emitter.id, numbered.emitter.n, line.number);
      if (kind === "refusals.summary") this.noteSummary(numbered);
    }
    if ((receipt.type as string) === "transcript.erased") this.erased = true;
    this.keyids.push(null);
    if (receipt.type === "key.rotated") {
      this.rotations.push({ line: line.number, set: members["set"] ?? null });
    }
    if (receipt.type === "api.added") this.noteRegistration(members);
    const change = members["change"];
    if (receipt.type === "policy.changed" && isObject(change)) {
      this.announced.add(change["from"] ?? null).add(change["to"] ?? null);
    }
  }

  private number(id: string, n: number, line: number): void {
    const emitted = this.emitters.get(id) ?? { numbers: [], lines: [] };
    if (emitted.numbers.length === 0) this.emitters.set(id, emitted);
    emitted.numbers.push(n);
    emitted.lines.push(line);
  }

  private noteSummary({ emitter, counts }: Numbered): void {
    this.summaries += 1;
    for (const [reason, count] of Object.entries(counts ?? {})) {
      this.summarised.set(reason, (this.summarised.get(reason) ?? 0) + count);
      this.foldedOf(emitter.id).summarised += count;
    }
  }

  private noteFolded({ id, n, folded }: LaterDecision["emitter"]): void {
    const known = this.foldedOf(id);
    if (known.first === null || n < known.first.n) known.first = { n, folded };
    if (known.last === null || n > known.last.n) known.last = { n, folded };
  }

  private foldedOf(id: string): Folded {
    const known = this.folded.get(id) ?? { first: null, last: null, summarised: 0 };
    this.folded.set(id, known);
    return known;
  }

  private noteApi({ api }: LaterDecision, line: number): void {
    const { registration } = api;
    if (registration === null) return;
    const said = spelled(api.name, api.id, api.stage, api.kind);
    const key = `${registration} ${said}`;
    if (!this.called.has(key)) this.called.set(key, { registration, api: said, line });
  }

  private noteRegistration({ id, name, api }: Members): void {
    if (typeof id !== "string" || !isObject(api)) return; // its shape was held to before
    this.registered.set(id, spelled(name, api["id"], api["stage"], api["kind"]));
  }

  /** Tell whether a receipt of the day has this id. */
  has(id: string): boolean {
    return this.seen.has(id);
  }

  /** Blobs may lie on disk: the receipts of a large day do not have to fit into memory to be shown. */
  private keep(line: Bytes): void {
    this.pending.push(line, NEWLINE);
    this.pendingBytes += line.length + 1;
    this.bytes += line.length + 1;
    if (this.pendingBytes > PART_BYTES) this.flush();
  }

  private flush(): void {
    if (this.pending.length > 0) this.parts.push(new Blob(this.pending));
    this.pending = [];
    this.pendingBytes = 0;
  }
}

const NEWLINE = Uint8Array.of(10);

/** Return some members as one text: equal texts, equal members. */
function spelled(...members: readonly (Json | undefined)[]): string {
  return JSON.stringify(members);
}

/** Return the chain of a receipt: the first eight bytes of its id's hash, mod the number of chains. */
function chainOf(id: string, chains: number): number {
  const view = new DataView(sha256(utf8(id)).buffer);
  // By halves, so that nothing exceeds 2^53: a head of 8 MiB has fewer than 2^17 chains.
  return ((view.getUint32(0) % chains) * (2 ** 32 % chains) + (view.getUint32(4) % chains)) % chains;
}

export function isDecision(receipt: Receipt): receipt is DecisionReceipt {
  return receipt.type === "pch.decision";
}

function parseReceipt(line: Line): Parsed {
  const { data, number } = line;
  const refuse = (reason: string): Bad => new Bad("bad_receipt", NAME, reason, number);
  if (data.length > MAX_LINE_BYTES) {
    throw new Bad("receipt_too_long", NAME, `is longer than ${MAX_LINE_BYTES} bytes`, number);
  }
  const value = parseCanonical(NAME, data, number);
  const members: Members = isObject(value) ? value : {};
  const { type, v } = members;
  if (typeof v === "number" && v > NEWEST_VERSION) {
    throw refuse(`is of version ${v}, which this page does not know: a newer one is needed`);
  }
  const version = v === NEWEST_VERSION ? NEWEST_VERSION : 1;
  if (type === "pch.decision") {
    const receipt = version === 2 ? held(value, LATER_DECISION, refuse) : held(value, DECISION, refuse);
    if (DECISION_OF.get(receipt.reason) !== receipt.decision) {
      throw refuse(`the reason ${receipt.reason} does not belong to the decision ${receipt.decision}`);
    }
    const contradiction = contradictionOf(receipt);
    if (contradiction !== null) throw refuse(contradiction);
    return { line, receipt, members };
  }
  const shape = eventShape(version, type);
  if (shape === null) throw refuse("has a type that no receipt has");
  if ("common" in shape) {
    return { line, receipt: held(membersOf(members, shape.common), shape.common, refuse), members };
  }
  return { line, receipt: held<typeof COMMON | typeof LATER_COMMON>(value, shape.whole, refuse), members };
}

/** Return those members of an object that a shape has. */
function membersOf(
  value: { readonly [name: string]: Json },
  shape: { readonly [member: string]: unknown },
): { [name: string]: Json } {
  return Object.fromEntries(Object.entries(value).filter(([name]) => Object.hasOwn(shape, name)));
}
