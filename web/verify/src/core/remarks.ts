/** What is worth knowing of a pack in which nothing is wrong. */

import type { Gap } from "./accounts.ts";
import type { Day } from "./day.ts";
import type { Manifest } from "./formats.ts";
import { DAY_MS, dayStart, type Heads } from "./heads.ts";

const MINUTE_MS = 60_000;
/** Most policies that one remark names. */
const MOST_NAMED = 5;
/** How far a clock may be ahead before it is worth a remark. */
const AHEAD_MS = 5 * MINUTE_MS;
/** How late a decision may reach the log before it is worth a remark. */
const LATE_MS = DAY_MS;

/** Something to know that is no failure; its code is of the list in web/verify/README.md. */
export interface Notice {
  readonly code: string;
  readonly text: string;
}

/** Of each release, SHA-256 in hex of the files that went into every pack, by name. */
export type Released = readonly Readonly<Record<string, string>>[];

/** Counts what is remarkable, and where it is first. */
export class Tally {
  count = 0;
  /** Line, from 1; 0 while nothing was counted. */
  first = 0;

  add(line: number): void {
    if (this.count++ === 0 || line < this.first) this.first = line;
  }

  /** Count what another one has counted. */
  merge({ count, first }: Tally): void {
    if (count === 0) return;
    if (this.count === 0 || first < this.first) this.first = first;
    this.count += count;
  }

  /** "2 decisions (the first in line 7 of receipts.jsonl)". */
  of(noun: string): string {
    return `${this.count} ${noun}${this.count === 1 ? "" : "s"} (the first in line ${this.first} of receipts.jsonl)`;
  }
}

/** Tell whether a decision was made long after, or long before, it was recorded. */
export function isFarApart(decidedAt: string, recordedAt: string): boolean {
  const minute = "YYYY-MM-DDThh:mm".length;
  // Nearly all decisions are recorded within the same minute.
  if (decidedAt.slice(0, minute) === recordedAt.slice(0, minute)) return false;
  const late = Date.parse(recordedAt) - Date.parse(decidedAt);
  return late < -AHEAD_MS || late > LATE_MS;
}

/** Return the remarks on a pack whose checks have all passed, those on the whole first. */
export function remarksOn(manifest: Manifest, { last }: Heads, day: Day, released: Released): Notice[] {
  const notices: Notice[] = [];
  const remark = (code: string, text: string): void => void notices.push({ code, text });
  const known = released.some((files) =>
    Object.entries(files).every(([name, sha256]) => hashOf(manifest, name) === sha256),
  );
  if (!known) {
    const text =
      "VERIFY.md and verify.py are signed by nothing, and these are not those of a release that this page knows: run neither unread.";
    remark("other_checker", text);
  }
  const [start, end] = [dayStart(last.date), dayStart(last.date) + DAY_MS];
  if (last.timestamp < end) {
    const text = `The day was closed at ${instantOf(last.timestamp, last.date)}, before it was over: what was decided later that day is in the next day's pack.`;
    remark("closed_early", text);
  }
  if (last.timestamp < start) {
    const text = `The tree head says that it was signed at ${instantOf(last.timestamp, last.date)}, before the day began.`;
    remark("head_time", text);
  } else if (day.lastRecorded !== "" && last.timestamp < Date.parse(day.lastRecorded) - AHEAD_MS) {
    const text = `The tree head says that it was signed at ${instantOf(last.timestamp, last.date)}, but its last receipt was recorded at ${instantOf(Date.parse(day.lastRecorded), last.date)}.`;
    remark("head_time", text);
  }
  if (day.farApart.count > 0) {
    const text = `${day.farApart.of("decision")} made more than 5 minutes after, or more than 24 hours before, they were recorded: a clock was wrong, or they waited.`;
    remark("times_far_apart", text);
  }
  const unannounced = unannouncedIn(day, last.policy_bundle_sha256);
  if (unannounced.count > 0) {
    const text = `${unannounced.of("decision")} by a policy that no receipt of the day announces and that is not the one deployed: it may have been pushed on an earlier day.`;
    remark("policy_unannounced", text);
  }
  const grown = [...day.folded.values()].map(({ first, last, summarised }) => ({
    more: (last?.folded ?? 0) - (first?.folded ?? 0),
    summarised,
  }));
  const hidden = grown.reduce((sum, { more, summarised }) => sum + Math.max(0, more - summarised), 0);
  if (day.summaries > 0 || hidden > 0) {
    const counted = [...day.summarised.values()].reduce((sum, count) => sum + count, 0);
    const text = `${counted} refusals are counted in ${day.summaries} summaries and have no receipt of their own; at least ${hidden} more are in summaries that are not in this pack: of another day, or lost.`;
    remark("refusals_summarised", text);
  }
  const falling = grown.filter(({ more }) => more < 0).length;
  if (falling > 0) {
    const text = `${falling} emitters say later that they counted fewer refusals in summaries than before: what they say of that is wrong.`;
    remark("folded_decreases", text);
  }
  const twice = numbersTwice(day);
  if (twice.count > 0) {
    const text = `${twice.of("receipt")} with a number that an earlier receipt of the same emitter has: one of each pair was not sent as it stands.`;
    remark("emitter_number_twice", text);
  }
  return notices;
}

function hashOf(manifest: Manifest, name: string): string {
  return manifest.files.find((file) => file.name === name)?.sha256 ?? "";
}

/** "16:27:05 UTC" of the day itself, "2026-11-22 16:27:05 UTC" of another. */
function instantOf(timestamp: number, date: string): string {
  const [day, time] = new Date(timestamp).toISOString().split("T") as [string, string];
  const clock = `${time.slice(0, 8)} UTC`;
  return day === date ? clock : `${day} ${clock}`;
}

/** Return the decisions by a policy that is neither deployed nor in a `policy.changed` of the day. */
function unannouncedIn(day: Day, deployed: string): Tally {
  const tally = new Tally();
  for (const [bundle, named] of day.bundles) {
    if (bundle !== deployed && !day.announced.has(bundle)) tally.merge(named);
  }
  return tally;
}

/** Return the receipts that have a number which an earlier one of their emitter has. */
function numbersTwice(day: Day): Tally {
  const tally = new Tally();
  for (const { numbers, lines } of day.emitters.values()) {
    if (new Set(numbers).size === numbers.length) continue;
    const seen = new Set<number>();
    for (const [index, number] of numbers.entries()) {
      if (seen.has(number)) tally.add(lines[index] as number);
      seen.add(number);
    }
  }
  return tally;
}

/** Return a remark on policies whose files are absent, all in one. */
export function absentRemarks(bundles: readonly string[]): Notice[] {
  if (bundles.length === 0) return [];
  const more = bundles.length > MOST_NAMED ? ` and ${bundles.length - MOST_NAMED} more` : "";
  const which = `${bundles.length === 1 ? "policy" : "policies"} ${bundles.slice(0, MOST_NAMED).join(", ")}${more}`;
  return [{ code: "policy_absent", text: `The files of ${which} are not in the pack.` }];
}

/** Return a remark for each gap in an emitter's numbers. */
export function gapRemarks(gaps: readonly Gap[]): Notice[] {
  return gaps.map(({ emitter, first, last }) => {
    const numbers = first === last ? `Decision ${first}` : `Decisions ${first} to ${last}`;
    return {
      code: "emitter_gap",
      text: `${numbers} of emitter ${emitter} are not among the day's receipts.`,
    };
  });
}
