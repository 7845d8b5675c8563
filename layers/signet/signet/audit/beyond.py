"""What lies where the log will write next: work under way, or a stray object in its way.

The log's writer never replaces an object. So one object at the place of the next tile, head or key set stops
it, and no tree head shows that. What is there has to be what the writer would write.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, TypeVar

from signet.audit.live import LiveState, register_of
from signet.audit.source import Listing, LogSource
from signet.core.canonical import canonicalize, parse
from signet.core.errors import SignetError, UnavailableError
from signet.core.instants import next_day
from signet.core.verification import Checks, Failure
from signet.log import object_keys, staging
from signet.log.keys import LogKeys, parse_keys, read_key_set
from signet.log.note import verify_checkpoint
from signet.log.register import Register
from signet.log.sth import SignedTreeHead, verify_sth
from signet.log.tiles import TILE_HEIGHT, TILE_WIDTH, TileReader, encode_entries, parse_tile_path

_T = TypeVar("_T")

KEY_SETS: Final = "keys/"
_KEY_SET: Final = re.compile(r"keys/(0|[1-9][0-9]{0,8})\.json")
_OF_A_DAY: Final = re.compile(r"sth/([0-9]{4}-[0-9]{2}-[0-9]{2})\.(json|checkpoint)")
_ACCOUNTS: Final = re.compile(r"emitters/([0-9a-f]{64})")
#: Staged bundles that are read, 16 MiB each: a run leaves one, and one more for each that was killed.
_MOST_BUNDLES: Final = 16
#: How often one tile is checked while the log moves on beside the audit; a run takes longer than one check.
_MOST_CHECKS: Final = 4
_IN_THE_WAY: Final = "the log's writer stops at it (operations.md, An object in the way)"


class ObjectsBeyondTree:
    """Checks objects beyond what the newest head says.

    Everything is read anew when it is needed: a run beside the audit may have moved the log on.
    """

    def __init__(self, source: LogSource, keys: LogKeys, live: LiveState | None, checks: Checks) -> None:
        """Prepare; nothing is read yet.

        Args:
            source: the log.
            keys: its keys as they were read at the start.
            live: the lock register, where it can be read: it says which staged bundle is true.
            checks: takes failures and notices.
        """
        self._source = source
        self._known = keys
        self._live = live
        self._checks = checks
        self._staged: Mapping[str, bytes] | None = None
        self._trees: list[tuple[int, bytes]] | None = None
        self._readers: dict[int, TileReader] = {}
        self._state: tuple[bytes | None, ...] = ()

    def is_writers_tile(self, path: str) -> bool:
        """Tell whether a tile beyond the tree is one that the writer put there; if not, it is a failure."""
        stored = self._source.get(path)
        if stored is None:
            return False  # gone meanwhile
        if not self._state:
            self._state = self._state_now()
        fault = self._fault_of(path, stored)
        for _ in range(_MOST_CHECKS):
            if fault is None or not self._has_moved_on():
                break
            fault = self._fault_of(path, stored)
        if fault is not None:
            self._refuse(path, f"reaches beyond the tree, {fault}")
        return fault is None

    def _fault_of(self, path: str, stored: bytes) -> str | None:
        """Return what is wrong with a tile, as far as is known of bundles and signed trees."""
        if self._staged is None:
            self._staged = self._bundles()
        expected, signed = self._staged.get(path), False
        if expected is None:
            expected, signed = self._of_a_signed_tree(path)
        if expected is None:
            # Of a tree that lost other tiles: the register is held to that.
            return None if signed else "and no staged bundle has it"
        return None if hmac.compare_digest(expected, stored) else "and is not what was staged or signed"

    def _has_moved_on(self) -> bool:
        """Tell whether the log has moved on since its bundles and trees were read; if so, forget them.

        A long listing outlasts runs: its last keys are of trees that were not there with its first.
        """
        now = self._state_now()
        if now == self._state:
            return False
        self._state, self._staged, self._trees = now, None, None
        self._readers.clear()
        return True

    def _state_now(self) -> tuple[bytes | None, ...]:
        """Return what changes with every step of the log's writer."""
        register = None if self._live is None else self._live.register()
        bundles = [] if self._live is not None or self._source.keys is None else self._staging()
        checkpoint = self._source.get(object_keys.CHECKPOINT)
        return (checkpoint, register, *(key.encode() for key in bundles))

    def check_heads(self, listing: Listing, newest: SignedTreeHead, first: str | None) -> int:
        """Look at everything under ``sth/``; return how many days are closed beyond the newest head.

        Args:
            listing: yields keys.
            newest: the newest head.
            first: the log's first day, if it is known.
        """
        later = 0
        open_from = (next_day(newest.date) if newest.final else newest.date).isoformat()
        for key in listing(object_keys.HEADS):
            found = _OF_A_DAY.fullmatch(key)
            if key == object_keys.LATEST_HEAD:
                continue
            if found is None or (first is not None and found[1] < first):
                self._checks.fail(Failure("foreign_object", key, "is no head or checkpoint of this log"))
            elif found[1] >= open_from:
                if not self._is_signed(key, found[1], is_head=found[2] == "json"):
                    self._refuse(key, "is of a day that is not closed, and is not signed by the log")
                later += found[2] == "json"
        return later

    def check_key_sets(self, listing: Listing | None) -> None:
        """Hold the key sets that are stored one by one to ``keys.json``."""
        missing = 0
        for n in range(len(self._known.sets)):
            key = object_keys.key_set(n)
            stored = self._source.get(key)
            missing += stored is None
            if stored is not None and not hmac.compare_digest(stored, _set_bytes(self._known, n)):
                self._checks.fail(Failure("wrong_key_set", key, "is not the set that keys.json has"))
        if missing:
            text = (
                f"{missing} key sets are not stored one by one: keys.json could not be made again from them"
            )
            self._checks.notice("key_set_absent", text)
        for key in () if listing is None else listing(KEY_SETS):
            found = _KEY_SET.fullmatch(key)
            if found is None:
                self._checks.fail(Failure("foreign_object", key, "is no key set"))
            elif int(found[1]) >= len(self._known.sets) and not self._is_next_set(key, int(found[1])):
                self._refuse(key, "is a key set that does not follow")

    def check_accounts(self, listing: Listing, compared: set[str]) -> None:
        """Hold stored accounts of emitters to the digest they are named by, but for those compared before."""
        for key in listing(object_keys.EMITTERS):
            found = _ACCOUNTS.fullmatch(key)
            body = None if key in compared else self._source.get(key)
            if found is None:
                self._checks.fail(Failure("foreign_object", key, "are no accounts"))
            elif body is not None and hashlib.sha256(body).hexdigest() != found[1]:
                self._checks.fail(Failure("wrong_accounts", key, "has not the digest it is named by"))

    def _refuse(self, where: str, reason: str) -> None:
        self._checks.fail(Failure("object_beyond", where, f"{reason}: {_IN_THE_WAY}"))

    def _bundles(self) -> dict[str, bytes]:
        """Return the tiles of the staged bundles that lead to the tree they are named by."""
        tiles: dict[str, bytes] = {}
        for key in self._bundle_keys():
            bundle = self._source.get(key)
            if bundle is not None:
                tiles |= _value_or_none(partial(staging.staged_tiles, bundle, key, self._source.get)) or {}
        return tiles

    def _bundle_keys(self) -> list[str]:
        if self._live is not None:
            register = self._register()
            return [register.staging] if register is not None and register.staging is not None else []
        return self._staging()[-_MOST_BUNDLES:]

    def _staging(self) -> list[str]:
        listing = self._source.keys
        return [] if listing is None else [key for key in listing(staging.PREFIX) if staging.staged_size(key)]

    def _of_a_signed_tree(self, path: str) -> tuple[bytes | None, bool]:
        """Return a tile of a larger tree that is signed, if it can be read; and whether there is one."""
        if self._trees is None:
            self._trees = sorted(self._signed_trees().items(), reverse=True)
        level, index, width = parse_tile_path(path)
        first = index * TILE_WIDTH
        covering = [
            tree for tree in self._trees if (tree[0] >> (TILE_HEIGHT * (level or 0))) - first >= width
        ]
        for size, root in covering:
            body = _value_or_none(partial(self._tile_of, size, root, path))
            if body is not None:
                return body, True
        return None, bool(covering)

    def _tile_of(self, size: int, root: bytes, path: str) -> bytes:
        if size not in self._readers:
            self._readers[size] = TileReader(self._source.get, size, root=root)
        level, index, width = parse_tile_path(path)
        return _tile(self._readers[size], level, index * TILE_WIDTH, width)

    def _signed_trees(self) -> dict[int, bytes]:
        """Return size and root of each tree that checkpoint, register or a closed day's head is of now."""
        trees: dict[int, bytes] = {}
        stored = self._source.get(object_keys.CHECKPOINT) or b""
        checkpoint = _value_or_none(lambda: verify_checkpoint(stored, self._keys()))
        if checkpoint is not None:
            trees[checkpoint.tree_size] = checkpoint.root_hash
        register = self._register()
        if register is not None:
            trees[register.head.tree_size] = register.head.root_hash
        for key in () if self._source.keys is None else self._source.keys(object_keys.HEADS):
            found = _OF_A_DAY.fullmatch(key)
            if found is not None and found[2] == "json":
                raw = self._source.get(key) or b""
                head = _value_or_none(partial(verify_sth, raw, self._keys()))
                if head is not None:
                    trees[head.tree_size] = head.root_hash
        return trees

    def _register(self) -> Register | None:
        live = self._live
        return None if live is None else _value_or_none(lambda: register_of(self._source, live, self._known))

    def _keys(self) -> LogKeys:
        """Return the keys as they are now, if they go on from those that were read at the start."""
        now = _value_or_none(lambda: parse_keys(self._source.get(object_keys.KEYS) or b""))
        count = len(self._known.sets)
        return now if now is not None and now.sets[:count] == self._known.sets else self._known

    def _is_signed(self, key: str, day: str, *, is_head: bool) -> bool:
        stored = self._source.get(key)
        if stored is None:
            return True  # gone meanwhile
        if not is_head:
            return _value_or_none(lambda: verify_checkpoint(stored, self._keys())) is not None
        head = _value_or_none(lambda: verify_sth(stored, self._keys()))
        return head is not None and head.final and head.date.isoformat() == day

    def _is_next_set(self, key: str, n: int) -> bool:
        """Tell whether a set beyond those of ``keys.json`` is one that a rotation under way put there."""
        stored, keys = self._source.get(key), self._keys()
        if stored is None:
            return True
        if n < len(keys.sets):
            return hmac.compare_digest(stored, _set_bytes(keys, n))
        return n == len(keys.sets) and _value_or_none(lambda: _follows(stored, keys)) is True


def _follows(stored: bytes, keys: LogKeys) -> bool:
    grown = keys.with_set(read_key_set(parse(stored), keys.sets[-1]))
    return hmac.compare_digest(stored, _set_bytes(grown, len(keys.sets)))


def _set_bytes(keys: LogKeys, n: int) -> bytes:
    return canonicalize(keys.set_object(n))


def _tile(tree: TileReader, level: int | None, first: int, width: int) -> bytes:
    if level is None:
        return encode_entries(list(tree.entries(first, first + width)))
    places = range(first, first + width)
    return b"".join(tree.subtree_hash(TILE_HEIGHT * level, place) for place in places)


def _value_or_none(read: Callable[[], _T]) -> _T | None:
    """Return what is read; None where it is not what it has to be.

    Raises:
        UnavailableError: the store cannot be reached: that says nothing of what is there.
    """
    try:
        return read()
    except UnavailableError:
        raise
    except (SignetError, KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None
