"""The policy of the orders example passes its check, and its tests notice a rule that is gone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signet_client.cli import app
from tests.support.world import ROOT

POLICY = ROOT / "examples" / "orders" / "policy"


def check(folder: Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["policy", "check", str(folder)])
    return done.exit_code, done.output


def test_it_passes_its_check():
    code, said = check(POLICY)
    assert code == 0, said
    assert "9 hold" in said


@pytest.mark.long
@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("in data.orders.writers", "in data.orders.readers"),
        ('input.route == "POST /orders"', 'input.route == "POST /compliance/pack"'),
    ],
)
def test_its_tests_notice_a_wrong_rule(tmp_path: Path, wrong: str, right: str):
    folder = tmp_path / "policy"
    shutil.copytree(POLICY, folder)
    rules = (folder / "orders.rego").read_text()
    assert wrong in rules
    (folder / "orders.rego").write_text(rules.replace(wrong, right))
    code, said = check(folder)
    assert code == 1, said
    assert "orders_test.rego" in said
