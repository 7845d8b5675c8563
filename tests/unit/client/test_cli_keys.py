"""``signet keys``: what a log publishes is checked before it is shown, and rotating twice rotates once."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from signet.log.keys import LocalSigner, Signer, generate_private_set
from tests.support.pch_server import PchServer, running
from tests.unit.client.test_cli_pack_close import INVOKE, KEY, _describe, _refused, _run

FIRST: Signer = LocalSigner("log.example", generate_private_set())
KEYS = FIRST.keys.with_set(FIRST.next_set(5))


@pytest.fixture
def server() -> Iterator[PchServer]:
    with running({"auditor": KEY}) as running_server:
        running_server.behaviour.answers["/pch/keys"] = (200, {}, KEYS.encode())
        _describe(running_server, {"SthCronFunction": "cron-1", "ApiUrl": running_server.origin})
        yield running_server


def test_the_list_shows_which_set_signs_which_trees(server: PchServer) -> None:
    result = _run("keys", "list", "--url", server.origin, "--log-id", KEYS.log_id)
    assert result.exit_code == 0, result.output
    assert "set 0: signs trees of 0 leaves and below 5\n" in result.stdout
    assert "set 1: signs trees of 5 leaves and more, until the next set\n" in result.stdout
    assert KEYS.sets[1].keys[2].keyid in result.stdout
    listed = json.loads(_run("keys", "list", "--json", AWS_ENDPOINT_URL=server.origin).stdout)
    assert (listed["log_id"], [item["from_tree_size"] for item in listed["sets"]]) == (KEYS.log_id, [0, 5])


def test_keys_of_another_log_or_without_endorsement_are_refused(server: PchServer) -> None:
    wrong = _run("keys", "list", "--url", server.origin, "--log-id", "0" * 64)
    assert "not 000" in _refused(wrong, 1)
    assert "64 lower-case hex digits" in _refused(
        _run("keys", "list", "--url", server.origin, "--log-id", "A" * 64)
    )
    value = json.loads(KEYS.encode())
    value["sets"][1]["endorsement"] = None
    body = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
    server.behaviour.answers["/pch/keys"] = (200, {}, body)
    assert "endorsement" in _refused(_run("keys", "list", "--url", server.origin), 1)


@pytest.mark.parametrize(("status", "said", "code"), [(404, "no keys yet", 1), (503, "try again", 2)])
def test_a_log_that_cannot_tell_its_keys(server: PchServer, status: int, said: str, code: int) -> None:
    server.behaviour.answers["/pch/keys"] = (status, {}, b"{}")
    assert said in _refused(_run("keys", "list", "--url", server.origin), code)


@pytest.mark.parametrize(
    ("outcome", "said"),
    [
        ({"rotated": [2], "key_set": 2, "rotation_pending": False}, "key set 2 signs from now on"),
        ({"rotated": [], "key_set": 1, "rotation_pending": True}, "with the next day"),
        ({"rotated": [], "key_set": 2, "rotation_pending": False}, "another run was faster: key set 2"),
    ],
)
def test_rotating_asks_for_the_next_set_by_its_number(
    server: PchServer, outcome: dict[str, object], said: str
) -> None:
    server.behaviour.answers[INVOKE] = (200, {}, json.dumps(outcome).encode())
    result = _run("keys", "rotate", AWS_ENDPOINT_URL=server.origin)
    assert result.exit_code == 0, result.output
    assert said in result.stdout
    assert server.seen[-1].body == b'{"rotate": 2}'
    assert json.loads(_run("keys", "rotate", "--json", AWS_ENDPOINT_URL=server.origin).stdout) == outcome
