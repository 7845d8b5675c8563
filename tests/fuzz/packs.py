"""Fuzz target: of all bytes that claim to be a pack, both verifiers find the true one good, and no other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from signet.core.canonical import canonicalize, parse
from signet.core.errors import SignetError
from signet.pack import layout
from tests.corpus.evidence import log_with_evidence
from tests.fuzz.choices import TOKENS, VALUES, Choices
from tests.support.forgery import Files, library, remade, rezip, run_checker, unzip
from tests.support.packs import log_with_days, log_with_rotations


@dataclass(frozen=True, slots=True)
class Original:
    """A true pack, its members, and the log it is of."""

    data: bytes
    files: Files
    log_id: str


@cache
def originals() -> tuple[Original, ...]:
    """Packs of small logs: one day, two days of two chains, an empty day, new keys every day, evidence."""
    logs = (log_with_days(3), log_with_days(2, 3, chains=2), log_with_days(2, 0), log_with_rotations(2, 2))
    packs = [(log.pack(), log.log_id) for log in logs]
    packs.append((log_with_evidence().pack(evidence=True), log_with_evidence().log_id))
    return tuple(Original(data, unzip(data), log_id) for data, log_id in packs)


def one_pack(data: bytes) -> str | None:
    """Run one input: a zip is a pack as it stands, anything else chooses how to forge one.

    Returns the code of the first failure, or None for a good pack.
    """
    if data[:2] == b"PK":
        return check(data, originals()[0])
    choices = Choices(data)
    original = choices.pick(originals())
    kind = choices.below(4)
    if kind == 0:
        return check(_bytes_changed(choices, original.data), original)
    files = _members_changed(choices, original)
    forged = (
        rezip(files)
        if kind == 1 or files[layout.MANIFEST] != original.files[layout.MANIFEST]
        else remade(files)
    )
    return check(forged, original)


def check(data: bytes, original: Original) -> str | None:
    """Hold both verifiers' verdicts against each other and against the truth."""
    report = library(data, original.log_id)
    exit_code, printed = run_checker(data, original.log_id)
    assert exit_code == (0 if report.good else 1), printed
    if report.good:
        assert _says_the_same(unzip(data), original), "another pack than the true one is good"
    for failure in report.failures:
        # What no check foresaw is refused as well, but a developer has to look at it.
        assert "no check foresaw" not in failure.reason, failure
    return None if report.good else report.failures[0].code


def _says_the_same(files: Files, original: Original) -> bool:
    """Tell whether all that a pack proves is as it was.

    The shipped guide and checker prove nothing, policy files may be absent (a notice says so), and evidence.
    """
    optional = {name for name in original.files if name.startswith(("policy/", "evidence/"))}
    unproven = {layout.MANIFEST, layout.GUIDE, layout.CHECKER}
    wanted = original.files.keys() - unproven
    kept = files.keys() - unproven
    return wanted - optional <= kept <= wanted and all(files[name] == original.files[name] for name in kept)


def _bytes_changed(choices: Choices, data: bytes) -> bytes:
    for _ in range(1 + choices.below(3)):
        start = choices.below(65_536) % len(data)
        if choices.below(2):
            start = len(data) - 1 - choices.below(256)  # the directory and its end record
        end = start + choices.below(9)
        piece = choices.pick(
            (data[start:end] * 2, b"", bytes([choices.below(256)]), b"\0" * 4, b"\xff" * 8, b"PK\x05\x06")
        )
        data = data[:start] + piece + data[end:]
    return data


def _members_changed(choices: Choices, original: Original) -> Files:
    files = dict(original.files)
    for _ in range(1 + choices.below(2)):
        name = choices.pick(sorted(files))
        body = files[name]
        change = choices.below(6)
        if change == 0:
            del files[name]
        elif change == 1:
            files[choices.edit(name).encode("ascii", "ignore").decode() or "x"] = files.pop(name)
        elif change == 2:
            files[name] = choices.edit(body.decode("latin-1")).encode("latin-1", "ignore")
        else:
            files[name] = _json_changed(choices, body)
        if layout.MANIFEST not in files:
            files = {layout.MANIFEST: original.files[layout.MANIFEST], **files}
    return files


def _json_changed(choices: Choices, body: bytes) -> bytes:
    """Change one value of a JSON member, or of one of its lines, and write it canonically if possible."""
    lines = body.split(b"\n")
    number = choices.below(len(lines))
    try:
        value = parse(lines[number])
        lines[number] = canonicalize(_node_changed(choices, value))
    except (SignetError, ValueError, RecursionError):
        lines[number] = choices.pick(TOKENS).encode("utf-8", "replace")
    return b"\n".join(lines)


def _node_changed(choices: Choices, value: object) -> object:
    """Change, drop or replace one node somewhere in a JSON value."""
    if isinstance(value, dict | list) and value and choices.below(8):
        copied: Any = value.copy()
        place = choices.pick(sorted(value) if isinstance(value, dict) else range(len(value)))
        if choices.below(8) == 1:
            del copied[place]
        else:
            copied[place] = _node_changed(choices, copied[place])
        return copied
    if isinstance(value, str) and choices.below(2):
        return choices.edit(value)
    if isinstance(value, int) and choices.below(2):
        return value + choices.below(5) - 2
    return choices.pick(VALUES)


def seeds() -> list[bytes]:
    """Inputs to start from: the packs themselves, and some ways to forge them."""
    return [
        originals()[0].data,
        *(bytes([pack, kind, n]) * 12 for pack in range(5) for kind in range(4) for n in range(12)),
    ]
