"""The pack's own checker reads the usual receipt by one pattern, which takes nothing the slow way refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signet.receipts.canonical import canonicalize
from signet.receipts.chain import empty_head, extend
from signet.receipts.reading import read_receipt
from tests.fakes.records import DAY_MS, record
from tests.support.forgery import checker, library, run_checker
from tests.support.packs import log_with_days

LINE = extend(empty_head(0), [read_receipt(record(1).encode(), chained=False)], DAY_MS)[1][0][1]
BAD = checker().Bad


def slowly(line: bytes) -> Any:
    return checker().parse_decision("here", checker().parse("here", line))


def test_the_usual_receipt_is_read_by_the_pattern() -> None:
    found = checker().read_decision("here", LINE)
    assert found is not None
    assert found == slowly(LINE)
    assert found.reason == "ok"


@pytest.mark.parametrize("path", ["/ü", '/"', "/\\", "/\x7f", "/\u2028"])
def test_an_unusual_one_is_left_to_the_slow_way(path: str) -> None:
    line = canonicalize({**json.loads(LINE), "request": {**json.loads(LINE)["request"], "path": path}})
    assert checker().read_decision("here", line) is None
    assert slowly(line).id == json.loads(LINE)["id"]


@settings(max_examples=400)
@given(st.data())
def test_whatever_the_pattern_takes_the_slow_way_takes_alike(data: st.DataObject) -> None:
    """Bytes changed, dropped, repeated: mostly refused by both, and never taken by the pattern alone."""
    start = data.draw(st.integers(0, len(LINE) - 1))
    end = data.draw(st.integers(start, min(start + 12, len(LINE))))
    piece = data.draw(
        st.one_of(
            st.binary(max_size=3),
            st.sampled_from(
                [b"null", b"0", b"00", b"-0", b"1e3", b"9" * 16, b"true", b"\\u00fc", b'"', b"\n"]
            ),
        )
    )
    line = LINE[:start] + piece + LINE[end:]
    try:
        quickly = checker().read_decision("here", line)
    except BAD:
        with pytest.raises(BAD):
            slowly(line)
        return
    if quickly is not None:
        assert quickly == slowly(line)


@pytest.mark.parametrize("value", ["2026-02-30T00:00:00.000Z", "1969-12-31T00:00:00.000Z"])
def test_the_pattern_knows_the_calendar(value: str) -> None:
    line = LINE.replace(json.loads(LINE)["decided_at"].encode(), value.encode())
    with pytest.raises(BAD, match="calendar"):
        checker().read_decision("here", line)
    with pytest.raises(BAD):
        slowly(line)


def test_the_largest_day_with_inclusion_proofs_is_agreed_on() -> None:
    log, count = log_with_days(1, 10_000), 10_000
    data = log.pack()
    code, printed = run_checker(data, log.log_id)
    assert code == 0, printed
    assert f"GOOD: {count} receipts" in printed
    assert library(data, log.log_id).good
