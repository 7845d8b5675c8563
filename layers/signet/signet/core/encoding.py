"""Base64 and base64url in their one encoding: what does not come out the same again is refused. Pure."""

from __future__ import annotations

import base64
import binascii


def encode_base64(data: bytes) -> str:
    """Return standard base64 with padding."""
    return binascii.b2a_base64(data, newline=False).decode()


def decode_base64(text: str) -> bytes:
    """Return the bytes whose base64 is exactly ``text``.

    Raises:
        ValueError: not base64, or another spelling of it (white space, padding, trailing bits); the message
            ends a sentence that begins with what the text is.
    """
    try:
        data = binascii.a2b_base64(text)  # lenient: what comes out has one encoding, and that is compared
    except ValueError as error:
        raise ValueError("not base64") from error
    if encode_base64(data) != text:
        raise ValueError("not in its canonical base64 encoding")
    return data


def encode_base64url(data: bytes) -> str:
    """Return base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """Return the bytes whose base64url without padding is exactly ``text``.

    Raises:
        ValueError: as in ``decode_base64``.
    """
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise ValueError("not base64url") from error
    if encode_base64url(data) != text:
        raise ValueError("not in its canonical base64url encoding")
    return data
