"""What ``signet audit`` reads of an object in a folder or behind a URL, and how much of it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from signet.core.errors import UnavailableError
from signet.log.emitters import EmitterAccount, summarize
from signet_client import logsources
from signet_client.logsources import open_source

ACCOUNTS, ENTRIES = f"emitters/{'0' * 64}", "tile/entries/000"
MOST = logsources._MAX_ACCOUNTS_BYTES


@pytest.fixture(autouse=True)
def bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logsources, "_MAX_OBJECT_BYTES", 10)
    monkeypatch.setattr(logsources, "_MAX_ACCOUNTS_BYTES", 1000)


def test_accounts_may_be_larger_than_all_else_in_a_folder(tmp_path: Path) -> None:
    """Callers in bursts make emitters: their accounts must not fail the audit of a copy."""
    for key in (ACCOUNTS, ENTRIES):
        (tmp_path / key).parent.mkdir(parents=True)
        (tmp_path / key).write_bytes(bytes(1000))
    with open_source(str(tmp_path)) as source:
        assert source.get(ACCOUNTS) == bytes(1000)
        assert source.get(ENTRIES) == bytes(11)  # one more than there can be: nothing compares with it


def test_accounts_may_be_larger_than_all_else_behind_a_url(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 1000
    transport = httpx.MockTransport(lambda _request: httpx.Response(200, content=bytes(size)))
    monkeypatch.setattr(httpx, "HTTPTransport", lambda **_options: transport)
    with open_source("https://log.example/") as source:
        assert source.get(ACCOUNTS) == bytes(1000)
        with pytest.raises(UnavailableError, match="larger than anything in a log"):
            source.get(ENTRIES)
        size = 1001
        with pytest.raises(UnavailableError, match="larger than anything in a log"):
            source.get(ACCOUNTS)


def test_a_day_of_nothing_but_emitters_is_within_the_bound() -> None:
    each = 123_456_789  # what a single environment does not reach in a day
    _totals, encoded = summarize({f"{number:032x}": EmitterAccount(1, each, each) for number in range(1000)})
    assert len(encoded) * 3_600 <= MOST


@pytest.mark.parametrize(
    ("location", "followed"),
    [
        ("http://log.example/elsewhere", True),
        ("https://log.example/elsewhere", True),
        ("https://cdn.example/elsewhere", False),
        ("http://127.0.0.1:9/", False),
        ("http://log.example:8080/elsewhere", False),
    ],
)
def test_a_log_does_not_redirect_to_other_hosts(
    monkeypatch: pytest.MonkeyPatch, location: str, followed: bool
) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        if request.url.path == "/checkpoint":
            return httpx.Response(302, headers={"Location": location})
        return httpx.Response(200, content=b"x")

    monkeypatch.setattr(httpx, "HTTPTransport", lambda **_options: httpx.MockTransport(answer))
    with open_source("http://log.example/") as source:
        if followed:
            assert source.get("checkpoint") == b"x"
        else:
            with pytest.raises(UnavailableError, match="redirects to http"):
                source.get("checkpoint")
    assert asked == ["http://log.example/checkpoint", *([location] if followed else [])]
