"""Canonical JSON (RFC 8785) over the subset that Signet writes.

Strings, integers of magnitude below 2^53, booleans, null, arrays, and objects with ASCII keys. Without
floats, and with keys whose code points sort the same in UTF-8 and UTF-16, the sorted compact output of
the standard library IS the canonical form; a differential test holds it to an independent
implementation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from json.encoder import encode_basestring
from typing import Any, Final

from signet.core.errors import CanonicalError

#: Largest magnitude of an integer: what every JSON reader holds exactly (RFC 8785 section 3.2.2.3).
MAX_INTEGER: Final = 2**53 - 1
#: Deepest nesting of arrays and objects; receipts and heads need four.
MAX_DEPTH: Final = 32

#: Returns the canonical form of a string, in quotes, for a caller that writes the rest around it.
canonical_text: Final[Callable[[str], str]] = encode_basestring

_SCALARS = frozenset({str, bool, type(None)})
_ARRAYS = frozenset({list, tuple})

_encode = json.JSONEncoder(
    ensure_ascii=False,
    sort_keys=True,
    separators=(",", ":"),
    allow_nan=False,
    check_circular=False,  # the depth bound finds a cycle first
).encode
_decode = json.JSONDecoder().raw_decode


def canonicalize(value: object) -> bytes:
    """Return the canonical bytes of a value.

    Types are compared exactly: a subclass (an ``IntEnum``, an ``OrderedDict``) is refused, because the
    encoder may write something else than its caller compares. A tuple is written as an array.

    Raises:
        CanonicalError: the value, or a part of it, is outside the subset.
    """
    _check((value,), 0)
    try:
        return _encode(value).encode()
    except UnicodeEncodeError as error:
        raise CanonicalError("a string holds half of a surrogate pair") from error


def parse(data: bytes) -> Any:
    """Return the value whose canonical form is exactly ``data``.

    Duplicate keys, white space, other spellings of a number or an escape, floats and a byte order mark
    are all refused by the same comparison: encoding the value again must give the same bytes.

    Raises:
        CanonicalError: ``data`` is not UTF-8, not JSON, or not in canonical form.
    """
    try:
        text = data.decode()
        value, _end = _decode(text)  # what follows the value fails the comparison
    except (ValueError, RecursionError) as error:
        raise CanonicalError("the bytes are not JSON") from error
    _check((value,), 0)
    if _encode(value) != text:
        raise CanonicalError("the bytes are JSON, but not in canonical form")
    return value


def _check(values: Iterable[Any], depth: int) -> None:
    """Raise ``CanonicalError`` unless the encoder writes the values as RFC 8785 wants them.

    Scalars are checked inside the loop: one call per container, not per value, halves the time.
    """
    for value in values:
        kind = type(value)
        if kind in _SCALARS:
            continue
        if kind is int:
            if not -MAX_INTEGER <= value <= MAX_INTEGER:
                raise CanonicalError("an integer is beyond 2^53 - 1")
            continue
        if depth == MAX_DEPTH:
            raise CanonicalError(f"the value is nested deeper than {MAX_DEPTH}")
        if kind is dict:
            _check_names(value)
            _check(value.values(), depth + 1)
        elif kind in _ARRAYS:
            _check(value, depth + 1)
        else:
            raise CanonicalError(f"a value of type {kind.__name__} has no canonical form here")


def _check_names(members: dict[Any, Any]) -> None:
    for name in members:
        if type(name) is not str or not name.isascii():
            raise CanonicalError("a key is not an ASCII string")
