"""The policy in force steers the breaker: when it opens, when its ladder leaves full, on which rungs."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.breaker.config import BreakerConfig
from signet.breaker.estimator import Estimate
from signet.breaker.machine import Cause, decide, initial
from signet.core.vocabulary import PPM, BreakerLevel
from signet.handshake.overrides import overridden
from signet.policy.engine import PolicyEngine
from signet.policy.requirements import BreakerThresholds, Controls
from tests.support.policies import config
from tests.support.world import NOW_MS, policy_files

DWELL_OVER_MS = NOW_MS + BreakerConfig().ladder.dwell_ms
RUNGS = (BreakerLevel.FULL, BreakerLevel.RELAX, BreakerLevel.SHED)


def under(change: Any) -> BreakerConfig:
    """The breaker's numbers under the shipped policy with one change."""
    files = policy_files("")
    config(change)(files)
    engine = PolicyEngine(files)
    return overridden(BreakerConfig(), engine.controls(), engine.bundle_sha256)


@pytest.mark.parametrize("overlay", ["", "development"])
def test_the_shipped_policy_says_what_the_bench_has_measured(overlay: str) -> None:
    engine = PolicyEngine(policy_files(overlay))
    found = overridden(BreakerConfig(), engine.controls(), engine.bundle_sha256)
    assert found == BreakerConfig(policy_bundle=engine.bundle_sha256)


@pytest.mark.parametrize(
    ("floor_ppm", "cause"), [(100_000, Cause.RUNG_UP), (149_999, Cause.RUNG_UP), (150_000, None)]
)
def test_the_ladder_leaves_full_only_above_the_availability_floor(
    floor_ppm: int, cause: Cause | None
) -> None:
    suffers = Estimate(bad_share=0.2, bad_share_lower=0.15, count=100, bad_count=20)
    moving = under(lambda c: c.update(availability_floor_ppm=floor_ppm))
    transition = decide(initial(NOW_MS), suffers, DWELL_OVER_MS, moving)
    assert (transition and transition.cause) == cause


@pytest.mark.parametrize(("trip_ppm", "opens"), [(300_000, False), (240_000, True)])
def test_the_breaker_opens_where_policy_says(trip_ppm: int, opens: bool) -> None:
    fails = Estimate(bad_share=0.3, bad_share_lower=0.25, count=100, bad_count=30)
    moving = under(lambda c: c["breaker"].update(trip_bad_share_ppm=trip_ppm))
    transition = decide(initial(NOW_MS), fails, NOW_MS, moving)
    assert (transition is not None and transition.cause is Cause.TRIPPED) == opens


def test_the_ladder_has_the_rungs_of_all_routes_together() -> None:
    def consent(c: dict[str, Any]) -> None:
        c["routes"]["GET /protected"].update(
            ladder=["full", "relax", "classical", "shed"], classical_fallback=True
        )

    assert under(lambda _: None).ladder.rungs == RUNGS
    assert under(consent).ladder.rungs == tuple(BreakerLevel)
    assert under(lambda c: c.update(ladder=["full"])).ladder.rungs == RUNGS  # one route has relax
    never_relaxed = {"GET /protected": {"role": "caller", "minimum_binding": "none", "ladder": ["full"]}}
    assert under(lambda c: c.update(routes=never_relaxed)).ladder.rungs == (
        BreakerLevel.FULL,
        BreakerLevel.SHED,
    )


@given(st.lists(st.integers(1, PPM - 1), min_size=3, max_size=3), st.integers(0, PPM), st.integers(0, PPM))
def test_whatever_a_policy_may_say_is_a_configuration(shares: list[int], down: int, floor: int) -> None:
    close, step, trip = sorted(shares)
    if step == trip or not down < floor <= trip:
        return  # such a policy is refused before it gets here
    thresholds = BreakerThresholds(trip, step, close, down)
    found = overridden(BreakerConfig(), Controls(thresholds, floor, RUNGS), "ab" * 32)
    assert found.step_bad_share < found.step_fail_share <= found.trip_bad_share
    assert found.ladder.down_bad_share < found.ladder.availability_floor
