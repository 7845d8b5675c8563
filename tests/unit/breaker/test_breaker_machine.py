"""Closed, open, half open: each move has one reason, and nothing else moves it."""

import itertools
import random
from dataclasses import replace

import pytest

from signet.breaker.admission import View, admit, admitted_share, retry_after_s
from signet.breaker.config import BreakerConfig, LadderConfig
from signet.breaker.estimator import Estimate, Load
from signet.breaker.ladder import next_rung, route_level
from signet.breaker.machine import BreakerRecord, Cause, decide, initial
from signet.breaker.ramp import bearable, raised, saturated
from signet.core.vocabulary import PPM, BreakerLevel, BreakerState

CONFIG = BreakerConfig()
PATIENT = BreakerConfig(max_open_ms=17_000)
T0 = 1_760_000_000_000
LOAD = Load(offered_rps=120.0)
CALM = Estimate(samples=150, count=400, bad_count=2, bad_share=0.01, load=LOAD)
SICK = Estimate(samples=150, count=400, bad_count=390, bad_share=0.95, bad_share_lower=0.9, load=LOAD)


def moved(record, estimate, now_ms, config=CONFIG):
    transition = decide(record, estimate, now_ms, config)
    assert transition is not None
    assert transition.before is record
    assert transition.after.version == record.version + 1
    return transition


def opened(**changes) -> BreakerRecord:
    return replace(moved(initial(T0), SICK, T0 + 1).after, **changes)


def half_open(**changes) -> BreakerRecord:
    record = opened()
    return replace(moved(record, Estimate(load=LOAD), record.open_until_ms).after, **changes)


def test_a_calm_breaker_proposes_nothing() -> None:
    assert decide(initial(T0), CALM, T0 + 60_000, CONFIG) is None


def test_the_lower_bound_trips_not_the_share() -> None:
    likely = Estimate(bad_share=0.6, bad_share_lower=0.30)
    assert decide(initial(T0), likely, T0 + 1, CONFIG) is None
    transition = moved(initial(T0), replace(likely, bad_share_lower=0.31), T0 + 1)
    assert (transition.cause, transition.after.state) == (Cause.TRIPPED, BreakerState.OPEN)
    assert transition.changes_state
    assert transition.after.level is BreakerLevel.SHED
    assert transition.after.open_until_ms == T0 + 1 + 5_000


def test_an_open_breaker_stays_open_to_the_end_of_its_interval() -> None:
    record = opened(rung=BreakerLevel.RELAX)
    assert decide(record, CALM, record.open_until_ms - 1, CONFIG) is None
    transition = moved(record, CALM, record.open_until_ms)
    assert transition.cause is Cause.INTERVAL_OVER
    assert transition.after.first_step
    assert transition.after.admit_ppm == round(PPM * 5 / 120)


def test_a_new_state_starts_from_new_evidence() -> None:
    first, second = initial(T0), opened()
    third = half_open()
    assert [second.generation, third.generation] == [first.generation + 1, first.generation + 2]


@pytest.mark.parametrize(("rps", "share"), [(0.0, 0.3), (2.0, 0.3), (50.0, 0.1), (5_000.0, 0.001)])
def test_first_step_admits_five_a_second_and_never_a_third(rps: float, share: float) -> None:
    record = opened()
    after = moved(record, Estimate(load=Load(offered_rps=rps)), record.open_until_ms).after
    assert after.admit_ppm == round(PPM * share)


def test_a_surge_during_the_first_step_keeps_probes_at_their_rate() -> None:
    record = half_open()
    view = View(record, Estimate(load=Load(offered_rps=10_000.0)), T0)
    rng = random.Random(1)
    through = sum(admit(view, T0, CONFIG, rng.random).admitted for _ in range(100_000))
    assert through == pytest.approx(50, abs=22)


def test_good_steps_double_and_then_add_a_fifth_until_all_is_admitted_then_a_dwell_closes() -> None:
    record = half_open()
    shares = [record.admit_ppm]
    now_ms = record.generation_since_ms
    good = Estimate(count=50, bad_count=1, bad_share=0.02, load=LOAD)
    while record.state is BreakerState.HALF_OPEN:
        now_ms += 1_000
        transition = decide(record, good, now_ms, CONFIG)
        if transition is not None and transition.cause in {Cause.STEP_GOOD, Cause.RECOVERED}:
            shares.append(transition.after.admit_ppm)
        record = transition.after if transition else record
    most = round(PPM * CONFIG.grow_share)
    assert all(
        later == min(PPM, earlier + min(earlier, most)) for earlier, later in itertools.pairwise(shares)
    )
    assert shares[-1] == PPM
    assert record.state is BreakerState.CLOSED
    assert record.closed_at_ms == now_ms
    dwell_ms = CONFIG.close_dwell_ms * 2
    assert now_ms - T0 >= 5_000 + 5 * CONFIG.step_ms + dwell_ms


def test_failed_probes_double_the_interval_up_to_its_cap() -> None:
    record, lengths = half_open(), []
    for _ in range(4):
        now_ms = record.generation_since_ms + 1_000
        record = moved(record, replace(SICK, count=8, bad_count=8), now_ms, PATIENT).after
        assert record.state is BreakerState.OPEN
        lengths.append(record.open_until_ms - now_ms)
        record = moved(record, Estimate(load=LOAD), record.open_until_ms).after
    assert lengths == [10_000, 17_000, 17_000, 17_000]


def test_the_interval_starts_over_only_after_sustained_health() -> None:
    closed = replace(initial(T0), closed_at_ms=T0, doublings=1, flaps=0)
    soon = moved(closed, SICK, T0 + 59_999, PATIENT).after
    assert (soon.doublings, soon.flaps, soon.open_until_ms - T0 - 59_999) == (2, 1, 17_000)
    later = moved(closed, SICK, T0 + 60_000, PATIENT).after
    assert (later.doublings, later.flaps, later.open_until_ms - T0 - 60_000) == (0, 0, 5_000)


def test_after_a_flap_admission_waits_on_probation() -> None:
    good = Estimate(count=50, bad_count=0, bad_share=0.01, load=LOAD)
    record = half_open(flaps=1, first_step=False, admit_ppm=800_000)
    record = moved(record, good, record.generation_since_ms + 1_000).after
    assert record.admit_ppm == 900_000
    record = replace(record, rung=BreakerLevel.RELAX)
    dwell_ms = CONFIG.close_dwell_ms * 4
    assert decide(record, good, record.generation_since_ms + dwell_ms - 1, CONFIG) is None
    assert moved(record, good, record.generation_since_ms + dwell_ms).after.admit_ppm == PPM


def test_a_bad_step_is_cut_once_then_settles() -> None:
    record = half_open(first_step=False, admit_ppm=800_000, rung=BreakerLevel.RELAX)
    bad = Estimate(count=50, bad_count=25, bad_share=0.5, load=LOAD)
    cut = moved(record, bad, record.generation_since_ms + 1_000)
    assert cut.cause is Cause.STEP_BAD
    assert not cut.changes_state
    assert (cut.after.admit_ppm, cut.after.ceiling_ppm) == (480_000, 800_000)
    now_ms = cut.after.generation_since_ms
    assert decide(cut.after, SICK, now_ms + 999, CONFIG) is None
    assert moved(cut.after, SICK, now_ms + 1_000).cause is Cause.STEP_SETTLED


def test_load_that_does_not_help_when_cut_twice_opens() -> None:
    record = half_open(first_step=False, admit_ppm=800_000, cuts=2, ceiling_ppm=800_000)
    transition = moved(record, replace(SICK, count=20, bad_count=20), record.generation_since_ms + 1_000)
    assert transition.after.state is BreakerState.OPEN
    assert transition.after.flaps == 1


def test_the_ramp_halves_its_way_to_a_safe_share_below_the_ceiling() -> None:
    record = half_open(first_step=False, admit_ppm=480_000, ceiling_ppm=800_000)
    good = Estimate(count=50, bad_count=0, bad_share=0.01, load=LOAD)
    shares = []
    for _ in range(6):
        record = moved(record, good, record.generation_since_ms + 1_000).after
        shares.append(record.admit_ppm)
    assert shares == [580_000, 630_000, 660_000, 690_000, 720_000, 750_000]


def test_an_undecided_first_step_is_still_the_first() -> None:
    record = half_open(rung=BreakerLevel.RELAX)
    torn = Estimate(count=40, bad_count=7, bad_share=0.175, load=LOAD)
    assert decide(record, torn, record.generation_since_ms + 4 * CONFIG.step_ms, CONFIG) is None
    transition = moved(record, torn, record.generation_since_ms + 4 * CONFIG.step_ms + 1)
    assert transition.cause is Cause.STEP_UNDECIDED
    assert (transition.after.first_step, transition.after.admit_ppm) == (True, record.admit_ppm)


@pytest.mark.parametrize(
    ("count", "bad", "later_ms", "rises"),
    [(1, 0, 1, True), (0, 0, 1, False), (2, 1, 1, False), (1, 0, 0, False)],
)
def test_where_hardly_anything_comes_a_single_good_answer_is_enough_after_ten_steps(
    count: int, bad: int, later_ms: int, rises: bool
) -> None:
    record = half_open()
    seen = Estimate(samples=count, count=count, bad_count=bad, load=Load(offered_rps=0.1))
    transition = decide(record, seen, record.generation_since_ms + 10 * CONFIG.step_ms + later_ms, CONFIG)
    assert (transition is not None and transition.after.admit_ppm > record.admit_ppm) == rises


def test_doublings_end_at_the_longest_interval() -> None:
    record = replace(half_open(), doublings=2)
    now_ms = record.generation_since_ms + 1_000
    after = moved(record, replace(SICK, count=8, bad_count=8), now_ms, PATIENT).after
    assert after.doublings == 2
    after = moved(record, replace(SICK, count=8, bad_count=8), now_ms).after
    assert (after.doublings, after.open_until_ms - now_ms) == (1, CONFIG.max_open_ms)


def test_a_saturated_step_waits_before_it_adds_load() -> None:
    record = half_open(first_step=False, admit_ppm=600_000, rung=BreakerLevel.RELAX)
    # 120 requests a second of 100 ms keep twelve servers busy; the breaker knows of eight.
    busy = Estimate(count=50, bad_count=0, latency_s=0.100, load=LOAD)
    config = replace(CONFIG, estimator=replace(CONFIG.estimator, servers=8))
    patience_ms = config.step_patience * config.step_ms
    assert decide(record, busy, record.generation_since_ms + patience_ms, config) is None
    after = moved(record, busy, record.generation_since_ms + patience_ms + 1, config).after
    assert after.admit_ppm == 630_000


def test_a_step_ends_where_the_servers_would_be_too_busy() -> None:
    estimator = replace(CONFIG.estimator, servers=8)
    known = replace(CONFIG, estimator=estimator)
    slow = Estimate(latency_s=0.080, count=10**6, load=LOAD)  # 9.6 in service at full admission
    assert raised(200_000, 0, slow, known) == 400_000
    assert raised(400_000, 0, slow, known) == pytest.approx(PPM * 0.80 * 8 / 9.6, rel=0.002)
    assert raised(400_000, 0, slow, CONFIG) == 600_000  # their number is unknown
    assert raised(400_000, 0, replace(slow, latency_s=0.040), known) == 800_000


def test_few_latencies_are_trusted_less() -> None:
    known = replace(CONFIG, estimator=replace(CONFIG.estimator, servers=8))
    slow = Estimate(latency_s=0.080, load=LOAD)
    nine, hundred = (raised(400_000, 0, replace(slow, count=count), known) for count in (9, 100))
    assert nine == pytest.approx(PPM * 0.80 * 8 / (9.6 * 4 / 3), rel=1e-5)
    assert hundred == pytest.approx(PPM * 0.80 * 8 / (9.6 * 1.1), rel=1e-5)


def test_a_ceiling_is_approached_from_below_and_left_by_growing_steps() -> None:
    calm = Estimate(load=LOAD)
    assert raised(300_000, 800_000, calm, CONFIG) == 300_000 + (680_000 - 300_000) // 2
    assert raised(680_000, 800_000, calm, CONFIG) == 710_000
    assert raised(860_000, 800_000, calm, CONFIG) == 920_000
    assert raised(950_000, 600_000, calm, CONFIG) == PPM


def test_a_record_survives_its_item() -> None:
    record = half_open(rung=BreakerLevel.RELAX, flaps=2)
    stored = {k: str(v) if type(v) is int else v for k, v in record.to_attributes().items()}
    assert BreakerRecord.from_attributes(stored) == record
    with pytest.raises(KeyError):
        BreakerRecord.from_attributes({"version": 1})
    with pytest.raises(ValueError, match="BreakerState"):
        BreakerRecord.from_attributes({**stored, "state": "ajar"})


def test_an_open_view_admits_nothing_and_says_when_to_come_back() -> None:
    record = opened()
    view = View(record, SICK, T0)
    rng = random.Random(3)
    found = [admit(view, T0 + 1_001, CONFIG, rng.random) for _ in range(500)]
    assert not any(one.admitted for one in found)
    pauses = {one.retry_after_s for one in found}
    assert min(pauses) >= 4
    assert len(pauses) > 2
    assert found[0].facts.level is BreakerLevel.SHED


def test_retry_after_is_never_less_than_the_rest_of_the_interval() -> None:
    record = opened()
    for rest_ms in (1, 999, 1_000, 4_321):
        assert retry_after_s(record, record.open_until_ms - rest_ms, CONFIG, lambda: 0.0) * 1000 >= rest_ms


def test_a_store_that_is_down_never_weakens_and_does_not_shed_for_ever() -> None:
    relaxed = replace(initial(T0), rung=BreakerLevel.CLASSICAL)
    assert admit(View(relaxed, CALM, T0), T0, CONFIG, lambda: 0.5).level is BreakerLevel.CLASSICAL
    assert admit(View(relaxed, CALM, T0, reached=False), T0, CONFIG, lambda: 0.5).level is BreakerLevel.FULL
    record = opened()
    down = View(record, SICK, T0, reached=False)
    assert not admit(down, record.open_until_ms - 1, CONFIG, lambda: 0.0).admitted
    assert not admit(down, record.open_until_ms, CONFIG, lambda: 0.5).admitted
    probe = admit(down, record.open_until_ms, CONFIG, lambda: 0.0)
    assert (probe.admitted, probe.level) == (True, BreakerLevel.FULL)
    ramp = View(half_open(), CALM, T0, reached=False)
    for view in (down, ramp):
        assert not admit(view, T0 + CONFIG.unread_ms - 1, CONFIG, lambda: 0.5).admitted
        after = admit(view, T0 + CONFIG.unread_ms, CONFIG, lambda: 0.99)
        assert (after.admitted, after.level) == (True, BreakerLevel.FULL)


def test_an_unknown_breaker_admits_in_full_and_reports_nothing() -> None:
    found = admit(None, T0, CONFIG, lambda: 0.99)
    assert (found.level, found.generation, found.facts.state) == (BreakerLevel.FULL, None, None)


def test_rungs_are_taken_one_per_dwell_and_alarms_never_shed() -> None:
    ladder = LadderConfig(rungs=tuple(BreakerLevel))
    config = replace(CONFIG, ladder=ladder)
    alarm = Estimate(rho=0.97, wait_s=0.3, load=LOAD)
    record, seen = initial(T0), []
    for now_ms in range(T0, T0 + 30_000, 500):
        transition = decide(record, alarm, now_ms, config)
        if transition is not None:
            seen.append((now_ms - T0, transition.cause, transition.after.level))
            record = transition.after
    assert seen == [
        (2_000, Cause.RUNG_UP, BreakerLevel.RELAX),
        (4_000, Cause.RUNG_UP, BreakerLevel.CLASSICAL),
    ]
    assert record.generation == 1


def test_rungs_have_separate_thresholds() -> None:
    def step(rho):
        return next_rung(
            BreakerLevel.RELAX,
            since_ms=T0,
            state=BreakerState.CLOSED,
            estimate=Estimate(rho=rho),
            now_ms=T0 + 2_000,
            config=LadderConfig(),
        )

    assert step(0.80) is BreakerLevel.RELAX
    assert step(0.70) is BreakerLevel.FULL


_LADDER = LadderConfig()


@pytest.mark.parametrize(
    ("rung", "measured", "expected"),
    [
        ("full", {"rho": _LADDER.up_rho}, "relax"),
        ("full", {"rho": _LADDER.up_rho - 1e-6}, "full"),
        ("full", {"wait_s": _LADDER.up_wait_ms / 1000}, "relax"),
        ("full", {"wait_s": _LADDER.up_wait_ms / 1000 - 1e-6}, "full"),
        ("full", {"bad_share_lower": _LADDER.availability_floor}, "full"),
        ("full", {"bad_share_lower": _LADDER.availability_floor + 1e-6}, "relax"),
        ("relax", {"rho": _LADDER.down_rho}, "relax"),
        ("relax", {"rho": _LADDER.down_rho - 1e-6}, "full"),
        ("relax", {"wait_s": _LADDER.down_wait_ms / 1000}, "relax"),
        ("relax", {"wait_s": _LADDER.down_wait_ms / 1000 - 1e-6}, "full"),
        ("relax", {"bad_share": _LADDER.down_bad_share}, "relax"),
        ("relax", {"bad_share": _LADDER.down_bad_share - 1e-6}, "full"),
    ],
)
def test_a_rung_is_taken_and_left_exactly_at_its_threshold(rung, measured, expected) -> None:
    found = next_rung(
        BreakerLevel(rung),
        since_ms=T0,
        state=BreakerState.CLOSED,
        estimate=Estimate(**measured),
        now_ms=T0 + 60_000,
        config=_LADDER,
    )
    assert found is BreakerLevel(expected)


@pytest.mark.parametrize(
    ("level", "ladder", "expected"),
    [
        ("classical", ("full", "relax", "shed"), "relax"),
        ("classical", ("full", "relax", "classical", "shed"), "classical"),
        ("relax", ("full", "shed"), "full"),
        ("relax", (), "full"),
        ("shed", ("full",), "shed"),
    ],
)
def test_a_route_takes_only_the_rungs_its_policy_names(level, ladder, expected) -> None:
    assert route_level(BreakerLevel(level), ladder) is BreakerLevel(expected)


def test_a_rung_that_the_configuration_lost_is_left_towards_full() -> None:
    rung = next_rung(
        BreakerLevel.CLASSICAL,
        since_ms=T0,
        state=BreakerState.CLOSED,
        estimate=CALM,
        now_ms=T0,
        config=LadderConfig(),
    )
    assert rung is BreakerLevel.RELAX


@pytest.mark.parametrize("back_ms", [3_600_000, 365 * 86_400_000])
def test_a_clock_that_was_set_back_holds_nothing_open_and_nobody_on_a_rung(back_ms: int) -> None:
    now_ms = T0 - back_ms
    ended = moved(opened(), Estimate(load=LOAD), now_ms)
    assert (ended.cause, ended.after.state) == (Cause.INTERVAL_OVER, BreakerState.HALF_OPEN)
    assert ended.after.generation_since_ms == now_ms
    relaxed = replace(initial(T0), rung=BreakerLevel.RELAX)
    assert moved(relaxed, CALM, now_ms).cause is Cause.RUNG_DOWN
    # A ramp that began in the future goes on by its outcomes, not by the clock.
    good = Estimate(count=CONFIG.step_samples, load=LOAD)
    assert moved(half_open(), good, now_ms).after.generation_since_ms == now_ms


def test_clocks_of_a_fleet_may_be_some_seconds_apart() -> None:
    record = opened()
    assert decide(record, Estimate(load=LOAD), record.state_since_ms - CONFIG.max_open_ms, CONFIG) is None


def test_a_breaker_begins_closed_with_everything_admitted() -> None:
    assert initial(T0).to_attributes() == {
        "version": 1,
        "generation": 1,
        "generation_since_ms": T0,
        "state": "closed",
        "state_since_ms": T0,
        "open_until_ms": 0,
        "doublings": 0,
        "flaps": 0,
        "closed_at_ms": 0,
        "admit_ppm": 1_000_000,
        "first_step": False,
        "settling": False,
        "cuts": 0,
        "ceiling_ppm": 0,
        "rung": "full",
        "rung_since_ms": T0,
        "trip_ppm": 0,
        "late": False,
        "floor_ppm": 0,
        "silent": False,
    }


@pytest.mark.parametrize("name", ["first_step", "settling"])
def test_a_record_whose_truth_value_is_a_number_is_refused(name: str) -> None:
    stored = {**initial(T0).to_attributes(), name: 1}
    with pytest.raises(ValueError, match=name):
        BreakerRecord.from_attributes(stored)


def closed(closed_at_ms: int) -> BreakerRecord:
    return replace(initial(T0), closed_at_ms=closed_at_ms, doublings=1, flaps=1)


def test_a_trip_within_a_minute_of_the_last_fault_is_a_flap() -> None:
    flap = moved(closed(T0), SICK, T0 + CONFIG.health_ms - 1).after
    assert (flap.flaps, flap.doublings, flap.open_until_ms - flap.state_since_ms) == (2, 1, 8_000)
    anew = moved(closed(T0), SICK, T0 + CONFIG.health_ms).after
    assert (anew.flaps, anew.doublings, anew.open_until_ms - anew.state_since_ms) == (0, 0, 5_000)
    assert moved(closed(0), SICK, T0).after.flaps == 0  # it never closed
    assert moved(replace(initial(1), closed_at_ms=1), SICK, 2).after.flaps == 1


def test_an_interval_that_is_over_begins_a_ramp_of_its_own() -> None:
    record = opened(cuts=2, ceiling_ppm=400_000)
    after = moved(record, Estimate(), record.open_until_ms).after
    assert (after.state, after.state_since_ms) == (BreakerState.HALF_OPEN, record.open_until_ms)
    assert (after.admit_ppm, after.first_step, after.cuts, after.ceiling_ppm) == (300_000, True, 0, 0)
    assert after.generation == record.generation + 1


def step(**changes) -> BreakerRecord:
    """A half-open breaker beyond its first step, its evidence from T0 on, on the last rung below ``SHED``."""
    found = half_open(admit_ppm=400_000, first_step=False, generation_since_ms=T0, rung=BreakerLevel.RELAX)
    return replace(found, **changes)


def good(count: int, bad: int = 0, **more) -> Estimate:
    return Estimate(count=count, bad_count=bad, load=LOAD, **more)


def test_a_cut_settles_for_exactly_its_second() -> None:
    assert decide(step(settling=True), good(100), T0 + 999, CONFIG) is None
    after = moved(step(settling=True), good(100), T0 + 1_000)
    assert (after.cause, after.after.settling, after.after.admit_ppm) == (Cause.STEP_SETTLED, False, 400_000)


def test_a_step_is_good_when_its_time_and_its_samples_are_full() -> None:
    assert decide(step(), good(7), T0 + 799, CONFIG) is None
    assert decide(step(), good(6), T0 + 800, CONFIG) is None
    assert moved(step(), good(7), T0 + 800).cause is Cause.STEP_GOOD
    assert moved(step(), good(100, 12), T0 + 800).cause is Cause.STEP_GOOD
    assert decide(step(), good(100, 13), T0 + 800, CONFIG) is None


def test_a_step_that_is_neither_good_nor_bad_is_tried_again_after_four_lengths() -> None:
    assert decide(step(), good(100, 20), T0 + 3_200, CONFIG) is None
    assert moved(step(), good(100, 20), T0 + 3_201).cause is Cause.STEP_UNDECIDED
    assert moved(step(), good(100, 21), T0 + 3_201).cause is Cause.STEP_BAD
    assert decide(step(), good(6, 2), T0 + 3_201, CONFIG) is None  # too few to say


def test_few_outcomes_fail_a_step_only_if_they_are_sure_to() -> None:
    assert decide(step(), good(3, 3), T0 + 1, CONFIG) is None
    assert moved(step(), good(4, 4), T0 + 1).cause is Cause.STEP_BAD  # two deviations below: 50 %
    assert decide(step(), good(4, 2), T0 + 1, CONFIG) is None  # 15 %
    assert decide(step(), good(3, bad_share_lower=0.30), T0 + 1, CONFIG) is None
    assert moved(step(), good(3, bad_share_lower=0.31), T0 + 1).cause is Cause.STEP_BAD


def test_a_bad_step_keeps_the_first_ceiling_and_counts_its_cuts() -> None:
    first = moved(step(), good(100, 30), T0 + 800).after
    assert (first.admit_ppm, first.ceiling_ppm, first.cuts, first.settling) == (240_000, 400_000, 1, True)
    deep = moved(step(cuts=1, ceiling_ppm=700_000), good(100, 61), T0 + 800).after
    assert (deep.admit_ppm, deep.ceiling_ppm, deep.cuts) == (160_000, 700_000, 2)
    assert moved(step(), good(100, 60), T0 + 800).after.admit_ppm == 240_000
    assert moved(step(cuts=2), good(100, 61), T0 + 800).cause is Cause.PROBES_FAILED


@pytest.mark.parametrize(
    ("admit_ppm", "ceiling_ppm", "flaps"),
    [(500_000, 0, 1), (499_999, 0, 0), (100_000, 500_000, 1), (100_000, 499_999, 0)],
)
def test_a_relapse_from_half_of_the_admission_is_a_flap(admit_ppm, ceiling_ppm, flaps) -> None:
    record = replace(step(cuts=2, flaps=0), admit_ppm=admit_ppm, ceiling_ppm=ceiling_ppm)
    after = moved(record, good(100, 61), T0 + 800).after
    assert (after.state, after.flaps, after.doublings) == (BreakerState.OPEN, flaps, record.doublings + 1)
    assert after.admit_ppm == 0


def test_a_share_of_twice_the_probes_is_not_cut_but_opened() -> None:
    floor = round(2 * PPM * 5 / 120)
    assert moved(replace(step(), admit_ppm=floor), good(100, 61), T0 + 800).cause is Cause.PROBES_FAILED
    assert moved(replace(step(), admit_ppm=floor + 1), good(100, 61), T0 + 800).cause is Cause.STEP_BAD


def test_full_admission_closes_after_its_dwell_if_the_bad_share_is_low() -> None:
    full = replace(step(flaps=0), admit_ppm=PPM)
    assert decide(full, good(100, bad_share=0.09), T0 + 9_999, CONFIG) is None
    after = moved(full, good(100, bad_share=0.09), T0 + 10_000)
    assert (after.cause, after.after.state) == (Cause.RECOVERED, BreakerState.CLOSED)
    assert (after.after.state_since_ms, after.after.closed_at_ms) == (T0 + 10_000, T0 + 10_000)
    assert decide(full, good(100, bad_share=0.10), T0 + 10_000, CONFIG) is None
    flapped = replace(full, flaps=1)
    assert decide(flapped, good(100), T0 + 19_999, CONFIG) is None
    assert moved(flapped, good(100), T0 + 20_000).cause is Cause.RECOVERED


def test_after_flaps_the_probation_lasts_its_time() -> None:
    waiting = replace(step(flaps=1), admit_ppm=900_000)
    assert decide(waiting, good(100), T0 + 19_999, CONFIG) is None
    assert moved(waiting, good(100), T0 + 20_000).after.admit_ppm == PPM
    below = replace(waiting, admit_ppm=899_999)
    assert moved(below, good(100), T0 + 800).after.admit_ppm == 900_000
    often = replace(waiting, flaps=2)  # the dwell at full admission doubles, this one does not
    assert decide(often, good(100), T0 + 19_999, CONFIG) is None
    assert moved(often, good(100), T0 + 20_000).after.admit_ppm == PPM


def test_a_view_is_due_when_the_interval_is_over() -> None:
    view = View(initial(T0), CALM, T0)
    assert not view.is_due(T0 + 499, 500)
    assert view.is_due(T0 + 500, 500)


def test_a_last_view_stands_for_twenty_seconds_and_ends_an_open_interval_with_probes() -> None:
    view = View(step(), CALM, T0, reached=False)
    assert admitted_share(view, T0, CONFIG, T0 + 19_999) == 0.4
    assert admitted_share(view, T0, CONFIG, T0 + 20_000) == 1.0
    busy = replace(CALM, load=replace(CALM.load, offered_rps=100.0))
    open_view = View(opened(open_until_ms=T0 + 3_000), busy, T0, reached=False)
    assert admitted_share(open_view, T0 + 2_999, CONFIG, T0) == 0.0
    assert admitted_share(open_view, T0 + 3_000, CONFIG, T0 + 19_999) == 0.05
    assert admitted_share(open_view, T0, CONFIG, T0 + 20_000) == 1.0  # the wall clock was set back
    assert admitted_share(replace(open_view, reached=True), T0 + 3_000, CONFIG, T0 + 20_000) == 0.0
    assert admitted_share(replace(view, reached=True), T0 + 3_000, CONFIG, T0 + 20_000) == 0.4


def test_a_draw_at_the_share_is_shed_and_one_below_is_admitted() -> None:
    view = View(step(rung=BreakerLevel.RELAX), CALM, T0)
    admitted = admit(view, T0, CONFIG, lambda: 0.399)
    assert (admitted.level, admitted.rung) == (BreakerLevel.RELAX, BreakerLevel.RELAX)
    assert (admitted.retry_after_s, admitted.generation) == (None, view.record.generation)
    shed = admit(view, T0, CONFIG, lambda: 0.4)
    assert (shed.level, shed.rung, shed.retry_after_s) == (BreakerLevel.SHED, BreakerLevel.RELAX, 4)
    assert shed.generation == view.record.generation


def test_retry_after_is_rounded_up_and_never_nothing() -> None:
    record = opened(open_until_ms=T0)
    waits = [retry_after_s(record, T0 - rest_ms, CONFIG, lambda: 0.0) for rest_ms in (0, 1, 1_000, 1_001)]
    assert waits == [1, 1, 1, 2]
    assert retry_after_s(record, T0 + 60_000, CONFIG, lambda: 0.9) == 3  # jitter alone: 2.7 s
    assert retry_after_s(step(), T0, CONFIG, lambda: 0.5) == 4  # 2 s, and 1.5 s of jitter


def test_the_ramp_asks_what_the_servers_can_bear() -> None:
    config = replace(CONFIG, estimator=replace(CONFIG.estimator, servers=4))
    busy = Estimate(count=100, latency_s=0.1, load=Load(offered_rps=64.0))
    assert bearable(busy, CONFIG) == PPM
    in_service = 64 * 0.1 * 1.1
    assert bearable(busy, config) == round(PPM * 0.8 * 4 / in_service)
    assert bearable(replace(busy, count=0), config) == round(PPM * 0.8 * 4 / (64 * 0.1 * 2))
    quiet = Estimate(count=10**12, latency_s=0.05, load=Load(offered_rps=63.9))
    assert bearable(quiet, config) == PPM
    assert saturated(bearable(busy, config) - 29_999, busy, config)
    assert not saturated(bearable(busy, config) - 30_000, busy, config)
    assert not saturated(PPM, quiet, config)
    assert raised(200_000, 0, busy, config) == 400_000
    assert raised(400_000, 0, busy, config) == bearable(busy, config)
    assert raised(600_000, 0, busy, config) == 630_000


def test_a_route_between_rungs_takes_the_furthest_that_is_not_beyond() -> None:
    assert route_level(BreakerLevel.CLASSICAL, ("full", "relax", "classical")) is BreakerLevel.CLASSICAL
    assert route_level(BreakerLevel.RELAX, ("full", "relax", "classical")) is BreakerLevel.RELAX


def test_a_flap_doubles_the_interval_once() -> None:
    record = replace(closed(T0), doublings=0)
    after = moved(record, SICK, T0 + 1, PATIENT).after
    assert (after.doublings, after.open_until_ms - after.state_since_ms) == (1, 10_000)
    failed = moved(replace(step(cuts=2), doublings=0), good(100, 61), T0 + 800, PATIENT).after
    assert (failed.doublings, failed.open_until_ms - failed.state_since_ms) == (1, 10_000)


def test_the_first_step_is_over_when_it_was_good_and_a_closed_breaker_has_none() -> None:
    first_one = replace(step(), first_step=True)
    assert not moved(first_one, good(7), T0 + 800).after.first_step
    assert not moved(replace(first_one, admit_ppm=PPM), good(100), T0 + 10_000).after.first_step
    assert not moved(first_one, good(100, 61), T0 + 800).after.first_step


def test_a_receipt_says_why_a_request_was_let_through() -> None:
    closed = initial(T0)
    half_open = replace(closed, state=BreakerState.HALF_OPEN, admit_ppm=PPM // 2)
    is_open = replace(closed, state=BreakerState.OPEN, open_until_ms=T0 + 1000)
    late = T0 + CONFIG.unread_ms
    cases = [
        (None, T0, 0.0, "fail_open"),
        (View(closed, CALM, T0), T0, 0.0, "normal"),
        (View(closed, CALM, T0, reached=False), T0, 0.0, "normal"),
        (View(closed, CALM, T0, reached=False), late, 0.0, "fail_open"),
        (View(half_open, CALM, T0), T0, 0.0, "probe"),
        (View(half_open, CALM, T0), T0, 0.99, None),
        (View(half_open, CALM, T0, reached=False), late, 0.99, "fail_open"),
        (View(is_open, SICK, T0), T0, 0.0, None),
        (View(is_open, SICK, T0, reached=False), T0 + 1000, 0.0, "fail_open"),
        (View(is_open, SICK, T0, reached=False), T0 + 1000, 0.99, None),
        (View(is_open, SICK, T0, reached=False), late, 0.99, "fail_open"),
    ]
    for view, now_ms, drawn, why in cases:
        admission = admit(view, now_ms, CONFIG, lambda drawn=drawn: drawn)  # type: ignore[misc]
        assert admission.facts.admission == admission.why == why
        assert admission.admitted == (why is not None)
