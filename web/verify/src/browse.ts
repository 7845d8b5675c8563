/** What the page shows of a day once it is verified. */

import { encodeBase64, textOf } from "./core/bytes.ts";
import type { Signed } from "./core/callers.ts";
import { type Day, isDecision } from "./core/day.ts";
import { DECISION_OF, DECISIONS, type Event, EVENTS, type Members, type Receipt } from "./core/formats.ts";
import type { Heads } from "./core/heads.ts";
import { type LogKeys, setFor } from "./core/keys.ts";
import { type DayTree, walk } from "./core/merkle.ts";
import { isObject } from "./core/shape.ts";
import { whatChanged } from "./events.ts";
import type { Detail, Evidence, Filter, Kind, Proven, Row } from "./messages.ts";

const MINUTES = 1440;

function kindOf(reason: string): Kind {
  return DECISION_OF.get(reason) ?? (reason as Event);
}

/** Return what a good pack proves, at a glance. */
export function summarize(keys: LogKeys, heads: Heads, day: Day, signed: Signed, pinned: boolean): Proven {
  const { last } = heads;
  const signing = setFor(keys, last.tree_size);
  return {
    date: last.date,
    logId: keys.logId,
    pinned,
    origin: keys.origin,
    receipts: day.count,
    signed,
    firstLeaf: last.first_leaf,
    treeSize: last.tree_size,
    rootHash: last.root_hash,
    timestamp: last.timestamp,
    policy: last.policy_bundle_sha256,
    chains: last.chains.length,
    emitters: day.emitters.size,
    heads: heads.all.map((head) => ({
      date: head.date,
      treeSize: head.tree_size,
      receipts: head.tree_size - head.first_leaf,
      rootHash: head.root_hash,
    })),
    sets: keys.sets.map((set) => ({
      n: set.n,
      from: set.from,
      signs: set === signing,
      keys: Object.values(set.keys).map(({ alg, keyid }) => ({ alg, keyid })),
    })),
    ...countsOf(day),
  };
}

function countsOf(day: Day): Pick<Proven, "reasons" | "minutes"> {
  const reasons = day.reasons.words.map((word) => ({
    reason: word as string,
    kind: kindOf(word as string),
    count: 0,
  }));
  const minutes = Object.fromEntries(
    [...DECISIONS, ...EVENTS].map((kind) => [kind, new Uint32Array(MINUTES)]),
  );
  for (let index = 0; index < day.count; index++) {
    const entry = reasons[day.reasons.numberAt(index)] as (typeof reasons)[number];
    const series = minutes[entry.kind] as Uint32Array;
    const minute = day.minutes.at(index);
    entry.count += 1;
    series[minute] = (series[minute] as number) + 1;
  }
  reasons.sort((a, b) => b.count - a.count || (a.reason < b.reason ? -1 : 1));
  return { reasons, minutes: minutes as Record<Kind, Uint32Array> };
}

/** Return the places, from 0, of the receipts that a filter lets pass. */
export function select(day: Day, filter: Filter): Uint32Array {
  const id = filter.id.toLowerCase();
  const reasons = day.reasons.words.map((word) => filter.reason === "" || word === filter.reason);
  const keyids = day.keyids.words.map(
    (word) => filter.keyid === "" || (word?.includes(filter.keyid) ?? false),
  );
  const found: number[] = [];
  for (let index = 0; index < day.count; index++) {
    if (!reasons[day.reasons.numberAt(index)] || !keyids[day.keyids.numberAt(index)]) continue;
    if ((day.ids[index] as string).includes(id)) found.push(index);
  }
  return Uint32Array.from(found);
}

/** Return what the list shows of one receipt. */
export async function rowOf(day: Day, firstLeaf: number, index: number): Promise<Row> {
  return makeRow(day, JSON.parse(textOf(await day.receipt(index))) as Receipt & Members, firstLeaf, index);
}

function evidenceOf(day: Day, digest: string | null): Evidence {
  if (digest === null) return "none";
  return day.evidence.has(digest) ? "here" : "absent";
}

/** Return which API and route were called, as far as a decision says so: from version 2 on. */
function calledOf(receipt: Members): string {
  const { api, route } = receipt;
  if (!isObject(api)) return "";
  const name = typeof api["name"] === "string" ? api["name"] : "not known";
  return ` (API ${name}${typeof route === "string" ? `, route ${route}` : ""})`;
}

function makeRow(day: Day, receipt: Receipt & Members, firstLeaf: number, index: number): Row {
  const common = { index, leaf: firstLeaf + index, id: receipt.id, recordedAt: receipt.chain.recorded_at };
  if (!isDecision(receipt)) {
    const { type } = receipt;
    const about = whatChanged(receipt);
    return { ...common, kind: kindOf(type), reason: type, about, keyid: "", evidence: "none" };
  }
  const { request, proof, reason, decision } = receipt;
  return {
    ...common,
    kind: decision,
    reason,
    about: `${request.method ?? ""} ${request.path ?? ""}${calledOf(receipt)}`,
    keyid: proof.keyid ?? "",
    evidence: evidenceOf(day, proof.evidence_sha256),
  };
}

/** Return one receipt whole, with the way from its leaf to the root. */
export async function detailOf(day: Day, tree: DayTree, index: number): Promise<Detail> {
  const receipt = JSON.parse(textOf(await day.receipt(index))) as Receipt & Members;
  const row = makeRow(day, receipt, tree.firstLeaf, index);
  const leafHash = day.leaves.at(index);
  const path = tree.path(row.leaf);
  const steps =
    walk(
      leafHash,
      row.leaf,
      tree.size,
      path.map((node) => node.root),
    ) ?? [];
  return {
    row,
    text: JSON.stringify(receipt, null, 2),
    evidenceSha256: (isDecision(receipt) && receipt.proof.evidence_sha256) || "",
    leafHash: encodeBase64(leafHash),
    treeSize: tree.size,
    rootHash: encodeBase64(tree.root()),
    steps: steps.map(({ side, sibling, parent }, step) => ({
      side,
      sibling: encodeBase64(sibling),
      start: path[step]?.start ?? 0,
      end: path[step]?.end ?? 0,
      parent: encodeBase64(parent),
    })),
  };
}
