/** Decisions that cannot be: members of one `pch.decision` that contradict each other. */

import type { DecisionReceipt } from "./formats.ts";

const HYBRIDS: ReadonlySet<string> = new Set(["ed25519+ml-dsa-65", "ecdsa-p256+ml-dsa-65"]);
const SUITES: ReadonlySet<string> = new Set(["ed25519", "ecdsa-p256-sha256", "ml-dsa-65", ...HYBRIDS]);
/** Refusals of a request that had been found good, and allowed by policy, before. */
const AFTER_POLICY: ReadonlySet<string> = new Set(["breaker_open", "half_open_full", "nonce_replayed"]);

/** Return what cannot be true of a decision; null if nothing. Its members have been held to their shapes. */
export function contradictionOf(receipt: DecisionReceipt): string | null {
  const { decision, reason, proof, policy, breaker } = receipt;
  if ((proof.binding.type === "none") !== (proof.binding.value_sha256 === null)) {
    return "has a binding without its value, or a value without a binding";
  }
  const allowed = decision === "allow";
  if (allowed || AFTER_POLICY.has(reason)) {
    const absent = missingOf(receipt);
    if (absent !== null) return `says ${reason} of a request whose ${absent} is not on record`;
    if (policy.action !== "allow") return `says ${reason}, but policy did not allow the request`;
  }
  if (allowed && breaker.level === "shed") return "allows a request while the breaker sheds all";
  switch (reason) {
    case "policy_denied":
      return policy.action === "allow" ? "says policy_denied, but policy allowed the request" : null;
    case "breaker_open":
      return breaker.state === "open" ? null : "says breaker_open, but the breaker is not open";
    case "half_open_full":
      return breaker.state === "open" ? "says half_open_full, but the breaker is open" : null;
    case "ok_classical_fallback":
      return breaker.level === "classical" && HYBRIDS.has(proof.alg ?? "")
        ? null
        : "says ok_classical_fallback without that rung, or without a hybrid signature";
    default:
      return null;
  }
}

/** Return the first member that a verified request has and this one lacks; null if it has all. */
function missingOf({ request, proof, policy }: DecisionReceipt): string | null {
  const members = {
    keyid: proof.keyid,
    alg: SUITES.has(proof.alg ?? "") ? proof.alg : null,
    mode: proof.mode,
    nonce_sha256: proof.nonce_sha256,
    created: proof.created !== null && proof.created >= 0 ? proof.created : null,
    header_bytes: proof.header_bytes,
    method: request.method,
    authority: request.authority,
    path: request.path,
    query_sha256: request.query_sha256,
    bundle_sha256: policy.bundle_sha256,
  };
  return Object.entries(members).find(([, value]) => value === null)?.[0] ?? null;
}
