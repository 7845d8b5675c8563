"""The breaker's numbers are those that docs/breaker.md states; each bound holds at its very edge."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from pathlib import Path

import pytest

from signet.breaker.config import BreakerConfig, EstimatorConfig, LadderConfig
from signet.core.errors import UsageError
from signet.core.vocabulary import BreakerLevel

PAGE = (Path(__file__).parents[3] / "docs" / "breaker.md").read_text()
MACHINE, ESTIMATOR, LADDER = BreakerConfig(), EstimatorConfig(), LadderConfig()


def as_the_page_says(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return " ".join(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


@pytest.mark.parametrize(
    ("part", "kind"),
    [("machine", BreakerConfig), ("`ladder`", LadderConfig), ("`estimator`", EstimatorConfig)],
)
def test_every_default_is_the_one_that_the_page_states(part, kind) -> None:
    config = kind()
    [row] = re.findall(rf"^\| {re.escape(part)} \| (.*) \|$", PAGE, re.MULTILINE)
    stated = dict(re.fullmatch(r"`(\w+)` (.+)", text).groups() for text in row.split(", "))
    assert stated == {
        member.name: as_the_page_says(getattr(config, member.name))
        for member in fields(config)
        if member.name not in {"estimator", "ladder"}
    }


#: Numbers that are right, though the next beyond them is not: (the same with one changed, and its neighbour).
EDGES = [
    (ESTIMATOR, {"fast_tau_ms": 19_999}, {"fast_tau_ms": 20_000}),
    (ESTIMATOR, {"fast_tau_ms": 1_500}, {"fast_tau_ms": 1_499}),  # an epoch of 40 of them
    (ESTIMATOR, {"slow_tau_ms": 60_000}, {"slow_tau_ms": 60_001}),
    (replace(ESTIMATOR, slow_tau_ms=6_001), {"slow_tau_ms": 6_000}, {"slow_tau_ms": 5_999}),
    (replace(ESTIMATOR, epoch_ms=20_000), {"fast_tau_ms": 500}, {"fast_tau_ms": 0}),
    (ESTIMATOR, {"bin_ms": 150}, {"bin_ms": 125}),  # 100 bins an epoch, and 120
    (ESTIMATOR, {"arrival_epoch_ms": 25_000}, {"arrival_epoch_ms": 25_250}),
    (ESTIMATOR, {"bin_ms": 250}, {"bin_ms": 0}),
    (ESTIMATOR, {"bin_ms": 250}, {"bin_ms": -250}),
    (ESTIMATOR, {"arrival_epoch_ms": 250}, {"arrival_epoch_ms": 0}),
    (ESTIMATOR, {"flush_delay_ms": 0}, {"flush_delay_ms": -1}),
    (ESTIMATOR, {"load_window_ms": 250}, {"load_window_ms": 249}),
    (ESTIMATOR, {"load_window_ms": 60_000}, {"load_window_ms": 60_001}),
    (ESTIMATOR, {"prior_samples": 0.0}, {"prior_samples": -0.1}),
    (ESTIMATOR, {"prior_bad_share": 0.0}, {"prior_bad_share": -0.1}),
    (ESTIMATOR, {"prior_bad_share": 1.0}, {"prior_bad_share": 1.1}),
    (ESTIMATOR, {"wilson_z": 0.0}, {"wilson_z": -0.1}),
    (ESTIMATOR, {"servers": 1}, {"servers": 0}),
    (LADDER, {"dwell_ms": 1}, {"dwell_ms": 0}),
    (LADDER, {"down_bad_share": 0.0}, {"down_bad_share": -0.01}),
    (LADDER, {"down_bad_share": 0.09}, {"down_bad_share": 0.10}),
    (LADDER, {"availability_floor": 1.0}, {"availability_floor": 1.01}),
    (LADDER, {"down_rho": 0.0}, {"down_rho": -0.01}),
    (LADDER, {"down_rho": 0.89}, {"down_rho": 0.90}),
    (LADDER, {"down_wait_ms": 0}, {"down_wait_ms": -1}),
    (LADDER, {"down_wait_ms": 99}, {"down_wait_ms": 100}),
    (
        LADDER,
        {"rungs": (BreakerLevel.FULL, BreakerLevel.SHED)},
        {"rungs": (BreakerLevel.FULL, BreakerLevel.SHED, BreakerLevel.SHED)},
    ),
    (LADDER, {"rungs": tuple(BreakerLevel)}, {"rungs": (BreakerLevel.FULL, BreakerLevel.RELAX)}),
    (LADDER, {"rungs": tuple(BreakerLevel)}, {"rungs": (BreakerLevel.RELAX, BreakerLevel.SHED)}),
    (LADDER, {"rungs": tuple(BreakerLevel)}, {"rungs": ()}),
    (MACHINE, {"close_bad_share": 0.01}, {"close_bad_share": 0.0}),
    (MACHINE, {"close_bad_share": 0.12}, {"close_bad_share": 0.13}),
    (MACHINE, {"step_bad_share": 0.19}, {"step_bad_share": 0.20}),
    (MACHINE, {"step_fail_share": 0.30}, {"step_fail_share": 0.31}),
    (MACHINE, {"trip_bad_share": 0.99}, {"trip_bad_share": 1.0}),
    (MACHINE, {"open_ms": 1}, {"open_ms": 0}),
    (MACHINE, {"max_open_ms": 5_000}, {"max_open_ms": 4_999}),
    (MACHINE, {"close_dwell_ms": 1}, {"close_dwell_ms": 0}),
    (MACHINE, {"close_dwell_ms": 60_000}, {"close_dwell_ms": 60_001}),
    (MACHINE, {"probation_share": 1.0}, {"probation_share": 1.01}),
    (MACHINE, {"probation_share": 0.01}, {"probation_share": 0.0}),
    (MACHINE, {"max_flaps": 0}, {"max_flaps": -1}),
    (MACHINE, {"probe_rps": 0.1}, {"probe_rps": 0.0}),
    (MACHINE, {"probe_share": 0.01}, {"probe_share": 0.0}),
    (MACHINE, {"probe_share": 0.99}, {"probe_share": 1.0}),
    (MACHINE, {"step_ms": 1}, {"step_ms": 0}),
    (MACHINE, {"settle_ms": 0}, {"settle_ms": -1}),
    (MACHINE, {"step_samples": 1}, {"step_samples": 0}),
    (MACHINE, {"step_patience": 1}, {"step_patience": 0}),
    (MACHINE, {"safe_share": 1.0}, {"safe_share": 1.01}),
    (MACHINE, {"safe_share": 0.01}, {"safe_share": 0.0}),
    (MACHINE, {"max_raise_steps": 1}, {"max_raise_steps": 0}),
    (MACHINE, {"ramp_rho": 0.01}, {"ramp_rho": 0.0}),
    (MACHINE, {"raise_share": 1.0}, {"raise_share": 1.01}),
    (MACHINE, {"raise_share": 0.01}, {"raise_share": 0.0}),
    (MACHINE, {"grow_share": 1.0}, {"grow_share": 1.01}),
    (MACHINE, {"grow_share": 0.01}, {"grow_share": 0.0}),
    (MACHINE, {"probation_ms": 0}, {"probation_ms": -1}),
    (MACHINE, {"deep_cut_share": 0.01}, {"deep_cut_share": 0.0}),
    (MACHINE, {"deep_cut_share": 0.60}, {"deep_cut_share": 0.61}),
    (MACHINE, {"cut_share": 0.99}, {"cut_share": 1.0}),
    (MACHINE, {"max_cuts": 1}, {"max_cuts": 0}),
    (MACHINE, {"refresh_ms": 1}, {"refresh_ms": 0}),
    (MACHINE, {"item_writes_per_s": 1}, {"item_writes_per_s": 0}),
    (MACHINE, {"retry_jitter_ms": 1}, {"retry_jitter_ms": 0}),
    (MACHINE, {"unread_ms": 1}, {"unread_ms": 0}),
    (MACHINE, {"shed_retry_ms": 1}, {"shed_retry_ms": 0}),
]


@pytest.mark.parametrize(("config", "right", "wrong"), EDGES)
def test_a_number_is_refused_only_beyond_its_bound(config, right, wrong) -> None:
    replace(config, **right)
    with pytest.raises(UsageError, match="it needs"):
        replace(config, **wrong)


def test_readers_take_the_epochs_that_still_weigh_something() -> None:
    # 28 slow time constants of 20 s are 560 s: ten epochs of a minute, and the current one.
    assert ESTIMATOR.epochs_read == 11
    assert replace(ESTIMATOR, slow_tau_ms=60_000).epochs_read == 29
    # 60 s of arrivals that are 1.25 s old: five epochs of 15 s, and the current one.
    assert ESTIMATOR.arrival_epochs_read == 6
    assert replace(ESTIMATOR, arrival_epoch_ms=12_250, bin_ms=250).arrival_epochs_read == 6


def test_a_fleet_that_outgrows_an_items_writes_waits_longer() -> None:
    assert [MACHINE.refresh_interval_ms(count) for count in (0, 150, 151, 3_000)] == [500, 500, 504, 10_000]
