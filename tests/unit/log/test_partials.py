"""Partial tiles go when the full one stands, and not before: readers of older checkpoints find their tree."""

from __future__ import annotations

from datetime import timedelta

import pytest

from signet.audit.log import audit_log
from signet.audit.source import LogSource
from signet.log.partials import GRACE_MS, LOOK_BACK_DAYS, remove_partials
from signet.log.sth import verify_sth
from signet.log.tiles import TILE_WIDTH, TileReader, parse_tile_path
from tests.unit.log.test_sequencer import D1, DAY, HOUR, SIGNER, T0, LogOnFakes


def partials(world: LogOnFakes) -> list[str]:
    return [path for path in world.objects.list("tile/") if parse_tile_path(path)[2] < TILE_WIDTH]


def grown(days: int, *, heads: int = 6, receipts: int = 60) -> LogOnFakes:
    """Return a log with so many heads a day; each day is closed with the next one's first head."""
    world = LogOnFakes()
    for day in range(days):
        for n in range(heads):
            now = T0 + day * DAY + n * HOUR
            world.append(receipts, now)
            sequencer = world.sequencer()
            sequencer.remove_partials(sequencer.integrate(now), now)
    return world


def test_only_partials_of_full_tiles_go_and_every_older_tree_is_still_read():
    world = LogOnFakes()
    roots: list[tuple[int, bytes]] = []
    for n in range(30):  # 1,800 leaves: seven full tiles, the day closed with the last head
        world.append(60, T0 + n * 60_000)
        head = world.run(T0 + n * 60_000).head
        roots.append((head.tree_size, head.root_hash))
    before = set(world.objects.objects)
    closing = world.run(T0 + DAY)
    assert closing.closed == (D1,)
    sequencer, later = world.sequencer(), T0 + DAY + GRACE_MS
    assert sequencer.remove_partials(closing, T0 + DAY + GRACE_MS - 1) == 0  # within the grace
    removed = sequencer.remove_partials(closing, later)
    gone = before - set(world.objects.objects)
    assert len(gone) == removed > 20
    full = 1_800 // TILE_WIDTH
    assert all(parse_tile_path(path)[1] < full and parse_tile_path(path)[2] < TILE_WIDTH for path in gone)
    assert [p for p in partials(world) if parse_tile_path(p)[0] in {None, 0}]  # those of the open tile stay
    assert all(parse_tile_path(p)[1] == full for p in partials(world) if parse_tile_path(p)[0] in {None, 0})
    for size, root in roots:
        reader = TileReader(world.objects.get, size, root=root)
        assert len(list(reader.entries(0, size))) == size
    assert sequencer.remove_partials(closing, later) == 0


def test_a_partial_stays_where_the_full_tile_is_not_seen():
    world = grown(2, heads=10)
    world.objects.delete("tile/entries/000")
    first = [path for path in partials(world) if path.startswith("tile/entries/000.p/")]
    assert first
    closing = world.run(T0 + 2 * DAY)
    world.sequencer().remove_partials(closing, T0 + 3 * DAY)
    assert [path for path in partials(world) if path.startswith("tile/entries/000.p/")] == first


def test_a_run_that_closed_nothing_lists_nothing(monkeypatch: pytest.MonkeyPatch):
    world = grown(1)
    outcome = world.run(T0 + 7 * HOUR)
    monkeypatch.setattr(world.objects, "list", None)
    assert world.sequencer().remove_partials(outcome, T0 + 9 * DAY) == 0


def test_a_removal_that_was_cut_short_is_completed_within_days():
    world = grown(2, heads=10)
    before = partials(world)
    for missed in range(1, LOOK_BACK_DAYS):  # runs that closed, and died before they removed
        world.run(T0 + (1 + missed) * DAY + HOUR)
    newest = D1 + timedelta(days=LOOK_BACK_DAYS - 1)
    keys = SIGNER.keys
    heads = {str(head.date): head for head in world.heads().values()}
    removed = remove_partials(world.objects, heads.get, newest=newest, now_ms=T0 + 30 * DAY)
    assert removed > 0
    assert len(partials(world)) < len(before)
    assert verify_sth(world.objects.objects["sth/latest.json"], keys).tree_size == 1_200


def audited(world: LogOnFakes) -> tuple[int, int, int]:
    """Return gets of an audit of the last two days; partial tiles of level 0 and bundles; those above."""
    gets = 0

    def get(key: str) -> bytes | None:
        nonlocal gets
        gets += 1
        return world.objects.get(key)

    report = audit_log(LogSource(get=get, keys=world.objects.list), log_id=SIGNER.keys.log_id, days=2)
    assert report.good, report.failures
    above = sum(1 for path in partials(world) if parse_tile_path(path)[0] not in {None, 0})
    return gets, len(partials(world)) - above, above


def test_an_audit_of_two_days_takes_as_many_gets_late_as_early():
    """What grows is bounded: a tile of level 1 fills up in 256 steps, each audited by two gets."""
    (early, low, above), (late, late_low, late_above) = audited(grown(5)), audited(grown(15))
    assert late_low <= low * 4 / 3  # where in a tile the days begin
    assert late - 2 * late_above <= (early - 2 * above) * 4 / 3
    assert late_above <= 255


@pytest.mark.parametrize("after", range(1, 60, 9))
def test_an_audit_reads_on_while_partial_tiles_are_removed(after: int):
    world = LogOnFakes()
    for n in range(12):
        world.append(60, T0 + n * 60_000)
        world.run(T0 + n * 60_000)
    closing, reads = world.run(T0 + DAY), 0

    def get(key: str) -> bytes | None:
        nonlocal reads
        reads += 1
        if reads == after:
            assert world.sequencer().remove_partials(closing, T0 + 2 * DAY) > 0
        return world.objects.get(key)

    report = audit_log(LogSource(get=get, keys=world.objects.list), log_id=SIGNER.keys.log_id)
    assert report.good, report.failures
    assert reads >= after
