"""The callers' public keys as an auditor got them from the callers, to hold allowed requests to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from signet.core.client import KEYID
from signet.core.encoding import decode_base64
from signet.core.errors import KeyFileError, SignatureError, SignetError
from signet.crypto import suites

MAX_CALLERS_BYTES: Final = 64 << 20
_FORM: Final = 'a JSON array of {"keyid", "alg", "public_key"}, as `signet clients list --json` prints it'


@dataclass(frozen=True, slots=True)
class CallerKey:
    """One caller's public key.

    Attributes:
        alg: name of its suite.
        public_key: raw, in the suite's encoding.
    """

    alg: str
    public_key: bytes


#: By key id.
Callers = Mapping[str, CallerKey]


def parse_callers(data: bytes) -> Callers:
    """Read a file of callers' keys; other members of its objects are not read.

    Raises:
        KeyFileError: it is no such file, names a key id twice, or holds a key that no caller may have.
    """
    try:
        rows = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise KeyFileError(f"this is no file of callers' keys; it has to be {_FORM}") from error
    if not isinstance(rows, list):
        raise KeyFileError(f"this is no file of callers' keys; it has to be {_FORM}")
    found: dict[str, CallerKey] = {}
    for number, row in enumerate(rows, 1):
        keyid, key = _caller(row, number)
        if keyid in found:
            raise KeyFileError(f"entry {number} has the key id of an earlier one")
        found[keyid] = key
    return found


def _caller(row: Any, number: int) -> tuple[str, CallerKey]:
    try:
        keyid, alg, public_key = row["keyid"], row["alg"], decode_base64(row["public_key"])
        usable = KEYID.fullmatch(keyid) is not None
        suite = suites.get(alg)
    except (KeyError, TypeError, ValueError, SignetError) as error:
        raise KeyFileError(f"entry {number} holds no caller's key; the file has to be {_FORM}") from error
    try:
        suite.check_public_key(public_key)
    except SignatureError as error:
        raise KeyFileError(f"entry {number} holds a key that no caller may have: {error}") from error
    if not usable:
        raise KeyFileError(f"entry {number} has a key id with characters that no key id has")
    return keyid, CallerKey(alg, public_key)
