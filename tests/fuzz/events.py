"""Fuzz target: every gateway event is decided on, and no allow is unearned.

The oracle shares no code with the verifier: ``Ledger`` writes down what was really signed, at the moment of
signing, and every allowed event is held against it.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

import http_sf
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from signet.core.client import Client, Status
from signet.core.decision import Decision
from signet.crypto import suites
from signet.handshake.authorizer import Authorizer
from signet.handshake.emitter import EmitterCounter
from signet.receipts.model import read_receipt
from tests.fuzz.choices import TOKENS, Choices
from tests.fuzz.mutations import EXTRA_FIELDS, MUTATIONS, Event
from tests.support.cases import CASES
from tests.support.world import COVERED, ROOT, FixedApis, World, digest, set_header

Facts: TypeAlias = tuple[Any, ...]

FOLDER = ROOT / "events" / "authorizer"
#: What must never be the outcome of any event: nothing is out of order in this world.
MALFUNCTIONS = frozenset({"internal_error", "store_unavailable", "receipt_queue_unavailable"})
_STRUCTURED = ("signature", "content-digest", "pch-channel-binding", "pch-evidence-digest", "pch-proof")
_PATHS = ("/protected", "/protected/7", "/compliance/pack", "/unlisted", "/pch/evidence")
_PLAIN = "/!$&'()*+,=:@"
_RESOURCES = (None, "/protected/{item}", "/{proxy+}")


def requested(event: Event) -> Facts:
    """What an event asks for, read as directly as can be: method, authority, path, query, digest."""
    context = event["requestContext"]
    headers = fields_of(event)
    query = event.get("multiValueQueryStringParameters")
    if query is None:
        query = {n: [v] for n, v in (event.get("queryStringParameters") or {}).items()}
    asked = tuple(sorted((n, tuple(v)) for n, v in query.items()))
    return (
        context["httpMethod"],
        headers.get("host", "").lower(),  # behind an edge it may be missing
        _addressed(event),
        asked,
        headers.get("content-digest"),
    )


def _addressed(event: Event) -> str:
    """Return the path as it was addressed; emulators decode it, and tell its beginning in their ways."""
    context = event["requestContext"]
    if "path" not in context:
        return f"/{context['stage']}{quote(event['path'], safe=_PLAIN)}"
    if "{" in context["path"] and context["path"] == event["resource"]:
        return quote(event["path"], safe=_PLAIN)
    addressed: str = context["path"]
    return addressed


def fields_of(event: Event) -> dict[str, str]:
    multi = event.get("multiValueHeaders")
    lists = multi if multi is not None else {n: [v] for n, v in event["headers"].items()}
    return {name.lower(): ", ".join(values) for name, values in lists.items()}


@dataclass
class Ledger:
    """What was really signed: the request, the nonce and the key id."""

    signed: set[Facts] = field(default_factory=set)

    def holds(self, event: Event) -> bool:
        said = fields_of(event)["signature-input"]
        nonce, keyid = (tuple(re.findall(rf';{name}="([^"]*)"', said)) for name in ("nonce", "keyid"))
        asked = requested(event)
        if "signet-edge" in fields_of(event):
            # Behind an edge the target that was signed is the one under the edge's MAC, which no input can
            # forge; what the gateway says beside it is held to it by the cases of tests/support/cases.py.
            wanted = (asked[0], asked[-1], nonce, keyid)
            return any((facts[0], facts[4], *facts[5:]) == wanted for facts in self.signed)
        return (*asked, nonce, keyid) in self.signed


class RecordingWorld(World):
    """A world with the same keys in every process that enters into a ledger all that it signs."""

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        for alg in suites.NAMES:
            self.keys[alg] = _fixed_key(alg)
            self.register(self.keyids[alg], alg)

    def sign(self, event: Event, alg: str = "ed25519", **options: Any) -> Event:
        facts = requested(event)
        url = urlsplit(options.get("url") or "")
        authority = url.netloc or fields_of(event)["host"]
        if url.netloc and "signet-edge" not in fields_of(event):
            facts = (*facts[:2], url.path, *facts[3:])
        options["nonce"] = nonce = options.get("nonce") or self.nonce(authority=authority)
        keyid = options.get("keyid") or self.keyids[alg]
        signed = super().sign(event, alg, **options)
        self.ledger.signed.add((*facts, (nonce,), (keyid,)))
        return signed


def _fixed_key(alg: str) -> suites.PrivateKey:
    halves = {
        "ed25519": Ed25519PrivateKey.from_private_bytes,
        "ecdsa": lambda seed: ec.derive_private_key(int.from_bytes(seed[1:], "big"), ec.SECP256R1()),
        "ml": MLDSA65PrivateKey.from_seed_bytes,
    }
    names = sorted((part.split("-")[0] for part in alg.split("+")), key=("ml", "ed25519", "ecdsa").index)
    seed = hashlib.sha256(alg.encode()).digest()
    return suites.get(alg).private_key(*(halves[name](seed) for name in names))


@cache
def stored() -> tuple[dict[str, Any], Ledger]:
    """The stored events' world, and what was signed when they were made.

    Nonces are the same in every making of the events, so making them once more tells what was signed.
    """
    document = json.loads((FOLDER / "world.json").read_text())
    maker = RecordingWorld()
    for reason, build in CASES.values():
        if reason != "store_unavailable":
            maker.require_nothing()
            build(maker)
    return document, maker.ledger


class Bench:
    """One authorizer over one world; judges one event after the other."""

    def __init__(self) -> None:
        self.world = RecordingWorld()
        self._own = dict(self.world.clients.entries)
        self._sent: list[bytes] = []
        self._authorizer = Authorizer(
            self.world.verifier,
            self,
            EmitterCounter(self.world.random),
            self.world.random,
            lambda: 0,
            FixedApis(),
        )
        document, self._stored_ledger = stored()
        self._stored = document["clients"]
        # One engine judges them all: cases that need another policy stay with
        # tests/unit/handshake/test_events.py.
        self.cases: dict[str, Any] = {
            name: case for name, case in document["cases"].items() if not case["minimum_binding"]
        }
        self.names = tuple(sorted(self.cases))
        self.outcomes: dict[str, int] = {}

    def send(self, receipt: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        """Take a receipt, as the queue does."""
        self._sent.append(receipt)

    def use_stored(self, name: str) -> Event:
        """Return a stored event, its clients registered, its nonces spent and its bundles stored."""
        case = self.cases[name]
        self._reset(self._stored_ledger)
        self.world.clients.entries.clear()
        for client in [*self._stored, *case["clients"]]:
            self.world.clients.entries[client["keyid"]] = _client(client)
        self.world.nonces.spent.update(dict.fromkeys(map(bytes.fromhex, case["spent"]), 0))
        for kept in case["bundles"]:
            bundle = base64.b64decode(kept["bundle"])
            self.world.bundles.put(bytes.fromhex(kept["sha256"]), bundle, expires_at=kept["expires_at"])
        event: Event = json.loads((FOLDER / f"{name}.json").read_text())
        return event

    def use_own(self) -> RecordingWorld:
        """Return the world with its own clients and an empty ledger."""
        self._reset(Ledger())
        self.world.clients.entries = dict(self._own)
        return self.world

    def _reset(self, ledger: Ledger) -> None:
        self.world.ledger = ledger
        self.world.nonces.spent.clear()
        self.world.bundles.stored.clear()

    def check(self, event: Any) -> str:
        """Judge an event and hold the outcome against all properties; return the reason."""
        received = copy.deepcopy(event)
        outcome = self._authorizer.authorize(event, now_ms=self.world.now_ms).decision
        reason = outcome.reason.value
        self.outcomes[reason] = self.outcomes.get(reason, 0) + 1
        if outcome.error is not None:
            raise AssertionError(f"{reason} for an event") from outcome.error
        assert reason not in MALFUNCTIONS
        assert bool(outcome.challenge) == (outcome.reason.decision is not Decision.ALLOW)
        receipt = read_receipt(self._sent.pop(), chained=False)
        assert receipt.members["reason"] == reason
        if outcome.reason.decision is Decision.ALLOW:
            assert self.world.ledger.holds(received), "an allow for what no key signed"
            _check_canonical(fields_of(received))
            again = self._authorizer.authorize(received, now_ms=self.world.now_ms).decision.reason.value
            assert again == "nonce_replayed"
            self._sent.pop()
        return reason


def _client(entry: dict[str, Any]) -> Client:
    return Client(
        entry["keyid"],
        entry["alg"],
        base64.b64decode(entry["public_key"]),
        status=Status(entry.get("status", "active")),
        routes=tuple(entry.get("routes", ())),
        not_before=entry.get("not_before"),
        not_after=entry.get("not_after"),
    )


def _check_canonical(fields: dict[str, str]) -> None:
    """What was accepted serialises to the bytes received: one value, one encoding."""
    for name in ("signature-input", *_STRUCTURED):
        if name in fields:
            parsed = http_sf.parse(fields[name].encode(), tltype="dictionary")
            assert http_sf.ser(parsed) == fields[name], name
    if "pch-evidence" in fields:
        parsed = http_sf.parse(fields["pch-evidence"].encode(), tltype="item")
        assert http_sf.ser(parsed) == fields["pch-evidence"]


@cache
def bench() -> Bench:
    return Bench()


def one_event(data: bytes) -> str | None:
    """Run one input: JSON text is an event as it stands, else it chooses one; None if it is no event."""
    if data[:1] == b"{":
        return _one_json(data)
    choices = Choices(data)
    event = (_stored_event, _signed_event)[choices.below(2)](choices)
    for _ in range(choices.below(5)):
        choices.pick(MUTATIONS)(choices, event)
    return bench().check(event)


def _one_json(data: bytes) -> str | None:
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        return None
    bench().use_stored("signed_ed25519")
    return bench().check(event)


def _stored_event(choices: Choices) -> Event:
    return bench().use_stored(bench().names[choices.below(len(bench().names))])


def _signed_event(choices: Choices) -> Event:
    """Return a request that a client of this world signed, possibly an odd one."""
    world = bench().use_own()
    query = {
        choices.pick(("a", "b", "a b", "é", "")): [choices.pick(TOKENS)] for _ in range(choices.below(3))
    }
    event = world.event(
        choices.pick(("GET", "POST", "PUT", "HEAD", "TRACE")),
        choices.pick(_PATHS),
        query,
        {choices.pick(EXTRA_FIELDS): choices.pick(TOKENS)} if choices.below(4) == 1 else {},
        choices.pick(_RESOURCES),
    )
    if choices.below(3) == 1:
        set_header(event, "Content-Length", "5")
        set_header(event, "Content-Digest", digest(b"hello"))
    if choices.below(4) == 1:
        set_header(event, "PCH-Evidence", ":e30=:")
    for _ in range(choices.below(3)):
        choices.pick(MUTATIONS)(choices, event)
    options: dict[str, Any] = {}
    if choices.below(4) == 1:
        options["covered"] = (
            *COVERED,
            choices.pick(("accept", "host", "x-order", "@scheme", "content-digest")),
        )
    try:
        signed = world.sign(event, _algorithm(choices), **options)
    except Exception:  # noqa: BLE001 - the signer is not what is tested: what it cannot sign stays unsigned
        return event
    return world.detach(signed) if choices.below(4) == 1 else signed


def _algorithm(choices: Choices) -> str:
    return choices.pick(("ed25519",) * 12 + suites.NAMES)


def seeds() -> list[bytes]:
    """Inputs to start from: every stored event, as JSON and as a choice of it."""
    plain = [(FOLDER / f"{name}.json").read_bytes() for name in bench().names]
    return [
        *plain,
        *(b"\0" + number.to_bytes(2, "little") for number in range(len(plain))),
        *(bytes([1, n]) * 20 for n in range(40)),
    ]
