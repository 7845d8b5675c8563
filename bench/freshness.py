"""Figures 12, 13: how soon a decision is in a public signed head, and what heads by the minute leave."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import statistics
import threading
import time
from dataclasses import dataclass, field
from typing import Final

import httpx

from bench.figures import Figure, Section, ratio
from bench.timing import MeasurementError, Report, in_subprocess
from local.errors import StackError
from local.stack import Stack, embedded
from signet.audit.log import audit_log
from signet.audit.source import LogSource
from signet.aws.objects import S3ObjectStore
from signet.core.decision import Reason
from signet.core.instants import MS_PER_DAY, day_start_ms, uuid7
from signet.log import object_keys
from signet.log.keys import LocalSigner, generate_private_set, parse_keys
from signet.log.sequencer import Sequencer
from signet.log.sth import verify_sth
from signet.log.tiles import TILE_WIDTH, TileReader, parse_tile_path
from signet.receipts.model import DecisionRecord, Emitter
from signet.receipts.reading import read_receipt
from signet.receipts.sink import Message, Sink
from tests.fakes.chains import MemoryChainStore
from tests.fakes.evidence import MemoryEvidenceStore, MemoryTranscriptStore
from tests.fakes.lock import MemoryLockStore
from tests.fakes.objects import MemoryObjectStore
from tests.fakes.records import verified

LIMIT_S: Final = 90.0
FLAT: Final = 1.5
_EVERY_S: Final = 60.0
_P99: Final = 98
_FIRST_DAY: Final = dt.date(2026, 1, 1)
_RECEIPTS: Final = 3
_EARLY_DAY: Final = 15


def measure_decisions(report: Report, *, quick: bool) -> Section:
    """Start a stack, call it, and run the log's writer each minute."""
    minutes = 2 if quick else 4
    report(f"decision to public head, {minutes} minutes on an embedded stack of its own")
    try:
        with embedded(report=lambda _line: None) as stack:
            delays = sorted(_delays(stack, minutes))
    except (StackError, httpx.HTTPError) as error:
        raise MeasurementError(f"the embedded stack could not be measured: {error}") from error
    beside = f"{len(delays):,} decisions, the latest {delays[-1]:.1f} s"
    return Section(
        "12. Decision to public signed head",
        [
            Figure("p50", statistics.median(delays), "s", None, beside),
            Figure("p99", statistics.quantiles(delays, n=100)[_P99], "s", LIMIT_S, beside),
        ],
        [
            f"A run of the log's writer each {_EVERY_S:.0f} s, as by CloseSchedule. One clock; an emulator.",
            "Four callers without proof at all times: their refusals are receipts.",
            f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.",
        ],
    )


def _delays(stack: Stack, minutes: int) -> list[float]:
    """Return for each receipt the seconds from its decision to when its head could be read."""
    objects = S3ObjectStore(stack.client("s3"), stack.outputs["LogBucket"])
    over, seen, delays = threading.Event(), 0, []
    callers = [threading.Thread(target=_call, args=(stack, over)) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(minutes):
            over.wait(_EVERY_S)
            stack.client("lambda").invoke(FunctionName=stack.outputs["SthCronFunction"], Payload=b"{}")
            raw, keys = objects.get(object_keys.LATEST_HEAD), objects.get(object_keys.KEYS)
            public_ms = time.time() * 1000
            if raw is None or keys is None:
                raise MeasurementError("the log's writer published no head")
            head = verify_sth(raw, parse_keys(keys))
            reader = TileReader(objects.get, head.tree_size, root=head.root_hash)
            new = [read_receipt(e, chained=True) for e in reader.entries(seen, head.tree_size)]
            delays += [(public_ms - receipt.decided_at_ms) / 1000 for receipt in new]
            seen = head.tree_size
    finally:
        over.set()
        for caller in callers:
            caller.join()
    if len(delays) < 100:  # noqa: PLR2004 - a p99 of fewer says nothing
        raise MeasurementError("too few decisions came into a head")
    return delays


def _call(stack: Stack, over: threading.Event) -> None:
    with httpx.Client(timeout=60) as client:
        while not over.wait(0.05):
            client.get(stack.outputs["ProtectedUrl"])


def measure_history(report: Report, *, quick: bool) -> Section:
    """Simulate months of heads in a process of its own."""
    days, heads = (30, 48) if quick else (90, 96)
    report(f"{days} simulated days with {heads} heads each")
    found = in_subprocess("bench.freshness", "--days", str(days), "--heads", str(heads))
    early, late = found["early"], found["late"]
    return Section(
        "13. What heads leave behind, by history",
        [
            _growth("gets of an audit of two days", "gets", early, late, days),
            _growth("bytes of partial tiles and bundles that are stored", "bytes", early, late, days),
            ratio(
                "bytes under tile/ to those of the receipts",
                late["tiles"],
                late["receipts"],
                limit=None,
                beside=f"{late['tiles']:,} beside {late['receipts']:,} after {days} days",
            ),
        ],
        [
            f"{heads} heads a day, {_RECEIPTS} receipts each, in memory: fewer than 1,440, so that it ends.",
            "What is in the bucket now: versions that Object Lock keeps are not counted.",
            "Not counted: emitters' accounts. Each head of a day leaves its own, whole; none is removed.",
        ],
    )


def _growth(what: str, name: str, early: dict[str, int], late: dict[str, int], days: int) -> Figure:
    beside = f"{late[name]:,} after {days} days beside {early[name]:,} after {_EARLY_DAY}"
    return ratio(what, late[name], early[name], limit=FLAT, beside=beside)


@dataclass
class _Simulated:
    """A log on fakes, whose clock is what it is told."""

    objects: MemoryObjectStore = field(default_factory=MemoryObjectStore)
    chains: MemoryChainStore = field(default_factory=MemoryChainStore)
    now_ms: int = 0
    made: int = 0

    def __post_init__(self) -> None:
        self._sink = Sink(self.chains, 1, lambda: self.now_ms, MemoryEvidenceStore(), MemoryTranscriptStore())
        signer = LocalSigner("log.example", generate_private_set())
        self._sequencer = Sequencer(
            objects=self.objects,
            lock=MemoryLockStore(),
            chains=self.chains,
            signer=signer,
            chain_count=1,
            policy={},
        )

    def run(self, now_ms: int) -> None:
        """Record some receipts, and run the writer."""
        self.now_ms = now_ms
        self._sink.record(Message(str(n), self._receipt()) for n in range(_RECEIPTS))
        self._sequencer.remove_partials(self._sequencer.integrate(now_ms), now_ms)

    def _receipt(self) -> str:
        n, self.made = self.made, self.made + 1
        record = DecisionRecord(
            id=uuid7(self.now_ms, n.to_bytes(10, "big")),
            decided_at_ms=self.now_ms,
            reason=Reason.OK,
            emitter=Emitter("ab" * 16, n),
            authorizer_us=1,
            **verified(n),
        )
        return record.encode().decode()

    def sizes(self) -> dict[str, int]:
        """Return gets of an audit of two days, and bytes that are stored."""
        gets = 0

        def get(key: str) -> bytes | None:
            nonlocal gets
            gets += 1
            return self.objects.get(key)

        if not audit_log(LogSource(get=get, keys=self.objects.list), days=2).good:
            raise MeasurementError("the audit of the simulated log is not good")
        tiles = {path: len(body) for path, body in self.objects.objects.items() if path.startswith("tile/")}
        partial = sum(size for path, size in tiles.items() if parse_tile_path(path)[2] < TILE_WIDTH)
        receipts = sum(len(entry) for entry in self.chains.read(0, start_seq=0))
        return {"gets": gets, "bytes": partial, "tiles": sum(tiles.values()), "receipts": receipts}


def main() -> None:
    """Print {"early", "late"}: sizes after 15 days and after all."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--days", type=int, required=True)
    arguments.add_argument("--heads", type=int, required=True)
    given = arguments.parse_args()
    log, found = _Simulated(), {}
    for day in range(given.days):
        start = day_start_ms(_FIRST_DAY) + day * MS_PER_DAY
        for n in range(given.heads):
            log.run(start + n * MS_PER_DAY // given.heads)
        if day + 1 in {_EARLY_DAY, given.days}:
            found["early" if day + 1 == _EARLY_DAY else "late"] = log.sizes()
    print(json.dumps(found))  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
