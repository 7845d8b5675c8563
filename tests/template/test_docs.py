"""The operations guide names everything that an operator can set, read or be woken by."""

from __future__ import annotations

import re

import pytest

from signet.telemetry import Metric
from tests.template.cloudformation import ROOT, source

GUIDE = (ROOT / "docs/operations.md").read_text()
GROWN = {".venv", ".local", ".aws-sam", "node_modules"}  # not ours
PAGES = [page for page in sorted(ROOT.rglob("*.md")) if not GROWN & set(page.relative_to(ROOT).parts)]
FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


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
        default = str(parameter.get("Default", "**none**"))
        assert default in table[name].split("|")[2], name


def test_every_alarm_is_in_the_table():
    alarms = {n for n, r in source()["Resources"].items() if r["Type"] == "AWS::CloudWatch::Alarm"}
    assert set(rows("Alarms")) == alarms


def test_every_metric_is_in_the_table():
    assert set(rows("Metrics")) == set(Metric)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", FENCED.sub("", page.read_text())):
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", FENCED.sub("", found.read_text()), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_page_deploys_with_an_environment_and_drops_its_list(page):
    """Overrides on the command line replace what --config-env names: prod would lose its safety settings."""
    for block in FENCED.findall(page.read_text()):
        commands = block.replace("\\\n", " ").splitlines()
        assert not [line for line in commands if "--config-env" in line and "--parameter-overrides" in line]


def test_every_make_target_for_people_is_in_the_readme():
    """make help has all of them; the README those that show or check something."""
    readme = (ROOT / "README.md").read_text()
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    upkeep = {"help", "status", "format", "schemas", "picture", "requirements", "lock-tools", "clean"}
    assert {name for name in targets if f"make {name}" not in readme} <= upkeep
