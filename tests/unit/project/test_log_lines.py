"""docs/operations.md lists the lines that functions log, and lines that several write have one wording."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from signet.aws import reports
from tests.support.world import ROOT

HANDLERS = sorted((ROOT / "functions").glob("*/*_handler.py"))
LIBRARY = ROOT / "layers" / "signet" / "signet"
LEVELS = {"debug", "info", "warning", "error", "critical"}
SHARED = {"not_set_up": reports.NOT_SET_UP, "policy_not_loaded": reports.POLICY_NOT_LOADED}


def _logged(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Name) and node.id in SHARED:
            found.add(SHARED[node.id])
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "decisions.write":
            found.add("decision")  # the one message of signet.decisionlog
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            assert ast.unparse(node.func.value) == "logger"
            message = node.args[0]
            assert isinstance(message, ast.Constant), ast.unparse(node)
            found.add(message.value)
    return found


def _documented() -> dict[str, set[str]]:
    text = (ROOT / "docs" / "operations.md").read_text()
    _, _, section = text.partition("\n## Logs\n")
    _, _, table = section.partition("| function | `message` | with |\n|---|---|---|\n")
    rows, _, _ = table.partition("\n\n")
    found: dict[str, set[str]] = {}
    for row in rows.splitlines():
        _, function, messages, *_ = row.split("|")
        found.setdefault(function.strip(), set()).update(re.findall(r"`([^`]+)`", messages))
    return found


@pytest.mark.parametrize("path", HANDLERS, ids=lambda p: p.parent.name)
def test_the_table_of_log_lines_is_what_a_function_logs(path: Path) -> None:
    assert _documented()[path.parent.name] == _logged(path)


def test_the_table_has_the_functions_and_no_others() -> None:
    assert set(_documented()) == {path.parent.name for path in HANDLERS}


def test_a_handler_logs_by_its_logger_alone() -> None:
    for path in HANDLERS:
        names = {
            ast.unparse(n) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Attribute)
        }
        calls = {
            ast.unparse(n.func) for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)
        }
        levels = {name for name in names if name.startswith("logger.") and name[7:] in LEVELS}
        assert levels <= calls, "a level under another name escapes the table"


@pytest.mark.parametrize("line", sorted(SHARED.values()))
def test_a_shared_line_is_spelled_in_one_place(line: str) -> None:
    files = [*HANDLERS, *LIBRARY.rglob("*.py")]
    spelled = [
        path.name
        for path in files
        if any(n.value == line for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant))
    ]
    assert spelled == ["reports.py"]
