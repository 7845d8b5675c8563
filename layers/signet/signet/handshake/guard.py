"""The guard: decides on one request. Cheap checks first, the signature late, the nonce last.

Order is the safety argument. No signature is verified before nonce, window, key, algorithm and budget
hold, so garbage costs little; the breaker counts and sheds only what signature and policy have let pass, so
that nobody unverified moves it, or learns from it how the backend feels; no nonce is spent before that, so a
forgery can never burn somebody's nonce; whatever goes wrong on the way, the answer is a refusal on record.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from signet.breaker.admission import Admission
from signet.breaker.keeper import Breaker
from signet.breaker.ladder import route_level
from signet.core.client import Client
from signet.core.decision import Reason
from signet.core.errors import Denied, PolicyError, UnavailableError
from signet.core.instants import MS_PER_DAY
from signet.core.ports import THROTTLED, BundleStore, ClientRegistry, NonceStore
from signet.core.vocabulary import (
    BINDING_TYPES,
    BindingType,
    BreakerLevel,
    BreakerState,
    PolicyAction,
    ProofMode,
    bindings_at_least,
)
from signet.crypto import suites
from signet.handshake import detached
from signet.handshake.binding import check_binding, parse_binding
from signet.handshake.challenge import (
    Challenge,
    NonceKeys,
    NonceScope,
    check_nonce,
    issue_nonce,
    nonce_sha256,
)
from signet.handshake.connection import Connection, observe
from signet.handshake.edge import EdgeKeys
from signet.handshake.gateway_event import mapping, read_paths, stage_prefix
from signet.handshake.principal import check_client, check_signature
from signet.handshake.proof import Proof, has_proof, parse_proof
from signet.handshake.request import Request, Site, read_event, read_fields
from signet.handshake.trail import Judgement, Trail, blank_trail, reason_of
from signet.policy.engine import Facts, PolicyEngine, PolicySource
from signet.policy.requirements import Requirements
from signet.receipts.model import BindingFacts, PolicyFacts, ProofFacts, RequestFacts

CHALLENGE_PATH = "/pch/challenge"
EVIDENCE_PATH = "/pch/evidence"
_MAX_ALG_CHARS = 64
_RUNGS = tuple(BreakerLevel)
# What ends the process; everything else, a panic of a parser in Rust included, is no way past a decision.
STOPS = (KeyboardInterrupt, SystemExit, GeneratorExit)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class GuardSettings:
    """How strict the guard is about time and size.

    Attributes:
        realm: name of the protected space, for the challenge.
        nonce_lifetime_ms: how long a challenge can be answered.
        skew_ms: how far a caller's clock may be off.
        header_budget: most bytes of header values; policy may set less.
        level: least rung of the ladder, however well the backend feels.
    """

    realm: str = "signet"
    nonce_lifetime_ms: int = 300_000
    skew_ms: int = 30_000
    header_budget: int = 8192
    level: BreakerLevel = BreakerLevel.FULL


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Guard:
    """Decides on requests; holds no state of its own.

    Attributes:
        site: where the API answers.
        settings: time and size limits.
        nonce_keys: MAC keys of the nonces.
        address_key: keys the hash of client addresses.
        policy: says which policy is in force.
        clients: registry, cached.
        nonces: spent nonces.
        bundles: what detached proofs left out of their header fields.
        breaker: how the backend feels, and what that means for a request.
        random: source of unpredictable bytes, such as ``os.urandom``.
        edge_keys: MAC keys of the edges; without any, every ``Signet-Edge`` field is refused.
    """

    site: Site
    settings: GuardSettings
    nonce_keys: NonceKeys
    address_key: bytes
    policy: PolicySource
    clients: ClientRegistry
    nonces: NonceStore
    bundles: BundleStore
    breaker: Breaker
    random: Callable[[int], bytes]
    edge_keys: EdgeKeys = field(default_factory=EdgeKeys)

    def judge(self, event: Mapping[str, Any], *, now_ms: int) -> Judgement:
        """Decide on a REQUEST authorizer event; never raises.

        Args:
            event: as API Gateway sent it.
            now_ms: Unix time in milliseconds.
        """
        trail = blank_trail()
        try:
            trail = self._open_trail(event, now_ms)
            return Judgement(self._check(event, trail, now_ms), "allowed", trail)
        except STOPS:
            raise
        except BaseException as failure:  # noqa: BLE001 - whatever is wrong in here must end in a recorded refusal
            return self._refused(event, trail, failure, now_ms)

    def _refused(
        self, event: Mapping[str, Any], trail: Trail, failure: BaseException, now_ms: int
    ) -> Judgement:
        """Turn a failure into a refusal; never raises. What cannot be added to it is left out."""
        reason, message, error = reason_of(failure)
        challenge = ""
        try:
            # Forgeries might bring about what fails before; copies of one proof, that its nonce is throttled.
            if isinstance(failure, UnavailableError) and trail.verified and failure.code != THROTTLED:
                self.breaker.failed(trail.admission, now_ms)
            challenge = self.challenge(event, trail, reason, now_ms=now_ms)
        except STOPS:
            raise
        except BaseException as further:  # noqa: BLE001 - as in judge
            error = error or further
        return Judgement(reason, message, trail, challenge, error)

    def issue(
        self, event: Mapping[str, Any], *, now_ms: int, reason: Reason = Reason.CHALLENGE_REQUIRED
    ) -> str:
        """Return a challenge for an endpoint that judges no request; its nonce is good on every route."""
        trail = self._open_trail(event, now_ms)
        engine = self._settle_policy(trail)
        trail.requirements = self._requirements(engine, f"GET {CHALLENGE_PATH}", trail)
        return self.challenge(event, trail, reason, now_ms=now_ms)

    def admit(self, event: Mapping[str, Any], nonce: str, *, now_ms: int) -> None:
        """Check a nonce that comes without a proof: ours, for this authority, alive. It is not spent.

        Behind an edge the authority is the attested one, as it is when the challenge is issued.

        Raises:
            Denied: ``malformed``, ``edge_attestation_invalid``, ``nonce_invalid`` or ``nonce_expired``.
        """
        fields = read_fields(event)
        connection = observe(event, fields, keys=self.edge_keys, now_ms=now_ms)
        if connection.refusal is not None:
            raise connection.refusal
        request = Request.from_event(event, fields, self.site, connection.attested)
        self._check_nonce(request.authority, nonce, BINDING_TYPES, now_ms)

    def challenge(self, event: Mapping[str, Any], trail: Trail, reason: Reason, *, now_ms: int) -> str:
        """Return a fresh challenge for the request's route, as a ``WWW-Authenticate`` value."""
        needs, prefix = trail.requirements, self._prefix(event, trail.connection)
        bound = needs.minimum_binding if needs else BINDING_TYPES[1]
        scope = NonceScope(trail.facts.authority.lower(), bound, self.policy.epoch)
        return Challenge(
            realm=self.settings.realm,
            nonce=issue_nonce(self.nonce_keys, scope, now_ms=now_ms, random=self.random(16)),
            algs=needs.allowed_algorithms if needs else suites.NAMES,
            binding=bound,
            header_budget=self._budget(needs),
            challenge_uri=prefix + CHALLENGE_PATH,
            evidence_uri=prefix + EVIDENCE_PATH,
            error=reason.value,
            components=needs.required_components if needs else (),
            max_age=self.settings.nonce_lifetime_ms // 1000,
        ).to_header()

    def _open_trail(self, event: Mapping[str, Any], now_ms: int) -> Trail:
        fields = read_fields(event)
        facts = read_event(event, fields)
        connection = observe(event, fields, keys=self.edge_keys, now_ms=now_ms)
        if connection.attested is not None:
            facts = replace(facts, authority=connection.attested.authority, source_ip=connection.attested.src)
        admission = self.breaker.admit(now_ms)
        breaker = admission.facts
        breaker.level, breaker.header_budget = admission.level, self.settings.header_budget
        address = _address_mac(self.address_key, now_ms // MS_PER_DAY).copy()
        address.update(facts.source_ip.encode())
        return Trail(
            fields=fields,
            facts=facts,
            connection=connection,
            request=RequestFacts(
                method=facts.method,
                authority=facts.authority,
                path=facts.path,
                request_id=facts.request_id,
                stage=facts.stage,
                source_ip_hash=address.digest(),
            ),
            proof=ProofFacts(header_bytes=facts.header_bytes),
            policy=PolicyFacts(),
            breaker=breaker,
            admission=admission,
        )

    def _prefix(self, event: Mapping[str, Any], connection: Connection) -> str:
        """Return what stands before the API's own paths in what a client addresses: stage, mapping."""
        api_id = str(mapping(event.get("requestContext")).get("apiId", ""))
        attested = connection.attested
        try:
            paths = read_paths(event)
        except Denied:  # refused, and challenged all the same
            return "" if attested else self.site.client_path(stage_prefix(event), api_id)
        return paths.prefix_of(attested.path if attested else self.site.client_path(paths.reported, api_id))

    def _budget(self, needs: Requirements | None) -> int:
        return min(self.settings.header_budget, needs.header_budget if needs else self.settings.header_budget)

    def _check(self, event: Mapping[str, Any], trail: Trail, now_ms: int) -> Reason:
        """Run all checks in order; returning means allowed, for the reason returned."""
        engine = self._settle_policy(trail)
        if trail.connection.refusal is not None:
            raise trail.connection.refusal
        request = Request.from_event(event, trail.fields, self.site, trail.connection.attested)
        trail.request.authority, trail.request.path = request.authority, request.path
        trail.request.query_sha256 = request.query_sha256
        needs = self._requirements(engine, request.route, trail)
        trail.requirements = needs
        trail.breaker.header_budget = budget = self._budget(needs)
        if not has_proof(request):
            raise Denied("sign the request with the nonce of this challenge", code="challenge_required")
        if trail.facts.header_bytes > budget:
            raise Denied("the header fields are larger than the budget", code="header_budget_exceeded")
        proof = self._parse(request, needs, trail)
        presented = parse_binding(request.headers.get("pch-channel-binding"))
        if presented.value is not None:
            digest = hashlib.sha256(presented.value).digest()
            trail.proof.binding = BindingFacts(BindingType(presented.type), digest)
        if not engine.lists(request.route):
            raise Denied("the policy has no rule for this route", code="no_rule")
        self._check_window(proof, now_ms)
        if proof.alg not in needs.allowed_algorithms:
            raise Denied("the algorithm is not allowed on this route", code="alg_not_allowed")
        self._check_nonce(request.authority, proof.nonce, bindings_at_least(needs.minimum_binding), now_ms)
        client = self.clients.get(proof.keyid)
        check_client(client, proof, request, now_ms)
        check_binding(presented, required=needs.minimum_binding, observed=trail.connection.bindings)
        proof = detached.complete(proof, self.bundles, now=now_ms // 1000)
        classical = trail.breaker.level is BreakerLevel.CLASSICAL and BreakerLevel.CLASSICAL in needs.ladder
        reason = check_signature(client, proof, classical=classical)
        self._check_policy(engine, client, request, trail)
        trail.verified = True
        trail.evidence = proof.evidence
        self._check_breaker(needs, trail, now_ms)
        spent_until = now_ms + 2 * (self.settings.nonce_lifetime_ms + self.settings.skew_ms)
        if not self.nonces.spend(trail.nonce_sha256, expires_at=spent_until // 1000):
            raise Denied("this proof was presented before", code="nonce_replayed")
        if trail.credit:  # only now: copies of a proof are no load
            self.breaker.arrived(now_ms)
        return reason

    def _settle_policy(self, trail: Trail) -> PolicyEngine:
        """Return the one policy for all of this decision, whatever follows it meanwhile; put it on record."""
        try:
            engine = self.policy.current()
        except PolicyError as error:
            raise Denied("the policy in force could not be loaded", code="policy_denied") from error
        trail.policy = PolicyFacts(bundle_sha256=bytes.fromhex(engine.bundle_sha256))
        return engine

    def _requirements(self, engine: PolicyEngine, route: str, trail: Trail) -> Requirements:
        """Return what the route requires on the rung in force there: its ladder says which it may take."""
        state = trail.breaker.state or ""
        try:
            needs = engine.requirements(route, state=state, level=trail.admission.level)
            trail.breaker.level = level = self._level(trail.admission, needs)
            if level is not trail.admission.level:
                needs = engine.requirements(route, state=state, level=level)
        except PolicyError as error:
            raise Denied("the policy could not be evaluated", code="policy_denied") from error
        return needs

    def _level(self, admission: Admission, needs: Requirements) -> BreakerLevel:
        shed = not admission.admitted and BreakerLevel.SHED in needs.ladder
        level = BreakerLevel.SHED if shed else admission.rung
        return max(route_level(level, needs.ladder), self.settings.level, key=_RUNGS.index)

    def _check_breaker(self, needs: Requirements, trail: Trail, now_ms: int) -> None:
        """Shed a verified request if the backend is to be spared; it is counted as load all the same."""
        # A ladder may depend on the rung: asked on ``shed``, it may lack the rung that it had before.
        if BreakerLevel.SHED not in needs.ladder and trail.breaker.level is not BreakerLevel.SHED:
            return
        if not trail.admission.admitted:
            self.breaker.arrived(now_ms)
            code = "breaker_open" if trail.breaker.state is BreakerState.OPEN else "half_open_full"
            raise Denied("the backend is being spared; try again later", code=code)
        trail.credit = self.breaker.outcome_token(trail.admission, objective_ms=needs.latency_objective_ms)

    def _parse(self, request: Request, needs: Requirements, trail: Trail) -> Proof:
        proof = parse_proof(request, needs.required_components)
        trail.covered = proof.components
        trail.content_digest = trail.request.content_digest = proof.content_digest
        trail.nonce_sha256 = nonce_sha256(proof.nonce)
        trail.proof = ProofFacts(
            keyid=proof.keyid,
            alg=proof.alg[:_MAX_ALG_CHARS],
            mode=ProofMode.INLINE if proof.bundle_sha256 is None else ProofMode.DETACHED,
            nonce_sha256=trail.nonce_sha256,
            created=proof.created if proof.created >= 0 else None,
            header_bytes=trail.facts.header_bytes,
            evidence_sha256=bytes.fromhex(proof.evidence_sha256) if proof.evidence_sha256 else None,
        )
        return proof

    def _check_window(self, proof: Proof, now_ms: int) -> None:
        now, skew = now_ms // 1000, self.settings.skew_ms // 1000
        lifetime = self.settings.nonce_lifetime_ms // 1000
        if not now - lifetime - skew <= proof.created <= now + skew:
            raise Denied(
                "the signature was not created just now; check the clock", code="created_out_of_window"
            )
        if not now - skew <= proof.expires or not proof.created < proof.expires <= proof.created + lifetime:
            raise Denied("the signature has expired or lives too long", code="created_out_of_window")

    def _check_nonce(self, authority: str, nonce: str, bindings: tuple[str, ...], now_ms: int) -> None:
        epoch = self.policy.epoch
        check_nonce(
            self.nonce_keys,
            (NonceScope(authority, bound, epoch) for bound in bindings),
            nonce,
            now_ms=now_ms,
            lifetime_ms=self.settings.nonce_lifetime_ms,
            skew_ms=self.settings.skew_ms,
        )

    def _check_policy(
        self, engine: PolicyEngine, client: Client | None, request: Request, trail: Trail
    ) -> None:
        if client is None:  # cannot happen after check_signature; no allow without a principal, ever
            raise Denied("there is no verified principal", code="policy_denied")
        facts = Facts(
            request.route,
            client.keyid,
            client.roles,
            client.alg,
            trail.proof.binding.type,
            trail.proof.evidence_sha256,
            trail.breaker.state,
            trail.breaker.level,
            trail.facts.header_bytes,
        )
        try:
            verdict = engine.judge(facts)
        except PolicyError as error:
            raise Denied("the policy could not be evaluated", code="policy_denied") from error
        trail.policy.action = PolicyAction.ALLOW if verdict.allowed else PolicyAction.DENY
        if not verdict.allowed:
            raise Denied("; ".join(verdict.reasons) or "the policy denies", code="policy_denied")


@lru_cache(maxsize=2)
def _address_mac(address_key: bytes, day: int) -> hmac.HMAC:
    """Return what hashes client addresses on one day (days since 1970), to be copied for each."""
    key = hmac.digest(address_key, str(day).encode(), hashlib.sha256)
    return hmac.new(key, digestmod=hashlib.sha256)
