"""Runs the tests of a mutant in a copy of the tree; the tree itself is never changed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from enum import StrEnum
from pathlib import Path

from tests.mutants.operators import Mutant

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("layers/signet", "client", "edge")
_OPTIONS = ("-x", "-q", "-rfE", "--no-header", "-p", "no:cacheprovider", "--timeout", "120")
# The server has imported plugins before pytest could look into them.
_OPTIONS += ("-W", "ignore::pytest.PytestAssertRewriteWarning")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)


class Outcome(StrEnum):
    """What became of a mutant; undecided: out of time, or the test that failed fails without it, too."""

    NOTICED = "noticed"
    SURVIVED = "SURVIVED"
    UNDECIDED = "undecided"


class Copy:
    """A copy of the tree in which one mutant at a time lives."""

    def __init__(self, folder: Path) -> None:
        """Copy what git tracks, as it is in the working tree, and what it does not ignore."""
        self.folder = folder
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True).stdout.decode().split("\0")
        for name in filter(None, names):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        # Tests of what git tracks ask git.
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
        self._server = _Server(folder)
        self._written = time.time()
        self._clean: dict[str, bool] = {}  # tests that failed with a mutant: whether they pass without

    def close(self) -> None:
        """End its processes."""
        self._server.close()

    def write(self, name: str, data: bytes) -> None:
        """Write a file so that no bytecode of another version of it is taken for its own."""
        path = self.folder / name
        path.write_bytes(data)
        self._written += 2  # a .pyc is known by the second its source was written in, and its size
        os.utime(path, (self._written, self._written))

    def judge(self, mutant: Mutant, tests: list[list[str]], *, timeout_s: float) -> Outcome:
        """Run the tests that have to notice a mutant, list by list; they stop at the first that fails.

        Noticed it is only if that very test passes without the mutant: one that fails anyway notices nothing.
        """
        source = (ROOT / mutant.module).read_bytes()
        undecided = False
        for some in tests:
            self.write(mutant.module, mutant.apply(source))
            try:
                failed = self.first_failure(some, timeout_s=timeout_s)
            except subprocess.TimeoutExpired:
                return Outcome.UNDECIDED
            finally:
                self.write(mutant.module, source)
            if failed and self._passes_without(failed, timeout_s):
                return Outcome.NOTICED
            undecided = undecided or isinstance(failed, str)
        return Outcome.UNDECIDED if undecided else Outcome.SURVIVED

    def _passes_without(self, failed: str | list[str], timeout_s: float) -> bool:
        """Whether what failed with a mutant passes without any."""
        alone = [failed] if isinstance(failed, str) else failed
        known = "\n".join(alone)
        if known not in self._clean:
            self._clean[known] = self.first_failure(alone, timeout_s=timeout_s) is None
        return self._clean[known]

    def first_failure(self, tests: list[str], *, timeout_s: float) -> str | list[str] | None:
        """Run tests; return the first that fails, or the file that cannot be read.

        None if all pass; all of them if pytest cannot find one: what cannot be imported hides its tests.

        Raises:
            subprocess.TimeoutExpired: they were not done in time.
        """
        code, said = self._server.run([*_OPTIONS, *tests], timeout_s=timeout_s)
        found = _FAILED.search(said)
        if code == 0:
            return None
        return found[1] if found else tests


class _Server:
    """A process that forks for each run; what is not ours is imported once."""

    def __init__(self, folder: Path) -> None:
        vectors = os.environ.get("SIGNET_VECTORS", str(ROOT.parent / "shared" / "vectors"))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.mutants.forkserver"],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(str(folder / name) for name in _PACKAGES),
                "SIGNET_VECTORS": vectors,
                "COLUMNS": "1000",  # or ids are cut
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments: list[str], *, timeout_s: float) -> tuple[int, str]:
        """Return pytest's exit code and what it said.

        Raises:
            subprocess.TimeoutExpired: it was not done in time, and is no more.
        """
        orders, answers = self._process.stdin, self._process.stdout
        assert orders is not None
        assert answers is not None
        with tempfile.NamedTemporaryFile("r") as said:
            orders.write(json.dumps([said.name, arguments]) + "\n")
            orders.flush()
            group = int(answers.readline())
            late = threading.Event()

            def end() -> None:
                late.set()
                os.killpg(group, signal.SIGKILL)

            timer = threading.Timer(timeout_s, end)
            timer.start()
            try:
                code = int(answers.readline())
            finally:
                timer.cancel()
            if late.is_set():
                raise subprocess.TimeoutExpired(arguments, timeout_s)
            return code, said.read()

    def close(self) -> None:
        """End it; runs that go on are not waited for."""
        self._process.kill()
        self._process.communicate()
