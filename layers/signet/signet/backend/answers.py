"""What every guard adds to the application's answer: the caller's next nonce, and its request's receipt."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

NONCE_FIELD: Final = "Signet-Nonce"
RECEIPT_FIELD: Final = "Signet-Receipt"

_CACHING = "Cache-Control"
_EXPOSING = "Access-Control-Expose-Headers"
_FORM: Final = re.compile(r"[0-9A-Za-z_-]{1,128}")
#: Directives under which no cache gives an answer to another caller (RFC 9111 section 5.2.2).
_KEPT_APART: Final = frozenset({"no-store", "private"})


def told(facts: Mapping[str, Any], fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the fields to set on an answer, each in the place of one that has its name.

    A cache must give the nonce to no other caller. So an answer that says nothing of caches is not stored,
    and one that shared caches may store stays as it is. Where the application lets scripts of other origins
    read its answers, they can read these fields too.

    Args:
        facts: the verified ones: ``nonce`` and ``receipt_id``; a value of another form is left out.
        fields: those of the application's answer, one pair for each line.
    """
    lines: dict[str, list[str]] = {}
    for name, value in fields:
        lines.setdefault(name.lower(), []).append(value)
    added = {
        name: value
        for name, value in ((NONCE_FIELD, facts.get("nonce")), (RECEIPT_FIELD, facts.get("receipt_id")))
        if isinstance(value, str) and _FORM.fullmatch(value) and name.lower() not in lines
    }
    caching = _members(lines.get(_CACHING.lower(), ()))
    if not added or (caching and not _KEPT_APART & {member.lower() for member in caching}):
        return {}
    names = list(added)
    if not caching:
        added[_CACHING] = "no-store"
    if "access-control-allow-origin" in lines:
        exposed = _members(lines.get(_EXPOSING.lower(), ()))
        added[_EXPOSING] = ", ".join([*exposed, *names])
    return added


def with_fields(fields: Iterable[tuple[str, str]], added: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return an answer's lines with some fields set."""
    replaced = {name.lower() for name in added}
    return [line for line in fields if line[0].lower() not in replaced] + list(added.items())


def _members(values: Iterable[str]) -> list[str]:
    return [member for value in values for part in value.split(",") if (member := part.strip())]
