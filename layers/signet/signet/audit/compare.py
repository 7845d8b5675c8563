"""Two histories of one log, held to each other: the same, one goes on from the other, or a fork.

A side is a pack, a stored log, or a single head or checkpoint. It shows what follows from it: a pack every
root of its day and of the ends of the days before, a stored log every root, a head its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final

from signet.audit.heads import read_heads
from signet.audit.source import LogSource
from signet.core.errors import AuditError, PackError, UsageError
from signet.core.verification import Checks, Failure
from signet.log import object_keys
from signet.log.keys import LogKeys, parse_keys
from signet.log.merkle import tree_root
from signet.log.tiles import TileReader
from signet.pack.known import (
    Earlier,
    KnownFile,
    KnownTree,
    Shown,
    check_known,
    keys_of_pack,
    longest_keys,
    read_known,
)
from signet.pack.verify import verify_pack

_FORKS: Final = frozenset({"forked", "forked_keys"})


class Relation(StrEnum):
    """How the first history is to the second."""

    SAME = "same"
    EXTENDS = "extends"
    EXTENDED = "extended"
    FORKED = "forked"
    UNTOLD = "untold"
    NOT_GOOD = "not_good"


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of it.

    Attributes:
        relation: of the first to the second. ``EXTENDED``: the second goes on from the first. ``NOT_GOOD``:
            one of them does not hold by itself.
        log_id: hex id of the log.
        sizes: leaves of the largest tree of each; 0 where it could not be read.
        failures: why it is a fork, or what does not hold.
    """

    relation: Relation
    log_id: str
    sizes: tuple[int, int]
    failures: tuple[Failure, ...]


@dataclass(frozen=True, slots=True)
class Side:
    """One history.

    Attributes:
        name: for messages.
        keys: that it brings, or None.
        trees: reads its signed trees, smallest first, by the keys of the log.
        hold: holds it to the trees of the other.
    """

    name: str
    keys: LogKeys | None
    trees: Callable[[LogKeys], Sequence[KnownTree]]
    hold: Callable[[LogKeys, Sequence[KnownTree], Checks], None]


def side_of_file(known: KnownFile) -> Side:
    """Return the side of a pack, a head or a checkpoint.

    Raises:
        PackError: it begins like a pack and is none.
    """
    keys = keys_of_pack(known)
    return Side(
        known.name, keys, partial(read_known, known), partial(_hold_file, known, is_pack=keys is not None)
    )


def side_of_log(name: str, source: LogSource) -> Side:
    """Return the side of a stored log; the signatures of its heads are checked, its entries are not.

    Raises:
        AuditError, LogError: it has no ``keys.json``, a malformed one, or heads that are not right.
    """
    data = source.get(object_keys.KEYS)
    if data is None:
        raise AuditError("is missing", where=object_keys.KEYS, code="missing_object")
    keys = parse_keys(data)
    heads = read_heads(source.get, keys)
    shown = (*heads.final, *([heads.open_day] if heads.open_day else ()))

    def hold(_keys: LogKeys, others: Sequence[KnownTree], checks: Checks) -> None:
        newest = heads.newest
        tiles = TileReader(source.get, newest.tree_size, root=newest.root_hash)
        days = {head.date: head.sha256 for head in heads.final}
        history = Shown(keys, tiles.size, lambda size: tree_root(size, tiles.subtree_hash), days, whole=False)
        own = [KnownTree.of(head, name) for head in shown]
        check_known([*others, *own], history, checks)

    return Side(name, keys, lambda _keys: [KnownTree.of(head, name) for head in shown], hold)


def compare(one: Side, other: Side, keys: LogKeys | None = None) -> Comparison:
    """Compare two histories.

    Args:
        one: the first.
        other: the second.
        keys: the log's keys, for two that bring none.

    Raises:
        UsageError: there are no keys, so that no signature could be checked.
        UnavailableError: a store cannot be read.
    """
    brought = [(name, own) for name, own in _brought(one, other, keys) if own is not None]
    if not brought:
        raise UsageError("neither of them brings the log's keys; give its keys.json with --keys")
    checks = Checks()
    found = brought[0][1]
    try:
        found = longest_keys(found, brought[1:])
    except PackError as error:
        checks.fail(Failure(error.code, error.file or "", error.reason))
        return Comparison(
            _relation((0, 0), (False, False), checks), found.log_id, (0, 0), tuple(checks.failures)
        )
    mine, theirs = (_trees(side, found, checks) for side in (one, other))
    if checks.failures:
        told = (False, False)
    else:
        told = _tells(one, theirs, found, checks), _tells(other, mine, found, checks)
    sizes = (mine[-1].tree_size if mine else 0, theirs[-1].tree_size if theirs else 0)
    return Comparison(_relation(sizes, told, checks), found.log_id, sizes, tuple(checks.failures))


def _brought(one: Side, other: Side, keys: LogKeys | None) -> list[tuple[str, LogKeys | None]]:
    return [(one.name, one.keys), (other.name, other.keys), ("--keys", keys)]


def _trees(side: Side, keys: LogKeys, checks: Checks) -> Sequence[KnownTree]:
    found: list[KnownTree] = []

    def read() -> None:
        found.extend(side.trees(keys))
        if not found:
            raise UsageError(f"{side.name} signs no tree; give a pack, a head, a checkpoint or a log")

    checks.run("trees", side.name, read)
    return found


def _tells(side: Side, others: Sequence[KnownTree], keys: LogKeys, checks: Checks) -> bool:
    """Hold one side to the other's trees; tell whether it shows that all of them are its own history's."""
    mine = Checks()
    mine.run("history", side.name, lambda: side.hold(keys, others, mine))
    for failure in mine.failures:
        checks.fail(failure)
    return not mine.failures and not mine.notices


def _relation(sizes: tuple[int, int], told: tuple[bool, bool], checks: Checks) -> Relation:
    if checks.failures:
        forked = any(failure.code in _FORKS for failure in checks.failures)
        return Relation.FORKED if forked else Relation.NOT_GOOD
    first, second = sizes
    if not any(told):
        return Relation.UNTOLD
    if first == second:
        return Relation.SAME
    return Relation.EXTENDS if first > second else Relation.EXTENDED


def _hold_file(
    known: KnownFile, keys: LogKeys, others: Sequence[KnownTree], checks: Checks, *, is_pack: bool
) -> None:
    if is_pack:
        report = verify_pack(known.file, earlier=Earlier(remembered=lambda _log_id: others))
        for failure in report.failures:
            checks.fail(Failure(failure.code, known.name, str(failure)))
        checks.notices += [notice for notice in report.notices if notice.code.startswith("known_")]
        return
    tree = read_known(known, keys)[-1]
    days = {tree.day: tree.sth_sha256} if tree.day and tree.sth_sha256 else {}
    check_known(
        others, Shown(keys, tree.tree_size, {tree.tree_size: tree.root_hash}.get, days, whole=False), checks
    )
