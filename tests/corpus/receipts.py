"""Receipts swapped, dropped, repeated, edited, spelled otherwise; each with a manifest that fits."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from signet.core.canonical import canonicalize, parse
from signet.log.keys import LocalSigner
from signet.log.merkle import CompactRange, leaf_hashes
from signet.receipts.chain import chain_of
from tests.corpus.case import Case
from tests.support.forgery import Files, remade, signed_as_it_is, unzip
from tests.support.packs import FIRST_DAY, PackLog, seeded_private_set

RECEIPTS = "receipts.jsonl"
Line = Callable[[bytes], bytes]
_ZERO_HASH = base64.b64encode(bytes(32)).decode()


def cases(log: PackLog) -> Iterator[Case]:
    """All of it, on a day of five receipts after a day of three; times are 01:00 of 24 November 2026."""
    files = unzip(log.pack())
    for name, (lines, code, line) in {**_arranged(lines_of(files)), **_rewritten(lines_of(files))}.items():
        yield Case(f"receipts-{name}", "receipts", with_lines(files, lines), log.log_id, code, RECEIPTS, line)
    for name, (change, code) in EDITS.items():
        lines = lines_of(files)
        lines[-1] = edited(lines[-1], change)
        line = None if code == "chain_end" else 5
        data = with_lines(files, lines)
        yield Case(f"receipt-edited-{name}", "receipts", data, log.log_id, code, RECEIPTS, line)
    for name, (spell, code) in SPELLINGS.items():
        lines = lines_of(files)
        lines[2] = spell(lines[2])
        data = with_lines(files, lines)
        yield Case(f"receipt-spelled-{name}", "receipts", data, log.log_id, code, RECEIPTS, 3)
    yield _signed_with_an_id_twice()
    yield _signed("with-times-going-back", 1, 1, _a_second_earlier, "recorded_at_decreases")
    yield _signed("with-an-id-of-another-chain", 2, -1, _to_another_chain, "wrong_chain")


def _a_second_earlier(receipt: Any) -> None:
    receipt["chain"]["recorded_at"] = "2026-11-23T00:59:59.000Z"


def _to_another_chain(receipt: Any) -> None:
    """Another id, of the other one of two chains."""
    start = receipt["id"][:-1]
    number = receipt["chain"]["id"]
    receipt["id"] = next(made for digit in "0123456789abcdef" if chain_of(made := start + digit, 2) != number)


def _signed(name: str, chains: int, at: int, change: Callable[[Any], Any], code: str) -> Case:
    """A day whose log signed what follows from one changed receipt; ``at`` is its place in the last chain."""
    private = seeded_private_set(7)
    log = PackLog(chains=chains, signer=LocalSigner("example.com/log", private))
    log.close(log.decide(6, FIRST_DAY))
    files = unzip(log.pack())
    head = parse(files["sth.json"])
    lines = lines_of(files)
    begin = len(lines) - head["chains"][-1]["next_seq"]
    mine = lines[begin:]
    mine[at] = edited(mine[at], change)
    lines[begin:] = rechained(mine, 1)
    tree = CompactRange(0, [])
    tree.extend(leaf_hashes([line[:-1] for line in lines]))
    head["root_hash"] = base64.b64encode(tree.root()).decode()
    head["chains"][-1]["head"] = base64.b64encode(hashlib.sha256(lines[-1][:-1]).digest()).decode()
    raw = signed_as_it_is(head, private)
    data = with_lines({**files, "sth.json": raw, f"sth/{FIRST_DAY}.json": raw}, lines)
    number = begin + 1 + at % len(mine)
    return Case(f"receipts-signed-{name}", "receipts", data, log.log_id, code, RECEIPTS, number)


def _signed_with_an_id_twice() -> Case:
    """Chain, tree, head and proofs are the log's own and hold: nothing but the id tells."""
    log = PackLog(signer=LocalSigner("example.com/log", seeded_private_set(7)))
    decided = log.decide(3, FIRST_DAY)
    log.close([*decided, replace(decided[2], authorizer_us=1)])
    return Case(
        "receipts-signed-with-an-id-twice",
        "receipts",
        log.pack(),
        log.log_id,
        "receipt_repeated",
        RECEIPTS,
        4,
    )


def lines_of(files: Files) -> list[bytes]:
    return files[RECEIPTS].splitlines(keepends=True)


def with_lines(files: Files, lines: list[bytes]) -> bytes:
    return remade({**files, RECEIPTS: b"".join(lines)})


def edited(line: bytes, change: Callable[[Any], Any]) -> bytes:
    value = parse(line[:-1])
    change(value)
    return canonicalize(value) + b"\n"


def rechained(lines: list[bytes], start: int) -> list[bytes]:
    """The lines with ``seq`` and ``prev`` made good again from one on, as a forger would."""
    lines = list(lines)
    first = parse(lines[0][:-1])["chain"]["seq"]
    for number in range(start, len(lines)):
        link = {"seq": first + number}
        if number:
            link["prev"] = base64.b64encode(hashlib.sha256(lines[number - 1][:-1]).digest()).decode()
        lines[number] = edited(lines[number], lambda r, link=link: r["chain"].update(link))
    return lines


def _arranged(lines: list[bytes]) -> dict[str, tuple[list[bytes], str, int | None]]:
    swapped = [lines[0], lines[2], lines[1], *lines[3:]]
    return {
        "swapped": (swapped, "chain_gap", 2),
        "swapped-and-rechained": (rechained(swapped, 1), "chain_end", None),
        "dropped-from-the-tail": (lines[:-1], "receipt_count", None),
        "dropped-from-the-front": (lines[1:], "chain_gap", 1),
        "dropped-from-the-middle": ([*lines[:2], *lines[3:]], "chain_gap", 3),
        "dropped-from-the-middle-and-rechained": (
            rechained([*lines[:2], *lines[3:]], 2),
            "receipt_count",
            None,
        ),
        "all-dropped": ([], "receipt_count", None),
        "repeated-at-the-end": ([*lines, lines[-1]], "receipt_repeated", 6),
        "repeated-in-the-middle": ([*lines[:3], *lines[2:]], "receipt_repeated", 4),
        "without-the-last-newline": ([*lines[:-1], lines[-1][:-1]], "line_unfinished", 5),
        "with-an-empty-line": ([*lines, b"\n"], "not_canonical", 6),
    }


def _rewritten(lines: list[bytes]) -> dict[str, tuple[list[bytes], str, int | None]]:
    def other_path(receipt: Any) -> None:
        receipt["request"]["path"] = "/other"

    def other_day(receipt: Any) -> None:
        receipt["chain"]["recorded_at"] = "2026-11-23T23:59:59.999Z"

    first, second = edited(lines[0], other_path), edited(lines[1], other_path)
    yesterday = [edited(lines[0], other_day), *lines[1:]]
    return {
        "first-edited": ([first, *lines[1:]], "chain_broken", 2),
        "edited-with-all-hashes-below-recomputed": (
            rechained([lines[0], second, *lines[2:]], 2),
            "chain_end",
            None,
        ),
        "first-recorded-the-day-before": (rechained(yesterday, 1), "outside_day", 1),
    }


#: What is done to the last receipt, and the code.
EDITS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "number": (lambda r: r.update(authorizer_us=1), "chain_end"),
    "reason-of-the-same-decision": (lambda r: r.update(reason="nonce_expired"), "chain_end"),
    "negative-number": (lambda r: r.update(authorizer_us=-1), "bad_receipt"),
    "true-for-a-number": (lambda r: r.update(authorizer_us=True), "bad_receipt"),
    "decision": (lambda r: r.update(decision="allow"), "bad_receipt"),
    "reason-unknown": (lambda r: r.update(reason="because"), "bad_receipt"),
    "type-unknown": (lambda r: r.update(type="pch.other"), "bad_receipt"),
    "type-none": (lambda r: r.pop("type"), "bad_receipt"),
    "version": (lambda r: r.update(v=2), "bad_receipt"),
    "member-more": (lambda r: r.update(extra=None), "bad_receipt"),
    "member-less": (lambda r: r.pop("proof"), "bad_receipt"),
    "member-more-inside": (lambda r: r["request"].update(body="secret"), "bad_receipt"),
    "id-no-uuid": (lambda r: r.update(id="x"), "bad_receipt"),
    "id-version-4": (lambda r: r.update(id=r["id"][:14] + "4" + r["id"][15:]), "bad_receipt"),
    "id-in-capitals": (lambda r: r.update(id=r["id"].upper()), "bad_receipt"),
    "time-no-time": (lambda r: r.update(decided_at="yesterday"), "bad_receipt"),
    "time-without-milliseconds": (lambda r: r.update(decided_at="2026-11-24T00:00:00Z"), "bad_receipt"),
    "digest-in-capitals": (lambda r: r["policy"].update(bundle_sha256="A" * 64), "bad_receipt"),
    "emitter-number-negative": (lambda r: r["emitter"].update(n=-1), "bad_receipt"),
    "chain-other": (lambda r: r["chain"].update(id=1), "wrong_chain"),
    "chain-seq": (lambda r: r["chain"].update(seq=99), "chain_gap"),
    "chain-prev": (lambda r: r["chain"].update(prev=_ZERO_HASH), "chain_broken"),
    "chain-prev-short": (lambda r: r["chain"].update(prev="AA=="), "bad_receipt"),
    "chain-prev-in-another-spelling": (lambda r: r["chain"].update(prev="A" * 42 + "B="), "bad_receipt"),
    "recorded-the-day-after": (
        lambda r: r["chain"].update(recorded_at="2026-11-25T00:00:00.000Z"),
        "outside_day",
    ),
    "recorded-before-the-one-before": (
        lambda r: r["chain"].update(recorded_at="2026-11-24T00:59:59.999Z"),
        "recorded_at_decreases",
    ),
}

#: How the third receipt is spelled otherwise, and the code.
SPELLINGS: dict[str, tuple[Line, str]] = {
    "with-a-space": (lambda line: line.replace(b'"v":1', b'"v": 1'), "not_canonical"),
    "with-a-float": (lambda line: line.replace(b'"v":1', b'"v":1.0'), "not_canonical"),
    "with-a-member-twice": (lambda line: line.replace(b'"v":1', b'"v":1,"v":1'), "not_canonical"),
    "with-a-byte-order-mark": (lambda line: b"\xef\xbb\xbf" + line, "not_canonical"),
    "with-an-escape": (lambda line: line.replace("ü".encode(), b"\\u00fc"), "not_canonical"),
    "in-latin-1": (lambda line: line.replace("ü".encode(), b"\xfc"), "not_canonical"),
    "with-half-a-surrogate": (lambda line: line.replace("ü".encode(), b"\\ud800"), "not_canonical"),
    "with-members-out-of-order": (
        lambda line: b'{"v":1,' + line[1:].replace(b',"v":1', b""),
        "not_canonical",
    ),
    "with-minus-zero": (lambda line: line.replace(b'"n":', b'"m":-0,"n":'), "not_canonical"),
    "with-an-exponent": (lambda line: line.replace(b'"v":1', b'"v":1e0'), "not_canonical"),
    "with-a-number-of-2-to-53": (
        lambda line: line.replace(b'"authorizer_us":', b'"a":9007199254740992,"authorizer_us":'),
        "not_canonical",
    ),
    "with-a-number-of-5000-digits": (
        lambda line: line.replace(b'"authorizer_us":', b'"a":' + b"9" * 5000 + b',"authorizer_us":'),
        "not_canonical",
    ),
    "with-crlf": (lambda line: line[:-1] + b"\r\n", "not_canonical"),
    "as-nothing": (lambda _line: b"\n", "not_canonical"),
    "as-null": (lambda _line: b"null\n", "bad_receipt"),
    "as-an-array": (lambda _line: b"[]\n", "bad_receipt"),
    "nested-60000-deep": (lambda _line: b"[" * 60_000 + b"\n", "not_canonical"),
    "too-long": (lambda line: b'{"a":"' + b"x" * 70_000 + b'"}\n' + line, "receipt_too_long"),
}
