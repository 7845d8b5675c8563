"""The house keeps its shape: dependencies point inward, and importing a function needs nothing."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.world import ROOT

LIBRARY = ROOT / "layers" / "signet" / "signet"
PURE = ["core", "crypto", "handshake", "breaker", "policy", "receipts", "log", "pack"]
HANDLERS = sorted((ROOT / "functions").glob("*/*_handler.py"))
CLOCKS_AND_WORLD = {"boto3", "botocore", "requests", "httpx", "socket", "subprocess", "time", "os", "random"}
# The package a module belongs to may import those named here, and itself.
INWARD = {
    "core": set(),
    "crypto": {"core"},
    "breaker": {"core", "receipts"},
    "handshake": {"breaker", "core", "crypto", "policy", "receipts"},
    "policy": {"core", "crypto", "receipts"},
    "receipts": {"core"},
    "log": {"core", "policy", "receipts"},
    "pack": {"core", "log", "policy", "receipts"},
}

# Each would lengthen every cold start.
AUTHORIZER_DOES_WITHOUT = {
    "aws_xray_sdk",
    "boto3",
    "signet.log",
    "signet.pack",
    "signet.policy.check",
    "signet.policy.lint",
}


def imports_of(path: Path) -> set[str]:
    """Return the dotted names a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("*.py")), ids=lambda p: str(p.relative_to(LIBRARY)))
def test_library_imports_point_inward(path: Path) -> None:
    package = path.relative_to(LIBRARY).parts[0]
    names = imports_of(path)
    roots = {name.split(".")[0] for name in names}
    assert "aws_lambda_powertools" not in roots
    if package == "aws" or (path.name == "verify.py" and "resources" in path.parts):
        return
    assert not roots & {"boto3", "botocore"}
    assert not any(name.startswith("signet.aws") for name in names)
    if package in PURE and package != "pack" and path.name != "clocks.py":
        assert not roots & CLOCKS_AND_WORLD
    if package in INWARD:
        used = {name.split(".")[1] for name in names if name.startswith("signet.")}
        assert used <= INWARD[package] | {package}


def test_only_one_module_asks_how_much_time_has_passed() -> None:
    """Lambda stops a monotonic clock between requests: read alone, it makes an old thing look new."""
    files = [*LIBRARY.rglob("*.py"), *HANDLERS]
    asking = {path.name for path in files if "monotonic" in _attributes_of(path)}
    assert asking == {"clocks.py"}


def _attributes_of(path: Path) -> set[str]:
    return {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("path", sorted((ROOT / "client").rglob("*.py")), ids=lambda p: p.name)
def test_client_knows_no_function_and_no_powertools(path: Path) -> None:
    assert not any(name.startswith(("aws_lambda_powertools", "functions")) for name in imports_of(path))


@pytest.mark.parametrize("path", HANDLERS, ids=lambda p: p.stem)
def test_importing_a_handler_needs_no_environment_and_opens_no_connection(path: Path) -> None:
    probe = f"""
import socket, sys
def refuse(*a, **k): raise AssertionError("a connection at import")
socket.socket.connect = refuse
sys.path[:0] = {[str(path.parent), str(LIBRARY.parent)]!r}
import {path.stem} as module
assert callable(module.handler)
"""
    environment = {"PATH": os.environ["PATH"], "POWERTOOLS_TRACE_DISABLED": "true"}
    subprocess.run([sys.executable, "-c", probe], env=environment, check=True)


def test_a_trace_holds_neither_an_answer_nor_what_an_error_carries() -> None:
    """By default both are written into it: of an error every attribute, such as the text that was no JSON."""
    paths = [path for folder in ("functions", "layers") for path in (ROOT / folder).rglob("*.py")]
    nodes = [node for path in paths for node in ast.walk(ast.parse(path.read_text()))]
    captures = [
        node
        for node in nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2].startswith("capture_")
    ]
    assert captures
    for capture in captures:
        told = {keyword.arg: ast.unparse(keyword.value) for keyword in capture.keywords}
        assert told == {"capture_response": "False", "capture_error": "False"}, ast.unparse(capture)


def test_the_authorizer_starts_without_what_it_does_not_use() -> None:
    probe = f"""
import gc, sys
sys.path[:0] = {[str(ROOT / "functions" / "authorizer"), str(LIBRARY.parent)]!r}
import authorizer_handler
assert gc.isenabled() and gc.get_freeze_count() > 10_000
print(*sorted(sys.modules))
"""
    environment = {"PATH": os.environ["PATH"], "AWS_LAMBDA_FUNCTION_NAME": "authorizer"}
    done = subprocess.run([sys.executable, "-c", probe], env=environment, check=True, stdout=subprocess.PIPE)
    loaded = set(done.stdout.decode().split())
    assert "signet.handshake.enforcer" in loaded
    assert not loaded & AUTHORIZER_DOES_WITHOUT


TERMINAL = ROOT / "client" / "signet_client" / "terminal.py"
PRINTERS = {ROOT / "local" / "demo.py"}  # with the markup of Rich, of its own words


def _talks_to_a_terminal(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            if name in {"print", "Console", "sys.stdout.write", "sys.stdout.buffer.write"} or name.endswith(
                (".echo", ".secho", ".Console", ".print_exc")
            ):
                found.add(f"{name}, line {node.lineno}")
    return found


@pytest.mark.parametrize(
    "path",
    sorted(
        path
        for folder in ("client/signet_client", "local")
        for path in [*(ROOT / folder).rglob("*.py"), ROOT / "tools" / "pch_client_demo.py"]
        if path != TERMINAL and path not in PRINTERS
    ),
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_one_place_prints_what_others_wrote(path: Path) -> None:
    assert not _talks_to_a_terminal(path)


def test_what_prints_is_found() -> None:
    assert _talks_to_a_terminal(TERMINAL)
    assert all(_talks_to_a_terminal(path) for path in PRINTERS)


def test_handler_names_are_unique() -> None:
    assert len({path.stem for path in HANDLERS}) == len(HANDLERS) == 6
