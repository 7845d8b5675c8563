"""docs/formats.md says by itself what a verifier has to know: what is closed, is listed there."""

from __future__ import annotations

import re
from pathlib import Path

from signet.receipts.v1 import DECISION_OF, SUITES

PAGE = (Path(__file__).parents[3] / "docs" / "formats.md").read_text()


def section(title: str) -> str:
    return re.split(r"^#+ ", PAGE.partition(f"# {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_every_reason_stands_beside_its_decision() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", section("Reasons").partition("|---|")[2], re.MULTILINE)
    said = {reason: decision for decision, reasons in rows for reason in re.findall(r"`(\w+)`", reasons)}
    assert said == DECISION_OF


def test_every_suite_of_a_whole_proof_is_named() -> None:
    whole = section("What cannot stand together").partition("one of the five suites: ")[2].partition(".\n")[0]
    assert set(re.findall(r"`([^`]+)`", whole)) == SUITES
