"""What a receipt must look like: every member of ``docs/formats.md``, and no other.

The sink checks with it before a receipt enters a chain, a verifier after it left: both refuse what
they do not know, because a member that one side ignores is a place to tell two stories.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from signet.errors import CanonicalError
from signet.handshake.decision import Reason
from signet.receipts.instants import is_uuid7, parse_utc_millis

#: Most bytes of a receipt in the log (C2SP tlog-tiles: an entry's length has 16 bits).
MAX_RECEIPT_BYTES: Final = 65_535
#: What the ``chain`` member can add at most, its numbers at their largest.
CHAIN_MEMBER_BYTES: Final = 160
#: Most bytes of a receipt on its way to the sink.
MAX_MESSAGE_BYTES: Final = MAX_RECEIPT_BYTES - CHAIN_MEMBER_BYTES

DECISION_TYPE: Final = "pch.decision"
TYPES: Final = frozenset({DECISION_TYPE, "key.rotated", "breaker.transition", "policy.changed"})

_DECISION_OF = {reason.value: reason.decision.value for reason in Reason}

# A member's rule: the exact types it may have, and what else must hold of a value that is not null.
# Rules are C functions where they can be: a receipt has forty members and the sink microseconds.
_Rule = tuple[frozenset[type], Callable[[Any], object] | None]

_NULL = type(None)
_sha256_hex = re.compile(r"[0-9a-f]{64}").fullmatch
_emitter_id = re.compile(r"[0-9a-f]{32}").fullmatch
# Base64 of 32 bytes in its one encoding: the last digit carries four bits, its other two are zero.
_sha256_base64 = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=").fullmatch
_not_negative = (0).__le__


def _one_of(*values: str) -> _Rule:
    return frozenset({str}), frozenset(values).__contains__


def _nullable(rule: _Rule) -> _Rule:
    types, holds = rule
    return types | {_NULL}, holds


def _is_time(text: str) -> bool:
    try:
        parse_utc_millis(text)
    except CanonicalError:
        return False
    return True


_TEXT: _Rule = (frozenset({str}), None)
_INTEGER: _Rule = (frozenset({int}), None)  # the canonical form bounds it
_COUNT: _Rule = (frozenset({int}), _not_negative)
_SHA256: _Rule = (frozenset({str}), _sha256_hex)
_TIME: _Rule = (frozenset({str}), _is_time)


def _refused(reason: str) -> CanonicalError:
    return CanonicalError(reason, code="bad_receipt")


def _require(value: Mapping[str, Any], rules: Mapping[str, _Rule], path: str) -> None:
    for name, (types, holds) in rules.items():
        member = value[name]
        if type(member) not in types or not (holds is None or member is None or holds(member)):
            raise _refused(f"{path}.{name} has a value that cannot stand there")


def _exactly(rules: Mapping[str, _Rule], path: str) -> Callable[[Mapping[str, Any]], bool]:
    """Build the check of an object that has these members and no other."""
    names = rules.keys()

    def check(value: Mapping[str, Any]) -> bool:
        if value.keys() != names:
            raise _refused(f"{path} must have exactly the members {', '.join(sorted(names))}")
        _require(value, rules, path)
        return True

    return check


def _object(rules: Mapping[str, _Rule], path: str) -> _Rule:
    return frozenset({dict}), _exactly(rules, path)


_COMMON: Mapping[str, _Rule] = {
    "v": (frozenset({int}), (1).__eq__),
    "type": _one_of(*TYPES),
    "id": (frozenset({str}), is_uuid7),
    "decided_at": _TIME,
}

_DECISION: Mapping[str, _Rule] = {
    **_COMMON,
    "decision": _TEXT,  # must agree with the reason
    "reason": _TEXT,
    "request": _object(
        {
            "method": _nullable(_TEXT),
            "authority": _nullable(_TEXT),
            "path": _nullable(_TEXT),
            "query_sha256": _nullable(_SHA256),
            "content_digest": _nullable(_TEXT),
            "request_id": _nullable(_TEXT),
            "stage": _nullable(_TEXT),
            "source_ip_hash": _nullable(_SHA256),
        },
        "request",
    ),
    "proof": _object(
        {
            "keyid": _nullable(_TEXT),
            "alg": _nullable(_TEXT),
            "mode": _nullable(_one_of("inline", "detached")),
            "nonce_sha256": _nullable(_SHA256),
            "created": _nullable(_INTEGER),
            "header_bytes": _nullable(_COUNT),
            "evidence_sha256": _nullable(_SHA256),
            "binding": _object(
                {
                    "type": _one_of("none", "tls-exporter", "tls-client-cert"),
                    "value_sha256": _nullable(_SHA256),
                },
                "proof.binding",
            ),
        },
        "proof",
    ),
    "policy": _object(
        {"bundle_sha256": _nullable(_SHA256), "action": _nullable(_one_of("allow", "deny"))}, "policy"
    ),
    "breaker": _object(
        {
            "state": _nullable(_one_of("closed", "open", "half_open")),
            "level": _nullable(_one_of("full", "relax", "classical", "shed")),
            "latency_ewma_us": _nullable(_COUNT),
            "error_ewma_ppm": _nullable(_COUNT),
            "rho_ppm": _nullable(_COUNT),
            "kingman_wq_us": _nullable(_COUNT),
            "header_budget": _nullable(_COUNT),
        },
        "breaker",
    ),
    "emitter": _object({"id": (frozenset({str}), _emitter_id), "n": _COUNT}, "emitter"),
    "authorizer_us": _COUNT,
}

_CHAIN = _object(
    {"id": _COUNT, "seq": _COUNT, "prev": (frozenset({str}), _sha256_base64), "recorded_at": _TIME}, "chain"
)

_CHAINED = {"chain": _CHAIN}
_check_decision = _exactly(_DECISION, "receipt")
_check_chained_decision = _exactly({**_DECISION, **_CHAINED}, "receipt")


def check_receipt(receipt: object, *, chained: bool) -> None:
    """Check a parsed receipt against the format, member by member.

    A ``pch.decision`` is checked whole; of the other types the common members (and the chain) are, and
    the rest is their own.

    Args:
        receipt: what ``canonical.parse`` returned, or is going to ``canonicalize``: these bound integers.
        chained: True for a receipt out of the log, False for one on its way to the sink.

    Raises:
        CanonicalError: code ``bad_receipt``; the message names the member.
    """
    if not isinstance(receipt, dict):
        raise _refused("a receipt must be an object")
    if receipt.get("type") == DECISION_TYPE:
        check = _check_chained_decision if chained else _check_decision
        check(receipt)
        if _DECISION_OF.get(receipt["reason"]) != receipt["decision"]:
            raise _refused("receipt.reason does not lead to receipt.decision")
        return
    if not chained and "chain" in receipt:
        raise _refused("receipt.chain is for the sink to add")
    rules = {**_COMMON, **_CHAINED} if chained else _COMMON
    missing = rules.keys() - receipt.keys()
    if missing:
        raise _refused(f"receipt must have the members {', '.join(sorted(missing))}")
    _require(receipt, rules, "receipt")
