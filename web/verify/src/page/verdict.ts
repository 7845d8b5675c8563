/** The verdict: one sentence that can be read across the room, and what to know about it. */

import type { PackKind } from "../core/kind.ts";
import { COUNTS, type Counted } from "../core/callers.ts";
import { DAY_MS, dayStart } from "../core/heads.ts";
import type { Proven, Verdict } from "../messages.ts";
import { placeOf } from "./checks.ts";
import {
  byId,
  code,
  counted,
  dayName,
  durationName,
  el,
  instantName,
  number,
  sizeOf,
  svg,
  timeOf,
} from "./dom.ts";

type Mood = "good" | "remarks" | "bad" | "no-pack" | "obstacle";

const HINT = "M12 6v7m0 4v.01";
const SIGNS: Readonly<Record<Mood, string>> = {
  good: "m6 12.5 4 4 8-9",
  remarks: HINT,
  bad: "m7 7 10 10M17 7 7 17",
  "no-pack": HINT,
  obstacle: HINT,
};

/** A lossy day may have a hundred thousand gaps: as many elements would freeze the page. */
const MOST_NOTICES = 200;

/** What is said of a file that is no pack as it was made: what it is, and what to do. */
const NO_PACK: Readonly<Record<Exclude<PackKind, "pack">, readonly [string, string]>> = {
  not_a_pack: [
    "This is not a pack",
    "It does not begin as a zip does: it may be an error page that was saved, or something taken out of a pack. Choose pack.zip itself, or ask for it again.",
  ],
  cut_short: [
    "This pack was cut short",
    "It begins as a pack does, but its end is not there: the download broke off. Fetch it again.",
  ],
  packed_anew: [
    "This pack was packed anew",
    "It is a zip with a manifest, but not the zip that the log made: some program unpacked and packed it, or added to it. What is in it was not judged. Ask for the original file.",
  ],
};

const NOT_PROVEN =
  "that callers really made the calls that are not proven: who called is the operator's word;";
const NOT_SHOWN = [
  "decisions that were lost before they reached the log, beyond the gaps that are reported;",
  "that the policy answers as recorded: it was not judged again;",
  "that others were shown the same log: compare tree heads with them.",
] as const;

function show(mood: Mood, title: string, ...body: Node[]): void {
  const section = byId("verdict");
  section.dataset["verdict"] = mood;
  const sign = svg(
    "svg",
    { viewBox: "0 0 24 24", "aria-hidden": "true", class: "sign" },
    svg("path", { d: SIGNS[mood] }),
  );
  section.replaceChildren(sign, el("div", { class: "verdict-body" }, el("h2", {}, title), ...body));
  section.hidden = false;
}

export function hideVerdict(): void {
  const section = byId("verdict");
  section.hidden = true;
  section.replaceChildren();
  delete section.dataset["verdict"];
  delete section.dataset["kind"];
}

/** Say that nothing could be checked, and what to do. */
export function showObstacle(text: string): void {
  show("obstacle", "This pack could not be checked", el("p", {}, text));
}

/** Say that a folder is no pack. */
export function showFolder(): void {
  const text = "It is a folder, perhaps an unpacked pack. Drop the file pack.zip itself.";
  byId("verdict").dataset["kind"] = "not_a_pack";
  show("no-pack", NO_PACK.not_a_pack[0], el("p", {}, text));
}

export function showVerdict(verdict: Verdict): void {
  byId("verdict").dataset["kind"] = verdict.kind;
  if (verdict.proven === null) {
    showRefusal(verdict);
    return;
  }
  const { proven } = verdict;
  const notices = verdict.notices
    .slice(0, MOST_NOTICES)
    .map((notice) => el("li", { "data-code": notice.code }, notice.text));
  const more = verdict.notices.length - notices.length;
  if (more > 0) notices.push(el("li", {}, `… and ${number(more)} more. signet verify lists all.`));
  const mood = notices.length > 0 ? "remarks" : "good";
  show(
    mood,
    mood === "good" ? "This pack is good" : "This pack is good, with remarks",
    el("p", {}, held(proven)),
    el("p", {}, signed(proven)),
    ...(notices.length > 0 ? [el("ul", { class: "notices" }, ...notices)] : []),
    el("p", {}, checked(proven)),
    ...signatures(proven),
    el("h3", {}, "Not shown by this pack"),
    el("ul", { class: "not-shown" }, ...notShown(proven).map((text) => el("li", {}, text))),
    timing(verdict),
  );
}

function held({ date, receipts, pinned }: Proven): string {
  const whose = pinned ? "the log you expected" : "its log";
  const what = `every decision that the log recorded on ${dayName(date)}`;
  const how = `complete, in order and unchanged since ${whose} signed them`;
  return receipts === 0
    ? `Here is ${what}: 0 receipts. That there are none is signed by ${whose}.`
    : `Here is ${what}: ${counted(receipts, "receipt")}, ${how}.`;
}

/** When the head was signed, and whether the day was over by then. */
function signed({ date, timestamp }: Proven): string {
  const past = timestamp - dayStart(date) - DAY_MS;
  const when = past < 0 ? "before the day was over" : "after the day was over";
  return `The tree head says that it was signed on ${instantName(timestamp)}, ${durationName(Math.abs(past))} ${when}.`;
}

function checked({ heads, sets }: Proven): string {
  return (
    "Checked: the zip and the hash of every member; " +
    `${counted(sets.length, "key set")} back to the log id; ` +
    `${counted(heads.length, "final tree head")} from the log's first day on, two signatures each; ` +
    "each receipt, its place in its chain and in the tree; the proofs and the checkpoint; " +
    "emitters' accounts, policy files and evidence."
  );
}

/** What is said of allowed requests. */
const SIGNED: Readonly<Record<Counted, string>> = {
  proven: "proven: signed by the caller",
  late: "signed by the caller, but recorded late",
  unknown_key: "signed by a key that was not given",
  erased: "without transcript: it was erased, as the log says",
  no_transcript: "without a transcript in this pack",
  no_commitment: "of version 1: no signature is on record",
};

function signatures({ signed: counts }: Proven): HTMLElement[] {
  const found = COUNTS.filter((name) => counts[name] > 0);
  if (found.length === 0) return [];
  const items = found.map((name) =>
    el("li", { "data-counted": name }, `${number(counts[name])} ${SIGNED[name]}`),
  );
  return [el("h3", {}, "Allowed requests"), el("ul", { class: "signed" }, ...items)];
}

function notShown({ signed: counts }: Proven): readonly string[] {
  const all = COUNTS.reduce((sum, name) => sum + counts[name], 0);
  return counts.proven > 0 && counts.proven === all ? NOT_SHOWN : [NOT_PROVEN, ...NOT_SHOWN];
}

function timing({ milliseconds, inflated }: Verdict): HTMLElement {
  const text = `Checked in ${timeOf(milliseconds)}; ${sizeOf(inflated)} were unpacked.`;
  return el("p", { class: "quiet", id: "timing", "data-inflated": inflated }, text);
}

function showRefusal(verdict: Verdict): void {
  const { kind, failures } = verdict;
  const items = failures.map((failure) =>
    el(
      "li",
      { "data-code": failure.code, "data-file": failure.file, "data-line": failure.line ?? "" },
      el("strong", { class: "place" }, placeOf(failure)),
      el("span", { class: "reason" }, ` ${failure.reason} `),
      code(failure.code),
    ),
  );
  const list = el("ul", { class: "failures" }, ...items);
  if (kind !== "pack") {
    const [title, text] = NO_PACK[kind];
    show("no-pack", title, el("p", {}, text), list, timing(verdict));
    return;
  }
  const why = `It does not prove what it claims. ${failures.length === 1 ? "One check" : `${failures.length} checks`} failed:`;
  show("bad", "This pack is bad", el("p", {}, why), list, timing(verdict));
}
