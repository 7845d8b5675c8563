"""A policy pushed to the running stack decides in all its processes; so does its rollback."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.stack import Stack
from local.tools import ROOT, base_env
from signet.crypto import suites
from signet.crypto.keyfiles import load_private
from signet_client import PCHAuth

pytestmark = pytest.mark.integration

SIGNET = Path(sys.executable).parent / "signet"


def signet(stack: Stack, *arguments: str) -> Any:
    done = subprocess.run(
        [SIGNET, *arguments, "--json"],
        env={**base_env(), **stack.env},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def push(stack: Stack, *overlay: str) -> str:
    """Push a policy and wait until it holds everywhere; return its hash."""
    pushed = signet(stack, "policy", "push", str(ROOT / "policy"), *overlay)
    time.sleep(pushed["effective_within_s"] + 0.5)  # what passes is the time itself: nothing tells its end
    digest: str = pushed["bundle_sha256"]
    return digest


@pytest.fixture
def key(stack: Stack, tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "swap.pem"
    signet_plain = [str(SIGNET), "keygen", "--alg", "ed25519", "-o", str(path)]
    subprocess.run(signet_plain, env=base_env(), check=True, capture_output=True)
    signet(stack, "clients", "add", "--key", f"{path}.pub", "--keyid", "policy-swap")
    try:
        yield path
    finally:  # other tests use this stack, and call it without a binding
        push(stack, "--overlay", "development")


def test_a_pushed_policy_demands_the_binding_and_its_rollback_does_not(stack: Stack, key: Path) -> None:
    auth = PCHAuth(
        load_private(key.read_bytes(), suites.NAMES[0]),
        "policy-swap",
        challenge_url=stack.outputs["ChallengeUrl"],
    )
    with httpx.Client(timeout=60) as client:

        def unbound() -> int:
            return client.get(stack.outputs["ProtectedUrl"], auth=auth).status_code

        assert unbound() == 200
        strict = push(stack)
        assert client.get(stack.outputs["ChallengeUrl"]).json()["binding"] == "tls-exporter"
        assert {unbound() for _ in range(5)} <= {401, 403}
        edge = stack.env["SIGNET_EDGE_URL"]
        bound = signet(
            stack, "call", f"{edge}/protected", "--key", str(key), "--keyid", "policy-swap", "--binding",
            "tls-exporter", "--insecure", "--challenge-url", f"{edge}/pch/challenge",
        )  # fmt: skip
        assert bound["status"] == 200
        relaxed = push(stack, "--overlay", "development")
        assert unbound() == 200
    shown = signet(stack, "policy", "show")
    assert shown["bundle_sha256"] == relaxed
    assert strict in [version["bundle_sha256"] for version in shown["history"]]
