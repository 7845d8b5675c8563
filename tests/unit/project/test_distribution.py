"""The wheel: what it holds, and that its metadata can make no installer fetch a stranger's package."""

import ast
import email
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
STUBS = ("dynamodb", "lambda", "s3", "secretsmanager", "sqs", "ssm")
OURS = {"signet", "signet_client"}
#: Imported only where they are: liboqs is the operator's choice, requests the caller's, stubs the checker's.
OPTIONAL = {"oqs", "requests", *(f"mypy_boto3_{name}" for name in STUBS)}


def normalized(requirement: str) -> str:
    found = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert found, requirement
    return re.sub(r"[-_.]+", "-", found[0]).lower()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (file,) = folder.glob("*.whl")
    assert file.name.startswith("signet_pch-"), "a name that was free on the index, not a stranger's"
    return zipfile.ZipFile(file)


@pytest.fixture(scope="module")
def required(wheel) -> set[str]:
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    fields = email.message_from_bytes(wheel.read(name)).get_all("Requires-Dist")
    assert fields
    return set(map(normalized, fields))


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """Files of library and client that git knows: a working tree may hold others."""
    if not (ROOT / ".git").exists():
        pytest.skip(
            "these sources are no git repository (an unpacked archive): nothing says which files belong"
        )
    if shutil.which("git") is None:
        pytest.skip("git is not installed: nothing says which files belong")
    listed = ["git", "ls-files", "client/signet_client", "layers/signet/signet"]
    return subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()


def test_the_wheel_holds_library_and_client_whole(wheel, tracked):
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    expected = {re.sub(r"^(client|layers/signet)/", "", name) for name in tracked if (ROOT / name).exists()}
    assert expected
    assert expected <= held


def test_no_metadata_names_a_distribution_of_ours(required):
    declared = []
    for file in ROOT.glob("**/pyproject.toml"):
        if {".venv", ".local", ".aws-sam", "node_modules"} & set(file.parts):
            continue
        project = tomllib.loads(file.read_text()).get("project", {})
        declared += project.get("dependencies", [])
        declared += [one for extra in project.get("optional-dependencies", {}).values() for one in extra]
    assert declared
    named = required | set(map(normalized, declared))
    assert not [name for name in named if name.startswith("signet")]


#: Data, which ``zoneinfo`` of the standard library finds by itself.
NOT_IMPORTED = {"tzdata"}


def test_what_is_imported_is_declared_and_nothing_else_is(required):
    provided = packages_distributions()
    imported = set()
    for package in ("client/signet_client", "layers/signet/signet"):
        for file in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_bytes())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module or ""]
                imported |= {name.partition(".")[0] for name in names}
    foreign = imported - sys.stdlib_module_names - OURS - OPTIONAL
    needed = {normalized(provided[name][0]) for name in foreign} | NOT_IMPORTED
    assert needed - {"botocore"} == required, "boto3 brings botocore in the version it fits"
