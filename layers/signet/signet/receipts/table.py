"""What a version of the receipt consists of, and how any receipt is held to one."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from signet.receipts.combinations import Facts, Words
from signet.receipts.rules import Rule, pattern_of, refused, require, require_exactly
from signet.receipts.shape import DECISION_TYPE, MAX_RECEIPT_BYTES

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
_ALL_GROUPS: Final = frozenset({*_CHAIN_GROUPS, *_GROUPS, *WORD_GROUPS})


def group_of(path: str) -> str:
    """Return the group of the member at a dotted path."""
    return path.replace(".", "_")


@dataclass(frozen=True, eq=False)  # one is told from another by identity: caches look it up
class Table:
    """One version of the receipt.

    Attributes:
        version: the value of ``v``.
        common: what receipts of all types have; of a type that is not ``closed``, readers check nothing else.
        closed: by type, all members of its receipts but ``chain``.
        chain: what the sink adds.
        chain_bytes: how many bytes that adds at most: with its numbers at their largest.
        decision_of: the decision that each reason leads to.
        words: what the rules of combination are about.
        whole: paths of the members of which none is null in a whole proof. The first three are
            ``proof.created``, ``proof.nonce_sha256`` and ``policy.bundle_sha256``.
        facts_of: what of a decision other members exclude, once its members were checked one by one.
        check_facts: checks that these can stand together.
        more: paths of members that become groups of the pattern besides; what they say is ``Facts.more``.
        more_of: makes that of their canonical bytes (in this order) and of ``decided_at`` in milliseconds.
    """

    version: int
    common: Mapping[str, Rule]
    closed: Mapping[str, Mapping[str, Rule]]
    chain: Mapping[str, Rule]
    chain_bytes: int
    decision_of: Mapping[str, str]
    words: Words
    whole: tuple[str, ...]
    facts_of: Callable[[Mapping[str, Any]], Facts]
    check_facts: Callable[[Facts], None]
    more: tuple[str, ...] = ()
    more_of: Callable[[Sequence[bytes], int], Hashable] | None = None

    @property
    def message_bytes(self) -> int:
        """Most bytes of a receipt on its way to the sink."""
        return MAX_RECEIPT_BYTES - self.chain_bytes

    @cached_property
    def names_transcripts(self) -> bool:
        """Whether ``chain`` names the object in which the transcripts of the sink's batch are."""
        return "transcripts" in (self.chain["chain"].members or {})

    @cached_property
    def names_apis(self) -> bool:
        """Whether decisions say which API was called."""
        return "api" in self.closed[DECISION_TYPE]

    @cached_property
    def whole_groups(self) -> tuple[str, ...]:
        """The groups of ``whole``, in its order."""
        return tuple(map(group_of, self.whole))

    @cached_property
    def more_groups(self) -> tuple[str, ...]:
        """The groups of ``more``, in its order."""
        return tuple(map(group_of, self.more))

    @cached_property
    def ending(self) -> bytes:
        """The last bytes of every decision of this version: no member's name sorts after ``v``."""
        return b'"v":%d}' % self.version

    def check(self, receipt: Mapping[str, Any], *, chained: bool) -> None:
        """Check a parsed receipt member by member.

        Raises:
            CanonicalError: code ``bad_receipt``; the message names the member, or those that exclude each
                other.
        """
        chain = self.chain if chained else {}
        kind = receipt.get("type")
        rules = self.closed.get(kind) if isinstance(kind, str) else None
        if rules is None:
            self._check_common(receipt, chain)
            return
        require_exactly(receipt, {**rules, **chain}, "receipt")
        if kind == DECISION_TYPE:
            if self.decision_of[receipt["reason"]] != receipt["decision"]:
                raise refused("receipt.reason does not lead to receipt.decision")
            self.check_facts(self.facts_of(receipt))

    def _check_common(self, receipt: Mapping[str, Any], chain: Mapping[str, Rule]) -> None:
        if not chain and "chain" in receipt:
            raise refused("receipt.chain is for the sink to add")
        rules = {**self.common, **chain}
        missing = rules.keys() - receipt.keys()
        if missing:
            raise refused(f"receipt must have the members {', '.join(sorted(missing))}")
        require(receipt, rules, "receipt")


@cache
def decision_pattern(table: Table, *, chained: bool) -> re.Pattern[bytes]:
    """Return the pattern of a ``pch.decision`` in canonical form, with or without its ``chain``.

    What a pattern cannot say remains to be checked: that dates exist, that ``reason`` leads to ``decision``,
    and what cannot stand together. Compiling one takes milliseconds, and no function but the sink needs both.
    """
    rules = table.closed[DECISION_TYPE]
    groups = _ALL_GROUPS | {*table.whole_groups, *table.more_groups, *(["api"] if table.names_apis else [])}
    return re.compile(pattern_of({**rules, **table.chain} if chained else rules, groups).encode())
