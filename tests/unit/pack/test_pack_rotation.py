"""Packs of a log whose keys were rotated: what verifies, and each forgery refused by its own code."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from signet.core.canonical import parse
from signet.core.errors import UnavailableError
from signet.log.keys import LocalSigner, Signer, generate_private_set
from signet.pack import layout
from tests.support.forgery import edit, library, remade, unzip
from tests.support.packs import FIRST_DAY, PackLog, log_with_days, log_with_rotations


def codes(data: bytes, log: PackLog) -> list[str]:
    return [failure.code for failure in library(data, log.log_id).failures]


@pytest.mark.parametrize("chains", [1, 3])
def test_every_day_of_a_log_that_rotates_daily_verifies_from_the_first_keys(chains: int) -> None:
    log = log_with_rotations(3, 0, 5, 2, chains=chains)
    first = log_with_days(1).log_id
    for number in range(4):
        data = log.pack(FIRST_DAY + timedelta(days=number))
        report = library(data, log.log_id)
        assert report.failures == ()
        assert (report.key_sets, report.heads) == (number + 1, number + 1)
        sets = parse(unzip(data)[layout.KEYS])["sets"]
        assert [item["n"] for item in sets] == list(range(number + 1))
        assert all(item["from_tree_size"] <= report.tree_size for item in sets)
        assert library(data, first).failures[0].code == "wrong_log"


def test_a_day_without_leaves_is_signed_by_the_set_whose_interval_holds_its_size() -> None:
    log = log_with_days(3)
    log.rotate()
    announced, log.announced = log.announced, []
    log.close([])
    assert library(log.pack(), log.log_id).failures == ()
    assert parse(log.heads[-1].raw)["signatures"][0]["keyid"] == log.signer.keys.sets[0].keys[0].keyid
    log.announced = announced
    log.close([])
    assert library(log.pack(), log.log_id).failures == ()
    assert parse(log.heads[-1].raw)["signatures"][0]["keyid"] == log.signer.keys.sets[1].keys[0].keyid


def test_two_sets_may_begin_in_one_day() -> None:
    log = log_with_days(2)
    log.rotate()
    log.rotate()
    log.close(log.decide(2, FIRST_DAY + timedelta(days=1)))
    report = library(log.pack(), log.log_id)
    assert (report.failures, report.key_sets) == ((), 3)


def no_longer_announced(log: PackLog) -> None:
    log.announced.clear()


def announced_twice(log: PackLog) -> None:
    log.rotate()
    log.announced.append(log.announced.pop(0))
    log.signer = log.signer.knowing(log.signer.keys.up_to(log.builder.size + 1))


@pytest.mark.parametrize(
    ("change", "code"),
    [(no_longer_announced, "rotation_missing"), (announced_twice, "rotation_unknown")],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_day_holds_the_leaf_of_every_set_that_begins_in_it_and_no_other(
    change: Callable[[PackLog], None], code: str
) -> None:
    log = log_with_days(3)
    log.rotate()
    change(log)
    log.close(log.decide(2, FIRST_DAY + timedelta(days=1)))
    assert codes(log.pack(), log) == [code]


def test_a_leaf_that_is_repeated_on_a_later_day_is_refused() -> None:
    log = log_with_days(3)
    log.rotate()
    (leaf,) = log.announced
    log.close([])
    log.announced = [leaf]
    log.close([])
    assert "rotation_unknown" in codes(log.pack(), log)


def test_a_leaf_that_announces_other_keys_than_keys_json_is_refused() -> None:
    log = log_with_days(3)
    log.rotate()
    other = PackLog(signer=LocalSigner("example.com/log", generate_private_set()))
    other.close(other.decide(3, FIRST_DAY))
    other.rotate()
    log.announced = other.announced
    log.close([])
    assert codes(log.pack(), log) == ["rotation_unknown"]


def without_last_set(value: Any) -> None:
    value["sets"].pop()


def with_a_later_set(log: PackLog, data: bytes) -> bytes:
    log.rotate()
    return remade({**unzip(data), layout.KEYS: log.signer.keys.encode()})


def test_a_pack_lists_neither_more_nor_fewer_sets_than_its_day_knows() -> None:
    log = log_with_rotations(3, 2)
    data = log.pack()
    assert codes(remade(edit(unzip(data), layout.KEYS, without_last_set)), log)[0] == "bad_signature"
    assert codes(with_a_later_set(log, data), log)[0] == "key_set_later"


def test_a_stolen_old_set_cannot_sign_a_later_tree() -> None:
    log = log_with_rotations(3, 2)
    thief = Signer(log.signer.keys.up_to(0), log.signer.store)  # knows of no rotation: signs with set 0
    honest, log.signer = log.signer, thief
    log.close(log.decide(2, FIRST_DAY + timedelta(days=2)))
    log.store.put("keys.json", honest.keys.encode())
    with pytest.raises(UnavailableError):
        log.pack()
    forged = remade({**unzip(thief_pack(log, thief)), layout.KEYS: honest.keys.encode()})
    assert codes(forged, log)[0] == "bad_signature"


def thief_pack(log: PackLog, thief: Signer) -> bytes:
    log.store.put("keys.json", thief.keys.encode())
    return log.pack()


def test_the_builder_never_hands_out_a_pack_whose_keys_lag_behind_its_head() -> None:
    log = log_with_rotations(3, 2)
    log.store.put("keys.json", log.signer.keys.up_to(0).encode())
    with pytest.raises(UnavailableError):
        log.pack()
    assert library(log.pack(FIRST_DAY), log.log_id).failures == ()
