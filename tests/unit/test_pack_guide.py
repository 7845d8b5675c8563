"""VERIFY.md, followed word by word in a shell, leads to the verdict of the checkers."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import signet.pack.resources
from tests.corpus import Case, bad_cases, good_cases
from tests.corpus.rotation import good_cases as rotated_cases

GUIDE = Path(signet.pack.resources.__file__).with_name("VERIFY.md").read_text()
QUICK, BY_HAND = GUIDE.split("## By hand")
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)

SOME_GOOD = [
    *(case for case in good_cases() if case.name in {"0-receipts", "257-receipts-in-3-chains", "first-day"}),
    *(case for case in rotated_cases() if case.name == "a-rotation-every-day"),
]
BAD = tuple(bad_cases())
# One of each kind that the steps by hand are said to find.
BY_HAND_BAD = {
    "member-removed-checkpoint",
    "member-bit-flipped-receipts.jsonl",
    "receipts-swapped",
    "receipts-swapped-and-rechained",
    "receipts-dropped-from-the-tail",
    "receipts-dropped-from-the-middle-and-rechained",
    "receipts-edited-with-all-hashes-below-recomputed",
    "receipts-first-recorded-the-day-before",
    "head-without-ml-dsa-65-signature",
    "head-with-ed25519-signature-of-another-day",
    "head-with-another-time",
    "head-with-another-keyid",
    "head-signed-by-the-log-with-another-root",
    "head-signed-by-the-log-naming-another-head-before",
    "head-of-another-day-as-sth.json",
    "head-not-final-passed-off-as-final",
    "proof-range-of-zeros",
    "keys-a-set-endorsed-in-the-old-keys-name",
    "keys-genesis-missing",
    "keys-interval-moved",
    "head-by-keys-no-longer-in-force",
}


def follow(text: str, case: Case, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run all commands of a part of the guide in one shell, as somebody would who copies them."""
    (folder / "pack.zip").write_bytes(case.data)
    tools = folder / "bin"
    tools.mkdir()
    (tools / "python3").symlink_to(sys.executable)
    for tool in ("openssl", "sha256sum", "find", "wc", "grep", "mkdir"):
        found = shutil.which(tool)
        if found is None:
            pytest.skip(f"this machine has no {tool}, with which the guide works")
        (tools / tool).symlink_to(found)
    commands = "".join(_BLOCK.findall(text))
    assert "python3" in commands
    return subprocess.run(
        ["/bin/sh", "-eu"],
        input=commands,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={"PATH": str(tools), "LOG_ID": case.log_id, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def named(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", SOME_GOOD, ids=named)
@pytest.mark.parametrize("text", [QUICK, BY_HAND], ids=["quick", "by-hand"])
def test_a_good_pack_is_found_good(case: Case, text: str, tmp_path: Path) -> None:
    done = follow(text, case, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"GOOD: {case.facts['receipts']} receipts of {case.facts['date']}" in done.stdout


@pytest.mark.parametrize("case", [case for case in BAD if case.name in BY_HAND_BAD], ids=named)
def test_a_bad_pack_is_found_bad_by_hand(case: Case, tmp_path: Path) -> None:
    done = follow(BY_HAND, case, tmp_path)
    assert done.returncode != 0
    assert "GOOD" not in done.stdout


def test_a_bad_pack_is_found_bad_quickly(tmp_path: Path) -> None:
    [case] = [case for case in BAD if case.name == "receipts-swapped"]
    done = follow(QUICK, case, tmp_path)
    assert done.returncode == 1
    assert "receipts.jsonl:2: " in done.stdout


def test_the_cases_for_the_hand_are_in_the_corpus() -> None:
    assert {case.name for case in BAD} >= BY_HAND_BAD


def test_another_log_is_found_by_its_id(tmp_path: Path) -> None:
    case = SOME_GOOD[0]
    other = Case(case.name, case.group, case.data, "0" * 64)
    done = follow(BY_HAND, other, tmp_path)
    assert done.returncode != 0
    assert "this is another log" in done.stderr
