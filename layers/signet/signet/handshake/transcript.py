"""The transcript of a decision: what the caller signed, and what policy was asked about it. Pure.

A receipt of version 2 commits to it by its SHA-256 (docs/formats.md, "Transcript"), and the sink keeps it.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode

from signet.core.canonical import canonicalize
from signet.core.errors import CanonicalError
from signet.core.vocabulary import SECRET_FIELDS
from signet.handshake.proof import Proof
from signet.policy.facts import Facts
from signet.receipts.facts import TranscriptFacts
from signet.receipts.transcripts import MAX_TRANSCRIPT_BYTES, query_salt


def transcript(proof: Proof, asked: Facts) -> bytes:
    """Return the transcript's canonical bytes.

    Args:
        proof: verified, its signature at hand.
        asked: what policy was asked.

    Raises:
        CanonicalError: the input holds what canonical JSON cannot say.
        ValueError: the proof has no signature.
    """
    if proof.signature is None:  # cannot happen after check_signature
        raise ValueError("a transcript needs the signature")
    return canonicalize(
        {
            "base": proof.base.decode("ascii"),
            "signature": b64encode(proof.signature).decode(),
            "input": asked.document(),
            "salt": b64encode(query_salt(proof.nonce)).decode(),
        }
    )


def transcript_facts(proof: Proof, query: str, asked: Facts) -> TranscriptFacts:
    """Return what the receipt says of the transcript, and its bytes unless the caller signed a secret.

    A covered ``Authorization`` is in the base with its value: auditors would get it, and the bucket would
    keep it for years. Such a transcript is committed to, and not kept.

    Args:
        proof: verified, its signature at hand.
        query: as signed, with its ``?``.
        asked: what policy was asked.

    Raises:
        CanonicalError: see ``transcript``, or it is longer than ``MAX_TRANSCRIPT_BYTES``.
        ValueError: see ``transcript``.
    """
    encoded = transcript(proof, asked)
    if len(encoded) > MAX_TRANSCRIPT_BYTES:
        raise CanonicalError("the transcript is longer than a message can carry", code="transcript_too_long")
    return TranscriptFacts(
        sha256=hashlib.sha256(encoded).digest(),
        query_sha256=hashlib.sha256(query_salt(proof.nonce) + query.encode()).digest(),
        encoded=None if SECRET_FIELDS.intersection(proof.components) else encoded,
    )
