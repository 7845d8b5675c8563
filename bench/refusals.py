"""Part of figure 1: an unknown key is refused in the time that a bad signature takes."""

from __future__ import annotations

import base64
import bisect
import os
import statistics
import time
from collections.abc import Sequence
from typing import Any, Final

from bench.figures import TIMES, Figure, Section
from bench.timing import MeasurementError, Report
from signet.crypto import suites
from signet.handshake.authorizer import Authorizer
from signet.handshake.emitter import EmitterCounter
from tests.support.world import FixedApis, World, edit_header

LIMIT: Final = 1.1
_WARM: Final = 10  # rounds until keys are loaded
NOTE: Final = (
    "The greater median over the smaller one, refusals in turns. In brackets how often an unknown key took "
    "longer than a bad signature, over all pairs: 50 % tells nothing apart."
)


class _Queue:
    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        """Forget a message."""


def measure(report: Report, *, quick: bool) -> Section:
    """Refuse both under every suite."""
    world = World()
    authorizer = Authorizer(
        world.verifier, _Queue(), EmitterCounter(os.urandom), os.urandom, time.thread_time_ns, FixedApis()
    )
    figures = []
    for alg in suites.NAMES:
        report(f"refusals: {alg}")
        taken = _times(world, authorizer, alg, 150 if quick else 1500)
        figures.append(_figure(alg, taken["unknown_key"], taken["bad_signature"]))
    return Section("1. Refusals: an unknown key beside a bad signature", figures, [NOTE])


def _times(world: World, authorizer: Authorizer, alg: str, rounds: int) -> dict[str, list[int]]:
    """Return CPU nanoseconds of each refusal, by reason."""
    bad = edit_header(world.sign(world.event(), alg), "Signature", _flipped)
    events = {"unknown_key": world.sign(world.event(), alg, keyid="unregistered"), "bad_signature": bad}
    taken: dict[str, list[int]] = {reason: [] for reason in events}
    order = list(events)
    for number in range(rounds + _WARM):
        order.reverse()  # the first one has the colder caches: each is first half of the time
        for reason in order:
            spent = _refuse(authorizer, events[reason], reason, world.now_ms)
            if number >= _WARM:
                taken[reason].append(spent)
    return taken


def _refuse(authorizer: Authorizer, event: dict[str, Any], reason: str, now_ms: int) -> int:
    started = time.thread_time_ns()
    recorded = authorizer.authorize(event, now_ms=now_ms)
    spent = time.thread_time_ns() - started
    if recorded.decision.reason.value != reason:
        raise MeasurementError(f"refused as {recorded.decision.reason.value}, not as {reason}")
    return spent


def _figure(alg: str, unknown: Sequence[int], bad: Sequence[int]) -> Figure:
    medians = [statistics.median(times) / 1e3 for times in (unknown, bad)]
    beside = (
        f"{medians[0]:.0f} µs unknown, {medians[1]:.0f} µs bad ({longer_share(unknown, bad):.0%} took longer)"
    )
    return Figure(f"refusal, {alg}", max(medians) / min(medians), TIMES, LIMIT, beside)


def longer_share(first: Sequence[int], second: Sequence[int]) -> float:
    """Return how often a value of the first is above one of the second, over all pairs; ties count half."""
    ordered = sorted(second)
    below = sum(bisect.bisect_left(ordered, one) + bisect.bisect_right(ordered, one) for one in first)
    return below / (2 * len(first) * len(second))


def _flipped(value: str) -> str:
    """Flip a bit in the middle of the signature, so that its size and form stay."""
    raw = bytearray(base64.b64decode(value.removeprefix("pch=:").removesuffix(":")))
    raw[20] ^= 1
    return f"pch=:{base64.b64encode(raw).decode()}:"
