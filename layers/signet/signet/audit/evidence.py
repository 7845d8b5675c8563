"""The evidence beside a log: what decisions name is there, as long as it is kept, and is what they name.

It is no part of the log, which proves what it was, not that it is still there. What is gone because its
retention is over is told apart from what is gone and should not be.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from signet.audit.report import EvidenceCounts
from signet.audit.source import LogSource
from signet.core.instants import MS_PER_DAY, raw_id
from signet.core.verification import Failure, needed
from signet.log import object_keys
from signet.pack import layout
from signet.receipts.reading import Receipt

#: Days from a decision to its record: 14 in the queue (the longest there is), 14 in the dead-letter queue.
_LONGEST_WAIT: Final = 28
#: Pieces in memory at once; each is no larger than a request's headers, or the bundle it came in.
_AT_ONCE: Final = 256
#: Objects fetched at once: nearly all the time is the store's latency.
_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Retention:
    """For how long evidence is kept.

    Attributes:
        days: at the least, from the decision on.
        now_ms: Unix milliseconds.
    """

    days: int
    now_ms: int

    def end_ms(self, day: int) -> int:
        """Return when evidence may go that came on a day (days since 1970), in Unix milliseconds.

        S3 drops an object at the midnight after its days are over: up to a day later than this.
        """
        return (day + self.days) * MS_PER_DAY

    def is_over(self, day: int) -> bool:
        """Tell whether evidence that came on a day may be gone."""
        return self.end_ms(day) <= self.now_ms


class NamedEvidence:
    """What a log's allowed decisions name, each once, with the first day on which one did.

    A refusal names what the request said it was, and nothing of it is kept: strangers could fill the store.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        self._days: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self._days)

    def add(self, digest: str, receipt: Receipt) -> None:
        """Take the hex SHA-256 that a receipt names, if it is of an allowed decision.

        It is written once: of several receipts that name it, the first decides when it may go. The day is
        that of the decision, in the receipt's id: the evidence is stored after it, and before the chain
        records it, which may be weeks if the queue had to give it back. But the id is what a message says:
        it may not move the day to where no such wait leads, or a deletion of evidence could be excused by it.
        """
        if receipt.nonce is None:
            return
        recorded = needed(receipt.link).recorded_at_ms // MS_PER_DAY
        decided = int.from_bytes(raw_id(receipt.id)[:6]) // MS_PER_DAY
        day = min(max(decided, recorded - _LONGEST_WAIT), recorded)
        key = bytes.fromhex(digest)
        self._days[key] = min(day, self._days.get(key, day))

    def check(
        self,
        source: LogSource,
        retention: Retention,
        fail: Callable[[Failure], None],
        progress: Callable[[int, int], None],
    ) -> EvidenceCounts:
        """Read every piece and hold it to its name.

        Args:
            source: the log's objects.
            retention: for how long evidence is kept.
            fail: takes each piece that is damaged, or missing within its retention.
            progress: called with (pieces read, pieces in all).

        Raises:
            UnavailableError: the source cannot be read.
        """
        whole = damaged = missing = dropped = 0
        for done, (digest, day, body) in enumerate(self._read(source), 1):
            where = object_keys.evidence(digest.hex())
            if body is not None and hashlib.sha256(body).digest() == digest:
                whole += 1
            elif body is not None:
                damaged += 1
                fail(Failure("evidence_hash", where, "has not the hash it is named by"))
            elif retention.is_over(day):
                dropped += 1
            else:
                missing += 1
                until = datetime.fromtimestamp(retention.end_ms(day) / 1000, UTC).date()
                fail(Failure("evidence_missing", where, f"is missing, but is to be kept until {until}"))
            if not done % _AT_ONCE:
                progress(done, len(self))
        return EvidenceCounts(len(self), whole, damaged, missing, dropped, self._unnamed(source))

    def _read(self, source: LogSource) -> Iterator[tuple[bytes, int, bytes | None]]:
        """Yield (digest, first day, bytes or None) of each piece."""
        named = iter(self._days.items())
        with ThreadPoolExecutor(_THREADS) as pool:
            while batch := list(islice(named, _AT_ONCE)):
                keys = [object_keys.evidence(digest.hex()) for digest, _day in batch]
                for (digest, day), body in zip(batch, pool.map(source.get, keys), strict=True):
                    yield digest, day, body

    def _unnamed(self, source: LogSource) -> int | None:
        """Count the pieces that no receipt names; None where the source has no listing."""
        if source.keys is None:
            return None
        digests = map(layout.evidence_digest, source.keys(object_keys.EVIDENCE))
        return sum(1 for digest in digests if digest is None or bytes.fromhex(digest) not in self._days)
