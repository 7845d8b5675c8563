/** Decisions that cannot be: members of one `pch.decision` that contradict each other. */

import { utf8 } from "./bytes.ts";
import { type DecisionReceipt, HYBRIDS_OF, type LaterDecision, SUITES_OF } from "./formats.ts";

/** Refusals of a request that had been found good, and allowed by policy, before. */
const AFTER_POLICY: ReadonlySet<string> = new Set([
  "breaker_open",
  "half_open_full",
  "nonce_replayed",
  "rate_limited",
  "caller_shed",
  "concurrency_limited",
]);
/** Refusals without a transcript: nothing was verified, or the nonce had been spent before. */
const UNTRANSCRIBED: ReadonlySet<string> = new Set(["challenge_required", "bad_signature", "nonce_replayed"]);
/** By how many seconds a decision may lie outside the time for which its proof is valid. */
const MOST_SKEW_SECONDS = 300;
/** To how many bytes a path is cut that no signature vouches for; less what a last character can take. */
const MOST_PATH_BYTES = 256;
const LEAST_CUT_BYTES = MOST_PATH_BYTES - 3;

/** Return what cannot be true of a decision; null if nothing. Its members have been held to their shapes. */
export function contradictionOf(receipt: DecisionReceipt): string | null {
  const wrong = contradictionOfAll(receipt);
  return wrong !== null || receipt.v === 1 ? wrong : contradictionOfLater(receipt);
}

function contradictionOfAll(receipt: DecisionReceipt): string | null {
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
      return breaker.level === "classical" && HYBRIDS_OF[receipt.v].has(proof.alg ?? "")
        ? null
        : "says ok_classical_fallback without that rung, or without a hybrid signature";
    default:
      return null;
  }
}

/** The rules of version 2 alone. */
function contradictionOfLater(receipt: LaterDecision): string | null {
  const { decision, reason, breaker, request } = receipt;
  const transcribed = receipt.transcript_sha256 !== null;
  if (decision === "allow" && !transcribed) return "allows a request of which no transcript is named";
  if (reason === "unknown_api" && receipt.api.name !== null) return "says unknown_api, but names the API";
  if (transcribed && UNTRANSCRIBED.has(reason)) return `says ${reason}, which leaves no transcript`;
  if (transcribed !== (request.query_sha256 !== null))
    return "has a transcript without its query, or the reverse";
  if (breaker.admission === "probe" && breaker.state !== "half_open") {
    return "admits a probe, but the breaker is not half open";
  }
  return wrongTimesOf(receipt) ?? wrongPathOf(receipt);
}

function wrongTimesOf({ decision, reason, proof, decided_at }: LaterDecision): string | null {
  const { created, expires } = proof;
  if (!(decision === "allow" || AFTER_POLICY.has(reason)) || created === null || expires === null)
    return null;
  if (created >= expires) return `says ${reason} of a proof that ends before it begins`;
  if (decision !== "allow") return null;
  const decided = Math.floor(Date.parse(decided_at) / 1000);
  if (decided < created - MOST_SKEW_SECONDS || decided > expires + MOST_SKEW_SECONDS) {
    return "allows a request outside the time for which its proof is valid";
  }
  return null;
}

function wrongPathOf({ decision, reason, request, transcript_sha256 }: LaterDecision): string | null {
  const whole = decision === "allow" || AFTER_POLICY.has(reason) || transcript_sha256 !== null;
  const size = utf8(request.path ?? "").length;
  if (request.path_sha256 !== null && (whole || size < LEAST_CUT_BYTES || size > MOST_PATH_BYTES)) {
    return "has the hash of a path that was not cut";
  }
  return !whole && size > MOST_PATH_BYTES ? "has a longer path than an unsigned one may be" : null;
}

/** Return the first member that a verified request has and this one lacks; null if it has all. */
function missingOf(receipt: DecisionReceipt): string | null {
  const { request, proof, policy } = receipt;
  const members: Record<string, unknown> = {
    keyid: proof.keyid,
    alg: SUITES_OF[receipt.v].has(proof.alg ?? "") ? proof.alg : null,
    mode: proof.mode,
    nonce_sha256: proof.nonce_sha256,
    created: proof.created !== null && proof.created >= 0 ? proof.created : null,
    header_bytes: proof.header_bytes,
    method: request.method,
    authority: request.authority,
    path: request.path,
    bundle_sha256: policy.bundle_sha256,
    ...(receipt.v === 2
      ? {
          expires: receipt.proof.expires,
          covered: receipt.covered,
          api: receipt.api.name,
          route: receipt.route,
          client: receipt.client,
        }
      : { query_sha256: request.query_sha256 }),
  };
  return Object.entries(members).find(([, value]) => value === null)?.[0] ?? null;
}
