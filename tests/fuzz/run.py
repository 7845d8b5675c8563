"""Runs the fuzz targets for a while, guided by coverage where atheris is installed, else with Hypothesis.

    python -m tests.fuzz.run --seconds 120             both targets, 120 s each
    python -m tests.fuzz.run events --input FILE       one input again, with its traceback

What was found to reach new code is kept under .local/fuzz and is where the next run starts.
Exit code: 0 nothing found, anything else a finding, whose input is kept beside the corpus.
"""

# ruff: noqa: T201 - a terminal program

from __future__ import annotations

import argparse
import importlib
import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parents[2] / ".local" / "fuzz"
TARGETS = {"events": "one_event", "packs": "one_pack"}
_INSTRUMENTED = ["signet", "http_sf"]
_MAX_INPUT_BYTES = 65_536
_ROUND = 300


def main() -> int:
    arguments = _parse()
    if arguments.target is None:
        return _both(arguments.seconds)
    if arguments.input is not None:
        run, _ = _load(arguments.target)
        print(f"no finding; outcome: {run(arguments.input.read_bytes())}")
        return 0
    folder = HOME / arguments.target
    folder.mkdir(parents=True, exist_ok=True)
    if importlib.util.find_spec("atheris") is None:
        return _with_hypothesis(arguments.target, arguments.seconds)
    _with_atheris(arguments.target, folder, arguments.seconds)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fuzzes what reads hostile input.")
    parser.add_argument(
        "target", nargs="?", choices=sorted(TARGETS), help="by default all, one after the other"
    )
    parser.add_argument("--seconds", type=int, default=120, help="for each target")
    parser.add_argument("--input", type=Path, help="run this one input instead")
    return parser.parse_args()


def _both(seconds: int) -> int:
    """Run each target in a process of its own: the fuzzer ends its process."""
    codes = []
    for target in TARGETS:
        command = [sys.executable, "-m", "tests.fuzz.run", target, "--seconds", str(seconds)]
        codes.append(subprocess.run(command, check=False).returncode)
        print(
            f"fuzz {target}: {'nothing found' if codes[-1] == 0 else 'FOUND SOMETHING, see above'}",
            flush=True,
        )
    return max(codes, key=abs)


def _load(target: str) -> tuple[Callable[[bytes], Any], list[bytes]]:
    module = importlib.import_module(f"tests.fuzz.{target}")
    return getattr(module, TARGETS[target]), module.seeds()


def _with_atheris(target: str, folder: Path, seconds: int) -> None:
    """Hand over to libFuzzer; does not return."""
    import atheris  # noqa: PLC0415 - optional

    with atheris.instrument_imports(include=_INSTRUMENTED):
        run, seeds = _load(target)
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number:04d}").write_bytes(seed)

    def one(data: bytes) -> None:
        run(data)

    options = [
        f"-max_total_time={seconds}",
        f"-max_len={_MAX_INPUT_BYTES}",
        f"-artifact_prefix={folder}/",
        "-print_final_stats=1",
        "-rss_limit_mb=8192",  # what is instrumented keeps growing; the same inputs alone do not
        "-verbosity=0",
        str(corpus),
    ]
    atheris.Setup([sys.argv[0], *options], one)
    atheris.Fuzz()


def _with_hypothesis(target: str, seconds: int) -> int:
    from hypothesis import HealthCheck, given, settings  # noqa: PLC0415 - atheris does not need it
    from hypothesis import strategies as st  # noqa: PLC0415
    from hypothesis.database import DirectoryBasedExampleDatabase  # noqa: PLC0415

    run, seeds = _load(target)
    ran = 0
    for seed in seeds:
        run(seed)

    @settings(
        max_examples=_ROUND,
        deadline=None,
        database=DirectoryBasedExampleDatabase(HOME / target / "hypothesis"),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(max_size=256))
    def one_round(data: bytes) -> None:
        nonlocal ran
        ran += 1
        run(data)

    until = time.monotonic() + seconds
    while time.monotonic() < until:
        one_round()
    print(f"{ran} inputs in {seconds} s (Hypothesis; with atheris the run is guided by coverage)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
