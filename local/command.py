"""Runs other programs so that none outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from local.errors import StackError

_LAST_LINES = 25


def run(command: Sequence[str | Path], *, what: str, env: Mapping[str, str], cwd: Path, log: Path) -> None:
    """Run a command to its end, its output in ``log``; end it and its children if we are interrupted.

    What it leaves in its temporary folder goes with it: `sam deploy` alone leaves a folder per function.

    Args:
        command: program and arguments.
        what: what it does, for the error message: "sam build".
        env: its whole environment, but for TMPDIR.
        cwd: folder it runs in.
        log: file that takes standard output and error (replaced).

    Raises:
        StackError: it could not be started or did not exit with 0; holds the end of its output.
    """
    with log.open("wb") as output, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        try:
            process = subprocess.Popen(
                [str(part) for part in command],
                env={**env, "TMPDIR": scratch},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a group of its own, so that the whole of it can be ended
            )
        except OSError as error:
            raise StackError(f"{what} could not be started: {error}") from error
        try:
            code = process.wait()
        except BaseException:
            end_group(process.pid)
            process.wait()
            raise
    if code != 0:
        raise StackError(f"{what} failed (exit code {code}):\n{tail(log)}")


def end_group(group: int, *, number: int = signal.SIGKILL) -> None:
    """Send a signal to a process group; one that is gone already is fine."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def end_child(process: subprocess.Popen[bytes], *, seconds: float) -> None:
    """End a child that leads a group: close its input, ask the group to stop, after ``seconds`` make it."""
    if process.stdin is not None:
        process.stdin.close()
    end_group(process.pid, number=signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        end_group(process.pid)
        process.wait()


def tail(log: Path, lines: int = _LAST_LINES) -> str:
    """Return the last lines of a log file, indented; empty if there is none."""
    try:
        text = log.read_text(errors="replace")
    except OSError:
        return ""
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])
