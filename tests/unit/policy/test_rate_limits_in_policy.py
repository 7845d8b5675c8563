"""Limits as policies state them: what is none is refused, and so are limits that contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from signet.core.rates import RateLimit
from signet.policy.rates import differing, read_rate_limit

TEN = {"per_second": 10, "burst": 20}


@pytest.mark.parametrize(
    ("stated", "limit"),
    [
        (TEN, RateLimit(10, 1, 20, "orders ")),
        ({"per_minute": 5, "burst": 1}, RateLimit(5, 60, 1, "orders ")),
        ({**TEN, "group": "writes"}, RateLimit(10, 1, 20, "group writes")),
        (None, None),
    ],
)
def test_a_limit_is_read(stated: Any, limit: RateLimit | None) -> None:
    assert read_rate_limit({"rate_limit": stated}, "orders") == limit
    assert read_rate_limit({}, "orders") is None  # a policy from before there were limits


def test_a_route_with_a_limit_of_its_own_shares_it_with_none() -> None:
    read = read_rate_limit({"rate_limit": TEN, "rate_limit_group": "GET /x"}, "orders")
    assert read is not None
    assert read.group == "orders GET /x"


@pytest.mark.parametrize(
    "stated",
    [
        *(5, "10/s", [], {}, {"per_second": 10}, {"burst": 3}, {**TEN, "per_minute": 5}, {**TEN, "rate": 1}),
        *({**TEN, "per_second": value} for value in (0, -1, 1.5, True, "10", 1_000_001, None)),
        *({**TEN, "burst": value} for value in (0, -1, 2.5, True, "10", 1_000_001, None)),
        *({**TEN, "group": value} for value in ("", "A", "a b", 5, None, "x" * 33)),
        {"per_minute": 1, "burst": 61},  # would take longer than an hour to come back
    ],
)
def test_what_is_no_limit_is_refused(stated: Any) -> None:
    with pytest.raises(ValueError, match=r"^(is|has) "):
        read_rate_limit({"rate_limit": stated}, "orders")


def test_limits_that_share_tokens_are_equal() -> None:
    one, two = RateLimit(1, 1, 1, "group w"), RateLimit(2, 1, 1, "group w")
    assert [*differing({"GET /a": ("backend", [one]), "GET /b": ("backend", [one])})] == []
    assert [*differing({"GET /a": ("backend", [one]), "GET /b": ("other", [two])})] == []
    [(message, route)] = differing({"GET /a": ("backend", [one]), "GET /b": ("backend", [two])})
    assert ("GET /a and GET /b" in message, route) == (True, "GET /b")
    [(message, route)] = differing({"GET /a": ("backend", [one, None])})
    assert ("by level or state" in message, route) == (True, "GET /a")
