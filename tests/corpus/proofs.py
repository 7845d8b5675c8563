"""Proofs and the checkpoint: changed, cut, of another tree, signed by half."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from signet.core.canonical import canonicalize, parse
from signet.log.note import sign_checkpoint
from signet.log.tiles import TileBuilder
from tests.corpus.case import Case
from tests.support.forgery import edit, remade, unzip
from tests.support.packs import FIRST_DAY, PackLog, log_with_days

RANGE, CONSISTENCY, INCLUSION = "proofs/range.json", "proofs/consistency.json", "proofs/inclusion.jsonl"
CHECKPOINT = "checkpoint"
_ZERO_HASH = base64.b64encode(bytes(32)).decode()


def cases(log: PackLog) -> Iterator[Case]:
    """All of it, on the second of two days."""
    files = unzip(log.pack())

    def case(name: str, data: bytes, code: str, member: str, line: int | None = None) -> Case:
        return Case(name, "proofs", data, log.log_id, code, member, line)

    for name, (member, change, code) in CHANGES.items():
        yield case(f"proof-{name}", remade(edit(files, member, change)), code, member)
    for name, (rearrange, line) in INCLUSIONS.items():
        body = b"".join(rearrange(files[INCLUSION].splitlines(keepends=True)))
        data = remade({**files, INCLUSION: body})
        yield case(f"proof-inclusion-{name}", data, "bad_proof", INCLUSION, line)
    for name, (change_lines, code) in CHECKPOINTS.items():
        lines = files[CHECKPOINT].decode().splitlines(keepends=True)
        data = remade({**files, CHECKPOINT: "".join(change_lines(lines)).encode()})
        yield case(f"checkpoint-{name}", data, code, CHECKPOINT)
    first, last = log.heads[0], log.heads[-1]
    for name, size, root in (
        ("of-the-day-before", first.tree_size, first.root_hash),
        ("of-a-fork", last.tree_size, bytes(32)),
    ):
        signed = sign_checkpoint(size, root, 1, log.signer)
        yield case(f"checkpoint-{name}", remade({**files, CHECKPOINT: signed}), "wrong_root", CHECKPOINT)
    yield fork_of_an_earlier_day()


def fork_of_an_earlier_day() -> Case:
    """Who holds the log's keys and gave away day 1 rewrites it, and is consistent from day 2 on."""
    told, kept = log_with_days(3, keys_seed=1), log_with_days(2, keys_seed=1)
    kept.chain_heads, kept.heads, kept.numbers = told.chain_heads, told.heads, told.numbers
    # The tree goes on from other leaves than those of the head that all readers know.
    kept.builder = TileBuilder()
    for path, tile in [*kept.builder.append([b"{}", b"[]", b"0"]), *kept.builder.partial_tiles()]:
        kept.store.put(path, tile)
    for key in (f"sth/{FIRST_DAY}.json", f"sth/{FIRST_DAY}.checkpoint"):
        kept.store.put(key, told.store.objects[key])
    for _ in range(2):
        kept.close(kept.decide(2, kept.heads[-1].date + timedelta(days=1)))
    return Case("fork-of-an-earlier-day", "proofs", kept.pack(), told.log_id, "bad_proof", CONSISTENCY)


def _cut_to_nothing(lines: list[bytes]) -> list[bytes]:
    return [canonicalize({**parse(lines[0][:-1]), "proof": []}) + b"\n", *lines[1:]]


CHANGES: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "range-reversed": (RANGE, lambda v: v["left"].reverse(), "wrong_root"),
    "range-cut": (RANGE, lambda v: v["left"].pop(), "bad_proof"),
    "range-of-zeros": (RANGE, lambda v: v.update(left=[_ZERO_HASH] * 2), "wrong_root"),
    "range-from-another-leaf": (RANGE, lambda v: v.update(first_leaf=2), "bad_proof"),
    "range-true-for-one": (RANGE, lambda v: v.update(v=True), "bad_proof"),
    "range-with-a-member-more": (RANGE, lambda v: v.update(more=1), "bad_proof"),
    "consistency-reversed": (CONSISTENCY, lambda v: v["proofs"][0]["proof"].reverse(), "bad_proof"),
    "consistency-cut": (CONSISTENCY, lambda v: v["proofs"][0]["proof"].pop(), "bad_proof"),
    "consistency-longer": (CONSISTENCY, lambda v: v["proofs"][0]["proof"].append(_ZERO_HASH), "bad_proof"),
    "consistency-of-other-sizes": (CONSISTENCY, lambda v: v["proofs"][0].update(size1=2), "bad_proof"),
    "consistency-null": (CONSISTENCY, lambda v: v["proofs"][0].update(proof=None), "bad_proof"),
    "consistency-missing": (CONSISTENCY, lambda v: v["proofs"].pop(), "bad_proof"),
    "consistency-twice": (CONSISTENCY, lambda v: v["proofs"].append(v["proofs"][0]), "bad_proof"),
}

INCLUSIONS: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int | None]] = {
    "one-missing": (lambda lines: lines[:-1], None),
    "one-more": (lambda lines: [*lines, lines[-1]], 6),
    "swapped": (lambda lines: [lines[1], lines[0], *lines[2:]], 1),
    "of-another-leaf": (lambda lines: [lines[0].replace(b'index":3', b'index":4'), *lines[1:]], 1),
    "cut-to-nothing": (_cut_to_nothing, 1),
}

CHECKPOINTS: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "without-cosignature": (lambda lines: lines[:5], "bad_signature"),
    "without-ed25519-signature": (lambda lines: [*lines[:4], lines[5]], "bad_signature"),
    "with-a-signature-twice": (lambda lines: [*lines, lines[4]], "bad_note"),
    "with-signatures-in-another-order": (lambda lines: [*lines[:4], lines[5], lines[4]], "bad_note"),
    "of-another-origin": (lambda lines: ["other.example/log\n", *lines[1:]], "bad_note"),
    "of-another-size": (lambda lines: [lines[0], "7\n", *lines[2:]], "bad_signature"),
    "with-an-extension": (lambda lines: [*lines[:3], "extension\n", *lines[3:]], "bad_note"),
    "with-a-wrong-signature": (lambda lines: [*lines[:4], swapped(lines[4]), lines[5]], "bad_signature"),
}


def swapped(line: str) -> str:
    """A signature line with one character of its signature changed."""
    return line[:-10] + ("A" if line[-10] != "A" else "B") + line[-9:]
