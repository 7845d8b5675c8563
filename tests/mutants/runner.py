"""Runs the tests of a mutant in a copy of the tree; the tree itself is never changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.mutants.operators import Mutant

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("layers/signet", "client", "edge")


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

    def write(self, name: str, data: bytes) -> None:
        """Write a file so that no bytecode of another version of it is taken for its own."""
        path = self.folder / name
        path.write_bytes(data)
        self._written += 2  # a .pyc is known by the second its source was written in, and its size
        os.utime(path, (self._written, self._written))

    def survives(self, mutant: Mutant, tests: list[str], *, timeout_s: float) -> bool:
        """Whether all tests pass; they stop at the first that fails. What hangs has been noticed."""
        source = (ROOT / mutant.module).read_bytes()
        self.write(mutant.module, mutant.apply(source))
        try:
            return self.passes(tests, timeout_s=timeout_s)
        finally:
            self.write(mutant.module, source)

    def passes(self, tests: list[str], *, timeout_s: float) -> bool:
        """Run some test files; True if every test passes."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "--timeout", "60"]
        vectors = os.environ.get("SIGNET_VECTORS", str(ROOT.parent / "shared" / "vectors"))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(self.folder / name) for name in _PACKAGES),
            "SIGNET_VECTORS": vectors,
        }
        process = subprocess.Popen(
            [*command, *tests],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(timeout_s) == 0
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()
            return False
