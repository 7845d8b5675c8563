"""Every guard reports the same outcomes, on the side: no request waits for a report or fails of one."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from signet.backend.asgi import SignetGuard as AsgiGuard
from signet.backend.outcomes import BATCH, OutcomeSender, Watch
from signet.backend.wsgi import SignetGuard as WsgiGuard
from signet.core.errors import UsageError
from tests.guards import make_cases
from tests.guards.test_guards import NODE, TABLE, asgi_call

NOW = make_cases.NOW


class Server:
    """Takes batches as ``POST /pch/outcomes`` does; answers with ``status``."""

    def __init__(self) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self.status = 200
        taken = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                taken.batches.append(json.loads(body)["outcomes"])
                self.send_response(taken.status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/pch/outcomes"

    @property
    def errors(self) -> dict[str, bool]:
        outcomes = [outcome for batch in self.batches for outcome in batch]
        assert all(set(outcome) == {"ticket", "latency_ms", "error"} for outcome in outcomes)
        assert all(0 <= outcome["latency_ms"] < 60_000 for outcome in outcomes)
        found = {outcome["ticket"]: outcome["error"] for outcome in outcomes}
        assert len(found) == len(outcomes), "an outcome was reported twice"
        return found


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def case(act: str, ticket: str | None) -> dict[str, Any]:
    facts = make_cases.facts(
        ticket=ticket,
        method="GET",
        path="/orders/1",
        query_sha256=None,
        content_digest=None,
        receipt_id=f"0199-{act}",
    )
    assertion = make_cases.make_assertion(make_cases.KEY, facts, NOW)
    return {"name": f"{act} {ticket}", "act": act, "ticket": ticket, "assertion": assertion}


#: What the application does, the ticket, and whether that is an error; None: nothing is reported.
ROWS: list[tuple[str, str | None, bool | None]] = [
    ("200", "v1.a", False),
    ("302", "v1.b", False),
    ("404", "v1.f", None),
    ("429", "v1.g", True),
    ("500", "v1.c", True),
    ("503", "v1.d", True),
    ("raise", "v1.e", True),
    ("201", None, None),
]
CASES = [case(act, ticket) for act, ticket, _ in ROWS]
EXPECTED = {ticket: error for _, ticket, error in ROWS if error is not None}


def settings(url: str) -> dict[str, Any]:
    return {"assertion_keys": TABLE["keys"], "api": "orders", "clock": lambda: NOW, "outcomes_url": url}


def asgi(url: str) -> OutcomeSender:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        act = scope["signet"]["receipt_id"].removeprefix("0199-")
        if act == "raise":
            raise KeyError("a bug")
        await send({"type": "http.response.start", "status": int(act), "headers": []})
        await send({"type": "http.response.body", "body": b""})

    guard = AsgiGuard(app, **settings(url))
    for one in CASES:
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/orders/1",
            "raw_path": b"/orders/1",
            "headers": [(b"signet-assertion", one["assertion"].encode())],
        }
        message = {"type": "http.request", "body": b""}
        if one["act"] == "raise":
            with pytest.raises(KeyError, match="a bug"):
                asgi_call(guard, scope, [message])
        else:
            assert asgi_call(guard, scope, [message])[0]["status"] == int(one["act"])
    assert guard._guard.outcomes is not None
    return guard._guard.outcomes


def wsgi(url: str) -> OutcomeSender:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        act = environ["signet"]["receipt_id"].removeprefix("0199-")
        if act == "raise":
            raise KeyError("a bug")
        start_response(f"{act} Word", [])
        return [b""]

    guard = WsgiGuard(app, **settings(url))
    for one in CASES:
        statuses: list[str] = []
        given = {
            "REQUEST_METHOD": "GET",
            "PATH_INFO": "/orders/1",
            "wsgi.input": io.BytesIO(),
            "HTTP_SIGNET_ASSERTION": one["assertion"],
        }

        def start(status: str, _headers: Any, into: list[str] = statuses) -> None:
            into.append(status)

        if one["act"] == "raise":
            with pytest.raises(KeyError, match="a bug"):
                guard(given, start)
        else:
            guard(given, start)
            assert statuses == [f"{one['act']} Word"]
    assert guard._guard.outcomes is not None
    return guard._guard.outcomes


@pytest.mark.parametrize("guard", [asgi, wsgi])
@pytest.mark.parametrize(("status", "taken"), [(200, True), (307, False), (400, False), (503, False)])
def test_a_guard_reports_what_became_of_each_request(
    server: Server, guard: Callable[[str], OutcomeSender], status: int, taken: bool
) -> None:
    server.status = status
    sender = guard(server.url)
    sender.close()
    assert server.errors == EXPECTED
    assert (sender.sent, sender.dropped) == ((len(EXPECTED), 0) if taken else (0, len(EXPECTED)))


@pytest.mark.parametrize("guard", [asgi, wsgi])
def test_a_server_that_is_away_costs_no_request(guard: Callable[[str], OutcomeSender]) -> None:
    sender = guard("http://127.0.0.1:1/pch/outcomes")  # nothing listens there
    sender.close()
    assert (sender.sent, sender.dropped) == (0, len(EXPECTED))


def node(cases: list[dict[str, Any]], folder: Path, url: str, kind: str) -> dict[str, Any]:
    if NODE is None:
        pytest.skip("node is not installed: the guards for Node.js were NOT tested")
    file = folder / "cases.json"
    file.write_text(json.dumps({"now": NOW, "keys": TABLE["keys"], "cases": cases}))
    program = Path(__file__).with_name("node_outcomes.mjs")
    done = subprocess.run([NODE, program, file, url, kind], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_node_functions_report_the_same(server: Server, tmp_path: Path) -> None:
    found = node(CASES, tmp_path, server.url, "lambda")
    assert found == {one["name"]: None if one["act"] == "raise" else int(one["act"]) for one in CASES}
    assert server.errors == EXPECTED


@pytest.mark.parametrize(("status", "taken"), [(200, True), (307, False), (503, False)])
def test_node_servers_report_the_same(server: Server, tmp_path: Path, status: int, taken: bool) -> None:
    server.status = status
    cases = [one for one in CASES if one["act"] != "raise"]  # Express makes a 500 of it
    found = node(cases, tmp_path, server.url, "plain")
    reports = len(EXPECTED) - 1
    assert found.pop("counts") == ([reports, 0] if taken else [0, reports])
    assert found == {one["name"]: int(one["act"]) for one in cases}
    assert server.errors == {ticket: error for ticket, error in EXPECTED.items() if ticket != "v1.e"}


def test_node_servers_answer_while_the_server_of_outcomes_is_away(tmp_path: Path) -> None:
    found = node(CASES[:1], tmp_path, "http://127.0.0.1:1/pch/outcomes", "plain")
    assert found == {CASES[0]["name"]: 200, "counts": [0, 1]}


def test_a_caller_who_goes_away_is_no_failure_of_the_backend(server: Server) -> None:
    async def app(_scope: Any, receive: Any, _send: Any) -> None:
        await receive()
        if (await receive())["type"] == "http.disconnect":
            raise ConnectionError("as frameworks do")

    guard = AsgiGuard(app, **settings(server.url))
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/orders/1",
        "raw_path": b"/orders/1",
        "headers": [(b"signet-assertion", CASES[0]["assertion"].encode())],
    }
    with pytest.raises(ConnectionError):
        asgi_call(guard, scope, [{"type": "http.request", "body": b""}])
    assert guard._guard.outcomes is not None
    guard._guard.outcomes.close()
    assert not server.batches


def test_how_fast_a_caller_reads_is_no_word_about_the_backend() -> None:
    """The outcome is known when the answer begins; a slow reader could open the breaker otherwise."""
    waiting: list[int] = []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def run() -> None:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(_message: Any) -> None:
            assert guard._guard.outcomes is not None
            waiting.append(len(guard._guard.outcomes._queue))

        scope = {"type": "http", "method": "GET", "path": "/orders/1", "raw_path": b"/orders/1"}
        scope["headers"] = [(b"signet-assertion", CASES[0]["assertion"].encode())]
        await guard(scope, receive, send)

    guard = AsgiGuard(app, **settings("http://127.0.0.1:1/pch/outcomes"))
    asyncio.run(run())
    assert waiting == [1]  # before the first byte went out
    assert guard._guard.outcomes is not None
    guard._guard.outcomes.close()


def test_the_oldest_make_room_and_are_counted_while_a_batch_hangs() -> None:
    entered, release, bodies = threading.Event(), threading.Event(), []

    def post(body: bytes) -> None:
        entered.set()
        assert release.wait(30)
        bodies.append([outcome["ticket"] for outcome in json.loads(body)["outcomes"]])

    sender = OutcomeSender("https://signet.example/pch/outcomes", post=post, queued=3, interval_s=0.001)
    sender.report("first", latency_ms=1, error=False)
    assert entered.wait(30)
    for number in range(5):  # returns although the one before still hangs
        sender.report(f"{number}", latency_ms=1, error=False)
    assert sender.dropped == 2
    release.set()
    sender.close()
    assert bodies == [["first"], ["2", "3", "4"]]
    assert (sender.sent, sender.dropped) == (4, 2)


def test_batches_have_the_size_that_the_server_takes() -> None:
    sizes: list[int] = []
    sender = OutcomeSender(
        "https://signet.example/x",
        post=lambda body: sizes.append(len(json.loads(body)["outcomes"])),
        interval_s=60,  # they are sent by the end
    )
    for number in range(2 * BATCH + 1):
        sender.report(f"{number}", latency_ms=1, error=False)
    sender.close()
    assert sizes == [BATCH, BATCH, 1]


def test_an_outcome_is_reported_once_and_without_a_ticket_not_at_all() -> None:
    sent: list[bytes] = []
    sender = OutcomeSender("https://signet.example/x", post=sent.append)
    watch = Watch(sender, "v1.x")
    watch.answered(200)
    watch.failed()
    for nothing in (None, "", 7):
        Watch(sender, nothing).answered(500)
    sender.close()
    assert [len(json.loads(body)["outcomes"]) for body in sent] == [1]
    assert json.loads(sent[0])["outcomes"][0]["error"] is False


@pytest.mark.parametrize(
    "url", ["http://signet.example/x", "ftp://localhost/x", "https://", "/pch/outcomes", "", "https://[::1"]
)
def test_tickets_leave_the_machine_encrypted_only(url: str) -> None:
    with pytest.raises(UsageError, match="OutcomesUrl"):
        WsgiGuard(lambda _environ, _start: [], **settings(url))


def test_what_waits_is_sent_when_the_process_ends(server: Server) -> None:
    program = f"""
from signet.backend.outcomes import OutcomeSender
OutcomeSender({server.url!r}).report("v1.last", latency_ms=1, error=False)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
    assert server.errors == {"v1.last": False}
