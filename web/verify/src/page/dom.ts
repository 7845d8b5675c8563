/** Making elements. Text is always text, and seen: nothing of a pack is ever read as markup, or works unseen. */

import { visible } from "./visible.ts";

type Child = Node | string | null;
type Attributes = Readonly<Record<string, string | number | boolean>>;

const SVG = "http://www.w3.org/2000/svg";

function fill<E extends Element>(element: E, attributes: Attributes, children: readonly Child[]): E {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false) continue;
    const text = value === true ? "" : String(value);
    element.setAttribute(name, name.startsWith("data-") ? text : visible(text));
  }
  const shown = children.map((child) => (typeof child === "string" ? visible(child) : child));
  element.append(...shown.filter((child) => child !== null));
  return element;
}

/** Make an HTML element. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  return fill(document.createElement(tag), attributes, children);
}

/** Make an SVG element. */
export function svg<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: readonly Child[]
): SVGElementTagNameMap[K] {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Return the element of the page with this id. */
export function byId<E extends HTMLElement = HTMLElement>(id: string): E {
  const element = document.getElementById(id);
  if (element === null) throw new Error(`the page has no element ${id}`);
  return element as E;
}

/** Make a card: a section with its heading. */
export function card(id: string, title: string, ...children: readonly Child[]): HTMLElement {
  const heading = el("h2", { id: `${id}-title` }, title);
  return el("section", { id, class: "card", "aria-labelledby": `${id}-title` }, heading, ...children);
}

/** Make a table with a caption for those who do not see where it stands. */
export function table(
  caption: string,
  columns: readonly string[],
  rows: readonly (readonly Child[])[],
): HTMLElement {
  const head = el("tr", {}, ...columns.map((column) => el("th", { scope: "col" }, column)));
  const body = rows.map(([first, ...rest]) =>
    el("tr", {}, el("th", { scope: "row" }, first ?? null), ...rest.map((cell) => el("td", {}, cell))),
  );
  return el(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el(
      "table",
      {},
      el("caption", { class: "unseen" }, caption),
      el("thead", {}, head),
      el("tbody", {}, ...body),
    ),
  );
}

/** Make a list of names and values. */
export function facts(...entries: readonly (readonly [string, Child])[]): HTMLElement {
  return el(
    "dl",
    { class: "facts" },
    ...entries.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
  );
}

export function code(text: string): HTMLElement {
  return el("code", {}, text);
}

const numbers = new Intl.NumberFormat("en");
export const number = (value: number): string => numbers.format(value);

/** "1 receipt", "2 receipts". */
export function counted(count: number, noun: string): string {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

const days = new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeZone: "UTC" });
/** "23 November 2026" of 2026-11-23. */
export const dayName = (date: string): string => days.format(new Date(`${date}T00:00:00Z`));

/** "12 kB", "3.4 MB". */
export function sizeOf(bytes: number): string {
  return bytes < 1e6 ? `${number(Math.ceil(bytes / 1e3))} kB` : `${number(Math.round(bytes / 1e5) / 10)} MB`;
}

/** "25 November 2026, 01:00:00 UTC". */
export function instantName(timestamp: number): string {
  const [date, time] = new Date(timestamp).toISOString().split("T") as [string, string];
  return `${dayName(date)}, ${time.slice(0, 8)} UTC`;
}

/** "3 seconds", "1 hour 5 minutes": the two largest units. */
export function durationName(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const units = [
    counted(Math.floor(seconds / 86_400), "day"),
    counted(Math.floor(seconds / 3600) % 24, "hour"),
    counted(Math.floor(seconds / 60) % 60, "minute"),
    counted(seconds % 60, "second"),
  ];
  const first = units.findIndex((unit) => !unit.startsWith("0 "));
  if (first === -1) return "less than a second";
  return units
    .slice(first, first + 2)
    .filter((unit) => !unit.startsWith("0 "))
    .join(" ");
}

/** "12 ms", "3.4 s". */
export function timeOf(milliseconds: number): string {
  return milliseconds < 1e3 ? `${Math.ceil(milliseconds)} ms` : `${(milliseconds / 1e3).toFixed(1)} s`;
}
