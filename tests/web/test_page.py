"""The page that checks packs, in Chromium: its verdicts, its silence, and that people can use it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from matplotlib.image import imread
from playwright.sync_api import Browser, expect

from signet.core.canonical import canonicalize
from signet.core.instants import day_start_ms, utc_millis, uuid7
from signet.pack.prove import prove_receipt
from signet.receipts.reading import Receipt, read_receipt
from tests.corpus import Case, bad_cases, good_cases, sample
from tests.corpus.callers import CALLERS, NO_CALLERS
from tests.corpus.callers import log as transcribed
from tests.corpus.world import OWN_REMARKS
from tests.support.packs import FIRST_DAY, PackLog, log_with_days
from tests.support.webpage import PAGE, PICTURES, Refusal, Verdict, VerifyPage, built_page

pytestmark = pytest.mark.integration

#: The one order that differs: the page holds every member to its hash before it reads any.
OTHER_FAILURES = {
    "member-bit-flipped-proofs-inclusion.jsonl": Refusal("hash_mismatch", "proofs/inclusion.jsonl", None)
}
#: One more than the receipts up to which a pack carries proofs: the largest pack of the tests.
WITHOUT_PROOFS = 10_001


# --- Verdicts -----------------------------------------------------------------------------------


def test_good_packs_of_the_corpus_are_found_good(shared: VerifyPage) -> None:
    assert_found_good(shared, sample(good_cases()))


def test_no_pack_is_judged_with_a_file_of_keys_that_no_caller_may_have(shared: VerifyPage) -> None:
    made = transcribed()
    for callers in NO_CALLERS:
        assert shared.check(made.pack(), made.log_id, None, callers).mood == "obstacle", callers[:80]
    for callers in (*CALLERS, made.callers()):
        assert shared.check(made.pack(), made.log_id, None, callers).failures == ()


@pytest.mark.sweep
def test_every_good_pack_of_the_corpus_is_found_good(shared: VerifyPage) -> None:
    assert_found_good(shared, good_cases(10_000))


def assert_found_good(shared: VerifyPage, cases: Iterable[Case]) -> None:
    for case in cases:
        verdict = shared.check(case.data, case.log_id, case.asked, case.callers)
        assert (verdict.failures, verdict.kind) == ((), "pack"), case.name
        gaps = [code for code in verdict.notices if code == "emitter_gap"]
        assert len(gaps) == len(case.facts["gaps"]), case.name
        remarks = [code for code in verdict.notices if code not in {*OWN_REMARKS, "emitter_gap"}]
        assert sorted(remarks, key=str) == case.facts.get("remarks", []), case.name
        assert verdict.mood == ("remarks" if verdict.notices else "good"), case.name
        assert shared.page.locator("#checks li[data-state=passed]").count() == 17, case.name
        expect(shared.page.locator("#verdict")).to_contain_text(f"{case.facts['receipts']:,} receipt")
        counted = {
            item.get_attribute("data-counted"): int((item.text_content() or "").split()[0].replace(",", ""))
            for item in shared.page.locator("#verdict li[data-counted]").all()
        }
        assert counted == case.facts.get("proven", counted), case.name
        expect(shared.page.locator("#found")).to_contain_text(f"{case.facts['receipts']:,} receipt")


def side_by_side(browser: Browser, cases: Iterable[Case]) -> Iterator[tuple[Case, Verdict]]:
    """The verdicts on many packs, by two pages, one of which checks while the other is asked."""
    pages = [VerifyPage.open(browser) for _ in range(2)]
    waiting: deque[tuple[Case, VerifyPage]] = deque()
    for case in cases:
        page = pages.pop() if pages else waiting[0][1]
        if waiting and page is waiting[0][1]:
            yield answer(waiting.popleft())
        page.choose(case.data, case.log_id, case.asked, case.callers)
        waiting.append((case, page))
    yield from map(answer, waiting)
    for _, page in waiting:
        page.close()


def answer(asked: tuple[Case, VerifyPage]) -> tuple[Case, Verdict]:
    case, page = asked
    verdict = page.verdict()
    assert not page.page.locator("#proven").is_visible()
    return case, verdict


def test_bad_packs_of_the_corpus_are_refused_for_their_own_reason(browser: Browser) -> None:
    assert_refused(browser, sample(bad_cases()))


@pytest.mark.sweep
def test_every_bad_pack_of_the_corpus_is_refused_for_its_own_reason(browser: Browser) -> None:
    assert_refused(browser, bad_cases())


def assert_refused(browser: Browser, cases: Iterable[Case]) -> None:
    otherwise = []
    for case, verdict in side_by_side(browser, cases):
        expected = OTHER_FAILURES.get(case.name, Refusal(case.code or "", case.member or "", case.line))
        kind = case.kind or "pack"
        mood = "bad" if kind == "pack" else "no-pack"
        if (verdict.mood, verdict.kind) != (mood, kind) or not says(verdict.failures[0], expected):
            otherwise.append((case.name, kind, expected, verdict))
    assert otherwise == []


def says(found: Refusal, expected: Refusal) -> bool:
    """Whether a refusal is the one expected; it may name a line where none is asked for."""
    line = found.line if expected.line is None else expected.line
    return found == replace(expected, line=line)


def test_without_a_log_id_the_page_says_what_that_means(page: VerifyPage, log: PackLog) -> None:
    verdict = page.check(log.pack())
    assert (verdict.mood, verdict.notices) == ("remarks", ("log_id_not_pinned",))
    page.page.get_by_label("Expected log id").fill(log.log_id)
    page.page.get_by_role("button", name="Check again").click()
    assert page.verdict().mood == "good"


def test_of_very_many_gaps_the_page_lists_some_and_counts_the_rest(page: VerifyPage) -> None:
    lossy = PackLog()
    lossy.close(lossy.decide(300, FIRST_DAY, skip=range(1, 600, 2)))
    verdict = page.check(lossy.pack(), lossy.log_id)
    assert verdict.notices == ("emitter_gap",) * 200 + (None,)
    expect(page.page.locator(".notices li").last).to_contain_text("and 99 more")


def test_another_log_is_refused(page: VerifyPage, log: PackLog) -> None:
    assert page.check(log.pack(), "0" * 64).failures == (Refusal("wrong_log", "keys.json", None),)


def test_what_is_no_log_id_is_not_taken_for_one(page: VerifyPage) -> None:
    field = page.page.get_by_label("Expected log id")
    field.fill("12ab")
    page.page.locator("#pack").set_input_files({"name": "p.zip", "mimeType": "", "buffer": b""})
    expect(page.page.get_by_role("alert")).to_contain_text("64 hexadecimal digits")
    expect(field).to_be_focused()
    expect(page.page.locator("#verdict")).to_be_hidden()


@pytest.mark.parametrize("data", [b"", b"PK", b"\0" * 100_000], ids=["nothing", "a start", "zeros"])
def test_what_is_no_zip_is_refused(shared: VerifyPage, data: bytes) -> None:
    assert shared.check(data).failures == (Refusal("zip_malformed", "zip", None),)


def test_a_pack_can_be_dropped_anywhere(page: VerifyPage, log: PackLog) -> None:
    page.page.evaluate(
        """text => {
            const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
            const dropped = new DataTransfer();
            dropped.items.add(new File([bytes], "dropped.zip"));
            document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true }));
        }""",
        base64.b64encode(log.pack()).decode(),
    )
    assert page.verdict().failures == ()
    expect(page.page.get_by_text("dropped.zip")).to_be_visible()


# --- Silence ------------------------------------------------------------------------------------


def test_nothing_leaves_the_page(browser: Browser, log: PackLog) -> None:
    page = VerifyPage.open(browser)
    page.check(log.pack(), log.log_id)
    page.page.locator("#row-0").click()
    page.page.locator("#detail").wait_for()
    # The page itself, and its worker out of its own bytes.
    assert [url for url in page.requests if not url.startswith("blob:null/")] == [PAGE.as_uri()]
    page.close()


@pytest.mark.parametrize(
    ("attempt", "rule"),
    [
        ("(away) => fetch(away)", "connect-src"),
        ("(away) => new WebSocket(away.replace('http', 'ws'))", "connect-src"),
        ("(away) => navigator.sendBeacon(away, '')", "connect-src"),
        ("(away) => { new Image().src = away; }", "img-src"),
        ("(away) => add('script', away)", "script-src-elem"),
        ("(away) => add('iframe', away)", "frame-src"),
    ],
)
def test_even_a_script_of_its_own_could_not_reach_out(browser: Browser, attempt: str, rule: str) -> None:
    page = VerifyPage.open(browser)
    broken = page.page.evaluate(
        """(away) => new Promise((done) => {
            addEventListener("securitypolicyviolation", (event) => done(event.effectiveDirective));
            const make = (tag, src) => Object.assign(document.createElement(tag), { src });
            const add = (tag, src) => document.body.append(make(tag, src));
            Promise.resolve((ATTEMPT)(away)).catch(() => undefined);
        })""".replace("ATTEMPT", attempt),
        "http://127.0.0.1:9/",
    )
    assert broken == rule
    page.close()


def test_the_policy_allows_no_more_than_the_page_needs() -> None:
    text = built_page().read_text()
    _, _, rest = text.partition('http-equiv="Content-Security-Policy" content="')
    rules = dict(rule.split(" ", 1) for rule in rest.partition('"')[0].split("; "))
    assert rules.pop("script-src").startswith("'sha256-")
    assert rules.pop("style-src").startswith("'sha256-")
    assert rules == {
        "default-src": "'none'",
        "worker-src": "blob:",
        "connect-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert text.count("<script") == text.count("<style") == 1
    assert "src=" not in text.partition("<script")[0]


def test_markup_in_a_receipt_is_text(page: VerifyPage) -> None:
    log = PackLog()
    hostile = '<img src=x onerror="document.title=1"><script>document.title=1</script>'
    (decided,) = log.decide(1, FIRST_DAY)
    log.close([replace(decided, request=replace(decided.request, path=hostile))])
    page.check(log.pack())
    page.page.locator("#row-0").click()
    expect(page.page.locator("#detail pre")).to_contain_text("<script>")
    expect(page.page.locator("#row-0")).to_contain_text(hostile)
    assert page.page.locator("main img").count() == 0


# --- What it shows ------------------------------------------------------------------------------


def proof_shown(page: VerifyPage) -> tuple[list[str], str]:
    """The siblings that the proof is told with, and the root that it ends at."""
    steps = page.page.locator(".steps li").evaluate_all(
        "items => items.map(item => item.querySelector('code').textContent)"
    )
    return steps, page.page.locator(".proof p code").text_content() or ""


@pytest.mark.parametrize("counts", [(30, 300), (5, 10_050)], ids=["small day", "day without proofs"])
def test_each_receipt_has_the_proof_that_signet_prove_writes(
    page: VerifyPage, counts: tuple[int, ...]
) -> None:
    log = log_with_days(*counts)
    data = log.pack()
    page.check(data, log.log_id)
    grid = page.page.get_by_role("grid")
    for key, leaf in (("Home", counts[0]), ("End", sum(counts) - 1)):
        grid.focus()
        grid.press(key)
        grid.press("Enter")
        expect(page.page.get_by_role("heading", name=f"Receipt at leaf {leaf:,}")).to_be_visible()
        receipt = json.loads(page.page.locator("#detail pre").text_content() or "")
        proven = json.loads(prove_receipt(io.BytesIO(data), receipt["id"]).to_json())
        assert receipt == proven["receipt"]
        assert proof_shown(page) == (proven["proof"], proven["root_hash"])


def test_receipts_are_found_by_id_reason_and_key(page: VerifyPage, log: PackLog) -> None:
    page.check(log.pack(), log.log_id)
    found = page.page.locator("#found")
    page.page.get_by_label("Reason or type").select_option("nonce_replayed")
    expect(found).to_have_text("60 receipts of 300")
    expect(page.page.locator("#row-0")).to_contain_text("nonce_replayed")
    page.page.get_by_label("Reason or type").select_option("")
    expect(found).to_have_text("300 receipts")
    page.page.locator("#row-3").click()
    identifier = json.loads(page.page.locator("#detail pre").text_content() or "")["id"]
    page.page.get_by_label("Id contains", exact=True).fill(identifier[9:])
    expect(found).to_have_text("1 receipt of 300")
    page.page.get_by_label("Key id contains").fill("nobody")
    expect(found).to_have_text("0 receipts of 300")


def test_the_list_holds_only_the_rows_that_are_seen(page: VerifyPage, log: PackLog) -> None:
    page.check(log.pack(), log.log_id)
    grid = page.page.get_by_role("grid")
    expect(grid).to_have_attribute("aria-rowcount", "301")
    grid.focus()
    grid.press("End")
    last = page.page.locator("#row-299")
    expect(last).to_be_in_viewport()
    expect(last).to_have_attribute("aria-rowindex", "301")
    expect(grid).to_have_attribute("aria-activedescendant", "row-299")
    assert page.page.locator(".spacer .row").count() < 40


def event(kind: str, number: int, **members: Any) -> Receipt:
    """A receipt that is no decision, of the first day."""
    at_ms = day_start_ms(FIRST_DAY) + number
    common = {"v": 1, "type": kind, "id": uuid7(at_ms, bytes(9) + bytes([number]))}
    value = {**common, "decided_at": utc_millis(at_ms), **members}
    return read_receipt(canonicalize(value), chained=False)


def eventful_log() -> PackLog:
    """A day of decisions, some with evidence, of which a breaker opened and a policy was pushed."""
    log = PackLog()
    decided = log.decide(30, FIRST_DAY)
    decided[:2] = [log.keep(item, b'{"claim":%d}' % n) for n, item in enumerate(decided[:2])]
    full, shed = ({"state": "closed", "level": "full"}, {"state": "open", "level": "shed"})
    opened = {"breaker": {"name": "api", "version": 7}, "from": full, "to": shed, "cause": "tripped"}
    pushed = {"n": 1, "from": None, "to": "ab" * 32, "pushed_at": utc_millis(day_start_ms(FIRST_DAY))}
    others = [
        event("breaker.transition", 1, **opened, figures={"error_ewma_ppm": 410_000}),
        event("policy.changed", 2, change=pushed),
        event("breaker.transition", 3, breaker="nobody knows", cause=[1]),
    ]
    log.close(decided, others=others)
    return log


def test_what_is_no_decision_is_told_apart_and_put_in_words(page: VerifyPage) -> None:
    log = eventful_log()
    assert page.check(log.pack(), log.log_id).failures == ()
    page.page.get_by_label("Reason or type").select_option("breaker.transition")
    expect(page.page.locator("#found")).to_have_text("2 receipts of 33")
    expect(page.page.locator("#row-0")).to_contain_text("api: closed/full → open/shed (tripped)")
    expect(page.page.locator("#row-1")).to_contain_text("?: ?/? → ?/? (?)")
    page.page.get_by_label("Reason or type").select_option("policy.changed")
    expect(page.page.locator("#row-0")).to_contain_text("version 1: deployed → abababab")
    expect(page.page.locator(".legend")).to_contain_text("breaker.transition 2")
    chart = page.page.get_by_role("slider", name="Receipts by minute of the day")
    expect(chart).to_have_attribute(
        "aria-valuetext", re.compile("6 shed · 2 breaker.transition · 1 policy.changed$")
    )
    assert page.page.locator(".changes").get_attribute("d") == "M60.5 0V150"


def test_of_each_receipt_it_is_said_whether_its_evidence_is_in_the_pack(page: VerifyPage) -> None:
    log = eventful_log()
    for evidence, said in ((True, "in the pack"), (False, "not in the pack")):
        page.check(log.pack(evidence=evidence), log.log_id)
        cells = [page.page.locator(f"#row-{row} [role=gridcell]").last for row in range(3)]
        for cell, text in zip(cells, (said, said, ""), strict=True):
            expect(cell).to_have_text(text)
        cells[1].click()
        digest = hashlib.sha256(b'{"claim":1}').hexdigest()
        expect(page.page.locator("#detail")).to_contain_text(re.compile(f"evidence/{digest} is {said}"))
        page.page.locator("#row-2").click()
        expect(page.page.get_by_role("heading", name="Receipt at leaf 2")).to_be_visible()
        expect(page.page.locator("#detail .facts")).not_to_contain_text("evidence/")


def test_head_and_keys_are_shown(page: VerifyPage, log: PackLog) -> None:
    page.check(log.pack(), log.log_id)
    head = page.page.get_by_role("region", name="Tree head")
    expect(head).to_contain_text("330 (from leaf 30)")
    expect(head).to_contain_text(base64.b64encode(log.heads[-1].root_hash).decode())
    keys = page.page.get_by_role("region", name="Keys")
    expect(keys).to_contain_text(log.log_id)
    expect(keys).to_contain_text("signs this day")


def test_rotated_keys_are_shown_with_their_intervals(page: VerifyPage) -> None:
    (case,) = (case for case in good_cases() if case.name == "the-day-of-a-rotation")
    page.check(case.data, case.log_id)
    sets = page.page.locator(".sets > li")
    expect(sets.nth(0)).to_contain_text("tree sizes from 0 to 7")
    expect(sets.nth(1)).to_contain_text("endorsed by set 0, and by itself")
    expect(sets.nth(1)).to_contain_text("signs this day")


# --- People -------------------------------------------------------------------------------------


def test_everything_can_be_reached_by_keyboard_in_order(page: VerifyPage, log: PackLog) -> None:
    page.check(log.pack(), log.log_id)
    expect(page.page.locator("#verdict")).to_be_focused()
    page.page.locator("#pack").focus()
    seen: list[str] = []
    while "grid" not in seen and len(seen) < 50:
        seen.append(page.page.evaluate("document.activeElement.id || document.activeElement.className"))
        page.page.keyboard.press("Tab")
    order = ["pack", "log-id", "day", "again", "plot", "filter-id", "filter-reason", "filter-keyid", "grid"]
    stops = [name for name, before in zip(seen, ["", *seen], strict=False) if name != before]
    assert [name for name in stops if name in order] == order  # a day's parts are stops of their own


def test_the_minutes_can_be_read_by_keyboard(page: VerifyPage, log: PackLog) -> None:
    page.check(log.pack(), log.log_id)
    chart = page.page.get_by_role("slider", name="Receipts by minute of the day")
    expect(chart).to_have_attribute("aria-valuetext", "01:00 · 120 allow · 60 challenge · 60 deny · 60 shed")
    chart.press("ArrowRight")
    expect(chart).to_have_attribute("aria-valuetext", "01:01 · none")


def test_fields_have_labels_and_the_verdict_is_announced(page: VerifyPage, log: PackLog) -> None:
    page.check(log.pack(), log.log_id)
    unnamed = page.page.evaluate(
        """() => [...document.querySelectorAll("input, select")]
            .filter((field) => field.labels.length === 0).map((field) => field.id)"""
    )
    assert unnamed == []
    assert page.page.locator("#verdict").get_attribute("aria-live") == "polite"
    assert page.page.locator("html").get_attribute("lang") == "en"
    identifiers = page.page.evaluate(
        "() => [...document.querySelectorAll('[id]')].map((element) => element.id)"
    )
    assert len(identifiers) == len(set(identifiers))


def test_the_page_answers_while_it_checks(page: VerifyPage) -> None:
    log = log_with_days(10_050)
    page.page.evaluate(
        """() => {
            window.beats = 0;
            const beat = () => {
                const state = document.querySelector("#check-receipts")?.dataset.state;
                if (state === "running") window.beats += 1;
                setTimeout(beat, 5);
            };
            beat();
        }"""
    )
    assert page.check(log.pack(), log.log_id).mood == "good"
    assert page.page.evaluate("window.beats") > 20  # a busy thread would have had no more than one


def picture(page: VerifyPage, name: str) -> Any:
    PICTURES.mkdir(parents=True, exist_ok=True)
    path = PICTURES / f"{name}.png"
    page.page.screenshot(path=path, full_page=True, animations="disabled")
    return imread(path)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1240, 380])
def test_both_verdicts_can_be_seen(browser: Browser, scheme: str, width: int) -> None:
    log = eventful_log()
    page = VerifyPage.open(browser, scheme, width)
    name = f"{scheme}-{width}"
    start = picture(page, f"start-{name}")
    assert page.check(log.pack(evidence=True), log.log_id).mood == "good"
    page.page.locator("#row-1").click()
    page.page.locator("#detail").wait_for()
    good = picture(page, f"good-{name}")
    broken = bytearray(log.pack())
    broken[len(broken) // 2] ^= 1
    assert page.check(bytes(broken), log.log_id).mood == "bad"
    bad = picture(page, f"bad-{name}")
    sideways = page.page.evaluate("document.documentElement.scrollWidth - innerWidth")
    page.close()
    assert sideways <= 0
    for image in (start, good, bad):
        assert image.shape[1] == width
        pixels = image.reshape(-1, image.shape[-1])
        assert len({hashlib.sha256(row.tobytes()).digest() for row in image[::7]}) > 20  # not blank
        bright = float(pixels[:, :3].mean())
        assert bright > 0.8 if scheme == "light" else bright < 0.25
    assert good.shape[0] > bad.shape[0] > start.shape[0] - 1
