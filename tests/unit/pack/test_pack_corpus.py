"""The corpus of packs: both verifiers find good ones good, and refuse each bad one for its own reason."""

from __future__ import annotations

import json
import re
import runpy
import sys
from pathlib import Path

import pytest

from tests.corpus import Case, bad_cases, good_cases
from tests.support.forgery import checker, library, run_checker

GOOD, BAD = good_cases(), bad_cases()
_PLACE = re.compile(r"FAILED .*\n +([^\s:]+)(?::([0-9]+))?: ")


def named(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", GOOD, ids=named)
def test_a_good_pack_passes_both_verifiers(case: Case) -> None:
    code, printed = run_checker(case.data, case.log_id, case.asked, case.callers)
    assert code == 0, printed
    assert f"GOOD: {case.facts['receipts']} receipts of {case.facts['date']}" in printed
    assert printed.count("FINDING") == len(case.facts["gaps"])
    for reason, number in case.facts.get("decisions", {}).items():
        assert re.search(rf"^ +{number}  \w+ {reason}$", printed, re.MULTILINE)
    summarised = re.findall(r"^ +([0-9]+)  \w+ (\w+), in summaries$", printed, re.MULTILINE)
    assert {reason: int(number) for number, reason in summarised} == case.facts.get("summarised", {})
    said = re.findall(r"^ +([0-9]+)  allowed, (.*)$", printed, re.MULTILINE)
    if (proven := case.facts.get("proven")) is not None:
        assert {sentence: int(number) for number, sentence in said} == {
            checker().SIGNED[found]: number for found, number in proven.items()
        }


@pytest.mark.parametrize("case", BAD, ids=named)
def test_a_bad_pack_is_refused_by_both_for_its_own_reason(case: Case) -> None:
    report = library(case.data, case.log_id, case.asked, case.callers)
    first = report.failures[0]
    assert (first.code, first.where, first.line) == (case.code, case.member, case.line)
    assert case.kind in {None, report.kind}
    code, printed = run_checker(case.data, case.log_id, case.asked, case.callers)
    assert code == 1
    place = _PLACE.search(printed)
    assert place is not None, printed
    assert place[1] == case.member, printed
    assert case.line is None or place[2] == str(case.line), printed
    assert "the pack is malformed (" not in printed  # nor did it need its last net


def test_names_are_unique_and_the_corpus_is_not_small() -> None:
    names = [case.name for case in (*GOOD, *BAD)]
    assert len(set(names)) == len(names)
    assert len(BAD) > 150


def test_the_corpus_is_written_with_its_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tests.corpus", str(tmp_path)])
    runpy.run_module("tests.corpus", run_name="__main__")  # the command, in the process that has the corpus
    index = json.loads((tmp_path / "index.json").read_text())
    assert index["v"] == 1
    assert [entry["name"] for entry in index["cases"]] == [case.name for case in (*GOOD, *BAD)]
    assert all((tmp_path / entry["file"]).is_file() for entry in index["cases"])
    bad = [entry for entry in index["cases"] if not entry["good"]]
    assert all(entry["code"] and entry["member"] for entry in bad)
