"""Challenges: what a caller is asked for, and a nonce to answer with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from signet.breaker.admission import Admission
from signet.breaker.asked import Breaker
from signet.breaker.ladder import route_level
from signet.breaker.pool import Breakers
from signet.core.apis import OWN_API
from signet.core.decision import Reason
from signet.core.errors import Denied, PolicyError
from signet.core.target import canonical_query
from signet.core.vocabulary import BINDING_TYPES, BreakerLevel
from signet.crypto import suites
from signet.gateway.model import InboundRequest
from signet.handshake.asked import Asked
from signet.handshake.challenge import (
    RANDOM_BYTES,
    Challenge,
    NonceKeys,
    NonceScope,
    check_nonce,
    issue_nonce,
)
from signet.handshake.connection import Connection, observe
from signet.handshake.edge import EdgeKeys
from signet.handshake.request import Request, Site, recorded, registered
from signet.policy.engine import CHALLENGE_ROUTE, PolicyEngine, PolicySource
from signet.policy.requirements import Requirements
from signet.policy.routes import api_and_route, route_key

CHALLENGE_PATH = "/pch/challenge"
EVIDENCE_PATH = "/pch/evidence"
_RUNGS = tuple(BreakerLevel)


@dataclass(frozen=True, slots=True)
class Limits:
    """How strict the handshake is about time and size.

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

    def budget(self, needs: Requirements | None) -> int:
        """Return how many bytes of header values a route takes."""
        return self.header_budget if needs is None else min(self.header_budget, needs.header_budget)


@dataclass(frozen=True, slots=True)
class ChallengeIssuer:
    """Issues challenges and knows their nonces again; holds no state of its own.

    Attributes:
        site: where the API answers.
        limits: of time and size.
        nonce_keys: MAC keys of the nonces.
        policy: says which policy is in force.
        breakers: how each backend feels.
        random: source of unpredictable bytes, such as ``os.urandom``.
        edge_keys: MAC keys of the edges; without any, every ``Signet-Edge`` field is refused.
        own_url: returns the URL of Signet's own API, stage included: requests to another API are told to find
            its endpoints there. None for who answers at that API itself.
    """

    site: Site
    limits: Limits
    nonce_keys: NonceKeys
    policy: PolicySource
    breakers: Breakers
    random: Callable[[int], bytes]
    edge_keys: EdgeKeys = field(default_factory=EdgeKeys)
    own_url: Callable[[], str] | None = None

    def issue(
        self,
        inbound: InboundRequest,
        asked: Asked | None = None,
        *,
        now_ms: int,
        reason: Reason = Reason.CHALLENGE_REQUIRED,
    ) -> Challenge:
        """Return a challenge for an endpoint that judges no request.

        Its nonces are good on every route of the API; if a route was named that the policy lists, on those
        that demand no more than that one. A route that the policy does not list is none that was named.

        Args:
            inbound: the request to Signet's own API.
            asked: what it asks for; None for one nonce of the API that was called.
            now_ms: Unix time in milliseconds.
            reason: why it is challenged.

        Raises:
            Denied: ``unknown_api``; ``policy_denied``: no policy is in force, or it cannot be evaluated.
            UnavailableError: the policy in force cannot be read.
        """
        asked = Asked(registered(inbound)) if asked is None else asked
        connection, engine = self.observe(inbound, now_ms=now_ms), self.policy_in_force()
        # Only listed routes have requirements of their own that are remembered: strangers name any.
        route = route_key(asked.api.name, asked.route or CHALLENGE_ROUTE)
        if not engine.lists(route) or api_and_route(route)[0] != asked.api.name:
            route = route_key(asked.api.name, CHALLENGE_ROUTE)
        admission = self.breaker(engine, route).admit(now_ms)
        needs, _ = self.requirements(engine, route, admission, admission.facts.state or "")
        attested = connection.attested
        called = recorded(inbound.authority) if attested is None else attested.authority
        authority = asked.authority or called
        made = self.challenge(
            replace(inbound, api=asked.api), connection, authority, needs, reason, now_ms=now_ms
        )
        further = (
            self._nonce(asked.api.name, authority, made.binding, now_ms) for _ in range(asked.count - 1)
        )
        prefix = self._prefix(inbound, connection)  # the request came to these endpoints themselves
        return replace(
            made,
            challenge_uri=prefix + CHALLENGE_PATH + asked.query,
            evidence_uri=prefix + EVIDENCE_PATH + asked.query,
            further=tuple(further),
        )

    def challenge_uri(self, inbound: InboundRequest, *, now_ms: int) -> str:
        """Return where challenges are, as a path on the origin of a request to Signet's own API."""
        return self._prefix(inbound, self.observe(inbound, now_ms=now_ms)) + CHALLENGE_PATH

    def admit(self, inbound: InboundRequest, nonce: str, asked: Asked | None = None, *, now_ms: int) -> None:
        """Check a nonce that comes without a proof: ours, for this authority, alive. It is not spent.

        Behind an edge the authority is the attested one, as it is when the challenge is issued.

        Args:
            inbound: the request to Signet's own API.
            nonce: as it came.
            asked: for which API, and which name of it; None for the one that was called.
            now_ms: Unix time in milliseconds.

        Raises:
            Denied: ``malformed``, ``edge_attestation_invalid``, ``nonce_invalid`` or ``nonce_expired``.
        """
        request = self.read(inbound, self.observe(inbound, now_ms=now_ms))
        api, authority = request.api, request.authority
        if asked is not None:
            api, authority = asked.api.name, asked.authority or authority
        self._check_nonce(authority, api, nonce, BINDING_TYPES, now_ms)

    def challenge(
        self,
        inbound: InboundRequest,
        connection: Connection,
        authority: str,
        needs: Requirements | None,
        reason: Reason,
        *,
        now_ms: int,
    ) -> Challenge:
        """Return a fresh challenge.

        Args:
            inbound: who is challenged.
            connection: what was observed of its connection.
            authority: what the nonce will be good for.
            needs: what the route requires; None if that is not known.
            reason: why it is challenged.
            now_ms: Unix time in milliseconds.

        Raises:
            UnavailableError: it is not known where Signet's own API is.
        """
        prefix, query = self._endpoints(inbound, connection, authority)
        bound = needs.minimum_binding if needs else BINDING_TYPES[1]
        api = "" if inbound.api is None else inbound.api.name  # without one, a nonce is good for nothing
        return Challenge(
            realm=self.limits.realm,
            nonce=self._nonce(api, authority, bound, now_ms),
            algs=needs.allowed_algorithms if needs else suites.NAMES,
            binding=bound,
            header_budget=self.limits.budget(needs),
            challenge_uri=prefix + CHALLENGE_PATH + query,
            evidence_uri=prefix + EVIDENCE_PATH + query,
            error=reason.value,
            components=needs.required_components if needs else (),
            max_age=self.limits.nonce_lifetime_ms // 1000,
        )

    def next_nonce(self, engine: PolicyEngine, request: Request, needs: Requirements, *, now_ms: int) -> str:
        """Return the nonce for the caller's next request to the same API, on any route.

        It is for the strongest binding that the API demands anywhere, as the challenge endpoint's are; for
        the route's own where the policy does not say that.
        """
        bound = engine.strongest_binding(request.api) or needs.minimum_binding
        return self._nonce(request.api, request.authority, bound, now_ms)

    def observe(self, inbound: InboundRequest, *, now_ms: int) -> Connection:
        """Return what can be observed of a request's connection; never fails."""
        return observe(inbound, keys=self.edge_keys, now_ms=now_ms)

    def read(self, inbound: InboundRequest, connection: Connection) -> Request:
        """Return the request that is asked for.

        Raises:
            Denied: ``malformed`` or ``edge_attestation_invalid``.
        """
        if connection.refusal is not None:
            raise connection.refusal
        return Request.read(inbound, self.site, connection.attested)

    def check_nonce(self, request: Request, nonce: str, bindings: tuple[str, ...], *, now_ms: int) -> None:
        """Check that a nonce was issued here for this API and authority and one of these bindings, lately.

        Raises:
            Denied: ``nonce_invalid`` or ``nonce_expired``.
        """
        self._check_nonce(request.authority, request.api, nonce, bindings, now_ms)

    def _nonce(self, api: str, authority: str, bound: str, now_ms: int) -> str:
        scope = NonceScope(authority.lower(), bound, self.policy.epoch, api)
        return issue_nonce(self.nonce_keys, scope, now_ms=now_ms, random=self.random(RANDOM_BYTES))

    def _check_nonce(
        self, authority: str, api: str, nonce: str, bindings: tuple[str, ...], now_ms: int
    ) -> None:
        epoch = self.policy.epoch
        check_nonce(
            self.nonce_keys,
            (NonceScope(authority, bound, epoch, api) for bound in bindings),
            nonce,
            now_ms=now_ms,
            lifetime_ms=self.limits.nonce_lifetime_ms,
            skew_ms=self.limits.skew_ms,
        )

    def policy_in_force(self) -> PolicyEngine:
        """Return the one policy for all of a decision, also if another takes over meanwhile.

        Raises:
            Denied: ``policy_denied``: it could not be loaded.
        """
        try:
            return self.policy.current()
        except PolicyError as error:
            raise Denied(Reason.POLICY_DENIED, "the policy in force could not be loaded") from error

    def breaker(self, engine: PolicyEngine, route: str) -> Breaker:
        """Return the breaker of what a route calls.

        Raises:
            Denied: ``policy_denied``: the policy could not be evaluated.
        """
        return self.breakers.of(self.at_rest(engine, route).backend)

    def at_rest(self, engine: PolicyEngine, route: str) -> Requirements:
        """Return what a route (its key) requires while nothing is wrong, with the name of what it calls.

        Raises:
            Denied: ``policy_denied``: the policy could not be evaluated.
        """
        try:
            return engine.at_rest(route)
        except PolicyError as error:
            raise Denied(Reason.POLICY_DENIED, "the policy could not be evaluated") from error

    def requirements(
        self, engine: PolicyEngine, route: str, admission: Admission, state: str
    ) -> tuple[Requirements, BreakerLevel]:
        """Return what a route (its key) requires, and the rung in force there, which its ladder allows.

        Raises:
            Denied: ``policy_denied``: the policy could not be evaluated.
        """
        try:
            needs = engine.requirements(route, state=state, level=admission.level)
            level = self._level(admission, needs)
            if level is not admission.level:
                needs = engine.requirements(route, state=state, level=level)
        except PolicyError as error:
            raise Denied(Reason.POLICY_DENIED, "the policy could not be evaluated") from error
        return needs, level

    def _level(self, admission: Admission, needs: Requirements) -> BreakerLevel:
        shed = not admission.admitted and BreakerLevel.SHED in needs.ladder
        level = route_level(BreakerLevel.SHED if shed else admission.rung, needs.ladder)
        least = self.limits.level
        return level if least is BreakerLevel.FULL else max(level, least, key=_RUNGS.index)

    def _endpoints(self, inbound: InboundRequest, connection: Connection, authority: str) -> tuple[str, str]:
        """Return what stands before and after the paths of Signet's endpoints for a caller of this API.

        At another API than Signet's own they do not answer, so the URL is a whole one.
        """
        api = inbound.api
        if self.own_url is None or (api is not None and api.name == OWN_API):
            return self._prefix(inbound, connection), ""
        if api is None:  # no challenge is good for what is not registered
            return self.own_url(), ""
        named = [("api", [api.name])]
        if self.site.accepts(authority.lower(), api):
            named.append(("authority", [authority.lower()]))
        return self.own_url(), canonical_query(named)

    def _prefix(self, inbound: InboundRequest, connection: Connection) -> str:
        """Return what stands before the API's own paths in what a client addresses: stage, mapping."""
        attested = connection.attested
        if not inbound.path:  # refused, and challenged all the same
            return "" if attested else self.site.client_path(inbound.shown_prefix, inbound.api_id)
        addressed = attested.path if attested else self.site.client_path(inbound.path, inbound.api_id)
        return inbound.prefix_of(addressed)
