/** The day's decisions, by reason and by minute, and when something changed. */

import { DECISIONS, type Event, EVENTS } from "../core/formats.ts";
import type { Kind, Proven } from "../messages.ts";
import { card, counted, el, number, svg, table } from "./dom.ts";

const KINDS: readonly Kind[] = [...DECISIONS, ...EVENTS];
const DAY_MINUTES = 1440;
const HEIGHT = 150;
/** The shortest stretch of time that is drawn, in minutes. */
const SHORTEST = 60;

export function decisions(proven: Proven): HTMLElement {
  if (proven.receipts === 0) {
    return card(
      "decisions",
      "Decisions",
      el("p", { class: "quiet" }, "No receipts: the day was closed empty."),
    );
  }
  const present = KINDS.filter((kind) => proven.reasons.some((entry) => entry.kind === kind));
  return card(
    "decisions",
    "Decisions",
    legend(proven, present),
    minuteChart(proven, present),
    reasonChart(proven),
  );
}

function legend(proven: Proven, present: readonly Kind[]): HTMLElement {
  const items = present.map((kind) => {
    const sum = proven.minutes[kind].reduce((total, count) => total + count, 0);
    return el("li", {}, swatch(kind), `${kind} `, el("strong", {}, number(sum)));
  });
  return el("ul", { class: "legend" }, ...items);
}

export function isEvent(kind: Kind): kind is Event {
  return (EVENTS as readonly Kind[]).includes(kind);
}

function look(kind: Kind): string {
  return isEvent(kind) ? "event" : kind;
}

export function swatch(kind: Kind): HTMLElement {
  return el("span", { class: `swatch ${look(kind)}`, "aria-hidden": "true" });
}

function reasonChart(proven: Proven): HTMLElement {
  const most = Math.max(...proven.reasons.map((entry) => entry.count));
  const rows = proven.reasons.map(({ reason, kind, count }) => {
    const bar = svg("rect", { width: (100 * count) / most, height: 10, rx: 1, class: `fill-${look(kind)}` });
    const drawn = svg(
      "svg",
      { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" },
      bar,
    );
    return el(
      "tr",
      {},
      el("th", { scope: "row" }, reason),
      el("td", { class: "kind" }, isEvent(kind) ? "event" : kind),
      el("td", { class: "bar" }, drawn),
      el("td", { class: "count" }, number(count)),
    );
  });
  const columns = ["Reason", "Decision", "Share", "Receipts"].map((name) => el("th", { scope: "col" }, name));
  return el(
    "table",
    { class: "reasons" },
    el("caption", {}, "By reason or type"),
    el("thead", { class: "unseen" }, el("tr", {}, ...columns)),
    el("tbody", {}, ...rows),
  );
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Return the whole hours that hold all receipts: a day of one busy hour is drawn as that hour. */
function spanOf(totals: Uint32Array): Span {
  const first = totals.findIndex((count) => count > 0);
  const last = totals.findLastIndex((count) => count > 0);
  const from = Math.floor(first / SHORTEST) * SHORTEST;
  return {
    from,
    to: Math.min(DAY_MINUTES, Math.max(Math.ceil((last + 1) / SHORTEST) * SHORTEST, from + SHORTEST)),
  };
}

const clock = (minute: number): string =>
  `${String(Math.floor(minute / 60)).padStart(2, "0")}:${String(minute % 60).padStart(2, "0")}`;

function minuteChart(proven: Proven, present: readonly Kind[]): HTMLElement {
  const totals = new Uint32Array(DAY_MINUTES);
  const all = new Uint32Array(DAY_MINUTES);
  const decided = present.filter((kind) => !isEvent(kind));
  const add = (to: Uint32Array, kind: Kind): void =>
    proven.minutes[kind].forEach((count, minute) => (to[minute] = (to[minute] ?? 0) + count));
  for (const kind of decided) add(totals, kind);
  for (const kind of present) add(all, kind);
  const span = spanOf(all);
  const peak = Math.max(1, ...totals);
  const cursor = svg("rect", { class: "cursor", width: 1, height: HEIGHT, y: 0, x: span.from });
  const bars = decided.map((kind, order) =>
    svg("path", { class: `fill-${kind}`, d: bandPath(proven, decided, order, span, peak) }),
  );
  // One transition is nothing beside ten thousand decisions, and explains them: it gets the whole height.
  const changes = svg("path", { class: "changes", d: changesPath(proven, present.filter(isEvent)) });
  const drawing = svg(
    "svg",
    {
      viewBox: `${span.from} 0 ${span.to - span.from} ${HEIGHT}`,
      preserveAspectRatio: "none",
      "aria-hidden": "true",
    },
    cursor,
    ...bars,
    changes,
  );
  const readout = el("output", { class: "readout" });
  const plot = el("div", {
    class: "plot",
    role: "slider",
    tabindex: 0,
    "aria-label": "Receipts by minute of the day",
    "aria-valuemin": span.from,
    "aria-valuemax": span.to - 1,
  });
  plot.append(drawing);
  const point = (wanted: number): void => {
    const minute = Math.min(span.to - 1, Math.max(span.from, wanted));
    const parts = present
      .filter((kind) => proven.minutes[kind][minute])
      .map((kind) => `${number(proven.minutes[kind][minute] ?? 0)} ${kind}`);
    const text = `${clock(minute)} · ${parts.join(" · ") || "none"}`;
    readout.textContent = text;
    plot.setAttribute("aria-valuenow", String(minute));
    plot.setAttribute("aria-valuetext", text);
    cursor.setAttribute("x", String(minute));
  };
  listen(plot, span, point);
  point(all.indexOf(Math.max(...all)));
  const labels = ticks(span).map((minute) => el("span", {}, clock(minute % DAY_MINUTES)));
  return el(
    "figure",
    { class: "minutes" },
    el("figcaption", {}, el("span", {}, "By minute (UTC)"), readout),
    plot,
    el("div", { class: "ticks", "aria-hidden": "true" }, ...labels),
    hourTable(proven, present, span),
  );
}

/** Return the outline of one kind's bars, standing on those of the kinds before it. */
function bandPath(proven: Proven, present: readonly Kind[], order: number, span: Span, peak: number): string {
  let path = "";
  for (let minute = span.from; minute < span.to; minute++) {
    const count = proven.minutes[present[order] as Kind][minute] ?? 0;
    if (count === 0) continue;
    const below = present.slice(0, order).reduce((sum, kind) => sum + (proven.minutes[kind][minute] ?? 0), 0);
    const scale = HEIGHT / peak;
    path += `M${minute + 0.08} ${HEIGHT - below * scale}v${-count * scale}h.84v${count * scale}z`;
  }
  return path;
}

function changesPath(proven: Proven, events: readonly Event[]): string {
  const at = new Set<number>();
  for (const event of events)
    proven.minutes[event].forEach((count, minute) => void (count > 0 && at.add(minute)));
  return [...at].map((minute) => `M${minute + 0.5} 0V${HEIGHT}`).join("");
}

function listen(plot: HTMLElement, span: Span, point: (minute: number) => void): void {
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    point(span.from + Math.floor(((event.clientX - box.left) / box.width) * (span.to - span.from)));
  });
  plot.addEventListener("keydown", (event) => {
    const at = Number(plot.getAttribute("aria-valuenow"));
    const moves: Readonly<Record<string, number>> = {
      ArrowLeft: at - 1,
      ArrowDown: at - 1,
      ArrowRight: at + 1,
      ArrowUp: at + 1,
      PageDown: at - 60,
      PageUp: at + 60,
      Home: span.from,
      End: span.to - 1,
    };
    const to = moves[event.key];
    if (to === undefined) return;
    event.preventDefault();
    point(to);
  });
}

function ticks(span: Span): number[] {
  const step = (span.to - span.from) / 4;
  return [0, 1, 2, 3, 4].map((index) => Math.round(span.from + index * step));
}

function hourTable(proven: Proven, present: readonly Kind[], span: Span): HTMLElement {
  const rows: string[][] = [];
  for (let hour = span.from / 60; hour < span.to / 60; hour++) {
    const sums = present.map((kind) =>
      proven.minutes[kind].subarray(hour * 60, hour * 60 + 60).reduce((a, b) => a + b, 0),
    );
    rows.push([`${String(hour).padStart(2, "0")}:00`, ...sums.map(number)]);
  }
  return el(
    "details",
    {},
    el("summary", {}, `As a table, by hour (${counted(rows.length, "hour")})`),
    table("Receipts by hour", ["Hour (UTC)", ...present], rows),
  );
}
