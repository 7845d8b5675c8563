"""What a version of the receipt consists of, and how any receipt is held to one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from signet.receipts.combinations import Facts
from signet.receipts.rules import Rule, pattern_of, refused, require, require_exactly
from signet.receipts.shape import DECISION_TYPE

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


@dataclass(frozen=True, eq=False)  # one is told from another by identity: caches look it up
class Table:
    """One version of the receipt.

    Attributes:
        version: the value of ``v``.
        common: what receipts of all types have; of a type that is not ``closed``, readers check nothing else.
        closed: by type, all members of its receipts but ``chain``.
        chain: what the sink adds.
        decision_of: the decision that each reason leads to.
        facts_of: what of a decision other members exclude, once its members were checked one by one.
        check_facts: checks that these can stand together.
    """

    version: int
    common: Mapping[str, Rule]
    closed: Mapping[str, Mapping[str, Rule]]
    chain: Mapping[str, Rule]
    decision_of: Mapping[str, str]
    facts_of: Callable[[Mapping[str, Any]], Facts]
    check_facts: Callable[[Facts], None]

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
    return re.compile(pattern_of({**rules, **table.chain} if chained else rules, _ALL_GROUPS).encode())
