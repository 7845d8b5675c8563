"""Registered callers: what the authorizer knows about a key id (protocol section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a client may be: a caller of protected routes, or an auditor who may fetch packs."""

    CALLER = "caller"
    AUDITOR = "auditor"


class Status(StrEnum):
    """Whether a client's key may be used at all."""

    ACTIVE = "active"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Client:
    """One registered key.

    Attributes:
        keyid: name the caller signs under; for hybrid suites derived from the public key.
        alg: suite name, exactly as in the ``alg`` parameter.
        public_key: raw public key in the suite's encoding (``signet.handshake.suites``).
        status: active or revoked.
        roles: what the client may do.
        routes: patterns ``METHOD /path`` where ``*`` in the path matches any text; empty: every route
            its roles allow.
        not_before: first second the key is valid (Unix seconds), or None.
        not_after: last second the key is valid (Unix seconds), or None.
    """

    keyid: str
    alg: str
    public_key: bytes
    status: Status = Status.ACTIVE
    roles: frozenset[Role] = frozenset({Role.CALLER})
    routes: tuple[str, ...] = ()
    not_before: int | None = None
    not_after: int | None = None
