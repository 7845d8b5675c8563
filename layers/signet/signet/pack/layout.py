"""The members of a compliance pack: their names, their order, their bounds (docs/formats.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from signet.log import object_keys

#: Versions of the format, as in ``manifest.json``: 2 has transcripts.
VERSION: Final = 1
WITH_TRANSCRIPTS: Final = 2
FORMAT: Final = "signet-pack"

MANIFEST: Final = "manifest.json"
RECEIPTS: Final = "receipts.jsonl"
HEAD: Final = "sth.json"
RANGE: Final = "proofs/range.json"
CONSISTENCY: Final = "proofs/consistency.json"
INCLUSION: Final = "proofs/inclusion.jsonl"
KEYS: Final = object_keys.KEYS
CHECKPOINT: Final = object_keys.CHECKPOINT
GUIDE: Final = "VERIFY.md"
CHECKER: Final = "verify.py"

#: Most receipts of a day for which the pack carries every inclusion proof.
MAX_INCLUSION_PROOFS: Final = 10_000
#: Most bytes of a member that is held in memory: JSON takes up to forty times its size there.
MAX_MEMBER_BYTES: Final = 8 * 1024 * 1024

_DATED_HEAD = re.compile(r"sth/([0-9]{4}-[0-9]{2}-[0-9]{2})\.json")
_EVIDENCE = re.compile(r"evidence/([0-9a-f]{64})")
_TRANSCRIPTS = re.compile(r"transcripts/([0-9a-f]{32})")
_POLICY = re.compile(r"policy/([0-9a-f]{64})/(.+)")


def versioned(*, transcripts: bool) -> dict[str, int]:
    """Return the members of a manifest that say its version; from 2 on also which version a checker needs."""
    return {"v": WITH_TRANSCRIPTS, "needs": WITH_TRANSCRIPTS} if transcripts else {"v": VERSION}


def head_date(name: str) -> str | None:
    """Return the date in the name of a head's member, or None if it is no such name."""
    match = _DATED_HEAD.fullmatch(name)
    return match[1] if match else None


def is_streamed(name: str) -> bool:
    """Tell whether a member is read piece by piece, so that it may be of any size."""
    return name in {RECEIPTS, INCLUSION} or policy_file(name) is not None


def policy_file(name: str) -> tuple[str, str] | None:
    """Return (bundle hash in hex, file name) of a policy member, or None if it is no such name."""
    match = _POLICY.fullmatch(name)
    return (match[1], match[2]) if match else None


def evidence_name(digest: str) -> str:
    """Return the name of the member that holds the evidence of a hex SHA-256."""
    return f"evidence/{digest}"


def evidence_digest(name: str) -> str | None:
    """Return the hex SHA-256 in the name of an evidence member, or None if it is no such name."""
    match = _EVIDENCE.fullmatch(name)
    return match[1] if match else None


def is_transcripts(name: str) -> bool:
    """Tell whether a member holds transcripts."""
    return _TRANSCRIPTS.fullmatch(name) is not None


def members_in_order(
    dates: Iterable[str],
    policies: Iterable[str],
    evidence: Iterable[str],
    transcripts: Iterable[str] = (),
    *,
    inclusion: bool,
) -> list[str]:
    """Return the members of a pack after the manifest, in the order of the zip.

    Args:
        dates: days of the final heads, first to last; the last is the pack's.
        policies: names of the policy members, in any order.
        evidence: names of the evidence members, in any order.
        transcripts: names of the members that hold transcripts, in any order.
        inclusion: whether the pack carries inclusion proofs.
    """
    return [
        RECEIPTS,
        HEAD,
        *map(object_keys.final_head, dates),
        RANGE,
        CONSISTENCY,
        *((INCLUSION,) if inclusion else ()),
        KEYS,
        CHECKPOINT,
        *sorted(policies),
        *sorted(evidence),
        *sorted(transcripts),
        GUIDE,
        CHECKER,
    ]
