"""What a receipt must look like: every member of ``docs/formats.md``, and no other.

The sink checks with it before a receipt enters a chain, a verifier after it left: both refuse what
they do not know, because a member that one side ignores is a place to tell two stories.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from signet.errors import CanonicalError
from signet.handshake.decision import Reason
from signet.receipts.canonical import MAX_INTEGER
from signet.receipts.instants import is_uuid7, parse_utc_millis

#: Most bytes of a receipt in the log (C2SP tlog-tiles: an entry's length has 16 bits).
MAX_RECEIPT_BYTES: Final = 65_535
#: What the ``chain`` member can add at most, its numbers at their largest.
CHAIN_MEMBER_BYTES: Final = 160
#: Most bytes of a receipt on its way to the sink.
MAX_MESSAGE_BYTES: Final = MAX_RECEIPT_BYTES - CHAIN_MEMBER_BYTES

DECISION_TYPE: Final = "pch.decision"
TYPES: Final = frozenset({DECISION_TYPE, "key.rotated", "breaker.transition", "policy.changed"})

_HASH_BYTES = 32
_HEX64 = re.compile(r"[0-9a-f]{64}").fullmatch
_HEX32 = re.compile(r"[0-9a-f]{32}").fullmatch
_DECISION_OF = {reason.value: reason.decision.value for reason in Reason}

# One check per member: False where the value cannot stand there.
_Check = Callable[[Any], object]


def _text(value: Any) -> bool:
    return type(value) is str


def _text_or_null(value: Any) -> bool:
    return value is None or type(value) is str


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= MAX_INTEGER


def _count_or_null(value: Any) -> bool:
    return value is None or (type(value) is int and 0 <= value <= MAX_INTEGER)


def _integer_or_null(value: Any) -> bool:
    return value is None or (type(value) is int and -MAX_INTEGER <= value <= MAX_INTEGER)


def _sha256(value: Any) -> object:
    return type(value) is str and _HEX64(value)


def _sha256_or_null(value: Any) -> object:
    return value is None or (type(value) is str and _HEX64(value))


def _emitter_id(value: Any) -> object:
    return type(value) is str and _HEX32(value)


def _receipt_id(value: Any) -> bool:
    return type(value) is str and is_uuid7(value)


def _time(value: Any) -> bool:
    if type(value) is not str:
        return False
    try:
        parse_utc_millis(value)
    except CanonicalError:
        return False
    return True


def _version(value: Any) -> bool:
    return type(value) is int and value == 1


def _hash_base64(value: Any) -> bool:
    """One encoding only: the standard alphabet, padded, no bits beyond the 32 bytes."""
    if type(value) is not str:
        return False
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(decoded) == _HASH_BYTES and base64.b64encode(decoded).decode() == value


def _one_of(*values: str | None) -> _Check:
    known = frozenset(values)

    def check(value: Any) -> bool:
        return (value is None or type(value) is str) and value in known

    return check


def _members(checks: Mapping[str, _Check], path: str) -> _Check:
    """Build the check of an object that has exactly these members."""
    names = frozenset(checks)
    items = tuple(checks.items())

    def check(value: Any) -> bool:
        if type(value) is not dict or value.keys() != names:
            raise _refused(f"{path} must be an object with exactly the members {', '.join(sorted(names))}")
        for name, holds in items:
            if not holds(value[name]):
                raise _refused(f"{path}.{name} has a value that cannot stand there")
        return True

    return check


def _refused(reason: str) -> CanonicalError:
    return CanonicalError(reason, code="bad_receipt")


_COMMON: Mapping[str, _Check] = {"v": _version, "type": _text, "id": _receipt_id, "decided_at": _time}

_DECISION: Mapping[str, _Check] = {
    **_COMMON,
    "decision": _text,
    "reason": _text,
    "request": _members(
        {
            "method": _text_or_null,
            "authority": _text_or_null,
            "path": _text_or_null,
            "query_sha256": _sha256_or_null,
            "content_digest": _text_or_null,
            "request_id": _text_or_null,
            "stage": _text_or_null,
            "source_ip_hash": _sha256_or_null,
        },
        "request",
    ),
    "proof": _members(
        {
            "keyid": _text_or_null,
            "alg": _text_or_null,
            "mode": _one_of("inline", "detached", None),
            "nonce_sha256": _sha256_or_null,
            "created": _integer_or_null,
            "header_bytes": _count_or_null,
            "evidence_sha256": _sha256_or_null,
            "binding": _members(
                {
                    "type": _one_of("none", "tls-exporter", "tls-client-cert"),
                    "value_sha256": _sha256_or_null,
                },
                "proof.binding",
            ),
        },
        "proof",
    ),
    "policy": _members(
        {"bundle_sha256": _sha256_or_null, "action": _one_of("allow", "deny", None)}, "policy"
    ),
    "breaker": _members(
        {
            "state": _one_of("closed", "open", "half_open", None),
            "level": _one_of("full", "relax", "classical", "shed", None),
            "latency_ewma_us": _count_or_null,
            "error_ewma_ppm": _count_or_null,
            "rho_ppm": _count_or_null,
            "kingman_wq_us": _count_or_null,
            "header_budget": _count_or_null,
        },
        "breaker",
    ),
    "emitter": _members({"id": _emitter_id, "n": _count}, "emitter"),
    "authorizer_us": _count,
}

_CHAIN = _members({"id": _count, "seq": _count, "prev": _hash_base64, "recorded_at": _time}, "chain")

_decision = _members(_DECISION, "receipt")
_chained_decision = _members({**_DECISION, "chain": _CHAIN}, "receipt")


def check_receipt(receipt: object, *, chained: bool) -> None:
    """Check a parsed receipt against the format, member by member.

    A ``pch.decision`` is checked whole; of the other types the common members (and the chain) are, and
    the rest is their own.

    Args:
        receipt: what ``canonical.parse`` returned.
        chained: True for a receipt out of the log, False for one on its way to the sink.

    Raises:
        CanonicalError: code ``bad_receipt``; the message names the member.
    """
    if not isinstance(receipt, dict):
        raise _refused("a receipt must be an object")
    kind = receipt.get("type")
    if kind == DECISION_TYPE:
        (_chained_decision if chained else _decision)(receipt)
        if _DECISION_OF.get(receipt["reason"]) != receipt["decision"]:
            raise _refused("receipt.reason does not lead to receipt.decision")
        return
    if type(kind) is not str or kind not in TYPES:
        raise _refused("receipt.type is not known")
    for name, holds in _COMMON.items():
        if not holds(receipt.get(name)):
            raise _refused(f"receipt.{name} is missing or has a value that cannot stand there")
    if chained:
        _CHAIN(receipt.get("chain"))
    elif "chain" in receipt:
        raise _refused("receipt.chain is for the sink to add")
