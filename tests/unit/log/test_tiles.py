"""Tiles: one path per tile, growth in any steps gives the same bytes, and no wrong byte is ever used."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signet.core.errors import LogError
from signet.log.merkle import CompactRange, consistency_proof, leaf_hashes, verify_consistency
from signet.log.readahead import ReadAhead
from signet.log.tiles import (
    MAX_ENTRY_BYTES,
    TileBuilder,
    TileReader,
    encode_entries,
    parse_entries,
    parse_hashes,
    parse_tile_path,
    tile_path,
)

COUNT = 256 * 256 + 300
ENTRIES = [b"entry %d" % n for n in range(COUNT)]


def grow(store: dict[str, bytes], builder: TileBuilder, entries: list[bytes]) -> list[str]:
    tiles = [*builder.append(entries), *builder.partial_tiles()]
    for path, body in tiles:
        assert store.setdefault(path, body) == body
    return [path for path, _ in tiles]


def root(count: int) -> bytes:
    tree = CompactRange()
    tree.extend(leaf_hashes(ENTRIES[:count]))
    return tree.root()


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        ((0, 0, 256), "tile/0/000"),
        ((3, 1234067, 256), "tile/3/x001/x234/067"),
        ((0, 1000, 1), "tile/0/x001/000.p/1"),
        ((None, 999, 255), "tile/entries/999.p/255"),
    ],
)
def test_paths_are_those_of_the_specification(tile: tuple[int | None, int, int], path: str) -> None:
    assert tile_path(*tile) == path
    assert parse_tile_path(path) == tile


@given(st.none() | st.integers(0, 5), st.integers(0, 10**12), st.integers(1, 256))
def test_parsing_a_path_undoes_writing_it(level: int | None, index: int, width: int) -> None:
    assert parse_tile_path(tile_path(level, index, width)) == (level, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/0",
        "tile/0/x000/001",
        "tile/00/001",
        "tile/6/001",
        "tile/0/001.p/0",
        "tile/0/001.p/256",
        "tile/0/001.p/01",
        "tile/0/001.p/999",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/001/",
        "/tile/0/001",
        "tile/data/001",
        "tile/0/\u0660\u0660\u0661",
        "tile/0/001\n",
    ],
)
def test_another_spelling_of_a_path_is_refused(path: str) -> None:
    with pytest.raises(LogError):
        parse_tile_path(path)


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_entry_bundles_round_trip_and_refuse_another_count(entries: list[bytes]) -> None:
    bundle = encode_entries(entries)
    assert parse_entries(bundle, len(entries)) == entries
    with pytest.raises(LogError):
        parse_entries(bundle, len(entries) + 1)
    for wrong in (bundle + b"\x00", bundle + b"\x00\x05abcd"):
        with pytest.raises(LogError):
            parse_entries(wrong, len(entries) + 1)


def test_lengths_that_no_tile_has_are_refused() -> None:
    assert parse_entries(encode_entries([bytes(MAX_ENTRY_BYTES)]), 1) == [bytes(MAX_ENTRY_BYTES)]
    with pytest.raises(LogError):
        encode_entries([bytes(MAX_ENTRY_BYTES + 1)])
    for tile in (bytes(31), bytes(33), bytes(64)):
        with pytest.raises(LogError):
            parse_hashes(tile, 1)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=5))
def test_growing_in_any_steps_gives_the_same_tiles_and_only_new_ones(steps: list[int]) -> None:
    store: dict[str, bytes] = {}
    size = 0
    written: set[str] = set()
    for step in steps:
        builder = TileReader(store.get, size, root=root(size)).builder()
        paths = grow(store, builder, ENTRIES[size : size + step])
        assert not written & set(paths)
        written |= set(paths)
        size += step
        assert builder.size == size
        assert builder.root() == root(size)
    at_once: dict[str, bytes] = {}
    grow(at_once, TileBuilder(), ENTRIES[:size])
    assert at_once.items() <= store.items()
    reader = TileReader(store.get, size, root=root(size))
    assert list(reader.entries(0, size)) == ENTRIES[:size]


def test_a_log_over_two_tile_levels_reads_back_and_proves_its_growth() -> None:
    store: dict[str, bytes] = {}
    grow(store, TileBuilder(), ENTRIES)
    reader = TileReader(store.get, COUNT, root=root(COUNT))
    for start, end in ((0, 3), (250, 520), (65_530, COUNT), (COUNT, COUNT)):
        assert list(reader.entries(start, end)) == ENTRIES[start:end]
    for size in (1, 255, 256, 257, 65_536, 65_537):
        proof = consistency_proof(size, COUNT, reader.subtree_hash)
        verify_consistency(size, root(size), COUNT, root(COUNT), proof)
    assert set(store) >= {"tile/2/000.p/1", "tile/1/001.p/1", "tile/0/257.p/44", "tile/entries/257.p/44"}
    assert reader.builder().root() == root(COUNT)


def test_a_reader_falls_back_to_the_full_tile_where_the_partial_one_is_gone() -> None:
    store: dict[str, bytes] = {}
    builder = TileBuilder()
    grow(store, builder, ENTRIES[:500])
    grow(store, builder, ENTRIES[500:600])
    del store["tile/0/001.p/244"], store["tile/entries/001.p/244"]
    reader = TileReader(store.get, 500, root=root(500))
    assert list(reader.entries(480, 500)) == ENTRIES[480:500]


def test_every_flipped_bit_in_any_object_is_noticed_before_use() -> None:
    size = 256 * 3 + 5
    store: dict[str, bytes] = {}
    grow(store, TileBuilder(), ENTRIES[:size])
    for path, body in store.items():
        for at in {0, len(body) // 2, len(body) - 1}:
            bad = bytearray(body)
            bad[at] ^= 1
            broken = {**store, path: bytes(bad)}
            with pytest.raises(LogError):
                list(TileReader(broken.get, size, root=root(size)).entries(0, size))


def test_missing_tiles_and_ranges_outside_the_tree_are_refused() -> None:
    store: dict[str, bytes] = {}
    grow(store, TileBuilder(), ENTRIES[:300])
    for path in store:
        rest = {key: body for key, body in store.items() if key != path}
        with pytest.raises(LogError):
            list(TileReader(rest.get, 300, root=root(300)).entries(0, 300))
    reader = TileReader(store.get, 300)
    for start, end in itertools.chain(((-1, 2), (2, 1), (0, 301))):
        with pytest.raises(LogError):
            list(reader.entries(start, end))
    for level, index in ((0, 300), (0, -1), (9, 0)):
        with pytest.raises(LogError):
            reader.subtree_hash(level, index)


def test_a_right_edge_that_does_not_fit_is_refused() -> None:
    hashes = leaf_hashes(ENTRIES[:2])
    with pytest.raises(LogError):
        TileBuilder(3, [hashes], ENTRIES[:2])
    with pytest.raises(LogError):
        TileBuilder(2, [hashes], [ENTRIES[0], b"another"])
    with pytest.raises(LogError):
        TileBuilder(2, [hashes], ENTRIES[:1])


def test_a_reader_of_full_bundles_has_the_next_four_fetched() -> None:
    asked: list[str] = []
    missing: set[str] = set()
    full, partial = tile_path(None, 7), tile_path(None, 7, 3)

    def get(path: str) -> bytes | None:
        asked.append(path)
        return None if path in missing else b"body of " + path.encode()

    for path, absent, ahead in (
        (full, set(), [tile_path(None, number) for number in (8, 9, 10, 11)]),
        (full, {full}, []),
        (partial, set(), []),
        (tile_path(0, 7), set(), []),
        ("checkpoint", set(), []),
    ):
        asked.clear()
        missing = absent
        with ThreadPoolExecutor(1) as pool:
            reader = ReadAhead(get, pool)
            assert reader(path) == get(path)
        assert asked[:1] == [path]
        assert sorted(asked) == sorted([path, path, *ahead])
    missing = set()
    asked.clear()
    with ThreadPoolExecutor(1) as pool:
        reader = ReadAhead(get, pool)
        for number in (7, 8):
            path = tile_path(None, number)
            assert reader(path) == b"body of " + path.encode()
    assert sorted(asked) == [tile_path(None, number) for number in range(7, 13)]  # each once


def test_groups_of_a_path_begin_at_a_thousand() -> None:
    for index, path in ((999, "tile/0/999"), (1_000, "tile/0/x001/000"), (1_000_000, "tile/0/x001/x000/000")):
        assert tile_path(0, index) == path
        assert parse_tile_path(path) == (0, index, 256)
    assert tile_path(0, 0, 255) == "tile/0/000.p/255"
    with pytest.raises(LogError):
        parse_tile_path("tile/0/000.p/256")
