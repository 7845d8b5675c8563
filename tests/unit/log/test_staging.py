"""A staged bundle is what its own entries give, byte for byte, of the size that it says, or it is refused."""

from __future__ import annotations

import struct

import pytest

from signet.core.errors import LogError
from signet.log import staging
from signet.log.emitters import NO_EMITTERS, EmitterAccount, summarize
from signet.log.tiles import TileBuilder, TileReader

MAGIC = b"signet-staging-v1\n"
TOTALS, ACCOUNTS = summarize({"a" * 32: EmitterAccount.of([0, 1])})


def entries(first: int, end: int) -> list[bytes]:
    return [b"entry %d" % number for number in range(first, end)]


def grown(base: int, size: int) -> tuple[dict[str, bytes], dict[str, bytes], bytes]:
    """The tiles of ``base`` leaves, what growth to ``size`` adds, and the root then."""
    builder = TileBuilder()
    stored = dict(builder.append(entries(0, base))) | dict(builder.partial_tiles())
    builder = TileReader(stored.get, base).builder()
    added = dict(builder.append(entries(base, size))) | dict(builder.partial_tiles())
    return stored, added, builder.root()


@pytest.mark.parametrize(("base", "size"), [(0, 1), (3, 5), (255, 256), (256, 300), (250, 600), (256, 512)])
def test_a_bundle_leads_to_the_tree_it_is_named_by(base: int, size: int) -> None:
    stored, added, root = grown(base, size)
    assert TOTALS.key is not None
    bundle = staging.encode_staged(base, size, {**added, TOTALS.key: ACCOUNTS})
    assert staging.check_staged(bundle, size, root, TOTALS, stored.get) == {**added, TOTALS.key: ACCOUNTS}
    key = staging.staging_key(size, root)
    assert staging.staged_size(key) == size
    assert staging.staged_tiles(bundle, key, stored.get) == added


def refused(
    bundle: bytes, *, size: int = 5, root: bytes | None = None, code: str = "staging_damaged"
) -> None:
    stored, _added, true = grown(3, 5)
    with pytest.raises(LogError) as caught:
        staging.check_staged(bundle, size, root or true, NO_EMITTERS, stored.get)
    assert caught.value.code == code


def bundle(base: int = 3, size: int = 5, **changes: bytes) -> bytes:
    return staging.encode_staged(base, size, {**grown(3, 5)[1], **changes})


def test_a_bundle_that_says_another_size_is_refused() -> None:
    refused(bundle(size=6))
    refused(bundle(), size=6)
    refused(bundle(base=5))
    refused(bundle(base=6))
    refused(bundle(base=2), code="missing_tile")


def test_a_bundle_of_another_form_is_refused() -> None:
    whole = bundle()
    for cut in (0, 10, len(MAGIC), len(MAGIC) + 15, len(whole) - 1):
        refused(whole[:cut])
    refused(b"x" + whole[1:])
    refused(whole + b"\0")
    refused(whole + struct.pack(">H", 2) + "ü".encode() + struct.pack(">I", 0))
    refused(MAGIC + struct.pack(">QQ", 3, 5))


def test_a_bundle_with_an_object_more_or_less_or_another_root_is_refused() -> None:
    _stored, added, _root = grown(3, 5)
    refused(staging.encode_staged(3, 5, {**added, "tile/0/001": b""}))
    for path in added:
        refused(staging.encode_staged(3, 5, {name: body for name, body in added.items() if name != path}))
        changed = added[path][:-1] + bytes([added[path][-1] ^ 1])
        refused(staging.encode_staged(3, 5, {**added, path: changed}))
    refused(bundle(), root=bytes(32))


def test_a_bundle_without_the_accounts_that_its_head_names_is_refused() -> None:
    stored, added, root = grown(3, 5)
    for objects in (added, {**added, str(TOTALS.key): ACCOUNTS + b" "}):
        with pytest.raises(LogError) as caught:
            staging.check_staged(staging.encode_staged(3, 5, objects), 5, root, TOTALS, stored.get)
        assert caught.value.code == "bad_accounts"


@pytest.mark.parametrize(
    ("key", "size"),
    [
        ("staging/12-ab", 12),
        ("staging/0-", 0),
        ("staging/-ab", None),
        ("staging/x-ab", None),
        ("staging/²-ab", None),
        ("staging/", None),
    ],
)
def test_a_staging_key_says_its_size(key: str, size: int | None) -> None:
    assert staging.staged_size(key) == size


@pytest.mark.parametrize("key", ["staging/x-ab", "staging/5-xy", "staging/5-", "staging/5-ab"])
def test_a_bundle_of_another_name_is_refused(key: str) -> None:
    stored, _added, _root = grown(3, 5)
    with pytest.raises(LogError) as caught:
        staging.staged_tiles(bundle(), key, stored.get)
    assert caught.value.code == "staging_damaged"
