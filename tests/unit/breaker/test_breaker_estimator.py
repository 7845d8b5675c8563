"""Sums of many reporters are worth what one would have seen; an estimate says no more than they do."""

import itertools
import math
from dataclasses import fields, replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.breaker.proofs import measured_ca2, split_and_shuffled
from signet.breaker.accumulators import ArrivalAccumulator, OutcomeAccumulator, Sums, SumsKey, read_bins
from signet.breaker.config import BreakerConfig, EstimatorConfig, LadderConfig
from signet.breaker.estimator import (
    Estimate,
    Load,
    arrival_epochs,
    decayed,
    estimate,
    kingman_wait,
    measure_load,
    sum_epochs,
    wilson_lower,
)
from signet.core.errors import UsageError
from signet.core.vocabulary import BreakerLevel, BreakerState

CONFIG = EstimatorConfig(servers=4)
T0 = 1_760_000_000_000


def judged(outcomes, *, now_ms, config=CONFIG, since_ms=T0):
    """Estimate from (at_ms, latency_ms, error, slow) of one reporter."""
    accumulator = OutcomeAccumulator(config)
    for at_ms, latency_ms, error, slow in outcomes:
        accumulator.add(1, at_ms, latency_ms=latency_ms, error=error, slow=slow)
    epochs = {key.epoch: sums for key, sums in accumulator.drain().items()}
    return estimate(epochs, Load(), generation_since_ms=since_ms, now_ms=now_ms, config=config)


def test_fifty_writers_in_any_order_equal_one_stream_over_twelve_epochs() -> None:
    difference, digits = split_and_shuffled(writers=50, outcomes=6_000, seed=7)
    assert difference < 1e-12
    assert 20 < digits <= 38


def test_sums_of_the_heaviest_traffic_fit_38_digits() -> None:
    config = EstimatorConfig()
    weights = [
        tau_ms / 1000 * math.exp(config.epoch_ms / tau_ms)
        for tau_ms in (config.fast_tau_ms, config.slow_tau_ms)
    ]
    outcomes_s, in_flight, longest_s = 50_000, 100_000, 60
    fast, slow = (weight * outcomes_s for weight in weights)
    fast_latency, slow_latency = (weight * in_flight for weight in weights)
    heaviest = Sums(
        fast, fast, fast, fast_latency, slow, slow, slow_latency, slow_latency * longest_s, 10**9, 10**9
    )
    finest = Sums(*[value / 2**70 for value in (fast, fast, fast, fast_latency, slow, slow, slow, slow)])
    for name, text in heaviest.to_increments().items():
        decimals = finest.to_increments().get(name, "").partition(".")[2]
        assert len(text.partition(".")[0]) + len(decimals) <= 38, name


def test_sums_of_a_young_epoch_equal_one_stream_though_each_outcome_is_flushed() -> None:
    accumulator, whole = OutcomeAccumulator(CONFIG), OutcomeAccumulator(CONFIG)
    start_ms = T0 - T0 % CONFIG.epoch_ms
    totals: dict[str, Decimal] = {}
    for number in range(500):
        latency_ms = 0.5 + number % 5 / 7
        for one in (accumulator, whole):
            one.add(1, start_ms + number, latency_ms=latency_ms, error=number % 3 == 0, slow=False)
        [sums] = accumulator.drain().values()
        for name, text in sums.to_increments().items():
            totals[name] = totals.get(name, Decimal(0)) + Decimal(text)
    [single] = whole.drain().values()
    for name, total in totals.items():
        assert float(total) == pytest.approx(getattr(single, name), rel=1e-12, abs=0), name


@given(
    st.lists(
        st.tuples(st.integers(0, 400_000), st.floats(0, 5_000), st.booleans(), st.booleans()),
        min_size=1,
        max_size=60,
    ),
    st.randoms(use_true_random=False),
)
def test_any_split_merges_to_the_same_sums(outcomes, rng) -> None:
    accumulators = [OutcomeAccumulator(CONFIG) for _ in range(3)]
    whole = OutcomeAccumulator(CONFIG)
    for after_ms, latency_ms, error, slow in outcomes:
        for accumulator in (whole, rng.choice(accumulators)):
            accumulator.add(3, T0 + after_ms, latency_ms=latency_ms, error=error, slow=slow)
    merged: dict[SumsKey, Sums] = {}
    for accumulator in rng.sample(accumulators, 3):
        for key, sums in accumulator.drain().items():
            read = Sums.from_attributes(sums.to_increments())
            merged[key] = merged.get(key, Sums()).merge(read)
    single = whole.drain()
    assert merged.keys() == single.keys()
    for key, sums in single.items():
        for name in ("fast_n", "fast_bad", "slow_n", "slow_latency", "slow_latency_sq", "count", "bad_count"):
            assert getattr(merged[key], name) == pytest.approx(getattr(sums, name), rel=1e-12, abs=1e-11)


def test_the_sum_over_epochs_is_the_decayed_sum_itself() -> None:
    times = [T0 + 997 * number for number in range(900)]
    accumulator = OutcomeAccumulator(CONFIG)
    for at_ms in times:
        accumulator.add(1, at_ms, latency_ms=40, error=False, slow=False)
    now_ms = times[-1]
    wanted = sum_epochs(now_ms, CONFIG)
    epochs = {key.epoch: sums for key, sums in accumulator.drain().items() if key.epoch in wanted}
    total = decayed(epochs, now_ms=now_ms, config=CONFIG)
    assert total.fast_n == pytest.approx(sum(math.exp((at - now_ms) / 1_500) for at in times), rel=1e-12)
    assert total.slow_n == pytest.approx(sum(math.exp((at - now_ms) / 20_000) for at in times), rel=1e-11)


def test_zeros_are_not_written_and_absent_attributes_are_zero() -> None:
    increments = Sums(fast_n=1.5, count=1).to_increments()
    assert increments == {"fast_n": "1.5", "count": "1"}
    assert Sums.from_attributes({**increments, "pk": "other"}) == Sums(fast_n=1.5, count=1)


def test_a_tally_drains_once_and_keeps_generations_apart() -> None:
    accumulator = OutcomeAccumulator(CONFIG)
    accumulator.add(1, T0, latency_ms=10, error=True, slow=False)
    accumulator.add(2, T0, latency_ms=10, error=False, slow=True)
    drained = accumulator.drain()
    assert {key.generation: (sums.count, sums.bad_count) for key, sums in drained.items()} == {
        1: (1, 1),
        2: (1, 1),
    }
    assert not accumulator
    assert accumulator.drain() == {}


def test_one_bad_outcome_after_a_gap_proves_nothing() -> None:
    good = [(T0 + 100 * number, 40.0, False, False) for number in range(100)]
    lone = (T0 + 70_000, 40.0, True, False)
    found = judged([*good, lone], now_ms=T0 + 70_000)
    assert found.bad_share < 0.30
    assert found.bad_share_lower < 0.10


def test_slow_counts_as_bad_but_not_as_error() -> None:
    found = judged([(T0 + 10 * n, 500.0, False, True) for n in range(200)], now_ms=T0 + 2_000)
    assert found.bad_share > 0.9
    assert found.error_share < 0.05
    assert found.latency_s == pytest.approx(0.5)


def test_wilson_bound_is_below_the_share_and_nears_it() -> None:
    assert wilson_lower(0.5, 0, 2.0) == 0.0
    few, many = wilson_lower(0.5, 10, 2.0), wilson_lower(0.5, 10_000, 2.0)
    assert few < many < 0.5
    assert few == pytest.approx(0.2366, abs=0.02)
    assert many == pytest.approx(0.49, abs=0.001)


def test_utilisation_is_the_share_of_busy_servers() -> None:
    # 100 requests a second of 20 ms keep two of four servers busy.
    outcomes = [(T0 + 10 * number, 20.0, False, False) for number in range(2_000)]
    found = judged(outcomes, now_ms=T0 + 20_000)
    assert found.rho == pytest.approx(0.5, rel=0.02)
    young = judged(outcomes[:50], now_ms=T0 + 500)
    assert young.rho == pytest.approx(0.5, rel=0.02)


def test_unknown_servers_leave_utilisation_unknown() -> None:
    found = judged([(T0, 20.0, False, False)], now_ms=T0 + 10, config=EstimatorConfig())
    assert found.rho is None
    assert found.wait_s is None
    facts = found.facts(BreakerState.CLOSED, BreakerLevel.FULL)
    assert (facts.rho_ppm, facts.kingman_wq_us, facts.latency_ewma_us) == (None, None, 20_000)


def test_kingman_is_exact_for_one_exponential_server_and_finite_at_saturation() -> None:
    assert kingman_wait(0.9, 0.040, 1.0, 1.0, 1) == pytest.approx(0.36)
    assert kingman_wait(0.0, 0.040, 1.0, 1.0, 1) == 0.0
    assert kingman_wait(-0.1, 0.040, 1.0, 1.0, 2) == 0.0
    assert math.isfinite(kingman_wait(7.0, 0.040, 1.0, 1.0, 8))


@pytest.mark.parametrize("true", [0.25, 1.0, 4.0])
def test_dispersion_of_merged_bins_finds_ca2_within_a_fifth(true: float) -> None:
    assert measured_ca2(true, runs=8) == pytest.approx(true, rel=0.20)


def test_a_step_of_the_rate_is_not_burstiness() -> None:
    bins = {T0 // 250 + number: 30 if number < 120 else 75 for number in range(240)}
    load = measure_load(bins, now_ms=T0 + 60_000 + CONFIG.flush_delay_ms, config=CONFIG)
    assert load.offered_rps == pytest.approx(300)
    assert load.ca2 < 0.2


def test_bins_survive_the_way_through_items() -> None:
    accumulator = ArrivalAccumulator(CONFIG)
    for number in range(1_000):
        accumulator.add(T0 + 37 * number)
    items = accumulator.drain()
    assert all(name[0] == "b" and text.isdecimal() for item in items.values() for name, text in item.items())
    assert set(items) <= set(arrival_epochs(T0 + 37_000, CONFIG))
    bins = read_bins({epoch: {**item, "pk": "x"} for epoch, item in items.items()}, CONFIG)
    assert sum(bins.values()) == 1_000
    assert min(bins) == T0 // 250


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: EstimatorConfig(fast_tau_ms=30_000),
        lambda: EstimatorConfig(epoch_ms=90_000),
        lambda: EstimatorConfig(fast_tau_ms=3_000, slow_tau_ms=5_000, epoch_ms=60_000),
        lambda: EstimatorConfig(servers=0),
        lambda: EstimatorConfig(arrival_epoch_ms=15_100),
        lambda: LadderConfig(rungs=(BreakerLevel.FULL, BreakerLevel.SHED, BreakerLevel.RELAX)),
        lambda: LadderConfig(rungs=(BreakerLevel.FULL,)),
        lambda: LadderConfig(down_rho=0.95),
        lambda: BreakerConfig(close_bad_share=0.4),
        lambda: BreakerConfig(max_open_ms=1),
        lambda: BreakerConfig(probe_rps=0),
        lambda: BreakerConfig(ramp_rho=0),
        lambda: replace(BreakerConfig(), deep_cut_share=0.9),
    ],
)
def test_contradicting_numbers_are_refused_by_name(wrong) -> None:
    with pytest.raises(UsageError, match="it needs"):
        wrong()


def test_the_interval_stretches_with_the_fleet() -> None:
    config = BreakerConfig()
    assert config.refresh_interval_ms(20) == 500
    assert 1000 * 5_000 / config.refresh_interval_ms(5_000) <= config.item_writes_per_s


def load_of(*counts: int) -> Load:
    """Measure from these counts of the last bins that are settled."""
    end = (T0 - CONFIG.flush_delay_ms) // CONFIG.bin_ms
    bins = {end - len(counts) + place: count for place, count in enumerate(counts)}
    return measure_load(bins, now_ms=T0, config=CONFIG)


def test_ca2_of_few_bins_is_exact() -> None:
    counts = (4, 2, 9, 0, 5, 5, 1, 6)
    steps = [(later - earlier) ** 2 for earlier, later in itertools.pairwise(counts)]
    assert (len(steps), sum(steps)) == (7, 4 + 49 + 81 + 25 + 0 + 16 + 25)
    # Half the mean square of 7 steps is the variance (von Neumann 1941); over the mean count it is Ca2.
    assert load_of(*counts).ca2 == pytest.approx(200 / 7 / 2 / 4.0, rel=1e-12)


def test_fewer_bins_than_eight_say_nothing_of_the_variance() -> None:
    assert load_of(9, 0, 9, 0, 9, 0, 9).ca2 == Load().ca2
    assert load_of(9, 0, 9, 0, 9, 0, 9, 0).ca2 == pytest.approx(81 / 2 / 4.5, rel=1e-12)


def test_bins_without_an_arrival_say_nothing_of_the_variance() -> None:
    assert load_of(*[0] * 20).ca2 == Load().ca2
    assert load_of(*[0] * 20).offered_rps == 0


def test_the_load_is_that_of_the_window_alone() -> None:
    bins = CONFIG.load_window_ms // CONFIG.bin_ms
    assert load_of(1000, *[5] * bins).offered_rps == pytest.approx(5 * 1000 / CONFIG.bin_ms)
    assert load_of(*[5] * (bins - 1)).offered_rps == pytest.approx(
        5 * (bins - 1) * 1000 / CONFIG.load_window_ms
    )


def test_the_bound_counts_decayed_samples_twice_and_the_prior_once() -> None:
    found = judged([(T0, 40.0, True, False)] * 20, now_ms=T0)
    share = (20 + 3 * 0.01) / 23
    assert found.bad_share == found.error_share == pytest.approx(share, rel=1e-9)
    assert found.bad_share_lower == pytest.approx(wilson_lower(share, 2 * 20 + 3, 2.0), rel=1e-9)
    assert (found.samples, found.count, found.bad_count) == (pytest.approx(20), 20, 20)


def test_a_system_without_samples_or_belief_is_known_nothing_of() -> None:
    config = replace(CONFIG, prior_samples=0.0)
    found = estimate({}, Load(), generation_since_ms=T0, now_ms=T0, config=config)
    assert (found.bad_share, found.bad_share_lower, found.latency_s, found.rho) == (0.0, 0.0, 0.0, 0.0)


def test_outcomes_that_took_no_time_have_no_dispersion() -> None:
    found = judged([(T0, 0.0, False, False)] * 3, now_ms=T0 + 1)
    assert (found.cs2, found.latency_s, found.rho, found.wait_s) == (0.0, 0.0, 0.0, 0.0)


def test_the_dispersion_of_latencies_is_that_of_their_moments() -> None:
    outcomes = [(T0, latency_ms, False, False) for latency_ms in (10.0, 30.0)]
    assert judged(outcomes, now_ms=T0).cs2 == pytest.approx((0.01**2 + 0.03**2) * 2 / 0.04**2 - 1, rel=1e-9)


def test_an_outcome_is_never_longer_than_a_minute_nor_shorter_than_nothing() -> None:
    assert judged([(T0, 600_000.0, False, False)], now_ms=T0).latency_s == pytest.approx(60.0)
    assert judged([(T0, -5.0, False, False)], now_ms=T0).latency_s == 0.0


def test_sums_that_make_no_sense_together_are_no_evidence() -> None:
    sums = {T0 // 60_000: Sums(fast_n=1.0, fast_latency=math.inf, slow_n=1.0)}
    load = Load(offered_rps=3.0)
    found = estimate(sums, load, generation_since_ms=T0, now_ms=T0, config=CONFIG)
    assert found == Estimate(load=load)


def test_beyond_saturation_the_wait_is_that_of_999_thousandths() -> None:
    assert kingman_wait(7.0, 0.04, 1.0, 1.0, 8) == kingman_wait(0.999, 0.04, 1.0, 1.0, 8)
    assert (
        kingman_wait(0.998, 0.04, 1.0, 1.0, 1)
        < kingman_wait(0.999, 0.04, 1.0, 1.0, 1)
        == pytest.approx(0.999 / 0.001 * 0.04)
    )


def test_readers_ask_for_the_epochs_that_weigh_something_and_one_of_a_clock_ahead() -> None:
    epoch = T0 // CONFIG.epoch_ms
    assert sum_epochs(T0, CONFIG) == range(epoch - 10, epoch + 2)
    arrivals = T0 // CONFIG.arrival_epoch_ms
    assert arrival_epochs(T0, CONFIG) == range(arrivals - 5, arrivals + 1)


def test_figures_are_cut_to_what_a_receipt_can_carry() -> None:
    assert Estimate(latency_s=12.5).facts(BreakerState.OPEN, BreakerLevel.SHED).latency_ewma_us == 12_500_000
    found = Estimate(latency_s=1e300, error_share=0.1234567, rho=0.5, wait_s=0.25)
    facts = found.facts(BreakerState.OPEN, BreakerLevel.SHED, 256)
    assert (facts.latency_ewma_us, facts.error_ewma_ppm) == (2**53 - 1, 123_457)
    assert (facts.rho_ppm, facts.kingman_wq_us, facts.header_budget) == (500_000, 250_000, 256)
    assert (facts.state, facts.level) == (BreakerState.OPEN, BreakerLevel.SHED)


def test_each_sum_is_added_with_the_digits_that_it_has_room_for() -> None:
    third = 1 / 3
    digits = {name: len(text.partition(".")[2]) for name, text in Sums(*[third] * 8).to_increments().items()}
    assert digits == {
        "fast_n": 13,
        "fast_bad": 13,
        "fast_error": 13,
        "fast_latency": 15,
        **dict.fromkeys(("slow_n", "slow_bad", "slow_latency", "slow_latency_sq"), digits["slow_n"]),
    }
    assert 16 <= digits["slow_n"] <= 20


@pytest.mark.parametrize("name", [member.name for member in fields(Sums)])
def test_no_reporter_wrote_a_negative_sum(name: str) -> None:
    assert Sums.from_attributes({name: "1"}) == Sums(**{name: 1})
    with pytest.raises(ValueError, match="negative"):
        Sums.from_attributes({name: "-1"})


def test_sums_merge_and_scale_member_by_member() -> None:
    one = Sums(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9, 10)
    assert one.merge(one) == Sums(2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18, 20)
    assert one.scale(2.0, 3.0) == Sums(2.0, 4.0, 6.0, 8.0, 15.0, 18.0, 21.0, 24.0, 9, 10)


def test_of_an_item_only_bins_that_are_counts_are_read() -> None:
    item = {"b00": "2", "b07": Decimal(3), "bx": "4", "c01": "5", "b02": "-1", "b": "1"}
    per_epoch = CONFIG.bins_per_epoch
    assert read_bins({9: item}, CONFIG) == {9 * per_epoch: 2, 9 * per_epoch + 7: 3}


def test_what_was_drained_is_gone() -> None:
    arrivals = ArrivalAccumulator(CONFIG)
    assert not arrivals
    arrivals.add(T0)
    arrivals.add(T0 + 1)
    assert arrivals
    [(epoch, item)] = arrivals.drain().items()
    assert (epoch, list(item.values())) == (T0 // CONFIG.arrival_epoch_ms, ["2"])
    assert arrivals.drain() == {}


def test_several_servers_share_the_wait() -> None:
    # Sakasegawa (1977): rho^(sqrt(2(c+1)) - 1) / (c (1 - rho)) x service x (Ca2 + Cs2)/2, with c = 7.
    assert kingman_wait(0.5, 0.04, 1.0, 2.0, 7) == pytest.approx(0.5**3 / (7 * 0.5) * 0.04 * 1.5, rel=1e-12)


def test_requests_in_the_system_are_completions_a_second_times_latency() -> None:
    found = judged([(T0, 100.0, False, False)] * 30, now_ms=T0 + 3_000)
    completed = 30 * math.exp(-2) / (1.5 * (1 - math.exp(-2)))
    assert found.rho == pytest.approx(completed * 0.1 / 4, rel=1e-9)


def test_the_first_millisecond_of_a_generation_is_one() -> None:
    found = judged([(T0, 100.0, False, False)], now_ms=T0, since_ms=T0)
    assert found.rho == pytest.approx(0.1 / (1.5 * (1 - math.exp(-1 / 1_500))) / 4, rel=1e-6)


def test_a_bin_that_nothing_was_counted_in_is_zero() -> None:
    end = (T0 - CONFIG.flush_delay_ms) // CONFIG.bin_ms
    sparse = measure_load({end - 8: 9, end - 4: 9}, now_ms=T0, config=CONFIG)
    assert sparse == load_of(9, 0, 0, 0, 9, 0, 0, 0)
