"""Which 32 bytes may be an Ed25519 public key of a log. Pure."""

from __future__ import annotations

from typing import Final

from signet.core.errors import KeyFileError

_P: Final = 2**255 - 19
_ORDER_8_Y: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
_SMALL_ORDER_Y: Final = frozenset({0, 1, _P - 1, _ORDER_8_Y, _P - _ORDER_8_Y})


def check_point(public_key: bytes) -> None:
    """Refuse what verifiers read in two ways: points of small order, and other encodings than RFC 8032's.

    Under a key of small order signing needs no secret. Some libraries accept such keys and some do not; the
    same is true of a y of p and more (RFC 8032 section 5.1.3 refuses it). Of the eight points of small order
    y is 0, 1, -1 or one of the two of order 8; encodings of x = 0 with the sign set, which are not canonical,
    are of these.

    Raises:
        KeyFileError: code ``bad_key_file``.
    """
    y = int.from_bytes(public_key, "little") & (2**255 - 1)
    if y >= _P or y in _SMALL_ORDER_Y:
        raise KeyFileError("a public key for ed25519 is of small order, or not in its one encoding")
