"""The eight properties on a small part of the bench: the shipped breaker in the simulator, seeds fixed."""

from dataclasses import replace

import pytest

from bench.breaker import proofs
from bench.breaker.fleet import SHIPPED, SignetFleet
from bench.breaker.properties import _sigmas
from bench.breaker.runs import Job, Result, figures, run_job
from bench.breaker.simulation import simulate
from signet.breaker.machine import Cause
from signet.core.vocabulary import BreakerState

pytestmark = pytest.mark.long

SEED = 3001
_ran: dict[Job, Result] = {}


def ran(scenario: str, environments: int = 20, seed: int = SEED) -> Result:
    """Run once for all tests that ask for it."""
    job = Job("signet", scenario, seed, environments, known=True)
    if job not in _ran:
        _ran[job] = run_job(job)
    return _ran[job]


def test_an_outage_is_detected_by_fleets_of_all_sizes_alike() -> None:
    found = [ran("errors 100 %", environments).detection_s for environments in (1, 20, 100)]
    assert None not in found
    assert max(found) <= 4.0
    assert max(found) - min(found) <= 2.0


def test_a_creeping_latency_is_detected() -> None:
    assert ran("latency x10").detection_s <= 6.5


def test_a_constant_fault_makes_no_flap_and_no_oscillation() -> None:
    found = ran("errors 50 %")
    assert (found.trips, found.flaps, found.oscillations) == (1, 0, 0)


def test_low_traffic_with_two_per_cent_bad_trips_nothing() -> None:
    for environments in (1, 20):
        assert ran("low traffic", environments).trips == 0


def test_twenty_per_cent_errors_trip_nothing() -> None:
    assert ran("errors 20 %").trips == 0


def test_a_brownout_is_shed_in_part() -> None:
    found = ran("brown-out")
    assert found.good >= 49_000
    assert found.good_shed_share <= 0.18
    assert found.recovery_s <= 20


def test_a_slow_recovery_lets_little_bad_through_and_does_not_flap() -> None:
    found = ran("slow recovery")
    assert (found.flaps, found.trips) == (0, 1)
    assert found.bad <= 550


def test_probes_stay_within_their_rate_and_an_open_breaker_admits_nothing() -> None:
    ramps = [ramp for environments in (1, 20, 100) for ramp in ran("errors 100 %", environments).ramps]
    assert len(ramps) >= 15
    assert _sigmas(ramps) <= 3
    assert ran("errors 100 %", 100).admitted_while_open == 0


def test_late_completions_count_for_nothing() -> None:
    assert all(figure.held for figure in proofs.late_completions())


def test_lost_and_repeated_adds_cause_no_further_trip() -> None:
    assert proofs.extra_trips("low traffic", SEED) == 0
    assert proofs.extra_trips("errors 100 %", SEED, environments=1) == 0


def test_the_ladder_and_a_store_that_is_down_hold_their_rules() -> None:
    found = proofs.ladder_and_store()
    assert [figure.what for figure in found if figure.held is not True] == []


def test_each_write_of_a_run_is_one_legal_move() -> None:
    fleet = SignetFleet(20, SEED)
    simulate("errors 100 %", SEED, fleet, 20)
    moves = [transition for _, transition in fleet.table.transitions]
    versions = [move.after.version for move in moves]
    assert versions == list(range(2, 2 + len(moves)))
    legal = {
        (BreakerState.CLOSED, BreakerState.OPEN, Cause.TRIPPED),
        (BreakerState.OPEN, BreakerState.HALF_OPEN, Cause.INTERVAL_OVER),
        (BreakerState.HALF_OPEN, BreakerState.OPEN, Cause.PROBES_FAILED),
        (BreakerState.HALF_OPEN, BreakerState.CLOSED, Cause.RECOVERED),
    }
    changes = [(move.before.state, move.after.state, move.cause) for move in moves if move.changes_state]
    assert set(changes) == legal
    assert changes[-1][2] is Cause.RECOVERED


def test_a_simulated_breaker_that_never_trips_is_found_out() -> None:
    deaf = replace(SHIPPED, trip_bad_share=0.99, step_fail_share=0.5)
    fleet = SignetFleet(20, SEED, config=deaf)
    job = Job("signet", "errors 50 %", SEED, 20)
    found = figures(job, simulate(job.scenario, SEED, fleet, 20), fleet)
    assert found.detection_s is None
    assert found.bad > 5_000


@pytest.mark.parametrize("name", ["pybreaker", "resilience4j", "Hystrix", "Powertools"])
def test_every_peer_sheds_an_outage_and_lets_traffic_back(name: str) -> None:
    found = run_job(Job(name, "errors 100 %", SEED, 20))
    assert found.trips >= 1
    assert found.detection_s is not None
    assert 0 < found.recovery_s < 240


def test_throttling_is_slow_on_either_side_of_an_outage() -> None:
    found = run_job(Job("SRE throttling", "errors 100 %", SEED, 20))
    assert found.detection_s > 20
    assert found.recovery_s > 60


def test_a_trip_of_the_real_powertools_breaker_is_shared() -> None:
    found = run_job(Job("Powertools", "errors 100 %", SEED, 100))
    assert found.trips == 1
