"""A pack and a log for keeping: what one version of Signet wrote, which every later one has to find good.

    python -m tests.support.kept OUT_DIR

makes them from the authorizer's own answers to every case of the tests. They are made once for a version and
never again: a rule that refuses one of them would call a true pack bad.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from signet.core.vocabulary import BreakerLevel, BreakerState
from signet.handshake.authorizer import Authorizer
from signet.handshake.emitter import EmitterCounter
from signet.log.keys import LocalSigner
from signet.policy.register import Pushed
from signet.receipts.model import Emitter
from signet.receipts.reading import Receipt, read_receipt
from signet.receipts.transition import TransitionRecord
from tests.support.cases import CASES
from tests.support.packs import POLICY, PackLog, seeded_private_set
from tests.support.world import NOW_MS, FixedApis, World
from tests.unit.breaker.test_breaker_keeper import _shedding
from tests.unit.handshake.test_classical_fallback import CONSENT, POST_QUANTUM, spoilt, world_of

_DAY_MS = 86_400_000
#: Receipts of one reason: enough for its shapes, few enough to be kept.
_OF_ONE_REASON = 4
_OF_OK = 40


@dataclass
class Decided:
    """A decision as the authorizer sent it."""

    message: bytes

    @property
    def emitter(self) -> Emitter:
        member = json.loads(self.message)["emitter"]
        return Emitter(member["id"], member["n"])

    def encode(self) -> bytes:
        return self.message


@dataclass
class Caught:
    """A queue that keeps what comes; it may say that it did not."""

    sent: list[bytes]

    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        self.sent.append(message)


def decided(world: World, event: dict[str, object], counter: EmitterCounter) -> bytes:
    queue = Caught([])
    authorizer = Authorizer(world.verifier, queue, counter, world.random, lambda: 0, FixedApis())
    authorizer.authorize(event, now_ms=world.now_ms)
    return queue.sent[0]


@dataclass
class Makers:
    """Worlds and emitters of which no two draw the same."""

    made: int = 0

    def apart(self, world: World) -> World:
        self.made += 1
        world._random = itertools.count(self.made * 1_000_000)
        return world

    def counter(self) -> EmitterCounter:
        self.made += 1
        return EmitterCounter(lambda size, n=self.made: n.to_bytes(size))  # type: ignore[misc]


def every_answer() -> Iterator[bytes]:
    """What the authorizer wrote: some of each reason."""
    make, seen = Makers(), Counter[str]()
    for reason, build in CASES.values():
        seen[reason] += 1
        if seen[reason] > (_OF_OK if reason == "ok" else _OF_ONE_REASON):
            continue
        world, counter = make.apart(World()), make.counter()
        if seen[reason] % 2 == 0:
            counter.draw()  # a number that was lost, or stands in the day before
        event = build(world)
        yield decided(world, event, counter)
        if reason == "ok":
            yield decided(world, event, counter)  # the same proof again
    for state in (BreakerState.OPEN, BreakerState.HALF_OPEN):
        world, counter = make.apart(World()), make.counter()
        world.register("auditor", roles=frozenset({"auditor"}))
        _shedding(state)(world)
        yield decided(world, world.sign(world.event()), counter)
        yield decided(world, world.event(), counter)
        yield decided(world, world.sign(world.event("POST", "/compliance/pack"), keyid="auditor"), counter)
    for alg in ("ed25519+ml-dsa-65", "ecdsa-p256+ml-dsa-65"):
        world, counter = make.apart(world_of(BreakerLevel.CLASSICAL, **CONSENT)), make.counter()
        event = spoilt(world.sign(world.event(), alg), POST_QUANTUM)
        yield decided(world, event, counter)
        yield decided(world, event, counter)
    for level in (BreakerLevel.RELAX, BreakerLevel.CLASSICAL):
        world = make.apart(World())
        world.level = level
        yield decided(world, world.sign(world.event()), make.counter())
    broken = make.apart(World())
    broken.nonces.spend = None  # type: ignore[method-assign, assignment]
    yield decided(broken, broken.sign(broken.event()), make.counter())


def others(at_ms: int) -> list[Receipt]:
    """What else stands in a log: a transition of the breaker, and a push of a policy."""
    moved = TransitionRecord(
        breaker="backend",
        version=3,
        decided_at_ms=at_ms,
        before=(BreakerState.CLOSED, BreakerLevel.FULL),
        after=(BreakerState.OPEN, BreakerLevel.FULL),
        cause="tripped",
        policy_bundle=None,
        figures={"bad_share_ppm": 500_000},
    )
    pushed = Pushed.after(None, POLICY, now_ms=at_ms)
    return [read_receipt(message, chained=False) for message in (moved.encode(), pushed.receipt())]


def kept_log() -> PackLog:
    """A day with every answer, one with a rotation, one without any receipt."""
    log = PackLog(chains=2, signer=LocalSigner("example.com/log", seeded_private_set(11)))
    log.close([Decided(message) for message in every_answer()], others=others(NOW_MS + 1))
    log.rotate()
    world, counter = World(), EmitterCounter(lambda size: b"2" * size)
    world.now_ms += _DAY_MS
    later = [decided(world, world.sign(world.event()), counter) for _ in range(3)]
    log.close([Decided(message) for message in later])
    log.close([])
    return log


def write(folder: Path) -> None:
    log = kept_log()
    first = log.heads[0].date
    (folder / f"pack-{first}.zip").write_bytes(log.pack(first))
    stored = io.BytesIO()
    with zipfile.ZipFile(stored, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for key, body in sorted(log.store.objects.items()):
            archive.writestr(key, body)
    (folder / "log.zip").write_bytes(stored.getvalue())


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(prog="python -m tests.support.kept", description=__doc__)
    arguments.add_argument("folder", type=Path, metavar="OUT_DIR")
    write(arguments.parse_args().folder)
