"""Runs ``sam build``, once per state of the sources."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from pathlib import Path

from local.command import run
from local.errors import StackError
from local.tools import HOME, PYTHON_VERSION, ROOT, Report, base_env, python_of, sam

BUILDS = HOME / "builds"
_INPUTS = (
    "template.yaml",
    "edge/template.yaml",
    "functions",
    "layers",
    "policy",
    "local/requirements-sam.txt",
)
_KEPT_BUILDS = 4


def build(report: Report) -> Path:
    """Return the built template for the sources as they are, building only if they changed.

    Raises:
        StackError: the build failed.
    """
    return build_for(PYTHON_VERSION, report)


def build_for(version: str, report: Report) -> Path:
    """Return the template built for a runtime, as ``build`` does; its interpreter has to be on this machine.

    Args:
        version: the runtime's, as in ``3.13``.
        report: takes lines of progress.

    Raises:
        StackError: the build failed, or there is no such Python.
    """
    folder = BUILDS / _fingerprint(version)
    template = folder / "template.yaml"
    BUILDS.mkdir(parents=True, exist_ok=True)
    with (BUILDS / "lock").open("w") as lock:
        fcntl.flock(
            lock, fcntl.LOCK_EX
        )  # two stacks may start at once; the second finds the first one's build
        if template.is_file():
            os.utime(folder)
            return template
        report("building functions and layers (sam build)")
        unfinished = BUILDS / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        _sam_build(unfinished, version, report)
        unfinished.rename(folder)
        _forget_old_builds()
    return template


def _sam_build(folder: Path, version: str, report: Report) -> None:
    program = sam(report)
    # sam looks for an interpreter of the functions' runtime on PATH: its own may be one
    interpreters = program.parent if version == PYTHON_VERSION else _interpreters(version)
    env = base_env() | {
        "PATH": f"{interpreters}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "SIGNET_LAYER_PYTHON": version,
        "SIGNET_LAYER_ARCH": "native",
    }
    command: list[str | Path] = [
        program,
        "build",
        "--template-file",
        ROOT / "template.yaml",
        "--build-dir",
        folder,
    ]
    command += ["--config-file", ROOT / "samconfig.toml", "--config-env", "local", "--parallel"]
    command += ["--parameter-overrides", f"PythonRuntime=python{version}"]
    run(command, what="sam build", env=env, cwd=ROOT, log=BUILDS / "build.log")


def _interpreters(version: str) -> Path:
    """Return the folder of a Python of that version."""
    python = python_of(version)
    if python is None:
        raise StackError(
            f"The functions are built for Python {version}, which is not here: put python{version} on PATH, "
            f"or let `uv python install {version}` fetch it."
        )
    return Path(python).parent


def _fingerprint(version: str = PYTHON_VERSION) -> str:
    """Return a name for everything that goes into a build: sources, pins, interpreter."""
    digest = hashlib.sha256(f"{version} {os.uname().machine}".encode())
    for name in _INPUTS:
        top = ROOT / name
        files = [top] if top.is_file() else sorted(path for path in top.rglob("*") if path.is_file())
        for path in files:
            if "__pycache__" not in path.parts:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
                digest.update(f"{path.relative_to(ROOT)}\0{content}\0".encode())
    return digest.hexdigest()[:16]


def _forget_old_builds() -> None:
    builds = [path for path in BUILDS.iterdir() if path.is_dir()]
    for path in sorted(builds, key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT_BUILDS:]:
        shutil.rmtree(path, ignore_errors=True)
