"""Shedding that cannot help ends; silence is neither health nor illness."""

from dataclasses import replace

import pytest

from signet.breaker.accumulators import OutcomeAccumulator, Sums
from signet.breaker.admission import View, admit
from signet.breaker.config import BreakerConfig
from signet.breaker.estimator import Estimate, Load, estimate
from signet.breaker.machine import decide, initial
from signet.breaker.record import BreakerRecord, Cause
from signet.core.vocabulary import PPM, BreakerState
from signet.core.vocabulary import Admission as Why
from signet.receipts.transition import TransitionRecord

CONFIG = BreakerConfig()
ESTIMATOR = CONFIG.estimator
T0 = 1_760_000_040_000
LOAD = Load(offered_rps=120.0)


def probing(**changes) -> BreakerRecord:
    record = replace(
        initial(T0),
        state=BreakerState.HALF_OPEN,
        generation_since_ms=T0,
        admit_ppm=round(PPM * 5 / 120),
        first_step=True,
        trip_ppm=400_000,
    )
    return replace(record, **changes)


def seen(count: int, *, errors: int = 0, late: int = 0) -> Estimate:
    bad = errors + late
    lower = 0.9 if bad == count else 0.0
    return Estimate(count=count, bad_count=bad, late_count=late, bad_share_lower=lower, load=LOAD)


def step(record: BreakerRecord, estimate: Estimate, after_ms: int = 1_600):
    return decide(record, estimate, record.generation_since_ms + after_ms, CONFIG)


@pytest.mark.parametrize(
    ("tripped_late", "errors", "late", "cause"),
    [
        (True, 0, 8, Cause.STEP_FUTILE),  # a cache that only served requests fill
        (True, 0, 4, Cause.STEP_FUTILE),  # a route that is slow by nature
        (False, 4, 0, Cause.STEP_FUTILE),  # a fixed share of errors
        (False, 8, 0, Cause.PROBES_FAILED),  # hard errors: it stays open
        (True, 8, 0, Cause.PROBES_FAILED),  # bad in another way than at the trip
        (False, 0, 8, Cause.PROBES_FAILED),  # cold after an outage
    ],
)
def test_load_is_not_the_fault_if_probes_are_no_better(tripped_late, errors, late, cause) -> None:
    transition = step(probing(late=tripped_late), seen(8, errors=errors, late=late))
    assert transition is not None
    assert transition.cause is cause
    assert (transition.after.floor_ppm > 0) is (cause is Cause.STEP_FUTILE)
    if transition.after.floor_ppm:
        assert transition.after.admit_ppm == 2 * transition.before.admit_ppm


def test_probes_that_are_well_make_no_floor() -> None:
    transition = step(probing(late=True), seen(8))
    assert transition is not None
    assert (transition.cause, transition.after.floor_ppm) == (Cause.STEP_GOOD, 0)


def test_above_a_floor_the_ramp_ends_closed_and_says_futile() -> None:
    record = probing(late=True, floor_ppm=400_000, admit_ppm=PPM, first_step=False)
    transition = step(record, seen(500, late=200), after_ms=10_000)
    assert transition is not None
    assert (transition.cause, transition.after.state) == (Cause.FUTILE, BreakerState.CLOSED)
    assert transition.after.floor_ppm == 400_000
    worse = step(record, seen(500, errors=300, late=200), after_ms=10_000)
    assert worse is not None
    assert worse.cause is Cause.STEP_BAD


def test_answers_that_are_better_than_the_outage_was_are_no_floor() -> None:
    """It trips on the first of them, a third bad; that all probes failed since is known as well."""
    record = probing(trip_ppm=350_000)
    found = seen(8, errors=3)
    futile_at_once = step(record, found)
    assert futile_at_once is not None
    assert futile_at_once.cause is Cause.STEP_FUTILE
    failed = step(record, seen(8, errors=8))
    assert failed is not None
    assert 650_000 < failed.after.trip_ppm < 700_000
    later = step(replace(record, trip_ppm=failed.after.trip_ppm), found)
    assert later is not None
    assert later.cause is Cause.PROBES_FAILED
    assert later.after.trip_ppm == failed.after.trip_ppm


@pytest.mark.parametrize(("floor_ppm", "flaps"), [(0, 1), (400_000, 0)])
def test_a_ramp_that_fails_above_a_floor_is_no_flap(floor_ppm, flaps) -> None:
    """The floor was wrong: the next ramp must not wait at 90 % as it does after a fault that came back."""
    record = probing(late=True, floor_ppm=floor_ppm, ceiling_ppm=700_000, cuts=2, first_step=False)
    transition = step(record, seen(8, errors=8))
    assert transition is not None
    assert transition.cause is Cause.PROBES_FAILED
    assert (transition.after.flaps, transition.after.floor_ppm) == (flaps, 0)


@pytest.mark.parametrize(
    ("late", "found", "trips"),
    [
        (True, {"late_lower": 0.65}, False),
        (True, {"late_lower": 0.71}, True),
        (True, {"error_lower": 0.31}, True),
        (False, {"error_lower": 0.66}, False),
        (False, {"error_lower": 0.67}, True),
        (False, {"late_lower": 0.31}, True),
    ],
)
def test_a_closed_breaker_trips_above_its_floor_and_not_at_it(late, found, trips) -> None:
    record = replace(initial(T0), late=late, floor_ppm=400_000, closed_at_ms=T0)
    sick = Estimate(count=100, bad_count=40, bad_share=0.4, bad_share_lower=0.37, slow_share=0.4, **found)
    transition = decide(record, sick, T0 + 30_000, CONFIG)
    assert transition is not None
    assert (transition.cause is Cause.TRIPPED) is trips  # else it steps up the ladder
    assert (transition.after.floor_ppm == 0) is trips


def test_a_floor_is_forgotten_after_a_minute_of_good_answers() -> None:
    record = replace(initial(T0), floor_ppm=400_000, closed_at_ms=T0)
    well = Estimate(count=100, bad_count=1, bad_share=0.01, slow_share=0.01)
    assert decide(record, well, T0 + CONFIG.health_ms - 1, CONFIG) is None
    transition = decide(record, well, T0 + CONFIG.health_ms, CONFIG)
    assert transition is not None
    assert transition.after.floor_ppm == 0
    assert not transition.changes_state


@pytest.mark.parametrize(
    ("probes", "age_ms", "silent"), [(5, 9_000, True), (4, 60_000, False), (500, 8_999, False)]
)
@pytest.mark.parametrize("changes", [{}, {"first_step": False, "admit_ppm": PPM // 2}, {"settling": True}])
def test_probes_without_outcomes_lead_to_full_admission(probes, age_ms, silent, changes) -> None:
    found = Estimate(probe_count=probes, probe_age_ms=age_ms, load=LOAD)
    transition = step(probing(**changes), found, after_ms=900)
    assert (transition is not None) is silent
    if transition:
        assert (transition.cause, transition.after.state) == (Cause.SILENT, BreakerState.CLOSED)
        assert transition.after.silent


def test_few_outcomes_and_then_none_are_silence_too() -> None:
    found = Estimate(count=3, bad_count=1, samples=0.009, probe_count=8, probe_age_ms=9_000, load=LOAD)
    transition = step(probing(), found, after_ms=20_000)
    assert transition is not None
    assert transition.cause is Cause.SILENT
    heard = step(probing(), replace(found, samples=0.5), after_ms=20_000)
    assert heard is None or heard.cause is not Cause.SILENT


def test_what_is_let_through_in_silence_is_on_record_as_such_until_an_outcome_comes() -> None:
    record = replace(initial(T0), silent=True)
    blind = admit(View(record, Estimate(), T0), T0, CONFIG, lambda: 0.5)
    heard = admit(View(record, Estimate(count=1), T0), T0, CONFIG, lambda: 0.5)
    assert (blind.why, heard.why) == (Why.FAIL_OPEN, Why.NORMAL)


@pytest.mark.parametrize(("cause", "version"), [("tripped", 1), ("silent", 2), ("futile", 2)])
def test_a_cause_that_version_1_does_not_know_is_written_in_version_2(cause: str, version: int) -> None:
    place = (BreakerState.CLOSED, initial(T0).rung)
    record = TransitionRecord("backend", 2, T0, place, place, cause, None)
    assert record.to_object()["v"] == version
    record.encode()  # checked as the sink will check it


def test_probes_and_late_answers_are_added_up() -> None:
    accumulator = OutcomeAccumulator(ESTIMATOR)
    accumulator.probed(3, T0 + 1_000)
    accumulator.probed(3, T0 + 3_000)
    accumulator.add(3, T0 + 9_000, latency_ms=500, error=False, slow=True)
    accumulator.add(3, T0 + 9_000, latency_ms=500, error=True, slow=True)
    [(key, sums)] = accumulator.drain().items()
    assert (sums.probe_count, sums.late_count, sums.bad_count) == (2, 1, 2)
    assert Sums.from_attributes(sums.to_increments()).probe_ms == sums.probe_ms
    found = estimate({key.epoch: sums}, LOAD, generation_since_ms=T0, now_ms=T0 + 10_000, config=ESTIMATOR)
    assert (found.probe_count, found.probe_age_ms, found.late_count) == (2, 8_000, 1)


def test_sums_of_a_reporter_from_before_count_as_errors() -> None:
    old = {"fast_n": "9", "fast_bad": "9", "slow_n": "9", "slow_bad": "9", "count": "9", "bad_count": "9"}
    found = estimate(
        {T0 // ESTIMATOR.epoch_ms: Sums.from_attributes(old)},
        LOAD, generation_since_ms=T0, now_ms=T0, config=ESTIMATOR,
    )  # fmt: skip
    assert found.late_count == 0


def test_a_start_of_three_seconds_is_outweighed_by_what_began_after_it() -> None:
    accumulator = OutcomeAccumulator(ESTIMATOR)
    for number in range(360):  # they began within three seconds, and all are answered three seconds later
        accumulator.add(1, T0 + 33_000 + 8 * number, latency_ms=3_040, error=False, slow=True)
        accumulator.add(1, T0 + 33_000 + 8 * number, latency_ms=40, error=False, slow=False)
    for number in range(3_600):  # and this was before
        accumulator.add(1, T0 + 8 * number, latency_ms=40, error=False, slow=False)
    [(key, sums)] = accumulator.drain().items()
    found = estimate({key.epoch: sums}, LOAD, generation_since_ms=T0, now_ms=T0 + 36_000, config=ESTIMATOR)
    assert found.bad_share < 0.15
    assert found.bad_share_lower < CONFIG.trip_bad_share


@pytest.mark.parametrize("per_minute", [2, 6, 12])
@pytest.mark.parametrize("began", [0.0, 0.4, 0.9])
def test_an_outage_shows_within_twelve_requests_however_few_there_are(per_minute, began) -> None:
    gap_ms, epochs = 60_000 // per_minute, {}
    start = T0 // 60_000 * 60_000
    outage_ms = start + round(600_000 + 60_000 * began)
    for number in range(20 * per_minute):
        at_ms = start + number * gap_ms
        accumulator = OutcomeAccumulator(ESTIMATOR)
        accumulator.add(1, at_ms, latency_ms=40, error=at_ms >= outage_ms, slow=False)
        for key, sums in accumulator.drain().items():
            epochs[key.epoch] = epochs.get(key.epoch, Sums()).merge(sums)
        found = estimate(epochs, LOAD, generation_since_ms=start, now_ms=at_ms, config=ESTIMATOR)
        if found.bad_share_lower > CONFIG.trip_bad_share:
            break
    assert 0 <= (at_ms - outage_ms) / gap_ms <= 10


def test_evidence_from_before_a_quiet_time_leads_to_probes_at_once() -> None:
    sick = Estimate(count=20, bad_count=20, bad_share=0.9, bad_share_lower=0.6, load=Load())
    fresh, stale = (
        decide(initial(T0), replace(sick, bad_age_ms=age_ms), T0 + 60_000, CONFIG)
        for age_ms in (4_999, 5_000)
    )
    assert fresh is not None
    assert stale is not None
    assert (fresh.cause, fresh.after.state) == (Cause.TRIPPED, BreakerState.OPEN)
    assert (stale.cause, stale.after.state) == (Cause.TRIPPED, BreakerState.HALF_OPEN)
    assert stale.after.first_step


def test_the_age_of_what_is_bad_follows_from_its_two_weights() -> None:
    accumulator = OutcomeAccumulator(ESTIMATOR)
    accumulator.add(1, T0, latency_ms=40, error=True, slow=False)
    [(key, sums)] = accumulator.drain().items()
    found = estimate({key.epoch: sums}, LOAD, generation_since_ms=T0, now_ms=T0 + 12_345, config=ESTIMATOR)
    assert found.bad_age_ms == pytest.approx(12_345)


def test_a_record_of_an_environment_from_before_is_read() -> None:
    attributes = initial(T0).to_attributes()
    for name in ("trip_ppm", "late", "floor_ppm", "silent"):
        del attributes[name]
    assert BreakerRecord.from_attributes(attributes) == initial(T0)
