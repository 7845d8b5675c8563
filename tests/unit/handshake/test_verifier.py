"""The verifier gives every case of the protocol its own reason, and spends nothing on a forgery."""

import base64
import dataclasses
import hashlib
import hmac
import json
import threading
from typing import Any

import pytest

from signet.backend import verified_body
from signet.core.decision import Decision, Reason
from signet.core.errors import Denied, PolicyError, SignetError, UnavailableError
from signet.crypto import suites
from signet.handshake import verifier as verifier_module
from signet.handshake.challenge import RANDOM_BYTES, Challenge, NonceKeys, derive_key
from signet.handshake.edge import EdgeKeys
from signet.handshake.issuer import Limits
from signet.handshake.proof import parse_proof
from signet.handshake.request import Request
from signet.policy.engine import PolicyEngine
from signet.receipts.model import read_receipt
from tests.support.cases import CASES
from tests.support.policies import config
from tests.support.world import (
    AUTHORITY,
    EDGE_AUTHORITY,
    EDGE_KEYS,
    EXPORTER,
    NOW_MS,
    SECRET,
    World,
    authorizer_of,
    digest,
    drop_header,
    edit_header,
    issuing,
    policy_files,
    set_header,
)
from tests.support.world import own as decode


@pytest.mark.parametrize("name", CASES)
def test_case_gets_its_reason(name: str) -> None:
    reason, build = CASES[name]
    world = World()
    assert world.reason(build(world)) == reason


@pytest.mark.parametrize("name", CASES)
def test_only_what_policy_was_asked_about_spends_its_nonce(name: str) -> None:
    reason, build = CASES[name]
    world = World()
    event = build(world)
    before = len(world.nonces.spent)
    world.reason(event)
    assert len(world.nonces.spent) - before == (reason in {"ok", "policy_denied"})


@pytest.mark.parametrize("name", CASES)
def test_signature_is_verified_only_after_the_cheap_checks(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason, build = CASES[name]
    world = World()
    event = build(world)
    verified = []
    check = verifier_module.check_signature
    monkeypatch.setattr(
        verifier_module, "check_signature", lambda c, p, **how: (verified.append(1), check(c, p, **how))[1]
    )
    world.reason(event)
    late = {"ok", "bad_signature", "unknown_key", "policy_denied", "nonce_replayed"}
    expected = reason in late or name == "nonce_store_unreachable"
    assert bool(verified) == expected


@pytest.mark.parametrize("name", CASES)
def test_bundle_is_loaded_once_and_only_after_the_cheap_checks(name: str) -> None:
    reason, build = CASES[name]
    world = World()
    event = build(world)
    world.bundles.reads = 0
    world.reason(event)
    if "PCH-Proof" not in event["headers"]:
        assert world.bundles.reads == 0
    elif name != "bundle_store_unreachable":
        early = {"malformed", "component_missing"}
        assert world.bundles.reads == (reason not in early)


@pytest.mark.parametrize("name", CASES)
def test_receipt_of_every_case_is_well_formed_and_holds_no_secret(name: str) -> None:
    reason, build = CASES[name]
    world = World()
    event = build(world)
    sent: list[bytes] = []
    recorded = authorizer_of(world, sent).authorize(event, now_ms=world.now_ms)
    receipt = read_receipt(sent[0], chained=False)
    assert receipt.members["reason"] == reason
    assert receipt.id == recorded.receipt_id
    text = sent[0].decode()
    assert "203.0.113.7" not in text
    if "Signature" in event["headers"] and len(event["headers"]["Signature"]) > 20:
        assert event["headers"]["Signature"][5:20] not in text


def test_reasons_that_can_arise_now_all_have_a_case() -> None:
    covered = {reason for reason, _ in CASES.values()}
    elsewhere = {
        "receipt_queue_unavailable", "internal_error",  # tested below
        "breaker_open", "half_open_full", "rate_limited", "caller_shed",  # need a breaker
        "ok_classical_fallback",  # needs a policy that consents
        "unknown_api",  # test_apis
    }  # fmt: skip
    assert covered | elsewhere == {reason.value for reason in Reason}
    assert not covered & elsewhere


def test_every_reason_belongs_to_a_decision() -> None:
    assert {reason: reason.decision for reason in Reason}[Reason.OK] is Decision.ALLOW
    assert [r for r in Reason if r.decision is Decision.CHALLENGE] == [Reason.CHALLENGE_REQUIRED]
    assert {r for r in Reason if r.decision is Decision.ALLOW} == {Reason.OK, Reason.OK_CLASSICAL_FALLBACK}


def test_any_failure_inside_is_a_recorded_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    event = world.sign(world.event())
    sent: list[bytes] = []

    def broken(*_args: object, **_options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(verifier_module, "check_signature", broken)
    recorded = authorizer_of(world, sent).authorize(event, now_ms=world.now_ms)
    assert recorded.decision.reason is Reason.INTERNAL_ERROR
    assert json.loads(sent[0])["decision"] == "shed"


def test_policy_that_fails_denies(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    # Of its own: the one that tests share may know already how it judged.
    world.__dict__["policy"] = PolicyEngine(policy_files())
    event = world.sign(world.event())

    def fails(_document: object) -> None:
        raise PolicyError("the policy does not evaluate")

    monkeypatch.setattr(world.policy, "decide", fails)
    assert world.reason(event) == "policy_denied"


def test_allow_becomes_shed_when_the_receipt_cannot_be_queued() -> None:
    world = World()
    event = world.sign(world.event())

    class Full:
        def send(
            self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None
        ) -> None:
            raise UnavailableError("could not enqueue the receipt: timeout")

    authorizer = dataclasses.replace(authorizer_of(world, []), queue=Full())
    recorded = authorizer.authorize(event, now_ms=world.now_ms)
    assert recorded.decision.reason is Reason.RECEIPT_QUEUE_UNAVAILABLE
    assert not recorded.durable


def test_decisions_of_one_environment_are_numbered_without_gap() -> None:
    world = World()
    sent: list[bytes] = []
    authorizer = authorizer_of(world, sent)
    for event in (world.event(), world.sign(world.event()), world.event("TRACE")):
        authorizer.authorize(event, now_ms=world.now_ms)
    emitters = [json.loads(message)["emitter"] for message in sent]
    assert [e["n"] for e in emitters] == [0, 1, 2]
    assert len({e["id"] for e in emitters}) == 1


def test_fifty_presentations_of_one_proof_allow_one() -> None:
    world = World()
    event = world.sign(world.event())
    lock = threading.Lock()
    spend = world.nonces.spend

    def atomic(digest: bytes, *, expires_at: int) -> bool:
        with lock:
            return spend(digest, expires_at=expires_at)

    world.nonces.spend = atomic  # type: ignore[method-assign]
    assert [world.reason(event) for _ in range(50)].count("ok") == 1


def test_old_secret_verifies_during_rotation_and_not_after() -> None:
    world = World()
    old = world.verifier
    event = world.sign(world.event())
    rotated = issuing(old, nonce_keys=NonceKeys.from_secrets([b"new secret", b"newer"]))
    assert rotated.judge(decode(event), now_ms=NOW_MS).reason is Reason.NONCE_INVALID
    both = NonceKeys(NonceKeys.from_secrets([b"new secret"]).keys + old.issuer.nonce_keys.keys)
    assert issuing(old, nonce_keys=both).judge(decode(event), now_ms=NOW_MS).reason is Reason.OK


def test_header_order_of_the_event_does_not_matter() -> None:
    world = World()
    event = world.sign(world.event())
    event["headers"] = dict(reversed(event["headers"].items()))
    assert world.reason(event) == "ok"


def test_lower_cased_joined_headers_of_an_emulator_are_read_alike() -> None:
    world = World()
    event = world.sign(
        world.event(headers={"X-Order": "a, b"}),
        covered=("@method", "@authority", "@path", "@query", "x-order"),
    )
    event["headers"] = {k.lower(): v for k, v in event["headers"].items()}
    event["multiValueHeaders"] = {k.lower(): v for k, v in event["multiValueHeaders"].items()}
    event["multiValueHeaders"]["x-order"] = ["a", "b"]
    assert world.reason(event) == "ok"


def test_answer_to_a_denied_request_carries_a_challenge_that_works() -> None:
    world = World()
    decision = world.verifier.judge(decode(world.event()), now_ms=world.now_ms)
    challenge = Challenge.from_header(decision.challenge)
    assert challenge.challenge_uri == "/prod/pch/challenge"
    assert challenge.error == "challenge_required"
    assert world.reason(world.sign(world.event(), nonce=challenge.nonce)) == "ok"


def test_challenge_endpoint_hands_out_a_nonce_that_works() -> None:
    world = World()
    header = world.verifier.issuer.issue(
        decode(world.event(path="/pch/challenge")), now_ms=world.now_ms
    ).to_header()
    challenge = Challenge.from_header(header)
    assert challenge.challenge_uri == "/prod/pch/challenge"
    assert world.reason(world.sign(world.event(), nonce=challenge.nonce)) == "ok"


@pytest.mark.parametrize("alg", suites.NAMES)
@pytest.mark.parametrize("detached", [False, True])
def test_unknown_key_costs_what_a_bad_signature_costs(
    alg: str, detached: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    other = suites.get(alg).generate()
    events = {
        "unknown_key": world.sign(world.event(), alg, keyid="nobody"),
        "bad_signature": world.sign(world.event(), alg, key=other),
    }
    costs = []
    suite = suites.get(alg)
    verify, get = type(suite).verify, world.bundles.get
    monkeypatch.setattr(type(suite), "verify", lambda s, *a: (spent.append(s.name), verify(s, *a))[1])
    monkeypatch.setattr(world.bundles, "get", lambda *a, **o: (spent.append("bundle"), get(*a, **o))[1])
    for reason, event in events.items():
        spent: list[str] = []
        assert world.reason(world.detach(event) if detached else event) == reason
        costs.append(spent)
    assert costs[0] == costs[1] == ["bundle", alg][0 if detached else 1 :]


@pytest.mark.parametrize("now_ms", [0, 1, NOW_MS - 400_000, NOW_MS + 400_000, 253_402_300_799_999])
def test_a_clock_that_is_wrong_refuses_on_record(now_ms: int) -> None:
    world = World()
    event = world.sign(world.event())
    sent: list[bytes] = []
    recorded = authorizer_of(world, sent).authorize(event, now_ms=now_ms)
    assert recorded.decision.reason is Reason.CREATED_OUT_OF_WINDOW
    assert read_receipt(sent[0], chained=False).members["reason"] == "created_out_of_window"
    assert not world.nonces.spent


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_body_that_no_event_shows_is_left_to_the_backend(method: str) -> None:
    world = World()
    decision = world.verifier.judge(decode(world.sign(world.event(method))), now_ms=NOW_MS)
    assert decision.reason is Reason.OK
    granted = {"keyid": "caller-1", "receipt_id": "r", "content_digest": decision.context.content_digest}
    received = {"requestContext": {"authorizer": granted}, "body": "smuggled", "isBase64Encoded": False}
    with pytest.raises(SignetError) as refused:
        verified_body(received)
    assert refused.value.code == "digest_mismatch"
    assert verified_body({**received, "body": None}) == b""


def test_the_digest_of_nothing_lets_no_body_through_and_nothing_through() -> None:
    world = World()
    event = world.sign(world.event("POST", headers={"Content-Digest": digest(b"")}))
    decision = world.verifier.judge(decode(event), now_ms=NOW_MS)
    assert decision.reason is Reason.OK
    granted = {"keyid": "caller-1", "receipt_id": "r", "content_digest": decision.context.content_digest}
    received = {"requestContext": {"authorizer": granted}, "body": None, "isBase64Encoded": False}
    assert verified_body(received) == verified_body({**received, "body": ""}) == b""
    with pytest.raises(SignetError) as refused:
        verified_body({**received, "body": "smuggled"})
    assert refused.value.code == "digest_mismatch"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_method_that_has_content_by_nature_signs_a_digest_whatever_the_event_shows(method: str) -> None:
    world = World()
    for length in ({}, {"Content-Length": "0"}, {"Content-Length": "5"}):
        event = world.event(method, headers=length)
        request = Request.read(decode(event), world.verifier.issuer.site)
        assert request.needs_digest
        signed = world.sign(world.event(method, headers=length))
        request = Request.read(decode(signed), world.verifier.issuer.site)
        with pytest.raises(Denied) as refused:
            parse_proof(request)
        assert refused.value.code == "digest_missing"
        assert method in str(refused.value)


@pytest.mark.parametrize(
    ("query", "hinted"),
    [({}, False), ({"limit": ["5"]}, True), ({"limit": ["5"], "status": ["open"]}, True)],
)
def test_a_bad_signature_over_a_rebuilt_query_says_that_names_are_sorted(
    query: dict[str, list[str]], hinted: bool
) -> None:
    world = World()
    event = edit_header(
        world.sign(world.event(query=query)),
        "Signature",
        lambda v: v.replace(v[7:9], "AA" if v[7:9] != "AA" else "BB"),
    )
    decision = world.verifier.judge(decode(event), now_ms=NOW_MS)
    assert decision.reason is Reason.BAD_SIGNATURE
    assert ("names sorted" in decision.message) == hinted


def test_a_bad_signature_over_an_attested_query_says_nothing_of_sorting() -> None:
    world = World()
    event = world.sign(
        world.edge_event(target="/protected?b=1&a=2"), url=f"https://{EDGE_AUTHORITY}/protected?a=2&b=1"
    )
    decision = world.verifier.judge(decode(event), now_ms=NOW_MS)
    assert decision.reason is Reason.BAD_SIGNATURE
    assert "sorted" not in decision.message


def test_denials_name_reasons_of_the_closed_set_only() -> None:
    with pytest.raises(ValueError, match="no_such_code"):
        Denied(Reason("no_such_code"), "x")
    with pytest.raises(AttributeError):
        Denied("malformed", "x")  # type: ignore[arg-type]
    assert all(Denied(reason, "x").code == reason.value for reason in Reason)


def test_receipt_names_the_authority_as_it_was_signed() -> None:
    world = World()
    event = edit_header(world.sign(world.event()), "Host", str.upper)
    decision = world.verifier.judge(decode(event), now_ms=world.now_ms)
    assert decision.reason is Reason.OK
    assert decision.context.request.authority == AUTHORITY


def test_header_budget_counts_bytes_and_not_characters() -> None:
    world = World()
    big = "\N{GRINNING FACE}" * 2100
    assert world.reason(world.sign(world.event(headers={"X-Big": big}))) == "header_budget_exceeded"


def test_source_address_hash_changes_daily_and_hides_the_address() -> None:
    world = World()
    day = 86_400_000
    hashes = [
        world.verifier.judge(decode(world.event()), now_ms=NOW_MS + offset).context.request.source_ip_hash
        for offset in (0, 1, day)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_behind_the_edge_the_receipt_tells_what_the_edge_saw() -> None:
    world = World()
    bound = f"tls-exporter=:{base64.b64encode(EXPORTER).decode()}:"
    target = "/protected?b=1&a=x+y"
    event = world.edge_event(target=target, headers={"PCH-Channel-Binding": bound}, src="2001:db8::7")
    world.sign(event, url=f"https://{EDGE_AUTHORITY}{target}")
    decision = world.verifier.judge(decode(event), now_ms=NOW_MS)
    assert decision.reason is Reason.OK
    recorded = decision.context.request
    assert (recorded.authority, recorded.path) == (EDGE_AUTHORITY, "/protected")
    assert recorded.query_sha256 == hashlib.sha256(b"?b=1&a=x+y").digest()
    key = derive_key(SECRET, "address")
    day = hmac.digest(key, str(NOW_MS // 86_400_000).encode(), "sha256")
    assert recorded.source_ip_hash == hmac.digest(day, b"2001:db8::7", "sha256")
    assert decision.context.proof.binding.type == "tls-exporter"
    assert decision.context.proof.binding.value_sha256 == hashlib.sha256(EXPORTER).digest()


def test_challenges_behind_the_edge_have_no_stage_and_are_good_there_only() -> None:
    world = World()
    event = world.edge_event(target="/pch/challenge")
    challenge = world.verifier.issuer.issue(decode(event), now_ms=NOW_MS)
    assert (challenge.challenge_uri, challenge.evidence_uri) == ("/pch/challenge", "/pch/evidence")
    behind = world.edge_event()
    url = f"https://{EDGE_AUTHORITY}/protected"
    assert world.reason(world.sign(world.event(), nonce=challenge.nonce)) == "nonce_invalid"
    assert world.reason(world.sign(behind, url=url, nonce=challenge.nonce)) == "ok"


def test_without_a_configured_edge_no_attestation_counts() -> None:
    world = World()
    event = world.sign(world.edge_event(), url=f"https://{EDGE_AUTHORITY}/protected")
    alone = issuing(world.verifier, edge_keys=EdgeKeys())
    assert alone.judge(decode(event), now_ms=NOW_MS).reason is Reason.EDGE_ATTESTATION_INVALID
    assert world.reason(event) == "ok"


def test_version_1_counts_only_where_the_deployment_says_so_and_binds_no_proof() -> None:
    world = World()

    def event(version: int) -> dict[str, Any]:
        made = world.sign(world.edge_event(version=version), url=f"https://{EDGE_AUTHORITY}/protected")
        return world.attest(made)

    lenient = issuing(world.verifier, edge_keys=EdgeKeys(EDGE_KEYS, accept_v1=True))
    assert world.reason(event(1)) == "edge_attestation_invalid"
    assert [lenient.judge(decode(event(v)), now_ms=NOW_MS).reason.value for v in (1, 2)] == ["ok", "ok"]
    # A version is under the MAC: none passes for the other.
    for version, other in ((1, 2), (2, 1)):
        changed = edit_header(event(version), "Signet-Edge", lambda v, n=other: f"v={n}{v[3:]}")
        assert lenient.judge(decode(changed), now_ms=NOW_MS).reason is Reason.EDGE_ATTESTATION_INVALID
    # What version 2 is for: the same attestation, taken to another proof.
    mine, theirs = event(1), event(1)
    set_header(mine, "Signet-Edge", theirs["headers"]["Signet-Edge"])
    assert lenient.judge(decode(mine), now_ms=NOW_MS).reason is Reason.OK
    mine, theirs = event(2), event(2)
    set_header(mine, "Signet-Edge", theirs["headers"]["Signet-Edge"])
    assert lenient.judge(decode(mine), now_ms=NOW_MS).reason is Reason.EDGE_ATTESTATION_INVALID


@pytest.mark.parametrize(("chars", "reason"), [(8192, "ok"), (8193, "edge_attestation_invalid")])
def test_an_attestation_has_a_longest_length_whoever_made_it(chars: int, reason: str) -> None:
    """An address may have a scope of any length, so that only the bound refuses this one."""
    world = World()
    spare = chars - len(world.attestation(src="fe80::1%"))
    event = world.edge_event(src="fe80::1%" + "a" * spare)
    world.sign(event, url=f"https://{EDGE_AUTHORITY}/protected")
    assert len(event["headers"]["Signet-Edge"]) == chars
    limits = dataclasses.replace(world.verifier.issuer.limits, header_budget=10_240)
    files = policy_files()
    config(lambda c: c["header_budget"].update(full=10_240))(files)
    policy = PolicyEngine(files)
    verifier = issuing(world.verifier, limits=limits, policy=policy)
    world.__dict__["policy"] = policy
    world.sign(event, url=f"https://{EDGE_AUTHORITY}/protected")
    assert verifier.judge(decode(event), now_ms=NOW_MS).reason.value == reason


@pytest.mark.parametrize(
    "kept", [("Signature-Input",), ("Signature",), ("PCH-Proof",), ("Signature", "PCH-Proof")]
)
def test_a_part_of_a_proof_is_malformed_not_missing(kept: tuple[str, ...]) -> None:
    world = World()
    event = world.sign(world.event())
    set_header(event, "PCH-Proof", digest(b"{}"))
    for name in {"Signature-Input", "Signature", "PCH-Proof"} - set(kept):
        drop_header(event, name)
    assert world.reason(event) == "malformed"


@pytest.mark.parametrize(("lifetime_s", "skew_s"), [(300, 30), (10, 0), (3600, 300)])
def test_a_spent_nonce_is_kept_for_longer_than_any_copy_of_it_is_good(lifetime_s: int, skew_s: int) -> None:
    world = World()
    limits = Limits(nonce_lifetime_ms=lifetime_s * 1000, skew_ms=skew_s * 1000)
    verifier = issuing(world.verifier, limits=limits)
    # Issued by an instance whose clock is ahead as far as it may be: this one is good for longest.
    issued_ms = NOW_MS + skew_s * 1000
    event = world.sign(world.event(), nonce=world.nonce(issued_ms=issued_ms), lives_s=min(60, lifetime_s))
    assert verifier.judge(decode(event), now_ms=NOW_MS).reason is Reason.OK
    [kept_until] = world.nonces.spent.values()
    assert kept_until == NOW_MS // 1000 + 2 * (lifetime_s + skew_s)
    last_good_s = issued_ms // 1000 + lifetime_s + skew_s  # by an instance whose clock is behind
    assert kept_until >= last_good_s


def test_challenges_draw_sixteen_bytes_each() -> None:
    world = World()
    drawn: list[int] = []

    def random(size: int) -> bytes:
        drawn.append(size)
        return bytes(size)

    verifier = issuing(world.verifier, random=random)
    verifier.judge(decode(world.event()), now_ms=NOW_MS)
    verifier.issuer.issue(decode(world.event(path="/pch/challenge")), now_ms=NOW_MS)
    assert drawn == [RANDOM_BYTES, RANDOM_BYTES] == [16, 16]


@pytest.mark.parametrize(
    ("created_s", "lives_s", "reason"),
    [
        (-330, 300, "ok"),
        (-331, 300, "created_out_of_window"),
        (30, 60, "ok"),
        (31, 60, "created_out_of_window"),
        (0, 300, "ok"),
        (0, 301, "created_out_of_window"),
        (0, 1, "ok"),
        (0, 0, "created_out_of_window"),
        (0, -1, "created_out_of_window"),
        (-90, 60, "ok"),
        (-91, 60, "created_out_of_window"),
    ],
)
def test_the_window_is_exact_to_the_second(created_s: int, lives_s: int, reason: str) -> None:
    world = World()
    event = world.sign(world.event(), created_ms=NOW_MS + created_s * 1000, lives_s=lives_s)
    assert world.reason(event) == reason


@pytest.mark.parametrize("maps", ["both", "single", "multi"])
def test_a_second_proof_beside_the_attested_one_is_refused(maps: str) -> None:
    world = World()
    event = world.sign(world.edge_event(), url=f"https://{EDGE_AUTHORITY}/protected")
    if maps != "multi":
        event["headers"]["signature-input"] = "pch=()"
    if maps != "single":
        event["multiValueHeaders"]["signature-input"] = ["pch=()"]
    assert world.reason(event) == "edge_attestation_invalid"


def test_every_bit_of_an_attestation_counts() -> None:
    world = World()
    value = world.attestation()
    for position in range(len(value)):
        changed = value[:position] + chr(ord(value[position]) ^ 1) + value[position + 1 :]
        event = world.event(headers={"Signet-Edge": changed})
        assert world.reason(event) == "edge_attestation_invalid", changed


def test_a_method_that_utf8_cannot_say_is_a_refusal_like_others() -> None:
    world = World()
    event = world.edge_event()
    event["requestContext"]["httpMethod"] = event["httpMethod"] = "\ud800"
    assert world.reason(event) == "edge_attestation_invalid"


def test_tampering_any_covered_header_value_is_refused() -> None:
    world = World()
    covered = ("@method", "@authority", "@path", "@query", "x-order")
    event = world.sign(world.event(headers={"X-Order": "a"}), covered=covered)
    assert world.reason(edit_header(event, "X-Order", lambda _v: "b")) == "bad_signature"


def test_digest_of_evidence_that_nobody_stored_is_no_evidence() -> None:
    world = World()
    event = world.sign(world.event(headers={"PCH-Evidence-Digest": digest(b"{}")}))
    assert world.reason(event) == "evidence_missing"


@pytest.mark.parametrize("part", ["httpMethod", "multiValueQueryStringParameters"])
def test_event_of_a_broken_gateway_is_malformed_and_no_malfunction(part: str) -> None:
    world = World()
    event = world.sign(world.event(query={"a": ["1"]}))
    event[part] = {"a": []}
    assert world.reason(event) == "malformed"


def test_nonce_without_a_proof_is_held_against_the_authority_the_edge_attests() -> None:
    world = World()
    event = world.edge_event("POST", "/pch/evidence")
    nonce = world.nonce(authority=EDGE_AUTHORITY, bound="tls-exporter")
    world.verifier.issuer.admit(decode(event), nonce, now_ms=world.now_ms)
    with pytest.raises(Denied) as around:
        world.verifier.issuer.admit(decode(world.event("POST", "/pch/evidence")), nonce, now_ms=world.now_ms)
    assert around.value.code == "nonce_invalid"
    set_header(event, "Signet-Edge", world.attestation(target="/pch/evidence"))  # attests a GET
    with pytest.raises(Denied) as forged:
        world.verifier.issuer.admit(decode(event), nonce, now_ms=world.now_ms)
    assert forged.value.code == "edge_attestation_invalid"
