/** What a good pack proves: tree head and key chain. */

import type { Proven } from "../messages.ts";
import { card, code, counted, dayName, el, facts, number, table } from "./dom.ts";

/** The signed tree head of the day, and those before it. */
export function treeHead(proven: Proven): HTMLElement {
  const signedAt = new Date(proven.timestamp).toISOString();
  const heads = proven.heads.map((head) => [
    head.date,
    number(head.receipts),
    number(head.treeSize),
    code(head.rootHash),
  ]);
  return card(
    "tree-head",
    "Tree head",
    facts(
      ["Day", dayName(proven.date)],
      ["Tree size", `${number(proven.treeSize)} (from leaf ${number(proven.firstLeaf)})`],
      ["Signed", el("time", { datetime: signedAt }, signedAt.replace("T", " ").replace("Z", " UTC"))],
      ["Chains, emitters", `${number(proven.chains)}, ${number(proven.emitters)}`],
      ["Root", code(proven.rootHash)],
      ["Policy deployed", code(proven.policy)],
    ),
    el(
      "details",
      {},
      el("summary", {}, `Since the log began: ${counted(proven.heads.length, "final head")}`),
      table("Final tree heads", ["Day", "Receipts", "Tree size", "Root"], heads),
    ),
  );
}

/** The key sets, each endorsed by the one before, back to the log id. */
export function keyChain(proven: Proven): HTMLElement {
  const sets = proven.sets.map((set, index) => {
    const next = proven.sets[index + 1];
    const until = next === undefined ? "" : ` to ${number(next.from - 1)}`;
    const endorsed = index === 0 ? "pinned by the log id" : `endorsed by set ${index - 1}, and by itself`;
    return el(
      "li",
      set.signs ? { class: "current" } : {},
      el(
        "p",
        { class: "set-title" },
        el("strong", {}, `Set ${set.n}`),
        set.signs ? el("span", { class: "badge" }, "signs this day") : null,
      ),
      el("p", { class: "quiet" }, `tree sizes from ${number(set.from)}${until} · ${endorsed}`),
      facts(...set.keys.map((key) => [key.alg, code(key.keyid)] as const)),
    );
  });
  return card(
    "key-chain",
    "Keys",
    facts(["Log", code(proven.origin)], ["Log id", code(proven.logId)]),
    el("ol", { class: "sets", reversed: false }, ...sets),
  );
}
