"""Keys of the log's objects in its bucket (docs/formats.md); the tiles' are in ``signet.log.tiles``."""

from __future__ import annotations

from typing import Final

#: Public signing keys: all sets.
KEYS: Final = "keys.json"
#: The newest checkpoint; it moves with every head.
CHECKPOINT: Final = "checkpoint"
#: The newest signed head, final or not.
LATEST_HEAD: Final = "sth/latest.json"
#: Heads and checkpoints of closed days, and the newest head.
HEADS: Final = "sth/"
#: Roots signed for COSE receipts.
COSE: Final = "cose/"
#: Accounts of a day's emitters, by the hex SHA-256 that tree heads name.
EMITTERS: Final = "emitters/"
#: Compliance packs.
PACKS: Final = "packs/"
#: Packs with evidence, which are kept as briefly as evidence has to be.
PACKS_WITH_EVIDENCE: Final = "packs/evidence/"
#: Packs with transcripts, in the bucket of the transcripts.
PACKS_WITH_TRANSCRIPTS: Final = "packs/transcripts/"
#: How far the building of a pack is.
PACK_JOBS: Final = "packs/jobs/"
#: Evidence of allowed requests.
EVIDENCE: Final = "evidence/"
#: Transcripts of decisions, in a bucket of their own.
TRANSCRIPTS: Final = "transcripts/"


def key_set(n: int) -> str:
    """Return the key of one key set, as it stands in ``keys.json``."""
    return f"keys/{n}.json"


def final_head(date: str) -> str:
    """Return the key of a closed day's head; ``date`` as ``YYYY-MM-DD``."""
    return f"{HEADS}{date}.json"


def final_checkpoint(date: str) -> str:
    """Return the key of the checkpoint that was signed with a closed day's head."""
    return f"{HEADS}{date}.checkpoint"


def signed_root(tree_size: int, alg: str) -> str:
    """Return the key of the signed root of a tree, by one of the algorithms that sign heads."""
    return f"{COSE}{tree_size}.{alg}"


def accounts(digest: str) -> str:
    """Return the key of the emitters' accounts with a hex SHA-256."""
    return f"{EMITTERS}{digest}"


def evidence(digest: str) -> str:
    """Return the key of the evidence with a hex SHA-256."""
    return f"{EVIDENCE}{digest}"


def transcripts(name: str) -> str:
    """Return the key of the transcripts of one append; ``name`` as receipts have it."""
    return f"{TRANSCRIPTS}{name}"
