"""Requests signed by other code than ours are accepted: the profile is RFC 9421, not our reading of it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from signet.crypto.keyfiles import dump_private
from tests.interop.clients import (
    Target,
    call_in_node,
    call_in_python,
    readme_client,
    run_readme_example,
    write_key,
)
from tests.interop.gateway import Gateway, serving
from tests.support.world import World

CONTENT = '{"amount": 1}'
#: Names out of order, one with several values, one without, some that sort by their escapes; odd characters.
QUERY = "?status=open&limit=5&tag=b&tag=a%20(b)+*&empty&%C3%A4=~&a%3Ab='&a5=1"


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with serving(World()) as one:
        yield one


def _target(gateway: Gateway, folder: Path, alg: str = "ed25519", query: str = "") -> Target:
    world = gateway.world
    key = write_key(world.keys[alg], folder)
    return Target(gateway.url + query, gateway.challenge_url, key, world.keyids[alg])


def _assert_accepted(gateway: Gateway, answer: tuple[int, str], alg: str, received: int) -> None:
    status, body = answer
    assert (status, gateway.reasons[-1]) == (200, "ok"), body
    assert json.loads(body) == {"caller": gateway.world.keyids[alg], "received_bytes": received}


def test_the_readme_s_client_is_accepted(gateway: Gateway, tmp_path: Path):
    answer = call_in_python(_target(gateway, tmp_path, query=QUERY), tmp_path)
    _assert_accepted(gateway, answer, "ed25519", 0)


def test_the_readme_s_client_is_accepted_with_content(gateway: Gateway, tmp_path: Path):
    answer = call_in_python(_target(gateway, tmp_path, query=QUERY), tmp_path, CONTENT)
    _assert_accepted(gateway, answer, "ed25519", len(CONTENT))


def test_the_readme_s_client_signs_the_digest_of_nothing(gateway: Gateway, tmp_path: Path):
    answer = call_in_python(_target(gateway, tmp_path), tmp_path, "")
    _assert_accepted(gateway, answer, "ed25519", 0)


def test_the_readme_s_client_is_accepted_with_escapes_in_its_path(gateway: Gateway, tmp_path: Path):
    target = _target(gateway, tmp_path)
    target = Target(target.url + "/caf%C3%A9%20bar", target.challenge_url, target.key, target.keyid)
    _assert_accepted(gateway, call_in_python(target, tmp_path), "ed25519", 0)


def test_the_readme_s_first_example_is_accepted(gateway: Gateway, tmp_path: Path):
    """With a query of several names, as it stands there."""
    key = gateway.world.keys["ed25519"]
    (tmp_path / "me.pem").write_bytes(dump_private(key))
    gateway.world.register(key.key_id, "ed25519")
    answer = run_readme_example(gateway.url.removesuffix("/protected"), tmp_path)
    assert (gateway.reasons[-1], answer["caller"]) == ("ok", key.key_id)


def test_the_readme_s_client_is_refused_under_another_s_name(gateway: Gateway, tmp_path: Path):
    target = _target(gateway, tmp_path)
    gateway.world.register("other", "ecdsa-p256-sha256")
    other = Target(target.url, target.challenge_url, target.key, "other")
    assert call_in_python(other, tmp_path)[0] == 401
    assert gateway.reasons[-1] == "alg_mismatch"


def test_the_readme_s_client_keeps_what_its_title_says():
    program = readme_client()
    assert len(program.splitlines()) <= 30
    assert "signet" not in program.lower()
    ast.parse(program)


@pytest.mark.parametrize("content", [(), ("",), (CONTENT,)], ids=["GET", "POST of nothing", "POST"])
@pytest.mark.parametrize("alg", ["ed25519", "ecdsa-p256-sha256"])
def test_a_client_in_javascript_is_accepted(
    gateway: Gateway, tmp_path: Path, alg: str, content: tuple[str, ...]
):
    answer = call_in_node(_target(gateway, tmp_path, alg, QUERY), alg, *content)
    _assert_accepted(gateway, answer, alg, sum(map(len, content)))
