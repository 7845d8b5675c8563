"""Emitters' accounts: the same in every order and in any pieces, at any size; and one form of their bytes."""

from __future__ import annotations

import hashlib
import random
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signet.core.canonical import MAX_INTEGER, canonicalize, parse
from signet.core.errors import LogError
from signet.log.emitters import NO_EMITTERS, EmitterAccount, EmitterTotals, read_accounts, summarize

EMITTER = "ab" * 16
ACCOUNTS = {EMITTER: EmitterAccount(3, 0, 7, ((1, 2), (4, 6))), "cd" * 16: EmitterAccount(1, 9, 9)}


@given(st.lists(st.lists(st.integers(0, 25), min_size=1), min_size=1))
def test_an_account_is_the_same_in_any_order_and_any_pieces(pieces: list[list[int]]) -> None:
    account = EmitterAccount.of(pieces[0])
    for piece in pieces[1:]:
        account = account.with_more(piece)
    numbers = [n for piece in pieces for n in piece]
    missing = {n for start, end in account.gaps for n in range(start, end + 1)}
    assert missing == set(range(min(numbers), max(numbers) + 1)) - set(numbers)
    assert account.missing == len(missing)
    assert (account.count, account.first, account.last) == (len(numbers), min(numbers), max(numbers))
    assert account.is_consistent()
    assert account == EmitterAccount.of(reversed(numbers))


def test_a_number_that_comes_twice_is_counted_twice() -> None:
    assert EmitterAccount.of([4, 4]) == EmitterAccount.of([4]).with_more([4]) == EmitterAccount(2, 4, 4)
    assert EmitterAccount.of([4]).with_more([]) == EmitterAccount(1, 4, 4)


@pytest.mark.parametrize(
    "account",
    [
        EmitterAccount(2, 0, 3),
        EmitterAccount(2, 0, 3, ((0, 1),)),
        EmitterAccount(2, 0, 3, ((1, 3),)),
        EmitterAccount(3, 0, 3, ((2, 1),)),
        EmitterAccount(5, 0, 9, ((5, 6), (2, 3))),
        EmitterAccount(5, 0, 4, ((1, 1), (2, 2))),
        EmitterAccount(2, -1, 0),
        EmitterAccount(0, 0, 0),
    ],
)
def test_an_account_that_cannot_be_is_told(account: EmitterAccount) -> None:
    assert not account.is_consistent()


def test_the_bytes_are_what_the_format_page_says() -> None:
    totals, encoded = summarize(ACCOUNTS)
    assert encoded == (
        b'{"%b":{"count":3,"first":0,"gaps":[[1,2],[4,6]],"last":7},' % EMITTER.encode()
        + b'"%b":{"count":1,"first":9,"gaps":[],"last":9}}' % (b"cd" * 16)
    )
    assert totals == EmitterTotals(2, 4, 5, hashlib.sha256(encoded).hexdigest())
    assert totals.key == f"emitters/{totals.sha256}"
    assert read_accounts({totals.key: encoded}.get, totals) == ACCOUNTS


def test_without_emitters_there_is_no_object() -> None:
    assert summarize({}) == (NO_EMITTERS, b"{}")
    assert NO_EMITTERS.key is None
    assert read_accounts(lambda _key: None, NO_EMITTERS) == {}


def test_more_missing_numbers_than_json_can_hold_are_as_many_as_it_can() -> None:
    """Else two messages in the queue could stop the log: no head could be written."""
    widest = EmitterAccount.of([0, MAX_INTEGER])
    assert summarize({EMITTER: widest})[0].missing == MAX_INTEGER - 1
    totals, encoded = summarize({EMITTER: widest, "cd" * 16: widest})
    assert totals.missing == MAX_INTEGER
    assert totals.is_consistent(4)
    assert read_accounts(lambda _key: encoded, totals) == {EMITTER: widest, "cd" * 16: widest}


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.clear(),
        lambda v: v[EMITTER].update(more=1),
        lambda v: v[EMITTER].pop("gaps"),
        lambda v: v[EMITTER].update(gaps=[[1, 2], [4]]),
        lambda v: v[EMITTER].update(gaps=[[1, 2], [4, 6, 6]]),
        lambda v: v[EMITTER].update(gaps=7),
        lambda v: v[EMITTER].update(gaps=[[1, 2], [4, 7]]),
        lambda v: v[EMITTER].update(first=False),
        lambda v: v[EMITTER].update(count="3"),
        lambda v: v.update({EMITTER: 3}),
        lambda v: v.update({"someone": v.pop(EMITTER)}),
        lambda v: v.update({"ef" * 16: v[EMITTER]}),
    ],
)
def test_accounts_of_another_shape_are_refused_even_under_their_own_digest(change: Any) -> None:
    totals, encoded = summarize(ACCOUNTS)
    value = parse(encoded)
    change(value)
    changed = canonicalize(value)
    named = replace(totals, sha256=hashlib.sha256(changed).hexdigest())
    assert refused(changed, named) == refused(changed, totals) == "bad_accounts"


@pytest.mark.parametrize("data", [None, b"", b"[]", b"null", b'{"a": 1}'])
def test_bytes_that_are_no_accounts_are_refused(data: bytes | None) -> None:
    totals = EmitterTotals(1, 1, 0, hashlib.sha256(data or b"").hexdigest())
    assert refused(data, totals) == "bad_accounts"


@pytest.mark.parametrize("lie", [{"count": 3}, {"decisions": 5}, {"missing": 4}])
def test_totals_that_are_not_those_of_the_accounts_are_refused(lie: dict[str, int]) -> None:
    totals, encoded = summarize(ACCOUNTS)
    assert refused(encoded, replace(totals, **lie)) == "bad_accounts"


@pytest.mark.long
def test_many_emitters_and_many_gaps_take_linear_time() -> None:
    """A hundred thousand of each; the gaps in steps, and in an order in which every step splits many."""
    started = time.process_time()
    numbers = list(range(0, 400_000, 4))
    random.Random(1).shuffle(numbers)
    account = EmitterAccount.of(numbers[:1])
    for at in range(1, len(numbers), 10_000):
        account = account.with_more(numbers[at : at + 10_000])
    assert len(account.gaps) == 99_999
    accounts = {f"{n:032x}": EmitterAccount.of([n, n + 2]) for n in range(100_000)} | {EMITTER: account}
    totals, encoded = summarize(accounts)
    assert totals.count == 100_001
    assert read_accounts(lambda _key: encoded, totals) == accounts
    assert time.process_time() - started < 30


def refused(data: bytes | None, totals: EmitterTotals) -> str:
    """The code under which accounts are refused."""
    with pytest.raises(LogError) as caught:
        read_accounts(lambda _key: data, totals)
    return caught.value.code


@pytest.mark.parametrize(
    "account",
    [
        EmitterAccount(1, 0, 0),
        EmitterAccount(3, 0, 1),
        EmitterAccount(2, 0, 2, ((1, 1),)),
        EmitterAccount(3, 5, 9, ((6, 6), (8, 8))),
    ],
)
def test_an_account_at_its_bounds_can_be(account: EmitterAccount) -> None:
    assert account.is_consistent()


@pytest.mark.parametrize(
    ("totals", "leaves", "good"),
    [
        ((1, 1, 0), 1, True),
        ((1, 2, 9), 2, True),
        ((1, 1, 1), 1, False),
        ((1, 2, -1), 2, False),
        ((2, 1, 0), 2, False),
        ((1, 2, 0), 1, False),
        ((0, 1, 0), 1, False),
        ((-1, 1, 0), 1, False),
        ((0, 0, 0), 1, False),
    ],
)
def test_totals_of_a_head_are_those_of_some_day(
    totals: tuple[int, int, int], leaves: int, good: bool
) -> None:
    assert EmitterTotals(*totals, "0" * 64).is_consistent(leaves) is good
    assert not EmitterTotals(*totals, NO_EMITTERS.sha256).is_consistent(leaves) or totals == (0, 0, 0)


def test_no_emitters_are_possible_on_any_day() -> None:
    assert NO_EMITTERS.is_consistent(0)
    assert NO_EMITTERS.is_consistent(7)
    assert not replace(NO_EMITTERS, missing=1).is_consistent(7)
