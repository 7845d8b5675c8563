"""The request verifier: decides on one request. Cheap checks first, the signature late, the nonce last.

Order is the safety argument:

- No signature is verified before nonce, window, key, algorithm and budget hold. So garbage costs little.
- The breaker counts and sheds only what signature and policy have let pass. So no unverified caller moves it,
  or learns from it how the backend feels.
- No nonce is spent before that. So a forgery can never burn the nonce of another caller.
- If a step fails in any way, the answer is a refusal on record.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import NoReturn

from signet.breaker.callers import numbered
from signet.breaker.presented import Presented
from signet.breaker.rates import name_caller
from signet.core.client import Client
from signet.core.decision import Reason
from signet.core.errors import STOPS, Denied, MisconfiguredError, PolicyError, UnavailableError
from signet.core.ports import THROTTLED, BundleStore, ClientRegistry, NonceStore
from signet.core.rates import RateLimit
from signet.core.vocabulary import (
    BindingType,
    BreakerLevel,
    BreakerState,
    PolicyAction,
    bindings_at_least,
)
from signet.gateway.model import InboundRequest
from signet.handshake import detached
from signet.handshake.binding import Binding, check_binding, parse_binding
from signet.handshake.decision import UNKNOWN, DecisionContext, RequestDecision, blank_context, reason_of
from signet.handshake.issuer import ChallengeIssuer
from signet.handshake.principal import check_client, check_signature
from signet.handshake.proof import Proof, has_proof, parse_proof
from signet.handshake.recording import address_sha256, proof_facts
from signet.handshake.request import Request, recorded
from signet.handshake.transcript import transcript_facts
from signet.policy.engine import PolicyEngine, Verdict
from signet.policy.facts import INPUT_VERSION, Facts
from signet.policy.requirements import Requirements
from signet.policy.wanted import Seen
from signet.receipts.facts import ClientFacts, TranscriptFacts
from signet.receipts.model import BindingFacts, BreakerFacts, PolicyFacts, ProofFacts, RequestFacts


@dataclass(frozen=True, slots=True)
class RequestVerifier:
    """Decides on requests; holds no state of its own.

    Attributes:
        issuer: answers who is refused, and knows its nonces again.
        address_key: keys the hash of client addresses.
        caller_key: keys the names under which callers are counted.
        clients: registry, cached.
        nonces: spent nonces.
        bundles: what detached proofs left out of their header fields.
    """

    issuer: ChallengeIssuer
    address_key: bytes = field(repr=False)
    caller_key: bytes = field(repr=False)
    clients: ClientRegistry
    nonces: NonceStore
    bundles: BundleStore

    def judge(self, inbound: InboundRequest, *, now_ms: int) -> RequestDecision:
        """Decide on a request; never raises.

        Args:
            inbound: as its event was decoded.
            now_ms: Unix time in milliseconds.
        """
        context = None
        try:
            context = self._open_context(inbound, now_ms)
            return RequestDecision(self._verify(context, now_ms), "allowed", context)
        except STOPS:
            raise
        except BaseException as failure:  # noqa: BLE001 - every fault in here must end in a recorded refusal
            return self._refused(context or blank_context(inbound), failure, now_ms)

    def _refused(self, context: DecisionContext, failure: BaseException, now_ms: int) -> RequestDecision:
        """Turn a failure into a refusal; never raises. What cannot be added to it is left out."""
        reason, message, error = reason_of(failure)
        challenge = ""
        try:
            # Forgeries might bring about what fails before, copies of one proof that its nonce is throttled.
            # A store that fails now and then fails more often for more copies: they count once. And what a
            # person has to mend is no load that sparing the backend would take away.
            if (
                isinstance(failure, UnavailableError)
                and context.verified
                and failure.code not in {THROTTLED, MisconfiguredError.code}
            ):
                context.backend.failed(context.admission, now_ms, self._presented(context))
            challenge = self._challenge(context, reason, now_ms)
        except STOPS:
            raise
        except BaseException as further:  # noqa: BLE001 - as in judge
            error = error or further
        return RequestDecision(reason, message, context, challenge, error)

    def _challenge(self, context: DecisionContext, reason: Reason, now_ms: int) -> str:
        needs, authority = context.requirements, context.request.authority or ""
        challenge = self.issuer.challenge(
            context.inbound, context.connection, authority, needs, reason, now_ms=now_ms
        )
        return challenge.to_header()

    def _open_context(self, inbound: InboundRequest, now_ms: int) -> DecisionContext:
        connection = self.issuer.observe(inbound, now_ms=now_ms)
        authority, source_ip = inbound.authority, inbound.source_ip
        if connection.attested is not None:
            authority, source_ip = connection.attested.authority, connection.attested.src
        return DecisionContext(
            inbound=inbound,
            connection=connection,
            request=RequestFacts(
                method=recorded(inbound.method),
                authority=recorded(authority),
                path=recorded(inbound.shown_path),
                request_id=None if inbound.request_id is None else recorded(inbound.request_id),
                stage=recorded(inbound.stage),
                source_ip_hash=address_sha256(self.address_key, source_ip, now_ms),
            ),
            proof=ProofFacts(header_bytes=inbound.header_bytes),
            policy=PolicyFacts(),
            breaker=BreakerFacts(header_budget=self.issuer.limits.header_budget),
            admission=UNKNOWN,
        )

    def _verify(self, context: DecisionContext, now_ms: int) -> Reason:
        """Take all steps in order; returning means allowed, for the reason returned.

        1. Settle on one policy for all of this decision.
        2. Read the request: one reading, and the one that an edge attests.
        3. Ask what its route requires on the rung that the breaker of its backend has in force there.
        4. Demand a proof, and header fields within the budget.
        5. Parse the proof and the channel binding; nothing in them is verified yet.
        6. Hold what costs little: a rule for the route, the time, the algorithm, the nonce.
        7. Look the key up: usable here and now; an unknown one goes on, to take as long.
        8. Hold the binding against the connection that was observed.
        9. Fetch what a detached proof left out.
        10. Verify the signature.
        11. Ask the policy. What it denies spends the nonce: the caller's signature is on record for one
            decision. From here on the request is verified.
        12. Hold the caller to its rate limit. What is over it keeps its nonce, and is no load.
        13. Ask the breaker: a caller that is to blame for bad outcomes is shed before others are.
        14. Spend the nonce. The next one, and what the receipt commits to, are made before: a fault there
            spends none.
        15. Count the request against the limit, and as load: copies of a proof are neither. (What step 13
            sheds keeps its nonce, and is counted as load there: once in each environment that sheds it.)
        """
        issuer = self.issuer
        # 1
        engine = issuer.policy_in_force()
        context.policy = PolicyFacts(
            bundle_sha256=bytes.fromhex(engine.bundle_sha256), version=engine.version, input=INPUT_VERSION
        )
        # 2
        request = issuer.read(context.inbound, context.connection)
        context.request.authority, context.request.path = request.authority, request.path
        context.request.query_sha256, context.route = request.query_sha256, request.route
        # 3
        route = request.route_key
        at_rest = issuer.at_rest(engine, route)
        context.backend = issuer.breakers.of(at_rest.backend)
        context.admission = admission = context.backend.admit(now_ms)
        breaker = context.breaker = admission.facts
        breaker.name, breaker.header_budget = at_rest.backend, issuer.limits.header_budget
        needs, level = issuer.requirements(engine, route, admission, breaker.state or "")
        context.requirements, breaker.level = needs, level
        breaker.header_budget = issuer.limits.budget(needs)
        # 4
        self._demand_proof(request, context)
        # 5
        proof = self._parse(request, needs, context, engine.wanted.headers_of(request.api))
        presented = self._parse_binding(request, context)
        # 6
        self._check_cheaply(engine, request, proof, needs, now_ms)
        # 7
        client = self.clients.get(proof.keyid)
        context.client = None if client is None else ClientFacts()
        check_client(client, proof, request, now_ms)
        # 8
        check_binding(presented, required=needs.minimum_binding, observed=context.connection.bindings)
        # 9
        proof = detached.complete(proof, self.bundles, now=now_ms // 1000)
        # 10
        classical = level is BreakerLevel.CLASSICAL and BreakerLevel.CLASSICAL in needs.ladder
        reason = check_signature(client, proof, classical=classical)
        # 11
        asked, verdict = self._ask_policy(engine, client, request, context, now_ms)
        if not verdict.allowed:
            self._deny(verdict, transcript_facts(proof, request.query, asked), context, now_ms)
        context.verified, context.evidence = True, proof.evidence
        # 12
        bucket = b"" if needs.rate_limit is None else self._check_rate(needs.rate_limit, context)
        # 13
        self._check_breaker(needs, context, now_ms)
        # 14
        transcript = transcript_facts(proof, request.query, asked)
        context.next_nonce = issuer.next_nonce(engine, request, needs, now_ms=now_ms)
        try:
            self._spend(context, now_ms)
        except (Denied, UnavailableError):
            if context.load:  # else it was never counted
                context.backend.returned(context.admission)
            raise
        context.transcript = transcript
        # 15
        if needs.rate_limit is not None:
            context.backend.taken(needs.rate_limit, bucket)
        if context.load:
            context.backend.arrived(context.admission, now_ms)
        return reason

    def _demand_proof(self, request: Request, context: DecisionContext) -> None:
        if not has_proof(request):
            raise Denied(Reason.CHALLENGE_REQUIRED, "sign the request with the nonce of this challenge")
        if context.inbound.header_bytes > (context.breaker.header_budget or 0):
            raise Denied(Reason.HEADER_BUDGET_EXCEEDED, "the header fields are larger than the budget")

    def _check_cheaply(
        self, engine: PolicyEngine, request: Request, proof: Proof, needs: Requirements, now_ms: int
    ) -> None:
        if not engine.lists(request.route_key):
            raise Denied(Reason.NO_RULE, "the policy has no rule for this route")
        self._check_window(proof, now_ms)
        if proof.alg not in needs.allowed_algorithms:
            raise Denied(Reason.ALG_NOT_ALLOWED, "the algorithm is not allowed on this route")
        bindings = bindings_at_least(needs.minimum_binding)
        self.issuer.check_nonce(request, proof.nonce, bindings, now_ms=now_ms)

    def _spend(self, context: DecisionContext, now_ms: int) -> None:
        limits = self.issuer.limits
        spent_until = now_ms + 2 * (limits.nonce_lifetime_ms + limits.skew_ms)
        if not self.nonces.spend(context.nonce_sha256, expires_at=spent_until // 1000):
            raise Denied(Reason.NONCE_REPLAYED, "this proof was presented before")

    def _check_rate(self, limit: RateLimit, context: DecisionContext) -> bytes:
        """Return the name under which the caller is counted, unless that caller is over the limit.

        No token is taken yet: a copy of a proof, which others may have seen, takes none.
        """
        caller = self._name_of(context, limit.group)
        context.retry_after_s = context.backend.limited(limit, caller)
        if context.retry_after_s is not None:
            raise Denied(Reason.RATE_LIMITED, "this client calls more often than the policy lets it")
        return caller

    def _check_breaker(self, needs: Requirements, context: DecisionContext, now_ms: int) -> None:
        """Shed a verified request if the backend is to be spared; it counts as load all the same, once."""
        # A ladder may depend on the rung: asked on ``shed``, it may lack the rung that it had before.
        if BreakerLevel.SHED not in needs.ladder and context.breaker.level is not BreakerLevel.SHED:
            return
        number = numbered(self._name_of(context))
        caller, context.retry_after_s = context.backend.spared(number, now_ms)
        if context.retry_after_s is not None:
            raise Denied(Reason.CALLER_SHED, "this client's requests fail, or overload the backend")
        if context.admission.admitted and not caller.blamed:
            context.admission = context.backend.counted(context.admission, now_ms)
            if not context.admission.admitted:
                context.breaker.level, context.breaker.admission = context.admission.level, None
        if not context.admission.admitted:
            context.backend.turned_away(self._presented(context), now_ms)
            is_open = context.breaker.state is BreakerState.OPEN
            reason = Reason.BREAKER_OPEN if is_open else Reason.HALF_OPEN_FULL
            raise Denied(reason, "the backend is being spared; try again later")
        context.outcome_token = context.backend.outcome_token(
            context.admission, objective_ms=needs.latency_objective_ms, caller=caller
        )
        context.load = bool(context.outcome_token) and not caller.blamed

    def _name_of(self, context: DecisionContext, group: str = "") -> bytes:
        """Return the name under which the caller is counted at the backend, or there within a group."""
        return name_caller(self.caller_key, group, context.breaker.name or "", context.proof.keyid or "")

    def _presented(self, context: DecisionContext) -> Presented:
        limits = self.issuer.limits
        return Presented(context.nonce_sha256, limits.nonce_lifetime_ms + limits.skew_ms)

    def _parse(
        self, request: Request, needs: Requirements, context: DecisionContext, read: tuple[str, ...]
    ) -> Proof:
        proof = parse_proof(request, needs.required_components, read)
        context.covered = proof.components
        context.content_digest = context.request.content_digest = proof.content_digest
        context.proof = proof_facts(proof, context.inbound.header_bytes)
        context.nonce_sha256 = context.proof.nonce_sha256 or b""
        return proof

    def _parse_binding(self, request: Request, context: DecisionContext) -> Binding:
        presented = parse_binding(request.headers.get("pch-channel-binding"))
        if presented.value is not None:
            digest = hashlib.sha256(presented.value).digest()
            context.proof.binding = BindingFacts(BindingType(presented.type), digest)
        return presented

    def _check_window(self, proof: Proof, now_ms: int) -> None:
        limits = self.issuer.limits
        now, skew, lifetime = now_ms // 1000, limits.skew_ms // 1000, limits.nonce_lifetime_ms // 1000
        if not now - lifetime - skew <= proof.created <= now + skew:
            raise Denied(
                Reason.CREATED_OUT_OF_WINDOW, "the signature was not created just now; check the clock"
            )
        if not now - skew <= proof.expires or not proof.created < proof.expires <= proof.created + lifetime:
            raise Denied(Reason.CREATED_OUT_OF_WINDOW, "the signature has expired or lives too long")

    def _deny(
        self, verdict: Verdict, transcript: TranscriptFacts, context: DecisionContext, now_ms: int
    ) -> NoReturn:
        self._spend(context, now_ms)
        context.transcript = transcript
        raise Denied(Reason.POLICY_DENIED, "; ".join(verdict.reasons) or "the policy denies")

    def _ask_policy(
        self,
        engine: PolicyEngine,
        client: Client | None,
        request: Request,
        context: DecisionContext,
        now_ms: int,
    ) -> tuple[Facts, Verdict]:
        if client is None:  # cannot happen after check_signature; no allow without a principal, ever
            raise Denied(Reason.POLICY_DENIED, "there is no verified principal")
        try:
            facts = self._facts(engine, client, request, context, now_ms)
            verdict = engine.evaluate(facts)
        except PolicyError as error:
            raise Denied(Reason.POLICY_DENIED, "the policy could not be evaluated") from error
        context.policy.action = PolicyAction.ALLOW if verdict.allowed else PolicyAction.DENY
        return facts, verdict

    def _facts(
        self,
        engine: PolicyEngine,
        client: Client,
        request: Request,
        context: DecisionContext,
        now_ms: int,
    ) -> Facts:
        attested = context.connection.attested
        seen = Seen(
            api=request.api,
            query=context.inbound.query,
            headers=request.headers,
            covered=context.covered or (),
            content_digest=context.content_digest,
            source_ip=context.inbound.source_ip if attested is None else attested.src,
            now_ms=now_ms,
        )
        return Facts(
            request.route_key,
            request.api_path,
            request.path_parameters,
            client.keyid,
            client.roles,
            client.alg,
            context.proof.binding.type,
            context.proof.evidence_sha256,
            context.breaker.state,
            context.breaker.level,
            context.inbound.header_bytes,
            client.labels,
            **engine.wanted.of(seen),
        )
