"""VERIFY.md by hand and the whole corpus: the verdict of the checkers, or a kind that the page leaves out.

``make check`` follows the page with a pack of each kind of failure, ``make tests-sweep`` with all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.corpus import Case, bad_cases, good_cases, sample
from tests.support.by_hand import ALIVE, BY_HAND, GUIDE, REMINDER, follow, small_order
from tests.support.by_hand_quick import Follower, follower
from tests.support.left_to_checkers import DAY_ASKED_FOR, LEFT_TO_CHECKERS, groups_of

GOOD = tuple(good_cases())
BAD = tuple(bad_cases())
#: Packs that end at each of the steps, one of them by an error that Python tells, and a good one.
SHORT_IN_A_SHELL = {
    "first-day",
    "zip-name-with-nul",
    "keys-no-sets",
    "head-with-another-keyid",
    "head-of-another-day-as-sth.json",
    "receipts-swapped",
}
#: And more, for the sweep.
IN_A_SHELL = SHORT_IN_A_SHELL | {
    "a-rotation-every-day",
    "zip-no-zip",
    "keys-endorsement-null",
    "told-allow-with-nothing-proved",
    "checkpoint-with-a-wrong-signature",
}


def _sampled() -> Iterator[Any]:
    """Each bad pack; most are for the sweep."""
    tried = {case.name for case in sample(BAD)}
    kinds = {(kind, case.code): case.name for case in reversed(BAD) for kind in groups_of(case)}
    for case in BAD:
        now = case.name in tried or case.name in kinds.values()
        yield pytest.param(case, id=case.name, marks=() if now else pytest.mark.sweep)


@pytest.fixture(scope="module")
def page() -> Iterator[Follower]:
    with follower(BY_HAND) as started:
        yield started


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=() if case.name in SHORT_IN_A_SHELL else pytest.mark.sweep)
        for case in (*GOOD, *BAD)
        if case.name in IN_A_SHELL
    ],
)
def test_the_quick_way_says_what_a_shell_says(case: Case, page: Follower, tmp_path: Path) -> None:
    *lines, alive = follow(BY_HAND, case.data, case.log_id, tmp_path).stdout.splitlines()
    assert alive == ALIVE
    assert page.follow(case.data, case.log_id).lines == tuple(lines)


def test_the_quick_way_is_held_to_a_shell_at_every_step(page: Follower) -> None:
    chosen = [case for case in (*GOOD, *BAD) if case.name in IN_A_SHELL]
    assert len(chosen) == len(IN_A_SHELL)
    assert {page.follow(case.data, case.log_id).stopped for case in chosen} == {1, 2, 3, 4, 5, None}


@pytest.mark.parametrize("openssl", [("ED25519",), (), None])
def test_it_also_does_with_an_openssl_that_knows_less(
    openssl: tuple[str, ...] | None, page: Follower, tmp_path: Path
) -> None:
    data, log_id = GOOD[0].data, GOOD[0].log_id
    *lines, _alive = follow(BY_HAND, data, log_id, tmp_path, openssl=openssl).stdout.splitlines()
    assert page.follow(data, log_id, openssl=openssl).lines == tuple(lines)
    assert lines[5].startswith("NOT FULLY CHECKED: ")


def test_it_also_does_with_keys_of_small_order_and_another_log(page: Follower, tmp_path: Path) -> None:
    data, log_id = small_order()
    *lines, _alive = follow(BY_HAND, data, log_id[::-1], tmp_path).stdout.splitlines()
    assert page.follow(data, log_id[::-1]).lines == tuple(lines)
    assert page.follow(data, log_id).stopped == 2


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=() if case in sample(GOOD) else pytest.mark.sweep)
        for case in GOOD
    ],
)
def test_every_good_pack_is_found_good_by_hand(case: Case, page: Follower) -> None:
    done = page.follow(case.data, case.log_id)
    assert done.stopped is None, done
    assert done.lines[5:] == (f"GOOD: {case.facts['receipts']} receipts of {case.facts['date']}", REMINDER)
    assert case.asked in {None, case.facts["date"]}


@pytest.mark.parametrize("case", [*_sampled()])
def test_every_bad_pack_is_found_by_hand_or_is_of_one_kind_that_the_page_leaves_out(
    case: Case, page: Follower
) -> None:
    done = page.follow(case.data, case.log_id)
    kinds = groups_of(case)
    if done.stopped is not None:
        assert kinds == [], f"{case.name} is found by hand at step {done.stopped}: {done.lines}"
        assert "GOOD" not in "".join(done.lines)
        return
    assert len(kinds) == 1, (
        f"{case.name} ({case.code}, {case.member}) is not found by hand: of which kind is it?"
    )
    assert done.lines[6] == REMINDER
    if kinds == [DAY_ASKED_FOR]:  # the reader knows the day that was asked for, and the verdict names another
        assert case.asked is not None
        assert case.asked not in done.lines[5]
        assert "The verdict names the day: if you asked for one, it must be that day." in GUIDE


def test_of_what_cannot_stand_together_only_allowed_is_looked_at(page: Follower) -> None:
    told = [case for case in BAD if case.group == "told" and case.code == "bad_receipt"]
    found = [
        done.lines[4] for case in told if (done := page.follow(case.data, case.log_id)).stopped is not None
    ]
    assert found
    said = "is allowed without a whole proof, or against the policy"
    assert all(re.fullmatch(f"step 5: FAILED: receipts.jsonl:[0-9]+ {said}", line) for line in found)
    assert '; by hand only "allowed" is looked at.' in " ".join(GUIDE.split())


def test_no_kind_that_the_page_leaves_out_is_without_a_pack() -> None:
    found = {kind for case in BAD for kind in groups_of(case)}
    assert found == set(LEFT_TO_CHECKERS)


def test_each_rule_of_a_kind_is_of_use() -> None:
    for kind, rules in LEFT_TO_CHECKERS.items():
        for rule in rules:
            for name in rule.names:
                assert any(rule.of(name).covers(case) for case in BAD), (kind, rule.code, name)


def test_the_kinds_are_those_that_the_page_lists() -> None:
    """In the words of the page: each of its bullets begins as one kind is called, in the same order."""
    section = GUIDE.split("## What only the checkers check")[1].split("\n## ")[0]
    bullets = [" ".join(bullet.split()) for bullet in re.split(r"^- ", section, flags=re.MULTILINE)[1:]]
    kinds = [kind for kind in LEFT_TO_CHECKERS if kind != DAY_ASKED_FOR]
    assert len(bullets) == len(kinds)
    for bullet, kind in zip(bullets, kinds, strict=True):
        assert bullet.startswith(kind)
