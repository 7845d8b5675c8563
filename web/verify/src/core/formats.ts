/** The objects of docs/formats.md: their shapes, and their types once a shape has held. */

import type { Json } from "./json.ts";
import {
  anything,
  arrayOf,
  base64,
  bytes,
  count,
  day,
  type Held,
  hash,
  hex32,
  hex64,
  instant,
  integer,
  isObject,
  mapOf,
  maybe,
  oneOf,
  ordinal,
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
/** Those that version 2 of the receipt has besides. */
const LATER_REASONS: Readonly<Record<Decision, string>> = {
  allow: "",
  challenge: "",
  deny: "unknown_api",
  shed: "rate_limited caller_shed concurrency_limited",
};
/** The decision that each reason of any version leads to. */
export const DECISION_OF: ReadonlyMap<string, Decision> = new Map(
  DECISIONS.flatMap((decision) =>
    `${REASONS[decision]} ${LATER_REASONS[decision]}`
      .trim()
      .split(" ")
      .map((reason) => [reason, decision] as const),
  ),
);
/** Types of the receipts that are no decisions. */
const FIRST_EVENTS = ["breaker.transition", "policy.changed", "key.rotated"] as const;
const LATER_EVENTS = [
  "client.registered",
  "client.revoked",
  "api.added",
  "api.removed",
  "policy.deployed",
  "promise.key",
  "head.signed",
  "transcript.erased",
  "emitter.ended",
  "format.changed",
  "refusals.summary",
] as const;
export const EVENTS = [...FIRST_EVENTS, ...LATER_EVENTS] as const;
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

export const MANIFEST = {
  v: oneOf(1),
  format: oneOf("signet-pack"),
  date: day,
  log_id: hex64,
  files: [{ name: text, sha256: hex64, size: count }],
} as const satisfies Shape;
/** Of a pack with transcripts. */
export const LATER_MANIFEST = { ...MANIFEST, v: oneOf(2), needs: oneOf(2) } as const satisfies Shape;
export type Manifest = Held<typeof MANIFEST> | Held<typeof LATER_MANIFEST>;

export const KEYS = {
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
} as const satisfies Shape;
export type KeySetObject = Held<typeof KEYS>["sets"][number];
export type PublicKey = KeySetObject["keys"][number];
const SIGNATURES = [{ alg: text, keyid: hex32, sig: text }] as const satisfies Shape;
export type Signature = Held<typeof SIGNATURES>[number];
export const ENDORSEMENT = { previous: SIGNATURES, next: SIGNATURES } as const satisfies Shape;
export type Endorsement = Held<typeof ENDORSEMENT>;

export const HEAD = {
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
} as const satisfies Shape;
/** A head whose signatures have their shape, too. */
export type Head = Omit<Held<typeof HEAD>, "signatures"> & { signatures: Signature[] };
export type ChainSummary = Head["chains"][number];
/** What a head says of the day's emitters; `sha256` is that of their accounts. */
export type EmitterTotals = Head["emitters"];

export const COMMON = {
  v: oneOf(1),
  type: text,
  id: uuid7,
  decided_at: time,
  chain: { id: count, seq: count, prev: hash, recorded_at: time },
} satisfies Shape;
const orText = orNull(text);
const orHex = orNull(hex64);
const orCount = orNull(count);
const ASKED = {
  method: orText,
  authority: orText,
  path: orText,
  query_sha256: orHex,
  content_digest: orText,
  request_id: orText,
  source_ip_hash: orHex,
} satisfies Shape;
const PROOF = {
  keyid: orText,
  alg: orText,
  mode: oneOf("inline", "detached", null),
  nonce_sha256: orHex,
  created: orNull(integer),
  header_bytes: orCount,
  evidence_sha256: orHex,
  binding: { type: oneOf("none", "tls-exporter", "tls-client-cert"), value_sha256: orHex },
} satisfies Shape;
const POLICY = {
  bundle_sha256: orHex,
  action: oneOf("allow", "deny", null),
} satisfies Shape;
const BREAKER = {
  state: oneOf("closed", "open", "half_open", null),
  level: oneOf("full", "relax", "classical", "shed", null),
  latency_ewma_us: orCount,
  error_ewma_ppm: orCount,
  rho_ppm: orCount,
  kingman_wq_us: orCount,
  header_budget: orCount,
} satisfies Shape;
export const DECISION = {
  ...COMMON,
  decision: oneOf(...DECISIONS),
  reason: oneOf(...DECISIONS.flatMap((decision) => REASONS[decision].split(" "))),
  request: { ...ASKED, stage: orText },
  proof: PROOF,
  policy: POLICY,
  breaker: BREAKER,
  emitter: { id: hex32, n: count },
  authorizer_us: count,
} satisfies Shape;

const ROTATION = { ...COMMON, set: isObject } satisfies Shape;

/** Suites of two signatures, and all suites, of callers' keys: of version 1, and of version 2. */
const HYBRIDS = ["ed25519+ml-dsa-65", "ecdsa-p256+ml-dsa-65"];
const SUITES = ["ed25519", "ecdsa-p256-sha256", "ml-dsa-65", ...HYBRIDS];
const LATER_HYBRIDS = HYBRIDS;
const LATER_SUITES = SUITES;
export const HYBRIDS_OF = { 1: new Set(HYBRIDS), 2: new Set(LATER_HYBRIDS) } as const;
export const SUITES_OF = { 1: new Set(SUITES), 2: new Set(LATER_SUITES) } as const;

/** Version 2 of the receipt, a draft. */
export const LATER_COMMON = {
  ...COMMON,
  v: oneOf(2),
  chain: { id: count, seq: count, prev: hash, recorded_at: time, transcripts: orNull(hex32) },
} satisfies Shape;
const KIND = ["rest", "http-1.0", "http-2.0"] as const;
export const LATER_DECISION = {
  ...DECISION,
  ...LATER_COMMON,
  reason: oneOf(...DECISION_OF.keys()),
  api: { name: orText, id: orText, stage: orText, kind: oneOf(...KIND, null), registration: orNull(uuid7) },
  route: orText,
  request: { ...ASKED, path_sha256: orHex },
  covered: orNull(arrayOf(text)),
  proof: { ...PROOF, expires: orNull(integer) },
  client: maybe({ registration: orNull(uuid7) }),
  transcript_sha256: orHex,
  policy: { ...POLICY, version: orCount, input: orCount },
  breaker: {
    ...BREAKER,
    name: orText,
    admission: oneOf("normal", "probe", "fail_open", null),
    limit: orCount,
  },
  emitter: { id: hex32, n: count, folded: count },
} satisfies Shape;
/** What all receipts have, and what a `pch.decision` has besides, in each version. */
export type Receipt = Omit<Held<typeof LATER_COMMON>, "v" | "chain"> & {
  v: 1 | 2;
  chain: Held<typeof COMMON>["chain"];
};
export type LaterDecision = Held<typeof LATER_DECISION>;
export type DecisionReceipt = Held<typeof DECISION> | LaterDecision;
/** Members of a receipt that no shape describes. */
export type Members = { readonly [name: string]: Json };
const VALID: Shape = { from: orCount, until: orCount };
const SEAT: Shape = {
  state: oneOf("closed", "open", "half_open"),
  level: oneOf("full", "relax", "classical", "shed"),
};
const API: { readonly [member: string]: Shape } = {
  name: text,
  api: { id: text, stage: text, kind: oneOf(...KIND) },
  authorities: arrayOf(text),
  base_paths: arrayOf(text),
  resources: arrayOf(text),
  time_limit_ms: count,
};
/** What a summary may count: all refusals but that which comes after a verified signature and spends its nonce. */
const SUMMARISED = [...DECISION_OF]
  .filter(([reason, decision]) => decision !== "allow" && reason !== "policy_denied")
  .map(([reason]) => reason);
/** Own members of the receipts that are no decisions. */
const LATER_MEMBERS: Readonly<Record<Event, { readonly [member: string]: Shape }>> = {
  "client.registered": {
    keyid: text,
    alg: oneOf(...LATER_SUITES),
    public_key: bytes,
    roles: arrayOf(text, 1),
    labels: mapOf(/^[a-z][a-z0-9_.-]{0,62}$/, text),
    routes: arrayOf(text),
    valid: VALID,
    signature: orNull(bytes),
  },
  "client.revoked": { keyid: text, registration: orNull(uuid7), cause: text, signature: orNull(bytes) },
  "api.added": API,
  "api.removed": API,
  "policy.deployed": { bundle_sha256: hex64, input: ordinal, interpreter: { name: text, version: text } },
  "promise.key": { keyid: text, alg: oneOf(...LATER_SUITES), public_key: bytes, valid: VALID },
  "head.signed": { date: day, final: oneOf(true, false), tree_size: count, sth_sha256: hex64 },
  "transcript.erased": {
    receipts: arrayOf(uuid7, 1),
    cause: oneOf("demand", "retention"),
    signature: orNull(bytes),
  },
  "emitter.ended": { emitter: { id: hex32, n: count }, folded: count },
  "format.changed": { format: oneOf("receipt"), from: oneOf(1), to: oneOf(2) },
  "refusals.summary": {
    emitter: { id: hex32, n: count },
    counts: mapOf(new RegExp(`^(?:${SUMMARISED.join("|")})$`), ordinal),
    first: time,
    last: time,
  },
  "breaker.transition": {
    breaker: { name: text, version: ordinal },
    from: SEAT,
    to: SEAT,
    cause: oneOf(
      "tripped",
      "interval_over",
      "probes_failed",
      "recovered",
      "rung_up",
      "rung_down",
      "silent",
      "futile",
    ),
    policy: { bundle_sha256: orHex },
    figures: mapOf(/^[a-z][a-z0-9_]*_(?:ppm|us|ms|milli)$/, integer),
  },
  "key.rotated": { set: isObject },
  "policy.changed": { change: { n: ordinal, from: orHex, to: hex64, pushed_at: time } },
};

/** Return the shape of a version's receipts of a type that is no decision; null if it has none of that type. */
export function eventShape(version: 1 | 2, type: Json | undefined): EventShape | null {
  if (version === 2) {
    const event = EVENTS.find((known) => known === type);
    return event ? { whole: { ...LATER_COMMON, ...LATER_MEMBERS[event] } } : null;
  }
  const event = FIRST_EVENTS.find((known) => known === type);
  if (event === undefined) return null;
  return event === "key.rotated" ? { whole: ROTATION } : { common: COMMON };
}
/** Of some types of version 1 only the common members are held to a shape. */
export type EventShape =
  { readonly whole: typeof COMMON | typeof LATER_COMMON } | { readonly common: typeof COMMON };

export const RANGE = {
  v: oneOf(1),
  first_leaf: count,
  tree_size: count,
  left: [base64(32)],
} as const satisfies Shape;
export const CONSISTENCY = {
  v: oneOf(1),
  proofs: [{ size1: count, size2: count, proof: [base64(32)] }],
} as const satisfies Shape;
export const INCLUSION = { id: text, leaf_index: count, proof: [base64(32)] } as const satisfies Shape;
