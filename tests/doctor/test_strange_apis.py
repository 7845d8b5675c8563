"""``signet call`` on an API that does not answer like Signet: one sentence, what to do next, exit 1."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signet.crypto import keyfiles, suites
from signet_client.cli import app
from tests.support.pch_server import PchServer, running

KEY = suites.get("ed25519").generate()
RUNNER = CliRunner(env=dict.fromkeys(("SIGNET_KEY", "SIGNET_KEYID", "SIGNET_URL", "SIGNET_STACK")))
JSON, HTML = {"Content-Type": "application/json"}, {"Content-Type": "text/html; charset=utf-8"}
UNLIKE = "this does not answer like an API that Signet guards: "


@pytest.fixture
def server() -> Iterator[PchServer]:
    with running({KEY.key_id: KEY}) as running_server:
        running_server.behaviour.challenge_status = 404
        yield running_server


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(keyfiles.dump_private(KEY))
    return path


def sentence(*arguments: object) -> str:
    result = RUNNER.invoke(app, ["call", *map(str, arguments)])
    assert result.exit_code == 1, result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0].removeprefix("signet: ")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            (403, JSON, b'{"message":"Forbidden"}'),
            "403 Forbidden, without a challenge: the API has no gateway responses; pass --challenge-url",
        ),
        (
            (401, JSON, b'{"message":"Unauthorized"}'),
            "401 Unauthorized, without a challenge: the API has no gateway responses; pass --challenge-url",
        ),
        (
            (
                403,
                JSON,
                b'{"Message":"User is not authorized to access this resource with an explicit deny"}',
            ),
            "403, without a challenge: the API's ACCESS_DENIED gateway response does not bring it",
        ),
        (
            (403, JSON, b'{"message":"Missing Authentication Token"}'),
            "403, since the API has no such path, or not for this method; check the URL and -X",
        ),
        (
            (401, {"WWW-Authenticate": "Bearer realm=x"}, b""),
            "401, and it asks for Bearer, not for PCH: something else guards this address; check the URL",
        ),
        (
            (403, HTML, b"<h1>No</h1>"),
            "403 with a web page and no challenge; check the URL, and what stands in front of the API",
        ),
        (
            (401, {}, b"[" * 100_000),
            "401 without a challenge, and none was found beside it; check the URL, or pass --challenge-url",
        ),
        (
            (404, JSON, b'{"message":"Not Found"}'),
            "404 before any proof was asked for; check host, stage and path",
        ),
        (
            (404, HTML, b"<h1>Not here</h1>"),
            "404 with a web page before any proof was asked for; check host, stage and path",
        ),
        (
            (200, HTML, b"<h1>Welcome</h1>"),
            "200 with a web page before any proof was asked for; check host, stage and path",
        ),
    ],
)
def test_what_is_not_signet_is_named(
    server: PchServer, key: Path, answer: tuple[int, dict[str, str], bytes], expected: str
) -> None:
    server.behaviour.answers["/orders"] = answer
    assert sentence(f"{server.origin}/orders", "--key", key).startswith(UNLIKE + expected)
    assert not any(seen.signed for seen in server.seen)


def test_a_challenge_url_that_hands_out_none_is_named(server: PchServer, key: Path) -> None:
    server.behaviour.answers["/orders"] = (403, JSON, b'{"message":"Forbidden"}')
    place = f"{server.origin}/pch/challenge"
    said = sentence(f"{server.origin}/orders", "--key", key, "--challenge-url", place)
    assert said.startswith(f"{UNLIKE}403, and {place} hands out no challenge; give the ChallengeUrl of")


def test_with_a_challenge_url_an_http_api_is_called(server: PchServer, key: Path) -> None:
    server.behaviour.challenge_status, server.behaviour.refusal = 200, "bare"
    place = f"{server.origin}/pch/challenge"
    result = RUNNER.invoke(
        app, ["call", f"{server.origin}/protected", "--key", str(key), "--challenge-url", place]
    )
    assert result.exit_code == 0, result.output


def test_what_a_page_says_cannot_steer_the_terminal(server: PchServer, key: Path) -> None:
    server.behaviour.answers["/orders"] = (401, {"WWW-Authenticate": "Be\x1b[2Jarer"}, b"")
    assert "\x1b" not in sentence(f"{server.origin}/orders", "--key", key)


def test_a_page_in_front_that_sheds_is_still_told_to_shed(server: PchServer, key: Path) -> None:
    server.behaviour.answers["/orders"] = (503, {**HTML, "Retry-After": "70"}, b"<h1>Busy</h1>")
    assert "try again after 70 s" in sentence(f"{server.origin}/orders", "--key", key)


def test_a_redirect_is_not_followed(server: PchServer, key: Path) -> None:
    server.behaviour.redirects["/orders"] = "https://www.example.com/login"
    said = sentence(f"{server.origin}/orders", "--key", key)
    assert said.startswith("redirected with 307 to https://www.example.com/login, which was not followed")


def test_where_nothing_listens(key: Path) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    said = sentence(f"http://127.0.0.1:{port}/orders", "--key", key)
    assert said.startswith(f"cannot connect to http://127.0.0.1:{port}: ")
    assert "is the stack running? (make up)" in said


def test_json_names_a_page_too(server: PchServer, key: Path) -> None:
    server.behaviour.answers["/orders"] = (200, HTML, b"<h1>Welcome</h1>")
    result = RUNNER.invoke(app, ["call", f"{server.origin}/orders", "--key", str(key), "--json"])
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["ok"], told["decision"]) == (False, None)
    assert told["message"].startswith(UNLIKE)
