/** The list of checks, as they run. */

import { type CheckId, CHECKS, type Failure } from "../core/verify.ts";
import { byId, el, number } from "./dom.ts";
import { visible } from "./visible.ts";

type State = "waiting" | "running" | "passed" | "failed" | "skipped";

const SPOKEN: Readonly<Record<State, string>> = {
  waiting: "not yet",
  running: "running",
  passed: "passed",
  failed: "failed",
  skipped: "left out: a check before it failed",
};

interface Item {
  readonly root: HTMLElement;
  readonly state: HTMLElement;
  readonly note: HTMLElement;
  readonly bar: HTMLProgressElement;
}

/** Where a failure stands: "receipts.jsonl, line 3". */
export function placeOf(failure: Failure): string {
  return failure.line === null ? failure.file : `${failure.file}, line ${number(failure.line)}`;
}

export class CheckList {
  private readonly items = new Map<CheckId, Item>();

  /** Show all checks as not yet run. */
  reset(): void {
    const list = byId("checks");
    list.replaceChildren();
    for (const { id, title } of CHECKS) {
      const state = el("span", { class: "unseen" });
      const note = el("span", { class: "check-note" });
      const bar = el("progress", { max: 1, value: 0, "aria-label": title, hidden: true });
      const root = el(
        "li",
        { id: `check-${id}` },
        el("span", { class: "dot", "aria-hidden": "true" }),
        el("span", { class: "check-title" }, title),
        state,
        note,
        bar,
      );
      list.append(root);
      this.items.set(id, { root, state, note, bar });
      this.show(id, "waiting");
    }
    byId("checks-section").hidden = false;
  }

  started(id: CheckId): void {
    this.show(id, "running");
  }

  progress(id: CheckId, done: number, total: number): void {
    const { bar } = this.item(id);
    bar.hidden = false;
    bar.value = total === 0 ? 1 : done / total;
  }

  finished(id: CheckId, state: "passed" | "skipped" | Failure): void {
    const { bar, note } = this.item(id);
    bar.hidden = true;
    if (typeof state === "string") {
      this.show(id, state);
      return;
    }
    this.show(id, "failed");
    note.textContent = visible(`${placeOf(state)}: ${state.reason}`);
  }

  private show(id: CheckId, state: State): void {
    const item = this.item(id);
    item.root.dataset["state"] = state;
    item.state.textContent = ` (${SPOKEN[state]})`;
  }

  private item(id: CheckId): Item {
    return this.items.get(id) as Item;
  }
}
