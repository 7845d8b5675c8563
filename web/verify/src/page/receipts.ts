/**
 * The receipts, as a list of which only the visible rows exist.
 *
 * It is a grid with one active row (`aria-activedescendant`): a screen reader hears how many rows there
 * are and which one it is on, though a hundred thousand were never made.
 */

import type { Detail, Evidence, Filter, Kind, Proven, Row, ToWorker } from "../messages.ts";
import { isEvent, swatch } from "./charts.ts";
import { card, counted, el, number } from "./dom.ts";
import { showDetail } from "./proof.ts";

const ROW_HEIGHT = 34;
const VISIBLE_ROWS = 12;
/** Rows made beyond what is visible, so that scrolling by a little shows no gap. */
const OVERSCAN = 8;
const TYPING_MS = 150;
const COLUMNS = [
  "Leaf",
  "Recorded (UTC)",
  "Decision",
  "Reason or type",
  "Request or change",
  "Key id",
  "Evidence",
] as const;
const EVIDENCE: Readonly<Record<Evidence, string>> = {
  none: "",
  absent: "not in the pack",
  here: "in the pack",
};

export class ReceiptBrowser {
  readonly element: HTMLElement;
  private readonly grid = el("div", {
    class: "grid",
    role: "grid",
    tabindex: 0,
    "aria-label": "Receipts; arrow keys move, Enter shows the proof",
    "aria-colcount": COLUMNS.length,
  });
  private readonly spacer = el("div", { class: "spacer", role: "rowgroup" });
  private readonly status = el("p", { class: "quiet", role: "status", id: "found" });
  private readonly detail = el("div", { id: "detail-place" });
  private readonly idField = el("input", {
    type: "search",
    id: "filter-id",
    spellcheck: "false",
    autocomplete: "off",
  });
  private readonly keyField = el("input", {
    type: "search",
    id: "filter-keyid",
    spellcheck: "false",
    autocomplete: "off",
  });
  private readonly reasonField = el("select", { id: "filter-reason" });
  private readonly rows = new Map<number, Row>();
  private selection = 0;
  private count = 0;
  private active = 0;
  private wanted: number | null = null;
  private typing = 0;

  constructor(
    private readonly proven: Proven,
    private readonly ask: (message: ToWorker) => void,
  ) {
    this.reasonField.append(el("option", { value: "" }, "all"));
    this.reasonField.append(
      ...options("Decisions", (kind) => !isEvent(kind), proven),
      ...options("Events", isEvent, proven),
    );
    const header = el(
      "div",
      { class: "row head", role: "row", "aria-rowindex": 1 },
      ...COLUMNS.map((name) => el("span", { role: "columnheader" }, name)),
    );
    this.grid.append(header, this.spacer);
    this.element = card(
      "receipts",
      "Receipts",
      el(
        "div",
        { class: "filters", role: "search" },
        field("Id contains", this.idField),
        field("Reason or type", this.reasonField),
        field("Key id contains", this.keyField),
      ),
      this.status,
      this.grid,
      this.detail,
    );
    this.listen();
    this.filter();
  }

  /** Take the number of receipts that pass the filter. */
  filtered(selection: number, count: number): void {
    this.selection = selection;
    this.count = count;
    this.active = 0;
    this.rows.clear();
    this.spacer.replaceChildren();
    this.spacer.style.height = `${count * ROW_HEIGHT}px`;
    this.grid.scrollTop = 0;
    this.grid.setAttribute("aria-rowcount", String(count + 1));
    const all = count === this.proven.receipts ? "" : ` of ${number(this.proven.receipts)}`;
    this.status.textContent = `${counted(count, "receipt")}${all}`;
    this.refresh();
  }

  /** Take rows that were asked for. */
  received(selection: number, start: number, rows: readonly Row[]): void {
    if (selection !== this.selection) return;
    rows.forEach((row, index) => this.rows.set(start + index, row));
    this.draw();
    if (this.wanted !== null && this.rows.has(this.wanted)) this.open(this.wanted);
  }

  /** Show one receipt whole. */
  show(detail: Detail): void {
    const article = showDetail(detail);
    this.detail.replaceChildren(article);
    article.focus({ preventScroll: true });
    article.scrollIntoView({ block: "nearest" });
  }

  private listen(): void {
    this.grid.addEventListener("scroll", () => this.refresh(), { passive: true });
    this.grid.addEventListener("keydown", (event) => this.key(event));
    this.spacer.addEventListener("click", (event) => {
      const row = event.target instanceof Element ? event.target.closest<HTMLElement>("[data-place]") : null;
      if (row !== null) this.open(Number(row.dataset["place"]));
    });
    const later = (): void => {
      clearTimeout(this.typing);
      this.typing = window.setTimeout(() => this.filter(), TYPING_MS);
    };
    this.idField.addEventListener("input", later);
    this.keyField.addEventListener("input", later);
    this.reasonField.addEventListener("change", () => this.filter());
  }

  private filter(): void {
    const filter: Filter = {
      id: this.idField.value.trim(),
      reason: this.reasonField.value,
      keyid: this.keyField.value.trim(),
    };
    this.ask({ kind: "filter", filter });
  }

  private key(event: KeyboardEvent): void {
    const page = VISIBLE_ROWS - 1;
    const moves: Readonly<Record<string, number>> = {
      ArrowDown: this.active + 1,
      ArrowUp: this.active - 1,
      PageDown: this.active + page,
      PageUp: this.active - page,
      Home: 0,
      End: this.count - 1,
    };
    const to = moves[event.key];
    if (to !== undefined) this.moveTo(to);
    else if (event.key === "Enter" || event.key === " ") this.open(this.active);
    else return;
    event.preventDefault();
  }

  private moveTo(place: number): void {
    this.active = Math.max(0, Math.min(this.count - 1, place));
    const top = this.active * ROW_HEIGHT;
    const height = this.grid.clientHeight - ROW_HEIGHT; // the header stays in place
    if (top < this.grid.scrollTop) this.grid.scrollTop = top;
    else if (top + ROW_HEIGHT > this.grid.scrollTop + height) this.grid.scrollTop = top + ROW_HEIGHT - height;
    this.refresh();
  }

  private open(place: number): void {
    this.moveTo(place);
    const row = this.rows.get(this.active);
    this.wanted = row === undefined ? this.active : null;
    if (row !== undefined) this.ask({ kind: "receipt", index: row.index });
  }

  private range(): { start: number; end: number } {
    const first = Math.floor(this.grid.scrollTop / ROW_HEIGHT);
    return {
      start: Math.max(0, first - OVERSCAN),
      end: Math.min(this.count, first + VISIBLE_ROWS + OVERSCAN),
    };
  }

  /** Draw what is known of the visible rows, and ask for the rest. */
  private refresh(): void {
    const { start, end } = this.range();
    for (const place of this.rows.keys()) if (place < start || place >= end) this.rows.delete(place);
    let [from, to] = [start, end];
    while (from < to && this.rows.has(from)) from++;
    while (to > from && this.rows.has(to - 1)) to--;
    if (from < to) this.ask({ kind: "rows", start: from, end: to });
    this.draw();
  }

  private draw(): void {
    const { start, end } = this.range();
    const drawn: HTMLElement[] = [];
    for (let place = start; place < end; place++) {
      const row = this.rows.get(place);
      if (row !== undefined) drawn.push(this.drawRow(place, row));
    }
    this.spacer.replaceChildren(...drawn);
    if (this.rows.has(this.active)) this.grid.setAttribute("aria-activedescendant", `row-${this.active}`);
    else this.grid.removeAttribute("aria-activedescendant");
  }

  private drawRow(place: number, row: Row): HTMLElement {
    const cells = [
      number(row.leaf),
      row.recordedAt.slice(11, 23),
      el("span", {}, swatch(row.kind), isEvent(row.kind) ? "event" : row.kind),
      row.reason,
      row.about,
      row.keyid,
      EVIDENCE[row.evidence],
    ];
    const element = el(
      "div",
      {
        class: "row",
        role: "row",
        id: `row-${place}`,
        "data-place": place,
        "aria-rowindex": place + 2,
        "aria-selected": place === this.active ? "true" : "false",
      },
      ...cells.map((cell) => el("span", { role: "gridcell" }, cell)),
    );
    element.style.top = `${place * ROW_HEIGHT}px`;
    return element;
  }
}

/** Make the choices of one group, if there are any. */
function options(label: string, belongs: (kind: Kind) => boolean, proven: Proven): HTMLElement[] {
  const found = proven.reasons.filter(({ kind }) => belongs(kind));
  if (found.length === 0) return [];
  return [el("optgroup", { label }, ...found.map(({ reason }) => el("option", { value: reason }, reason)))];
}

function field(label: string, input: HTMLElement): HTMLElement {
  return el("div", { class: "field" }, el("label", { for: input.id }, label), input);
}
