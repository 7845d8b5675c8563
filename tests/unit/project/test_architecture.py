"""The house keeps its shape: dependencies point inward, and importing a function needs nothing."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tests.support.world import ROOT

LIBRARY = ROOT / "layers" / "signet" / "signet"
HANDLERS = sorted((ROOT / "functions").glob("*/*_handler.py"))
# Each would lengthen every cold start.
AUTHORIZER_DOES_WITHOUT = {
    "asyncio",
    "aws_lambda_powertools",
    "aws_xray_sdk",
    "boto3",
    "botocore.client",
    "botocore.docs",
    "botocore.session",
    "email",
    "http.client",
    "http_sf",
    "multiprocessing",
    "signet.log",
    "signet.pack",
    "signet.policy.check",
    "signet.policy.lint",
    "typing_extensions",
    "unittest",
}


def lint_imports(*contracts: str, paths: tuple[Path, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Check the contracts of pyproject.toml, all if none is named, on the packages below these paths."""
    program = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    chosen = [f"--contract={name}" for name in contracts]
    return subprocess.run(
        [*program, str(ROOT / "pyproject.toml"), "--no-cache", "--no-logo", *chosen],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, paths))},
        cwd=paths[0] if paths else ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def test_imports_keep_to_the_contracts() -> None:
    """What pyproject.toml says of layers, circles, boto3 and clocks (tool.importlinter) holds."""
    done = lint_imports()
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    for package in (LIBRARY, ROOT / "client" / "signet_client"):
        shutil.copytree(package, folder / package.name, ignore=ignored)
    return (folder,)


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("layers", "signet/core/ports.py", "from signet.handshake.registry import CachedRegistry"),
        ("layers", "signet/crypto/suites.py", "from signet.receipts import chain"),
        ("layers", "signet/policy/probes.py", "from signet.handshake import binding"),
        ("layers", "signet/gateway/rest_v1.py", "from signet.handshake import proof"),
        ("layers", "signet/gateway/model.py", "from signet.policy import routes"),
        ("layers", "signet/receipts/shape.py", "from signet.breaker import config"),
        ("layers", "signet/log/intake.py", "from signet.audit import report"),
        ("layers", "signet/pack/build.py", "from signet.aws import packs"),
        ("layers", "signet/new.py", ""),
        ("client", "signet/log/keys.py", "import signet_client"),
        ("circles", "signet/log/merkle.py", "def later(): import signet.log.tiles"),
        ("boto3", "signet/audit/source.py", "import botocore.config"),
        ("pure", "signet/handshake/verifier.py", "import time"),
        ("pure", "signet/breaker/keeper.py", "from signet.core import clocks\nfrom os import environ"),
        ("functions", "signet/aws/session.py", "import aws_lambda_powertools.metrics"),
        ("functions", "signet_client/auth.py", "import functions.pack"),
    ],
)
def test_a_wrong_import_is_found(copied: tuple[Path, ...], contract: str, module: str, line: str) -> None:
    path = copied[0] / module
    before = path.read_bytes() if path.exists() else None
    path.write_bytes((before or b"") + f"\n{line}\n".encode())
    try:
        done = lint_imports(contract, paths=copied)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)
    assert done.returncode == 1
    assert "1 broken" in done.stdout, done.stdout


def imports_of(path: Path) -> set[str]:
    """Return the dotted names a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(_parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def test_the_checker_in_packs_shares_no_code_with_the_library() -> None:
    """It is a program of its own: one file, Python, and ``cryptography`` for the signatures."""
    roots = {name.split(".")[0] for name in imports_of(LIBRARY / "pack" / "resources" / "verify.py")}
    assert roots - sys.stdlib_module_names == {"cryptography"}


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("__init__.py")), ids=lambda p: p.parent.name)
def test_importing_a_package_loads_none_of_its_modules(path: Path) -> None:
    """So a function loads only the modules that it uses."""
    # What people's handlers import: ``from signet.backend import guarded``.
    published = {"backend": {"signet.backend.aws_proxy"}}
    assert imports_of(path) <= published.get(path.parent.name, set())


def test_only_one_module_asks_how_much_time_has_passed() -> None:
    """Lambda stops a monotonic clock between requests: read alone, it makes an old thing look new."""
    files = [*LIBRARY.rglob("*.py"), *HANDLERS]
    asking = {path.name for path in files if "monotonic" in _attributes_of(path)}
    assert asking == {"clocks.py"}


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _attributes_of(path: Path) -> set[str]:
    return {node.attr for node in ast.walk(_parsed(path)) if isinstance(node, ast.Attribute)}


@cache
def _loaded_by(handler: Path) -> frozenset[str]:
    """Import a handler in a process of its own, and return the modules that are loaded then."""
    probe = f"""
import socket, sys
def refuse(*a, **k): raise AssertionError("a connection at import")
socket.socket.connect = refuse
sys.path[:0] = {[str(handler.parent), str(LIBRARY.parent)]!r}
import {handler.stem} as module
assert callable(module.handler)
print(*sys.modules)
"""
    environment = {"PATH": os.environ["PATH"], "POWERTOOLS_TRACE_DISABLED": "true"}
    done = subprocess.run([sys.executable, "-c", probe], env=environment, check=True, stdout=subprocess.PIPE)
    return frozenset(done.stdout.decode().split())


@pytest.mark.parametrize("path", HANDLERS, ids=lambda p: p.stem)
def test_importing_a_handler_needs_no_environment_and_opens_no_connection(path: Path) -> None:
    assert path.stem in _loaded_by(path)


def test_a_trace_holds_neither_an_answer_nor_what_an_error_carries() -> None:
    """By default both are written into it: of an error every attribute, such as the text that was no JSON."""
    paths = [path for folder in ("functions", "layers") for path in (ROOT / folder).rglob("*.py")]
    nodes = [node for path in paths for node in ast.walk(_parsed(path))]
    captures = [
        node
        for node in nodes
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2].startswith("capture_")
    ]
    assert captures
    for capture in captures:
        told = {keyword.arg: ast.unparse(keyword.value) for keyword in capture.keywords}
        assert told == {"capture_response": "False", "capture_error": "False"}, ast.unparse(capture)


@pytest.mark.parametrize("edge", ["", "arn:aws:secretsmanager:eu-central-1:123456789012:secret:edge"])
def test_the_authorizer_starts_without_what_it_does_not_use(edge: str) -> None:
    probe = f"""
import gc, sys
sys.path[:0] = {[str(ROOT / "functions" / "authorizer"), str(LIBRARY.parent)]!r}
import authorizer_handler
assert gc.isenabled() and gc.get_freeze_count() > 10_000
print(*sorted(sys.modules))
"""
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_FUNCTION_NAME": "authorizer",
        "SIGNET_EDGE_SECRET_ARN": edge,
    }
    done = subprocess.run([sys.executable, "-c", probe], env=environment, check=True, stdout=subprocess.PIPE)
    loaded = set(done.stdout.decode().split())
    assert "signet.handshake.authorizer" in loaded
    # What an edge attests is read with this parser: behind one, it is loaded before the first request.
    parser = {"http_sf", "typing_extensions"} if edge else set()
    assert loaded & AUTHORIZER_DOES_WITHOUT == parser


# Modules of signet.aws.compose that a function loads besides the one of its name.
SHARED = {"authorizer": {"handshake_settings", "issuer"}, "handshake": {"handshake_settings", "issuer"}}


@pytest.mark.parametrize("path", HANDLERS, ids=lambda p: p.stem)
def test_a_function_loads_the_composition_of_no_other(path: Path) -> None:
    begin = "signet.aws.compose."
    loaded = {name.removeprefix(begin) for name in _loaded_by(path) if name.startswith(begin)}
    service = path.parent.name
    assert loaded == {service} | SHARED.get(service, set())


@pytest.mark.parametrize("path", HANDLERS, ids=lambda p: p.stem)
def test_a_handler_leaves_clients_and_the_environments_variables_to_its_composition(path: Path) -> None:
    assert not {name for name in imports_of(path) if name.startswith(("signet.aws.session", "boto"))}
    texts = {node.value for node in ast.walk(_parsed(path)) if isinstance(node, ast.Constant)}
    assert not {text for text in texts if str(text).startswith("SIGNET_")}


# Members of API Gateway's events, in all payloads.
MEMBERS = {
    "authentication",
    "clientCert",
    "clientCertPem",
    "httpMethod",
    "isBase64Encoded",
    "methodArn",
    "multiValueHeaders",
    "multiValueQueryStringParameters",
    "pathParameters",
    "queryStringParameters",
    "rawPath",
    "rawQueryString",
    "requestContext",
    "resourcePath",
    "routeArn",
    "routeKey",
    "sourceIp",
}


def _members_named_in(path: Path) -> set[str]:
    nodes = ast.walk(_parsed(path))
    return MEMBERS & {node.value for node in nodes if isinstance(node, ast.Constant)}


def test_one_package_knows_what_events_look_like() -> None:
    files = [*LIBRARY.rglob("*.py"), *HANDLERS]
    knowing = {path.parent.name for path in files if _members_named_in(path)}
    assert knowing == {"gateway"}


def test_one_module_builds_what_an_event_is_decoded_to() -> None:
    builders = {
        path.relative_to(LIBRARY).as_posix()
        for path in LIBRARY.rglob("*.py")
        for node in ast.walk(_parsed(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "InboundRequest"
    }
    assert builders == {"gateway/inbound.py"}


def test_an_event_goes_no_further_than_the_door_of_the_authorizer() -> None:
    """``Authorizer.authorize`` has it decoded; nothing else of the handshake is given one."""
    given = {}
    for path in (LIBRARY / "handshake").glob("*.py"):
        for node in ast.walk(_parsed(path)):
            if isinstance(node, ast.FunctionDef):
                arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                said = {
                    argument.arg: ast.unparse(argument.annotation or ast.Constant(0))
                    for argument in arguments
                }
                if "event" in said or "Event" in said.values():
                    given[path.name, node.name] = [
                        ast.unparse(call)
                        for call in ast.walk(node)
                        if isinstance(call, ast.Call) and "event" in map(ast.unparse, call.args)
                    ]
    decoders = {"api_of(event)", "decode(event, api)"}
    refusing = {"decode_unknown(event, failure)", "decode_unknown(event, unknown_api())"}
    assert {place: set(calls) for place, calls in given.items()} == {
        ("authorizer.py", "authorize"): {"self._decode(event)"},
        ("authorizer.py", "_decode"): decoders | refusing,
    }
    source = (LIBRARY / "handshake" / "authorizer.py").read_text()
    uses = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Name) and n.id == "event"]
    assert len(uses) == 1 + len(decoders | refusing)


TERMINAL = ROOT / "client" / "signet_client" / "terminal.py"
PRINTERS = {ROOT / "local" / "demo.py"}  # with the markup of Rich, of its own words


def _talks_to_a_terminal(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(_parsed(path)):
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
    assert len({path.stem for path in HANDLERS}) == len(HANDLERS) == 8


FLAVOURS = {"dataclass(frozen=True, slots=True)", "dataclass(slots=True)"}


def _other_flavours(source: str) -> list[str]:
    """Return the dataclasses of another flavour than the two, unless a comment beside it says why."""
    lines, found = source.splitlines(), []
    for node in ast.walk(ast.parse(source)):
        for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
            text = ast.unparse(decorator).removeprefix("dataclasses.")
            why = "#" in lines[decorator.lineno - 1]
            if text.startswith("dataclass") and text not in FLAVOURS and not why:
                found.append(text)
    return found


@pytest.mark.parametrize(
    ("decorator", "others"),
    [
        ("dataclass(frozen=True, slots=True)", 0),
        ("dataclass(slots=True)", 0),
        ("dataclass(slots=True, frozen=True)", 1),
        ("dataclass(frozen=True, eq=False)  # told apart by identity", 0),
        ("dataclass", 1),
        ("dataclasses.dataclass(frozen=True)", 1),
    ],
)
def test_another_flavour_of_dataclass_is_found(decorator: str, others: int) -> None:
    assert len(_other_flavours(f"@{decorator}\nclass Value:\n    number: int\n")) == others


def test_values_are_frozen_and_what_changes_is_not() -> None:
    """Two flavours of dataclass: one for values, one for what changes; ``core/records.py`` says what else."""
    paths = [p for folder in ("layers", "client", "edge", "functions") for p in (ROOT / folder).rglob("*.py")]
    found = {str(p.relative_to(ROOT)): others for p in paths if (others := _other_flavours(p.read_text()))}
    assert found == {}


#: Where a value may be written down that has its home elsewhere: each format and each program of its own.
BINDING_NAMES = {"core/vocabulary.py", "receipts/v1.py", "pack/resources/verify.py"}
BASE64 = {
    "core/encoding.py",
    "handshake/challenge.py",  # base64url, behind a pattern that leaves one spelling
    "pack/contents.py",
    "pack/resources/verify.py",
    "receipts/reading.py",  # behind the table's own check
}


def _places(wanted: Callable[[ast.AST], bool]) -> set[str]:
    """Return the modules of library, client and functions that hold such a node."""
    roots = (LIBRARY, ROOT / "client" / "signet_client", ROOT / "functions")
    files = [(root, path) for root in roots for path in root.rglob("*.py")]
    return {
        path.relative_to(root).as_posix() for root, path in files if any(map(wanted, ast.walk(_parsed(path))))
    }


def test_names_of_bindings_have_one_home() -> None:
    names = {"tls-exporter", "tls-client-cert"}
    found = _places(lambda node: isinstance(node, ast.Constant) and node.value in names)
    assert "core/vocabulary.py" in found <= BINDING_NAMES


def test_the_length_of_a_day_has_one_home() -> None:
    found = _places(lambda node: isinstance(node, ast.Constant) and node.value == 86_400_000)
    assert found - {"pack/resources/verify.py"} == {"core/instants.py"}


def test_base64_is_decoded_in_one_place() -> None:
    """``signet.core.encoding`` takes one spelling of a value; the functions of Python take many."""
    decoders = {"b64decode", "a2b_base64", "urlsafe_b64decode"}
    found = _places(
        lambda node: (
            (isinstance(node, ast.Attribute) and node.attr in decoders)
            or (isinstance(node, ast.alias) and node.name in decoders)
        )
    )
    assert "core/encoding.py" in found <= BASE64
