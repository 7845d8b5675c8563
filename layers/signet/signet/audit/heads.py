"""The heads of a Signet log as they lie in the store: from the newest back, then checked forward."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from signet.audit.tree import Get
from signet.errors import AuditError, SignetError
from signet.log import object_keys
from signet.log.encoding import next_day
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
        _check_open(previous, newest)
    return Heads(before, tuple(final), newest)


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


def _follow(previous: SignedTreeHead | None, head: SignedTreeHead, key: str) -> None:
    try:
        check_successor(previous, head)
    except SignetError as error:
        raise AuditError(str(error), where=key, code=error.code) from error


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


def _check_open(previous: SignedTreeHead | None, newest: SignedTreeHead) -> None:
    """Hold the head of the open day to the last final one."""
    rules = [("its leaves do not start at 0", newest.first_leaf == 0)]
    if previous is not None:
        rules = [
            ("it is not of the day after", newest.date == next_day(previous.date)),
            ("it does not name the head before", newest.prev_sth_sha256 == previous.sha256),
            ("its leaves do not start where the day before ended", newest.first_leaf == previous.tree_size),
            ("its time goes back", newest.timestamp >= previous.timestamp),
        ]
    for fault, holds in rules:
        if not holds:
            raise AuditError(
                f"does not follow the last closed day: {fault}",
                where=object_keys.LATEST_HEAD,
                code="broken_sth_chain",
            )
