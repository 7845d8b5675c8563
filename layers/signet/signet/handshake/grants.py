"""What a backend is told of a request that is let through, beside who asked: where, and by whose word."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signet.breaker.ticket import PURPOSE, issue_ticket
from signet.core.apis import OWN_API
from signet.handshake.assertion import MAX_CHARS, AssertedFacts, assertion_key, make_assertion
from signet.handshake.challenge import derive_key
from signet.handshake.decision import DecisionContext

#: What ``RequestFacts.query_sha256`` is of a request without a query.
_NO_QUERY: Final = hashlib.sha256(b"?").digest()


@dataclass(frozen=True, slots=True)
class Grants:
    """Makes assertions and tickets.

    Attributes:
        assertion_key: signs assertions.
        ticket_key: authenticates tickets, 32 bytes.
    """

    assertion_key: Ed25519PrivateKey
    ticket_key: bytes = field(repr=False)

    @classmethod
    def from_secrets(cls, secrets: Sequence[bytes]) -> Grants:
        """Derive both keys from the newest of the deployment's secrets, which is the first."""
        return cls(assertion_key(secrets[0]), derive_key(secrets[0], PURPOSE))

    def told(self, context: DecisionContext, receipt_id: str, *, now_ms: int) -> dict[str, str]:
        """Return the members ``api``, ``route``, ``breaker`` and ``assertion`` of the authorizer's context.

        ``breaker`` is there where an outcome is wanted. ``assertion`` is there for attached APIs: Signet's
        own backends are Lambda functions that its gateway alone invokes. One that would be longer than
        guards read is left out: they refuse the request then, and say that it lacks one.

        Args:
            context: of a request that is let through.
            receipt_id: of the decision.
            now_ms: Unix milliseconds.
        """
        api, now_s = context.inbound.api, now_ms // 1000
        if api is None:  # no request to an unknown API is let through
            return {}
        route = f"{context.inbound.method} {context.inbound.resource}"
        told = {"api": api.name, "route": route}
        if context.outcome_token:
            told["breaker"] = issue_ticket(self.ticket_key, context.outcome_token, receipt_id, now_s=now_s)
        if api.name != OWN_API:
            facts = _facts(context, api.name, route, receipt_id, told.get("breaker"))
            assertion = make_assertion(self.assertion_key, facts, now_s)
            if len(assertion) <= MAX_CHARS:
                told["assertion"] = assertion
        return told


def _facts(
    context: DecisionContext, api: str, route: str, receipt_id: str, ticket: str | None
) -> AssertedFacts:
    query = context.request.query_sha256 or _NO_QUERY
    return AssertedFacts(
        api=api,
        route=route,
        method=context.inbound.method,
        path=unquote(context.inbound.own_path, errors="replace"),
        query_sha256=None if query == _NO_QUERY else query.hex(),
        keyid=context.proof.keyid or "",
        alg=context.proof.alg or "",
        content_digest=context.content_digest,
        receipt_id=receipt_id,
        ticket=ticket,
        nonce=context.next_nonce or None,
    )
