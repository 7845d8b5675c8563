"""The callers of the orders example are let in, from four languages, and say why if they are not."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from signet.policy.engine import PolicyEngine
from tests.interop.clients import write_key
from tests.interop.example_callers import LANGUAGES, SOURCES, Called, call
from tests.interop.gateway import Gateway, serving
from tests.support.world import ROOT, World, policy_files

#: Java takes longest to start; tests/integration/test_orders.py calls from it, too.
pytestmark = pytest.mark.parametrize(
    "language",
    [pytest.param(name, marks=pytest.mark.sweep if name == "java" else ()) for name in LANGUAGES],
)

CONTENT = '{"item": "tea \N{LATIN SMALL LETTER E WITH ACUTE}", "quantity": 1}'
#: Names out of order, one with several values, one without, some that sort by their escapes; odd characters.
QUERY = "?status=open&limit=5&tag=b&tag=a%20(b)+*&empty&%C3%A4=~&a%3Ab='&a5=1&eq=a=b"
#: Method, what follows the address, content, and whether the challenge is fetched ahead.
REQUESTS = {
    "GET": ("GET", "", (), False),
    "GET with a query, and escapes in its path": ("GET", f"/caf%C3%A9%20bar{QUERY}", (), True),
    "POST with a query": ("POST", QUERY, (CONTENT,), False),
    "POST of an empty body": ("POST", "", ("",), True),
    "POST without a body": ("POST", "", (), False),
}


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with serving(World()) as one:
        yield one


@pytest.fixture
def identity(gateway: Gateway, tmp_path: Path) -> tuple[str | Path, ...]:
    return identity_in(gateway.world, tmp_path)


def identity_in(world: World, folder: Path) -> tuple[str | Path, ...]:
    return "--key", write_key(world.keys["ed25519"], folder), "--keyid", world.keyids["ed25519"]


def assert_accepted(called: Called, received: int = 0) -> None:
    assert (called.code, called.err, called.status) == (0, "", 200), (called.out, called.err)
    assert json.loads(called.body) == {"caller": "caller-1", "received_bytes": received}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=list(REQUESTS))
def test_it_is_let_in(
    gateway: Gateway,
    identity: tuple[str | Path, ...],
    language: str,
    request_: tuple[str, str, tuple[str, ...], bool],
):
    method, rest, content, ahead = request_
    seen = len(gateway.reasons)
    fetch = ("--challenge-url", gateway.challenge_url) if ahead else ()
    called = call(language, method, gateway.url + rest, *content, *identity, *fetch)
    assert_accepted(called, len("".join(content).encode()))
    assert gateway.reasons[seen:] == (["ok"] if ahead else ["challenge_required", "ok"])


def test_a_key_of_another_is_refused_and_the_reason_told(gateway: Gateway, tmp_path: Path, language: str):
    identity = identity_in(World(), tmp_path)
    seen = len(gateway.reasons)
    called = call(language, "GET", gateway.url, *identity)
    assert (called.code, called.status) == (1, 401)
    assert called.err == "refused: bad_signature\n"
    assert gateway.reasons[seen:] == ["challenge_required", "bad_signature"]  # no third try


def test_a_nonce_that_is_no_good_is_followed_by_one_more_try(
    gateway: Gateway, identity: tuple[str | Path, ...], language: str
):
    seen = len(gateway.reasons)
    with serving(World()) as other:  # of another authority
        called = call(language, "GET", gateway.url, *identity, "--challenge-url", other.challenge_url)
    assert_accepted(called)
    assert gateway.reasons[seen:] == ["nonce_invalid", "ok"]


def test_a_digest_that_is_demanded_is_signed_without_content_too(tmp_path: Path, language: str):
    """As the challenge says, in the field that a REST API renames."""
    world = World()
    files = policy_files()
    document = json.loads(files["config.json"])
    document["config"]["routes"]["GET /protected"]["required_components"] = ["content-digest"]
    world.policy = PolicyEngine({**files, "config.json": json.dumps(document).encode()})
    with serving(world) as strict:
        strict.challenge_field = "x-amzn-Remapped-WWW-Authenticate"
        identity = identity_in(world, tmp_path)
        assert_accepted(call(language, "GET", strict.url, *identity, "--challenge-url", strict.challenge_url))
        assert strict.reasons == ["ok"]


class Unguarded(BaseHTTPRequestHandler):
    """Asks for no proof; ``/bare`` refuses without a challenge, as HTTP APIs and emulators do."""

    def do_GET(self) -> None:
        content = "red: \x1b[31m \N{RIGHT-TO-LEFT OVERRIDE}\x9b tea\tand\nsalt".encode()
        self.send_response(403 if self.path == "/bare" else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def unguarded() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Unguarded) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://localhost:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_what_a_server_says_steers_no_terminal(
    unguarded: str, identity: tuple[str | Path, ...], language: str
):
    called = call(language, "GET", unguarded, *identity)
    assert (called.code, called.out) == (0, "200 red: ?[31m ?? tea\tand\nsalt\n")


def test_a_refusal_without_a_challenge_says_what_to_give(
    unguarded: str, identity: tuple[str | Path, ...], language: str
):
    called = call(language, "GET", f"{unguarded}/bare", *identity)
    assert called.code == 1
    assert "--challenge-url" in called.err


def test_it_is_documented_as_it_is(language: str):
    name = {"python": "call.py", "node": "call.mjs", "go": "call.go", "java": "Call.java"}[language]
    page = (ROOT / "docs" / "callers.md").read_text()
    assert f"](../examples/orders/callers/{name})" in page
    if language in {"go", "java"}:
        [shown] = re.findall(rf"^```{language}\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
        assert shown == (SOURCES / name).read_text()
