"""What cannot stand together in one decision's receipt: nothing that decides by the protocol ends up there.

Each member by itself may hold what the format allows. Some of them exclude each other, because of the order
in which a request is judged: it is allowed, shed by the breaker or found to be a replay only after its whole
proof was read and the policy allowed it. A receipt that says otherwise was not written by an authorizer. The
sink refuses it, and so does every verifier (docs/formats.md, "What cannot stand together").

Which words the rules are about is an argument: each version of the receipt has its own (``Words``). What a
later version demands beyond the rules here stands beside its table.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, NamedTuple

from signet.core.errors import CanonicalError

_OF_THE_BREAKER: Final = frozenset({"breaker_open", "half_open_full"})


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one version that its rules are about.

    Attributes:
        verified: reasons that come after the whole proof was verified and the policy allowed the request.
        allowing: those of decisions that let a request in.
        suites: names of the suites that a whole proof can have.
        hybrids: those among them of two signatures, one of them classical.
    """

    verified: frozenset[str]
    allowing: frozenset[str]
    suites: frozenset[str]
    hybrids: frozenset[str]


class Facts(NamedTuple):
    """The members of a decision that others exclude; words as they stand in the receipt, or None for null.

    Attributes:
        reason: why.
        action: ``policy.action``.
        level: ``breaker.level``.
        state: ``breaker.state``.
        alg: ``proof.alg``.
        binding: ``proof.binding.type``.
        bound: whether ``proof.binding.value_sha256`` is not null.
        whole: whether no other member of a whole proof is null: ``proof.keyid``, ``alg``, ``mode``,
            ``nonce_sha256``, ``created`` (0 or more), ``header_bytes``; ``request.method``, ``authority``,
            ``path``, ``query_sha256``; ``policy.bundle_sha256``. Each version's table says which exactly.
        more: what the rules of a later version are about, beyond these.
    """

    reason: str
    action: str | None
    level: str | None
    state: str | None
    alg: str | None
    binding: str
    bound: bool
    whole: bool
    more: Hashable = None


def check_combination(facts: Facts, words: Words) -> None:
    """Check that the members can stand together.

    Args:
        facts: the members.
        words: those of the receipt's version.

    Raises:
        CanonicalError: code ``bad_receipt``; the message names the rule.
    """
    if (facts.binding == "none") == facts.bound:
        raise _refused("proof.binding has a type without a value, or a value without a type")
    if facts.reason in words.verified:
        _check_verified(facts, words)
    elif facts.reason == "policy_denied" and facts.action == "allow":
        raise _refused("receipt.reason is policy_denied, but policy.action is allow")


def _check_verified(facts: Facts, words: Words) -> None:
    if facts.action != "allow":
        raise _refused(f"receipt.reason is {facts.reason}, but policy.action is not allow")
    if not facts.whole or facts.alg not in words.suites:
        raise _refused(f"receipt.reason is {facts.reason}, but its proof is not whole")
    if facts.reason in words.allowing:
        if facts.level == "shed":
            raise _refused("receipt.decision is allow, but breaker.level is shed")
        if facts.reason != "ok" and (facts.level != "classical" or facts.alg not in words.hybrids):
            raise _refused(
                "receipt.reason is ok_classical_fallback, but not of a hybrid on the rung classical"
            )
    elif facts.reason in _OF_THE_BREAKER and (facts.reason == "breaker_open") != (facts.state == "open"):
        raise _refused(f"receipt.reason is {facts.reason}, but breaker.state says otherwise")


def _refused(reason: str) -> CanonicalError:
    return CanonicalError(reason, code="bad_receipt")
