"""Figure 16: a flood of anonymous requests: what it leaves on record, with all allows among it."""

from __future__ import annotations

import io
import json
import os
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any, Final

from bench.figures import Figure, Section
from bench.timing import MeasurementError, Report
from signet.breaker.asked import FixedBreaker
from signet.breaker.pool import OneBreaker
from signet.core.decision import Reason
from signet.core.vocabulary import BreakerLevel
from signet.handshake.authorizer import Authorizer
from signet.handshake.emitter import EmitterCounter
from signet.handshake.strangers import OPEN_S, Strangers
from signet.pack.verify import verify_pack
from signet.receipts.facts import Emitter
from signet.receipts.reading import Receipt, read_receipt
from tests.support.packs import PackLog
from tests.support.world import FixedApis, World

_OWN_PER_S: Final = 10  # RefusalReceiptsPerSecond
_RATE: Final = 500  # requests a second of one environment; a flood over more of them leaves as much in each
_ALLOWED_EACH: Final = 1_000
_NOTE: Final = (
    "One environment, simulated time; judged, recorded and verified by the code that is deployed. A flood "
    "over n environments leaves n times as much at most, however many requests it has."
)


class _Breaker(FixedBreaker):
    """Counts what moves it."""

    moved = 0

    def arrived(self, *arguments: Any) -> None:
        self.moved += 1
        super().arrived(*arguments)

    def turned_away(self, *arguments: Any) -> None:
        self.moved += 1
        super().turned_away(*arguments)


class _Queue:
    def __init__(self) -> None:
        self.taken: list[Receipt] = []

    def send(self, message: bytes, **_beside: bytes | None) -> None:
        """Take a message as the sink does."""
        self.taken.append(read_receipt(message, chained=False))


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A decision as a log for tests takes it."""

    receipt: Receipt

    @property
    def emitter(self) -> Emitter:
        return Emitter(*self.receipt.emitter) if self.receipt.emitter else Emitter("", 0)

    def encode(self) -> bytes:
        return self.receipt.encoded


def measure(report: Report, *, quick: bool) -> Section:
    """Let strangers ask, and a caller among them; then close the day and verify its pack."""
    count = 5_000 if quick else 100_000
    world, queue, breaker = World(), _Queue(), _Breaker(BreakerLevel.FULL)
    verifier = replace(world.verifier, issuer=replace(world.verifier.issuer, breakers=OneBreaker(breaker)))
    emitter = EmitterCounter(os.urandom)
    began_ms = world.now_ms
    authorizer = Authorizer(
        verifier,
        queue,
        emitter,
        os.urandom,
        time.thread_time_ns,
        FixedApis(),
        passed=lambda: (world.now_ms - began_ms) / 1000,
        strangers=Strangers(_OWN_PER_S, emitter, os.urandom),
    )
    asked = Counter[str]()

    def ask(event: dict[str, Any]) -> None:
        asked[authorizer.authorize(event, now_ms=world.now_ms).decision.reason.value] += 1

    report(f"{count} anonymous requests")
    anonymous = world.event()
    for number in range(count):
        world.now_ms = began_ms + number * 1000 // _RATE
        ask(anonymous)
        if number % _ALLOWED_EACH == 0:
            ask(world.sign(world.event(), "ed25519"))
    world.now_ms += int(OPEN_S * 1000)
    ask(world.sign(world.event(), "ed25519"))
    report("closing the day, building and verifying its pack")
    return Section("16. A flood of strangers", _figures(count, asked, queue.taken, breaker), [_NOTE])


def _figures(count: int, asked: Counter[str], taken: list[Receipt], breaker: _Breaker) -> list[Figure]:
    seconds = count // _RATE + 1
    own = [receipt for receipt in taken if receipt.reason is not None]
    refused = [receipt for receipt in own if receipt.reason == Reason.CHALLENGE_REQUIRED]
    log = PackLog()
    log.close(
        [_Recorded(receipt) for receipt in own],
        others=[receipt for receipt in taken if receipt.reason is None],
    )
    pack = log.pack()
    verdict = verify_pack(io.BytesIO(pack), log_id=log.log_id)
    if not verdict.good:
        raise MeasurementError(f"the day's pack is not good: {verdict.failures[0]}")
    counted = sum(verdict.summarised.values())
    folded = max(receipt.folded or 0 for receipt in own)
    if (asked["challenge_required"], len(refused) + counted, folded) != (count, count, counted):
        raise MeasurementError(f"not all refusals are counted: {json.dumps(asked)}, {counted}, {folded}")
    allows = verdict.decisions["ok"]
    least = seconds * _OWN_PER_S + seconds // int(OPEN_S) + 2
    beside = f"of {count:,} refusals; {counted:,} are counted in {len(taken) - len(own)} summaries"
    return [
        Figure("receipts of refusals", len(refused) + len(taken) - len(own), "", least, beside),
        Figure("allows without a receipt", asked["ok"] - allows, "", 0, f"of {asked['ok']}"),
        Figure(
            "requests that moved the breaker", breaker.moved, "", 0, "its backend reports no outcomes here"
        ),
        Figure("pack of the day", len(pack) / 1e6, "MB", None, f"good; {verdict.receipts:,} receipts"),
    ]
