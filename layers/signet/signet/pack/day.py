"""The receipts of one day: each checked by itself, against its chain, and as a leaf of the tree.

Chain and tree get the same bytes in the same pass. If each were checked in a pass of its own, a forger could
give them different receipts.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from signet.core.canonical import canonicalize
from signet.core.errors import CanonicalError, PackError
from signet.core.instants import MS_PER_DAY, raw_id
from signet.core.verification import Gap
from signet.log.emitters import EmitterAccount
from signet.log.keys import LogKeys
from signet.log.merkle import CompactRange, leaf_hashes
from signet.log.rotation import begins_within
from signet.log.sth import TreeHead
from signet.pack import layout
from signet.pack.evidence import named_evidence
from signet.pack.folded import Folded
from signet.pack.registrations import Registrations
from signet.receipts.chain import chain_of
from signet.receipts.reading import ChainLink, Receipt, read_receipt
from signet.receipts.repeats import Seen
from signet.receipts.shape import FORMAT_TYPE, POLICY_TYPE, ROTATION_TYPE

#: How far two clocks may be apart without a notice.
CLOCKS_APART_MS: Final = 300_000
# And how long a receipt may be under way: queues wait.
_MOST_BEFORE_MS: Final = MS_PER_DAY
_MAX_API_CHARS: Final = 64


@dataclass(slots=True)
class Occurrences:
    """How many receipts have one property, and the first line of them; both are 0 if none has it."""

    count: int = 0
    first_line: int = 0

    def add(self, line: int) -> None:
        """Count one more; lines may come in any order."""
        self.count += 1
        self.first_line = min(self.first_line or line, line)


@dataclass(slots=True)
class ChainState:
    """Where a chain stands while its receipts are read.

    Attributes:
        next_seq: what comes next.
        head: SHA-256 of the last receipt's bytes.
        recorded_at_ms: of the last receipt of the day; the day's start before any.
    """

    next_seq: int
    head: bytes
    recorded_at_ms: int


class DayReader:
    """Takes a day's receipts in leaf order.

    Attributes:
        count: receipts so far.
        ids: their ids, 16 bytes each.
        tree: the tree up to the last receipt.
        chains: the chains up to the last receipt, by id.
        leaves: (id, leaf hash) of the first 10,000 receipts, for their inclusion proofs.
        decisions: number of decisions by reason.
        apis: the same of each API, by name; None for those that none is known of. Decisions of version 1 are
            not among them: they say none.
        registrations: those on record, and those that decisions name.
        rotations: (line, member ``set``) of each ``key.rotated``.
        policy_changes: (line, receipt) of each ``policy.changed``.
        format_changes: (line, receipt) of each ``format.changed``.
        versions: receipts by their version.
        nonces: those that allowed requests spent.
        far_apart: decisions whose time is far from that of their record.
        by_policy: decisions by the hex hash of the policy bundle that they name.
        last_recorded_ms: the latest ``recorded_at``; the day's start before any receipt.
        roots: root by tree size, of the sizes that were asked for and reached.
    """

    def __init__(
        self,
        start_ms: int,
        chains: Sequence[tuple[int, bytes]],
        tree: CompactRange,
        names_evidence: Callable[[str, Receipt], None] | None = None,
        *,
        take: Callable[[Receipt, int], None] | None = None,
        sizes: Iterable[int] = (),
    ) -> None:
        """Start where the previous final head ended.

        Args:
            start_ms: the day's first millisecond.
            chains: (next seq, hash of the last receipt) of each chain, in id order.
            tree: the tree of the previous final head.
            names_evidence: called with the hex SHA-256 of each receipt's evidence, and the receipt.
            take: called with each receipt and its line, once it has been checked.
            sizes: tree sizes whose roots are to be kept.
        """
        self._end_ms = start_ms + MS_PER_DAY
        self._names_evidence = names_evidence
        self._take = take
        self.chains = [ChainState(seq, head, start_ms) for seq, head in chains]
        self.tree = tree
        self.roots: dict[int, bytes] = {}
        self._sizes = sorted({size for size in sizes if size > tree.size}, reverse=True)
        self.count = 0
        self.ids: set[bytes] = set()
        self.leaves: list[tuple[str, bytes]] = []
        self.decisions: Counter[str] = Counter()
        self.apis: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
        self.by_policy: defaultdict[str, Occurrences] = defaultdict(Occurrences)
        self.registrations = Registrations()
        self.rotations: list[tuple[int, dict[str, Any]]] = []
        self.policy_changes: list[tuple[int, Receipt]] = []
        self.format_changes: list[tuple[int, Receipt]] = []
        self.versions: defaultdict[int, Occurrences] = defaultdict(Occurrences)
        self.nonces = Seen()
        self.far_apart = Occurrences()
        self.folded = Folded()
        self._emitted: dict[str, tuple[array[int], array[int]]] = {}

    def extend(self, lines: Sequence[bytes]) -> None:
        """Check and take the next receipts.

        Raises:
            PackError: codes ``not_canonical``, ``bad_receipt``, ``receipt_too_long``, ``receipt_repeated``,
                ``wrong_chain``, ``chain_gap``, ``chain_broken``, ``recorded_at_decreases``,
                ``outside_day``; line is the receipt's.
        """
        hashes = leaf_hashes(lines)
        for line, leaf in zip(lines, hashes, strict=True):
            self.count += 1
            try:
                receipt = read_receipt(line, chained=True)
            except CanonicalError as error:
                raise self._failure(str(error), error.code) from error
            self._check_once(receipt.id)
            self._check_link(receipt)
            self._collect(receipt)
            if self._take is not None:
                self._take(receipt, self.count)
            if self.count <= layout.MAX_INCLUSION_PROOFS:
                self.leaves.append((receipt.id, leaf))
        self._grow(hashes)

    @property
    def policies(self) -> set[str]:
        """Hex hashes of the policy bundles that decisions name."""
        return set(self.by_policy)

    @property
    def last_recorded_ms(self) -> int:
        """The latest ``recorded_at``; the day's start before any receipt."""
        return max(chain.recorded_at_ms for chain in self.chains)

    def accounts(self) -> dict[str, EmitterAccount]:
        """Return the emitters' accounts, by id."""
        return {emitter: _account_of(numbers) for emitter, (numbers, _lines) in self._emitted.items()}

    def numbers(self) -> dict[str, array[int]]:
        """Return the numbers that each emitter gave its receipts, in their order."""
        return {emitter: numbers for emitter, (numbers, _lines) in self._emitted.items()}

    def decisions_by_api(self) -> dict[str | None, dict[str, int]]:
        """Return ``apis`` in order: by name and reason, last those of no known API."""
        names = sorted(self.apis, key=lambda name: (name is None, name or ""))
        return {name: dict(sorted(self.apis[name].items())) for name in names}

    def repeated_numbers(self) -> Occurrences:
        """Count the receipts with a number of their emitter that another one has, too."""
        found = Occurrences()
        for numbers, lines in self._emitted.values():
            if len(set(numbers)) != len(numbers):
                seen: set[int] = set()
                for number, line in zip(numbers, lines, strict=True):
                    if number in seen:
                        found.add(line)
                    seen.add(number)
        return found

    def _grow(self, hashes: Sequence[bytes]) -> None:
        done, start = 0, self.tree.size
        while self._sizes and self._sizes[-1] <= start + len(hashes):
            size = self._sizes.pop()
            self.tree.extend(hashes[done : size - start])
            done = size - start
            self.roots[size] = self.tree.root()
        self.tree.extend(hashes[done:] if done else hashes)

    def _check_once(self, receipt_id: str) -> None:
        key = raw_id(receipt_id)  # as bytes, not 36 characters: a million ids have to fit into memory
        if key in self.ids:
            raise self._failure("has the id of an earlier receipt", "receipt_repeated")
        self.ids.add(key)

    def _check_link(self, receipt: Receipt) -> None:
        link = receipt.link
        chain_id = chain_of(receipt.id, len(self.chains))
        if link is None or link.chain_id != chain_id:
            raise self._failure(f"does not belong to the chain it names, but to {chain_id}", "wrong_chain")
        chain = self.chains[chain_id]
        self._check_place(link, chain)
        chain.next_seq += 1
        chain.head = hashlib.sha256(receipt.encoded).digest()
        chain.recorded_at_ms = link.recorded_at_ms

    def _check_place(self, link: ChainLink, chain: ChainState) -> None:
        if link.seq != chain.next_seq:
            raise self._failure(f"has seq {link.seq}, but {chain.next_seq} comes next", "chain_gap")
        if link.prev != chain.head:
            raise self._failure("prev is not the hash of the receipt before it", "chain_broken")
        if link.recorded_at_ms >= self._end_ms:
            raise self._failure("was recorded after the day", "outside_day")
        if link.recorded_at_ms < chain.recorded_at_ms:
            # Until a chain has a receipt of the day, this is the day's start.
            code = "recorded_at_decreases" if self._has_begun(chain) else "outside_day"
            raise self._failure("was recorded before the day or the receipt before it", code)

    def _has_begun(self, chain: ChainState) -> bool:
        return chain.recorded_at_ms != self._end_ms - MS_PER_DAY

    def _collect(self, receipt: Receipt) -> None:
        self.versions[receipt.table.version].add(self.count)
        self.registrations.add(receipt, self.count)
        if receipt.type == ROTATION_TYPE:
            self.rotations.append((self.count, receipt.members["set"]))
        elif receipt.type == POLICY_TYPE:
            self.policy_changes.append((self.count, receipt))
        elif receipt.type == FORMAT_TYPE:
            self.format_changes.append((self.count, receipt))
        if receipt.emitter is None:
            return
        self.folded.add(receipt)
        emitter, number = receipt.emitter
        if emitter not in self._emitted:
            self._emitted[emitter] = array("Q"), array("I")
        numbers, lines = self._emitted[emitter]
        numbers.append(number)
        lines.append(self.count)
        if receipt.reason is None:
            return
        self.decisions[receipt.reason] += 1
        if receipt.table.names_apis:
            # A name that no registration has may be long, in a pack that was made to be.
            api = None if receipt.api is None else receipt.api[:_MAX_API_CHARS]
            self.apis[api][receipt.reason] += 1
        self._collect_decision(receipt)

    def _collect_decision(self, receipt: Receipt) -> None:
        if receipt.policy_bundle is not None:
            self.by_policy[receipt.policy_bundle].add(self.count)
        if receipt.nonce is not None:
            self.nonces.add(bytes.fromhex(receipt.nonce))
        if receipt.link is not None and not (
            -_MOST_BEFORE_MS <= receipt.decided_at_ms - receipt.link.recorded_at_ms <= CLOCKS_APART_MS
        ):
            self.far_apart.add(self.count)
        if self._names_evidence is not None and (digest := named_evidence(receipt)) is not None:
            self._names_evidence(digest, receipt)

    def _failure(self, reason: str, code: str) -> PackError:
        return PackError(reason, file=layout.RECEIPTS, line=self.count, code=code)


def check_rotations(day: DayReader, keys: LogKeys, head: TreeHead) -> None:
    """Check that a day holds a leaf for every key set that begins in it, and no other.

    Args:
        day: the day, read to its end.
        keys: the log's keys.
        head: the day's final head.

    Raises:
        PackError: ``rotation_unknown`` or ``rotation_missing``.
    """
    begun = begins_within(keys, head.first_leaf, head.tree_size)
    expected = {canonicalize(keys.set_object(found.n)): found.n for found in begun}
    for line, announced in day.rotations:
        if expected.pop(canonicalize(announced), None) is None:  # as bytes: in Python True is 1
            raise PackError(
                "announces a key set that did not begin in this day, or twice",
                file=layout.RECEIPTS,
                line=line,
                code="rotation_unknown",
            )
    for missing in expected.values():
        raise PackError(
            f"has no receipt of the rotation to key set {missing}",
            file=layout.RECEIPTS,
            code="rotation_missing",
        )


def gaps_of(accounts: Mapping[str, EmitterAccount]) -> tuple[Gap, ...]:
    """Return all gaps of some accounts, by emitter."""
    return tuple(
        Gap(emitter, first, last) for emitter in sorted(accounts) for first, last in accounts[emitter].gaps
    )


def _account_of(numbers: array[int]) -> EmitterAccount:
    """Return an account from all its numbers, by another way than the log's writer: each checks the other."""
    ordered = sorted(numbers)
    gaps: list[tuple[int, int]] = []
    expected = ordered[0]
    for number in ordered:
        if number > expected:
            gaps.append((expected, number - 1))
        expected = number + 1
    return EmitterAccount(len(ordered), ordered[0], ordered[-1], tuple(gaps))
