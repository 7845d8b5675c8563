"""Tree heads: signatures stripped, swapped, borrowed; heads changed, and heads a lying log would sign."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from typing import Any

from signet.core.canonical import parse
from tests.corpus.case import Case
from tests.corpus.world import PRIVATE
from tests.support.forgery import Files, edit, remade, signed_as_it_is, unzip
from tests.support.packs import PackLog

HEAD = "sth.json"
FIRST, LAST = "sth/2026-11-23.json", "sth/2026-11-24.json"
Change = Callable[[Any], Any]
_ZERO_HASH = base64.b64encode(bytes(32)).decode()
_NO_ACCOUNTS = hashlib.sha256(b"{}").hexdigest()
_NO_EMITTERS = {"count": 0, "decisions": 0, "missing": 0, "sha256": _NO_ACCOUNTS}


def cases(log: PackLog) -> Iterator[Case]:
    """All of it, on a log of two days whose private keys are ``world.PRIVATE``."""
    files = unzip(log.pack())

    def case(name: str, data: bytes, code: str, member: str) -> Case:
        return Case(f"head-{name}", "heads", data, log.log_id, code, member)

    for name, (change, code) in _changes(files).items():
        yield case(name, with_head(files, change), code, LAST)
    for name, (change, code, member) in RESIGNED.items():
        yield case(f"signed-by-the-log-{name}", resigned(files, change), code, member)
    for name, (change, code, member) in RETOLD.items():
        yield case(f"earlier-retold-{name}", retold(files, change), code, member)
    yield case("of-another-day-as-sth.json", remade({**files, HEAD: files[FIRST]}), "wrong_head", HEAD)
    yield case(
        "of-this-day-as-the-day-before", remade({**files, FIRST: files[LAST]}), "broken_sth_chain", FIRST
    )
    older = {name: body for name, body in files.items() if name != LAST} | {HEAD: files[FIRST]}
    yield case("missing-of-the-day-itself", remade(older), "member_missing", LAST)
    yield case("not-final-passed-off-as-final", not_final(log), "broken_sth_chain", LAST)


def with_head(files: Files, change: Change) -> bytes:
    """The day's head changed in both its places."""
    files = edit(files, HEAD, change)
    return remade({**files, LAST: files[HEAD]})


def resigned(files: Files, change: Change) -> bytes:
    """The day's head changed and signed again by the log's own keys."""
    value = parse(files[HEAD])
    change(value)
    raw = signed_as_it_is(value, PRIVATE)
    return remade({**files, HEAD: raw, LAST: raw})


def retold(files: Files, change: Change) -> bytes:
    """The first day's head changed, both heads signed again so that they fit each other."""
    first, last = parse(files[FIRST]), parse(files[HEAD])
    change(first)
    raw = signed_as_it_is(first, PRIVATE)
    last["prev_sth_sha256"] = hashlib.sha256(raw).hexdigest()
    closing = signed_as_it_is(last, PRIVATE)
    return remade({**files, FIRST: raw, LAST: closing, HEAD: closing})


def not_final(log: PackLog) -> bytes:
    """A true head of the same day and tree that was signed before the day was closed."""
    return resigned(unzip(log.pack()), lambda head: head.update(final=False, timestamp=head["timestamp"] - 1))


def _changes(files: Files) -> dict[str, tuple[Change, str]]:
    other = parse(files[FIRST])["signatures"]

    def borrowed(number: int) -> Change:
        return lambda head: head["signatures"].__setitem__(number, other[number])

    def twice(head: Any) -> None:
        head["signatures"][1] = head["signatures"][0]

    return {
        "without-ed25519-signature": (lambda h: h["signatures"].pop(0), "bad_signature"),
        "without-ml-dsa-65-signature": (lambda h: h["signatures"].pop(1), "bad_signature"),
        "without-signatures": (lambda h: h.update(signatures=[]), "bad_signature"),
        "with-ed25519-signature-of-another-day": (borrowed(0), "bad_signature"),
        "with-ml-dsa-65-signature-of-another-day": (borrowed(1), "bad_signature"),
        "with-one-algorithm-twice": (twice, "bad_signature"),
        "with-signatures-in-another-order": (lambda h: h["signatures"].reverse(), "bad_signature"),
        "with-empty-signatures": (
            lambda h: [signature.update(sig="") for signature in h["signatures"]],
            "bad_signature",
        ),
        "with-a-third-signature": (lambda h: h["signatures"].append(h["signatures"][0]), "bad_signature"),
        "with-another-keyid": (lambda h: h["signatures"][0].update(keyid="0" * 32), "bad_signature"),
        "with-another-time": (lambda h: h.update(timestamp=h["timestamp"] + 1), "bad_signature"),
        "with-another-policy": (lambda h: h.update(policy_bundle_sha256="0" * 64), "bad_signature"),
        "with-another-root": (lambda h: h.update(root_hash=_ZERO_HASH), "bad_signature"),
        "with-other-emitters": (lambda h: h["emitters"].update(missing=1), "bad_signature"),
        "with-a-member-more": (lambda h: h.update(extra=1), "bad_sth"),
        "with-one-for-true": (lambda h: h.update(final=1), "bad_sth"),
        "with-another-size": (lambda h: h.update(tree_size=9), "bad_sth"),
        "with-a-size-as-text": (lambda h: h.update(tree_size="8"), "bad_sth"),
        "of-another-log": (lambda h: h.update(log_id="0" * 64), "bad_sth"),
        "with-another-chain-id": (lambda h: h["chains"][0].update(id=1), "bad_sth"),
        "with-a-root-spelled-otherwise": (
            lambda h: h.update(root_hash=h["root_hash"][:-2] + "=="),
            "bad_sth",
        ),
    }


#: What a log that lies may sign as the day's head; the code, and where it is found.
RESIGNED: dict[str, tuple[Change, str, str]] = {
    "naming-another-head-before": (
        lambda h: h.update(prev_sth_sha256="0" * 64),
        "broken_sth_chain",
        LAST,
    ),
    "as-the-first-day": (lambda h: h.update(prev_sth_sha256=None), "broken_sth_chain", LAST),
    "with-a-chain-more": (
        lambda h: h["chains"].append({"first_seq": 0, "head": _ZERO_HASH, "id": 1, "next_seq": 0}),
        "broken_sth_chain",
        LAST,
    ),
    "with-time-going-back": (lambda h: h.update(timestamp=0), "broken_sth_chain", LAST),
    "of-another-date": (lambda h: h.update(date="2026-11-25"), "broken_sth_chain", LAST),
    "with-another-root": (lambda h: h.update(root_hash=_ZERO_HASH), "wrong_root", "receipts.jsonl"),
    "with-another-chain-end": (
        lambda h: h["chains"][0].update(head=_ZERO_HASH),
        "chain_end",
        "receipts.jsonl",
    ),
    "without-emitters": (lambda h: h.update(emitters=_NO_EMITTERS), "wrong_emitters", HEAD),
    "with-another-count-of-emitters": (lambda h: h["emitters"].update(count=2), "wrong_emitters", HEAD),
    "with-another-count-of-decisions": (lambda h: h["emitters"].update(decisions=4), "wrong_emitters", HEAD),
    "with-an-invented-gap": (lambda h: h["emitters"].update(missing=1), "wrong_emitters", HEAD),
    "naming-other-accounts": (lambda h: h["emitters"].update(sha256="0" * 64), "wrong_emitters", HEAD),
    "with-emitters-in-full": (
        lambda h: h.update(emitters={"e" * 32: {"count": 5, "first": 3, "last": 7, "gaps": []}}),
        "bad_sth",
        LAST,
    ),
    "without-chains": (lambda h: h.update(chains=[]), "bad_sth", LAST),
    "before-1970": (lambda h: h.update(date="1969-12-31"), "bad_sth", LAST),
    "with-a-time-before-1970": (lambda h: h.update(timestamp=-1), "bad_sth", LAST),
    "with-a-time-after-9999": (lambda h: h.update(timestamp=253_402_300_800_000), "bad_sth", LAST),
    "with-a-time-that-no-browser-tells": (
        lambda h: h.update(timestamp=8_640_000_000_000_001),
        "bad_sth",
        LAST,
    ),
}

#: What it may sign as the head of the day before.
RETOLD: dict[str, tuple[Change, str, str]] = {
    "with-a-time-after-9999": (lambda h: h.update(timestamp=253_402_300_800_000), "bad_sth", FIRST),
    "with-more-decisions-than-receipts": (lambda h: h["emitters"].update(decisions=4), "bad_sth", FIRST),
    "with-more-emitters-than-decisions": (lambda h: h["emitters"].update(count=4), "bad_sth", FIRST),
    "with-gaps-between-single-decisions": (
        lambda h: h["emitters"].update(count=3, missing=1),
        "bad_sth",
        FIRST,
    ),
    "with-decisions-of-no-emitter": (lambda h: h["emitters"].update(count=0), "bad_sth", FIRST),
    "with-no-emitters-and-accounts": (
        lambda h: h["emitters"].update(count=0, decisions=0),
        "bad_sth",
        FIRST,
    ),
    "with-emitters-and-no-accounts": (
        lambda h: h["emitters"].update(sha256=_NO_ACCOUNTS),
        "bad_sth",
        FIRST,
    ),
    "with-a-digest-that-is-none": (lambda h: h["emitters"].update(sha256="0" * 63), "bad_sth", FIRST),
    "with-a-count-that-is-true": (lambda h: h["emitters"].update(count=True), "bad_sth", FIRST),
    "with-a-member-of-emitters-more": (lambda h: h["emitters"].update(gaps=[]), "bad_sth", FIRST),
    "without-a-member-of-emitters": (lambda h: h["emitters"].pop("missing"), "bad_sth", FIRST),
    "with-another-root": (lambda h: h.update(root_hash=_ZERO_HASH), "wrong_root", "proofs/range.json"),
    "not-final": (lambda h: h.update(final=False), "broken_sth_chain", FIRST),
}
