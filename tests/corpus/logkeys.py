"""Ed25519 keys of a log under which any party can sign, or that some libraries take and others do not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from signet.core.canonical import canonicalize, parse
from signet.core.encoding import encode_base64
from signet.log.keys import Algorithm
from tests.corpus.case import Case
from tests.corpus.rotation import rotated_once
from tests.support.forgery import Files, edit, keyid_of, remade, unzip
from tests.support.packs import PackLog

GROUP, KEYS, MANIFEST = "keys", "keys.json", "manifest.json"
P = 2**255 - 19
#: y of two of the four points of order 8; that of the others is P minus it.
ORDER_8 = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)


def encoded(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


#: RFC 8032 section 5.1.3 decodes y below P only; the points of small order are the eight with 8 Q = 0.
BAD_KEYS: dict[str, bytes] = {
    "of-order-1": encoded(1),
    "of-order-2": encoded(P - 1),
    "of-order-4": encoded(0),
    "of-order-4-and-its-negative": encoded(0, 1),
    "of-order-8": encoded(ORDER_8),
    "of-order-8-and-its-negative": encoded(ORDER_8, 1),
    "of-order-8-and-another-y": encoded(P - ORDER_8),
    "of-order-8-and-another-y-and-its-negative": encoded(P - ORDER_8, 1),
    "of-order-1-and-a-sign": encoded(1, 1),
    "of-order-2-and-a-sign": encoded(P - 1, 1),
    "of-order-1-as-p-and-1": encoded(P + 1),
    "of-order-4-as-p": encoded(P),
    "of-order-1-as-p-and-1-and-a-sign": encoded(P + 1, 1),
    "of-a-y-that-is-p-and-3": encoded(P + 3),
    "of-a-y-that-is-all-ones": encoded(2**255 - 1, 1),
}


def cases(log: PackLog) -> Iterator[Case]:
    """All of them as the key of set 0, and one of a later set; all that follows from the keys follows."""
    for name, key in BAD_KEYS.items():
        files = with_key(unzip(log.pack()), 0, key)
        log_id = parse(files[KEYS])["log_id"]
        yield Case(f"keys-{name}", GROUP, remade(files), log_id, "bad_key_file", KEYS)
    rotated = rotated_once()
    files = with_key(unzip(rotated.pack(rotated.day(1))), 1, encoded(1))
    yield Case("keys-of-order-1-in-a-later-set", GROUP, remade(files), rotated.log_id, "bad_key_file", KEYS)


def with_key(files: Files, number: int, key: bytes) -> Files:
    """The files with another Ed25519 key in a set, the key ids and the log id computed anew."""

    def change(value: Any) -> None:
        own = value["sets"][number]["keys"][0]
        own.update(public_key=encode_base64(key), keyid=keyid_of(Algorithm.ED25519, key))
        if number == 0:
            pinned = canonicalize({"origin": value["origin"], "keys": value["sets"][0]["keys"]})
            value["log_id"] = hashlib.sha256(b"signet-log-v1\n" + pinned).hexdigest()

    files = edit(files, KEYS, change)
    log_id = parse(files[KEYS])["log_id"]
    return edit(files, MANIFEST, lambda manifest: manifest.update(log_id=log_id))
