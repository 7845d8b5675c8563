import assert from "node:assert/strict";
import { test } from "node:test";
import { contradictionOf } from "../src/core/decisions.ts";
import type { Day } from "../src/core/day.ts";
import type { DecisionReceipt, Manifest } from "../src/core/formats.ts";
import { dayStart, type Heads } from "../src/core/heads.ts";
import { isFarApart, remarksOn, Tally } from "../src/core/remarks.ts";

const HASH = "a".repeat(64);
const BASE = {
  v: 1,
  decision: "allow",
  reason: "ok",
  request: { method: "GET", authority: "api", path: "/", query_sha256: HASH },
  proof: {
    keyid: "k",
    alg: "ed25519",
    mode: "inline",
    nonce_sha256: HASH,
    created: 0,
    header_bytes: 0,
    evidence_sha256: null,
    binding: { type: "none", value_sha256: null },
  },
  policy: { bundle_sha256: HASH, action: "allow" },
  breaker: { state: "closed", level: "full" },
};
type Changes = { readonly [name: string]: unknown };

/** Return what is said of the decision above with some members of it, or of its members, changed. */
function judged(changes: Changes): string | null {
  const receipt: { [name: string]: unknown } = structuredClone(BASE);
  for (const [path, value] of Object.entries(changes)) {
    const names = path.split(".");
    const last = names.pop() as string;
    const holder = names.reduce((object, name) => object[name] as typeof receipt, receipt);
    holder[last] = value;
  }
  return contradictionOf(receipt as unknown as DecisionReceipt);
}

const SHED = { decision: "shed", reason: "breaker_open", "breaker.state": "open", "breaker.level": "shed" };
const FULL = { decision: "shed", reason: "half_open_full", "breaker.state": "half_open" };
const REPLAYED = { decision: "deny", reason: "nonce_replayed" };
const DENIED = { decision: "deny", reason: "policy_denied", "policy.action": "deny" };
const FALLBACK = {
  reason: "ok_classical_fallback",
  "breaker.level": "classical",
  "proof.alg": "ed25519+ml-dsa-65",
};
const NOTHING = {
  "proof.keyid": null,
  "proof.alg": null,
  "proof.mode": null,
  "proof.nonce_sha256": null,
  "proof.created": null,
  "proof.header_bytes": null,
  "request.method": null,
  "request.authority": null,
  "request.path": null,
  "request.query_sha256": null,
  "policy.bundle_sha256": null,
  "policy.action": null,
  "breaker.state": null,
  "breaker.level": null,
};

test("what an authorizer decides is no contradiction", () => {
  const bound = { "proof.binding": { type: "tls-exporter", value_sha256: HASH } };
  for (const changes of [
    {},
    bound,
    SHED,
    FULL,
    REPLAYED,
    DENIED,
    FALLBACK,
    { ...FALLBACK, "proof.alg": "ecdsa-p256+ml-dsa-65" },
    { "breaker.state": "open", "breaker.level": "relax" }, // a ladder without `shed` lets some in
    { "breaker.state": null, "breaker.level": null },
    { ...FULL, "breaker.state": "closed" },
    { ...DENIED, "policy.action": null },
    { ...NOTHING, decision: "deny", reason: "no_rule" },
    { ...NOTHING, decision: "challenge", reason: "challenge_required" },
    { ...NOTHING, decision: "shed", reason: "store_unavailable" },
    ...["ecdsa-p256-sha256", "ml-dsa-65"].map((alg) => ({ "proof.alg": alg })),
  ]) {
    assert.equal(judged(changes), null, JSON.stringify(changes));
  }
});

test("a request that was let in, or turned away by breaker or nonce only, had all of a proof", () => {
  for (const name of Object.keys(NOTHING).filter((name) => !name.startsWith("breaker."))) {
    for (const decided of [{}, SHED, FULL, REPLAYED, FALLBACK]) {
      assert.notEqual(judged({ ...decided, [name]: null }), null, `${name} ${JSON.stringify(decided)}`);
    }
  }
  assert.notEqual(judged({ "proof.created": -1 }), null);
  assert.notEqual(judged({ "proof.alg": "rsa-pss-sha512" }), null);
});

test("what contradicts itself is refused", () => {
  for (const changes of [
    { "policy.action": "deny" },
    { ...SHED, "policy.action": "deny" },
    { "breaker.state": "open", "breaker.level": "shed" },
    { ...DENIED, "policy.action": "allow" },
    { ...SHED, "breaker.state": "half_open" },
    { ...SHED, "breaker.state": null },
    { ...FULL, "breaker.state": "open" },
    { ...FALLBACK, "breaker.level": "full" },
    { ...FALLBACK, "proof.alg": "ed25519" },
    { "proof.binding": { type: "none", value_sha256: HASH } },
    { "proof.binding": { type: "tls-client-cert", value_sha256: null } },
    {
      ...NOTHING,
      decision: "deny",
      reason: "malformed",
      "proof.binding": { type: "none", value_sha256: HASH },
    },
  ]) {
    assert.notEqual(judged(changes), null, JSON.stringify(changes));
  }
});

test("times are far apart beyond five minutes ahead and a day behind, to the millisecond", () => {
  const recorded = "2026-11-24T12:00:30.000Z";
  for (const [decided, far] of [
    ["2026-11-24T12:00:59.999Z", false],
    ["2026-11-24T12:05:30.000Z", false],
    ["2026-11-24T12:05:30.001Z", true],
    ["2026-11-23T12:00:30.000Z", false],
    ["2026-11-23T12:00:29.999Z", true],
    ["2025-11-24T12:00:30.000Z", true],
    ["9999-12-31T23:59:59.999Z", true],
  ] as const) {
    assert.equal(isFarApart(decided, recorded), far, decided);
  }
});

test("checkers are known as the pair of one release", () => {
  const date = "2026-11-24";
  const heads = { last: { date, timestamp: dayStart(date) + 86_400_000 } } as Heads;
  const numbers = { emitters: new Map(), folded: new Map(), summarised: new Map(), summaries: 0 };
  const nothing = { bundles: new Map(), announced: new Set(), farApart: new Tally(), ...numbers };
  const day = { ...nothing, lastRecorded: "" } as unknown as Day;
  const released = ["1", "2"].map((n) => ({ "VERIFY.md": `guide ${n}`, "verify.py": `checker ${n}` }));
  for (const [guide, checker, codes] of [
    ["guide 1", "checker 1", []],
    ["guide 2", "checker 2", []],
    ["guide 1", "checker 2", ["other_checker"]],
    ["guide 2", "another", ["other_checker"]],
  ] as const) {
    const files = [
      { name: "VERIFY.md", sha256: guide, size: 1 },
      { name: "verify.py", sha256: checker, size: 1 },
    ];
    const remarks = remarksOn({ date, log_id: "", files } as Manifest, heads, day, released);
    assert.deepEqual(
      remarks.map(({ code }) => code),
      codes,
    );
  }
});

test("decisions by policies that nothing announces are counted over all policies, not the policies", () => {
  const date = "2026-11-24";
  const last = { date, timestamp: dayStart(date) + 86_400_000, policy_bundle_sha256: "deployed" };
  const lines = { deployed: [1], announced: [2], other: [7, 8, 9], another: [4] };
  const bundles = new Map(
    Object.entries(lines).map(([bundle, named]) => {
      const tally = new Tally();
      named.forEach((line) => tally.add(line));
      return [bundle, tally];
    }),
  );
  const day = {
    bundles,
    announced: new Set(["announced"]),
    emitters: new Map(),
    folded: new Map(),
    summarised: new Map(),
    summaries: 0,
    farApart: new Tally(),
    lastRecorded: "",
  } as unknown as Day;
  const remarks = remarksOn(
    { v: 1, format: "signet-pack", date, log_id: "", files: [] } satisfies Manifest,
    { last } as Heads,
    day,
    [{}],
  );
  assert.deepEqual(
    remarks.map(({ code }) => code),
    ["policy_unannounced"],
  );
  assert.match(remarks[0]?.text ?? "", /^4 decisions \(the first in line 4 of receipts\.jsonl\) /);
});
