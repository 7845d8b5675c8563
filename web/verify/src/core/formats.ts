/** The objects of docs/formats.md: their shapes, and their types once a shape has held. */

import {
  anything,
  base64,
  count,
  day,
  hash,
  hex32,
  hex64,
  instant,
  integer,
  oneOf,
  orNull,
  pattern,
  type Shape,
  text,
  time,
  uuid7,
} from "./shape.ts";

export const DECISIONS = ["allow", "challenge", "deny", "shed"] as const;
export type Decision = (typeof DECISIONS)[number];

/** Reasons by decision: docs/protocol.md, "Decisions". */
const REASONS: Readonly<Record<Decision, string>> = {
  allow: "ok ok_classical_fallback",
  challenge: "challenge_required",
  deny:
    "malformed component_missing created_out_of_window nonce_invalid nonce_expired nonce_replayed " +
    "unknown_key key_revoked key_not_yet_valid key_expired key_not_allowed alg_not_allowed alg_mismatch " +
    "bad_signature binding_missing binding_mismatch binding_too_weak edge_attestation_invalid " +
    "digest_missing evidence_missing evidence_mismatch header_budget_exceeded no_rule policy_denied",
  shed: "breaker_open half_open_full receipt_queue_unavailable store_unavailable internal_error",
};
export const DECISION_OF: ReadonlyMap<string, Decision> = new Map(
  DECISIONS.flatMap((decision) => REASONS[decision].split(" ").map((reason) => [reason, decision] as const)),
);
/** Types of the receipts that are no decisions. */
export const EVENTS = ["breaker.transition", "policy.changed", "key.rotated"] as const;
export type Event = (typeof EVENTS)[number];

export const ALGORITHMS = ["ed25519", "ml-dsa-65", "ml-dsa-44"] as const;
export type Algorithm = (typeof ALGORITHMS)[number];
export const PUBLIC_KEY_BYTES: Readonly<Record<Algorithm, number>> = {
  ed25519: 32,
  "ml-dsa-65": 1952,
  "ml-dsa-44": 1312,
};
export const SIGNATURE_BYTES: Readonly<Record<Algorithm, number>> = {
  ed25519: 64,
  "ml-dsa-65": 3309,
  "ml-dsa-44": 2420,
};

export interface Manifest {
  date: string;
  log_id: string;
  files: { name: string; sha256: string; size: number }[];
}
export const MANIFEST: Shape = {
  v: oneOf(1),
  format: oneOf("signet-pack"),
  date: day,
  log_id: hex64,
  files: [{ name: text, sha256: hex64, size: count }],
};

export interface PublicKey {
  alg: Algorithm;
  keyid: string;
  public_key: string;
}
export interface Signature {
  alg: string;
  keyid: string;
  sig: string;
}
export interface KeySetObject {
  n: number;
  from_tree_size: number;
  keys: [PublicKey, PublicKey, PublicKey];
  endorsement: { previous: [Signature, Signature]; next: [Signature, Signature] } | null;
}
export interface KeysObject {
  origin: string;
  log_id: string;
  sets: KeySetObject[];
}
export const KEYS: Shape = {
  v: oneOf(1),
  // Printable ASCII without space and plus: a key name of a C2SP signed note.
  origin: pattern(/^[!-*,-~]{1,255}$/),
  log_id: hex64,
  sets: [
    {
      n: count,
      from_tree_size: count,
      keys: [{ alg: oneOf(...ALGORITHMS), keyid: hex32, public_key: text }],
      endorsement: anything,
    },
  ],
};
const SIGNATURES: Shape = [{ alg: text, keyid: hex32, sig: text }];
export const ENDORSEMENT: Shape = { previous: SIGNATURES, next: SIGNATURES };

export interface ChainSummary {
  id: number;
  first_seq: number;
  next_seq: number;
  head: string;
}
/** What a head says of the day's emitters; `sha256` is that of their accounts. */
export interface EmitterTotals {
  count: number;
  decisions: number;
  missing: number;
  sha256: string;
}
export interface Head {
  log_id: string;
  date: string;
  final: boolean;
  tree_size: number;
  root_hash: string;
  timestamp: number;
  first_leaf: number;
  prev_sth_sha256: string | null;
  chains: ChainSummary[];
  emitters: EmitterTotals;
  policy_bundle_sha256: string;
  signatures: Signature[];
}
export const HEAD: Shape = {
  v: oneOf(1),
  log_id: hex64,
  date: day,
  final: oneOf(true, false),
  tree_size: count,
  root_hash: hash,
  timestamp: instant,
  first_leaf: count,
  prev_sth_sha256: orNull(hex64),
  chains: [{ id: count, first_seq: count, next_seq: count, head: hash }],
  emitters: { count, decisions: count, missing: count, sha256: hex64 },
  policy_bundle_sha256: hex64,
  signatures: anything,
};

export interface ChainLink {
  id: number;
  seq: number;
  prev: string;
  recorded_at: string;
}
/** What all receipts have, and what a `pch.decision` has besides. */
export interface Receipt {
  type: string;
  id: string;
  decided_at: string;
  chain: ChainLink;
}
export interface DecisionReceipt extends Receipt {
  decision: Decision;
  reason: string;
  request: {
    method: string | null;
    authority: string | null;
    path: string | null;
    query_sha256: string | null;
  };
  proof: {
    keyid: string | null;
    alg: string | null;
    mode: string | null;
    nonce_sha256: string | null;
    created: number | null;
    header_bytes: number | null;
    evidence_sha256: string | null;
    binding: { type: string; value_sha256: string | null };
  };
  policy: { bundle_sha256: string | null; action: string | null };
  breaker: { state: string | null; level: string | null };
  emitter: { id: string; n: number };
}
export const COMMON: { readonly [member: string]: Shape } = {
  v: oneOf(1),
  type: text,
  id: uuid7,
  decided_at: time,
  chain: { id: count, seq: count, prev: hash, recorded_at: time },
};
const orText = orNull(text);
const orHex = orNull(hex64);
const orCount = orNull(count);
export const DECISION: Shape = {
  ...COMMON,
  decision: oneOf(...DECISIONS),
  reason: oneOf(...DECISION_OF.keys()),
  request: {
    method: orText,
    authority: orText,
    path: orText,
    query_sha256: orHex,
    content_digest: orText,
    request_id: orText,
    stage: orText,
    source_ip_hash: orHex,
  },
  proof: {
    keyid: orText,
    alg: orText,
    mode: oneOf("inline", "detached", null),
    nonce_sha256: orHex,
    created: orNull(integer),
    header_bytes: orCount,
    evidence_sha256: orHex,
    binding: { type: oneOf("none", "tls-exporter", "tls-client-cert"), value_sha256: orHex },
  },
  policy: { bundle_sha256: orHex, action: oneOf("allow", "deny", null) },
  breaker: {
    state: oneOf("closed", "open", "half_open", null),
    level: oneOf("full", "relax", "classical", "shed", null),
    latency_ewma_us: orCount,
    error_ewma_ppm: orCount,
    rho_ppm: orCount,
    kingman_wq_us: orCount,
    header_budget: orCount,
  },
  emitter: { id: hex32, n: count },
  authorizer_us: count,
};

export const RANGE: Shape = { v: oneOf(1), first_leaf: count, tree_size: count, left: [base64(32)] };
export const CONSISTENCY: Shape = {
  v: oneOf(1),
  proofs: [{ size1: count, size2: count, proof: [base64(32)] }],
};
export const INCLUSION: Shape = { id: text, leaf_index: count, proof: [base64(32)] };
