"""Downloads that are cut, taken up again, tampered with; and waiting for a pack that is being built."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from signet.core.errors import PackError, SignetError, UnavailableError
from signet_client.building import Waiting
from signet_client.download import download
from signet_client.places import Places

BODY = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(BODY).hexdigest()


class Server:
    """Serves ``body`` with ranges; cuts the next answers after so many bytes of ``cuts``."""

    def __init__(self) -> None:
        self.body = BODY
        self.cuts: list[int] = []
        self.ranges = True
        self.etag = '"one"'
        self.seen: list[dict[str, str]] = []
        self.jobs: list[tuple[int, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_arguments: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                outer.answer(self)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.seen.append({name.lower(): value for name, value in request.headers.items()})
        if request.path == "/job":
            status, body = self.jobs.pop(0)
            request.send_response(status)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
            return
        start = 0
        asked = re.fullmatch("bytes=([0-9]+)-", request.headers.get("Range", ""))
        if asked and request.headers.get("If-Match", self.etag) != self.etag:
            request.send_response(412)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        if asked and self.ranges:
            start = int(asked[1])
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        else:
            request.send_response(200)
        rest = self.body[start:]
        request.send_header("Content-Length", str(len(rest)))
        request.send_header("ETag", self.etag)
        request.end_headers()
        request.wfile.write(rest[: self.cuts.pop(0)] if self.cuts else rest)


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.stop()


def fetch(server: Server, path: Path) -> None:
    assert download(server.url, path, sha256=SHA256, size=len(BODY)) == len(BODY)
    assert path.read_bytes() == BODY
    assert list(path.parent.iterdir()) == [path]


def test_a_cut_connection_is_taken_up_where_it_ended(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000, 50_000]
    fetch(server, tmp_path / "pack.zip")
    assert [seen.get("range") for seen in server.seen] == [None, "bytes=100000-", "bytes=150000-"]
    assert [seen.get("if-match") for seen in server.seen] == [None, '"one"', '"one"']


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    server.cuts, server.ranges = [100_000], False
    fetch(server, tmp_path / "pack.zip")
    assert len(server.seen) == 2


def test_what_a_run_left_unfinished_the_next_completes(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000, 0, 0, 0]
    with pytest.raises(httpx.TransportError):
        fetch(server, tmp_path / "pack.zip")
    [part] = tmp_path.iterdir()
    assert part.name == f".pack.zip.{SHA256[:16]}.part"
    assert part.read_bytes() == BODY[:100_000]
    fetch(server, tmp_path / "pack.zip")
    assert server.seen[-1]["range"] == "bytes=100000-"


def test_a_server_that_only_hangs_up_is_not_asked_for_ever(server: Server, tmp_path: Path) -> None:
    server.cuts = [0] * 10
    with pytest.raises(httpx.TransportError):
        fetch(server, tmp_path / "pack.zip")
    assert len(server.seen) == 3
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_somebody_changed_is_found_by_the_hash(server: Server, tmp_path: Path) -> None:
    part = tmp_path / f".pack.zip.{SHA256[:16]}.part"
    part.write_bytes(b"\xff" * 1000)
    with pytest.raises(PackError, match="SHA-256"):
        fetch(server, tmp_path / "pack.zip")
    assert list(tmp_path.iterdir()) == []
    fetch(server, tmp_path / "pack.zip")


def test_another_object_under_the_same_address_is_not_appended(server: Server, tmp_path: Path) -> None:
    server.cuts = [100_000]
    answer = server.answer

    def changing(request: BaseHTTPRequestHandler) -> None:
        answer(request)
        server.etag, server.body = '"two"', BODY[::-1]

    server.answer = changing  # type: ignore[method-assign]
    with pytest.raises(UnavailableError, match="412"):
        fetch(server, tmp_path / "pack.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_the_place_of_the_part_is_not_written_through(server: Server, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    (tmp_path / f".pack.zip.{SHA256[:16]}.part").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic links"):
        fetch(server, tmp_path / "pack.zip")
    assert precious.read_bytes() == b"mine"


# --- A pack that is being built -----------------------------------------------------------------


def job(state: str, **more: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"state": state, "done": 1, "receipts": 2, **more}).encode()


def accepted(server: Server, after: str = "7") -> httpx.Response:
    return httpx.Response(202, headers={"location": f"{server.url}/job", "retry-after": after})


@pytest.mark.parametrize("last", [job("built"), (403, b""), (404, b"")])
def test_it_is_waited_for_as_the_server_says(server: Server, last: tuple[int, bytes]) -> None:
    server.jobs = [job("building"), job("building"), last]
    slept: list[float] = []
    Waiting(Places(server.url), sleep=slept.append, clock=lambda: 0).wait(accepted(server))
    assert slept == [7, 7, 7]
    assert server.jobs == []


@pytest.mark.parametrize(("after", "pause"), [("", 5), ("soon", 5), ("-3", 5), ("9000", 60)])
def test_no_pause_is_unreasonable(server: Server, after: str, pause: float) -> None:
    server.jobs = [job("built")]
    slept: list[float] = []
    Waiting(Places(server.url), sleep=slept.append, clock=lambda: 0).wait(accepted(server, after))
    assert slept == [pause]


def test_a_pack_that_cannot_be_built_says_why(server: Server) -> None:
    server.jobs = [job("failed", error="pack_too_large", message="the pack would be 4 GiB or more")]
    with pytest.raises(SignetError, match="4 GiB") as refused:
        Waiting(Places(server.url), sleep=lambda _s: None).wait(accepted(server))
    assert refused.value.code == "pack_too_large"


def test_nobody_waits_for_ever(server: Server) -> None:
    server.jobs = [job("building")] * 2
    times = iter([0.0, 1.0, 3000.0])
    with pytest.raises(UnavailableError, match="still not built"):
        Waiting(Places(server.url), sleep=lambda _s: None, clock=lambda: next(times)).wait(accepted(server))


@pytest.mark.parametrize("answer", [(200, b"x"), (200, b"[]")])
def test_a_status_that_is_none_is_refused(server: Server, answer: tuple[int, bytes]) -> None:
    server.jobs = [answer]
    with pytest.raises(UnavailableError, match="how far"):
        Waiting(Places(server.url), sleep=lambda _s: None).wait(accepted(server))


def test_an_answer_without_address_is_refused() -> None:
    with pytest.raises(UnavailableError, match="where to wait"):
        Waiting(Places("http://localhost/")).wait(httpx.Response(202))
