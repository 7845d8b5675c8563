"""Which tests run which lines of the critical modules, and for how long: a plugin of pytest, and its reader.

A test is run to find out; what it is found to run is kept in one JSON file, beside how long it took. What a
fixture of a whole file runs, every test of that file counts as running.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final

import coverage
import pytest

from tests.mutants.modules import ROOT, critical, files_for

#: Names the file that the plugin writes; without it the plugin does nothing.
WRITE_TO: Final = "SIGNET_COVERING"
#: The tests of one file, as a context of coverage's: what a shared fixture ran.
_FILE: Final = "file:"
#: What a test costs at least: it is found, set up and torn down.
_LEAST_S: Final = 0.02
#: A file that takes longer to read than this is read only if the tests of all others pass.
_LATE_S: Final = 3.0
#: The first try: so many tests, of so many files at most.
_FIRST_TESTS: Final = 40
_FIRST_FILES: Final = 2


class Recorder:
    """Asks coverage which lines run, one context a test."""

    def __init__(self) -> None:
        self._coverage = coverage.Coverage(
            data_file=None, config_file=False, include=[str(ROOT / name) for name in critical()]
        )
        self._seconds: dict[str, float] = defaultdict(float)
        self._collecting: dict[str, float] = {}
        self._test = ""
        self._coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self, collector: pytest.Collector) -> Iterator[None]:
        started = time.perf_counter()
        try:
            return (yield)
        finally:
            if isinstance(collector, pytest.Module):
                self._collecting[collector.nodeid] = time.perf_counter() - started

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self._test = item.nodeid
        self._coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self._test = ""
            self._coverage.switch_context("")

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
        if fixturedef.scope == "function" or not self._test:
            return (yield)
        self._coverage.switch_context(_FILE + self._test.partition("::")[0])
        try:
            return (yield)
        finally:
            self._coverage.switch_context(self._test)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        data = self._coverage.get_data()
        lines = {
            Path(file).relative_to(ROOT).as_posix(): {
                str(line): [name for name in names if name]
                for line, names in data.contexts_by_lineno(file).items()
            }
            for file in data.measured_files()
        }
        Path(os.environ[WRITE_TO]).write_text(
            json.dumps({"seconds": self._seconds, "collecting": self._collecting, "lines": lines}),
            encoding="utf-8",
        )


def record(path: Path) -> None:
    """Run all tests that have to hold a critical module, once, and write what they run to a file.

    Raises:
        subprocess.CalledProcessError: pytest did not come to its end.
    """
    files = sorted({file for module in critical() for file in files_for(module)})
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", __name__, "-m", "not integration", *files],
        cwd=ROOT,
        env={**os.environ, WRITE_TO: str(part), "COVERAGE_CORE": "ctrace"},
        stdout=sys.stderr,
        check=False,
    )
    if ran.returncode not in (0, 1):  # a test that fails notices no mutant, and is told apart later
        raise subprocess.CalledProcessError(ran.returncode, ran.args)
    part.replace(path)


def pytest_configure(config: pytest.Config) -> None:
    if os.environ.get(WRITE_TO):
        config.pluginmanager.register(Recorder())


class Covering:
    """What the plugin found."""

    def __init__(self, path: Path) -> None:
        """Read the file that the plugin wrote."""
        found = json.loads(path.read_bytes())
        self._seconds: Mapping[str, float] = found["seconds"]
        self._lines: Mapping[str, Mapping[str, list[str]]] = found["lines"]
        self._late = {file for file, seconds in found["collecting"].items() if seconds > _LATE_S}
        self._of_file: dict[str, list[str]] = defaultdict(list)
        for test in self._seconds:
            self._of_file[_file(test)].append(test)

    def tests_for(self, module: str, first: int, last: int, *, budget_s: float) -> list[list[str]]:
        """Return the tests that run a line of these, in the order in which they should be tried.

        A few that are likely to notice come first: the quickest of the module's own, then the quickest. All
        others that the budget pays for follow, and last those of files that take long to read. What runs when
        a module is imported is run by all tests of the module, also by those that read a constant only.
        """
        lines = self._lines.get(module, {})
        contexts = {name for line in range(first, last + 1) for name in lines.get(str(line), ())}
        if not contexts or _runs_on_import(module, first):
            contexts = {name for names in lines.values() for name in names}
            contexts.update(_FILE + file for file in files_for(module))
        tests: set[str] = set()
        for name in contexts:
            tests.update(self._of_file[name.removeprefix(_FILE)] if name.startswith(_FILE) else [name])
        stem = Path(module).stem.strip("_")

        def cost(test: str) -> tuple[bool, bool, float, str]:
            file = _file(test)
            return (file in self._late, stem not in file, self._seconds[test], test)

        first_tests: list[str] = []
        others: list[str] = []
        late: list[str] = []
        spent, files = 0.0, set[str]()
        for test in sorted(tests & self._seconds.keys(), key=cost):
            spent += max(self._seconds[test], _LEAST_S)
            if first_tests and spent > budget_s:
                break
            if _file(test) in self._late:
                late.append(test)
            elif len(files | {_file(test)}) <= _FIRST_FILES and len(first_tests) < _FIRST_TESTS:
                files.add(_file(test))
                first_tests.append(test)
            else:
                others.append(test)
        return [part for part in (first_tests, others, late) if part]


@cache
def _functions(module: str) -> list[range]:
    """Return the lines of each function's body."""
    tree = ast.parse((ROOT / module).read_bytes())
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [range(node.body[0].lineno, (node.end_lineno or node.lineno) + 1) for node in found]


def _runs_on_import(module: str, line: int) -> bool:
    """Whether a line runs once, for the first test that imports its module, and counts for all of them."""
    return not any(line in body for body in _functions(module))


def _file(test: str) -> str:
    return test.partition("::")[0]
