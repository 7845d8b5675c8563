"""The record of a registered caller, and what a key id looks like."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from signet.core.vocabulary import Role

#: What a key id looks like.
KEYID = re.compile(r"[A-Za-z0-9._:+/=@-]{1,128}")
#: What a role looks like: a free word, such as ``caller`` or ``write:orders``.
ROLE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,62}")
#: What the name of a label looks like.
LABEL_NAME = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
#: What its value looks like: printable, no space at its ends.
LABEL_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?")
#: Most roles, and most labels, of one client.
MAX_ROLES = MAX_LABELS = 16


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
        public_key: raw public key in the suite's encoding (``signet.crypto.suites``).
        status: active or revoked.
        roles: what the client may do: free words that policies name.
        routes: patterns ``METHOD /path`` where ``*`` in the path matches any text; empty: every route
            its roles allow.
        not_before: first second the key is valid (Unix seconds), or None.
        not_after: last second the key is valid (Unix seconds), or None.
        labels: free attributes that policies read, such as the tenant: name and value, names sorted.
    """

    keyid: str
    alg: str
    public_key: bytes
    status: Status = Status.ACTIVE
    roles: frozenset[str] = frozenset({Role.CALLER})
    routes: tuple[str, ...] = ()
    not_before: int | None = None
    not_after: int | None = None
    labels: tuple[tuple[str, str], ...] = ()

    def may_use(self, method: str, path: str) -> bool:
        """Tell whether one of the client's route patterns matches; without patterns, every route does."""
        if not self.routes:
            return True
        return any(_matches(pattern, f"{method} {path}") for pattern in self.routes)


def _matches(pattern: str, route: str) -> bool:
    """Match literally but for ``*``; linear in the length of the route, for every pattern."""
    first, *rest = pattern.split("*")
    if not rest:
        return route == pattern
    if not route.startswith(first):
        return False
    position, last = len(first), rest.pop()
    for part in rest:
        found = route.find(part, position)
        if found < 0:
            return False
        position = found + len(part)
    return len(route) - position >= len(last) and route.endswith(last)
