"""One line per decision: what an operator searches for, and the metrics that CloudWatch takes out of it.

The line is JSON with Powertools' names (``level``, ``message``, ``timestamp``, ``service`` …), so that one
query finds the lines of all functions, and with an ``_aws`` member of the embedded metric format
(docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html).
Written by hand since Powertools takes a twelfth of a decision's time for it, and a sixth of a cold start.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from signet.telemetry import NAMESPACE, UNITS, Metric, dimensions

_LEVELS: Final = {
    "DEBUG": 10,
    "INFO": 20,
    "WARNING": 30,
    "WARN": 30,
    "ERROR": 40,
    "CRITICAL": 50,
    "FATAL": 50,
}


class DecisionLog:
    """Writes the lines of a function that decides. Not for threads: an environment decides one by one.

    ``POWERTOOLS_LOG_LEVEL`` holds here too: below it a line has its metrics and no facts.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read the function's name, stack and level.

        Args:
            environment: of the process.
        """
        self._service = environment.get("POWERTOOLS_SERVICE_NAME", "service_undefined")
        self._common = {"service": self._service, **dimensions(environment)}
        asked = environment.get("POWERTOOLS_LOG_LEVEL") or environment.get("LOG_LEVEL") or "INFO"
        self._least = _LEVELS.get(asked.upper(), _LEVELS["INFO"])
        self._pending: dict[Metric, int] = {}
        self._cold = True

    def count(self, metric: Metric, value: int = 1) -> None:
        """Add to what the next line reports."""
        self._pending[metric] = self._pending.get(metric, 0) + value

    def write(
        self,
        level: str,
        facts: Mapping[str, Any],
        measured: Mapping[Metric, int],
        *,
        request_id: str,
        receipt_id: str,
    ) -> None:
        """Write a decision's line.

        Args:
            level: ``INFO``, or ``ERROR`` for what failed.
            facts: what to say of it, ``reason`` among them; nothing secret; values that JSON can hold.
            measured: its metrics, beside those counted since the last line.
            request_id: of the invocation.
            receipt_id: of the decision's receipt: the correlation id.
        """
        now = time.time()
        measured = {**self._pending, **measured}
        grouped = [
            _group(measured, list(self._common)),
            _group({Metric.DECISIONS: 1}, [*self._common, "reason"]),
        ]
        line: dict[str, Any] = {
            "level": level,
            "message": "decision",
            "timestamp": _stamp(now),
            **self._common,
        }
        if _LEVELS[level] >= self._least:
            line |= {
                "cold_start": self._cold,
                "function_request_id": request_id,
                "correlation_id": receipt_id,
            }
            trace = os.environ.get("_X_AMZN_TRACE_ID", "").partition(";")[0].removeprefix("Root=")
            if trace:
                line["xray_trace_id"] = trace
            line |= facts
        self._cold = False
        line["reason"] = facts["reason"]
        line |= {metric.value: value for metric, value in measured.items()}
        line[Metric.DECISIONS.value] = 1
        line["_aws"] = {"Timestamp": int(now * 1000), "CloudWatchMetrics": grouped}
        sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
        sys.stdout.flush()
        self._pending = {}  # only now: what no line reported is for the next one


def _group(metrics: Mapping[Metric, int], names: list[str]) -> dict[str, Any]:
    """Return one set of dimensions with its metrics: a second set would be metrics more, billed as such."""
    told = [{"Name": metric.value, "Unit": UNITS[metric].value} for metric in metrics]
    return {"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": told}


def _stamp(now: float) -> str:
    whole, millis = divmod(int(now * 1000), 1000)
    return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(whole))},{millis:03}+0000"
