"""The operations guide names everything that an operator can set, read or be woken by."""

from __future__ import annotations

import re

import pytest

from signet.telemetry import Metric
from tests.template.cloudformation import ROOT, source

GUIDE = (ROOT / "docs/operations.md").read_text()
PAGES = [ROOT / "docs/operations.md", ROOT / "docs/pilot.md", ROOT / "events/README.md"]


def rows(heading: str) -> dict[str, str]:
    """Return a section's table: names in the first column, each with the rest of its row."""
    section = GUIDE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return {
        name: line
        for line in section.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([^`]+)`", line.split("|")[1])
    }


def test_every_parameter_is_in_the_table_with_its_default():
    parameters = source()["Parameters"]
    table = rows("Parameters")
    assert set(table) == set(parameters)
    for name, parameter in parameters.items():
        default = str(parameter["Default"])
        assert default in table[name].split("|")[2], name


def test_every_alarm_is_in_the_table():
    alarms = {n for n, r in source()["Resources"].items() if r["Type"] == "AWS::CloudWatch::Alarm"}
    assert set(rows("Alarms")) == alarms


def test_every_metric_is_in_the_table():
    assert set(rows("Metrics")) == set(Metric)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", found.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, target
