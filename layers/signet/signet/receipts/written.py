"""Values as the encoders of all versions write them: canonical JSON, null where there is nothing to say."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from signet.core.canonical import canonical_text

NULL: Final = "null"
_SHA256_BYTES: Final = 32
# Half surrogate pairs have no UTF-8, and SQS refuses the two noncharacters: either would let a caller
# choose a request that cannot be recorded. JSON escapes none of them: they are replaced in the whole receipt.
_UNRECORDABLE: Final = re.compile("[\ud800-\udfff\ufffe\uffff]")


def recordable(text: str) -> str:
    """Return the text with U+FFFD in the place of every character that cannot be recorded."""
    return text if text.isascii() else _UNRECORDABLE.sub("\ufffd", text)


def hex_of(digest: bytes | None) -> str:
    """Write a digest in hex.

    Raises:
        ValueError: it has not 32 bytes.
    """
    if digest is None:
        return NULL
    if len(digest) != _SHA256_BYTES:
        raise ValueError("a digest in a receipt has 32 bytes")
    return f'"{digest.hex()}"'


def word(member: StrEnum | None) -> str:
    """Write a word of a closed set."""
    return NULL if member is None else f'"{member}"'


def number(value: int | None) -> int | str:
    """Write a number."""
    return NULL if value is None else value


def text(value: str | None) -> str:
    """Write a text."""
    return NULL if value is None else canonical_text(value)
