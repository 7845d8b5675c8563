"""The pack's own checker: how it reads the usual receipt, what it says, and what it lets through."""

from __future__ import annotations

import itertools
import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signet.core.canonical import canonicalize
from signet.core.vocabulary import BindingType, BreakerLevel, BreakerState, PolicyAction, ProofMode
from signet.receipts import v1, v2
from signet.receipts.chain import empty_head, extend
from signet.receipts.reading import read_receipt
from tests.corpus import bad_cases, good_cases
from tests.corpus.case import Case
from tests.corpus.logkeys import BAD_KEYS
from tests.corpus.world import two_days
from tests.fakes.records import DAY_MS, record
from tests.support.forgery import CHECKER, Files, checker, edit, library, remade, rezip, run_checker, unzip
from tests.support.packs import log_with_days

LINE = extend(empty_head(0), [read_receipt(record(1).encode(), chained=False)], DAY_MS)[1][0][1]
BAD = checker().Bad


def slowly(line: bytes) -> Any:
    return checker().parse_decision("here", checker().parse("here", line))


def test_the_usual_receipt_is_read_by_the_pattern() -> None:
    found = checker().read_decision("here", LINE)
    assert found is not None
    assert found == slowly(LINE)
    assert found.reason == "ok"


@pytest.mark.parametrize("path", ["/ü", '/"', "/\\", "/\x7f", "/\u2028"])
def test_an_unusual_one_is_left_to_the_slow_way(path: str) -> None:
    line = canonicalize({**json.loads(LINE), "request": {**json.loads(LINE)["request"], "path": path}})
    assert checker().read_decision("here", line) is None
    assert slowly(line).id == json.loads(LINE)["id"]


@settings(max_examples=400)
@given(st.data())
def test_whatever_the_pattern_takes_the_slow_way_takes_alike(data: st.DataObject) -> None:
    """Bytes changed, dropped, repeated: mostly refused by both, and never taken by the pattern alone."""
    start = data.draw(st.integers(0, len(LINE) - 1))
    end = data.draw(st.integers(start, min(start + 12, len(LINE))))
    piece = data.draw(
        st.one_of(
            st.binary(max_size=3),
            st.sampled_from(
                [b"null", b"0", b"00", b"-0", b"1e3", b"9" * 16, b"true", b"\\u00fc", b'"', b"\n"]
            ),
        )
    )
    line = LINE[:start] + piece + LINE[end:]
    try:
        quickly = checker().read_decision("here", line)
    except BAD:
        with pytest.raises(BAD):
            slowly(line)
        return
    if quickly is not None:
        assert quickly == slowly(line)


@pytest.mark.parametrize("value", ["2026-02-30T00:00:00.000Z", "1969-12-31T00:00:00.000Z"])
def test_the_pattern_knows_the_calendar(value: str) -> None:
    line = LINE.replace(json.loads(LINE)["decided_at"].encode(), value.encode())
    with pytest.raises(BAD, match="calendar"):
        checker().read_decision("here", line)
    with pytest.raises(BAD):
        slowly(line)


@pytest.mark.long
def test_the_largest_day_with_inclusion_proofs_is_agreed_on() -> None:
    log, count = log_with_days(1, 10_000), 10_000
    data = log.pack()
    code, printed = run_checker(data, log.log_id)
    assert code == 0, printed
    assert f"GOOD: {count} receipts" in printed
    assert library(data, log.log_id).good


@pytest.mark.long
def test_a_day_too_large_for_inclusion_proofs_is_agreed_on_without_them() -> None:
    log, count = log_with_days(1, 10_001), 10_001
    data = log.pack()
    assert "proofs/inclusion.jsonl" not in unzip(data)
    code, printed = run_checker(data, log.log_id)
    assert code == 0, printed
    assert f"GOOD: {count} receipts" in printed
    assert library(data, log.log_id).good


# --- What it says -------------------------------------------------------------------------------

DATE, DAY_BEFORE = "2026-11-24", "2026-11-23"
PLAIN = re.compile(r"[ -~\n]*")
NOT_COMPARED = {"checker_unsigned", "log_id_not_pinned", "policy_absent"}
VERDICTS = {
    "pack": "BAD: this pack does not prove what it claims.",
    "not_a_pack": "NOT A PACK: ",
    "cut_short": "CUT SHORT: ",
    "packed_anew": "PACKED ANEW: ",
}
HOSTILE = (
    "\x1b[2J\x1b[HGOOD: all is well",
    "a\nGOOD: all is well",
    "\r\x07\x08",
    "\x7f\x9b2J",
    "\u202eDAB",
    "\u200b\u2028\u2066",
)


def named(case: Case) -> str:
    return case.name


def remarks_in(printed: str) -> list[str]:
    return re.findall(r"^remark (\w+): ", printed, re.MULTILINE)


@pytest.mark.parametrize("case", [case for case in good_cases() if "remarks" in case.facts], ids=named)
def test_remarks_are_those_of_the_corpus(case: Case) -> None:
    _, printed = run_checker(case.data, case.log_id, case.asked, case.callers)
    found = remarks_in(printed)
    assert sorted(set(found) - NOT_COMPARED) == case.facts["remarks"]
    assert len(set(found)) == len(found)
    assert "checker_unsigned" in found


@pytest.mark.parametrize("case", [case for case in bad_cases() if case.kind], ids=named)
def test_what_is_no_pack_is_told_from_a_bad_one(case: Case) -> None:
    assert case.kind is not None
    _, printed = run_checker(case.data, case.log_id)
    assert [kind for kind, verdict in VERDICTS.items() if f"\n{verdict}" in printed] == [case.kind]
    assert "GOOD" not in printed


def test_the_verdict_says_the_day_when_it_was_closed_and_what_is_not_shown() -> None:
    log = two_days()
    code, printed = run_checker(log.pack(), log.log_id, DATE)
    assert code == 0
    assert f"GOOD: 5 receipts of {DATE}, log {log.log_id}\n" in printed
    assert f"The head of {DATE} was signed at 2026-11-25T01:00:00.000Z, 1:00:00 after the end" in printed
    assert f"every decision that the log recorded on {DATE}" in printed
    _, _, not_shown = printed.partition("Not shown by this pack:\n")
    assert not_shown.count("  - ") == 4
    assert "log_id_not_pinned" not in printed


def test_without_a_pinned_id_it_says_so() -> None:
    code, printed = run_checker(two_days().pack(), None)
    assert code == 0
    assert "log_id_not_pinned" in remarks_in(printed)


def test_of_another_log_nothing_else_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    chunks = checker().Pack.chunks

    def noted(pack: Any, name: str) -> Any:
        read.append(name)
        return chunks(pack, name)

    monkeypatch.setattr(checker().Pack, "chunks", noted)
    code, printed = run_checker(two_days().pack(), "0" * 64)
    assert code == 1
    assert printed.endswith("\nBAD: this is another log: nothing else was checked.\n")
    assert read == ["manifest.json", "keys.json"]


def with_text(files: Files, text: str) -> dict[str, bytes]:
    """Packs that bring a text to the places from which a verdict quotes."""
    line = json.loads(files["receipts.jsonl"].splitlines()[0])

    def receipt(**members: Any) -> bytes:
        told = json.dumps({**line, **members}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return remade({**files, "receipts.jsonl": told.encode() + b"\n"})

    return {
        "name": rezip(
            edit(files, "manifest.json", lambda m: m["files"].append({**m["files"][0], "name": text}))
        ),
        "day": rezip(edit(files, "manifest.json", lambda value: value.update(date=text))),
        "origin": remade(edit(files, "keys.json", lambda value: value.update(origin=text))),
        "type": receipt(type=text),
        "reason": receipt(reason=text),
        "time": receipt(decided_at=text),
        "member": receipt(request={text: 1}),
    }


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_nothing_in_a_pack_reaches_a_terminal_as_it_is(text: str) -> None:
    log = two_days()
    for place, data in with_text(unzip(log.pack()), text).items():
        code, printed = run_checker(data, log.log_id)
        assert code == 1, place
        assert PLAIN.fullmatch(printed), place
        assert not re.search("^GOOD", printed, re.MULTILINE), place


def test_a_name_is_shown_escaped_and_cut() -> None:
    log = two_days()
    files = unzip(log.pack())
    assert "\\x1b[2J\\x1b[HGOOD" in run_checker(with_text(files, HOSTILE[0])["name"], log.log_id)[1]
    _, printed = run_checker(with_text(files, "x" * 100_000)["name"], log.log_id)
    assert max(map(len, printed.splitlines())) < 1_100


def run_as_a_program(*words: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHECKER), *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, **env},
    )


def test_its_command_line(tmp_path: Path) -> None:
    log = two_days()
    (tmp_path / "pack.zip").write_bytes(log.pack())
    known = ("--log-id", log.log_id)
    good = run_as_a_program(*known, "--date", DATE, folder=tmp_path, PYTHONIOENCODING="ascii")
    assert (good.returncode, good.stderr) == (0, "")
    other = run_as_a_program(*known, "--date", DAY_BEFORE, folder=tmp_path)
    assert other.returncode == 1
    assert f"sth.json: is the head of {DATE}, not of {DAY_BEFORE}" in other.stdout
    for words in (("--date", "2026-02-30"), ("--log-id", "A" * 64), ("\x1b[2J", "\x1b[2J"), ("\x1b[2J.zip",)):
        wrong = run_as_a_program(*words, folder=tmp_path)
        assert wrong.returncode == 2, words
        assert PLAIN.fullmatch(wrong.stdout + wrong.stderr), words
    (tmp_path / "folder").mkdir()
    folder = run_as_a_program("folder", folder=tmp_path)
    assert folder.returncode == 1
    assert folder.stdout.startswith("\nNOT A PACK: ")


# --- What it lets through -----------------------------------------------------------------------


def test_the_points_of_small_order_are_the_eight_that_doubling_three_times_makes_neutral() -> None:
    p = 2**255 - 19
    d = -121_665 * pow(121_666, -1, p) % p

    def x_squared(y: int) -> int:
        return (y * y - 1) * pow(d * y * y + 1, -1, p) % p

    def doubled(y: int) -> int:
        """y of 2 Q: (y² + x²) / (1 - d x² y²), RFC 8032 section 5.1.4 with both points the same."""
        square = x_squared(y)
        return (y * y + square) * pow(1 - d * square * y * y, -1, p) % p

    assert len(checker().SMALL_ORDER) == 5
    for y in checker().SMALL_ORDER:
        assert doubled(doubled(doubled(y))) == 1
    base = 4 * pow(5, -1, p) % p
    assert doubled(doubled(doubled(base))) != 1
    assert checker().one_spelling_of_a_key(base.to_bytes(32, "little"))
    assert not any(map(checker().one_spelling_of_a_key, BAD_KEYS.values()))


def test_a_directory_is_not_read_beyond_what_a_manifest_can_list() -> None:
    size = 8 * 1024 * 1024 + 47
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 1, 1, size, 0, 0)
    code, printed = run_checker(bytes(size) + end, None)
    assert code == 1
    assert "has names of more than 8388608 bytes" in printed


WORDS: dict[tuple[str, ...], Sequence[str]] = {
    ("decision",): list(v1.DECISION_OF.values()),
    ("reason",): list(v1.DECISION_OF),
    ("breaker", "level"): list(BreakerLevel),
    ("breaker", "state"): list(BreakerState),
    ("policy", "action"): list(PolicyAction),
    ("proof", "mode"): list(ProofMode),
    ("proof", "binding", "type"): list(BindingType),
}


@pytest.mark.parametrize(
    ("path", "word"), [(path, str(word)) for path, words in WORDS.items() for word in dict.fromkeys(words)]
)
def test_each_word_of_the_format_is_known_and_in_one_spelling_only(path: tuple[str, ...], word: str) -> None:
    def line(value: str) -> bytes:
        receipt = json.loads(LINE)
        *outer, last = path
        inner = receipt
        for name in outer:
            inner = inner[name]
        inner[last] = value
        return canonicalize(receipt)

    found = checker().read_decision("here", line(word))
    assert found is not None
    assert found == slowly(line(word))
    for wrong in (word.upper(), word + " ", word[:-1], word + "s", ""):
        assert checker().read_decision("here", line(wrong)) is None
        with pytest.raises(BAD):
            slowly(line(wrong))


def test_its_tables_hold_what_the_format_has_and_no_more() -> None:
    assert checker().DECISION_OF == v2.DECISION_OF
    assert {*" ".join(checker().REASONS.values()).split()} == v1.DECISION_OF.keys()
    assert checker().SUITES == v1.SUITES == v2.WORDS.suites
    assert v2.VERIFIED - v2.WORDS.allowing == checker().AFTER_POLICY
    assert checker().UNTRANSCRIBED == v2.UNTRANSCRIBED


def test_a_name_and_what_lies_below_it_are_one_file_wherever_they_stand() -> None:
    """Held against the long way: every name with every name before it."""
    parts = ("a", "A", "ab", "a-", "a/b", "A/c", "a.b", "a/b/c", "ab/c")
    for names in itertools.permutations(parts, 3):
        clash = [
            later
            for place, later in enumerate(names)
            for before in names[:place]
            if f"{later}/".lower().startswith(f"{before}/".lower())
            or f"{before}/".lower().startswith(f"{later}/".lower())
        ]
        if not clash:
            checker().check_collisions(list(names))
            continue
        with pytest.raises(BAD) as refused:
            checker().check_collisions(list(names))
        assert str(refused.value).startswith(tuple(f"{name}: " for name in clash))
