"""Runs of the ``signet`` command that do not load Python and the libraries anew: a second each.

One process that has loaded the command forks a child for each run, with arguments, environment and files
of its own. What loading does, and how the interpreter ends, only a process of its own shows.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Commands:
    """The command, ready to be run."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def run(
        self,
        arguments: Sequence[object],
        env: Mapping[str, str],
        *,
        terminal: str | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run the command to its end.

        Args:
            arguments: those that are bytes go as they are, of others the text.
            env: the whole environment.
            terminal: a terminal to be standard output and error; without one, both are kept for the caller.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        texts = [os.fsdecode(one) if isinstance(one, bytes) else str(one) for one in arguments]
        with tempfile.TemporaryDirectory() as folder:
            paths = [terminal or f"{folder}/{name}" for name in ("out", "err")]
            self._process.stdin.write(json.dumps([texts, dict(env), *paths]) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            out, err = (b"" if terminal else Path(path).read_bytes() for path in paths)
        return subprocess.CompletedProcess(texts, code, out, err)


@contextmanager
def commands() -> Iterator[Commands]:
    """Start the process that runs commands."""
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
    ) as process:
        assert process.stdin is not None
        yield Commands(process)
        process.stdin.close()


def _run(arguments: list[str], env: dict[str, str], out: str, err: str) -> int:
    """Be the command, in a process that is of no use for anything else after it."""
    from signet_client.cli import main  # noqa: PLC0415 - loaded by the parent

    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, out, os.O_WRONLY | os.O_CREAT),
        (2, err, os.O_WRONLY | os.O_CREAT),
    ):
        os.dup2(os.open(path, flags, 0o600), number)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = [
        str(Path(sys.modules["signet_client.cli"].__file__ or "").with_name("__main__.py")),
        *arguments,
    ]
    code: Any = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    sys.stderr.flush()
    return int(code or 0)


def _main() -> None:
    """For each line with arguments, environment and files write a line with the exit code."""
    import boto3  # noqa: F401, PLC0415 - what runs load only when they need it is loaded once

    import signet_client  # noqa: PLC0415

    for module in pkgutil.walk_packages(signet_client.__path__, "signet_client."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            os._exit(_run(*json.loads(line)))
        _pid, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
