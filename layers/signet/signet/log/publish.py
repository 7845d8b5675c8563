"""Publishing a signed head and recovering one that was signed but not fully published.

Invariants, in the order in which a run establishes them:

1. A bundle lies in staging, read back and recomputed, before the head it leads to is signed.
2. A head is published only after the lock register holds it: the register decides which history is true.
3. ``sth/latest.json`` is written after everything else of its head. So if it equals the register's head,
   that head is published whole.
4. A bundle is deleted only after its head is published whole, or after the register has a head of at least
   its size (then no run can win the register with it any more).
5. ``keys/<n>.json`` is written before the register has set n in force. So ``keys.json`` can always be made
   again, also after a slow run replaced it by an older one.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from signet.core.canonical import canonicalize, parse
from signet.core.errors import CanonicalError, KeyFileError, LogError, SignatureError
from signet.core.ports import LockStore, ObjectStore
from signet.log import object_keys
from signet.log.emitters import read_accounts
from signet.log.keys import LogKeys, parse_keys
from signet.log.register import KeysPin, Register, parse_register, read_pin
from signet.log.staging import PREFIX, check_staged, staged_size
from signet.log.sth import SignedTreeHead, verify_sth
from signet.log.tiles import TileReader

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_BYTES: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Publisher:
    """Brings what the lock register says into the object store.

    Attributes:
        objects: the log's objects.
        lock: the register.
        genesis: the log's keys with set 0 alone: which log this is.
        threads: objects written at a time; 1 writes them in order.
    """

    objects: ObjectStore
    lock: LockStore
    genesis: LogKeys
    threads: int = 1

    def recover(self) -> Register | None:
        """Return the newest head, published whole; None if the log has none yet.

        Raises:
            LogError: store and register contradict each other. Nothing was changed.
        """
        # The store is read before the register: a head in the store was in the register before, so
        # the register read afterwards is at least as new, also beside other runs. The same holds of keys.
        stored = self.objects.get(object_keys.LATEST_HEAD)
        stored_keys = self.objects.get(object_keys.KEYS)
        raw = self.lock.read()
        if raw is None:
            if stored is not None:
                raise LogError("the store holds a tree head, but the lock register none", code="store_ahead")
            return None
        pin = read_pin(raw)
        true_keys = stored_keys if pin.holds(stored_keys or b"") else None
        keys = self._check_keys(true_keys or rebuild_keys(self.objects.get, pin, self.genesis))
        register = parse_register(raw, keys)
        if stored is not None and stored != register.head.raw:
            _check_older(stored, register)
        if true_keys is None:
            self.publish_keys(keys)
        if stored != register.head.raw:
            self._replay(register)
        self._drop_stale(register.head.tree_size)
        return register

    def publish(self, register: Register, staged: Mapping[str, bytes]) -> None:
        """Write everything of a head that the register holds. Idempotent: replaying it changes nothing.

        Raises:
            LogError: an object that is written once is there already and differs.
        """
        head = register.head
        self._write_all(staged.items())
        if head.final:
            date = head.date.isoformat()
            # The checkpoint first: once a day's head is there, all that a pack of the day needs is there.
            self.write_once(object_keys.final_checkpoint(date), register.checkpoint, content_type=_TEXT)
            self.write_once(object_keys.final_head(date), head.raw, content_type=_JSON)
        self.objects.put(object_keys.CHECKPOINT, register.checkpoint, content_type=_TEXT)
        self.objects.put(object_keys.LATEST_HEAD, head.raw, content_type=_JSON)
        if register.staging is not None:
            self.objects.delete(register.staging)

    def publish_genesis(self) -> None:
        """Write the keys of a log without a head, so that no head is ever without them."""
        self.publish_set(self.genesis)
        self.write_once(object_keys.KEYS, self.genesis.encode(), content_type=_JSON)

    def publish_set(self, keys: LogKeys) -> None:
        """Write the last key set; before the register has it in force."""
        n = keys.sets[-1].n
        self.write_once(object_keys.key_set(n), canonicalize(keys.set_object(n)), content_type=_JSON)

    def publish_keys(self, keys: LogKeys) -> None:
        """Write ``keys.json`` as the register has it; before the first head that needs it."""
        self.objects.put(object_keys.KEYS, keys.encode(), content_type=_JSON)

    def publish_policy(self, bundle_sha256: str, files: Mapping[str, bytes]) -> None:
        """Write the policy files in force; before the first head that names them."""
        for name, body in files.items():
            self.write_once(f"policy/{bundle_sha256}/{name}", body, content_type=_TEXT)

    def final_head(self, date: str, keys: LogKeys) -> SignedTreeHead | None:
        """Return a closed day's head, checked with these keys; None if there is none.

        Raises:
            LogError: the store holds something else in its place.
        """
        key = object_keys.final_head(date)
        stored = self.objects.get(key)
        if stored is None:
            return None
        head = _verify(stored, keys)
        if not head.final or head.date.isoformat() != date:
            raise LogError(f"{key} is not the final head of its day", code="bad_sth")
        return head

    def write_once(self, key: str, body: bytes, *, content_type: str = _BYTES) -> None:
        """Write an object that never changes; if it is there already it must be the same.

        Raises:
            LogError: it is there and differs.
        """
        if self.objects.put_once(key, body, content_type=content_type):
            return
        stored = self.objects.get(key)
        if stored is None or not hmac.compare_digest(stored, body):
            raise LogError(
                f"{key} is in the store already and differs: only this writer may write there; if "
                "'signet audit' names it too, operations.md says how to get past it (An object in the way)",
                code="object_differs",
            )

    def _write_all(self, items: Iterable[tuple[str, bytes]]) -> None:
        if self.threads == 1:
            for key, body in items:
                self.write_once(key, body)
            return
        with ThreadPoolExecutor(self.threads) as pool:
            for done in [pool.submit(self.write_once, key, body) for key, body in items]:
                done.result()

    def _replay(self, register: Register) -> None:
        """Publish a head that the register holds and the store does not (fully)."""
        head = register.head
        bundle = None if register.staging is None else self.objects.get(register.staging)
        if bundle is not None:
            staged = check_staged(bundle, head.tree_size, head.root_hash, head.emitters, self.objects.get)
        else:
            # No bundle: the head has no new leaves, or (invariant 4) what was staged is all in place and only
            # an older run put an older sth/latest.json over it. The stored tree must lead to its root.
            TileReader(self.objects.get, head.tree_size, root=head.root_hash)
            read_accounts(self.objects.get, head.emitters)
            staged = {}
        self.publish(register, staged)

    def _check_keys(self, data: bytes) -> LogKeys:
        try:
            keys = parse_keys(data)
        except KeyFileError as error:
            raise LogError(f"the log's keys are refused: {error}", code="bad_keys") from error
        if keys.log_id != self.genesis.log_id:
            raise LogError("the lock register belongs to a log with other keys", code="bad_register")
        return keys

    def _drop_stale(self, size: int) -> None:
        for key in self.objects.list(PREFIX):
            staged = staged_size(key)
            if staged is not None and staged <= size:
                self.objects.delete(key)


def rebuild_keys(get: Callable[[str], bytes | None], pin: KeysPin, genesis: LogKeys) -> bytes:
    """Return the ``keys.json`` that the register names, from the key sets one by one.

    Args:
        get: reads stored objects.
        pin: what the register says of the keys.
        genesis: keys of the log, its first set at least.

    Raises:
        LogError: code ``bad_keys``; a set is missing, or they are not the ones that the register names.
    """
    log = {"v": 1, "origin": genesis.origin, "log_id": genesis.log_id}
    try:
        sets = [parse(get(object_keys.key_set(n)) or b"") for n in range(pin.count)]
        rebuilt = canonicalize({**log, "sets": sets})
    except CanonicalError as error:
        raise LogError("a key set in the store is missing or malformed", code="bad_keys") from error
    if not pin.holds(rebuilt):
        raise LogError("the keys in the store are not the ones the register names", code="bad_keys")
    return rebuilt


def _check_older(stored: bytes, register: Register) -> None:
    """Check that the head in the store is one that the register's head may have followed."""
    older, newest = _verify(stored, register.keys), register.head
    same_size = older.tree_size == newest.tree_size
    if (
        older.timestamp >= newest.timestamp
        or older.tree_size > newest.tree_size
        or (same_size and older.root_hash != newest.root_hash)
    ):
        raise LogError("the store is ahead of the lock register", code="store_ahead")


def _verify(stored: bytes, keys: LogKeys) -> SignedTreeHead:
    try:
        return verify_sth(stored, keys)
    except SignatureError as error:
        raise LogError("a tree head in the store is not signed by this log", code="bad_sth") from error
