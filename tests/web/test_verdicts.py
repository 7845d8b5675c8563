"""What the page says of packs that are nearly right: other days, other keys, contradictions, remarks."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from signet.core.canonical import canonicalize, parse
from signet.core.encoding import encode_base64
from signet.core.instants import day_start_ms, utc_millis, uuid7
from signet.pack import layout
from signet.receipts.model import DecisionRecord
from signet.receipts.reading import Receipt, read_receipt
from tests.support.forgery import Files, edit, remade, rezip, signed_as_it_is, unzip
from tests.support.packs import FIRST_DAY, PackLog, log_with_days, seeded_private_set
from tests.support.webpage import ROOT, Refusal, VerifyPage

pytestmark = pytest.mark.integration

SEED = 7
PRIVATE = seeded_private_set(SEED)
DAY_MS = 86_400_000
START = day_start_ms(FIRST_DAY)
#: A file that deflate makes a thousandth of.
BOMB = bytes(48 * 1024 * 1024)


@pytest.fixture(scope="module")
def files() -> Files:
    """The members of a good pack of the second of two days."""
    return unzip(log_with_days(3, 5, keys_seed=SEED).pack())


@pytest.fixture(scope="module")
def log_id(files: Files) -> str:
    return str(parse(files[layout.KEYS])["log_id"])


def with_head(files: Files, **members: Any) -> bytes:
    """The pack with other members in the day's head, signed by the log's own keys."""
    head = signed_as_it_is({**parse(files[layout.HEAD]), **members}, PRIVATE)
    return remade({**files, layout.HEAD: head, f"sth/{parse(head)['date']}.json": head})


def closed(records: Sequence[DecisionRecord], others: Sequence[Receipt] = ()) -> PackLog:
    """A log whose first day holds these."""
    log = PackLog()
    log.close(records, others=others)
    return log


def decided(count: int) -> list[DecisionRecord]:
    return PackLog().decide(count, FIRST_DAY)


def text_of(page: VerifyPage, code: str) -> str:
    return page.page.locator(f".notices [data-code={code}]").text_content() or ""


# --- The day ------------------------------------------------------------------------------------


def test_a_pack_cannot_be_labelled_as_another_day(shared: VerifyPage, files: Files, log_id: str) -> None:
    for day, refusal in (
        (FIRST_DAY, Refusal("wrong_day", "manifest.json", None)),
        (FIRST_DAY + timedelta(days=2), Refusal("member_missing", "sth/2026-11-25.json", None)),
    ):
        manifest = canonicalize({**parse(files[layout.MANIFEST]), "date": str(day)})
        forged = rezip({**files, layout.MANIFEST: manifest})
        verdict = shared.check(forged, log_id)
        assert (verdict.mood, verdict.failures[0]) == ("bad", refusal)


def test_the_day_that_was_asked_for_is_held_to_the_signed_head(page: VerifyPage, files: Files) -> None:
    refused = page.check(rezip(files), asked="2026-11-23")
    assert refused.failures == (Refusal("other_day", "sth.json", None),)
    expect(page.page.locator("#verdict")).to_contain_text("of 2026-11-24; the day asked for is 2026-11-23")
    page.page.get_by_label("Day you asked for").fill("2026-11-24")
    page.page.get_by_role("button", name="Check again").click()
    assert page.verdict().failures == ()


def test_half_a_day_is_not_taken_for_one(page: VerifyPage, files: Files) -> None:
    page.page.get_by_label("Day you asked for").click()
    page.page.keyboard.type("11")
    page.choose(rezip(files))
    expect(page.page.get_by_role("alert").filter(has_text="no day")).to_be_visible()
    expect(page.page.locator("#verdict")).to_be_hidden()


def test_the_verdict_says_which_day_when_it_was_signed_and_what_is_not_shown(
    page: VerifyPage, files: Files, log_id: str
) -> None:
    assert page.check(rezip(files), log_id).mood == "good"
    said = page.page.locator("#verdict")
    expect(said).to_contain_text("every decision that the log recorded on 24 November 2026: 5 receipts")
    expect(said).to_contain_text("25 November 2026, 01:00:00 UTC, 1 hour after the day was over")
    expect(said).to_contain_text("2 final tree heads")
    assert page.page.locator(".not-shown li").count() == 4
    for text in ("operator's word", "lost before they reached", "not judged again", "the same log"):
        expect(page.page.locator(".not-shown")).to_contain_text(text)


# --- Cheap checks first -------------------------------------------------------------------------


def test_a_bomb_of_another_log_is_not_unpacked(page: VerifyPage, files: Files) -> None:
    bundle = next(name for name in files if name.startswith("policy/")).rsplit("/", 1)[0]
    bomb: Files = {}
    for name, body in files.items():
        bomb[name] = body
        if name == "checkpoint":
            bomb[f"{bundle}/bomb.rego"] = BOMB
    data = remade(bomb)
    verdict = page.check(data, "0" * 64)
    assert verdict.failures == (Refusal("wrong_log", "keys.json", None),)
    expect(page.page.locator("#verdict")).to_contain_text("nothing else was checked")
    assert verdict.inflated == sum(len(unzip(data)[name]) for name in (layout.MANIFEST, layout.KEYS))
    assert page.check(data).inflated > len(BOMB)  # the figure tells: unpinned, there is more to be told


# --- Keys and bounds ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point",
    [
        "01" + 31 * "00",
        31 * "00" + "80",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "f0" + 30 * "ff" + "7f",  # 3, not reduced
    ],
)
def test_a_key_under_which_anybody_can_sign_is_refused(shared: VerifyPage, files: Files, point: str) -> None:
    keys = parse(files[layout.KEYS])
    key = keys["sets"][0]["keys"][0]
    raw = bytes.fromhex(point)
    key["public_key"] = encode_base64(raw)
    key["keyid"] = hashlib.sha256(b"ed25519\n" + raw).hexdigest()[:32]
    named = canonicalize({"origin": keys["origin"], "keys": keys["sets"][0]["keys"]})
    keys["log_id"] = hashlib.sha256(b"signet-log-v1\n" + named).hexdigest()
    forged = edit(files, layout.MANIFEST, lambda manifest: manifest.update(log_id=keys["log_id"]))
    verdict = shared.check(remade({**forged, layout.KEYS: canonicalize(keys)}), keys["log_id"])
    assert verdict.failures == (Refusal("bad_key_file", "keys.json", None),)


def test_a_head_is_signed_before_the_end_of_the_calendar(page: VerifyPage, files: Files, log_id: str) -> None:
    last = 253_402_300_799_999
    assert page.check(with_head(files, timestamp=last), log_id).failures == ()
    expect(page.page.get_by_role("region", name="Tree head")).to_contain_text("9999-12-31 23:59:59.999 UTC")
    for timestamp in (last + 1, 8_640_000_000_000_001, 2**53 - 1, -1):
        verdict = page.check(with_head(files, timestamp=timestamp), log_id)
        assert verdict.failures[0].code == "bad_sth", timestamp
    assert not page.page.locator("#proven").is_visible()


# --- Nonces ------------------------------------------------------------------------------------


def test_a_nonce_lets_one_request_in(shared: VerifyPage) -> None:
    first, second, replayed = decided(3)
    assert replayed.reason == "nonce_replayed"
    once = replace(replayed, proof=first.proof)
    log = closed([first, once])
    assert shared.check(log.pack(), log.log_id).failures == ()
    log = closed([first, once, replace(second, proof=first.proof)])
    expected = Refusal("nonce_allowed_twice", "receipts.jsonl", 3)
    assert shared.check(log.pack(), log.log_id).failures[0] == expected


# --- Remarks ------------------------------------------------------------------------------------


def other_times(records: list[DecisionRecord]) -> PackLog:
    moved = [
        record.decided_at_ms + offset for record, offset in zip(records[1:], (DAY_MS, -DAY_MS), strict=True)
    ]
    pairs = zip(records[1:], moved, strict=True)
    return closed([records[0], *(replace(record, decided_at_ms=at) for record, at in pairs)])


def other_policy(records: list[DecisionRecord]) -> PackLog:
    named = replace(records[1].policy, bundle_sha256=bytes(32))
    return closed([records[0], replace(records[1], policy=named), replace(records[2], policy=named)])


def same_number(records: list[DecisionRecord]) -> PackLog:
    return closed([*records[:2], replace(records[2], emitter=records[0].emitter)])


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (other_times, "times_far_apart", "2 decisions (the first in line 2 of receipts.jsonl)"),
        (other_policy, "policy_unannounced", "2 decisions (the first in line 2 of receipts.jsonl)"),
        (same_number, "emitter_number_twice", "1 receipt (the first in line 3 of receipts.jsonl)"),
    ],
)
def test_what_is_improbable_is_remarked_with_its_line(
    page: VerifyPage, make: Callable[[list[DecisionRecord]], PackLog], code: str, said: str
) -> None:
    log = make(decided(3))
    verdict = page.check(log.pack(), log.log_id)
    assert verdict.failures == ()
    assert [notice for notice in verdict.notices if notice != "policy_absent"] == [code]
    assert said in text_of(page, code)


def test_a_policy_that_a_receipt_announces_is_not_remarked(page: VerifyPage) -> None:
    at = utc_millis(START)
    change = {"n": 1, "from": "11" * 32, "to": "22" * 32, "pushed_at": at}
    value = {
        "v": 1,
        "type": "policy.changed",
        "id": uuid7(START, bytes(10)),
        "decided_at": at,
        "change": change,
    }
    announced = read_receipt(canonicalize(value), chained=False)
    records = [
        replace(record, policy=replace(record.policy, bundle_sha256=bytes([number]) * 32))
        for record, number in zip(decided(2), (0x11, 0x22), strict=True)
    ]
    log = closed(records, [announced])
    assert set(page.check(log.pack(), log.log_id).notices) == {"policy_absent"}
    log = closed(records)
    assert "policy_unannounced" in page.check(log.pack(), log.log_id).notices


@pytest.mark.parametrize(
    ("timestamp", "codes", "said"),
    [
        (2 * DAY_MS, (), ""),
        (2 * DAY_MS - 1, ("closed_early",), "closed at 23:59:59 UTC, before it was over"),
        (DAY_MS + 3_600_000 - 300_000, ("closed_early",), "closed at 00:55:00 UTC"),
        (DAY_MS + 3_600_000 - 300_001, ("closed_early", "head_time"), "closed at 00:54:59 UTC"),
        (DAY_MS - 1, ("closed_early", "head_time"), "closed at 2026-11-23 23:59:59 UTC"),
    ],
)
def test_a_head_that_was_signed_early_is_remarked(
    page: VerifyPage, log_id: str, timestamp: int, codes: tuple[str, ...], said: str
) -> None:
    log = log_with_days(0, 5, keys_seed=SEED)  # the day before was closed by a head of its own time
    files = unzip(log.pack())
    before = signed_as_it_is({**parse(files["sth/2026-11-23.json"]), "timestamp": 0}, PRIVATE)
    files["sth/2026-11-23.json"] = before
    changed = {"prev_sth_sha256": hashlib.sha256(before).hexdigest(), "timestamp": START + timestamp}
    verdict = page.check(with_head(files, **changed), log_id)
    assert (verdict.failures, verdict.notices) == ((), codes)
    if codes:
        assert said in text_of(page, "closed_early")


@pytest.mark.parametrize("name", [layout.GUIDE, layout.CHECKER])
def test_a_checker_that_no_release_has_is_remarked(
    page: VerifyPage, files: Files, log_id: str, name: str
) -> None:
    verdict = page.check(remade({**files, name: files[name] + b"\n"}), log_id)
    assert (verdict.failures, verdict.notices) == ((), ("other_checker",))
    assert "VERIFY.md and verify.py are signed by nothing" in text_of(page, "other_checker")


def test_the_checkers_of_an_earlier_release_are_known(page: VerifyPage) -> None:
    kept = (ROOT / "tests/fixtures/kept/pack-2026-11-23.zip").read_bytes()
    assert "other_checker" not in page.check(kept).notices


# --- What is no pack ----------------------------------------------------------------------------


def repacked(files: Files, folder: str = "") -> bytes:
    """The members as an ordinary program zips them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(folder + name, body)
    return out.getvalue()


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (lambda _files: b"<!doctype html><h1>403</h1>", "not_a_pack", "This is not a pack"),
        (lambda _files: b'{"message":"Forbidden"}', "not_a_pack", "This is not a pack"),
        (lambda files: gzip.compress(rezip(files)), "not_a_pack", "This is not a pack"),
        (lambda _files: b"", "not_a_pack", "This is not a pack"),
        (lambda files: rezip(files)[:20_000], "cut_short", "This pack was cut short"),
        (lambda files: rezip(files)[:-1], "cut_short", "This pack was cut short"),
        (repacked, "packed_anew", "This pack was packed anew"),
        (lambda files: repacked(files, "pack/"), "packed_anew", "This pack was packed anew"),
    ],
    ids=["a page", "json", "gzip", "nothing", "half", "a byte short", "repacked", "a folder repacked"],
)
def test_what_is_no_pack_as_it_was_made_is_named(
    shared: VerifyPage, files: Files, change: Callable[[Files], bytes], kind: str, said: str
) -> None:
    verdict = shared.check(change(files))
    assert (verdict.mood, verdict.kind) == ("no-pack", kind)
    assert verdict.failures[0].code == "zip_malformed"
    expect(shared.page.get_by_role("heading", name=said)).to_be_visible()
    expect(shared.page.locator("#verdict")).not_to_contain_text("bad")


def test_a_folder_is_no_pack(page: VerifyPage, files: Files, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(files[layout.MANIFEST])
    devtools = page.page.context.new_cdp_session(page.page)
    dropped = {"items": [], "files": [str(tmp_path)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": dropped})
    verdict = page.verdict()
    assert (verdict.mood, verdict.kind) == ("no-pack", "not_a_pack")
    expect(page.page.locator("#verdict")).to_contain_text("It is a folder")


# --- Strangers' text ----------------------------------------------------------------------------

HOSTILE = "/\x1b[2J\x7f\x9b\u202egood\u2066\u200b\u2028\ufeff"
SPELLED = "/\\x1b[2J\\x7f\\x9b\\u202egood\\u2066\\u200b\\u2028\\ufeff"
#: What must not reach the screen: line ends apart, which the page's own layout makes.
UNSEEN = re.compile("[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def test_what_is_not_seen_is_spelled_out_in_rows_and_receipts(page: VerifyPage) -> None:
    (record,) = decided(1)
    log = closed([replace(record, request=replace(record.request, path=HOSTILE))])
    assert page.check(log.pack(), log.log_id).failures == ()
    page.page.locator("#row-0").click()
    expect(page.page.locator("#detail pre")).to_contain_text("u202egood")
    expect(page.page.locator("#row-0")).to_contain_text(SPELLED)
    shown = json.loads(page.page.locator("#detail pre").text_content() or "")
    assert shown["request"]["path"] == HOSTILE  # spelled as JSON spells it: it means the same
    text = page.page.evaluate("document.querySelector('main').textContent")
    assert UNSEEN.search(re.sub(r"\s", " ", text, flags=re.ASCII)) is None


def test_a_name_cannot_write_into_the_verdict(page: VerifyPage, files: Files, log_id: str) -> None:
    def add(manifest: dict[str, Any]) -> None:
        manifest["files"].insert(0, {"name": HOSTILE, "sha256": "0" * 64, "size": 1})

    page.check(rezip(edit(files, layout.MANIFEST, add)), log_id)
    assert page.page.locator(".place").text_content() == SPELLED
    expect(page.page.locator("#check-manifest")).to_contain_text(SPELLED)
    text = page.page.evaluate("document.querySelector('main').textContent")
    assert UNSEEN.search(re.sub(r"\s", " ", text, flags=re.ASCII)) is None
