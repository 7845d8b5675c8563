"""Figures 2 and 7: store round trips of a decision, and what a million decisions cost on AWS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bench.figures import TIMES, Figure, Section
from bench.prices import API_GATEWAY_PER_MILLION, AS_OF, PRICES, REGION, cost, scaled, total
from bench.timing import Report, in_subprocess

ROUND_TRIPS_LIMIT: Final = 2.0
GROWTH_LIMIT: Final = 1.05
MILLION: Final = 1_000_000

#: What no call shows; each is named in the report.
ROUND_TRIP_S: Final = 0.008  # one call to DynamoDB, SQS or S3 from a function in the same region
AUTHORIZER_CPU_S: Final = 0.003  # a decision with policy, handler and Powertools at 1,024 MB
RECEIPT_CPU_S: Final = 0.0001  # a receipt in sink, close or pack
SINK_BATCH: Final = 1000  # the template's
SQS_POLL: Final = 10  # messages that the event source receives, and deletes, in one call
PLATFORM_LOG_BYTES: Final = 350  # START, END and REPORT of an invocation
SAMPLED: Final = 0.05  # X-Ray's default rule, above one request a second
MEMORY_GB: Final = {"authorizer": 1.0, "sink": 1.0, "cron": 1769 / 1024, "pack": 1.0}

Parts = Mapping[str, Mapping[str, Any]]


def measure(report: Report, *, quick: bool) -> tuple[Section, Section]:
    """Measure calls at two sizes; return the sections of round trips and of cost."""
    sizes = (98, 294) if quick else (196, 588)
    report(f"AWS calls of a day of {sizes[0]:,} and of {sizes[1]:,} decisions")
    measured: list[Parts] = in_subprocess("bench.calls", "--decisions", *map(str, sizes))["days"]
    return _round_trips(measured[-1]), _cost(measured, sizes)


def _round_trips(parts: Parts) -> Section:
    decision = parts["authorizer"]
    trips = sum(decision["calls"].values()) / decision["count"]
    names = ", ".join(sorted(decision["calls"]))
    cold = ", ".join(f"{count} {name}" for name, count in sorted(decision["cold_calls"].items()))
    return Section(
        "2. Store round trips of a decision, real handler on in-process AWS",
        [
            Figure("warm", trips, "", ROUND_TRIPS_LIMIT, names),
            Figure("first of an environment", sum(decision["cold_calls"].values()), "", None, cold),
        ],
    )


def _cost(measured: list[Parts], sizes: tuple[int, int]) -> Section:
    days = [day_units(parts, size) for parts, size in zip(measured, sizes, strict=True)]
    million = {name: at_million((days[0][name], days[1][name]), sizes) for name in days[0]}
    dollars = {name: cost(units) for name, units in million.items()}
    each = [cost(total(*day.values())) / size for day, size in zip(days, sizes, strict=True)]
    whole = Figure(
        "a million decisions",
        sum(dollars.values()),
        "$",
        API_GATEWAY_PER_MILLION,
        f"limit: API Gateway's own charge; {REGION}, {AS_OF}",
    )
    growth = Figure(
        "growth",
        each[1] / each[0],
        TIMES,
        GROWTH_LIMIT,
        f"per decision at {sizes[1]:,} to {sizes[0]:,} a day; 1 is linear, less is the fixed part spread",
    )
    lines = [Figure(f"· {name}", dollars[name], "$", None, _explain(million[name])) for name in dollars]
    return Section("7. Cost on AWS, of the calls made", [whole, growth, *lines], _NOTES, {"prices": PRICES})


_NOTES = (
    (
        f"Assumed, not measured: {ROUND_TRIP_S * 1000:g} ms a call, {AUTHORIZER_CPU_S * 1000:g} ms CPU a "
        f"decision, full queue batches, X-Ray's default sampling ({SAMPLED:.0%}). A day of a million is the "
        "line through the two sizes measured."
    ),
    (
        "Left out: what does not grow with decisions (alarms, custom metrics, keys, idle polling), storage "
        "by the month, the API and the backend."
    ),
)


def _explain(units: Mapping[str, float]) -> str:
    largest = sorted(units, key=lambda name: -PRICES[name] * units[name])
    return ", ".join(f"{name} ${PRICES[name] * units[name]:.2f}" for name in largest[:4])


def day_units(parts: Parts, decisions: int) -> dict[str, dict[str, float]]:
    """Return what a day of decisions is charged, by part."""
    by_decision = scaled(parts["authorizer"]["units"], decisions / parts["authorizer"]["count"])
    printed = parts["authorizer"]["printed_bytes"] / parts["authorizer"]["count"] + PLATFORM_LOG_BYTES
    trips = sum(parts["authorizer"]["calls"].values()) / parts["authorizer"]["count"]
    seconds = trips * ROUND_TRIP_S + AUTHORIZER_CPU_S
    polls = {"sqs.request": 2 * decisions / SQS_POLL}
    return {
        "authorizer": total(by_decision, _run("authorizer", decisions, decisions * seconds)),
        "its log and traces": {"logs.gb": decisions * printed / 1e9, "xray.trace": decisions * SAMPLED},
        "receipt sink": total(parts["sink"]["units"], polls, _part(parts, "sink", decisions / SINK_BATCH)),
        "daily close": total(parts["cron"]["units"], _part(parts, "cron", 1)),
        "compliance pack": total(parts["pack"]["units"], _part(parts, "pack", 1)),
    }


def _part(parts: Parts, name: str, invocations: float) -> dict[str, float]:
    calls, count = sum(parts[name]["calls"].values()), parts[name]["count"]
    return _run(name, invocations, calls * ROUND_TRIP_S + count * RECEIPT_CPU_S)


def _run(name: str, invocations: float, seconds: float) -> dict[str, float]:
    return {"lambda.request": invocations, "lambda.gb_second": seconds * MEMORY_GB[name]}


def at_million(
    units: tuple[Mapping[str, float], Mapping[str, float]], sizes: tuple[int, int]
) -> dict[str, float]:
    """Return the units of a day of a million decisions: the line through two smaller days."""
    small, large = units
    found = {}
    for name in small.keys() | large.keys():
        low, high = small.get(name, 0), large.get(name, 0)
        slope = (high - low) / (sizes[1] - sizes[0])
        found[name] = low + slope * (MILLION - sizes[0])
    return found
