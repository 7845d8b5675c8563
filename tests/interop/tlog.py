"""A tlog-tiles log in its plainest form, written from the texts of C2SP and RFC 9162 alone.

It shares nothing with Signet: the tree is the recursion of RFC 9162 §2.1.1 over all entries, tiles are
cut out of it, and a reader puts them together again. Slow, and easy to hold against the specification:
c2sp.org/tlog-tiles, c2sp.org/tlog-checkpoint, c2sp.org/signed-note.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

Get = Callable[[str], bytes | None]


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """MTH over leaf hashes: split at the largest power of two below the length."""
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + tree_hash(leaves[:split]) + tree_hash(leaves[split:]))


def path_of(level: str, index: int, width: int) -> str:
    text = f"{index % 1000:03d}"
    index //= 1000
    while index:
        text = f"x{index % 1000:03d}/{text}"
        index //= 1000
    return f"tile/{level}/{text}" + ("" if width == 256 else f".p/{width}")


def write_log(folder: Path, entries: Sequence[bytes], origin: str, key: Ed25519PrivateKey) -> str:
    """Write a log of these entries; return the vkey of its key."""
    leaves = [sha256(b"\x00" + entry) for entry in entries]
    for start in range(0, len(entries), 256):
        some = entries[start : start + 256]
        bundle = b"".join(len(entry).to_bytes(2, "big") + entry for entry in some)
        put(folder, path_of("entries", start // 256, len(some)), bundle)
    level, hashes = 0, leaves
    while hashes:
        for start in range(0, len(hashes), 256):
            tile = hashes[start : start + 256]
            put(folder, path_of(str(level), start // 256, len(tile)), b"".join(tile))
        hashes = [tree_hash(hashes[at : at + 256]) for at in range(0, len(hashes) - 255, 256)]
        level += 1
    text = f"{origin}\n{len(entries)}\n{base64.b64encode(tree_hash(leaves)).decode()}\n"
    public = b"\x01" + key.public_key().public_bytes_raw()
    key_id = sha256(origin.encode() + b"\n" + public)[:4]
    line = base64.b64encode(key_id + key.sign(text.encode())).decode()
    put(folder, "checkpoint", f"{text}\n— {origin} {line}\n".encode())
    return f"{origin}+{key_id.hex()}+{base64.b64encode(public).decode()}"


def put(folder: Path, name: str, data: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def read_log(get: Get, vkey: str) -> list[bytes]:
    """Return a log's entries; assert that its checkpoint is signed by the key and every tile is right."""
    text, _, lines = get_or_fail(get, "checkpoint").decode().rpartition("\n\n")
    origin, size_text, root = text.split("\n")
    check_signature(text + "\n", lines, vkey)
    size = int(size_text)
    entries: list[bytes] = []
    for start in range(0, size, 256):
        entries += read_bundle(get_or_fail(get, path_of("entries", start // 256, min(256, size - start))))
    leaves = [sha256(b"\x00" + entry) for entry in entries]
    assert len(leaves) == size
    assert base64.b64encode(tree_hash(leaves)).decode() == root, origin
    level, hashes = 0, leaves
    while hashes:
        for start in range(0, len(hashes), 256):
            tile = hashes[start : start + 256]
            name = path_of(str(level), start // 256, len(tile))
            assert get_or_fail(get, name) == b"".join(tile), name
        hashes = [tree_hash(hashes[at : at + 256]) for at in range(0, len(hashes) - 255, 256)]
        level += 1
    return entries


def get_or_fail(get: Get, name: str) -> bytes:
    found = get(name)
    assert found is not None, f"{name} is missing"
    return found


def read_bundle(bundle: bytes) -> list[bytes]:
    entries = []
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        entries.append(bundle[2 : 2 + length])
        assert len(entries[-1]) == length
        bundle = bundle[2 + length :]
    return entries


def check_signature(text: str, lines: str, vkey: str) -> None:
    """Assert that one of the signature lines is the key's: Ed25519 (0x01) or ML-DSA-44 cosignature (0x06)."""
    name, key_id, encoded = vkey.split("+", 2)
    key = base64.b64decode(encoded)
    assert sha256(name.encode() + b"\n" + key)[:4].hex() == key_id
    blobs = [
        base64.b64decode(line.split(" ")[2]) for line in lines.splitlines() if line.startswith(f"— {name} ")
    ]
    (blob,) = [blob for blob in blobs if blob[:4].hex() == key_id]
    if key[0] == 1:
        Ed25519PublicKey.from_public_bytes(key[1:]).verify(blob[4:], text.encode())
        return
    assert key[0] == 6
    origin, size, root = text.split("\n")[:3]
    message = b"subtree/v1\n\0" + bytes([len(name)]) + name.encode() + blob[4:12]
    message += bytes([len(origin)]) + origin.encode() + (0).to_bytes(8, "big")
    message += int(size).to_bytes(8, "big") + base64.b64decode(root)
    MLDSA44PublicKey.from_public_bytes(key[1:]).verify(blob[12:], message)
