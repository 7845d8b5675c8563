"""What the layers are built from is what the lock file says, and what they hold is what is in force."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.template.cloudformation import ROOT, source


@pytest.fixture
def uv():
    found = shutil.which(os.environ.get("UV", "uv")) or shutil.which(str(ROOT / ".local/tools/uv/bin/uv"))
    if found is None:
        pytest.skip("uv is not on PATH: run the tests through make, which brings it")
    return str(Path(found).absolute())  # make runs in other folders


def make(*arguments, cwd, **env):
    result = subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=cwd,
        env=os.environ | env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result


def test_the_layers_requirements_are_what_the_lock_file_says(uv, tmp_path):
    fresh = tmp_path / "requirements.txt"
    make("requirements", f"OUTPUT={fresh}", f"UV={uv}", cwd=ROOT)
    committed = (ROOT / "layers/signet/requirements.txt").read_text()
    assert committed == fresh.read_text(), "stale: run `make requirements`"


def test_the_layer_leaves_out_what_the_runtime_brings():
    pins = (ROOT / "layers/signet/requirements.txt").read_text().splitlines()
    names = {line.split("==")[0] for line in pins if "==" in line}
    assert {"cryptography", "aws-lambda-powertools", "http-message-signatures", "regopy"} <= names
    assert names.isdisjoint({"boto3", "botocore", "s3transfer"})


def test_every_pin_has_a_hash():
    for path in (ROOT / "layers/signet/requirements.txt", *(ROOT / "local").glob("requirements-*.txt")):
        blocks = path.read_text().replace("\\\n", "").splitlines()
        pins = [line for line in blocks if "==" in line and not line.lstrip().startswith("#")]
        assert pins, path
        assert [line for line in pins if "--hash=sha256:" not in line] == [], path


@pytest.fixture
def unlink_libatomic():
    path = ROOT / "layers/signet/unlink_libatomic.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def engine(tmp_path):
    """Return a copy of the policy engine's library as its wheel brings it."""
    found = Path(importlib.util.find_spec("regopy").origin).with_name("librego_shared.so")
    if not found.is_file():
        pytest.skip("the policy engine's library is no ELF file on this system")
    return Path(shutil.copy(found, tmp_path))


def test_the_policy_engine_asks_only_for_what_the_runtime_promises_to_have(unlink_libatomic, engine):
    before = unlink_libatomic.Library(bytearray(engine.read_bytes()))
    assert unlink_libatomic.main(engine) is None
    after = unlink_libatomic.Library(bytearray(engine.read_bytes()))
    assert set(after.needed()) == set(before.needed()) - {b"libatomic.so.1"}
    assert after.symbol_sources() == before.symbol_sources()


def test_a_library_that_is_used_is_not_taken_away(unlink_libatomic, engine, monkeypatch):
    monkeypatch.setattr(unlink_libatomic, "UNWANTED", b"libstdc++.so.6")
    before = engine.read_bytes()
    assert "takes symbols from libstdc++.so.6" in unlink_libatomic.main(engine)
    assert engine.read_bytes() == before


def test_what_is_no_library_is_left_alone(unlink_libatomic, tmp_path):
    path = tmp_path / "text.so"
    path.write_bytes(b"INPUT(libc.so.6)")
    with pytest.raises(ValueError, match="no 64-bit"):
        unlink_libatomic.main(path)
    assert path.read_bytes() == b"INPUT(libc.so.6)"


def test_the_policy_layer_holds_the_policy_without_its_tests(tmp_path):
    folder = tmp_path / "policy"
    folder.mkdir()
    shutil.copy(ROOT / "policy/Makefile", folder)
    (folder / "a.rego").write_text("package a\n")
    (folder / "a_test.rego").write_text("package a_test\n")
    (folder / "config.json").write_text("{}")
    (folder / "notes.md").write_text("no policy")
    (folder / "development").mkdir()
    (folder / "development/config.json").write_text('{"relaxed": true}')
    out = tmp_path / "out"
    make("build-PolicyLayer", f"ARTIFACTS_DIR={out}", cwd=folder)
    built = {path.name for path in (out / "python/signet_policy").iterdir()}
    assert built == {"__init__.py", "a.rego", "config.json", "development"}
    assert (out / "python/signet_policy/config.json").read_text() == "{}"
    assert (out / "python/signet_policy/development/config.json").read_text() == '{"relaxed": true}'
    assert (out / "python/signet_policy/a.rego").read_text() == "package a\n"


def test_the_layer_builds_for_this_interpreter_and_imports(uv, tmp_path):
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    native = {"SIGNET_LAYER_ARCH": "native", "SIGNET_LAYER_PYTHON": version, "UV": uv}
    make("build-SignetLayer", f"ARTIFACTS_DIR={tmp_path}", cwd=ROOT / "layers/signet", **native)
    program = "import signet, cryptography; print(signet.__file__); print(cryptography.__file__)"
    found = subprocess.run(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(tmp_path / "python")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert all(line.startswith(str(tmp_path)) for line in found), found


def test_a_wrong_architecture_is_refused_in_words(tmp_path):
    result = subprocess.run(
        ["make", "build-SignetLayer", f"ARTIFACTS_DIR={tmp_path}", "SIGNET_LAYER_ARCH=sparc"],
        cwd=ROOT / "layers/signet",
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert "set it to x86_64, arm64 or native" in result.stderr


def test_every_environment_sets_only_parameters_that_exist():
    config = tomllib.loads((ROOT / "samconfig.toml").read_text())
    parameters = source()["Parameters"]
    assert {"local", "localstack", "dev", "prod"} <= set(config)
    for name, environment in config.items():
        if name == "version":
            continue
        for override in environment["deploy"]["parameters"].get("parameter_overrides", []):
            key, _, value = override.partition("=")
            assert key in parameters, (name, key)
            assert value in map(str, parameters[key].get("AllowedValues", [value])), (name, override)
