"""One pack of the corpus, and what every verifier must say of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """A pack that is good, or bad in one way.

    Attributes:
        name: says what is special about it; unique, usable as a file name.
        group: what was tampered with (``zip``, ``members``, ``receipts``, ``heads``, ``keys``, ``proofs`` …).
        data: the bytes of the pack.
        log_id: what the verifier is told of the log's identity.
        code: the library's code of the first failure; None for a good pack.
        member: the file that the first failure is in; ``zip`` for the zip as a whole.
        line: its 1-based line, where the failure has one.
        facts: of a good pack: what a verifier must report. Of its remarks these are the codes, each once and
            sorted, without ``log_id_not_pinned``, ``policy_absent``, ``other_checker`` and
            ``checker_unsigned``.
        asked: the day that the verifier is told was asked for; None for none.
        callers: the file of callers' keys that the verifier is given; None for none.
        kind: of a bad zip: what the file is (``pack``, ``not_a_pack``, ``cut_short``, ``packed_anew``).
    """

    name: str
    group: str
    data: bytes = field(repr=False)
    log_id: str
    code: str | None = None
    member: str | None = None
    line: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    asked: str | None = None
    callers: bytes | None = field(default=None, repr=False)
    kind: str | None = None

    @property
    def good(self) -> bool:
        return self.code is None

    @property
    def file(self) -> str:
        """Where the pack lies in a written corpus."""
        return f"{'good' if self.good else 'bad'}/{self.name}.zip"

    def entry(self) -> dict[str, Any]:
        """The case in ``index.json``."""
        said = {"code": self.code, "member": self.member, "line": self.line}
        if self.kind is not None:
            said["kind"] = self.kind
        return {
            "name": self.name,
            "group": self.group,
            "file": self.file,
            "log_id": self.log_id,
            "asked": self.asked,
            "callers": None if self.callers is None else f"callers/{self.name}.json",
            "good": self.good,
            **(self.facts if self.good else said),
        }
