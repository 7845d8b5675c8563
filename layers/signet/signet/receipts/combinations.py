"""What cannot stand together in one decision's receipt: nothing that decides by the protocol ends up there.

Each member by itself may hold what the format allows. Some of them exclude each other, because of the order
in which a request is judged: it is allowed, shed by the breaker or found to be a replay only after its whole
proof was read and the policy allowed it. A receipt that says otherwise was not written by an authorizer. The
sink refuses it, and so does every verifier (docs/formats.md, "What cannot stand together").

What suites there are is an argument: each version of the receipt has its own. A reason in the sets below
means nothing to a version that does not have it.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from signet.core.errors import CanonicalError

#: Reasons that come after the whole proof was verified and the policy allowed the request.
VERIFIED: Final = frozenset(
    {"ok", "ok_classical_fallback", "breaker_open", "half_open_full", "nonce_replayed"}
)
#: Reasons of decisions that let a request in.
ALLOWING: Final = frozenset({"ok", "ok_classical_fallback"})


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
            ``path``, ``query_sha256``; ``policy.bundle_sha256``.
    """

    reason: str
    action: str | None
    level: str | None
    state: str | None
    alg: str | None
    binding: str
    bound: bool
    whole: bool


def check_combination(facts: Facts, *, suites: AbstractSet[str], hybrids: AbstractSet[str]) -> None:
    """Check that the members can stand together.

    Args:
        facts: the members.
        suites: names of the suites that a whole proof can have.
        hybrids: those among them of two signatures, one of them classical.

    Raises:
        CanonicalError: code ``bad_receipt``; the message names the rule.
    """
    if (facts.binding == "none") == facts.bound:
        raise _refused("proof.binding has a type without a value, or a value without a type")
    if facts.reason in VERIFIED:
        _check_verified(facts, suites, hybrids)
    elif facts.reason == "policy_denied" and facts.action == "allow":
        raise _refused("receipt.reason is policy_denied, but policy.action is allow")


def _check_verified(facts: Facts, suites: AbstractSet[str], hybrids: AbstractSet[str]) -> None:
    if facts.action != "allow":
        raise _refused(f"receipt.reason is {facts.reason}, but policy.action is not allow")
    if not facts.whole or facts.alg not in suites:
        raise _refused(f"receipt.reason is {facts.reason}, but its proof is not whole")
    if facts.reason in ALLOWING:
        if facts.level == "shed":
            raise _refused("receipt.decision is allow, but breaker.level is shed")
        if facts.reason != "ok" and (facts.level != "classical" or facts.alg not in hybrids):
            raise _refused(
                "receipt.reason is ok_classical_fallback, but not of a hybrid on the rung classical"
            )
    elif facts.reason != "nonce_replayed" and (facts.reason == "breaker_open") != (facts.state == "open"):
        raise _refused(f"receipt.reason is {facts.reason}, but breaker.state says otherwise")


def _refused(reason: str) -> CanonicalError:
    return CanonicalError(reason, code="bad_receipt")
