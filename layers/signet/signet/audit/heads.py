"""The heads of a Signet log as they lie in the store: from the newest back, then checked forward."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from signet.audit.source import Get
from signet.core.errors import AuditError, SignetError
from signet.core.instants import next_day
from signet.log import object_keys
from signet.log.keys import LogKeys
from signet.log.note import verify_checkpoint
from signet.log.sth import SignedTreeHead, check_successor, verify_sth


@dataclass(frozen=True, slots=True)
class Heads:
    """Heads whose signatures and order were checked.

    Attributes:
        before: the final head before the first of ``final``; None if that is the log's first day.
        final: final heads, one per day, oldest first.
        newest: ``sth/latest.json``: the last of ``final``, or a head of the day that is open.
    """

    before: SignedTreeHead | None
    final: tuple[SignedTreeHead, ...]
    newest: SignedTreeHead

    @property
    def last(self) -> SignedTreeHead | None:
        """The last final head, if any day is closed."""
        return self.final[-1] if self.final else self.before

    @property
    def open_day(self) -> SignedTreeHead | None:
        """The newest head if its day is not closed."""
        return None if self.newest.final else self.newest


def read_heads(get: Get, keys: LogKeys, *, days: int | None = None) -> Heads:
    """Read and check the heads.

    Args:
        get: reads objects.
        keys: the log's keys.
        days: how many of the last closed days; None reads back to the first.

    Raises:
        AuditError: a head or a day's checkpoint is missing, not signed, or out of line.
    """
    newest = _read(get, object_keys.LATEST_HEAD, keys)
    final = _walk_back(get, newest, keys, days)
    before = None
    if days is not None and len(final) > days:
        before, final = final[0], final[1:]
    previous = before
    for head in final:
        _follow(previous, head, object_keys.final_head(head.date.isoformat()))
        _check_checkpoint(get, head, keys)
        previous = head
    if newest.final:
        if not final or final[-1].raw != newest.raw:
            raise AuditError(
                "is not the head of its day", where=object_keys.LATEST_HEAD, code="broken_sth_chain"
            )
    else:
        _follow(previous, newest, object_keys.LATEST_HEAD, final=False)
    return Heads(before, tuple(final), newest)


def check_between(
    get: Get, keys: LogKeys, heads: Heads, head: SignedTreeHead, where: str, *, whole: bool
) -> None:
    """Check that the days which were closed after the newest head in the store are in the store.

    Args:
        get: reads objects.
        keys: the log's keys.
        heads: what the store says.
        head: a later head, known from elsewhere.
        where: where it is known from.
        whole: whether what it closes is published as well.

    Raises:
        AuditError: a head or a day's checkpoint is missing, not signed, or out of line.
    """
    newest, previous = heads.newest, heads.last
    day = next_day(newest.date) if newest.final else newest.date
    while day < head.date or (day == head.date and whole and head.final):
        key = object_keys.final_head(day.isoformat())
        closed = _read(get, key, keys)
        _follow(previous, closed, key)
        _check_checkpoint(get, closed, keys)
        previous, day = closed, next_day(day)
    if previous is None or previous.raw != head.raw:
        _follow(previous, head, where, final=False)


def _walk_back(get: Get, newest: SignedTreeHead, keys: LogKeys, days: int | None) -> list[SignedTreeHead]:
    """Return the final heads, oldest first; with ``days`` one more, which the first of them follows."""
    final: list[SignedTreeHead] = []
    day = newest.date if newest.final else newest.date - timedelta(days=1)
    more = newest.final or newest.prev_sth_sha256 is not None
    while more and (days is None or len(final) <= days):
        head = _read(get, object_keys.final_head(day.isoformat()), keys)
        if not head.final or head.date != day:
            raise AuditError(
                "is not the final head of its day",
                where=object_keys.final_head(day.isoformat()),
                code="wrong_head",
            )
        final.append(head)
        more = head.prev_sth_sha256 is not None
        day -= timedelta(days=1)
    final.reverse()
    return final


def _read(get: Get, key: str, keys: LogKeys) -> SignedTreeHead:
    raw = get(key)
    if raw is None:
        raise AuditError("is missing", where=key, code="missing_head")
    try:
        return verify_sth(raw, keys)
    except SignetError as error:
        raise AuditError(str(error), where=key, code=error.code) from error


def _follow(previous: SignedTreeHead | None, head: SignedTreeHead, where: str, *, final: bool = True) -> None:
    try:
        check_successor(previous, head, final=final)
    except SignetError as error:
        raise AuditError(str(error), where=where, code=error.code) from error


def _check_checkpoint(get: Get, head: SignedTreeHead, keys: LogKeys) -> None:
    key = object_keys.final_checkpoint(head.date.isoformat())
    raw = get(key)
    if raw is None:
        raise AuditError("is missing", where=key, code="missing_checkpoint")
    try:
        tree = verify_checkpoint(raw, keys)
    except SignetError as error:
        raise AuditError(str(error), where=key, code=error.code) from error
    if (tree.tree_size, tree.root_hash) != (head.tree_size, head.root_hash):
        raise AuditError("is not of the tree of its day's head", where=key, code="wrong_root")
