"""What Signet needs from the outside, and what each implementation must promise.

Every Protocol states its consistency, durability and retry rules: they are the
safety argument of the code that uses it. ``signet.aws`` implements them with
DynamoDB, SQS, S3 and Secrets Manager; tests run one contract suite over the fake, over
moto and over the embedded stack.

All methods may raise ``UnavailableError``, except where they say that they do not. For a write its effect is
then unknown: it may or may not have taken place. Its kind ``NotDoneError`` says that it has not, and
``MisconfiguredError`` that the same call will fail again until a person changes something: callers make no
further try within their invocation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from signet.core.apis import Api
from signet.core.client import Client
from signet.core.errors import UnavailableError

#: Code of an ``UnavailableError`` that says no more than: too many writes of one item at once.
THROTTLED: Final = "store_throttled"


class NonceStore(Protocol):
    """Remembers which nonces have been spent."""

    def spend(self, nonce_sha256: bytes, *, expires_at: int) -> bool:
        """Record the nonce as spent, atomically; True for exactly one caller, ever.

        Linearizable: of any number of concurrent calls with one digest, one gets True.
        The record may be forgotten after ``expires_at`` (Unix seconds), never before. An ``UnavailableError``
        with the code ``THROTTLED`` tells nothing of the store's health: copies of one proof bring it about.
        """
        ...


class ClientRegistry(Protocol):
    """The registered callers. Read by the authorizer, written only by operators."""

    def get(self, keyid: str) -> Client | None:
        """Return the entry, or None. Reads may lag a write by at most the cache time (60 s)."""
        ...


class ApiRegistry(Protocol):
    """The APIs that Signet stands in front of. Read by the handshake, written only by operators."""

    def find(self, api_id: str, stage: str) -> Api | None:
        """Return what is registered for a stage of an API, or None.

        Reads may lag a write by at most the cache time (60 s).
        """
        ...

    def named(self, name: str) -> Api | None:
        """Return what is registered under a name, or None; reads may lag as those of ``find``."""
        ...

    def names(self) -> Collection[str]:
        """Return every name that may be registered, so that guessed ones cost no reads; may lag likewise."""
        ...


class ReceiptQueue(Protocol):
    """Takes decisions on their way to the log."""

    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        """Return only when the message is durable. It is delivered at least once, in any order.

        Evidence and transcript, at most 64 KiB each, are as durable as their message and delivered with it.
        """
        ...


class BundleStore(Protocol):
    """Bundles of detached proofs, by the SHA-256 of their bytes; forgotten after minutes."""

    def put(self, sha256: bytes, bundle: bytes, *, expires_at: int) -> None:
        """Store a bundle until ``expires_at`` (Unix seconds); storing it again only prolongs its life."""
        ...

    def get(self, sha256: bytes, *, now: int) -> bytes | None:
        """Return what ``put`` stored before (strongly consistent), or None if it expired by ``now``.

        The caller recomputes the digest: a store is not trusted with content.
        """
        ...


class EvidenceStore(Protocol):
    """Evidence of allowed requests, beside the log, by the hex SHA-256 of its bytes; written once."""

    def keep(self, evidence: Mapping[str, bytes]) -> Mapping[str, UnavailableError]:
        """Store what is not there yet; return why, by digest, of what could not be stored.

        Never raises ``UnavailableError``; storing the same again changes nothing.
        """
        ...


class TranscriptStore(Protocol):
    """Transcripts of decisions, one object for those of one append, by name; written once."""

    def keep(self, name: str, content: bytes) -> None:
        """Store an object unless one of this name is there, which then holds the same.

        Raises:
            UnavailableError: it could not be stored, or that is not known.
        """
        ...


@dataclass(frozen=True, slots=True)
class StoredBreaker:
    """The state of a breaker as it is stored.

    Attributes:
        name: the breaker's name.
        version: counts what was written, from 1.
        state: the machine's record, encoded.
        unsent: receipts (encoded) of transitions that may not have reached the queue, oldest first.
    """

    name: str
    version: int
    state: bytes
    unsent: tuple[bytes, ...] = ()


class BreakerStore(Protocol):
    """State and statistics of breakers, shared by every environment of every function.

    The state is linearizable per breaker: every transition has one winner. Statistics are items of sums that
    are only ever added to; additions commute, so no order of writers matters and none is lost to another.
    """

    def read(
        self, name: str, items: Sequence[str] = ()
    ) -> tuple[StoredBreaker | None, Sequence[Mapping[str, str]]]:
        """Return the state, or None if there is none yet, and the sums of each item.

        Strongly consistent, in one round trip, but not atomic: a caller that has read sums of another
        generation than the state's reads again. Sums are decimal strings; an item without sums yet is empty.
        """
        ...

    def add(self, item: str, amounts: Mapping[str, str], *, expires_at: int) -> Mapping[str, str]:
        """Add to the sums of an item, atomically, at most once; return these sums as they are then.

        Never repeat it after ``UnavailableError``, unless that is a ``NotDoneError``. Amounts are decimal
        strings; sums are exact to 28 digits at least. The item may be forgotten after ``expires_at`` (Unix
        seconds).
        """
        ...

    def move(self, record: StoredBreaker) -> bool:
        """Write a state if the version stored is the one before; False if it is not.

        Version 1 is written if nothing is stored. Of any number of concurrent calls for one version at most
        one gets True. False may also mean that this very call took effect and its answer was lost: the
        receipts still to be sent are in ``unsent``, and every caller may send them.
        """
        ...

    def clear_unsent(self, name: str, *, version: int) -> None:
        """Forget the unsent receipts, if the version stored is still this one; nothing happens otherwise."""
        ...


class OutcomeMarks(Protocol):
    """Remembers of which requests an outcome was counted, for every environment."""

    def mark(self, receipts: Mapping[str, int]) -> Mapping[str, bool | None]:
        """Mark requests as counted, in bounded time; it never raises for a store that is down.

        Args:
            receipts: ids of receipts, each with the Unix second before which its mark is not forgotten.

        Returns:
            For each id True (exactly one caller gets it, ever), False if it was marked before, None if the
            store cannot tell.
        """
        ...


@dataclass(frozen=True, slots=True)
class ChainHead:
    """Where a receipt chain stands.

    Attributes:
        chain_id: number of the chain, from 0.
        next_seq: sequence number the next receipt gets; also the count of receipts so far.
        head: SHA-256 of the last receipt's bytes, 32 bytes; all zero for an empty chain.
        recorded_at_ms: ``recorded_at`` of the last receipt, Unix milliseconds; 0 for an empty chain.
        not_before_ms: the fence: no later receipt may carry a smaller ``recorded_at``.
    """

    chain_id: int
    next_seq: int
    head: bytes
    recorded_at_ms: int
    not_before_ms: int


@dataclass(frozen=True, slots=True)
class AppendOutcome:
    """What became of an append.

    Attributes:
        appended: True if all receipts of the call are now in the chain, in order.
        duplicates: ids that are in the chain already, whether or not the head moved; the caller drops them
            and tries again.
        head_moved: another writer was faster; the caller re-reads the head and tries again.
    """

    appended: bool
    duplicates: frozenset[str] = frozenset()
    head_moved: bool = False


class ChainStore(Protocol):
    """The hash chains of receipts, before they are integrated into the log.

    Linearizable per chain. ``append`` and ``fence`` are atomic: all or nothing.
    """

    @property
    def max_append_receipts(self) -> int:
        """Most receipts one ``append`` takes."""
        ...

    @property
    def max_append_bytes(self) -> int:
        """Most bytes the receipts of one ``append`` may have in all; at least one receipt fits."""
        ...

    def head(self, chain_id: int) -> ChainHead:
        """Return the current head (strongly consistent); the empty head if there is none yet."""
        ...

    def append(
        self, head: ChainHead, new_head: ChainHead, receipts: Sequence[tuple[str, bytes]]
    ) -> AppendOutcome:
        """Append (id, bytes) pairs if the head still equals ``head`` and no id is in the chain already.

        An id is remembered for 30 days at least: longer than a queue can deliver it again.

        After ``UnavailableError`` the append may have happened; calling again with the same
        receipts is safe: then every id is reported as a duplicate.
        """
        ...

    def fence(self, head: ChainHead, *, not_before_ms: int) -> bool:
        """Raise ``not_before_ms`` if the head still equals ``head``; False if it moved."""
        ...

    def read(self, chain_id: int, *, start_seq: int) -> Iterator[bytes]:
        """Yield receipts' bytes from ``start_seq`` on, in order, strongly consistent.

        Receipts that ``head`` has just counted may be missing at the end for a moment (a query of DynamoDB is
        not isolated from transactions); reading again finds them.
        """
        ...


class ObjectStore(Protocol):
    """The log's public objects, by key (S3). Read-after-write consistent."""

    def get(self, key: str) -> bytes | None:
        """Return the object's bytes, or None if there is none."""
        ...

    def put(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> None:
        """Create or replace; only for objects that are meant to move (checkpoint, staging)."""
        ...

    def put_once(self, key: str, body: bytes, *, content_type: str = "application/octet-stream") -> bool:
        """Create if absent and return True; False if an object is there already (unread, unchanged)."""
        ...

    def delete(self, key: str) -> None:
        """Delete; a missing object is no error."""
        ...

    def list(self, prefix: str) -> Iterator[str]:
        """Yield the keys under a prefix in lexicographic order."""
        ...


class LockStore(Protocol):
    """One register, such as the one that decides which signed tree head is the latest. Linearizable."""

    def read(self) -> bytes | None:
        """Return the register's value (strongly consistent), or None before the first write."""
        ...

    def compare_and_swap(self, old: bytes | None, new: bytes) -> bool:
        """Replace ``old`` by ``new`` atomically; False if the register holds anything else.

        After ``UnavailableError`` the caller must stop and start over from ``read``.
        """
        ...


class SecretStore(Protocol):
    """Private log keys, one write-once secret per key set."""

    def get(self, name: str) -> bytes | None:
        """Return the secret's bytes, or None if there is none."""
        ...

    def create(self, name: str, value: bytes) -> bool:
        """Create if absent and return True; False if the name is taken (value unchanged)."""
        ...


class KeyService(Protocol):
    """Signing keys that never leave the service that made them, by name."""

    def public_key(self, name: str, alg: str) -> bytes:
        """Return the raw public key of this name; a key that is not there yet is made, once.

        All callers get the same key, at every call, for ever.
        """
        ...

    def sign(self, name: str, alg: str, message: bytes) -> bytes:
        """Return a signature by the key of this name.

        Raises:
            LogError: code ``message_too_long``: the service does not sign so long a message with ``alg``.
        """
        ...


class PackOrders(Protocol):
    """Takes orders for compliance packs, which are then built apart from the caller."""

    def order(self, date: str, *, evidence: bool, transcripts: bool) -> None:
        """Return once the order is taken: the pack of that day is then built once or more often.

        After ``UnavailableError`` it may be built or not. A second order is safe: equal inputs give one pack.
        """
        ...
