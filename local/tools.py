"""The programs the embedded stack is made of, each in an environment of its own under .local/tools/."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from local.command import run
from local.environment import NEUTRAL, no_proxy
from local.errors import StackError

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".local"
TOOLS = HOME / "tools"

#: What LocalStack's last free release runs with (its code imports what Python 3.12 has not).
LOCALSTACK_PYTHON = "3.13"
#: The template's default runtime.
LAMBDA_PYTHON = "3.13"
PYTHON_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

Report = Callable[[str], None]


def base_env() -> dict[str, str]:
    """Return the environment for tools: this one without anything that is about an AWS account or a Python.

    No profile, credentials file or endpoint of the user's can leak in, and no telemetry out. A proxy stays,
    for what is installed from elsewhere, but not for this machine's own addresses.
    """
    foreign = (
        "AWS_",
        "SAM_CLI_",
        "PYTHON",
        "VIRTUAL_ENV",
        "SIGNET_",
        "POWERTOOLS_",
        "LAMBDA_",
        "MINISTACK_",
        "MAKE",
        "MFLAGS",
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {
        **kept,
        **no_proxy(os.environ),
        **NEUTRAL,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "SAM_CLI_TELEMETRY": "0",
        "SAM_CLI_POLL_DELAY": "0.1",
        "SIGNET_STATE": str(HOME / "state"),  # logs of the embedded stack are none that the user follows
        "UV": str(uv()),
        "UV_NO_PROGRESS": "1",
    }


def uv() -> Path:
    """Return the uv to use: $UV, the one on PATH, or the one the Makefile installed.

    Raises:
        StackError: there is none.
    """
    wanted = os.environ.get("UV", "uv")
    found = shutil.which(wanted) or shutil.which(str(TOOLS / "uv" / "bin" / "uv"))
    if found is None:
        raise StackError("uv is missing: run `make up`, which installs it, or put uv on PATH.")
    return Path(found).absolute()


def emulator_python(report: Report) -> Path:
    """Return the interpreter of the emulator's environment, made if need be.

    Functions run with this interpreter, so it is the same version as ours, for which the layer is built.
    """
    return _environment("ministack", report) / "bin" / "python"


def sam(report: Report) -> Path:
    """Return the SAM CLI, installed if need be."""
    return _environment("sam", report) / "bin" / "sam"


def runtime_python(report: Report) -> Path:
    """Return the interpreter of an environment like Lambda's (interface client, SDK), made if need be."""
    return _environment("runtime", report) / "bin" / "python"


def runtime_emulator(report: Report) -> Path:
    """Return AWS's runtime interface emulator for this machine, which comes with the SAM CLI."""
    machine = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    pattern = f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}"
    found = next(_environment("sam", report).glob(pattern), None)
    if found is None:
        raise StackError(f"the SAM CLI has no runtime emulator for {machine}: use x86_64 or arm64.")
    return found


def localstack_python(report: Report) -> Path:
    """Return the interpreter of LocalStack's environment, made if need be.

    Raises:
        StackError: there is no Python that it runs with.
    """
    python = python_of(LOCALSTACK_PYTHON)
    if python is None:
        raise StackError(
            f"LocalStack needs Python {LOCALSTACK_PYTHON}, which is not here: put python{LOCALSTACK_PYTHON} "
            f"on PATH, or let `uv python install {LOCALSTACK_PYTHON}` fetch it."
        )
    return _environment("localstack", report, python) / "bin" / "python"


def python_of(version: str) -> str | None:
    """Return an interpreter of a version, found on PATH, among uv's or pyenv's; None without one."""
    find = [str(uv()), "python", "find", "--no-config", "--no-project", "--no-python-downloads", version]
    found = subprocess.run(find, env=base_env(), cwd=ROOT, capture_output=True, text=True, check=False)
    path = found.stdout.strip()
    if found.returncode == 0 and path:
        return path
    # pyenv's shim is on PATH and fails unless the version is chosen.
    installed = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv", "versions")
    usable = sorted(installed.glob(f"{version}.*/bin/python{version}"))
    return str(usable[-1]) if usable else None


def _environment(name: str, report: Report, python: str | None = None) -> Path:
    """Return the folder of a tool's environment that matches its pins; make it if it is not there."""
    pins = ROOT / "local" / f"requirements-{name}.txt"
    version = python or sys.version
    wanted = hashlib.sha256(pins.read_bytes() + version.encode()).hexdigest()
    folder = TOOLS / name
    stamp = folder / "ready"
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two stacks may start at once
        if stamp.is_file() and stamp.read_text() == wanted:
            return folder
        report(f"installing {name} (once)")
        shutil.rmtree(folder, ignore_errors=True)
        _install(folder, pins, base_env(), python or _base_python())
        stamp.write_text(wanted)
    return folder


def _install(folder: Path, pins: Path, env: Mapping[str, str], python: str) -> None:
    log = folder.with_suffix(".log")
    # --seed: `sam build` looks for pip beside the interpreter, even where there is nothing to install
    make: list[str | Path] = [
        uv(),
        "venv",
        "--quiet",
        "--no-config",
        "--seed",
        "--python",
        python,
        folder,
    ]
    run(make, what="making an environment", env=env, cwd=ROOT, log=log)
    install: list[str | Path] = [
        uv(),
        "pip",
        "install",
        "--quiet",
        "--no-config",
        "--require-hashes",
        "--compile-bytecode",
    ]
    target: list[str | Path] = ["--python", folder / "bin" / "python", "-r", pins]
    run([*install, *target], what=f"installing {pins.name}", env=env, cwd=ROOT, log=log)


def _base_python() -> str:
    """Return the interpreter that ours was made from: an environment's own would be one that may go away."""
    return str(getattr(sys, "_base_executable", sys.executable))
