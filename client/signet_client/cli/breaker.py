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
from signet_client.cli.common import JsonOption, StackOption, print_facts, print_json, print_line
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import console, is_terminal, plain, say

if TYPE_CHECKING:
    from rich.table import Table

    from signet.breaker.snapshot import Snapshot

#: A row for programs, and what of it makes a line when it changes.
_Change = tuple[dict[str, Any], tuple[object, ...]]
_HISTORY = 8
_MOST_DOUBLINGS = 5
_STYLES = {"closed": "bold green", "open": "bold red"}
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
    str | None,
    typer.Option("--backend", metavar="NAME", help="Whose breaker; by default that of Signet's own API."),
]
NameArgument = Annotated[
    str | None, typer.Argument(metavar="[NAME]", help="Whose breaker; the same as --backend NAME.")
]


@breaker.command("show")
def show(
    *,
    name: NameArgument = None,
    backend: BackendOption = None,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Show the state of one backend's breaker and what it rests on; and which other breakers there are."""
    backend = _chosen(name, backend)
    read, names = _snapshot_reader(stack, backend), _names(stack)
    snapshot, others = read(), [other for other in names() if other != backend]
    if snapshot is None:
        there = f"; there are: {', '.join(others)} (give its name)" if others else ""
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


@breaker.command("watch", short_help="Watch one or all of them live, until interrupted.")
def watch(
    *,
    name: NameArgument = None,
    every: Annotated[float, typer.Option("--every", min=0.2, max=60, help="Seconds between looks.")] = 0.5,
    seconds: Annotated[
        float | None, typer.Option("--for", min=0, help="Seconds to watch; until interrupted if not given.")
    ] = None,
    backend: BackendOption = None,
    every_backend: Annotated[bool, typer.Option("--all", help="Watch all backends.")] = False,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Watch the breaker live: state, level, latency and errors, load, budget, share of requests shed.

    Where standard output is no terminal, and with --json, it prints a line for each change.
    """
    if every_backend and (name or backend):
        raise UsageError("--all watches every backend; leave the name out")
    chosen = _chosen(name, backend)
    looks = Looks(stack, None if every_backend else chosen, every, seconds)
    try:
        if as_json or not is_terminal():
            _follow(looks, as_json=as_json)
        else:
            _draw(looks, "all backends" if every_backend else chosen)
    except KeyboardInterrupt:
        return


class Looks:
    """Looks at one breaker, or at all of them, again and again; further apart while the store fails."""

    def __init__(self, stack: str, backend: str | None, every: float, seconds: float | None) -> None:
        """Look every so many seconds, for so many; None for ever.

        Args:
            stack: the stack's name.
            backend: whose breaker; None for all.
            every: seconds between looks.
            seconds: how long to go on; None for ever.
        """
        self.stack = stack
        self._every = every
        self._seconds = seconds
        one = None if backend is None else [backend]
        self._names: Callable[[], list[str]] = _names(stack) if one is None else one.copy
        self._readers: dict[str, Callable[[], Snapshot | None]] = {}

    def __iter__(self) -> Iterator[dict[str, Snapshot | None] | UnavailableError]:
        """Yield what was seen, by backend; or why nothing was."""
        started, failed = time.monotonic(), 0
        while self._seconds is None or time.monotonic() - started < self._seconds:
            try:
                yield {name: self._reader(name)() for name in self._names()}
                failed = 0
            except UnavailableError as error:
                failed = min(failed + 1, _MOST_DOUBLINGS)
                yield error
            time.sleep(self._every * 2**failed)

    def _reader(self, name: str) -> Callable[[], Snapshot | None]:
        if name not in self._readers:
            self._readers[name] = _snapshot_reader(self.stack, name)
        return self._readers[name]


def _draw(looks: Looks, named: str) -> None:
    """Redraw a table: of one breaker all there is to say, of several a row each."""
    from rich.live import Live

    history: list[tuple[float, str]] = []
    with Live(console=console(), auto_refresh=False, screen=False) as live:
        for seen in looks:
            if isinstance(seen, UnavailableError):
                told = f"{seen}; what was last seen holds, and every request is verified in full"
                live.update(plain(told), refresh=True)
            elif len(seen) == 1:
                [(name, snapshot)] = seen.items()
                live.update(_view(snapshot, f"{name} in {looks.stack}", history), refresh=True)
            else:
                live.update(_overview(seen, f"{named} in {looks.stack}"), refresh=True)


def _follow(looks: Looks, *, as_json: bool) -> None:
    """Print a line for each change of a breaker, as logs and programs want it."""
    told: dict[str, tuple[object, ...]] = {}
    for seen in looks:
        if isinstance(seen, UnavailableError):
            changed: dict[str, _Change] = {"": ({"error": str(seen)}, (str(seen),))}
        else:
            changed = {name: _told(name, snapshot) for name, snapshot in seen.items()}
            told.pop("", None)
        for name, (row, place) in changed.items():
            if told.get(name) == place:
                continue
            told[name] = place
            if as_json:
                print_line(row)
            else:
                say(row["error"] if "error" in row else _line(row))


def _told(name: str, snapshot: Snapshot | None) -> _Change:
    """Return a row of what was seen, and what of it makes a line when it changes."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if snapshot is None:
        return {"at": at, "backend": name, "state": None}, (None,)
    found = facts(snapshot, _now_ms())
    place = (found["state"], found["level"], found["silent"], found["stays_bad"], found["shed_share"])
    return {"at": at, "backend": name, **found}, place


def _line(row: Mapping[str, Any]) -> str:
    """Return one breaker in a line."""
    if row["state"] is None:
        return f"{row['at']} {row['backend']}: no request yet"
    notes = [row["level"], f"{row['shed_share']:.0%} shed", f"{row['offered_rps']} requests/s"]
    if row["bad_share"] is not None:
        notes.append(f"{row['bad_share']:.0%} bad, {row['latency_ewma_ms']} ms")
    notes += [word for word, holds in (("silent", row["silent"]), ("futile", row["stays_bad"])) if holds]
    return f"{row['at']} {row['backend']}: {_words(row['state'])}, {', '.join(notes)}"


def _overview(seen: Mapping[str, Snapshot | None], named: str) -> Table:
    """Return a table with a row for each breaker."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, title=plain(f"breakers of {named}"), title_justify="left")
    for title in ("backend", "state", "level", "shed", "requests/s", "bad", "latency", ""):
        table.add_column(title, justify="left" if title in {"backend", "state", "level", ""} else "right")
    for name, snapshot in seen.items():
        if snapshot is None:
            table.add_row(plain(name), "no request yet")
            continue
        found = facts(snapshot, _now_ms())
        bad = "" if found["bad_share"] is None else f"{found['bad_share']:.0%}"
        latency = "" if found["latency_ewma_ms"] is None else f"{found['latency_ewma_ms']} ms"
        table.add_row(
            plain(name),
            Text(_words(found["state"]), _STYLES.get(found["state"], "bold yellow")),
            found["level"],
            f"{found['shed_share']:.0%}",
            str(found["offered_rps"]),
            bad,
            latency,
            "silent" if found["silent"] else "futile" if found["stays_bad"] else "",
        )
    return table


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


def _chosen(name: str | None, option: str | None) -> str:
    """Return the name of the backend that is asked for.

    Raises:
        UsageError: it is none, or two are named.
    """
    if name is not None and option is not None and name != option:
        raise UsageError(f"{name!r} and --backend {option!r} are two backends; give one")
    backend = name or option or OWN_BACKEND
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
    styles = {"state": _STYLES.get(found["state"], "bold yellow")}
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
