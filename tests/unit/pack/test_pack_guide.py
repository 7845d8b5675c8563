"""VERIFY.md, followed word by word in a shell, leads to the verdict of the checkers and to no false one."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.corpus import Case, bad_cases, good_cases
from tests.corpus.rotation import good_cases as rotated_cases
from tests.corpus.world import two_days
from tests.support.by_hand import (
    ALIVE,
    BY_HAND,
    GUIDE,
    QUICK,
    REMINDER,
    SHELLS,
    blocks,
    follow,
    made_without_a_key,
    small_order,
    tools,
)
from tests.support.forgery import remade, unzip

STEPS = range(1, 6)
SOME_GOOD = [
    *(case for case in good_cases() if case.name in {"0-receipts", "257-receipts-in-3-chains", "first-day"}),
    *(case for case in rotated_cases() if case.name == "a-rotation-every-day"),
]
BAD = {case.name: case for case in bad_cases()}
#: One of each kind that the steps by hand are said to find, and the step that finds it.
FOUND_BY_HAND = {
    "member-removed-checkpoint": 1,
    "member-bit-flipped-receipts.jsonl": 1,
    "zip-climbing-name": 1,
    "zip-two-policies-that-differ-in-case": 1,
    "zip-a-file-and-a-folder-of-its-name": 1,
    "zip-no-zip": 1,
    "keys-genesis-missing": 2,
    "keys-of-order-8-and-another-y": 2,
    "keys-of-a-y-that-is-p-and-3": 2,
    "keys-of-order-1-in-a-later-set": 2,
    "head-without-ml-dsa-65-signature": 3,
    "head-with-ed25519-signature-of-another-day": 3,
    "head-with-ml-dsa-65-signature-of-another-day": 3,
    "head-with-another-time": 3,
    "head-with-another-keyid": 3,
    "keys-a-set-endorsed-in-the-old-keys-name": 3,
    "keys-interval-moved": 3,
    "head-by-keys-no-longer-in-force": 3,
    "member-manifest-the-day-before": 4,
    "head-signed-by-the-log-naming-another-head-before": 4,
    "head-of-another-day-as-sth.json": 4,
    "head-not-final-passed-off-as-final": 4,
    "receipts-swapped": 5,
    "receipts-swapped-and-rechained": 5,
    "receipts-dropped-from-the-tail": 5,
    "receipts-dropped-from-the-middle-and-rechained": 5,
    "receipts-edited-with-all-hashes-below-recomputed": 5,
    "receipts-first-recorded-the-day-before": 5,
    "receipt-spelled-with-a-member-twice": 5,
    "head-signed-by-the-log-with-another-root": 5,
    "proof-range-of-zeros": 5,
    "told-allow-with-nothing-proved": 5,
    "told-allow-against-the-policy": 5,
    "told-a-nonce-allowed-twice": 5,
}


def corpus(name: str) -> Callable[[], tuple[bytes, str]]:
    return lambda: (BAD[name].data, BAD[name].log_id)


#: One forged pack for each step, followed in every shell; the third is made without any key.
FORGED: dict[int, Callable[[], tuple[bytes, str]]] = {
    1: corpus("member-bit-flipped-receipts.jsonl"),
    2: small_order,
    3: made_without_a_key,
    4: corpus("member-manifest-the-day-before"),
    5: corpus("receipts-swapped"),
}

#: The step that finds the pack made without a key.
FORGED_STEP = 3


def assert_stopped_at(step: int, done: subprocess.CompletedProcess[str]) -> None:
    """Each step printed one line of its own; this one failed, none after it ran, and the shell lives."""
    assert re.fullmatch(r"[ -~\n]*", done.stdout)
    *lines, verdict, alive = done.stdout.splitlines()
    assert len(lines) == len(STEPS), done.stdout
    for number, line in zip(STEPS, lines, strict=True):
        said = "ok: " if number < step else "FAILED: " if number == step else "NOT RUN, because "
        assert line.startswith(f"step {number}: {said}"), done.stdout
    assert verdict == f"BAD, or not checked: step {step} has not passed"
    assert alive == ALIVE
    assert "GOOD" not in done.stdout


@pytest.mark.parametrize(
    "case",
    [
        *(pytest.param(case, id=case.name, marks=pytest.mark.sweep) for case in SOME_GOOD[:-1]),
        pytest.param(SOME_GOOD[-1], id=SOME_GOOD[-1].name),
    ],
)
@pytest.mark.parametrize("text", [QUICK, BY_HAND], ids=["quick", "by-hand"])
def test_a_good_pack_is_found_good(case: Case, text: str, tmp_path: Path) -> None:
    done = follow(text, case.data, case.log_id, tmp_path)
    assert f"\nGOOD: {case.facts['receipts']} receipts of {case.facts['date']}" in done.stdout, done
    assert "FAILED" not in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_it_is_found_good_in_every_shell(shell: str, tmp_path: Path) -> None:
    case = SOME_GOOD[0]
    done = follow(BY_HAND, case.data, case.log_id, tmp_path, shell=SHELLS[shell])
    *lines, verdict, reminder, alive = done.stdout.splitlines()
    assert [line.split(":")[:2] for line in lines] == [[f"step {number}", " ok"] for number in STEPS]
    assert verdict == f"GOOD: 0 receipts of {case.facts['date']}"
    assert reminder == REMINDER
    assert alive == ALIVE


@pytest.mark.parametrize(
    ("openssl", "left_out"),
    [(("ED25519",), "ml-dsa-65"), ((), "ed25519 and ml-dsa-65"), (None, "ed25519 and ml-dsa-65")],
)
def test_what_openssl_does_not_know_is_said_instead_of_good(
    openssl: tuple[str, ...] | None, left_out: str, tmp_path: Path
) -> None:
    case = SOME_GOOD[-1]
    done = follow(BY_HAND, case.data, case.log_id, tmp_path, openssl=openssl)
    *_, verdict, reminder, _alive = done.stdout.splitlines()
    assert reminder == REMINDER
    facts = f"{case.facts['receipts']} receipts of {case.facts['date']}"
    assert verdict == f"NOT FULLY CHECKED: {facts}; this openssl does not know {left_out}"
    assert "GOOD" not in done.stdout


def test_the_openssl_of_this_machine_takes_the_files_as_they_are_written(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("this machine has no openssl")
    programs = tools(tmp_path, None)
    (programs / "openssl").symlink_to(openssl)
    case = SOME_GOOD[-1]
    done = follow(BY_HAND, case.data, case.log_id, tmp_path, programs=programs)
    *steps, verdict, _reminder, _alive = done.stdout.splitlines()
    assert len(steps) == len(STEPS), done
    assert verdict.startswith(("GOOD: ", "NOT FULLY CHECKED: "))
    [(forged, log_id)] = [FORGED[3]()]
    assert_stopped_at(3, follow(BY_HAND, forged, log_id, tmp_path, programs=programs))


@pytest.mark.sweep
@pytest.mark.parametrize("name", FOUND_BY_HAND)
def test_a_bad_pack_is_found_bad_by_hand(name: str, tmp_path: Path) -> None:
    done = follow(BY_HAND, BAD[name].data, BAD[name].log_id, tmp_path)
    assert_stopped_at(FOUND_BY_HAND[name], done)


@pytest.mark.long
@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("step", FORGED)
def test_every_step_stops_what_comes_after_it_in_every_shell(step: int, shell: str, tmp_path: Path) -> None:
    data, log_id = FORGED[step]()
    assert_stopped_at(step, follow(BY_HAND, data, log_id, tmp_path, shell=SHELLS[shell]))


@pytest.mark.parametrize("again", [1, 2, 3])
def test_a_step_that_is_run_again_takes_back_what_was_found_after_it(again: int, tmp_path: Path) -> None:
    """Else a forged pack in the place of a good one would be called good by the marks of the good one."""
    good, (forged, _log_id) = two_days(), FORGED[FORGED_STEP]()
    (tmp_path / "forged.zip").write_bytes(forged)
    first, *steps, verdict = blocks(BY_HAND)
    exchange = 'cp "$PWD/forged.zip" "$PACK"\n'
    text = "".join(f"```sh\n{block}```\n" for block in (first, *steps, exchange, *steps[:again], verdict))
    programs = tools(tmp_path, ("ED25519", "ML-DSA-65"))
    (programs / "cp").symlink_to(shutil.which("cp") or "")
    done = follow(text, good.pack(), good.log_id, tmp_path, programs=programs)
    *_, last, alive = done.stdout.splitlines()
    missing = again if again == FORGED_STEP else again + 1
    assert last == f"BAD, or not checked: step {missing} has not passed", done
    assert "GOOD" not in done.stdout
    assert alive == ALIVE


def test_the_first_step_leaves_nothing_of_an_earlier_pack(tmp_path: Path) -> None:
    """A head that only the earlier pack had would stand in the chain of the later one."""
    log = two_days()
    (tmp_path / "other.zip").write_bytes(log.pack(log.heads[0].date))
    first, *steps, verdict = blocks(BY_HAND)
    exchange = 'cp "$PWD/other.zip" "$PACK"\n'
    text = "".join(f"```sh\n{block}```\n" for block in (first, *steps, exchange, *steps, verdict))
    programs = tools(tmp_path, ("ED25519", "ML-DSA-65"))
    (programs / "cp").symlink_to(shutil.which("cp") or "")
    done = follow(text, log.pack(), log.log_id, tmp_path, programs=programs)
    assert f"\nGOOD: 3 receipts of {log.heads[0].date}\n" in done.stdout, done


def test_with_dash_e_it_ends_at_the_first_failure(tmp_path: Path) -> None:
    data, log_id = FORGED[3]()
    done = follow(BY_HAND, data, log_id, tmp_path, shell=(*SHELLS["sh"], "-eu"))
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("step 3: FAILED: the ed25519 signature of head-")


@pytest.mark.parametrize("left_out", [1, *(pytest.param(n, marks=pytest.mark.sweep) for n in range(2, 7)), 7])
def test_a_block_that_was_not_pasted_is_missed(left_out: int, tmp_path: Path) -> None:
    """Blocks are: what all share, the five steps, the verdict."""
    case = SOME_GOOD[0]
    parts = blocks(BY_HAND)
    assert len(parts) == 7
    text = "".join(f"```sh\n{part}```\n" for number, part in enumerate(parts, 1) if number != left_out)
    assert "GOOD" not in follow(text, case.data, case.log_id, tmp_path).stdout


def test_another_log_is_found_by_its_id(tmp_path: Path) -> None:
    done = follow(BY_HAND, SOME_GOOD[0].data, "0" * 64, tmp_path)
    assert_stopped_at(2, done)
    assert "step 2: FAILED: this is another log than LOG_ID: " in done.stdout


def test_names_that_no_pack_has_are_neither_unpacked_nor_shown(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("\x1b[2J\x1b[HGOOD: all is well", b"")
    assert_stopped_at(1, follow(BY_HAND, out.getvalue(), "0" * 64, tmp_path))


def hostile_modules() -> Iterator[str]:
    """Names of modules that the steps import, or that an interpreter looks for by itself."""
    yield from ("json.py", "hashlib.py", "zipfile.py", "os.py", "sitecustomize.py", "usercustomize.py")


_PROGRAM = "open('../../ran', 'w').close()\nprint('GOOD')\n"


def test_no_pack_with_a_program_of_its_own_is_unpacked(tmp_path: Path) -> None:
    log = two_days()
    data = remade({**unzip(log.pack()), **dict.fromkeys(hostile_modules(), _PROGRAM.encode())})
    assert_stopped_at(1, follow(BY_HAND, data, log.log_id, tmp_path))
    assert not [found for found in tmp_path.rglob("*.py") if found.name in set(hostile_modules())]


def test_no_program_that_lies_beside_the_files_of_a_pack_is_run(tmp_path: Path) -> None:
    log = two_days()
    for name in hostile_modules():
        (tmp_path / name).write_text(_PROGRAM)
    first, unpacking, *steps, verdict = blocks(BY_HAND)
    added = "".join(f'cat "$PWD/{name}" > "$HAND/pack/{name}"\n' for name in hostile_modules())
    text = "".join(f"```sh\n{block}```\n" for block in (first, unpacking, added, *steps, verdict))
    done = follow(text, log.pack(), log.log_id, tmp_path)
    assert done.stdout.count("ok: ") == len(STEPS), done
    assert [found.name for found in tmp_path.glob("*/pack/json.py")] == ["json.py"]
    assert not list(tmp_path.rglob("ran"))


def test_a_bad_pack_is_found_bad_quickly(tmp_path: Path) -> None:
    case = BAD["receipts-swapped"]
    done = follow(QUICK, case.data, case.log_id, tmp_path)
    assert "receipts.jsonl:2: " in done.stdout
    assert "GOOD" not in done.stdout


def test_what_interactive_shells_read_otherwise_is_not_in_the_blocks() -> None:
    """Tabs complete names, and an exclamation mark calls up old commands, but for ``!=``."""
    for part in blocks(GUIDE):
        assert "\t" not in part
        assert not re.search(r"!(?!=)", part)
