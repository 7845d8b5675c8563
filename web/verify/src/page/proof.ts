/** One receipt, and the way from its leaf to the signed root, drawn and in words. */

import type { Detail } from "../messages.ts";
import { code, el, facts, number, svg } from "./dom.ts";
import { visibleJson } from "./visible.ts";

const ROW = 58;
const BOX = { width: 168, height: 34 };
const CENTRE = 200;
const OFFSET = 182;
const MARGIN = 14;

export function showDetail(detail: Detail): HTMLElement {
  const { row } = detail;
  return el(
    "article",
    { class: "detail", "aria-labelledby": "detail-title", tabindex: -1, id: "detail" },
    el("h3", { id: "detail-title" }, `Receipt at leaf ${number(row.leaf)}`),
    facts(
      ["Id", code(row.id)],
      ["Leaf hash", code(detail.leafHash)],
      ...(row.evidence === "none" ? [] : [["Evidence", evidence(detail)] as const]),
    ),
    el(
      "div",
      { class: "detail-columns" },
      el(
        "div",
        {},
        el("h4", {}, "Receipt"),
        el(
          "pre",
          { tabindex: 0, "aria-label": "The receipt as JSON" },
          document.createTextNode(visibleJson(detail.text)),
        ),
      ),
      el("div", {}, el("h4", {}, "Inclusion proof"), proof(detail)),
    ),
  );
}

function evidence(detail: Detail): HTMLElement {
  const named = code(`evidence/${detail.evidenceSha256}`);
  if (detail.row.evidence === "here") return el("span", {}, named, " is in the pack and has its hash.");
  const why = " is not in the pack: it holds evidence only if asked for, and as long as that is kept.";
  return el("span", {}, named, why);
}

function proof(detail: Detail): HTMLElement {
  const steps = detail.steps.map(({ side, sibling, start, end, parent }) =>
    el("li", {}, `with the ${side} sibling `, code(sibling), ` over ${leaves(start, end)} to `, code(parent)),
  );
  return el(
    "div",
    { class: "proof" },
    el(
      "div",
      { class: "drawing", tabindex: 0, role: "region", "aria-label": "Drawing of the inclusion proof" },
      drawing(detail),
    ),
    el(
      "details",
      {},
      el("summary", {}, `In words: ${number(steps.length)} hashes from leaf to root`),
      el("ol", { class: "steps" }, ...steps),
      el("p", {}, "That is the root of sth.json: ", code(detail.rootHash)),
    ),
  );
}

function leaves(start: number, end: number): string {
  return end - start === 1 ? `leaf ${number(start)}` : `leaves ${number(start)}–${number(end - 1)}`;
}

function drawing(detail: Detail): SVGElement {
  const { steps } = detail;
  const height = 2 * MARGIN + BOX.height + steps.length * ROW;
  const levelY = (level: number): number => height - MARGIN - BOX.height - level * ROW;
  const lines: SVGElement[] = [];
  const boxes: SVGElement[] = [
    box(CENTRE, levelY(0), detail.leafHash, `leaf ${number(detail.row.leaf)}`, "leaf"),
  ];
  for (const [level, step] of steps.entries()) {
    const siblingX = CENTRE + (step.side === "left" ? -OFFSET : OFFSET);
    const isRoot = level === steps.length - 1;
    lines.push(edge(CENTRE, levelY(level), CENTRE, levelY(level + 1) + BOX.height, "path"));
    lines.push(edge(siblingX, levelY(level), CENTRE, levelY(level + 1) + BOX.height, "side"));
    boxes.push(box(siblingX, levelY(level), step.sibling, leaves(step.start, step.end), "sibling"));
    boxes.push(
      box(
        CENTRE,
        levelY(level + 1),
        step.parent,
        isRoot ? "root, signed" : "computed",
        isRoot ? "root" : "node",
      ),
    );
  }
  const width = 2 * CENTRE;
  const label = `Leaf ${detail.row.leaf} leads over ${steps.length} siblings to the signed root of ${detail.treeSize} leaves.`;
  return svg(
    "svg",
    {
      viewBox: `${-BOX.width / 2 + 10} 0 ${width + BOX.width - 20} ${height}`,
      width: width + BOX.width,
      height,
      role: "img",
      "aria-label": label,
      class: "tree",
    },
    ...lines,
    ...boxes,
  );
}

function edge(x1: number, y1: number, x2: number, y2: number, kind: string): SVGElement {
  const middle = (y1 + y2) / 2;
  return svg("path", {
    class: `edge ${kind}`,
    d: `M${x1} ${y1}C${x1} ${middle} ${x2} ${middle} ${x2} ${y2}`,
  });
}

function box(x: number, y: number, hash: string, label: string, kind: string): SVGElement {
  return svg(
    "g",
    { class: `box ${kind}`, transform: `translate(${x - BOX.width / 2} ${y})` },
    svg("title", {}, hash),
    svg("rect", { width: BOX.width, height: BOX.height, rx: 7 }),
    svg("text", { x: BOX.width / 2, y: 14, class: "hash" }, `${hash.slice(0, 12)}…`),
    svg("text", { x: BOX.width / 2, y: 27, class: "label" }, label),
  );
}
