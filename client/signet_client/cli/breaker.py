"""``signet breaker``: how each backend feels, and what its breaker makes of it."""

# ruff: noqa: PLC0415 - AWS is loaded when a command runs, not for --help

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signet.core.apis import NAME, OWN_BACKEND
from signet.core.errors import NotReadyError, UnavailableError, UsageError
from signet.core.vocabulary import PPM
from signet_client.cli.common import JsonOption, StackOption, print_facts, print_json
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import console, plain, say

if TYPE_CHECKING:
    from rich.table import Table

    from signet.breaker.snapshot import Snapshot

_HISTORY = 8
_FIGURES = ("latency_ewma_ms", "error_ewma", "bad_share", "bad_share_lower", "rho", "kingman_wait_ms")

breaker = typer.Typer(
    help="Show, list or watch the breakers: each backend has one.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


def register(app: typer.Typer) -> None:
    """Add the subcommands."""
    app.add_typer(breaker, name="breaker")


BackendOption = Annotated[
    str,
    typer.Option("--backend", metavar="NAME", help="Whose breaker; by default that of Signet's own API."),
]


@breaker.command("show")
def show(
    *, backend: BackendOption = OWN_BACKEND, stack: StackOption = DEFAULT_STACK, as_json: JsonOption = False
) -> None:
    """Show the state of one backend's breaker and what it rests on; and which other breakers there are."""
    read, names = _snapshot_reader(stack, _checked(backend)), _names(stack)
    snapshot, others = read(), [name for name in names() if name != backend]
    if snapshot is None:
        there = f"; there are: {', '.join(others)} (--backend)" if others else ""
        raise NotReadyError(
            f"the breaker of {backend!r} in {stack!r} has seen no request yet; send one (signet call){there}"
        )
    found = facts(snapshot, _now_ms())
    if as_json:
        print_json({"backend": backend, **found, "others": others})
        return
    more = [("other backends", ", ".join(others))] if others else []
    counts = [("flaps", found["flaps"]), ("unsent receipts", found["unsent_receipts"])]
    print_facts([("backend", backend), *_rows(found), *counts, *more])


@breaker.command("list")
def list_breakers(*, stack: StackOption = DEFAULT_STACK, as_json: JsonOption = False) -> None:
    """List the backends that have a breaker, each with its state."""
    rows = []
    for name in _names(stack)():
        snapshot = _snapshot_reader(stack, name)()
        if snapshot is not None:
            rows.append({"backend": name, **facts(snapshot, _now_ms())})
    if as_json:
        print_json(rows)
    elif not rows:
        say("no breaker has seen a request yet; send one (signet call)")
    for row in [] if as_json else rows:
        shed = f"{row['shed_share']:.0%} shed, {row['offered_rps']} requests/s"
        say(f"{row['backend']}: {_words(row['state'])} for {row['since_s']} s, {row['level']}, {shed}")


@breaker.command("watch", short_help="Watch it live, until interrupted.")
def watch(
    *,
    every: Annotated[float, typer.Option("--every", min=0.2, max=60, help="Seconds between looks.")] = 0.5,
    seconds: Annotated[
        float | None, typer.Option("--for", min=0, help="Seconds to watch; until interrupted if not given.")
    ] = None,
    backend: BackendOption = OWN_BACKEND,
    stack: StackOption = DEFAULT_STACK,
) -> None:
    """Watch the breaker live: state, level, latency and errors, load, budget, share of requests shed."""
    from rich.live import Live

    read = _snapshot_reader(stack, _checked(backend))
    history: list[tuple[float, str]] = []
    started = time.monotonic()
    try:
        with Live(console=console(), auto_refresh=False, screen=False) as live:
            while seconds is None or time.monotonic() - started < seconds:
                try:
                    live.update(_view(read(), f"{backend} in {stack}", history), refresh=True)
                except UnavailableError as error:
                    told = f"{error}; what was last seen holds, and every request is verified in full"
                    live.update(plain(told), refresh=True)
                time.sleep(every)
    except KeyboardInterrupt:
        return


def facts(snapshot: Snapshot, now_ms: int) -> dict[str, Any]:
    """Return what a snapshot says, in plain numbers with their units in the names; None where unknown.

    Args:
        snapshot: state and statistics.
        now_ms: Unix milliseconds.
    """
    from signet.core.vocabulary import BreakerState

    record, estimate = snapshot.record, snapshot.estimate
    admitted = {BreakerState.CLOSED: 1.0, BreakerState.OPEN: 0.0}.get(record.state, record.admit_ppm / PPM)
    rest_ms = max(0, record.open_until_ms - now_ms) if record.state is BreakerState.OPEN else None
    figures: dict[str, Any] = dict.fromkeys(_FIGURES)
    if estimate.count:  # else they are what is assumed of a healthy backend, not what was seen of this one
        figures = {
            "latency_ewma_ms": round(estimate.latency_s * 1000, 1),
            "error_ewma": round(estimate.error_share, 4),
            "bad_share": round(estimate.bad_share, 4),
            "bad_share_lower": round(estimate.bad_share_lower, 4),
            "rho": None if estimate.rho is None else round(estimate.rho, 4),
            "kingman_wait_ms": None if estimate.wait_s is None else round(estimate.wait_s * 1000, 1),
        }
    return {
        "state": record.state.value,
        "level": record.level.value,
        "since_s": round((now_ms - record.state_since_ms) / 1000, 1),
        "open_for_s": None if rest_ms is None else round(rest_ms / 1000, 1),
        "shed_share": round(1 - admitted, 4),
        "offered_rps": round(estimate.load.offered_rps, 2),
        **figures,
        "outcomes": estimate.count,
        "silent": record.silent and not estimate.count,
        "stays_bad": round(record.floor_ppm / PPM, 4) if record.floor_ppm else None,
        "flaps": record.flaps,
        "version": record.version,
        "unsent_receipts": len(snapshot.stored.unsent),
    }


def _checked(backend: str) -> str:
    """Return the name of a backend.

    Raises:
        UsageError: it is none.
    """
    if not NAME.fullmatch(backend):
        raise UsageError(f"{backend!r} is no name of a backend; signet breaker list shows those there are")
    return backend


def _names(stack: str) -> Callable[[], list[str]]:
    """Return what lists the backends of a stack that have a breaker."""
    from signet.aws.breaker import DynamoBreakerStore
    from signet_client.stack import aws, read_stack

    store = DynamoBreakerStore(aws("dynamodb"), read_stack(stack).output("BreakersTable"))
    return store.names


def _snapshot_reader(stack: str, backend: str) -> Callable[[], Snapshot | None]:
    """Return what reads a backend's breaker, by the numbers the stack was deployed with."""
    from signet.aws.breaker import DynamoBreakerStore
    from signet.breaker.config import BreakerConfig, EstimatorConfig
    from signet.breaker.snapshot import read_snapshot
    from signet_client.stack import aws, read_stack

    deployed = read_stack(stack)
    try:
        servers = int(deployed.output("BackendServers"))
    except ValueError as error:
        raise UsageError(
            f"the stack {stack!r} was deployed by another version; use that one's signet"
        ) from error
    store = DynamoBreakerStore(aws("dynamodb"), deployed.output("BreakersTable"))
    config = BreakerConfig(estimator=EstimatorConfig(servers=servers or None))
    return lambda: read_snapshot(store, backend, now_ms=_now_ms(), config=config)


def _view(snapshot: Snapshot | None, named: str, history: list[tuple[float, str]]) -> Table | str:
    """Return a table of a snapshot; notes a change of state or level in ``history``."""
    from rich.table import Table
    from rich.text import Text

    if snapshot is None:
        return plain(f"the breaker of {named} has seen no request yet")
    found = facts(snapshot, _now_ms())
    place = f"{found['state']} / {found['level']}"
    if not history or history[-1][1] != place:
        history.append((time.time(), place))
        del history[:-_HISTORY]
    styles = {"state": {"closed": "bold green", "open": "bold red"}.get(found["state"], "bold yellow")}
    table = Table(box=None, show_header=False, title=plain(f"breaker of {named}"), title_justify="left")
    table.add_column(style="dim")
    table.add_column()
    for name, value in _rows(found):
        table.add_row(name, Text(plain(value), styles.get(name, "")))
    for at, what in history:
        table.add_row(time.strftime("%H:%M:%S", time.localtime(at)), plain(_words(what)))
    return table


def _rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of a breaker, in words."""
    rest = "" if found["open_for_s"] is None else f", probes in {found['open_for_s']} s"
    yield "state", f"{_words(found['state'])} for {found['since_s']} s{rest}"
    if found["silent"]:
        yield "silent", "probes went out and no outcome came: everything is let through, and nothing is known"
    if found["stays_bad"] is not None:
        share = f"{found['stays_bad']:.0%}"
        yield (
            "futile",
            f"{share} of the answers stay bad at any load: shedding does not help, all is let through",
        )
    yield "level", found["level"]
    yield "header budget", _BUDGETS.get(found["level"], "")
    yield "shed", _bar(found["shed_share"])
    yield from _evidence(found)


def _evidence(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what the breaker goes by. It starts anew with each state: until then there is nothing to show."""
    yield "offered", f"{found['offered_rps']} requests/s"
    if not found["outcomes"]:
        yield "answers", "none yet since this state or step began"
        return
    yield "bad answers", _bar(found["bad_share"])
    yield "bad for certain", _bar(found["bad_share_lower"])
    yield "latency (EWMA)", f"{found['latency_ewma_ms']} ms"
    yield "errors (EWMA)", f"{found['error_ewma']:.1%}"
    known = found["rho"] is not None
    yield "utilisation (rho)", f"{found['rho']:.0%}" if known else "unknown (BackendServers is 0)"
    yield "expected wait (Kingman)", f"{found['kingman_wait_ms']} ms" if known else "unknown"


def _words(name: str) -> str:
    return name.replace("_", " ")


_BUDGETS = {
    "full": "as deployed",
    "relax": "lowered: callers send bulk in bodies",
    "classical": "lowered",
    "shed": "lowered",
}
_BAR = 30


def _bar(share: float) -> str:
    return f"{share:4.0%} {'█' * round(share * _BAR)}".rstrip()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
