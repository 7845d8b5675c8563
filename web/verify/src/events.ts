/**
 * Receipts that are no decisions, in one line each.
 *
 * Of their own members docs/formats.md binds no verifier, so any may be missing or be anything: what cannot
 * be told is left out.
 */

import type { Json } from "./core/json.ts";

const SHORT = 8;

function member(value: Json | undefined, name: string): Json | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value[name] : undefined;
}

function word(value: Json | undefined): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "?";
}

function place(value: Json | undefined): string {
  return `${word(member(value, "state"))}/${word(member(value, "level"))}`;
}

/** Return what an event says: "api: closed/full → open/shed (tripped)". */
export function whatChanged(receipt: Readonly<Record<string, Json>>): string {
  const { breaker, change, set } = receipt;
  switch (receipt["type"]) {
    case "breaker.transition": {
      const steps = `${place(receipt["from"])} → ${place(receipt["to"])}`;
      return `${word(member(breaker, "name"))}: ${steps} (${word(receipt["cause"])})`;
    }
    case "policy.changed": {
      const from = member(change, "from");
      const before = from === null ? "deployed" : word(from).slice(0, SHORT);
      return `version ${word(member(change, "n"))}: ${before} → ${word(member(change, "to")).slice(0, SHORT)}`;
    }
    case "key.rotated":
      return `set ${word(member(set, "n"))} from tree size ${word(member(set, "from_tree_size"))}`;
    default:
      return "";
  }
}
