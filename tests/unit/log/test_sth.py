"""Tree heads: the bytes are what the format page says, both signatures count, and heads form one chain."""

from __future__ import annotations

import base64
import json
from dataclasses import fields, replace
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signet.core.canonical import canonicalize
from signet.core.errors import LogError, SignatureError
from signet.log.emitters import NO_EMITTERS, EmitterTotals
from signet.log.keys import Algorithm, LocalSigner, generate_private_set
from signet.log.merkle import EMPTY_ROOT, leaf_hash
from signet.log.sth import SignedTreeHead, TreeHead, check_successor, sign_sth, verify_sth
from signet.log.summaries import ChainSummary

SIGNER = LocalSigner("log.example", generate_private_set())
ROOT = leaf_hash(b"x")
ACCOUNTS = "ab" * 32
HEAD = TreeHead(
    log_id=SIGNER.keys.log_id,
    date=date(2026, 11, 23),
    final=True,
    tree_size=5,
    root_hash=ROOT,
    timestamp=1_795_000_000_000,
    first_leaf=0,
    prev_sth_sha256=None,
    chains=(ChainSummary(0, 0, 5, ROOT),),
    emitters=EmitterTotals(1, 3, 5, ACCOUNTS),
    policy_bundle_sha256="0" * 64,
)
SIGNED = sign_sth(HEAD, SIGNER)
NEXT = replace(
    HEAD,
    date=date(2026, 11, 24),
    tree_size=6,
    root_hash=leaf_hash(b"y"),
    first_leaf=5,
    prev_sth_sha256=SIGNED.sha256,
    chains=(ChainSummary(0, 5, 6, leaf_hash(b"y")),),
    emitters=EmitterTotals(1, 1, 0, ACCOUNTS),
)


def test_the_signed_object_is_what_the_format_page_says() -> None:
    value = json.loads(SIGNED.raw)
    signatures = value.pop("signatures")
    assert value == {
        "v": 1,
        "log_id": SIGNER.keys.log_id,
        "date": "2026-11-23",
        "final": True,
        "tree_size": 5,
        "root_hash": base64.b64encode(ROOT).decode(),
        "timestamp": 1_795_000_000_000,
        "first_leaf": 0,
        "prev_sth_sha256": None,
        "chains": [{"id": 0, "first_seq": 0, "next_seq": 5, "head": base64.b64encode(ROOT).decode()}],
        "emitters": {"count": 1, "decisions": 3, "missing": 5, "sha256": ACCOUNTS},
        "policy_bundle_sha256": "0" * 64,
    }
    message = b"signet-sth-v1\n" + canonicalize(value)
    assert [item["alg"] for item in signatures] == ["ed25519", "ml-dsa-65"]
    for item in signatures:
        key = SIGNER.keys.sets[0].key(Algorithm(item["alg"]))
        assert item["keyid"] == key.keyid
        key.verify(base64.b64decode(item["sig"]), message)


def test_reading_gives_back_what_was_signed() -> None:
    found = verify_sth(SIGNED.raw, SIGNER.keys)
    assert {item.name: getattr(found, item.name) for item in fields(TreeHead)} == {
        item.name: getattr(HEAD, item.name) for item in fields(TreeHead)
    }


@settings(max_examples=80)
@given(st.integers(0, len(SIGNED.raw) - 1), st.integers(0, 7))
def test_a_head_with_one_bit_changed_is_refused(at: int, bit: int) -> None:
    changed = bytearray(SIGNED.raw)
    changed[at] ^= 1 << bit
    with pytest.raises((LogError, SignatureError)):
        verify_sth(bytes(changed), SIGNER.keys)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s.pop(),
        lambda s: s.pop(0),
        lambda s: s.clear(),
        lambda s: s.reverse(),
        lambda s: s.append(s[0]),
        lambda s: s[0].update(alg="ml-dsa-65"),
        lambda s: s[1].update(keyid="0" * 32),
        lambda s: s[1].update(more=1),
        lambda s: s[1].pop("sig"),
        lambda s: s[1].update(sig="%"),
        lambda s: s[1].update(sig=None),
        lambda s: s.__setitem__(0, "ed25519"),
        lambda s: s[1].update(
            sig=json.loads(sign_sth(NEXT, SIGNER).raw)["signatures"][1]["sig"]  # of another day
        ),
    ],
)
def test_both_signatures_are_demanded_in_their_places(change) -> None:
    value = json.loads(SIGNED.raw)
    change(value["signatures"])
    with pytest.raises(SignatureError):
        verify_sth(canonicalize(value), SIGNER.keys)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(v=2),
        lambda v: v.update(v=True),
        lambda v: v.update(more=1),
        lambda v: v.update(final=1),
        lambda v: v.update(timestamp=True),
        lambda v: v.update(date="2026-11-31"),
        lambda v: v.update(date="20261123"),
        lambda v: v.update(date=5),
        lambda v: v.update(log_id="0" * 64),
        lambda v: v["chains"][0].update(more=1),
        lambda v: v["chains"][0].update(first_seq=False),
        lambda v: v["emitters"].update(more=1),
        lambda v: v["emitters"].update(count=True),
        lambda v: v["emitters"].update(sha256=7),
        lambda v: v["emitters"].pop("missing"),
        lambda v: v.update(emitters=[]),
        lambda v: v.pop("signatures"),
        lambda v: v.pop("emitters"),
    ],
)
def test_members_of_another_shape_are_refused_before_the_signatures(change) -> None:
    value = json.loads(SIGNED.raw)
    change(value)
    with pytest.raises(LogError):
        verify_sth(canonicalize(value), SIGNER.keys)


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"{}", SIGNED.raw + b"\n", b" " + SIGNED.raw])
def test_bytes_that_are_no_head_are_refused(data: bytes) -> None:
    with pytest.raises(LogError):
        verify_sth(data, SIGNER.keys)


@pytest.mark.parametrize(
    "change",
    [
        {"tree_size": 6},
        {"first_leaf": 1},
        {"timestamp": -1},
        {"root_hash": b"short"},
        {"policy_bundle_sha256": "x"},
        {"prev_sth_sha256": ""},
        {"chains": (ChainSummary(1, 0, 5, ROOT),)},
        {"chains": (ChainSummary(0, 6, 5, ROOT),)},
        {"chains": (ChainSummary(0, 0, 5, b""),)},
        {"emitters": EmitterTotals(1, 6, 0, ACCOUNTS)},  # more than the day has leaves
        {"emitters": EmitterTotals(3, 2, 0, ACCOUNTS)},
        {"emitters": EmitterTotals(2, 2, 1, ACCOUNTS)},
        {"emitters": EmitterTotals(1, 2, -1, ACCOUNTS)},
        {"emitters": EmitterTotals(-1, 2, 0, ACCOUNTS)},
        {"emitters": EmitterTotals(0, 1, 0, ACCOUNTS)},
        {"emitters": EmitterTotals(0, 0, 0, ACCOUNTS)},
        {"emitters": EmitterTotals(1, 1, 0, NO_EMITTERS.sha256)},
        {"emitters": EmitterTotals(1, 1, 0, "ab")},
    ],
)
def test_a_head_that_contradicts_itself_is_neither_signed_nor_accepted(change: dict[str, object]) -> None:
    with pytest.raises(LogError):
        sign_sth(replace(HEAD, **change), SIGNER)


def test_final_heads_follow_each_other() -> None:
    following = sign_sth(NEXT, SIGNER)
    check_successor(None, SIGNED)
    check_successor(SIGNED, following)
    for previous, head in ((None, following), (SIGNED, SIGNED), (following, SIGNED)):
        with pytest.raises(LogError):
            check_successor(previous, head)


def test_a_day_without_receipts_follows_too() -> None:
    empty = replace(
        NEXT, tree_size=5, root_hash=ROOT, chains=(ChainSummary(0, 5, 5, ROOT),), emitters=NO_EMITTERS
    )
    check_successor(SIGNED, sign_sth(empty, SIGNER))
    for change in ({"root_hash": EMPTY_ROOT}, {"chains": (ChainSummary(0, 5, 5, EMPTY_ROOT),)}):
        with pytest.raises(LogError):
            check_successor(SIGNED, sign_sth(replace(empty, **change), SIGNER))


@pytest.mark.parametrize(
    "change",
    [
        {"final": False},
        {"prev_sth_sha256": None},
        {"prev_sth_sha256": "0" * 64},
        {"date": HEAD.date},
        {"date": date(2026, 11, 25)},
        {"timestamp": HEAD.timestamp - 1},
        {"first_leaf": 4, "chains": (ChainSummary(0, 4, 6, ROOT),)},
        {"first_leaf": 0, "chains": (ChainSummary(0, 0, 6, ROOT),)},
        {"chains": (ChainSummary(0, 4, 5, ROOT), ChainSummary(1, 1, 1, ROOT))},
    ],
)
def test_a_final_head_that_does_not_follow_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(LogError) as caught:
        check_successor(SIGNED, sign_sth(replace(NEXT, **change), SIGNER))
    assert caught.value.code == "broken_sth_chain"


def test_a_successor_of_a_head_that_is_not_final_is_refused() -> None:
    open_head = sign_sth(replace(HEAD, final=False), SIGNER)
    with pytest.raises(LogError):
        check_successor(open_head, sign_sth(replace(NEXT, prev_sth_sha256=open_head.sha256), SIGNER))


def test_the_signed_head_carries_its_bytes() -> None:
    assert isinstance(SIGNED, SignedTreeHead)
    assert verify_sth(SIGNED.raw, SIGNER.keys).raw == SIGNED.raw
