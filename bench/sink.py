"""Figure 4: the own work of sink and log writer per receipt; as a program of its own the measurement."""

from __future__ import annotations

import argparse
import hashlib
import json

from bench.figures import Figure, Section, ratio
from bench.receipts import DAY_MS, batches
from bench.timing import MeasurementError, Report, cpu_seconds, in_subprocess, in_turns, peak_rss_mib
from signet.core.instants import MS_PER_DAY
from signet.log.keys import LocalSigner, generate_private_set
from signet.log.sequencer import Sequencer
from signet.receipts.sink import Message, Sink
from tests.fakes.chains import MemoryChainStore
from tests.fakes.evidence import MemoryEvidenceStore, MemoryTranscriptStore
from tests.fakes.lock import MemoryLockStore
from tests.fakes.objects import MemoryObjectStore

LIMIT_US = 30.0
_BATCH = 1000


def measure(report: Report, *, quick: bool) -> Section:
    """Measure in a process of its own."""
    through = 20_000 if quick else 100_000
    report(f"sink, and {through:,} receipts through sink and log writer")
    receipts = 5_000 if quick else 20_000
    found = in_subprocess("bench.sink", "--receipts", str(receipts), "--through", str(through))
    own, peer = found["sink_us"], found["peer_us"]
    beside = f"{own:.1f} µs beside {peer:.1f} µs"
    note = f"Batches of {_BATCH}, in-memory stores. CPU time; absolute, so it depends on the machine."
    chained, closed = found["chained_us"], found["closed_us"]
    parts = (
        f"{chained:.1f} µs in the sink, {closed:.1f} µs from the chain into signed, staged, read back tiles"
    )
    return Section(
        "4. Sink and log writer, own CPU time of one receipt",
        [
            Figure("sink", own, "µs", LIMIT_US, "checked, hashed into its chain, appended"),
            ratio("to parsing and hashing it once", own, peer, limit=None, beside=beside),
            Figure(f"{through:,} through sink and log writer", chained + closed, "µs", None, parts),
            Figure("… peak memory, the stores' content included", found["peak_mib"], "MiB"),
        ],
        [note],
    )


def main() -> None:
    """Print {"sink_us", "peer_us", "chained_us", "closed_us", "peak_mib"}."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--receipts", type=int, required=True)
    arguments.add_argument("--through", type=int, required=True)
    given = arguments.parse_args()
    bodies = _bodies(given.receipts)
    rounds = {"sink": lambda: sink(MemoryChainStore(), bodies), "peer": lambda: parse_and_hash(bodies)}
    taken = {name: seconds / given.receipts for name, seconds in in_turns(5, rounds).items()}
    chains, bodies = MemoryChainStore(), _bodies(given.through)
    taken["chained"] = cpu_seconds(lambda: sink(chains, bodies)) / given.through
    taken["closed"] = cpu_seconds(lambda: close(chains, given.through)) / given.through
    found = {f"{name}_us": seconds * 1e6 for name, seconds in taken.items()}
    print(json.dumps({**found, "peak_mib": peak_rss_mib()}))  # noqa: T201 - its answer


def _bodies(count: int) -> list[list[str]]:
    return [[body.decode() for body in batch] for batch in batches(count, _BATCH)]


def sink(chains: MemoryChainStore, bodies: list[list[str]]) -> None:
    """Append batches of messages to a chain."""
    sunk = Sink(chains, 1, lambda: DAY_MS, MemoryEvidenceStore(), MemoryTranscriptStore())
    for batch in bodies:
        result = sunk.record(Message(str(n), body) for n, body in enumerate(batch))
        if result.appended != len(batch):
            raise MeasurementError("the sink did not append a whole batch")


def close(chains: MemoryChainStore, count: int) -> None:
    """Integrate a chain of ``count`` receipts and close their day."""
    sequencer = Sequencer(
        objects=MemoryObjectStore(),
        lock=MemoryLockStore(),
        chains=chains,
        signer=LocalSigner("example.com/log", generate_private_set()),
        chain_count=1,
        policy={"main.rego": b"package main\n"},
    )
    outcome = sequencer.integrate(DAY_MS + MS_PER_DAY)
    if outcome.head.tree_size != count or not outcome.closed:
        raise MeasurementError(f"{outcome.head.tree_size} of {count} receipts are in the closed log")


def parse_and_hash(batches_of_text: list[list[str]]) -> None:
    """Do what no sink can do without: parse each receipt and hash its bytes."""
    for batch in batches_of_text:
        for text in batch:
            json.loads(text)
            hashlib.sha256(text.encode()).digest()


if __name__ == "__main__":
    main()
