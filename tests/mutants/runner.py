"""Runs the tests of a mutant in a copy of the tree; the tree itself is never changed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from enum import StrEnum
from pathlib import Path

from tests.mutants.operators import Mutant

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("layers/signet", "client", "edge")
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
        self._written = time.time()
        self._clean: dict[str, bool] = {}  # tests that failed with a mutant: whether they pass without

    def write(self, name: str, data: bytes) -> None:
        """Write a file so that no bytecode of another version of it is taken for its own."""
        path = self.folder / name
        path.write_bytes(data)
        self._written += 2  # a .pyc is known by the second its source was written in, and its size
        os.utime(path, (self._written, self._written))

    def judge(self, mutant: Mutant, tests: list[str], *, timeout_s: float) -> Outcome:
        """Run the tests that have to notice a mutant; they stop at the first that fails.

        Noticed it is only if that very test passes without the mutant: one that fails anyway notices nothing.
        """
        source = (ROOT / mutant.module).read_bytes()
        self.write(mutant.module, mutant.apply(source))
        try:
            failed = self.first_failure(tests, timeout_s=timeout_s)
        except subprocess.TimeoutExpired:
            return Outcome.UNDECIDED
        finally:
            self.write(mutant.module, source)
        if failed is None:
            return Outcome.SURVIVED
        if failed not in self._clean:
            self._clean[failed] = self.first_failure([failed], timeout_s=timeout_s) is None
        return Outcome.NOTICED if self._clean[failed] else Outcome.UNDECIDED

    def first_failure(self, tests: list[str], *, timeout_s: float) -> str | None:
        """Run tests; return the first that fails (or the file that cannot be read), None if all pass.

        Raises:
            subprocess.TimeoutExpired: they were not done in time.
        """
        options = ["-x", "-q", "-rfE", "--no-header", "-p", "no:cacheprovider", "--timeout", "120"]
        vectors = os.environ.get("SIGNET_VECTORS", str(ROOT.parent / "shared" / "vectors"))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(self.folder / name) for name in _PACKAGES),
            "SIGNET_VECTORS": vectors,
            "COLUMNS": "1000",  # or ids are cut
        }
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "pytest", *options, *tests],
                cwd=self.folder,
                env=environment,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 9)
                process.wait()
                raise
            said.seek(0)
            found = _FAILED.search(said.read())
        if code == 0:
            return None
        return found[1] if found else tests[0]
