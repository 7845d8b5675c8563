"""A breaker as people and programs are told of it: its facts, and how they are drawn."""

# ruff: noqa: PLC0415 - Rich is loaded where a table is drawn

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from signet.core.vocabulary import PPM
from signet_client.terminal import plain

if TYPE_CHECKING:
    from rich.table import Table

    from signet.breaker.snapshot import Snapshot

#: A row for programs, and what of it makes a line when it changes.
Change = tuple[dict[str, Any], tuple[object, ...]]

_HISTORY = 8
_STYLES = {"closed": "bold green", "open": "bold red"}
_FIGURES = ("latency_ewma_ms", "error_ewma", "bad_share", "bad_share_lower", "rho", "kingman_wait_ms")


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


def told(name: str, snapshot: Snapshot | None) -> Change:
    """Return a row of what was seen, and what of it makes a line when it changes."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    if snapshot is None:
        return {"at": at, "backend": name, "state": None}, (None,)
    found = facts(snapshot, now_ms())
    place = (found["state"], found["level"], found["silent"], found["stays_bad"], found["shed_share"])
    return {"at": at, "backend": name, **found}, place


def line(row: Mapping[str, Any]) -> str:
    """Return one breaker in a line."""
    if row["state"] is None:
        return f"{row['at']} {row['backend']}: no request yet"
    notes = [row["level"], f"{row['shed_share']:.0%} shed", f"{row['offered_rps']} requests/s"]
    if row["bad_share"] is not None:
        notes.append(f"{row['bad_share']:.0%} bad, {row['latency_ewma_ms']} ms")
    notes += [word for word, holds in (("silent", row["silent"]), ("futile", row["stays_bad"])) if holds]
    return f"{row['at']} {row['backend']}: {words(row['state'])}, {', '.join(notes)}"


def overview(seen: Mapping[str, Snapshot | None], named: str) -> Table:
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
        found = facts(snapshot, now_ms())
        bad = "" if found["bad_share"] is None else f"{found['bad_share']:.0%}"
        latency = "" if found["latency_ewma_ms"] is None else f"{found['latency_ewma_ms']} ms"
        table.add_row(
            plain(name),
            Text(words(found["state"]), _STYLES.get(found["state"], "bold yellow")),
            found["level"],
            f"{found['shed_share']:.0%}",
            str(found["offered_rps"]),
            bad,
            latency,
            "silent" if found["silent"] else "futile" if found["stays_bad"] else "",
        )
    return table


def view(snapshot: Snapshot | None, named: str, history: list[tuple[float, str]]) -> Table | str:
    """Return a table of a snapshot; notes a change of state or level in ``history``."""
    from rich.table import Table
    from rich.text import Text

    if snapshot is None:
        return plain(f"the breaker of {named} has seen no request yet")
    found = facts(snapshot, now_ms())
    place = f"{found['state']} / {found['level']}"
    if not history or history[-1][1] != place:
        history.append((time.time(), place))
        del history[:-_HISTORY]
    styles = {"state": _STYLES.get(found["state"], "bold yellow")}
    table = Table(box=None, show_header=False, title=plain(f"breaker of {named}"), title_justify="left")
    table.add_column(style="dim")
    table.add_column()
    for name, value in rows(found):
        table.add_row(name, Text(plain(value), styles.get(name, "")))
    for at, what in history:
        table.add_row(time.strftime("%H:%M:%S", time.localtime(at)), plain(words(what)))
    return table


def rows(found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what there is to say of a breaker, in words."""
    rest = "" if found["open_for_s"] is None else f", probes in {found['open_for_s']} s"
    yield "state", f"{words(found['state'])} for {found['since_s']} s{rest}"
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


def words(name: str) -> str:
    """Return a name of the format in words."""
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


def now_ms() -> int:
    """Return Unix milliseconds, by this machine's clock."""
    return time.time_ns() // 1_000_000
