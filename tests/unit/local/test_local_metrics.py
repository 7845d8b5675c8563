"""The stack's metrics as Prometheus reads them."""

from __future__ import annotations

import json
import re

from local.metrics import Collector, Sums
from local.tools import ROOT
from signet.telemetry import Metric


def emf(values, **dimensions):
    named = [{"Name": name, "Unit": "Count"} for name in values]
    group = {"Namespace": "Signet", "Dimensions": [[*dimensions]], "Metrics": named}
    return json.dumps({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [group]}, **dimensions, **values})


class Logs:
    """Answers as CloudWatch Logs does: every event from a time on, two a page."""

    def __init__(self):
        self.events = []

    def get_paginator(self, name):
        assert name == "filter_log_events"
        return self

    def paginate(self, logGroupName, startTime):  # noqa: N803 - AWS's names
        group = logGroupName.removeprefix("/signet/shop/")
        found = [event for of, event in self.events if of == group and event["timestamp"] >= startTime]
        for at in range(0, len(found), 2):
            yield {"events": found[at : at + 2]}

    def write(self, group, timestamp, message):
        event = {"logStreamName": "a", "timestamp": timestamp, "message": message}
        self.events.append((group, event))


def test_counts_are_counters_sizes_are_summaries_and_the_log_is_a_gauge():
    sums = Sums()
    sums.add(emf({"Decisions": [1.0]}, reason="ok", service="authorizer"))
    sums.add(emf({"Decisions": [1.0]}, service="authorizer", reason="ok"))
    sums.add(emf({"AuthorizerLatency": [150.0, 50.0], "HeaderBytes": 386}, service="authorizer"))
    sums.add(emf({"LogTreeSize": [7.0]}, service="sth_cron"))
    sums.add(emf({"LogTreeSize": [9.0]}, service="sth_cron"))
    assert sums.text().splitlines() == [
        "# TYPE signet_decisions_total counter",
        'signet_decisions_total{reason="ok",service="authorizer"} 2',
        "# TYPE signet_authorizer_latency_microseconds summary",
        'signet_authorizer_latency_microseconds_sum{service="authorizer"} 200',
        'signet_authorizer_latency_microseconds_count{service="authorizer"} 2',
        "# TYPE signet_header_bytes summary",
        'signet_header_bytes_sum{service="authorizer"} 386',
        'signet_header_bytes_count{service="authorizer"} 1',
        "# TYPE signet_log_tree_size gauge",
        'signet_log_tree_size{service="sth_cron"} 9',
    ]


def test_lines_that_are_no_metric_of_ours_change_nothing():
    sums = Sums()
    foreign = emf({"Decisions": [1.0]}, service="x").replace('"Signet"', '"Shop"')
    for line in (
        "",
        "START RequestId",
        '{"_aws"',
        '{"_aws": 7}',
        foreign,
        emf({"Nothing": [1]}, service="x"),
    ):
        sums.add(line)
    assert sums.text() == ""


def test_each_line_counts_once_also_beside_one_that_reads_the_same():
    logs = Logs()
    collector = Collector(logs, "shop")
    for timestamp in (10_000, 10_000, 10_001):
        logs.write("authorizer", timestamp, emf({"BreakerSheds": [1.0]}, service="authorizer"))
    assert 'signet_breaker_sheds_total{service="authorizer"} 3' in collector.collect()
    logs.write("authorizer", 10_000, emf({"BreakerSheds": [1.0]}, service="authorizer"))
    logs.write("authorizer", 99_000, emf({"BreakerSheds": [1.0]}, service="authorizer"))
    assert 'signet_breaker_sheds_total{service="authorizer"} 5' in collector.collect()
    assert collector.collect() == collector.collect()


def test_the_grafana_dashboard_asks_for_nothing_that_is_not_served():
    sums = Sums()
    for metric in Metric:
        labels = {"service": "any"} | ({"reason": "ok"} if metric is Metric.DECISIONS else {})
        sums.add(emf({metric.value: [1.0]}, **labels))
    served = set(re.findall(r"^(signet_\w+)", sums.text(), re.MULTILINE))
    dashboard = (ROOT / "docs/grafana.json").read_text()
    asked = set(re.findall(r"signet_\w+", dashboard))
    assert asked <= served
    for panel in json.loads(dashboard)["panels"]:
        for target in panel.get("targets", []):  # two stacks may be scraped by one Prometheus
            metrics = re.findall(r"signet_\w+", target["expr"])
            assert len(re.findall(r'signet_\w+\{stack="\$stack"\}', target["expr"])) == len(metrics), target
    assert "signet_decisions_total" in asked
