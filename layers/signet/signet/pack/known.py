"""Trees of a log that a reader knows from before, held to what is shown now.

A signed history of a log can be right in itself and not the one that others were shown. A reader finds that
out with anything signed that was seen earlier, or that others have: a head, a checkpoint, a pack, the keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import BinaryIO, Final, TypeVar

from signet.core.canonical import canonicalize, parse
from signet.core.errors import CanonicalError, PackError, SignetError
from signet.core.verification import Checks, Failure
from signet.log.keys import LogKeys, parse_keys
from signet.log.note import parse_checkpoint, parse_note, verify_checkpoint
from signet.log.sth import SignedTreeHead, check_successor, verify_sth
from signet.pack import layout
from signet.pack.members import Members
from signet.pack.strictzip import StrictZip

_T = TypeVar("_T")

#: How a zip begins.
_ZIP: Final = b"PK"
_HINT: Final = "give a pack, an sth.json, a checkpoint or a keys.json"


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file that a reader knows from before.

    Attributes:
        name: what it is called, for messages.
        file: its bytes, seekable.
    """

    name: str
    file: BinaryIO


@dataclass(frozen=True, slots=True)
class KnownTree:
    """A tree of which something signed was seen.

    Attributes:
        where: what it is known from, for messages.
        tree_size: leaves.
        root_hash: 32 bytes.
        day: the day that it closes, or None if it closes none, or that is not known.
        sth_sha256: hex SHA-256 of the final head of that day; None without a day.
        remembered: whether it is from the reader's memory; what is remembered of a log is one history.
    """

    where: str
    tree_size: int
    root_hash: bytes
    day: date | None = None
    sth_sha256: str | None = None
    remembered: bool = False

    @classmethod
    def of(cls, head: SignedTreeHead, where: str) -> KnownTree:
        """Return the tree of a head."""
        closes = (head.date, head.sha256) if head.final else (None, None)
        return cls(where, head.tree_size, head.root_hash, *closes)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a reader saw of logs before.

    Attributes:
        files: given by the reader.
        remembered: returns the trees that were remembered of a log, by its id.
    """

    files: Sequence[KnownFile] = ()
    remembered: Callable[[str], Sequence[KnownTree]] = lambda _log_id: ()

    def trees(self, keys: LogKeys) -> list[KnownTree]:
        """Return the trees of the log that has these keys, smallest first.

        Raises:
            PackError: see ``read_known``.
        """
        longest = longest_keys(keys, [(known.name, own) for known in self.files if (own := _keys_in(known))])
        found = [tree for known in self.files for tree in read_known(known, longest)]
        return sorted([*found, *self.remembered(keys.log_id)], key=lambda tree: tree.tree_size)


@dataclass(frozen=True, slots=True)
class Shown:
    """The history that is shown now, signed and checked.

    Attributes:
        keys: of the log, as shown.
        tree_size: leaves of its largest tree.
        root_of: returns the root of the first ``n`` leaves, for ``n`` up to ``tree_size``; None where what is
            shown does not tell.
        days: hex SHA-256 of the final head of each day that is shown.
        whole: whether ``tree_size`` is all that the log has: then a larger known tree was taken back.
    """

    keys: LogKeys
    tree_size: int
    root_of: Callable[[int], bytes | None]
    days: Mapping[date, str]
    whole: bool


def read_known(known: KnownFile, keys: LogKeys) -> list[KnownTree]:
    """Return the trees that a file signs, oldest first; a ``keys.json`` has none.

    Args:
        known: the file.
        keys: the log's keys as shown now, by which a head or a checkpoint has to be signed. A pack and a
            ``keys.json`` have keys of their own: those have to agree with these as far as both go.

    Raises:
        PackError: ``file`` is its name; codes ``known_unreadable`` (none of these forms, or malformed),
            ``wrong_log`` (of another log), ``known_unsigned`` (not signed by the keys of the log),
            ``forked_keys`` (other keys of the same log).
    """
    known.file.seek(0)
    if known.file.read(len(_ZIP)) == _ZIP:
        return _of_pack(known, keys)
    known.file.seek(0)
    data = known.file.read(layout.MAX_MEMBER_BYTES + 1)
    if len(data) > layout.MAX_MEMBER_BYTES:
        raise _unreadable(known, f"is larger than any head, checkpoint or keys.json; {_HINT}")
    if data.lstrip()[:1] != b"{":
        return [_of_checkpoint(known, data, keys)]
    try:
        value = parse(data.strip())
    except CanonicalError as error:
        raise _unreadable(known, f"{error}; {_HINT}") from error
    if isinstance(value, dict) and "sets" in value:
        hold_keys(known.name, _own_keys(known, data.strip()), keys)
        return []
    if not isinstance(value, dict) or "tree_size" not in value:
        raise _unreadable(known, f"is none that is known here; {_HINT}")
    if value.get("log_id") != keys.log_id:
        raise _of_other_log(known.name, str(value.get("log_id")), keys)
    return [KnownTree.of(_signed(known, lambda: verify_sth(canonicalize(value), keys)), known.name)]


def check_known(trees: Sequence[KnownTree], shown: Shown, checks: Checks) -> None:
    """Hold the history that is shown to trees known from before.

    What contradicts it is a failure: ``forked`` (another root for one size, another final head for one day)
    or ``log_went_back`` (the log ends before a tree that it signed). What cannot be told is a notice:
    ``known_later``, ``known_untold``.
    """
    agreed = max(
        (t.day for t in trees if t.remembered and t.day and shown.days.get(t.day) == t.sth_sha256),
        default=date.min,
    )
    for tree in trees:
        if tree.remembered and tree.day is not None and tree.day < agreed and tree.day not in shown.days:
            continue  # a head names the one before: with the later one, this one holds
        reason = _contradiction(tree, shown)
        if reason is not None:
            checks.fail(Failure("forked", tree.where, reason))
            return  # all that follows would say the same
    if later := [tree for tree in trees if tree.tree_size > shown.tree_size]:
        linked = {tree.where for tree in trees if tree.day in shown.days}  # a pack leads from day to day
        _later(later[-1], shown, checks, led_to=later[-1].where in linked)
    untold = [
        tree
        for tree in trees
        if not tree.remembered  # what is only remembered is held to where that can be done
        and tree.tree_size <= shown.tree_size
        and tree.day not in shown.days
        and shown.root_of(tree.tree_size) is None
    ]
    if untold:
        place = f"the tree of {untold[-1].tree_size} leaves in {untold[-1].where}{_and_more(len(untold) - 1)}"
        text = (
            f"that this goes on from {place} cannot be told from what is here: audit the log, or verify the "
            "pack of that day"
        )
        checks.notice("known_untold", text)


def _and_more(count: int) -> str:
    return f" and {count} others" if count else ""


def _later(tree: KnownTree, shown: Shown, checks: Checks, *, led_to: bool) -> None:
    if shown.whole:
        reason = (
            f"has a signed tree of {tree.tree_size} leaves, and the log now ends at {shown.tree_size}: "
            "leaves that were signed are gone"
        )
        checks.fail(Failure("log_went_back", tree.where, reason))
    elif not led_to:
        text = (
            f"{tree.where} has a later tree, of {tree.tree_size} leaves: that it goes on from this one is "
            "shown by a pack of its day, or by an audit of the log"
        )
        checks.notice("known_later", text)


def _contradiction(tree: KnownTree, shown: Shown) -> str | None:
    if tree.day is not None and (other := shown.days.get(tree.day)) not in {None, tree.sth_sha256}:
        return (
            f"signs a head for {tree.day} with the SHA-256 {tree.sth_sha256}, and here it is {other}: "
            "the log signed two histories"
        )
    if tree.tree_size > shown.tree_size:
        return None
    root = shown.root_of(tree.tree_size)
    if root is None or root == tree.root_hash:
        return None
    return (
        f"signs the root {tree.root_hash.hex()} for {tree.tree_size} leaves, and what is shown here has "
        f"{root.hex()}: the log signed two histories"
    )


def longest_keys(keys: LogKeys, others: Sequence[tuple[str, LogKeys]]) -> LogKeys:
    """Return the keys with the most sets, of those shown and others of the same log, each with its name.

    A head may be of a later day than the keys that are shown, and signed by a set that they do not have.

    Raises:
        PackError: ``wrong_log``, ``forked_keys``.
    """
    for name, own in others:
        hold_keys(name, own, keys)
        if len(own.sets) > len(keys.sets):
            keys = own
    return keys


def keys_of_pack(known: KnownFile) -> LogKeys | None:
    """Return the keys that a pack brings; None of a file that is no pack.

    Raises:
        PackError: ``known_unreadable``: it begins like a pack and is none.
    """
    known.file.seek(0)
    if known.file.read(len(_ZIP)) != _ZIP:
        return None
    return _pack(known)[1]


def hold_keys(name: str, own: LogKeys, keys: LogKeys) -> None:
    """Hold the keys in a file to those shown: they are of one log, and one list is how the other begins.

    Raises:
        PackError: ``wrong_log``, ``forked_keys``; ``file`` is ``name``.
    """
    if own.log_id != keys.log_id:
        raise _of_other_log(name, own.log_id, keys)
    for one, other in zip(own.sets, keys.sets, strict=False):
        if (one.n, one.from_tree_size, one.keys) != (other.n, other.from_tree_size, other.keys):
            reason = f"has another key set {one.n} than the one shown here: the log's keys go on in two ways"
            raise PackError(reason, file=name, code="forked_keys")


def _keys_in(known: KnownFile) -> LogKeys | None:
    """Return the keys that a pack or a ``keys.json`` brings; None of another file."""
    known.file.seek(0)
    if known.file.read(len(_ZIP)) == _ZIP:
        return _pack(known)[1]
    known.file.seek(0)
    data = known.file.read(layout.MAX_MEMBER_BYTES)
    return _own_keys(known, data.strip()) if b'"sets"' in data and data.lstrip()[:1] == b"{" else None


def _pack(known: KnownFile) -> tuple[Members, LogKeys]:
    try:
        members = Members(StrictZip(known.file))
        return members, parse_keys(members.read(layout.KEYS))
    except SignetError as error:
        raise _unreadable(known, f"is no whole pack: {error}") from error


def _of_pack(known: KnownFile, keys: LogKeys) -> list[KnownTree]:
    members, own = _pack(known)
    hold_keys(known.name, own, keys)
    return [KnownTree.of(head, known.name) for head in _final_heads(known, members, own)]


def _final_heads(known: KnownFile, members: Members, keys: LogKeys) -> list[SignedTreeHead]:
    heads: list[SignedTreeHead] = []
    for name in members.names:
        if layout.head_date(name) is None:
            continue
        heads.append(_signed(known, partial(_next_head, members.read(name), keys, heads)))
    return heads


def _next_head(data: bytes, keys: LogKeys, before: list[SignedTreeHead]) -> SignedTreeHead:
    head = verify_sth(data, keys)
    check_successor(before[-1] if before else None, head)
    return head


def _of_checkpoint(known: KnownFile, data: bytes, keys: LogKeys) -> KnownTree:
    try:
        origin = parse_checkpoint(parse_note(data).text).origin
    except SignetError as error:
        raise _unreadable(known, f"is none that is known here; {_HINT}") from error
    if origin != keys.origin:
        raise _of_other_log(known.name, origin, keys)
    found = _signed(known, lambda: verify_checkpoint(data, keys))
    return KnownTree(known.name, found.tree_size, found.root_hash)


def _own_keys(known: KnownFile, data: bytes) -> LogKeys:
    try:
        return parse_keys(data)
    except SignetError as error:
        raise _unreadable(known, str(error)) from error


def _signed(known: KnownFile, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except SignetError as error:
        reason = (
            f"{error}; by the keys shown here it is not signed: the file was changed, or the keys were. "
            "If a later key set signed it, give the log's keys.json of that time as well"
        )
        raise PackError(reason, file=known.name, code="known_unsigned") from error


def _of_other_log(name: str, found: str, keys: LogKeys) -> PackError:
    reason = f"is of the log {found[:80]}, and this is {keys.log_id} ({keys.origin})"
    return PackError(reason, file=name, code="wrong_log")


def _unreadable(known: KnownFile, reason: str) -> PackError:
    return PackError(reason, file=known.name, code="known_unreadable")
