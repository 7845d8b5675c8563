"""``signet breaker``: how each backend feels, and what its breaker makes of it."""

# ruff: noqa: PLC0415 - AWS is loaded when a command runs, not for --help

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from signet.core.apis import NAME, OWN_BACKEND
from signet.core.errors import NotReadyError, UnavailableError, UsageError
from signet_client.breaker_view import Change, facts, line, now_ms, overview, rows, told, view, words
from signet_client.cli.common import JsonOption, StackOption, print_facts, print_json, print_line
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import console, is_terminal, plain, say

if TYPE_CHECKING:
    from signet.breaker.snapshot import Snapshot

_MOST_DOUBLINGS = 5

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
    found = facts(snapshot, now_ms())
    if as_json:
        print_json({"backend": backend, **found, "others": others})
        return
    more = [("other backends", ", ".join(others))] if others else []
    counts = [("flaps", found["flaps"]), ("unsent receipts", found["unsent_receipts"])]
    print_facts([("backend", backend), *rows(found), *counts, *more])


@breaker.command("list")
def list_breakers(*, stack: StackOption = DEFAULT_STACK, as_json: JsonOption = False) -> None:
    """List the backends that have a breaker, each with its state."""
    rows = []
    for name in _names(stack)():
        snapshot = _snapshot_reader(stack, name)()
        if snapshot is not None:
            rows.append({"backend": name, **facts(snapshot, now_ms())})
    if as_json:
        print_json(rows)
    elif not rows:
        say("no breaker has seen a request yet; send one (signet call)")
    for row in [] if as_json else rows:
        shed = f"{row['shed_share']:.0%} shed, {row['offered_rps']} requests/s"
        say(f"{row['backend']}: {words(row['state'])} for {row['since_s']} s, {row['level']}, {shed}")


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
                live.update(view(snapshot, f"{name} in {looks.stack}", history), refresh=True)
            else:
                live.update(overview(seen, f"{named} in {looks.stack}"), refresh=True)


def _follow(looks: Looks, *, as_json: bool) -> None:
    """Print a line for each change of a breaker, as logs and programs want it."""
    before: dict[str, tuple[object, ...]] = {}
    for seen in looks:
        if isinstance(seen, UnavailableError):
            changed: dict[str, Change] = {"": ({"error": str(seen)}, (str(seen),))}
        else:
            changed = {name: told(name, snapshot) for name, snapshot in seen.items()}
            before.pop("", None)
        for name, (row, place) in changed.items():
            if before.get(name) == place:
                continue
            before[name] = place
            if as_json:
                print_line(row)
            else:
                say(row["error"] if "error" in row else line(row))


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
    return lambda: read_snapshot(store, backend, now_ms=now_ms(), config=config)
