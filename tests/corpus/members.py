"""Members removed, added, duplicated, truncated, one bit flipped: with the old manifest, or a fitting one."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from signet.core.canonical import canonicalize, parse
from signet.pack import layout
from tests.corpus.case import Case
from tests.corpus.zips import duplicated_member
from tests.support.forgery import Files, edit, remade, rezip, unzip
from tests.support.packs import PackLog

MANIFEST = layout.MANIFEST
# Heads are as many as there were days: that one is missing shows in the next.
_REMOVED = {"sth/2026-11-23.json": ("broken_sth_chain", "sth/2026-11-24.json")}
# Behind which text one bit is flipped, and what is found then although the manifest fits.
_FLIPS: dict[str, tuple[bytes, str, str, int | None]] = {
    "receipts.jsonl": (b"/protected/", "chain_broken", "receipts.jsonl", 2),
    "sth.json": (b'"timestamp":17', "wrong_head", "sth.json", None),
    "sth/2026-11-23.json": (b'"timestamp":17', "bad_signature", "sth/2026-11-23.json", None),
    "proofs/range.json": (b'"left":["', "wrong_root", "proofs/range.json", None),
    "proofs/consistency.json": (b'"proof":["', "bad_proof", "proofs/consistency.json", None),
    "proofs/inclusion.jsonl": (b'"proof":["', "bad_proof", "proofs/inclusion.jsonl", 1),
    "keys.json": (b'"public_key":"', "bad_key_file", "keys.json", None),
    "checkpoint": (b"log\n", "bad_signature", "checkpoint", None),
}


def cases(log: PackLog) -> Iterator[Case]:
    """All of it, for every member of a pack of two days."""
    made = _Maker(log)
    yield from made.removed()
    yield from made.added()
    yield from made.duplicated()
    yield from made.truncated()
    yield from made.flipped()
    yield from made.manifests()


class _Maker:
    def __init__(self, log: PackLog) -> None:
        self.log = log
        self.data = log.pack()
        self.files = unzip(self.data)
        self.policies = [name for name in self.files if name.startswith("policy/")]

    def case(self, name: str, data: bytes, code: str, member: str, line: int | None = None) -> Case:
        return Case(f"member-{name}", "members", data, self.log.log_id, code, member, line)

    def removed(self) -> Iterator[Case]:
        for name in self.files:
            left = {other: body for other, body in self.files.items() if other != name}
            yield self.case(f"removed-{slug(name)}", rezip(left), "member_missing", name)
            if name == MANIFEST:
                continue
            code, member = _REMOVED.get(name, ("member_missing", name))
            if name in self.policies:  # one file of two: what is left has another hash
                code, member = "policy_hash", name.rsplit("/", 1)[0]
            yield self.case(f"removed-from-manifest-too-{slug(name)}", remade(left), code, member)

    def added(self) -> Iterator[Case]:
        for name in ("evil.txt", "policy/x.rego", "proofs/more.json", "sth/latest.json", "verify.pyc"):
            more = {**self.files, name: b"{}"}
            yield self.case(f"added-{slug(name)}", rezip(more), "manifest_members", name)
            yield self.case(f"added-to-manifest-too-{slug(name)}", remade(more), "manifest_members", name)
        before = _before(self.files, "sth/2026-11-23.json", "sth/2026-11-22.json")
        yield self.case("added-a-head-of-an-earlier-day", remade(before), "wrong_day", "sth/2026-11-22.json")
        unnamed = _before(self.files, self.policies[0], f"policy/{'0' * 64}/a.rego")
        yield self.case(
            "added-a-policy-that-nothing-names",
            remade(unnamed),
            "policy_unnamed",
            f"policy/{'0' * 64}/a.rego",
        )

    def duplicated(self) -> Iterator[Case]:
        for name in self.files:
            data = duplicated_member(name)(self.data)
            yield self.case(f"duplicated-{slug(name)}", data, "zip_duplicate", name)
        yield self.case(
            "duplicated-in-the-manifest",
            rezip(edit(self.files, MANIFEST, lambda m: m["files"].append(m["files"][0]))),
            "manifest_malformed",
            MANIFEST,
        )

    def truncated(self) -> Iterator[Case]:
        for name, body in self.files.items():
            cut = {**self.files, name: body[:-1]}
            code = "not_canonical" if name == MANIFEST else "size_mismatch"
            yield self.case(f"truncated-{slug(name)}", rezip(cut), code, name)
        for name, code, line in (
            ("receipts.jsonl", "line_unfinished", 5),
            ("sth.json", "wrong_head", None),
            ("sth/2026-11-23.json", "bad_sth", None),
            ("proofs/range.json", "not_canonical", None),
            ("proofs/consistency.json", "not_canonical", None),
            ("proofs/inclusion.jsonl", "line_unfinished", 5),
            ("keys.json", "bad_key_file", None),
            ("checkpoint", "bad_note", None),
        ):
            data = remade({**self.files, name: self.files[name][:-1]})
            yield self.case(f"truncated-with-fitting-manifest-{slug(name)}", data, code, name, line)

    def flipped(self) -> Iterator[Case]:
        for name, body in self.files.items():
            if name == MANIFEST:
                continue
            # In the last receipt, where nothing that follows tells of it before the hash does.
            at = body.rindex(b"/protected/") + 11 if name == "receipts.jsonl" else len(body) - 40
            flipped = {**self.files, name: flip(body, max(at, 0))}
            code, line = ("bad_proof", 5) if name == "proofs/inclusion.jsonl" else ("hash_mismatch", None)
            yield self.case(f"bit-flipped-{slug(name)}", rezip(flipped), code, name, line)
        for name, (place, code, member, line) in _FLIPS.items():
            body = self.files[name]
            data = remade({**self.files, name: flip(body, body.index(place) + len(place))})
            yield self.case(f"bit-flipped-with-fitting-manifest-{slug(name)}", data, code, member, line)
        name = self.policies[0]
        data = remade({**self.files, name: flip(self.files[name], 0)})
        yield self.case(
            f"bit-flipped-with-fitting-manifest-{slug(name)}", data, "policy_hash", name.rsplit("/", 1)[0]
        )

    def manifests(self) -> Iterator[Case]:
        changes: dict[str, tuple[Callable[[Any], Any], str, str]] = {
            "another-version": (lambda m: m.update(v=2), "manifest_malformed", MANIFEST),
            "true-for-one": (lambda m: m.update(v=True), "manifest_malformed", MANIFEST),
            "another-format": (lambda m: m.update(format="zip"), "manifest_malformed", MANIFEST),
            "a-member-more": (lambda m: m.update(extra=1), "manifest_malformed", MANIFEST),
            "a-member-less": (lambda m: m.pop("log_id"), "manifest_malformed", MANIFEST),
            "no-such-day": (lambda m: m.update(date="2026-13-01"), "manifest_malformed", MANIFEST),
            "another-log": (lambda m: m.update(log_id="0" * 64), "wrong_log", MANIFEST),
            "another-day": (lambda m: m.update(date="2026-11-25"), "member_missing", "sth/2026-11-25.json"),
            "the-day-before": (lambda m: m.update(date="2026-11-23"), "wrong_day", MANIFEST),
            "a-day-before-the-log": (lambda m: m.update(date="2026-11-22"), "wrong_day", MANIFEST),
            "files-an-object": (lambda m: m.update(files={}), "manifest_malformed", MANIFEST),
            "a-wrong-hash": (
                lambda m: m["files"][0].update(sha256=hashlib.sha256(b"").hexdigest()),
                "hash_mismatch",
                "receipts.jsonl",
            ),
            "a-hash-in-capitals": (
                lambda m: m["files"][0].update(sha256="A" * 64),
                "manifest_malformed",
                MANIFEST,
            ),
            "a-wrong-size": (lambda m: m["files"][1].update(size=1), "size_mismatch", "sth.json"),
        }
        for name, (change, code, member) in changes.items():
            yield self.case(f"manifest-{name}", rezip(edit(self.files, MANIFEST, change)), code, member)
        for name, body in {
            "an-array": b"[]",
            "nothing": b"",
            "no-json": b"not json",
            "no-utf-8": b"\xff",
        }.items():
            code = "manifest_malformed" if name == "an-array" else "not_canonical"
            yield self.case(f"manifest-{name}", rezip({**self.files, MANIFEST: body}), code, MANIFEST)
        yield replace(
            self.case("of-another-day-than-asked-for", self.data, "other_day", "sth.json"), asked="2026-11-23"
        )
        spaced = canonicalize(parse(self.files[MANIFEST])).replace(b",", b", ")
        data = rezip({**self.files, MANIFEST: spaced})
        yield self.case("manifest-spaced", data, "not_canonical", MANIFEST)
        files = dict(sorted(self.files.items()))
        yield self.case("members-in-another-order", remade(files), "manifest_members", MANIFEST)
        too_large = remade({**self.files, "keys.json": b"[" + b"[]," * (3 << 20)})
        yield self.case("too-large-keys.json", too_large, "member_too_large", "keys.json")


def slug(name: str) -> str:
    """A member's name as a part of a file's; of a policy's digest the first digits do."""
    return "-".join(part[:8] if len(part) == 64 else part for part in name.split("/"))


def flip(body: bytes, at: int) -> bytes:
    """Flip the lowest bit of the next letter or digit that it makes another one (or right there)."""
    pairs = ((place, bytes([body[place], body[place] ^ 1])) for place in range(at, len(body)))
    at = next((place for place, pair in pairs if pair.isalnum()), at)
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


def _before(files: Files, place: str, name: str) -> Files:
    """The files with a copy of one, named otherwise, right before it."""
    added: Files = {}
    for other, body in files.items():
        if other == place:
            added[name] = body
        added[other] = body
    return added
