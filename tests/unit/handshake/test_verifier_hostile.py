"""The verifier raises for no event, hostile ones too: it refuses, and the refusal is on record."""

from __future__ import annotations

import base64
import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from signet.breaker.admission import Admission
from signet.breaker.asked import FixedBreaker
from signet.core.decision import Decision, Reason
from signet.core.errors import STOPS, Denied, SignetError, UnavailableError
from signet.core.vocabulary import BreakerLevel
from signet.gateway.proxy import received_body
from signet.handshake import connection as connection_module
from signet.handshake import issuer as issuer_module
from signet.handshake import verifier as verifier_module
from signet.handshake.authorizer import Authorizer, RecordedDecision
from signet.handshake.decision import reason_of
from signet.handshake.emitter import EmitterCounter
from signet.handshake.registry import CachedApis
from signet.handshake.uploader import BundleUploader
from signet.policy.engine import PolicyEngine
from signet.receipts.model import BreakerFacts, read_receipt
from tests.support.policies import rego
from tests.support.world import EDGE_AUTHORITY, FixedApis, World, authorizer_of, policy_files, set_header
from tests.support.world import own as decode

JUNK: tuple[Any, ...] = (
    None, True, 7, -1, 1e308, "", "x", "\ud800", "a\nb", "é" * 2000, [], [None], ["a", "b"], [[]],
    {}, {"a": []}, {"": ""}, {"\ud800": ["\ud800"]}, {7: 7}, b"bytes",
)  # fmt: skip


class Panic(BaseException):
    """What a parser in Rust raises when it gives up: no subclass of Exception (PyO3's PanicException)."""


def recorded(world: World, event: Any) -> tuple[RecordedDecision, dict[str, Any]]:
    sent: list[bytes] = []

    authorizer = authorizer_of(world, sent)
    found = authorizer.authorize(event, now_ms=world.now_ms)
    [message] = sent
    receipt = dict(read_receipt(message, chained=False).members)
    assert receipt["reason"] == found.decision.reason.value
    return found, receipt


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every node of an event, the event itself first."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in inner:
        yield from places(child, (*path, key))


def with_junk(event: dict[str, Any], path: tuple[Any, ...], junk: Any) -> Any:
    if not path:
        return junk
    changed = copy.deepcopy(event)
    parent: Any = changed
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = junk
    return changed


def certificate_pem() -> str:
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "caller")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2027, 1, 1, tzinfo=UTC))
        .sign(key, None)
    )
    return made.public_bytes(Encoding.PEM).decode()


def of_version(pem: str, version: int) -> str:
    """Give a certificate another version number; nothing but its parser looks at that."""
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    assert b"\xa0\x03\x02\x01\x02" in der  # version 3, as RFC 5280 section 4.1 encodes it
    changed = der.replace(b"\xa0\x03\x02\x01\x02", bytes([0xA0, 0x03, 0x02, 0x01, version]), 1)
    text = base64.encodebytes(changed).decode()
    return f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n"


def with_certificate(world: World, pem: Any) -> dict[str, Any]:
    event = world.event()
    event["requestContext"]["identity"]["clientCert"] = {"clientCertPem": pem}
    return event


@pytest.mark.parametrize("version", [1, 3, 7, 127, 255])
def test_a_certificate_of_an_unknown_version_is_no_observation_and_no_malfunction(version: int) -> None:
    world = World()
    world.require("tls-client-cert")
    event = with_certificate(world, of_version(certificate_pem(), version))
    assert recorded(world, world.sign(event))[1]["reason"] == "binding_missing"
    assert recorded(world, event)[1]["decision"] == "deny"


def test_every_byte_of_a_certificate_may_be_wrong() -> None:
    world = World()
    lines = certificate_pem().splitlines()
    der = base64.b64decode("".join(lines[1:-1]))
    for place in range(len(der)):
        for flipped in (0x01, 0x80, 0xFF):
            changed = bytes([*der[:place], der[place] ^ flipped, *der[place + 1 :]])
            text = "\n".join([lines[0], base64.b64encode(changed).decode(), lines[-1]])
            judged = world.verifier.judge(decode(with_certificate(world, text)), now_ms=world.now_ms)
            assert judged.reason is Reason.CHALLENGE_REQUIRED


def test_a_parser_that_panics_ends_in_a_recorded_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    event = world.sign(world.event())

    def panics(*_arguments: object, **_options: object) -> None:
        raise Panic("called `Result::unwrap()` on an `Err` value")

    monkeypatch.setattr(issuer_module, "observe", panics)
    found, receipt = recorded(world, event)
    assert (receipt["decision"], receipt["reason"]) == ("shed", "internal_error")
    assert isinstance(found.decision.error, Panic)


@pytest.mark.parametrize("stop", STOPS)
def test_what_ends_the_process_is_no_decision(
    monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    world = World()

    def stops(*_arguments: object, **_options: object) -> None:
        raise stop

    monkeypatch.setattr(issuer_module, "observe", stops)
    with pytest.raises(stop):
        world.verifier.judge(decode(world.event()), now_ms=world.now_ms)


@pytest.mark.parametrize("reason", [Reason.OK, Reason.OK_CLASSICAL_FALLBACK, "no_such_code", ""])
def test_a_refusal_is_never_an_allow_whatever_its_reason(
    monkeypatch: pytest.MonkeyPatch, reason: Any
) -> None:
    world = World()
    event = world.sign(world.event())

    def refuses(*_arguments: object, **_options: object) -> None:
        raise Denied(reason, "refused")

    monkeypatch.setattr(verifier_module, "check_signature", refuses)
    found, receipt = recorded(world, event)
    assert (receipt["decision"], receipt["reason"]) == ("shed", "internal_error")
    assert isinstance(found.decision.error, Denied if isinstance(reason, Reason) else AttributeError)
    assert world.nonces.spent == {}


def test_every_refusal_of_the_closed_set_keeps_its_reason() -> None:
    for reason in Reason:
        found, _, error = reason_of(Denied(reason, "refused"))
        if reason.decision is Decision.ALLOW:
            assert (found, type(error)) == (Reason.INTERNAL_ERROR, Denied)
        else:
            assert (found, error) == (reason, None)


def test_a_breaker_and_a_challenge_that_fail_leave_the_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(FixedBreaker):
        def failed(self, *_arguments: object) -> None:
            raise ZeroDivisionError

    world = World()
    world.breaker = Broken()

    def away(*_arguments: object, **_options: object) -> bool:
        raise UnavailableError("away")

    world.nonces.spend = away  # type: ignore[method-assign]
    found, receipt = recorded(world, world.sign(world.event()))
    assert receipt["reason"] == "store_unavailable"

    def no_chance(_size: int) -> bytes:
        raise OSError("no entropy")

    random, world.random = world.random, no_chance  # type: ignore[method-assign]
    world.__dict__.pop("verifier")
    verifier = world.verifier
    world.random = random  # type: ignore[method-assign]
    found = verifier.judge(decode(world.event()), now_ms=world.now_ms)
    assert (found.reason, found.challenge, type(found.error)) == (Reason.CHALLENGE_REQUIRED, "", OSError)


def test_a_fact_that_no_receipt_can_hold_costs_the_allow_and_not_the_receipt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    event = world.sign(world.event())
    judge = verifier_module.RequestVerifier.judge

    def unsayable(self: Any, asked: Any, *, now_ms: int) -> Any:
        decision = judge(self, asked, now_ms=now_ms)
        decision.context.proof.nonce_sha256 = b"short"
        return decision

    monkeypatch.setattr(verifier_module.RequestVerifier, "judge", unsayable)
    found, receipt = recorded(world, event)
    assert (found.decision.reason, receipt["decision"]) == (Reason.INTERNAL_ERROR, "shed")
    assert receipt["proof"]["nonce_sha256"] is None
    assert recorded(world, world.event())[1]["reason"] == "challenge_required"


def test_a_queue_that_fails_in_its_own_way_costs_the_allow() -> None:
    world = World()

    class Odd:
        def send(
            self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None
        ) -> None:
            raise TypeError("parameter validation failed")

    authorizer = Authorizer(
        world.verifier, Odd(), EmitterCounter(world.random), world.random, lambda: 0, FixedApis()
    )
    found = authorizer.authorize(world.sign(world.event()), now_ms=world.now_ms)
    assert (found.decision.reason, found.durable) == (Reason.RECEIPT_QUEUE_UNAVAILABLE, False)


def test_junk_anywhere_in_an_event_is_decided_on_and_never_passed_for_what_was_signed() -> None:
    world = World()
    signed = world.sign(world.event("GET", "/protected", {"a": ["1", "2"]}, {"X-Order": "7"}))
    behind = world.edge_event()
    world.sign(behind, url=f"https://{EDGE_AUTHORITY}/protected")
    certified = world.sign(with_certificate(world, certificate_pem()))
    for event in (signed, behind, certified):
        for path in places(event):
            for junk in JUNK:
                changed = with_junk(event, path, junk)
                found, _ = recorded(world, changed)
                world.nonces.spent.clear()
                if found.decision.reason.decision is Decision.ALLOW:
                    # What no signature covers and no rule reads may be anything.
                    assert not set(path) & {
                        "Signature",
                        "Signature-Input",
                        "Host",
                        "Signet-Edge",
                        "httpMethod",
                    }


def test_junk_anywhere_in_an_event_never_breaks_the_endpoints() -> None:
    """``issue``, ``admit`` and ``take`` answer, or raise what their handler has an answer for."""
    world = World()
    event = world.event("POST", "/pch/evidence")
    nonce = world.nonce(bound="tls-exporter")
    set_header(event, "PCH-Nonce", f'"{nonce}"')
    event |= {"body": "{}", "isBase64Encoded": False}
    uploader = BundleUploader(
        world.verifier.issuer, world.bundles, CachedApis(lambda _: world.api, FixedApis(), lambda: 0.0)
    )
    calls = (
        lambda changed: world.verifier.issuer.issue(decode(changed), now_ms=world.now_ms),
        lambda changed: world.verifier.issuer.admit(decode(changed), nonce, now_ms=world.now_ms),
        lambda changed: uploader.store(decode(changed), received_body(changed), now_ms=world.now_ms),
    )
    for path in places(event):
        if not path:
            continue
        for junk in JUNK:
            changed = with_junk(event, path, junk)
            for call in calls:
                try:
                    call(changed)
                except SignetError:
                    continue


def test_nothing_but_the_certificates_own_parser_decides_whether_it_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pem = certificate_pem()
    expected = x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256())
    assert connection_module.certificate_sha256(pem) == expected

    def unknown(_der: bytes) -> None:
        raise x509.InvalidVersion("17 is not a valid X509 version", 17)

    monkeypatch.setattr(x509, "load_der_x509_certificate", unknown)
    assert connection_module.certificate_sha256(pem) is None


def test_a_ladder_that_loses_shed_on_that_rung_sheds_all_the_same() -> None:
    """What is allowed on the rung ``shed`` cannot be recorded: it would cost the nonce, and be an error."""
    files = policy_files()
    ladder = 'ladder := object.get(own, "ladder", ladder_of_all)'
    by_level = 'ladder := ["full"] if input.breaker.level == "shed"'
    rego(ladder, f'{ladder} if input.breaker.level != "shed"\n\n{by_level}')(files)
    world = World()
    world.__dict__["policy"] = PolicyEngine(files)
    world.level = BreakerLevel.SHED
    found, receipt = recorded(world, world.sign(world.event(), "ed25519"))
    assert found.decision.reason is Reason.HALF_OPEN_FULL
    assert receipt["breaker"]["level"] == "shed"
    assert receipt["proof"]["keyid"] == world.keyids["ed25519"]
    assert not world.nonces.spent


class _Boundless(FixedBreaker):
    """A breaker with a figure that no receipt can hold."""

    def admit(self, now_ms: int) -> Admission:
        found = super().admit(now_ms)

        class Boundless(Admission):
            @property
            def facts(self) -> BreakerFacts:
                return BreakerFacts(level=self.level, rho_ppm=1 << 60)

        return Boundless(found.level, found.rung, None, None, None)


@pytest.mark.parametrize("level", [BreakerLevel.FULL, BreakerLevel.SHED])
def test_what_cannot_be_recorded_of_a_verified_request_is_refused_and_recorded_as_such(
    level: BreakerLevel,
) -> None:
    """Shed, replayed and allowed alike: no receipt may say so without the whole proof."""
    world = World()
    world.breaker = _Boundless(level)
    event = world.sign(world.event(), "ed25519")
    for _ in range(2):
        found, receipt = recorded(world, event)
        assert found.decision.reason is Reason.INTERNAL_ERROR
        assert isinstance(found.decision.error, SignetError)
        assert receipt["breaker"]["rho_ppm"] is None
    found, receipt = recorded(world, world.event())
    assert receipt["reason"] == Reason.CHALLENGE_REQUIRED


def test_no_key_is_in_what_a_verifier_or_a_setting_prints_as() -> None:
    verifier = World().verifier
    keys = [verifier.address_key, *verifier.issuer.nonce_keys.keys, *verifier.issuer.edge_keys.keys.values()]
    assert len(keys) >= 3
    printed = f"{verifier!r} {verifier.issuer!r}"
    assert "RequestVerifier" in printed
    for key in keys:
        assert repr(key) not in printed
        assert key.hex() not in printed
