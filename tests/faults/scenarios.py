"""What is done while faults strike. A new step of the log's life is one more scenario in the list."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.faults.deployment import LogDeployment

Step = Callable[[LogDeployment], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run of the functions.

    Attributes:
        name: what it is called in the names of its cases.
        prepare: brings the world to where the run begins; nothing fails yet.
        act: the run; each of its calls is one at which every fault strikes.
        others: by name, what another instance does while the run is at a call.
        chains: number of chains.
        rotation_days: days after which a key set is followed by another.
    """

    name: str
    prepare: Step
    act: Step
    others: Mapping[str, Step]
    chains: int = 1
    rotation_days: int = 30


def _nothing(world: LogDeployment) -> None:
    pass


def _used_log(world: LogDeployment) -> None:
    """A log that has closed a day, with two receipts of the second one integrated."""
    world.send(1, 2, 3)
    world.deliver()
    world.integrate()
    world.at(1)
    world.integrate()
    world.send(4, 5)
    world.deliver()
    world.integrate()


def _with_open_receipts(world: LogDeployment) -> None:
    _used_log(world)
    world.send(6, 7, 8)
    world.deliver()


def _a_batch_waits(world: LogDeployment) -> None:
    """New receipts with and without evidence, one that is known already, one decided days ago, and poison."""
    _used_log(world)
    world.send(6, 7)
    world.send(8, evidence=b'{"passport":"signed"}')
    world.send(4)
    world.send(9, decided_ms=world.now_ms - 9 * 86_400_000)
    world.send_poison()


def _the_day_is_over(world: LogDeployment) -> None:
    _with_open_receipts(world)
    world.at(2, 0.1)


def _nothing_happened_today(world: LogDeployment) -> None:
    _used_log(world)
    world.at(2, 0.1)
    world.integrate()
    world.at(3, 0.1)


def _receipts_of_one_day(world: LogDeployment) -> None:
    """A day's receipts, most of them in the tree, and the day is over."""
    world.send(1, 2, 3)
    world.deliver()
    world.integrate()
    world.send(4, 5)
    world.deliver()
    world.at(1, 0.1)


def _a_bundle_is_nearly_full(world: LogDeployment) -> None:
    """Of two hundred and fifty-six leaves all but two are in the tree."""
    for first in range(0, 250, 10):
        world.send(*range(first, first + 10))
        world.deliver()
    world.send(*range(250, 254))
    world.deliver()
    world.integrate()
    world.send(*range(254, 260))
    world.deliver()
    world.at(1, 0.1)


def _bit_by_bit(world: LogDeployment) -> None:
    world.integrate()
    world.send(20, 21)
    world.deliver()
    world.integrate()
    world.integrate()


def _sink_and_close(world: LogDeployment) -> None:
    world.deliver()
    world.at(2, 0.1)
    world.integrate()


def _news_and_a_run(world: LogDeployment) -> None:
    """Receipts for either chain arrive, and another run is faster."""
    world.send(*range(100, 104))
    world.deliver()
    world.integrate()


def _a_sink_whose_clock_lags(world: LogDeployment) -> None:
    """A sink that still has yesterday appends."""
    now_ms = world.now_ms
    world.now_ms = now_ms - now_ms % 86_400_000 - 1
    world.send(110)
    world.deliver()
    world.now_ms = now_ms


def _news_and_a_rotation(world: LogDeployment) -> None:
    """Receipts for either chain arrive, and another operator asks for the same keys."""
    world.send(*range(100, 104))
    world.deliver()
    world.rotate()


_BESIDE_A_SINK: Mapping[str, Step] = {
    "the same batch elsewhere": LogDeployment.deliver,
    "the log's writer": LogDeployment.integrate,
}
_BESIDE_THE_WRITER: Mapping[str, Step] = {
    "another run": LogDeployment.integrate,
    "news and another run": _news_and_a_run,
    "a sink whose clock lags": _a_sink_whose_clock_lags,
}

SCENARIOS = (
    Scenario("a batch", _a_batch_waits, LogDeployment.deliver, _BESIDE_A_SINK),
    Scenario(
        "the first run",
        lambda world: world.send(1, 2) or world.deliver(),
        LogDeployment.integrate,
        _BESIDE_THE_WRITER,
    ),
    Scenario("a run without receipts", _nothing, LogDeployment.integrate, _BESIDE_THE_WRITER),
    Scenario("new receipts", _with_open_receipts, LogDeployment.integrate, _BESIDE_THE_WRITER),
    Scenario("closing a day", _the_day_is_over, LogDeployment.integrate, _BESIDE_THE_WRITER),
    Scenario("closing an empty day", _nothing_happened_today, LogDeployment.integrate, _BESIDE_THE_WRITER),
    Scenario("several runs", _with_open_receipts, _bit_by_bit, _BESIDE_THE_WRITER),
    Scenario("two chains", _a_batch_waits, _sink_and_close, _BESIDE_THE_WRITER, chains=2),
    Scenario("a bundle fills", _a_bundle_is_nearly_full, LogDeployment.integrate, _BESIDE_THE_WRITER),
    Scenario(
        "new keys",
        _with_open_receipts,
        LogDeployment.rotate,
        {
            **_BESIDE_THE_WRITER,
            "another rotation": LogDeployment.rotate,
            "news and a rotation": _news_and_a_rotation,
        },
        chains=2,
    ),
    Scenario(
        "old keys at the end of a day",
        _receipts_of_one_day,
        LogDeployment.integrate,
        _BESIDE_THE_WRITER,
        rotation_days=1,
    ),
)
