"""The bench itself: its ports give what the originals gave, its systems do what a scenario says."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.breaker.deployed import DeployedFleet
from bench.breaker.fleet import START_MS, SignetFleet
from bench.breaker.keyed import Keyed
from bench.breaker.limiters import EnvoyGradient, Gradient2
from bench.breaker.peers import HystrixFleet
from bench.breaker.plan import Request, Scenario, System, constant, during, plan
from bench.breaker.scenarios import NAMES, requests, scenario
from bench.breaker.simulation import Fleet
from bench.breaker.systems import Protected
from signet.core.vocabulary import BreakerState

FIXTURES = Path(__file__).parents[2] / "fixtures"
CALM = plan("calm", 60, None)


def request(at_s: float, *, client: int = 1, key: int = 0) -> Request:
    return Request(at_s, 0.04, 0.5, 0.5, 0.5, client=client, key=key)


def test_the_port_of_gradient2_gives_the_limits_that_the_library_gave() -> None:
    """Made by ``WindowedLimit`` over ``Gradient2Limit``, concurrency-limits 0.5.2, with all defaults.

    Each row: start and latency in microseconds, requests in flight, the limit that the library then had.
    """
    rows = json.loads((FIXTURES / "gradient2.json").read_text())
    ported = Gradient2()
    limits = []
    for start_us, latency_us, in_flight, _ in rows:
        ported.sample(1000 * start_us, 1000 * latency_us, in_flight)
        limits.append(int(ported.limit))
    assert limits == [row[3] for row in rows]
    assert len(set(limits)) > 10


def _steady(gradient: EnvoyGradient, begin_s: float, end_s: float, latency_s: float) -> None:
    at_s = begin_s
    while at_s < end_s:
        gradient.tick(at_s)
        gradient.sample(at_s - latency_s, at_s, latency_s, 0.0)
        at_s += 0.01


def test_the_port_of_envoys_limit_grows_with_equal_latency_and_falls_with_more() -> None:
    gradient = EnvoyGradient()
    _steady(gradient, 1.0, 1.3, 0.04)
    assert gradient.limit == 3  # the least latency is still being measured
    _steady(gradient, 1.3, 10.0, 0.04)
    grown = gradient.limit
    assert grown > 500
    _steady(gradient, 10.0, 11.2, 0.4)
    assert gradient.limit < 10
    _steady(gradient, 11.2, 25.0, 0.4)
    assert gradient.limit > 500  # at its least for five updates it measures anew: 0.4 s is now the least


def test_every_scenario_is_drawn_from_its_seed_alone() -> None:
    for name in NAMES:
        drawn = scenario(name, 7)
        assert drawn.length_s > 0
        assert drawn.fault_from_s is None or drawn.fault_from_s < (drawn.fault_to_s or 0) <= drawn.length_s
    assert requests("sparse 12/min", 7) != requests("sparse 12/min", 8)
    assert [one.at_s for one in requests("store 20 %", 7)] == [
        one.at_s for one in requests("errors 100 %", 7)
    ]


def test_a_deploy_makes_requests_that_find_no_idle_instance_wait_for_a_new_one() -> None:
    system = System(timeout_s=10.0, cold_start_s=3.0)
    backend = Protected(replace(CALM, system=system, deploys=(10.0,)), 0)
    assert backend.fate(request(9.9), 9.9).good
    for at_s in (10.0, 10.5):
        cold = backend.fate(request(at_s), at_s)
        assert (cold.error, cold.slow, cold.latency_s) == (False, True, pytest.approx(3.04))
        backend.serve(request(at_s), cold)
    assert backend.fate(request(13.1), 13.1).good  # the first instance is idle by now


def test_an_emptied_cache_is_filled_by_what_is_served_and_by_nothing_else() -> None:
    emptied = replace(CALM, fault_from_s=10.0, fault_to_s=20.0, cache_keys=5, delay_s=0.4)
    backend = Protected(emptied, 0)
    assert backend.fate(request(9.0, key=3), 9.0).good
    assert backend.fate(request(11.0, key=3), 11.0).slow
    missed = backend.fate(request(12.0, key=3), 12.0)
    assert missed.slow  # the one before was shed
    backend.serve(request(12.0, key=3), missed)
    assert backend.fate(request(12.2, key=3), 12.2).slow
    assert backend.fate(request(13.0, key=3), 13.0).good
    assert backend.fate(request(13.0, key=4), 13.0).slow


def test_a_fault_strikes_the_first_backend_and_an_offender_itself_alone() -> None:
    down = replace(CALM, error_share=constant(1.0), backends=(0.5, 0.5))
    assert [Protected(down, number).fate(request(1.0), 1.0).error for number in (0, 1)] == [True, False]
    poisoned = Protected(replace(CALM, offender_fails=True, offender_share=constant(0.5)), 0)
    assert [poisoned.fate(request(1.0, client=client), 1.0).error for client in (0, 1)] == [True, False]


def test_a_breaker_for_each_client_turns_away_the_one_that_fails() -> None:
    fleet = Keyed(lambda: HystrixFleet(1, 1), lambda one: one.client)
    admitted = dict.fromkeys((0, 1), 0)
    for number in range(200):
        client, at_s = number % 2, number / 50
        token = fleet.admit(0, at_s, request(at_s, client=client))
        if token is not None:
            admitted[client] += 1
            fleet.complete(0, at_s, token, error=client == 0, slow=False, latency_s=0.04)
    assert admitted[1] == 100
    assert admitted[0] < 40


def _drive(fleet: Fleet, environments: int) -> None:
    failing = during(6.0, 15.0, 1.0, 0.0)
    for number in range(900):
        at_s = number / 60
        environment = number * 7 % environments
        token = fleet.admit(environment, at_s, request(at_s))
        if token is not None:
            error = failing(at_s) > 0
            fleet.complete(environment, at_s, token, error=error, slow=False, latency_s=0.04)


def test_the_fast_fleet_trips_when_the_keepers_and_reporters_do() -> None:
    """The bench drives the machine directly where it can: that must not be another breaker."""
    told: Scenario = replace(CALM, deployed=True)
    for environments in (1, 20):
        fast, deployed = SignetFleet(environments, 1), DeployedFleet(environments, 1, plan=told)
        _drive(fast, environments)
        _drive(deployed, environments)
        opened = [at for at, move in fast.table.transitions if move.after.state is BreakerState.OPEN]
        assert opened
        assert deployed.trips_ms[0] == opened[0]
        assert 6_000 < opened[0] - START_MS < 9_000


@pytest.mark.parametrize("environments", [1, 20])
def test_a_breaker_whose_store_fails_half_of_its_calls_spares_the_backend_nearly_as_much(
    environments: int,
) -> None:
    bad = []
    for fails in (0.0, 0.5):
        fleet = DeployedFleet(environments, 3, plan=replace(CALM, deployed=True, store_fails=fails))
        completed = fleet.complete
        failed = 0

        def complete(*given: Any, _completed: Any = completed, **told: Any) -> None:
            nonlocal failed
            failed += told["error"]
            _completed(*given, **told)

        fleet.complete = complete  # type: ignore[method-assign]
        _drive(fleet, environments)
        bad.append(failed)
    assert 0 < bad[1] <= 2 * bad[0]


def test_environments_whose_clocks_differ_write_the_fleets_time() -> None:
    told = replace(CALM, deployed=True, clock_skew_s=4.0)
    fleet = DeployedFleet(20, 3, plan=told)
    wrong_ms = sorted(abs(fleet._now_ms(number) - fleet._true_ms()) for number in range(20))
    assert wrong_ms[10] > 1_500
    for number in range(900):
        at_s = number / 60
        fleet.admit(number % 20, at_s, request(at_s))
        if number > 300:
            store, keeper = fleet.store, fleet._keepers[number % 20]
            assert store.records
            off_ms = keeper.fleet_ms(fleet._now_ms(number % 20)) - fleet._true_ms()
            assert abs(off_ms) <= 800
