"""Packs of good logs pass both verifiers; every tampering is refused by both, each with its code."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from signet.core.canonical import canonicalize, parse
from signet.core.decision import Reason
from signet.core.verification import Gap
from signet.log.emitters import NO_EMITTERS
from signet.log.keys import Algorithm
from signet.log.merkle import CompactRange, leaf_hash
from signet.log.note import sign_checkpoint
from signet.log.sth import TreeHead, sign_sth
from signet.log.tiles import TileBuilder
from signet.pack import layout
from signet.pack.verify import verify_pack
from signet.receipts.v2 import DECISION_OF
from tests.support.forgery import (
    CHECKER,
    Files,
    assert_good,
    assert_refused,
    checker,
    edit,
    library,
    remade,
    rezip,
    run_checker,
    unzip,
)
from tests.support.packs import FIRST_DAY, PackLog, log_with_days


@pytest.fixture(scope="module")
def log() -> PackLog:
    return log_with_days(3, 5, chains=1)


@pytest.fixture(scope="module")
def files(log: PackLog) -> Files:
    return unzip(log.pack())


@pytest.mark.parametrize("count", [0, 1, 2, 255, 256, 257])
@pytest.mark.parametrize("chains", [1, 3])
def test_packs_of_any_size_pass_both_verifiers(count: int, chains: int) -> None:
    log = log_with_days(2, count, chains=chains)
    report = assert_good(log.pack(), log)
    assert (report.receipts, report.tree_size, report.heads) == (count, 2 + count, 2)
    assert sum(report.decisions.values()) == count
    assert report.pinned
    assert report.notices == ()


@pytest.mark.parametrize("counts", [(0,), (1,), (0, 0, 0), (0, 4), (4, 0)])
def test_days_without_receipts_are_days(counts: tuple[int, ...]) -> None:
    log = log_with_days(*counts)
    assert assert_good(log.pack(), log).heads == len(counts)


ZERO = base64.b64encode(bytes(32)).decode()


def test_a_pack_of_an_earlier_day_has_the_checkpoint_of_its_day() -> None:
    log = log_with_days(3, 4)
    report = assert_good(log.pack(FIRST_DAY), log)
    assert report.notices == ()


def test_the_same_inputs_give_the_same_bytes(log: PackLog) -> None:
    assert log.pack() == log.pack()
    assert log.plan(FIRST_DAY).key != log.plan(FIRST_DAY + timedelta(days=1)).key


def test_rezipping_the_members_gives_the_pack_again(log: PackLog, files: Files) -> None:
    assert remade(files) == log.pack()


def test_without_a_log_id_both_warn(log: PackLog) -> None:
    report = library(log.pack())
    assert report.good
    assert not report.pinned
    assert [notice.code for notice in report.notices] == ["log_id_not_pinned"]
    code, printed = run_checker(log.pack(), None)
    assert code == 0
    assert "\nremark log_id_not_pinned: without --log-id" in printed


def test_lost_decisions_are_a_finding_not_a_failure() -> None:
    log = PackLog()
    log.close(log.decide(6, FIRST_DAY, skip=(2, 3, 5)))
    report = assert_good(log.pack(), log)
    assert report.gaps == (Gap("e" * 32, 2, 3), Gap("e" * 32, 5, 5))
    assert "FINDING: emitter" in run_checker(log.pack(), log.log_id)[1]


def test_progress_ends_at_the_total(log: PackLog) -> None:
    seen: list[tuple[int, int]] = []
    verify_pack(io.BytesIO(log.pack()), progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0


def test_big_days_have_no_inclusion_proofs(monkeypatch: pytest.MonkeyPatch, log: PackLog) -> None:
    monkeypatch.setattr(layout, "MAX_INCLUSION_PROOFS", 4)
    monkeypatch.setattr(checker(), "INCLUSION_LIMIT", 4)
    data = log.pack()
    assert layout.INCLUSION not in unzip(data)
    assert_good(data, log)


def test_a_big_day_with_inclusion_proofs_is_refused(monkeypatch: pytest.MonkeyPatch, log: PackLog) -> None:
    data = log.pack()
    count = log.heads[-1].tree_size - log.heads[-1].first_leaf
    monkeypatch.setattr(layout, "MAX_INCLUSION_PROOFS", count)
    monkeypatch.setattr(checker(), "INCLUSION_LIMIT", count)
    assert_good(data, log)
    monkeypatch.setattr(layout, "MAX_INCLUSION_PROOFS", count - 1)
    monkeypatch.setattr(checker(), "INCLUSION_LIMIT", count - 1)
    assert_refused(data, "manifest_members")


@pytest.mark.parametrize(
    "change",
    [
        {"log_id": 7},
        {"log_id": "0" * 63},
        {"log_id": "A" * 64},
        {"files": {}},
        {"date": 7},
        {"date": "2026-1-01"},
        {"v": True},
        {"v": 2},
        {"format": "zip"},
    ],
)
def test_a_manifest_of_another_form_is_malformed(files: Files, change: dict[str, Any]) -> None:
    report = library(rezip(edit(files, "manifest.json", lambda value: value.update(change))))
    assert (report.failures[0].code, report.failures[0].where) == ("manifest_malformed", "manifest.json")


def test_both_know_the_same_reasons() -> None:
    made = {reason.value: reason.decision.value for reason in Reason}
    assert made.items() <= checker().DECISION_OF.items()
    assert DECISION_OF == checker().DECISION_OF  # some have no writer yet


# --- Another log, other keys --------------------------------------------------------------------


def test_a_whole_made_up_log_is_refused_by_its_id(log: PackLog) -> None:
    assert_refused(log_with_days(1).pack(), "wrong_log", log.log_id)


def test_the_first_key_set_as_a_second_one_is_refused(files: Files) -> None:
    def add(keys: Any) -> None:
        keys["sets"].append({**keys["sets"][0], "n": 1, "from_tree_size": 5})

    assert_refused(remade(edit(files, "keys.json", add)), "key_reused")


def test_a_key_of_another_log_is_refused(files: Files) -> None:
    other = unzip(log_with_days(1).pack())["keys.json"]
    assert_refused(remade({**files, "keys.json": other}), "wrong_log")


# --- Members ------------------------------------------------------------------------------------

NAMES = [
    "manifest.json",
    "receipts.jsonl",
    "sth.json",
    "sth/2026-11-23.json",
    "sth/2026-11-24.json",
    "proofs/range.json",
    "proofs/consistency.json",
    "proofs/inclusion.jsonl",
    "keys.json",
    "checkpoint",
    "VERIFY.md",
    "verify.py",
]


def test_the_members_are_those_of_the_format(files: Files) -> None:
    policies = [name for name in files if name.startswith("policy/")]
    assert len(policies) == 2
    assert [name for name in files if name not in policies] == NAMES
    assert json.loads(files["proofs/range.json"])["first_leaf"] == 3


@pytest.mark.parametrize("name", NAMES)
def test_a_member_removed_is_refused(files: Files, name: str) -> None:
    left = {other: body for other, body in files.items() if other != name}
    assert_refused(rezip(left), "member_missing")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "manifest.json"])
def test_a_member_removed_with_a_fitting_manifest_is_refused(files: Files, name: str) -> None:
    left = {other: body for other, body in files.items() if other != name}
    code = {"sth/2026-11-23.json": "broken_sth_chain"}.get(name, "member_missing")
    assert_refused(remade(left), code)


@pytest.mark.parametrize("name", ["evil.txt", "policy/x.rego", "proofs/more.json"])
def test_a_member_added_is_refused(files: Files, name: str) -> None:
    assert_refused(rezip({**files, name: b"{}"}), "manifest_members")
    assert_refused(remade({**files, name: b"{}"}), "manifest_members")


def test_a_day_before_the_first_is_refused(files: Files) -> None:
    added: Files = {}
    for name, body in files.items():
        if name == "sth/2026-11-23.json":
            added["sth/2026-11-22.json"] = body
        added[name] = body
    assert_refused(remade(added), "wrong_day")


@pytest.mark.parametrize("name", NAMES)
def test_a_member_truncated_is_refused(files: Files, name: str) -> None:
    code = "not_canonical" if name == "manifest.json" else "size_mismatch"
    assert_refused(rezip({**files, name: files[name][:-1]}), code)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", [0, -2])
def test_a_byte_flipped_in_a_member_is_refused(files: Files, name: str, place: int) -> None:
    body = bytearray(files[name])
    body[place] ^= 1
    report = library(rezip({**files, name: bytes(body)}))
    assert not report.good
    assert run_checker(rezip({**files, name: bytes(body)}), None)[0] == 1


@pytest.mark.parametrize("name", [n for n in NAMES if n not in {"manifest.json", "VERIFY.md", "verify.py"}])
@pytest.mark.parametrize("place", [0, 40, -2])
def test_a_byte_flipped_with_a_fitting_manifest_is_refused(files: Files, name: str, place: int) -> None:
    body = bytearray(files[name])
    body[place] ^= 1
    report = library(remade({**files, name: bytes(body)}))
    assert not report.good
    assert run_checker(remade({**files, name: bytes(body)}), None)[0] == 1


def test_a_changed_checker_is_named(log: PackLog, files: Files) -> None:
    report = library(remade({**files, "verify.py": b"print('GOOD')\n"}), log.log_id)
    assert [notice.code for notice in report.notices] == ["other_checker"]


def test_members_in_another_order_are_refused(files: Files) -> None:
    assert_refused(remade(dict(sorted(files.items()))), "manifest_members")


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.update(v=2),
        lambda m: m.update(v=True),
        lambda m: m.update(format="zip"),
        lambda m: m.update(extra=1),
        lambda m: m.pop("log_id"),
        lambda m: m.update(date="2026-13-01"),
        lambda m: m.update(log_id="0" * 64),
        lambda m: m.update(files={}),
        lambda m: m["files"].append(m["files"][0]),
        lambda m: m["files"][0].update(size=True),
        lambda m: m["files"][0].update(sha256="A" * 64),
        lambda m: m["files"].append(7),
    ],
)
def test_a_changed_manifest_is_refused(files: Files, change: Callable[[Any], Any]) -> None:
    data = rezip(edit(files, "manifest.json", change))
    assert not library(data).good
    assert run_checker(data, None)[0] == 1


@pytest.mark.parametrize("text", [b"[]", b"null", b"7", b"", b"{}", b"not json", b"\xff"])
def test_a_manifest_that_is_none_is_refused(files: Files, text: bytes) -> None:
    assert not library(rezip({**files, "manifest.json": text})).good
    assert run_checker(rezip({**files, "manifest.json": text}), None)[0] == 1


# --- Receipts -----------------------------------------------------------------------------------


def lines_of(files: Files) -> list[bytes]:
    return files["receipts.jsonl"].splitlines(keepends=True)


def with_lines(files: Files, lines: list[bytes]) -> bytes:
    return remade({**files, "receipts.jsonl": b"".join(lines)})


def test_receipts_swapped_are_refused(files: Files) -> None:
    lines = lines_of(files)
    lines[1], lines[2] = lines[2], lines[1]
    report = assert_refused(with_lines(files, lines), "chain_gap")
    assert (report.failures[0].where, report.failures[0].line) == ("receipts.jsonl", 2)


def test_a_receipt_dropped_from_the_tail_is_refused(files: Files) -> None:
    assert_refused(with_lines(files, lines_of(files)[:-1]), "receipt_count")


def test_a_receipt_dropped_from_the_front_is_refused(files: Files) -> None:
    assert_refused(with_lines(files, lines_of(files)[1:]), "chain_gap")


def test_a_receipt_twice_is_refused(files: Files) -> None:
    lines = lines_of(files)
    assert_refused(with_lines(files, [*lines, lines[-1]]), "receipt_repeated")


def edited(line: bytes, change: Callable[[Any], Any]) -> bytes:
    value = parse(line[:-1])
    change(value)
    return canonicalize(value) + b"\n"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda r: r.update(authorizer_us=1), "wrong_root"),
        (lambda r: r.update(authorizer_us=-1), "bad_receipt"),
        (lambda r: r.update(authorizer_us=True), "bad_receipt"),
        (lambda r: r.update(reason="nonce_expired"), "wrong_root"),
        (lambda r: r.update(decision="shed"), "bad_receipt"),
        (lambda r: r.update(reason="because"), "bad_receipt"),
        (lambda r: r.update(type="pch.other"), "bad_receipt"),
        (lambda r: r.update(v=2), "bad_receipt"),
        (lambda r: r.update(extra=None), "bad_receipt"),
        (lambda r: r.pop("proof"), "bad_receipt"),
        (lambda r: r.update(id="x"), "bad_receipt"),
        (lambda r: r.update(decided_at="yesterday"), "bad_receipt"),
        (lambda r: r["request"].update(body="secret"), "bad_receipt"),
        (lambda r: r["chain"].update(id=1), "wrong_chain"),
        (lambda r: r["chain"].update(seq=99), "chain_gap"),
        (lambda r: r["chain"].update(prev=base64.b64encode(bytes(32)).decode()), "chain_broken"),
        (lambda r: r["chain"].update(prev="AA=="), "bad_receipt"),
        (lambda r: r["chain"].update(recorded_at="2026-11-25T00:00:00.000Z"), "outside_day"),
        (lambda r: r["chain"].update(recorded_at="2026-11-24T00:59:59.999Z"), "recorded_at_decreases"),
        (lambda r: r["chain"].update(recorded_at="2026-11-23T23:59:59.999Z"), "recorded_at_decreases"),
    ],
)
def test_the_last_receipt_edited_is_refused(files: Files, change: Callable[[Any], Any], code: str) -> None:
    lines = lines_of(files)
    lines[-1] = edited(lines[-1], change)
    if code == "wrong_root":  # the head names the chain's end, too: that is what is missed first
        code = "chain_end"
    report = assert_refused(with_lines(files, lines), code)
    assert report.failures[0].where == "receipts.jsonl"


@pytest.mark.parametrize("time", ["2026-11-31T00:00:00.000Z", "2025-02-29T00:00:00.000Z"])
@pytest.mark.parametrize("line", [-1, -3])
def test_a_day_that_no_calendar_has_is_refused(files: Files, time: str, line: int) -> None:
    lines = lines_of(files)
    lines[line] = edited(lines[line], lambda r: r.update(decided_at=time))
    report = library(with_lines(files, lines))
    assert report.failures[0].line == len(lines) + line + 1
    code, printed = run_checker(with_lines(files, lines), None)
    assert code == 1
    assert f"receipts.jsonl:{report.failures[0].line}" in printed


def test_the_first_receipt_cannot_be_from_the_day_before(files: Files) -> None:
    lines = lines_of(files)
    lines[0] = edited(lines[0], lambda r: r["chain"].update(recorded_at="2026-11-23T23:59:59.999Z"))
    assert_refused(with_lines(files, lines), "outside_day")


def test_a_receipt_edited_with_everything_below_recomputed_is_refused(files: Files) -> None:
    """The chain is made good again; only the signed root and chain end tell."""
    lines = lines_of(files)
    lines[1] = edited(lines[1], lambda r: r["request"].update(path="/other"))
    for number in range(2, len(lines)):
        prev = base64.b64encode(hashlib.sha256(lines[number - 1][:-1]).digest()).decode()
        lines[number] = edited(lines[number], lambda r, prev=prev: r["chain"].update(prev=prev))
    assert_refused(with_lines(files, lines), "chain_end")


@pytest.mark.parametrize(
    "spell",
    [
        lambda line: line.replace(b'"v":1', b'"v": 1'),
        lambda line: line.replace(b'"v":1', b'"v":1.0'),
        lambda line: line.replace(b'"v":1', b'"v":1,"v":1'),
        lambda line: b"\xef\xbb\xbf" + line,
        lambda line: line.replace("ü".encode(), b"\\u00fc"),
        lambda line: line.replace("ü".encode(), b"\xff"),
        lambda line: line.replace("ü".encode(), b"\\ud800"),
        lambda line: line.replace(b'"n":', b'"n":-0,"m":'),
        lambda line: line.replace(b'"authorizer_us":', b'"authorizer_us":9007199254740992,"a":'),
        lambda line: line.replace(b'"authorizer_us":', b'"authorizer_us":' + b"9" * 5000 + b',"a":'),
        lambda line: line[:-1] + b"\r\n",
        lambda _line: b"\n",
        lambda _line: b"[" * 60_000 + b"\n",
        lambda _line: b'{"a":' * 10_000 + b"\n",
        lambda _line: b"null\n",
        lambda _line: b"[]\n",
        lambda line: b'{"a":"' + b"x" * 70_000 + b'"}\n' + line,
    ],
)
def test_receipts_in_another_spelling_are_refused(files: Files, spell: Callable[[bytes], bytes]) -> None:
    lines = lines_of(files)
    lines[2] = spell(lines[2])
    report = library(with_lines(files, lines))
    assert not report.good
    assert report.failures[0].line == 3
    assert report.failures[0].code in {"not_canonical", "bad_receipt", "receipt_too_long"}
    code, printed = run_checker(with_lines(files, lines), None)
    assert code == 1
    assert "receipts.jsonl:3" in printed


def test_a_missing_last_newline_is_refused(files: Files) -> None:
    lines = lines_of(files)
    assert_refused(with_lines(files, [*lines[:-1], lines[-1][:-1]]), "line_unfinished")


# --- Tree heads ---------------------------------------------------------------------------------


def with_head(files: Files, change: Callable[[Any], Any]) -> bytes:
    files = edit(files, "sth.json", change)
    return remade({**files, "sth/2026-11-24.json": files["sth.json"]})


def test_a_stripped_signature_is_refused(files: Files) -> None:
    for number in (0, 1):
        assert_refused(with_head(files, lambda h, n=number: h["signatures"].pop(n)), "bad_signature")


def test_a_signature_of_another_day_is_refused(files: Files) -> None:
    other = parse(files["sth/2026-11-23.json"])["signatures"]
    for number in (0, 1):

        def swap(head: Any, number: int = number) -> None:
            head["signatures"][number] = other[number]

        assert_refused(with_head(files, swap), "bad_signature")


def test_one_algorithm_twice_is_refused(files: Files) -> None:
    def twice(head: Any) -> None:
        head["signatures"][1] = head["signatures"][0]

    assert_refused(with_head(files, twice), "bad_signature")


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.update(timestamp=h["timestamp"] + 1),
        lambda h: h.update(policy_bundle_sha256="0" * 64),
        lambda h: h["emitters"].update(missing=1),
        lambda h: h.update(date="2026-11-25"),
        lambda h: h["signatures"].reverse(),
    ],
)
def test_a_changed_head_is_refused(files: Files, change: Callable[[Any], Any]) -> None:
    assert_refused(with_head(files, change), "bad_signature")


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.update(extra=1),
        lambda h: h.update(final=1),
        lambda h: h.update(tree_size=9),
        lambda h: h.update(log_id="0" * 64),
        lambda h: h["chains"][0].update(id=1),
        lambda h: h.update(root_hash=h["root_hash"][:-2] + "=="),
        lambda h: h.update(tree_size="8"),
    ],
)
def test_a_malformed_head_is_refused(files: Files, change: Callable[[Any], Any]) -> None:
    assert_refused(with_head(files, change), "bad_sth")


def resigned(log: PackLog, files: Files, **changes: Any) -> bytes:
    """A head that says something else, signed by the log itself: what only a lying log can make."""
    head = log.heads[-1]
    plain = TreeHead(**{item.name: getattr(head, item.name) for item in fields(TreeHead)})
    raw = sign_sth(replace(plain, **changes), log.signer).raw
    return remade({**files, "sth.json": raw, "sth/2026-11-24.json": raw})


def test_a_head_that_is_not_final_is_refused(log: PackLog, files: Files) -> None:
    assert_refused(resigned(log, files, final=False), "broken_sth_chain")


LIES = ({"count": 2}, {"decisions": 4}, {"missing": 1}, {"sha256": "0" * 64})


def test_even_the_log_itself_cannot_break_the_rules(log: PackLog, files: Files) -> None:
    head = log.heads[-1]
    cases = [
        ({"prev_sth_sha256": "0" * 64}, "broken_sth_chain"),
        ({"timestamp": 0}, "broken_sth_chain"),
        ({"root_hash": bytes(32)}, "wrong_root"),
        ({"emitters": NO_EMITTERS}, "wrong_emitters"),
        *(({"emitters": replace(head.emitters, **lie)}, "wrong_emitters") for lie in LIES),
        ({"date": head.date + timedelta(days=1)}, "broken_sth_chain"),
    ]
    for changes, code in cases:
        report = library(resigned(log, files, **changes))
        assert code in {failure.code for failure in report.failures}, changes
        assert run_checker(resigned(log, files, **changes), log.log_id)[0] == 1, changes


def signed_as_it_is(log: PackLog, value: dict[str, Any]) -> bytes:
    """A head signed by the log's keys without any look at what it says."""
    value = {name: member for name, member in value.items() if name != "signatures"}
    message = b"signet-sth-v1\n" + canonicalize(value)
    keys = log.signer.keys.for_tree_size(0)
    value["signatures"] = [
        {
            "alg": alg.value,
            "keyid": keys.key(alg).keyid,
            "sig": base64.b64encode(log.signer.sign(alg, message)).decode(),
        }
        for alg in (Algorithm.ED25519, Algorithm.ML_DSA_65)
    ]
    return canonicalize(value)


def retold(log: PackLog, change: Callable[[Any], Any]) -> bytes:
    """The pack of day 2 by a log whose head of day 1 says something else, all signed again."""
    files = unzip(log.pack())
    first, last = parse(files["sth/2026-11-23.json"]), parse(files["sth.json"])
    change(first)
    raw = signed_as_it_is(log, first)
    last["prev_sth_sha256"] = hashlib.sha256(raw).hexdigest()
    closing = signed_as_it_is(log, last)
    return remade({**files, "sth/2026-11-23.json": raw, "sth/2026-11-24.json": closing, "sth.json": closing})


@pytest.mark.parametrize(
    "change",
    [
        lambda h: h.update(emitters=1),
        lambda h: h.update(emitters={}),
        lambda h: h["emitters"].update(decisions=4),  # one more than the day has receipts
        lambda h: h["emitters"].update(count=4),
        lambda h: h["emitters"].update(count=3, missing=1),  # an emitter with one decision has no gap
        lambda h: h["emitters"].update(count=0),
        lambda h: h["emitters"].update(count=0, decisions=0),
        lambda h: h["emitters"].update(sha256=NO_EMITTERS.sha256),
        lambda h: h["emitters"].update(sha256="0" * 63),
        lambda h: h["emitters"].update(count=True),
        lambda h: h["emitters"].update(missing=-1),
        lambda h: h["emitters"].update(gaps=[]),
        lambda h: h["emitters"].pop("missing"),
    ],
)
def test_an_earlier_head_with_emitters_that_cannot_be_is_refused(change: Callable[[Any], Any]) -> None:
    assert_refused(retold(log_with_days(3, 5), change), "bad_sth")


def test_emitters_of_an_earlier_day_may_be_any_that_can_be() -> None:
    emitters = {"count": 2, "decisions": 3, "missing": 2**53 - 1, "sha256": "0" * 64}
    log = log_with_days(3, 5)
    assert_good(retold(log, lambda head: head.update(emitters=emitters)), log)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda h: h.update(root_hash=ZERO), "bad_sth"),  # of a tree without leaves
        (lambda h: h["chains"][0].update(head=base64.b64encode(b"h" * 32).decode()), "broken_sth_chain"),
        (lambda h: h.update(chains=[]), "bad_sth"),
    ],
)
def test_a_first_day_without_receipts_leaves_no_freedom(change: Callable[[Any], Any], code: str) -> None:
    assert_refused(retold(log_with_days(0, 5), change), code)


def test_a_log_of_no_chain_is_refused() -> None:
    log = log_with_days(0)
    files = unzip(log.pack())
    head = parse(files["sth.json"])
    raw = signed_as_it_is(log, {**head, "chains": []})
    assert_refused(remade({**files, "sth.json": raw, "sth/2026-11-23.json": raw}), "bad_sth")


def test_a_log_before_1970_is_refused() -> None:
    log = log_with_days(0)
    files = unzip(log.pack())
    raw = signed_as_it_is(log, {**parse(files["sth.json"]), "date": "1969-12-31"})
    manifest = canonicalize({**parse(files[layout.MANIFEST]), "date": "1969-12-31"})
    renamed = {
        name.replace("2026-11-23", "1969-12-31"): raw if name.startswith("sth") else body
        for name, body in files.items()
    }
    assert_refused(remade({**renamed, layout.MANIFEST: manifest}), "manifest_malformed")


@pytest.mark.parametrize(("depth", "good"), [(32, True), (33, False)])
def test_receipts_of_other_types_are_bounded_in_depth(depth: int, good: bool) -> None:
    nested: Any = 1
    for _ in range(depth - 1):
        nested = [nested]
    log = log_with_days(1)
    chain = log.chain_heads[0]
    body = {"v": 1, "type": "policy.changed", "id": "019c0000-0000-7000-8000-000000000000", "x": nested}
    body |= {"decided_at": "2026-11-24T00:00:00.000Z"}
    body["chain"] = {"id": 0, "seq": chain.next_seq, "prev": base64.b64encode(chain.head).decode()}
    body["chain"] |= {"recorded_at": "2026-11-24T01:00:00.000Z"}
    line = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    previous, tree = log.heads[0], CompactRange(1, [log.heads[0].root_hash])
    tree.append(leaf_hash(line))
    head = {
        **parse(previous.raw),
        "date": "2026-11-24",
        "tree_size": 2,
        "first_leaf": 1,
        "root_hash": base64.b64encode(tree.root()).decode(),
        "timestamp": previous.timestamp + 1,
        "prev_sth_sha256": previous.sha256,
        "emitters": asdict(NO_EMITTERS),
        "chains": [
            {
                "id": 0,
                "first_seq": 1,
                "next_seq": 2,
                "head": base64.b64encode(hashlib.sha256(line).digest()).decode(),
            }
        ],
    }
    raw = signed_as_it_is(log, head)
    old = base64.b64encode(previous.root_hash).decode()
    new = base64.b64encode(leaf_hash(line)).decode()
    files = unzip(log_with_days(1, 1).pack())
    files |= {
        "receipts.jsonl": line + b"\n",
        "sth.json": raw,
        "sth/2026-11-23.json": previous.raw,
        "sth/2026-11-24.json": raw,
        "proofs/range.json": canonicalize({"v": 1, "first_leaf": 1, "tree_size": 2, "left": [old]}),
        "proofs/consistency.json": canonicalize(
            {"v": 1, "proofs": [{"size1": 1, "size2": 2, "proof": [new]}]}
        ),
        "proofs/inclusion.jsonl": canonicalize({"id": body["id"], "leaf_index": 1, "proof": [old]}) + b"\n",
        "keys.json": log.signer.keys.encode(),
        "checkpoint": sign_checkpoint(2, tree.root(), 1, log.signer),
    }
    manifest = {**parse(files[layout.MANIFEST]), "log_id": log.log_id}
    data = remade({**files, layout.MANIFEST: canonicalize(manifest)})
    if good:
        assert_good(data, log)
    else:
        assert_refused(data, "not_canonical")


@pytest.mark.parametrize("origin", ["лог.example", "a b", "a+b", "x" * 256])
def test_an_origin_that_notes_cannot_carry_is_refused(origin: str) -> None:
    log = log_with_days(1)
    files = unzip(log.pack())
    keys = {**parse(files["keys.json"]), "origin": origin}
    named = canonicalize({"origin": origin, "keys": keys["sets"][0]["keys"]})
    keys["log_id"] = hashlib.sha256(b"signet-log-v1\n" + named).hexdigest()
    manifest = canonicalize({**parse(files[layout.MANIFEST]), "log_id": keys["log_id"]})
    data = remade({**files, "keys.json": canonicalize(keys), layout.MANIFEST: manifest})
    report = assert_refused(data, "bad_key_file")
    assert len(report.failures) == 1


@pytest.mark.parametrize("name", ["keys.json", "checkpoint", "VERIFY.md"])
def test_a_member_that_would_fill_the_memory_is_refused_unread(files: Files, name: str) -> None:
    nested = b"[" + b"[]," * (3 << 20)
    assert_refused(remade({**files, name: nested}), "member_too_large")


def test_sth_json_must_be_the_last_head(files: Files) -> None:
    assert_refused(remade({**files, "sth.json": files["sth/2026-11-23.json"]}), "wrong_head")


def test_an_older_history_is_refused(files: Files) -> None:
    assert_refused(remade({**files, "sth/2026-11-23.json": files["sth.json"]}), "broken_sth_chain")


# --- Proofs, checkpoint, policy -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "change", "code"),
    [
        ("proofs/range.json", lambda v: v["left"].reverse(), "wrong_root"),
        ("proofs/range.json", lambda v: v["left"].pop(), "bad_proof"),
        ("proofs/range.json", lambda v: v.update(left=[ZERO, ZERO]), "wrong_root"),
        ("proofs/range.json", lambda v: v.update(first_leaf=2), "bad_proof"),
        ("proofs/range.json", lambda v: v.update(v=True), "bad_proof"),
        ("proofs/consistency.json", lambda v: v["proofs"][0]["proof"].reverse(), "bad_proof"),
        ("proofs/consistency.json", lambda v: v["proofs"][0]["proof"].pop(), "bad_proof"),
        ("proofs/consistency.json", lambda v: v["proofs"][0]["proof"].append(ZERO), "bad_proof"),
        ("proofs/consistency.json", lambda v: v["proofs"][0].update(size1=2), "bad_proof"),
        ("proofs/consistency.json", lambda v: v["proofs"][0].update(proof=None), "bad_proof"),
        ("proofs/consistency.json", lambda v: v["proofs"].pop(), "bad_proof"),
        ("proofs/consistency.json", lambda v: v["proofs"].append(v["proofs"][0]), "bad_proof"),
        ("proofs/consistency.json", lambda v: v["proofs"].__setitem__(0, None), "bad_proof"),
        ("proofs/consistency.json", lambda v: v.update(proofs=None), "bad_proof"),
    ],
)
def test_changed_proofs_are_refused(files: Files, name: str, change: Callable[[Any], Any], code: str) -> None:
    report = assert_refused(remade(edit(files, name, change)), code)
    assert report.failures[0].where == name


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: lines[:-1],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [lines[0].replace(b'"leaf_index":3', b'"leaf_index":4'), *lines[1:]],
        lambda lines: [canonicalize({**parse(lines[0][:-1]), "proof": []}) + b"\n", *lines[1:]],
    ],
)
def test_changed_inclusion_proofs_are_refused(
    files: Files, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    name = "proofs/inclusion.jsonl"
    body = b"".join(change(files[name].splitlines(keepends=True)))
    assert_refused(remade({**files, name: body}), "bad_proof")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda lines: [*lines[:5]], "bad_signature"),
        (lambda lines: [*lines[:4], lines[5]], "bad_signature"),
        (lambda lines: [*lines, lines[4]], "bad_note"),
        (lambda lines: [*lines[:4], lines[5], lines[4]], "bad_note"),
        (lambda lines: ["other.example/log\n", *lines[1:]], "bad_note"),
        (lambda lines: [lines[0], "7\n", *lines[2:]], "bad_signature"),
        (lambda lines: [*lines[:3], "extension\n", *lines[3:]], "bad_note"),
    ],
)
def test_a_changed_checkpoint_is_refused(
    files: Files, change: Callable[[list[str]], list[str]], code: str
) -> None:
    lines = files["checkpoint"].decode().splitlines(keepends=True)
    assert_refused(remade({**files, "checkpoint": "".join(change(lines)).encode()}), code)


def test_a_later_checkpoint_of_the_same_log_is_refused(log: PackLog) -> None:
    files = unzip(log.pack(FIRST_DAY))
    assert_refused(remade({**files, "checkpoint": log.store.objects["checkpoint"]}), "wrong_root")


def test_a_fork_between_earlier_days_is_refused() -> None:
    """Who holds the log's keys and gave away day 1 cannot rewrite it, and be consistent from day 2 on."""
    told, kept = log_with_days(3), log_with_days(2)
    kept.signer, kept.chain_heads = told.signer, told.chain_heads
    kept.heads, kept.numbers = told.heads, told.numbers
    # The tree goes on from other leaves than those of the head that all readers know.
    kept.builder = TileBuilder()
    for path, tile in [*kept.builder.append([b"{}", b"[]", b"0"]), *kept.builder.partial_tiles()]:
        kept.store.put(path, tile)
    for key in ("keys.json", f"sth/{FIRST_DAY}.json", f"sth/{FIRST_DAY}.checkpoint"):
        kept.store.put(key, told.store.objects[key])
    for _ in range(2):
        kept.close(kept.decide(2, kept.heads[-1].date + timedelta(days=1)))
    report = assert_refused(kept.pack(), "bad_proof", told.log_id)
    assert report.failures[0].where == "proofs/consistency.json"


def test_an_older_checkpoint_is_refused(log: PackLog, files: Files) -> None:
    first = log.heads[0]
    older = sign_checkpoint(first.tree_size, first.root_hash, 1, log.signer)
    assert_refused(remade({**files, "checkpoint": older}), "wrong_root")
    head = log.heads[-1]
    forked = sign_checkpoint(head.tree_size, bytes(32), 1, log.signer)
    assert_refused(remade({**files, "checkpoint": forked}), "wrong_root")


def test_a_changed_policy_is_refused(files: Files) -> None:
    name = next(name for name in files if name.endswith(".rego"))
    assert_refused(remade({**files, name: b"package evil\n"}), "policy_hash")


def test_a_policy_that_nothing_names_is_refused(files: Files) -> None:
    added: Files = {}
    for name, body in files.items():
        if name.startswith("policy/") and "policy/" + "0" * 64 + "/a.rego" not in added:
            added["policy/" + "0" * 64 + "/a.rego"] = b""
        added[name] = body
    order = sorted(name for name in added if name.startswith("policy/"))
    arranged = [name for name in files if not name.startswith("policy/")]
    arranged[-2:-2] = order
    assert_refused(remade({name: added[name] for name in arranged}), "policy_unnamed")


def test_an_absent_policy_is_reported(log: PackLog, files: Files) -> None:
    left = {name: body for name, body in files.items() if not name.startswith("policy/")}
    report = assert_good(remade(left), log)
    assert [notice.code for notice in report.notices] == ["policy_absent"]
    assert "\nremark policy_absent: the files of 1 " in run_checker(remade(left), log.log_id)[1]


def test_absent_policies_are_one_remark_however_many_are_named() -> None:
    log = log_with_days()
    named = [bytes([number]) * 32 for number in range(1, 4)]
    decided = log.decide(3, FIRST_DAY)
    log.close(
        [
            replace(made, policy=replace(made.policy, bundle_sha256=bundle))
            for made, bundle in zip(decided, named, strict=True)
        ]
    )
    report = assert_good(log.pack(), log)
    [absent] = [notice for notice in report.notices if notice.code == "policy_absent"]
    assert absent.text.startswith("the files of 3 policies ")
    assert named[0].hex() in absent.text


# --- The program --------------------------------------------------------------------------------


def run_program(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(CHECKER), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **environment},
    )


def test_the_checker_runs_from_the_pack_alone(tmp_path: Path, log: PackLog, files: Files) -> None:
    (tmp_path / "pack.zip").write_bytes(log.pack())
    (tmp_path / "verify.py").write_bytes(files["verify.py"])
    program = [sys.executable, "-W", "error", "verify.py", "pack.zip", "--log-id", log.log_id]
    done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "GOOD: 5 receipts of 2026-11-24" in done.stdout


@pytest.mark.parametrize("arguments", [["absent.zip"], ["pack.zip", "--log-id", "XYZ"], ["--what"]])
def test_wrong_use_of_the_checker_is_exit_2(tmp_path: Path, arguments: list[str]) -> None:
    done = run_program(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_garbage_is_exit_1_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "pack.zip").write_bytes(os.urandom(5000))
    done = run_program(cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "FAILED" in done.stdout


def test_without_ml_dsa_the_checker_says_what_to_install(tmp_path: Path, log: PackLog) -> None:
    (tmp_path / "pack.zip").write_bytes(log.pack())
    package = tmp_path / "old" / "cryptography" / "hazmat" / "primitives" / "asymmetric"
    package.mkdir(parents=True)
    for folder in (package, *package.parents[:3]):
        (folder / "__init__.py").write_text("")
    (package / "ed25519.py").write_text("")
    done = run_program("pack.zip", cwd=tmp_path, PYTHONPATH=str(tmp_path / "old"))
    assert done.returncode == 2
    assert "pip install" in done.stderr
    assert "GOOD" not in done.stdout
