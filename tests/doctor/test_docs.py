"""The operations guide names every check, and no other; and every check has a planted mistake."""

from __future__ import annotations

import re

from tests.doctor.plants import PLANTS
from tests.doctor.world import ROOT

CHECKS = ROOT / "client/signet_client/doctor/checks"
IDS = {
    found
    for path in CHECKS.glob("*.py")
    for found in re.findall(r'Finding\(\s*"([a-z_]+)"', path.read_text())
}


def test_every_check_is_in_the_guide() -> None:
    guide = (ROOT / "docs/operations.md").read_text()
    section = guide.split("\n## Doctor\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([^`]+)`", row)} == IDS


def test_every_check_has_a_planted_mistake() -> None:
    assert {plant.id for plant in PLANTS} == IDS
    assert len(IDS) >= 20
