"""VERIFY.md, followed without a shell: the page's own Python, some hundredths of a second for a pack.

One process without Signet's library is asked for pack after pack, and forks a child for each. What the page's
shell does around the Python is done here: tests hold that a real shell prints the same lines.
"""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import CodeType
from typing import Any

from tests.support import stand_in_openssl

_SHARED = re.compile(r"^cat > \"\$HAND/common\.py\" <<'EOF'\n(.*?)^EOF$", re.MULTILINE | re.DOTALL)
_STEP = re.compile(r"^```sh\nstep ([0-9]) <<'EOF'\n(.*?)^EOF\n```$", re.MULTILINE | re.DOTALL)
_KNOWS = ("ED25519", "ML-DSA-65")


@dataclass(frozen=True, slots=True)
class Followed:
    """What the page printed.

    Attributes:
        lines: one of each step, and the verdict.
        stopped: the step that failed; None if each passed.
    """

    lines: tuple[str, ...]
    stopped: int | None


class Follower:
    """The page, ready to be followed with one pack after the other."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def follow(self, data: bytes, log_id: str, *, openssl: Sequence[str] | None = _KNOWS) -> Followed:
        """Follow the page's steps up to the first that fails, with an openssl that knows these algorithms."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "pack.zip").write_bytes(data)
            asked = {"folder": folder, "log_id": log_id, "knows": openssl and list(openssl)}
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            answer = json.loads(self._process.stdout.readline())
        return Followed(tuple(answer["lines"]), answer["stopped"])


@contextmanager
def follower(text: str) -> Iterator[Follower]:
    """Start the process that follows this page."""
    [shared], steps = _SHARED.findall(text), _STEP.findall(text)
    assert [number for number, _source in steps] == ["1", "2", "3", "4", "5"]
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": ""},
    ) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps([shared, *(source for _number, source in steps)]) + "\n")
        yield Follower(process)
        process.stdin.close()


def _run(program: CodeType) -> tuple[bool, str]:
    """Run the Python of one step; return whether it passed, and what ``step`` shows of its output."""
    printed = io.StringIO()
    passed = False
    with redirect_stdout(printed), redirect_stderr(printed):
        try:
            exec(program, {"__name__": "__main__"})  # the page's own text
            passed = True
        except SystemExit as end:
            sys.stderr.write(f"{end.code}\n")
        except BaseException:  # noqa: BLE001 - what ends the interpreter ends the step
            traceback.print_exc()
    last = printed.getvalue().encode(errors="backslashreplace").rstrip(b"\n").rpartition(b"\n")[2]
    return passed, "".join(chr(byte) if 0x20 <= byte <= 0x7E else "?" for byte in last)


def _answer_for_openssl(knows: list[str] | None) -> None:
    """Answer what the page asks the program openssl in this process, from now on."""

    def run(command: list[str], **_how: Any) -> subprocess.CompletedProcess[bytes]:
        program, *words = command
        assert program == "openssl"
        if knows is None:
            raise FileNotFoundError(program)
        code, said = stand_in_openssl.answer(words, knows)
        return subprocess.CompletedProcess(command, code, said.encode(), b"")

    subprocess.run = run  # type: ignore[assignment] # of the child only


def _follow(
    programs: Sequence[CodeType], folder: str, log_id: str, knows: list[str] | None
) -> dict[str, Any]:
    """Follow the page in this process, which is of no use for anything else after it."""
    hand = Path(folder) / "hand"
    (hand / "pack").mkdir(parents=True)
    os.chdir(hand / "pack")
    sys.argv = ["-", f"{folder}/pack.zip", log_id]
    _answer_for_openssl(knows)
    lines: list[str] = []
    stopped = None
    for number, program in enumerate(programs, 1):
        if stopped is not None:
            lines.append(f"step {number}: NOT RUN, because step {number - 1} has not passed")
            continue
        passed, said = _run(program)
        lines.append(f"step {number}: {'ok' if passed else 'FAILED'}: {said}")
        stopped = None if passed else number
    if stopped is None:
        lines += (hand / "verdict").read_text().splitlines()
    else:
        lines.append(f"BAD, or not checked: step {stopped} has not passed")
    return {"lines": lines, "stopped": stopped}


def main() -> None:
    """Read the page's sources, then for each line that names a folder with a pack write a line of answer."""
    shared, *steps = json.loads(sys.stdin.readline())
    programs = [compile(shared + step, "<stdin>", "exec") for step in steps]
    exec(shared, {})  # what it imports is imported once, not in each child
    while line := sys.stdin.readline():
        child = os.fork()
        if child == 0:
            asked = json.loads(line)
            answer = _follow(programs, asked["folder"], asked["log_id"], asked["knows"])
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
            os._exit(0)
        _pid, status = os.waitpid(child, 0)
        assert status == 0, status


if __name__ == "__main__":
    main()
