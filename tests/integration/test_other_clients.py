"""Callers that share no code with Signet, against the deployed stack.

Runs after the tests that share one day and count its decisions.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local.stack import Stack
from tests.interop.clients import Target, call_in_node, call_in_python

pytestmark = pytest.mark.integration

SIGNET = str(Path(sys.executable).with_name("signet"))
CONTENT = '{"amount": 1}'


@pytest.fixture(scope="module")
def registered(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Target]:
    """Make and register a key of a suite, as an operator does, and say how to call with it."""
    folder = tmp_path_factory.mktemp("independent")

    def run(*command: str) -> None:
        env = {**os.environ, **stack.env}
        subprocess.run(command, env=env, check=True, capture_output=True, timeout=120)

    def register(alg: str) -> Target:
        key, keyid = folder / f"{alg}.pem", f"independent-{alg}"
        if not key.exists():
            run(SIGNET, "keygen", "--alg", alg, "-o", str(key))
            run(SIGNET, "clients", "add", "--key", f"{key}.pub", "--keyid", keyid, "--role", "caller")
        return Target(stack.outputs["ProtectedUrl"], stack.outputs["ChallengeUrl"], key, keyid)

    return register


@pytest.mark.parametrize("content", [(), (CONTENT,)], ids=["no content", "content"])
def test_the_readme_s_client_is_let_through(
    registered: Callable[[str], Target], tmp_path: Path, content: tuple[str, ...]
):
    status, body = call_in_python(registered("ed25519"), tmp_path, *content)
    assert status == 200, body


def test_a_path_with_escapes_is_let_through(registered: Callable[[str], Target], tmp_path: Path):
    """The emulator decodes it; the authorizer spells it anew."""
    target = registered("ed25519")
    target = Target(
        target.url + "/caf%C3%A9%20bar?a=1&a=2&b=3", target.challenge_url, target.key, target.keyid
    )
    status, body = call_in_python(target, tmp_path)
    assert status == 200, body


@pytest.mark.parametrize("alg", ["ed25519", "ecdsa-p256-sha256"])
def test_a_client_in_javascript_is_let_through(registered: Callable[[str], Target], alg: str):
    status, body = call_in_node(registered(alg), alg, CONTENT)
    assert status == 200, body
