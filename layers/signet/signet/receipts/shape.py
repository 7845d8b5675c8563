"""What a receipt must look like: every member of ``docs/formats.md``, and no other.

One table of rules serves two readers. ``check_receipt`` walks a parsed value, and is the authority.
``decision_pattern`` is the same rules as one pattern over canonical bytes, limited to
plain ASCII text and numbers of 15 digits: what it matches needs no parsing (a tenth of the time), what it
does not match is left to the authority. A property test holds the pattern inside the rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from signet.core.canonical import MAX_INTEGER
from signet.core.decision import Reason
from signet.core.errors import CanonicalError
from signet.core.instants import is_uuid7, parse_utc_millis
from signet.core.vocabulary import BindingType, BreakerLevel, BreakerState, PolicyAction, ProofMode
from signet.receipts.combinations import Facts, check_combination

#: Most bytes of a receipt in the log (C2SP tlog-tiles: an entry's length has 16 bits).
MAX_RECEIPT_BYTES: Final = 65_535
#: What the ``chain`` member adds at most: with its numbers at their largest.
CHAIN_MEMBER_BYTES: Final = 150
#: Most bytes of a receipt on its way to the sink.
MAX_MESSAGE_BYTES: Final = MAX_RECEIPT_BYTES - CHAIN_MEMBER_BYTES

DECISION_TYPE: Final = "pch.decision"
#: Written by the log's own writer and by nobody else.
ROTATION_TYPE: Final = "key.rotated"
POLICY_TYPE: Final = "policy.changed"
TYPES: Final = frozenset({DECISION_TYPE, ROTATION_TYPE, "breaker.transition", POLICY_TYPE})

_DECISION_OF = {reason.value: reason.decision.value for reason in Reason}


@dataclass(frozen=True, slots=True)
class _Rule:
    """What may stand in a member.

    Attributes:
        types: the exact types the value may have.
        holds: what else must be true of a value that is not null.
        pattern: the canonical bytes of (most of) such values, as a regular expression.
        members: of an object: the rules of its members, which are all present and the only ones.
    """

    types: frozenset[type]
    holds: Callable[[Any], object]
    pattern: str
    members: Mapping[str, _Rule] | None = None


def _anything(_value: Any) -> bool:
    return True


def _is_time(text: str) -> bool:
    try:
        parse_utc_millis(text)
    except CanonicalError:
        return False
    return True


def _text(pattern: str) -> _Rule:
    """Build the rule of a string that its pattern describes entirely."""
    return _Rule(frozenset({str}), re.compile(pattern).fullmatch, f'"{pattern}"')


def _one_of(*values: str) -> _Rule:
    return _Rule(
        frozenset({str}), frozenset(values).__contains__, f'"(?:{"|".join(map(re.escape, values))})"'
    )


def _integer(pattern: str, least: int) -> _Rule:
    return _Rule(frozenset({int}), lambda value: least <= value <= MAX_INTEGER, pattern)


def _nullable(rule: _Rule) -> _Rule:
    return replace(rule, types=rule.types | {type(None)}, pattern=f"(?:null|{rule.pattern})")


_ANY_TEXT = _Rule(frozenset({str}), _anything, r'"[ !#-\[\]-~]*+"')
_INTEGER = _integer("(?:0|-?[1-9][0-9]{0,14})", -MAX_INTEGER)
_COUNT = _integer("(?:0|[1-9][0-9]{0,14})", 0)
_SHA256 = _text("[0-9a-f]{64}")
# Base64 of 32 bytes in its one encoding: the last digit carries four bits, its other two are zero.
_SHA256_BASE64 = _text("[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")
# The patterns let 30 February pass: whoever uses one parses the time it found.
_TIME = _Rule(frozenset({str}), _is_time, '"[0-9TZ:.-]{24}"')
_UUID7 = _Rule(
    frozenset({str}), is_uuid7, '"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"'
)


def _refused(reason: str) -> CanonicalError:
    return CanonicalError(reason, code="bad_receipt")


def _require(value: Mapping[str, Any], rules: Mapping[str, _Rule], path: str) -> None:
    for name, rule in rules.items():
        member = value[name]
        if type(member) not in rule.types or not (member is None or rule.holds(member)):
            raise _refused(f"{path}.{name} has a value that cannot stand there")
        if rule.members is not None:
            _require_exactly(member, rule.members, f"{path}.{name}")


def _require_exactly(value: Mapping[str, Any], rules: Mapping[str, _Rule], path: str) -> None:
    if value.keys() != rules.keys():
        raise _refused(f"{path} must have exactly the members {', '.join(sorted(rules))}")
    _require(value, rules, path)


def _object(rules: Mapping[str, _Rule]) -> _Rule:
    return _Rule(frozenset({dict}), _anything, "", rules)


_COMMON: Mapping[str, _Rule] = {
    "v": _Rule(frozenset({int}), (1).__eq__, "1"),
    "type": _one_of(*TYPES),
    "id": _UUID7,
    "decided_at": _TIME,
}

_DECISION: Mapping[str, _Rule] = {
    **_COMMON,
    "type": _one_of(DECISION_TYPE),
    "decision": _one_of(*dict.fromkeys(_DECISION_OF.values())),
    "reason": _one_of(*_DECISION_OF),
    "request": _object(
        {
            "method": _nullable(_ANY_TEXT),
            "authority": _nullable(_ANY_TEXT),
            "path": _nullable(_ANY_TEXT),
            "query_sha256": _nullable(_SHA256),
            "content_digest": _nullable(_ANY_TEXT),
            "request_id": _nullable(_ANY_TEXT),
            "stage": _nullable(_ANY_TEXT),
            "source_ip_hash": _nullable(_SHA256),
        }
    ),
    "proof": _object(
        {
            "keyid": _nullable(_ANY_TEXT),
            "alg": _nullable(_ANY_TEXT),
            "mode": _nullable(_one_of(*ProofMode)),
            "nonce_sha256": _nullable(_SHA256),
            "created": _nullable(_INTEGER),
            "header_bytes": _nullable(_COUNT),
            "evidence_sha256": _nullable(_SHA256),
            "binding": _object(
                {
                    "type": _one_of(*BindingType),
                    "value_sha256": _nullable(_SHA256),
                }
            ),
        }
    ),
    "policy": _object({"bundle_sha256": _nullable(_SHA256), "action": _nullable(_one_of(*PolicyAction))}),
    "breaker": _object(
        {
            "state": _nullable(_one_of(*BreakerState)),
            "level": _nullable(_one_of(*BreakerLevel)),
            "latency_ewma_us": _nullable(_COUNT),
            "error_ewma_ppm": _nullable(_COUNT),
            "rho_ppm": _nullable(_COUNT),
            "kingman_wq_us": _nullable(_COUNT),
            "header_budget": _nullable(_COUNT),
        }
    ),
    "emitter": _object({"id": _text("[0-9a-f]{32}"), "n": _COUNT}),
    "authorizer_us": _COUNT,
}

_ROTATION: Mapping[str, _Rule] = {
    **_COMMON,
    "set": _Rule(frozenset({dict}), _anything, ""),  # signet.log.rotation knows what a key set is
}

_CHAIN: Mapping[str, _Rule] = {
    "chain": _object({"id": _COUNT, "seq": _COUNT, "prev": _SHA256_BASE64, "recorded_at": _TIME})
}


def check_receipt(receipt: object, *, chained: bool) -> None:
    """Check a parsed receipt against the format, member by member.

    A ``pch.decision`` is checked whole, a ``key.rotated`` but for what its ``set`` says; of the other types
    the common members (and the chain) are, and the rest is their own.

    Args:
        receipt: what ``canonical.parse`` returned.
        chained: True for a receipt out of the log, False for one on its way to the sink.

    Raises:
        CanonicalError: code ``bad_receipt``; the message names the member, or those that exclude each other.
    """
    if not isinstance(receipt, dict):
        raise _refused("a receipt must be an object")
    chain = _CHAIN if chained else {}
    if receipt.get("type") == DECISION_TYPE:
        _require_exactly(receipt, {**_DECISION, **chain}, "receipt")
        if _DECISION_OF[receipt["reason"]] != receipt["decision"]:
            raise _refused("receipt.reason does not lead to receipt.decision")
        check_combination(_facts(receipt))
        return
    if receipt.get("type") == ROTATION_TYPE:
        _require_exactly(receipt, {**_ROTATION, **chain}, "receipt")
        return
    if not chained and "chain" in receipt:
        raise _refused("receipt.chain is for the sink to add")
    missing = {**_COMMON, **chain}.keys() - receipt.keys()
    if missing:
        raise _refused(f"receipt must have the members {', '.join(sorted(missing))}")
    _require(receipt, {**_COMMON, **chain}, "receipt")


def _facts(receipt: Mapping[str, Any]) -> Facts:
    """Return what other members exclude, of a decision whose members were checked one by one."""
    policy, proof, breaker, request = (receipt[name] for name in ("policy", "proof", "breaker", "request"))
    binding, created = proof["binding"], proof["created"]
    parts = [*(proof[name] for name in ("keyid", "alg", "mode", "nonce_sha256", "header_bytes"))]
    parts += [request[name] for name in ("method", "authority", "path", "query_sha256")]
    return Facts(
        reason=receipt["reason"],
        action=policy["action"],
        level=breaker["level"],
        state=breaker["state"],
        alg=proof["alg"],
        binding=binding["type"],
        bound=binding["value_sha256"] is not None,
        whole=None not in (*parts, policy["bundle_sha256"], created) and created >= 0,
    )


# Members that a reader needs, by path: the groups of the patterns.
_CHAIN_GROUPS = ("chain_id", "chain_prev", "chain_recorded_at", "chain_seq")
_GROUPS = ("decided_at", "decision", "emitter_id", "emitter_n", "id", "reason")
#: Groups that hold a word or null, and exclude each other.
WORD_GROUPS: Final = (
    "proof_binding_value_sha256",
    "policy_action",
    "breaker_level",
    "breaker_state",
    "proof_alg",
    "proof_binding_type",
)
#: Groups of which none is null in a whole proof.
WHOLE_GROUPS: Final = (
    "proof_created",
    "proof_nonce_sha256",
    "policy_bundle_sha256",
    "proof_alg",
    "proof_header_bytes",
    "proof_keyid",
    "proof_mode",
    "request_authority",
    "request_method",
    "request_path",
    "request_query_sha256",
)
_ALL_GROUPS: Final = frozenset({*_CHAIN_GROUPS, *_GROUPS, *WORD_GROUPS, *WHOLE_GROUPS})


def _pattern(rules: Mapping[str, _Rule], prefix: str = "") -> str:
    """Write the rules of an object as a pattern over its canonical bytes."""
    members = []
    for name in sorted(rules):
        rule, path = rules[name], prefix + name
        value = rule.pattern if rule.members is None else _pattern(rule.members, f"{path}_")
        group = f"(?P<{path}>{value})" if path in _ALL_GROUPS else value
        members.append(f'"{name}":{group}')
    return rf"\{{{','.join(members)}\}}"


@cache
def decision_pattern(*, chained: bool) -> re.Pattern[bytes]:
    """Return the pattern of a ``pch.decision`` in canonical form, with or without its ``chain``.

    What a pattern cannot say remains to be checked: that dates exist, that ``reason`` leads to ``decision``,
    and what cannot stand together. Compiling one takes milliseconds, and no function but the sink needs both.
    """
    return re.compile(_pattern({**_DECISION, **_CHAIN} if chained else _DECISION).encode())


def decision_of(reason: str) -> str:
    """Return the decision that a reason leads to."""
    return _DECISION_OF[reason]
