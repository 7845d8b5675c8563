"""The line of a decision: one line for all that callers may send; a line that fails loses no count."""

from __future__ import annotations

import json

import pytest

from signet.decisionlog import DecisionLog
from signet.telemetry import Metric

WRITTEN = {"request_id": "r", "receipt_id": "x"}


def test_text_of_a_caller_stays_in_its_member(capsys: pytest.CaptureFixture[str]) -> None:
    """One line of ASCII: nothing begins a line of its own, or adds a metric."""
    why = 'a\n{"_aws":{}}\r\u2028\x1b[2J"}'
    log = DecisionLog({"POWERTOOLS_SERVICE_NAME": "authorizer"})
    log.write("INFO", {"reason": "ok", "why": why, "keyid": why}, {Metric.HEADER_BYTES: 1}, **WRITTEN)
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert out.rstrip("\n").isascii()
    assert out.rstrip("\n").isprintable()
    read = json.loads(out)
    assert read["why"] == read["keyid"] == why
    names = [m["Name"] for group in read["_aws"]["CloudWatchMetrics"] for m in group["Metrics"]]
    assert names == ["HeaderBytes", "Decisions"]


def test_a_count_outlives_a_line_that_failed(capsys: pytest.CaptureFixture[str]) -> None:
    """A pushed policy that does not load rings an alarm, though not necessarily by the line at hand."""
    log = DecisionLog({"POWERTOOLS_SERVICE_NAME": "authorizer"})
    log.count(Metric.POLICY_FAILURES)
    with pytest.raises(TypeError):
        log.write("INFO", {"reason": "ok", "why": object()}, {}, **WRITTEN)
    for _ in range(2):
        log.write("INFO", {"reason": "ok"}, {}, **WRITTEN)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["PolicyFailures"] == 1
    assert "PolicyFailures" not in second
