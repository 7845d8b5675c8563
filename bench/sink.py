"""Figure 4: the sink's own work per receipt, and as a program of its own the measurement behind it."""

from __future__ import annotations

import argparse
import hashlib
import json

from bench.figures import Figure, Section, ratio
from bench.receipts import DAY_MS, batches
from bench.timing import MeasurementError, Report, in_subprocess, in_turns
from signet.receipts.sink import Message, Sink
from tests.fakes.chains import MemoryChainStore
from tests.fakes.evidence import MemoryEvidenceStore

LIMIT_US = 30.0
_BATCH = 1000


def measure(report: Report, *, quick: bool) -> Section:
    """Measure in a process of its own."""
    report("sink")
    found = in_subprocess("bench.sink", "--receipts", str(5_000 if quick else 20_000))
    own, peer = found["sink_us"], found["peer_us"]
    beside = f"{own:.1f} µs beside {peer:.1f} µs"
    note = f"Batches of {_BATCH}, in-memory chains. CPU time; absolute, so it depends on the machine."
    return Section(
        "4. Sink, own CPU time of one receipt",
        [
            Figure("sink", own, "µs", LIMIT_US, "checked, hashed into its chain, appended"),
            ratio("to parsing and hashing it once", own, peer, limit=None, beside=beside),
        ],
        [note],
    )


def main() -> None:
    """Print {"sink_us", "peer_us"}."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--receipts", type=int, required=True)
    count = arguments.parse_args().receipts
    bodies = [[body.decode() for body in batch] for batch in batches(count, _BATCH)]

    def sink() -> None:
        sunk = Sink(MemoryChainStore(), 1, lambda: DAY_MS, MemoryEvidenceStore())
        for batch in bodies:
            result = sunk.take(Message(str(n), body) for n, body in enumerate(batch))
            if result.appended != len(batch):
                raise MeasurementError("the sink did not append a whole batch")

    taken = in_turns(5, {"sink": sink, "peer": lambda: parse_and_hash(bodies)})
    print(json.dumps({f"{name}_us": seconds * 1e6 / count for name, seconds in taken.items()}))  # noqa: T201 - its answer


def parse_and_hash(batches_of_text: list[list[str]]) -> None:
    """Do what nobody can do without: parse each receipt and hash its bytes."""
    for batch in batches_of_text:
        for text in batch:
            json.loads(text)
            hashlib.sha256(text.encode()).digest()


if __name__ == "__main__":
    main()
