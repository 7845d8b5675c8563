"""``make metrics``: the stack's metrics in Prometheus' text format, for a Grafana on this machine.

The functions print their metrics as CloudWatch expects them (EMF, JSON lines in their logs); AWS adds them up
by itself, an emulator does not. So this reads the same lines and adds them up.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.stack import Stack
from signet.telemetry import NAMESPACE, UNITS, Metric, Unit

DEFAULT_PORT = 9464
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_FUNCTIONS = (
    *("authorizer", "handshake", "outcomes", "protected"),
    *("receipt_sink", "sth_cron", "audit", "pack"),
)
_OVERLAP_MS = 5_000  # lines of one moment may reach the log in two parts
_GAUGES = frozenset({Metric.LOG_TREE_SIZE})
_SUFFIXES = {Unit.BYTES: "_bytes", Unit.MICROSECONDS: "_microseconds"}
Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Sums:
    """What was measured so far, by metric and labels: (sum, count, last value)."""

    values: dict[tuple[Metric, Labels], tuple[float, int, float]] = field(
        default_factory=lambda: defaultdict(lambda: (0.0, 0, 0.0))
    )

    def add(self, line: str) -> None:
        """Take one line of a function's log; what is no metric of ours changes nothing."""
        for metric, labels, values in _measured(line):
            total, count, _last = self.values[metric, labels]
            self.values[metric, labels] = (total + sum(values), count + len(values), values[-1])

    def text(self) -> str:
        """Return everything in Prometheus' text format, version 0.0.4.

        Counts are counters, the size of the log is a gauge; times and sizes are summaries without quantiles:
        the rate of ``_sum`` over the rate of ``_count`` is their mean.
        """
        lines = []
        for metric in Metric:
            found = sorted((labels, v) for (name, labels), v in self.values.items() if name is metric)
            if found:
                lines += _exposed(metric, found)
        return "".join(f"{line}\n" for line in lines)


def _measured(line: str) -> Iterator[tuple[Metric, Labels, list[float]]]:
    if '"_aws"' not in line:
        return
    with suppress(ValueError, KeyError, TypeError, AttributeError):  # a line cut in two, or of another writer
        document = json.loads(line)
        for group in document["_aws"]["CloudWatchMetrics"]:
            if group["Namespace"] != NAMESPACE:
                continue
            labels = tuple((name, str(document[name])) for name in sorted(group["Dimensions"][0]))
            for each in group["Metrics"]:
                value = document[each["Name"]]
                yield Metric(each["Name"]), labels, value if isinstance(value, list) else [value]


def _exposed(metric: Metric, found: Iterable[tuple[Labels, tuple[float, int, float]]]) -> list[str]:
    unit = _SUFFIXES.get(UNITS[metric], "")
    name = "signet_" + re.sub(r"(?<!^)(?=[A-Z])", "_", metric.value).lower().removesuffix(unit) + unit
    if metric in _GAUGES:
        return [f"# TYPE {name} gauge", *(f"{name}{_braced(at)} {last:g}" for at, (_, _, last) in found)]
    if UNITS[metric] is Unit.COUNT:
        name += "_total"
        lines = [f"{name}{_braced(at)} {total:.0f}" for at, (total, _, _) in found]
        return [f"# TYPE {name} counter", *lines]
    lines = [f"# TYPE {name} summary"]
    for at, (total, count, _) in found:
        lines += [f"{name}_sum{_braced(at)} {total:.0f}", f"{name}_count{_braced(at)} {count}"]
    return lines


def _braced(labels: Labels) -> str:
    escaped = ((name, value.replace("\\", r"\\").replace('"', r"\"")) for name, value in labels)
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped) + "}"


class Collector:
    """Reads the logs of one stack's functions, each line once."""

    def __init__(self, logs: Any, name: str) -> None:
        """Read through a CloudWatch Logs client; ``name`` is the stack's."""
        self._logs = logs
        self._name = name
        self._sums = Sums()
        self._newest_ms: dict[str, int] = defaultdict(int)
        self._known: dict[str, Counter[tuple[int, str, str]]] = defaultdict(
            Counter
        )  # no ids: lines are counted
        self._lock = Lock()

    def collect(self) -> str:
        """Add up what is new; return everything in Prometheus' text format."""
        with self._lock:
            for function in _FUNCTIONS:
                self._read(f"/signet/{self._name}/{function}")
            return self._sums.text()

    def _read(self, group: str) -> None:
        since_ms = max(0, self._newest_ms[group] - _OVERLAP_MS)
        pages = self._logs.get_paginator("filter_log_events")
        found = Counter(
            (event["timestamp"], event["logStreamName"], event["message"])
            for page in pages.paginate(logGroupName=group, startTime=since_ms)
            for event in page["events"]
        )
        for _timestamp, _stream, line in (found - self._known[group]).elements():
            self._sums.add(line)
        self._newest_ms[group] = max((timestamp for timestamp, _, _ in found), default=since_ms)
        self._known[group] = found


def serve(stack: Stack, port: int) -> ThreadingHTTPServer:
    """Return a server of ``GET /metrics`` on 127.0.0.1; ``port`` 0 takes a free one."""
    collector = Collector(
        stack.client("logs"),
        stack.name,
    )

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/metrics":
                self.send_error(404, "only /metrics is served")
                return
            try:
                content = collector.collect().encode()
            except (BotoCoreError, ClientError):
                self.send_error(503, "the stack does not answer")
                return
            self.send_response(200)
            self.send_header("Content-Type", CONTENT_TYPE)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it is called with
            """Keep the terminal quiet: a scraper comes every few seconds."""

    return ThreadingHTTPServer(("127.0.0.1", port), Handler)
