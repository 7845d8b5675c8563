"""Every metric says which stack it is of: an account may have several, and an alarm hears its own only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from signet.telemetry import NAMESPACE, Metric, dimensions

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"
_COUNTED = "handler._count({metric}); handler.metrics.flush_metrics()"
# How each function is brought to print its metrics: in every way that it has.
EMISSIONS = {
    "audit": _COUNTED.format(metric="handler.Metric.AUDIT_FINDINGS, 1"),
    "authorizer": """
from types import SimpleNamespace as Any
from signet.core.decision import Reason
context = Any(proof=Any(keyid="k"), inbound=Any(header_bytes=1), admission=Any(retry_after_s=1))
context.requirements = Any(backend="orders")
decision = Any(reason=Reason.BREAKER_OPEN, message="", context=context, error=None)
handler.decisions.count(handler.Metric.POLICY_FAILURES)
told = Any(decision=decision, receipt_id="r", authorizer_us=1, durable=True, folded=False)
handler._report(told, "request")
""",
    "handshake": _COUNTED.format(metric="handler.Metric.BUNDLES_STORED"),
    "pack": """
from signet.pack.store import StoredPack
handler._note(StoredPack("key", "00", 1, 1, built=True))
""",
    "receipt_sink": _COUNTED.format(metric="handler.Metric.SINK_RECEIPTS, 1"),
    "sth_cron": _COUNTED.format(metric="handler.Metric.LOG_TREE_SIZE, 1"),
}


def printed(service: str, **environment: str) -> str:
    """Return what a function prints in an environment when it measures."""
    return subprocess.run(
        [sys.executable, "-c", f"import {service}_handler as handler\n{EMISSIONS[service]}"],
        cwd=FUNCTIONS / service,
        env={"POWERTOOLS_SERVICE_NAME": service, "POWERTOOLS_TRACE_DISABLED": "true", **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def emitted(service: str, **environment: str) -> list[tuple[str, set[str], dict[str, object]]]:
    """Return the metrics that a function prints in an environment: name, dimensions, and the line."""
    found = []
    for line in (
        json.loads(line) for line in printed(service, **environment).splitlines() if '"_aws"' in line
    ):
        for group in line["_aws"]["CloudWatchMetrics"]:
            assert group["Namespace"] == NAMESPACE
            [names] = group["Dimensions"]  # one set: a second would be another metric, and billed as one
            found += [(metric["Name"], set(names), line) for metric in group["Metrics"]]
    return found


def test_what_is_shed_is_logged_with_its_backend_and_counted_without() -> None:
    """A dimension more would be another metric, which the alarm does not hear."""
    done = printed("authorizer")
    [line] = [json.loads(line) for line in done.splitlines() if '"breaker_open"' in line]
    assert (line["backend"], line["retry_after_s"]) == ("orders", 1)
    [(_, names, _)] = [one for one in emitted("authorizer") if one[0] == Metric.BREAKER_SHEDS]
    assert "backend" not in names


@pytest.mark.parametrize("service", EMISSIONS)
def test_a_metric_carries_the_name_of_its_stack(service: str) -> None:
    metrics = emitted(service, SIGNET_STACK_NAME="shop-prod")
    assert metrics
    for name, names, line in metrics:
        assert names == {"service", "stack"} | ({"reason"} if name == Metric.DECISIONS else set()), name
        assert (line["service"], line["stack"]) == (service, "shop-prod")


def test_outside_of_a_stack_there_is_no_empty_dimension() -> None:
    """CloudWatch drops a metric with an empty dimension value."""
    assert dimensions({}) == dimensions({"SIGNET_STACK_NAME": ""}) == {}
    assert {frozenset(names) for _, names, _ in emitted("receipt_sink")} == {frozenset({"service"})}


def test_every_function_that_emits_is_here() -> None:
    emitting = {path.parent.name for path in FUNCTIONS.glob("*/*.py") if "Metric." in path.read_text()}
    assert emitting == set(EMISSIONS)
