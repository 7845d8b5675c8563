r"""Transcripts on their way beside the log: one object for those of one append. Pure.

An object is a line for each transcript, canonical JSON of {"id": receipt id, "transcript": …} and a newline,
in the order of the ids. Its name is a place and no proof: each entry is held to the SHA-256 in its receipt.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from signet.core.errors import CanonicalError
from signet.receipts.reading import Receipt

#: Most bytes of one transcript: with receipt and evidence it has to fit into a message of the queue.
MAX_TRANSCRIPT_BYTES: Final = 65_536

#: Most bytes of one object: verifiers hold it in memory.
MAX_TRANSCRIPTS_BYTES: Final = 8 * 1024 * 1024
#: Bytes that a line has beside its transcript.
LINE_BYTES: Final = 70

_SALT_PREFIX: Final = b"signet-query-salt-v2\n"
_SALT_BYTES: Final = 16
_NAME_DIGITS: Final = 32
_HEX_DIGITS: Final = 64
_LINE: Final = re.compile(rb'\{"id":"([0-9a-f-]{36})","transcript":(\{.*\})\}', re.DOTALL)


def named_transcript(receipt: Receipt) -> str | None:
    """Return the hex SHA-256 of the transcript that a decision's receipt names, or None."""
    return receipt.named(b"transcript_sha256", _HEX_DIGITS)


def transcripts_of(receipt: Receipt) -> str | None:
    """Return the name of the object that holds the transcript of a chained receipt, or None."""
    return receipt.named(b"transcripts", _NAME_DIGITS) if receipt.table.names_transcripts else None


def query_salt(nonce: str) -> bytes:
    """Return the 16 bytes of salt for the query's hash.

    The caller knows the nonce, so can recompute them. A pack holds its hash only, and a nonce is random.
    """
    return hashlib.sha256(_SALT_PREFIX + nonce.encode()).digest()[:_SALT_BYTES]


def transcripts_name(ids: Iterable[str]) -> str:
    """Return the name of the object that holds the transcripts of these receipts, 32 hex digits."""
    text = "".join(f"{receipt_id}\n" for receipt_id in sorted(ids))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:_NAME_DIGITS]


def encode_transcripts(transcripts: Mapping[str, bytes]) -> bytes:
    """Return the object of some transcripts.

    Args:
        transcripts: canonical bytes, by the receipt's id.
    """
    return b"".join(
        b'{"id":"%b","transcript":%b}\n' % (receipt_id.encode("ascii"), transcripts[receipt_id])
        for receipt_id in sorted(transcripts)
    )


def decode_transcripts(data: bytes) -> dict[str, bytes]:
    """Return the transcripts in an object, by receipt id; none of them is checked.

    Raises:
        CanonicalError: code ``bad_transcripts``: it has another form, a transcript is longer than
            ``MAX_TRANSCRIPT_BYTES``, or the ids do not ascend.
    """
    if not data.endswith(b"\n"):
        raise CanonicalError("the last transcript has no newline", code="bad_transcripts")
    found: dict[str, bytes] = {}
    last = ""
    for line in data.split(b"\n")[:-1]:
        match = _LINE.fullmatch(line)
        receipt_id = match[1].decode() if match else ""
        if match is None or receipt_id <= last or len(match[2]) > MAX_TRANSCRIPT_BYTES:
            raise CanonicalError(
                "a line is no transcript, is too long, or out of order", code="bad_transcripts"
            )
        found[receipt_id] = match[2]
        last = receipt_id
    return found
