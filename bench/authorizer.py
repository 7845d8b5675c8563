"""Figure 1: what a warm decision costs the authorizer beyond verifying the signature."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bench.figures import Figure, Section, ratio
from bench.timing import MeasurementError, Report, in_turns
from signet.core.apis import OWN_API
from signet.core.decision import Reason
from signet.core.instants import uuid7
from signet.core.vocabulary import BreakerLevel, BreakerState
from signet.crypto import suites
from signet.handshake.authorizer import Authorizer
from signet.handshake.challenge import NonceKeys, NonceScope, check_nonce
from signet.handshake.emitter import EmitterCounter
from signet.handshake.proof import Proof, parse_proof
from signet.handshake.request import Request
from signet.handshake.transcript import transcript_facts
from signet.handshake.verifier import RequestVerifier
from signet.policy.engine import PolicyEngine, Verdict
from signet.policy.facts import Facts
from signet.receipts.model import DecisionRecord, Emitter
from tests.support.world import SECRET, FixedApis, World, policy_files
from tests.support.world import own as decode

LIMIT = 2.0
NOTE = (
    "Ratio to the cryptographic library's own verification. A warm authorizer remembers what policy said of "
    "the same client on the same route. Lines with · and 'evaluated' let it evaluate in every decision; that "
    "is timed and left out, but it empties the CPU's caches, for which the rest of a decision then pays. "
    "The parts run in loops of their own, with warm caches."
)


class TimedPolicy(PolicyEngine):
    """The engine, with a clock around each evaluation; ``remembers``: whether equal facts need only one."""

    spent_ns = 0
    remembers = True

    def evaluate(self, facts: Facts) -> Verdict:
        """See ``PolicyEngine.evaluate``."""
        return super().evaluate(facts) if self.remembers else self.decide(facts.document())

    def decide(self, request: Mapping[str, Any]) -> Verdict:
        """See ``PolicyEngine.decide``."""
        started = time.thread_time_ns()
        try:
            return super().decide(request)
        finally:
            self.spent_ns += time.thread_time_ns() - started


class Queue:
    """Keeps the last message."""

    last = b""

    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:  # noqa: ARG002 - the port's
        """Take a message."""
        self.last = message


class Bench:
    """One world, one authorizer with in-memory ports, and a number of requests per suite."""

    def __init__(self, requests: int) -> None:
        """Build the authorizer; ``requests`` are decided per round."""
        self.requests = requests
        self.world = World()
        self.policy = TimedPolicy(policy_files())
        self.verifier: RequestVerifier = replace(
            self.world.verifier, issuer=replace(self.world.verifier.issuer, policy=self.policy)
        )
        self.queue = Queue()
        self.authorizer = Authorizer(
            self.verifier,
            self.queue,
            EmitterCounter(os.urandom),
            os.urandom,
            time.thread_time_ns,
            FixedApis(),
        )

    def signed(self, alg: str) -> list[dict[str, Any]]:
        """Return events of signed requests, each with a nonce of its own."""
        return [self.world.sign(self.world.event(), alg) for _ in range(self.requests)]

    def decide(self, event: dict[str, Any]) -> tuple[int, int]:
        """Decide on one event; return CPU nanoseconds without policy, and of policy alone."""
        self.policy.spent_ns = 0
        started = time.thread_time_ns()
        recorded = self.authorizer.authorize(event, now_ms=self.world.now_ms)
        spent = time.thread_time_ns() - started
        if recorded.decision.reason is not Reason.OK:
            raise MeasurementError(f"a good request was refused: {recorded.decision.message}")
        return spent - self.policy.spent_ns, self.policy.spent_ns

    def proofs(self, events: list[dict[str, Any]]) -> list[Proof]:
        """Return the parsed proofs."""
        return [parse_proof(self.request(event)) for event in events]

    def request(self, event: dict[str, Any]) -> Request:
        """Return an event's request."""
        return Request.read(decode(event), self.verifier.issuer.site)


def bare_verification(private: suites.PrivateKey, proof: Proof) -> Callable[[], None]:
    """Return the library's own verification of a proof, with the key loaded and nothing checked around it.

    A composite is two verifications, of the halves over its M' (docs/protocol.md).
    """
    suite = suites.get(private.alg)
    loaded = suite._loaded(private.public_key_bytes)  # noqa: SLF001 - the library's verify methods, bound to keys
    message = proof.base
    if isinstance(suite, suites.CompositeSuite):
        context = suites.pairing_context(private.public_key_bytes)
        message = suite._representative(message, context)  # noqa: SLF001 - M', made before the clock runs
    cut = suite._primitives[0].max_signature_size  # noqa: SLF001 - where the halves meet
    signature = proof.signature or b""  # inline, so it is there
    halves = (signature[:cut], signature[cut:])
    jobs = list(zip(loaded, halves, strict=False))

    def run() -> None:
        for verify, half in jobs:
            verify(half, message)

    return run


def measure(report: Report, *, quick: bool) -> Section:
    """Measure every suite."""
    bench = Bench(requests=40 if quick else 100)
    rounds = 5 if quick else 15
    figures: list[Figure] = []
    for alg in suites.NAMES:
        report(f"authorizer: {alg}")
        figures.append(_suite(bench, alg, rounds))
    bench.policy.remembers = False
    for alg in suites.NAMES:
        report(f"authorizer: {alg}, policy evaluated")
        figures.append(replace(_suite(bench, alg, rounds), what=f"· {alg}, policy evaluated", limit=None))
    report("authorizer: parts")
    figures += _parts(bench, suites.NAMES[0], rounds)
    return Section("1. Authorizer, warm: own CPU time of a decision", figures, [NOTE])


def _suite(bench: Bench, alg: str, rounds: int) -> Figure:
    """Time decision and bare verification in turns, request by request.

    Between two decisions an authorizer waits for the network, so neither finds the CPU's caches as a
    tight loop over one of them would leave them; in turns both find them alike.
    """
    events = bench.signed(alg)
    verifications = [bare_verification(bench.world.keys[alg], proof) for proof in bench.proofs(events)]
    owns, bares, policies = [], [], []
    for number in range(rounds + 1):
        bench.world.nonces.spent.clear()
        for event, verify in zip(events, verifications, strict=True):
            own, policy = bench.decide(event)
            started = time.thread_time_ns()
            verify()
            bare = time.thread_time_ns() - started
            if number:
                owns.append(own)
                bares.append(bare)
                policies.append(policy)
    own_us, bare_us, policy_us = (statistics.median(taken) / 1e3 for taken in (owns, bares, policies))
    beside = f"{own_us:.0f} µs beside {bare_us:.0f} µs bare verification; policy {policy_us:.0f} µs more"
    return ratio(alg, own_us, bare_us, limit=LIMIT, beside=beside)


def _parts(bench: Bench, alg: str, rounds: int) -> list[Figure]:
    """Time each part in a loop of its own: where a decision's time goes."""
    events = bench.signed(alg)
    verifier, world = bench.verifier, bench.world
    requests = [bench.request(event) for event in events]
    proofs = bench.proofs(events)
    keys = NonceKeys.from_secrets([SECRET])
    scope = [NonceScope(requests[0].authority, "none", bench.policy.bundle_sha256, OWN_API)]
    limits = {
        "lifetime_ms": verifier.issuer.limits.nonce_lifetime_ms,
        "skew_ms": verifier.issuer.limits.skew_ms,
    }
    public, suite = world.keys[alg].public_key_bytes, suites.get(alg)
    record = _record(bench, events[0])
    asked = _asked(requests[0], alg, world.keyids[alg])

    def each(run: Callable[[Any], object], items: list[Any]) -> Callable[[], object]:
        return lambda: [run(item) for item in items]

    taken = in_turns(
        rounds,
        {
            "event": each(bench.request, events),
            "proof": each(parse_proof, requests),
            "nonce": each(lambda p: check_nonce(keys, scope, p.nonce, now_ms=world.now_ms, **limits), proofs),
            "signature": each(lambda p: suite.verify(public, p.base, p.signature), proofs),
            "receipt": each(lambda _e: record.encode(), events),
            "transcript": each(lambda p: transcript_facts(p, requests[0].query, asked), proofs),
        },
    )
    texts = {
        "event": "gateway's event to one strict request",
        "proof": "Signature-Input, Signature, coverage, signature base",
        "nonce": "its MAC and times",
        "signature": "the suite: sizes, loaded key, verification",
        "receipt": "canonical JSON, checked as the sink will check it",
        "transcript": "what an attached API's allow commits to; not in the decision above",
    }
    return [
        Figure(f"· {name}", seconds * 1e6 / bench.requests, "µs", None, f"{alg}: {texts[name]}")
        for name, seconds in taken.items()
    ]


def _asked(request: Request, alg: str, keyid: str) -> Facts:
    """Return what policy is asked about a verified request."""
    return Facts(
        request.route_key,
        request.api_path,
        request.path_parameters,
        keyid,
        frozenset({"caller"}),
        alg,
        "none",
        None,
        BreakerState.CLOSED,
        BreakerLevel.FULL,
        500,
    )


def _record(bench: Bench, event: dict[str, Any]) -> DecisionRecord:
    bench.world.nonces.spent.clear()
    decision = bench.verifier.judge(decode(event), now_ms=bench.world.now_ms)
    context = decision.context
    return DecisionRecord(
        id=uuid7(bench.world.now_ms, bytes(10)),
        decided_at_ms=bench.world.now_ms,
        reason=decision.reason,
        emitter=Emitter("e" * 32, 1),
        authorizer_us=1,
        request=context.request,
        proof=context.proof,
        policy=context.policy,
        breaker=context.breaker,
    )
