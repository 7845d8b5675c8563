"""Evidence in packs: under another hash, of no receipt's, out of its place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache

from tests.corpus.case import Case
from tests.corpus.world import KEYS_SEED, facts_of
from tests.support.forgery import Files, remade, unzip
from tests.support.packs import FIRST_DAY, PackLog, log_with_days

GROUP = "evidence"
EVIDENCE = (b'{"claim":"a"}', b'{"claim":"b"}')


@cache
def log_with_evidence() -> PackLog:
    """Four decisions, two of them with evidence, one with the same evidence again."""
    log = log_with_days(keys_seed=KEYS_SEED)
    plain, *others = log.decide(4, FIRST_DAY)
    kept = [*EVIDENCE, EVIDENCE[0]]
    log.close([plain, *(log.keep(item, body) for item, body in zip(others, kept, strict=True))])
    return log


def good_cases() -> Iterator[Case]:
    """Packs with all of the evidence, and with what is left of it."""
    log = log_with_evidence()
    data = log.pack(evidence=True)
    yield Case("with-evidence", GROUP, data, log.log_id, facts=facts_of(data, log.log_id))
    files = unzip(data)
    del files[name_of(EVIDENCE[0])]
    some = remade(files)
    yield Case("with-some-evidence-dropped", GROUP, some, log.log_id, facts=facts_of(some, log.log_id))


def cases() -> Iterator[Case]:
    """Yield every bad pack."""
    log = log_with_evidence()
    files = unzip(log.pack(evidence=True))
    first = name_of(EVIDENCE[0])
    strange = name_of(b"strange")

    def case(name: str, changed: Files, code: str, member: str) -> Case:
        return Case(f"evidence-{name}", GROUP, remade(changed), log.log_id, code, member)

    yield case("changed", {**files, first: b"{}"}, "evidence_hash", first)
    yield case("that-no-receipt-names", _with(files, strange, b"strange"), "evidence_unnamed", strange)
    short = "evidence/" + "0" * 63
    yield case("with-a-short-name", _with(files, short, b"{}"), "manifest_members", short)
    moved = {name: body for name, body in files.items() if name != first} | {first: files[first]}
    yield case("out-of-order", moved, "manifest_members", "VERIFY.md")


def name_of(body: bytes) -> str:
    return f"evidence/{hashlib.sha256(body).hexdigest()}"


def _with(files: Files, name: str, body: bytes) -> Files:
    """The files with one more, in the order of a pack."""
    tail = ("VERIFY.md", "verify.py")
    head = {other: data for other, data in files.items() if other not in tail and "evidence/" not in other}
    evidence = {other: data for other, data in files.items() if "evidence/" in other} | {name: body}
    return head | dict(sorted(evidence.items())) | {other: files[other] for other in tail}
