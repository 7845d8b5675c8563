"""What the breaker's commands say, and what they refuse."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from typer.testing import CliRunner

from signet.breaker.estimator import Estimate, Load
from signet.breaker.machine import initial
from signet.breaker.snapshot import DEFAULT_NAME, Snapshot
from signet.core.errors import UnavailableError
from signet.core.ports import StoredBreaker
from signet.core.vocabulary import BreakerState
from signet_client import stack as stacks
from signet_client.cli import app
from signet_client.cli import breaker as commands
from signet_client.stack import Stack

NOW_MS = 1_795_392_000_000
OPEN = Snapshot(
    stored=StoredBreaker(DEFAULT_NAME, 2, b"{}", (b"a receipt",)),
    record=type(initial(0))(
        version=2,
        generation=2,
        state=BreakerState.OPEN,
        state_since_ms=NOW_MS - 2000,
        open_until_ms=NOW_MS + 3000,
    ),
    estimate=Estimate(
        count=3, latency_s=1.25, bad_share=0.6, rho=0.5, wait_s=0.002, load=Load(offered_rps=40.0)
    ),
    environments=1.0,
)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str, **outputs: str) -> Any:
    stack = Stack("signet", {"BreakersTable": "breakers", "BackendServers": "0", **outputs})
    monkeypatch.setattr(stacks, "read_stack", lambda _name: stack)
    monkeypatch.setattr(commands, "_names", lambda _stack: lambda: ["backend", "orders"])
    return CliRunner().invoke(app, list(arguments))


def test_facts_are_plain_numbers_with_units() -> None:
    found = commands.facts(OPEN, NOW_MS)
    assert (found["state"], found["level"], found["shed_share"]) == ("open", "shed", 1.0)
    assert (found["since_s"], found["open_for_s"], found["unsent_receipts"]) == (2.0, 3.0, 1)
    assert (found["latency_ewma_ms"], found["rho"], found["kingman_wait_ms"]) == (1250.0, 0.5, 2.0)
    json.dumps(found)


def test_show_prints_facts_for_people_and_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_snapshot_reader", lambda _stack, _backend: lambda: OPEN)
    shown = run(monkeypatch, "breaker", "show")
    assert shown.exit_code == 0
    assert "utilisation (rho)" in shown.output
    assert json.loads(run(monkeypatch, "breaker", "show", "--json").output)["state"] == "open"


def test_a_breaker_without_state_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_snapshot_reader", lambda _stack, _backend: lambda: None)
    shown = run(monkeypatch, "breaker", "show")
    assert shown.exit_code == 1
    assert "send one" in shown.output


def test_a_backend_is_shown_by_its_name_and_others_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def reader(_stack: str, backend: str) -> Any:
        asked.append(backend)
        return lambda: OPEN if backend == "orders" else None

    monkeypatch.setattr(commands, "_snapshot_reader", reader)
    shown = json.loads(run(monkeypatch, "breaker", "show", "--backend", "orders", "--json").output)
    assert (shown["backend"], shown["others"], shown["state"]) == ("orders", ["backend"], "open")
    assert "there are: orders (give its name)" in run(monkeypatch, "breaker", "show").output
    listed = run(monkeypatch, "breaker", "list").output.splitlines()
    assert [line.partition(":")[0] for line in listed] == ["orders"]
    assert "shed, 40.0 requests/s" in listed[0]
    [row] = json.loads(run(monkeypatch, "breaker", "list", "--json").output)
    assert row["backend"] == "orders"
    assert asked == ["orders", "backend", "backend", "orders", "backend", "orders"]
    refused = run(monkeypatch, "breaker", "show", "--backend", "state#x")
    assert (refused.exit_code, "no name of a backend" in refused.output) == (2, True)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "is_terminal", lambda: True)


def test_a_name_may_stand_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(
        commands, "_snapshot_reader", lambda _stack, name: (asked.append(name), lambda: OPEN)[1]
    )
    for arguments in (["orders"], ["orders", "--backend", "orders"], ["--backend", "orders"]):
        assert run(monkeypatch, "breaker", "show", *arguments).exit_code == 0
    assert asked == ["orders"] * 3
    for command in ("show", "watch"):
        two = run(monkeypatch, "breaker", command, "orders", "--backend", "backend")
        assert (two.exit_code, "two backends" in two.output) == (2, True)
    assert run(monkeypatch, "breaker", "watch", "orders", "--all").exit_code == 2


def test_without_a_terminal_each_change_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = replace(OPEN, record=initial(NOW_MS))
    seen = {"backend": [None, OPEN, OPEN, closed], "orders": [closed]}

    def reader(_stack: str, name: str) -> Any:
        left = list(seen[name])
        return lambda: left.pop(0) if len(left) > 1 else left[0]

    monkeypatch.setattr(commands, "_snapshot_reader", reader)
    monkeypatch.setattr(commands.time, "sleep", lambda _seconds: None)
    lines = run(monkeypatch, "breaker", "watch", "--all", "--for", "0.05").output.splitlines()
    told = [line.partition(" ")[2] for line in lines]
    assert told[0] == "backend: no request yet"
    assert told[1].startswith("orders: closed, full, 0% shed")
    assert told[2].startswith("backend: open, shed, 100% shed, 40.0 requests/s, 60% bad, 1250.0 ms")
    assert told[3].startswith("backend: closed")
    assert len(told) == 4
    rows = run(monkeypatch, "breaker", "watch", "--all", "--json", "--for", "0.05").output.splitlines()
    assert [json.loads(row)["state"] for row in rows] == [None, "closed", "open", "closed"]


def test_while_the_store_fails_it_says_so_once_and_looks_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    def down() -> Snapshot | None:
        raise UnavailableError("could not read the breaker")

    pauses: list[float] = []
    monkeypatch.setattr(commands, "_snapshot_reader", lambda _stack, _name: down)
    monkeypatch.setattr(commands.time, "sleep", pauses.append)
    shown = run(monkeypatch, "breaker", "watch", "--for", "0.02", "--every", "0.5").output.splitlines()
    assert shown == ["could not read the breaker"]
    assert pauses[:6] == [1.0, 2.0, 4.0, 8.0, 16.0, 16.0]


def test_all_breakers_are_drawn_in_one_table(monkeypatch: pytest.MonkeyPatch, terminal: None) -> None:
    monkeypatch.setattr(
        commands, "_snapshot_reader", lambda _stack, name: lambda: OPEN if name == "orders" else None
    )
    shown = run(monkeypatch, "breaker", "watch", "--all", "--for", "0.1", "--every", "0.2").output
    assert "no request yet" in shown
    assert "100%" in shown


@pytest.mark.parametrize("snapshot", [OPEN, None])
def test_watch_draws_what_it_sees_and_ends_in_time(
    monkeypatch: pytest.MonkeyPatch, terminal: None, snapshot: Snapshot | None
) -> None:
    monkeypatch.setattr(commands, "_snapshot_reader", lambda _stack, _backend: lambda: snapshot)
    shown = run(monkeypatch, "breaker", "watch", "--for", "0.3", "--every", "0.2")
    assert shown.exit_code == 0
    assert ("Kingman" in shown.output) == (snapshot is OPEN)


def test_no_figure_is_shown_before_there_is_an_answer_to_go_by(
    monkeypatch: pytest.MonkeyPatch, terminal: None
) -> None:
    unheard = replace(OPEN, estimate=replace(OPEN.estimate, count=0))
    for snapshot, says, hides in ((OPEN, "60%", "none yet"), (unheard, "none yet", "60%")):
        monkeypatch.setattr(
            commands, "_snapshot_reader", lambda _stack, _backend, snapshot=snapshot: lambda: snapshot
        )
        shown = run(monkeypatch, "breaker", "watch", "--for", "0.1", "--every", "0.2").output
        assert says in shown
        assert hides not in shown
    assert commands.facts(unheard, NOW_MS)["bad_share"] is None
    assert "latency" not in run(monkeypatch, "breaker", "show").output


@pytest.mark.parametrize(
    ("arguments", "outputs", "word"),
    [
        ((), {"FaultSessions": "true"}, "--latency-ms"),
        (("--latency-ms", "5"), {"FaultSessions": "false"}, "FaultSessions=true"),
        (("--latency-ms", "5"), {}, "FaultSessions"),
        (("--latency-ms", "999999"), {"FaultSessions": "true"}, "10000"),
        (("--error-rate", "1.5"), {"FaultSessions": "true"}, "--error-rate"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], outputs: dict[str, str], word: str
) -> None:
    refused = run(monkeypatch, "fault", *arguments, **outputs)
    assert refused.exit_code == 2
    assert word in refused.output
