"""The part of CBOR that COSE receipts need, in its one deterministic form (RFC 8949 section 4.2.1). Pure.

Integers of up to 64 bits, byte and text strings, arrays, maps, null and the tag of a COSE_Sign1. Neither
floats nor indefinite lengths: what has them is refused.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any, Final

_MAX_DEPTH: Final = 8
_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG = range(7)
_NULL: Final = 0xF6
#: Arguments below this stand in the first byte; 24 to 27 there say that 1, 2, 4 or 8 bytes follow.
_INLINE: Final = 24


@dataclass(frozen=True, slots=True)
class Tagged:
    """A value with a tag before it."""

    tag: int
    value: Any


def encode(value: Any) -> bytes:
    """Return the deterministic bytes of a value.

    Raises:
        ValueError: it has no form here, or an integer has more than 64 bits.
    """
    match value:
        case None:
            return bytes([_NULL])
        case bool():
            raise ValueError("there are no booleans here")
        case int():
            return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
        case bytes() | str():
            raw = value.encode() if isinstance(value, str) else value
            return _head(_TEXT if isinstance(value, str) else _BYTES, len(raw)) + raw
        case list():
            return _head(_ARRAY, len(value)) + b"".join(map(encode, value))
        case dict():
            members = sorted((encode(key), encode(member)) for key, member in value.items())
            return _head(_MAP, len(members)) + b"".join(key + member for key, member in members)
        case Tagged():
            return _head(_TAG, value.tag) + encode(value.value)
        case _:
            raise ValueError(f"there is no {type(value).__name__} here")


def decode(data: bytes) -> Any:
    """Read bytes that are exactly one value in its deterministic form.

    Raises:
        ValueError: they are something else: cut off, too long, nested too deep, of another type, with a
            key twice or out of order, or with a length in more bytes than it takes.
    """
    value, _ = _read(data, 0, 0)
    # What was read writes exactly these bytes: that leaves no other order, length, second key or rest.
    if not hmac.compare_digest(encode(value), data):
        raise ValueError("this is not the deterministic form of its value")
    return value


def _head(major: int, argument: int) -> bytes:
    if argument < _INLINE:
        return bytes([major << 5 | argument])
    for code, width in enumerate((1, 2, 4, 8), _INLINE):
        if argument < 1 << 8 * width:
            return bytes([major << 5 | code]) + argument.to_bytes(width, "big")
    raise ValueError("an integer has more than 64 bits")


def _read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    """Return the value that begins at ``at``, and where it ends."""
    if depth > _MAX_DEPTH:
        raise ValueError("this is nested too deep")
    if data[at : at + 1] == bytes([_NULL]):
        return None, at + 1
    major, argument, at = _read_head(data, at)
    if major == _UNSIGNED:
        return argument, at
    if major == _NEGATIVE:
        return -1 - argument, at
    if argument > len(data) and major != _TAG:
        raise ValueError("this is cut off")
    if major in {_BYTES, _TEXT}:
        taken = data[at : at + argument]
        if len(taken) != argument:
            raise ValueError("this is cut off")
        return taken if major == _BYTES else taken.decode(), at + argument
    if major == _TAG:
        value, at = _read(data, at, depth + 1)
        return Tagged(argument, value), at
    return _read_members(data, at, depth, argument, is_map=major == _MAP)


def _read_members(data: bytes, at: int, depth: int, count: int, *, is_map: bool) -> tuple[Any, int]:
    found = []
    for _ in range(2 * count if is_map else count):
        member, at = _read(data, at, depth + 1)
        found.append(member)
    if not is_map:
        return found, at
    if not all(type(key) in {int, str} for key in found[::2]):
        raise ValueError("a key of a map is neither an integer nor a text")
    return dict(zip(found[::2], found[1::2], strict=True)), at


def _read_head(data: bytes, at: int) -> tuple[int, int, int]:
    """Return major type, argument, and where what follows begins."""
    if at >= len(data):
        raise ValueError("this is cut off")
    major, code = data[at] >> 5, data[at] & 31
    if major > _TAG or code > _INLINE + 3:
        raise ValueError("this has a float, a simple value or an indefinite length")
    if code < _INLINE:
        return major, code, at + 1
    end = at + 1 + (1 << code - _INLINE)
    if end > len(data):
        raise ValueError("this is cut off")
    return major, int.from_bytes(data[at + 1 : end], "big"), end
