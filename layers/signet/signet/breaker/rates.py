"""Token buckets of single callers: one in each environment, which learn of each other's tokens at refreshes.

    <name>#rates#<length>#<epoch>   tokens taken in an epoch of so many seconds, by caller

A bucket is known by when it will be full again (as the TAT of GCRA, ITU-T I.371). What others took is charged
when it becomes known, also beyond an empty bucket: what was let through too much is waited for. Between two
refreshes an environment takes no more than a share of the tokens there are. So of all N environments together

    admitted in T seconds <= 2 x burst + rate x T + 2 x N x (allowance + 3),
    allowance = burst/N + 2 x sqrt(burst/N) + 1.

Twice the burst, since a fresh environment does not know when in an epoch a token was taken; 3, since few
tokens may go untold where many callers are busy. Where the store is
away, an environment holds callers to its own bucket: a caller can then have up to N times the rate. It fails
open on purpose, as the breaker does: a caller within the limit is not refused for a store.

Only verified callers have buckets. A fixed number is remembered exactly; of more, a sketch remembers when
their buckets will be full again, never earlier than it is (the idea of count-min: Cormode and Muthukrishnan,
J. Algorithms 55, 2005).
"""

from __future__ import annotations

import hashlib
import hmac
import math
from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from signet.breaker.counts import count_of
from signet.core.encoding import encode_base64url
from signet.core.rates import RateLimit

#: Most buckets that one environment keeps exactly: 2 MB.
SIZE: Final = 4_096
#: Callers that one flush tells of at most; of those with few tokens taken, and of all, that an item names.
_FLUSHED: Final = 16
_LIGHT_NAMES: Final = 128
_NAMES: Final = 512
_HEAVY: Final = 4
_LEAST_EPOCH_S: Final = 15
_SKETCH: Final = 2_048
_BYTES: Final = 9
#: A refresh that is wanted before its time comes no sooner than this after the last.
_SPACING_S: Final = 0.05
#: Environments there may be, while that is not known: for half a minute after a backend's first request.
_FLEET: Final = 10.0

Items = Mapping[str, Mapping[str, str]]


def name_caller(key: bytes, *said: str) -> bytes:
    """Return the name under which a caller is counted, 9 bytes: without the key it tells nothing.

    Args:
        key: secret of the deployment.
        said: what the name is for (a backend, a group), and the caller's key id.
    """
    return hmac.digest(key, "\n".join(said).encode(), hashlib.sha256)[:_BYTES]


def epoch_s(limit: RateLimit) -> int:
    """Return the length of the epochs of counting: an empty bucket is full again within one."""
    needed = limit.burst * limit.token_s / _LEAST_EPOCH_S
    return int(_LEAST_EPOCH_S * 2 ** max(0, math.ceil(math.log2(needed))))


@dataclass(slots=True)
class _Bucket:
    """Times are seconds that have passed, by two clocks."""

    limit: RateLimit
    length_s: int
    full_at_s: float
    read_at_s: float = -math.inf
    known: dict[int, int] = field(default_factory=dict)  # epoch → tokens that are charged here
    pending: int = 0  # taken here, not told yet
    since_s: float = 0.0  # when the first of them was
    fresh: int = 0  # taken here since the last refresh
    fresh_s: float = 0.0  # when the first of them was
    before_s: float = 0.0  # when it would be full without those
    allowance: float = 0.0
    read: int = -1  # number of the refresh that was learned from

    def level(self, at_s: float) -> float:
        """Return the tokens there are; below 0 after too many were let through."""
        return self.limit.burst - max(0.0, self.full_at_s - at_s) / self.limit.token_s

    def charge(self, tokens: int, at_s: float) -> None:
        """Take tokens as of a time."""
        self.full_at_s = max(self.full_at_s, at_s) + tokens * self.limit.token_s


@dataclass(slots=True)
class Rates:
    """The buckets of one backend's callers in one environment. Not safe to share between threads.

    Attributes:
        item_writes_per_s: most writes a second to one item, as the breaker's.
        size: buckets that are kept exactly.
    """

    item_writes_per_s: int
    size: int = SIZE
    # By limit too: of two limits in one group, neither fills what the other one has emptied.
    _buckets: OrderedDict[tuple[RateLimit, bytes], _Bucket] = field(default_factory=OrderedDict, init=False)
    _pending: dict[tuple[RateLimit, bytes], None] = field(default_factory=dict, init=False)
    _sketch: tuple[array[float], array[float]] = field(init=False)
    _shared: dict[int, dict[int, Mapping[str, str]]] = field(default_factory=dict, init=False)
    _lengths: dict[int, float] = field(default_factory=dict, init=False)  # in use: → when last, seconds
    _asked: list[tuple[int, int]] = field(default_factory=list, init=False)  # lengths and epochs
    _environments: float = field(default=_FLEET, init=False)
    _reads: int = field(default=0, init=False)
    _read_at_s: float = field(default=0.0, init=False)
    _now_ms: int = field(default=0, init=False)
    _alone: bool = field(default=True, init=False)
    _wanted: bool = field(default=False, init=False)
    _unread: bool = field(default=False, init=False)  # a length is in use whose items were not read yet

    def __post_init__(self) -> None:
        self._sketch = (array("d", bytes(8 * _SKETCH)), array("d", bytes(8 * _SKETCH)))

    def __len__(self) -> int:
        """Return how many buckets are kept exactly."""
        return len(self._buckets)

    def wait_s(self, limit: RateLimit, caller: bytes, at_s: float) -> float | None:
        """Return for how long a caller has to wait for a token, seconds; None if there is one. Takes none.

        Args:
            limit: of the route.
            caller: by name (``name_caller``), the group of routes included.
            at_s: seconds that have passed, by two clocks.
        """
        bucket = self._bucket(limit, caller, at_s)
        level = bucket.level(at_s)
        if level < 1 - 1e-9:
            return (1 - level) * limit.token_s
        if self._alone or bucket.fresh + 1 <= bucket.allowance:
            return None
        self._wanted = True
        return self._spacing_s()

    def take(self, limit: RateLimit, caller: bytes, at_s: float) -> None:
        """Take a token, also one that is not there."""
        bucket = self._bucket(limit, caller, at_s)
        bucket.charge(1, at_s)
        bucket.since_s = bucket.since_s if bucket.pending else at_s
        bucket.fresh_s = bucket.fresh_s if bucket.fresh else at_s
        bucket.pending += 1
        bucket.fresh += 1
        self._pending[limit, caller] = None
        self._wanted |= not self._alone and bucket.fresh + 1 > bucket.allowance

    def is_due(self, at_s: float) -> bool:
        """Tell whether a caller's share is used up, and a refresh could say that there is more."""
        return (self._unread and not self._alone) or (
            self._wanted and at_s - self._read_at_s >= self._spacing_s()
        )

    def items(self, name: str, now_ms: int) -> list[str]:
        """Return the items to read at a refresh: none where no limit is in use."""
        self._asked = [(length_s, epoch) for length_s in self._lengths for epoch in _epochs(length_s, now_ms)]
        return [_item(name, length_s, epoch) for length_s, epoch in self._asked]

    def drain(self, name: str, now_ms: int, at_s: float) -> dict[str, dict[str, str]]:
        """Return what is to be ADDed, by item: of the callers who took most, if others have to know."""
        for length_s in [known for known, used_s in self._lengths.items() if at_s - used_s > 2 * known]:
            del self._lengths[length_s]
        waiting = []
        for key in list(self._pending):
            bucket, (_, caller) = self._buckets.get(key), key
            if bucket is None or self._is_negligible(bucket, at_s):
                del self._pending[key]
                if bucket is not None:
                    bucket.pending = 0
            elif self._has_room(bucket, caller, now_ms):
                waiting.append((bucket.pending, caller, bucket))
        drained: dict[str, dict[str, str]] = {}
        for pending, caller, bucket in sorted(waiting, key=lambda one: one[:2], reverse=True)[:_FLUSHED]:
            epoch = now_ms // (1000 * bucket.length_s)
            item = drained.setdefault(_item(name, bucket.length_s, epoch), {})
            named = encode_base64url(caller)
            item[named] = str(int(item.get(named, 0)) + pending)
            bucket.known[epoch] = bucket.known.get(epoch, 0) + pending
            bucket.pending = 0
            del self._pending[bucket.limit, caller]
        return drained

    def learn(
        self, found: Sequence[Mapping[str, str]], *, environments: float, now_ms: int, at_s: float
    ) -> None:
        """Take note of what ``items`` hold.

        Args:
            found: the sums of the items that were named last, in their order.
            environments: that add to the arrivals; 0 while that is not known.
            now_ms: as given to ``items``.
            at_s: seconds that have passed, by two clocks.
        """
        self._shared = {}
        for (length_s, epoch), item in zip(self._asked, found, strict=True):
            self._shared.setdefault(length_s, {})[epoch] = item
        self._environments = max(1.0, environments or _FLEET)
        self._reads += 1
        self._read_at_s, self._now_ms = at_s, now_ms
        self._alone = self._wanted = False
        self._unread = not self._lengths.keys() <= self._shared.keys()

    def lose(self) -> None:
        """Take note that the store is away: what others take is not known."""
        self._alone, self._wanted = True, False

    def _spacing_s(self) -> float:
        return max(_SPACING_S, self._environments / self.item_writes_per_s)

    def _bucket(self, limit: RateLimit, caller: bytes, at_s: float) -> _Bucket:
        bucket = self._buckets.get((limit, caller))
        if bucket is None:
            bucket = self._made(limit, caller, at_s)
        else:
            self._buckets.move_to_end((limit, caller))
        self._lengths[bucket.length_s] = at_s
        self._unread |= bucket.length_s not in self._shared
        if bucket.read != self._reads:
            self._update(bucket, caller, at_s)
        return bucket

    def _made(self, limit: RateLimit, caller: bytes, at_s: float) -> _Bucket:
        length_s = epoch_s(limit)
        owed_s = min(row[place] for row, place in zip(self._sketch, _places(caller), strict=True))
        bucket = self._buckets[limit, caller] = _Bucket(limit, length_s, 0.0)
        self._update(bucket, caller, at_s)
        bucket.full_at_s = bucket.before_s = max(bucket.full_at_s, min(owed_s, at_s + 2 * length_s))
        if len(self._buckets) > self.size:
            self._forget(at_s)
        return bucket

    def _forget(self, at_s: float) -> None:
        """Keep of the bucket that was not asked for longest no more than when it will be full again."""
        key, bucket = self._buckets.popitem(last=False)
        self._pending.pop(key, None)
        if bucket.full_at_s > at_s:
            for row, place in zip(self._sketch, _places(key[1]), strict=True):
                row[place] = max(row[place], bucket.full_at_s)

    def _update(self, bucket: _Bucket, caller: bytes, at_s: float) -> None:
        """Charge what others took, as of the last time, or the beginning of its epoch; share anew."""
        unread = bucket.length_s not in self._shared
        epochs = self._shared.get(bucket.length_s, {})
        # Later ones are charged after earlier ones, which may have come back meanwhile.
        bucket.full_at_s = bucket.before_s
        for epoch, item in sorted(epochs.items()):
            tokens, known = count_of(item.get(encode_base64url(caller), "0")) or 0, bucket.known.get(epoch, 0)
            if tokens > known:
                began_s = self._read_at_s - (self._now_ms / 1000 - epoch * bucket.length_s)
                bucket.charge(tokens - known, min(at_s, max(bucket.read_at_s, began_s)))
                bucket.known[epoch] = tokens
        bucket.known = {epoch: known for epoch, known in bucket.known.items() if unread or epoch in epochs}
        bucket.charge(bucket.fresh, bucket.fresh_s)
        bucket.before_s = bucket.full_at_s
        share = max(0.0, bucket.level(at_s)) / self._environments
        bucket.allowance = 1.0 if unread else share + 2 * math.sqrt(share) + 1
        bucket.fresh, bucket.read = 0, self._reads
        if not unread:
            bucket.read_at_s = self._read_at_s

    def _is_negligible(self, bucket: _Bucket, at_s: float) -> bool:
        """Tell whether the bucket would be full again, had all environments taken as many tokens."""
        filled_s = bucket.pending * bucket.limit.token_s * self._environments
        return bucket.full_at_s <= at_s and at_s - bucket.since_s > filled_s

    def _has_room(self, bucket: _Bucket, caller: bytes, now_ms: int) -> bool:
        item = self._shared.get(bucket.length_s, {}).get(now_ms // (1000 * bucket.length_s), {})
        room = _NAMES if bucket.pending >= _HEAVY else _LIGHT_NAMES
        return len(item) < room or encode_base64url(caller) in item


def _item(name: str, length_s: int, epoch: int) -> str:
    return f"{name}#rates#{length_s}#{epoch}"


def _epochs(length_s: int, now_ms: int) -> range:
    """Return the epochs that matter; the last may be ahead by a writer's clock."""
    current = now_ms // (1000 * length_s)
    return range(current - 1, current + 2)


def _places(caller: bytes) -> tuple[int, int]:
    return int.from_bytes(caller[:4]) % _SKETCH, int.from_bytes(caller[4:8]) % _SKETCH
