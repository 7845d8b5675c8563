/** The verdict: one sentence that can be read across the room, and what to know about it. */

import type { Failure } from "../core/verify.ts";
import type { Proven, Verdict } from "../messages.ts";
import { placeOf } from "./checks.ts";
import { byId, code, counted, dayName, el, number, svg, timeOf } from "./dom.ts";

type Mood = "good" | "remarks" | "bad" | "obstacle";

const SIGNS: Readonly<Record<Mood, string>> = {
  good: "m6 12.5 4 4 8-9",
  remarks: "M12 6v7m0 4v.01",
  bad: "m7 7 10 10M17 7 7 17",
  obstacle: "M12 6v7m0 4v.01",
};

/** A lossy day may have a hundred thousand gaps: as many elements would freeze the page. */
const MOST_NOTICES = 200;

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
}

/** Say that nothing could be checked, and what to do. */
export function showObstacle(text: string): void {
  show("obstacle", "This pack could not be checked", el("p", {}, text));
}

export function showVerdict(verdict: Verdict): void {
  const took = `Checked in ${timeOf(verdict.milliseconds)}.`;
  if (verdict.proven === null) {
    showBad(verdict.failures, took);
    return;
  }
  const notices = verdict.notices
    .slice(0, MOST_NOTICES)
    .map((notice) => el("li", { "data-code": notice.code }, notice.text));
  const more = verdict.notices.length - notices.length;
  if (more > 0) notices.push(el("li", {}, `… and ${number(more)} more. signet verify lists all.`));
  const list = notices.length > 0 ? el("ul", { class: "notices" }, ...notices) : null;
  const mood = notices.length > 0 ? "remarks" : "good";
  const title = mood === "good" ? "This pack is good" : "This pack is good, with remarks";
  show(
    mood,
    title,
    sentence(verdict.proven),
    ...(list ? [list] : []),
    el("p", { class: "quiet", id: "timing" }, took),
  );
}

function sentence(proven: Proven): HTMLElement {
  const receipts = counted(proven.receipts, "receipt");
  const what = proven.receipts === 1 ? "is what" : "are what";
  const whose = proven.pinned ? "the log you expected" : "its log";
  return el(
    "p",
    {},
    `The ${receipts} of ${dayName(proven.date)} ${what} ${whose} signed: complete, in order and unchanged.`,
  );
}

function showBad(failures: readonly Failure[], took: string): void {
  const items = failures.map((failure) =>
    el(
      "li",
      { "data-code": failure.code, "data-file": failure.file, "data-line": failure.line ?? "" },
      el("strong", { class: "place" }, placeOf(failure)),
      el("span", { class: "reason" }, ` ${failure.reason} `),
      code(failure.code),
    ),
  );
  const why = `It does not prove what it claims. ${failures.length === 1 ? "One check" : `${failures.length} checks`} failed:`;
  show(
    "bad",
    "This pack is bad",
    el("p", {}, why),
    el("ul", { class: "failures" }, ...items),
    el("p", { class: "quiet", id: "timing" }, took),
  );
}
