"""The doctor on the embedded stack: it reads all of it, and names what the emulator lacks only."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from local.stack import Stack
from local.tools import ROOT, base_env

pytestmark = pytest.mark.integration

SIGNET = Path(sys.executable).parent / "signet"
#: The emulator ignores the template's gateway responses, and its stack has no topic for alarms.
LACKING = {"no_denied_response", "no_failure_response", "alarm_without_action"}
#: Before the first head no policy of a deployment is on record.
BEFORE_A_HEAD = {"tree_head_age"}


def run(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SIGNET, *arguments], env={**base_env(), **stack.env}, capture_output=True, text=True, check=False
    )


def test_the_doctor_finds_what_the_emulator_lacks(stack: Stack) -> None:
    done = run(stack, "doctor", "--json")
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    found = {finding["id"] for finding in told["findings"]}
    assert found - BEFORE_A_HEAD == LACKING
    unseen = [one["what"] for one in told["not_looked_at"]]
    assert unseen == [*(["the policy in force"] if "tree_head_age" in found else [])]
    assert [(api["kind"], api["own"]) for api in told["apis"]] == [("rest", True)]


def test_a_policy_is_held_against_the_deployed_api(stack: Stack) -> None:
    api_id, stage = urlsplit(stack.outputs["ApiUrl"]).path.split("/")[-2:]
    place = ("--api-id", api_id, "--stage", stage)
    done = run(stack, "policy", "check", str(ROOT / "policy"), *place)
    assert (done.returncode, done.stderr) == (0, "")
    assert "notice" not in done.stdout
    wrong = run(stack, "policy", "check", str(ROOT / "policy"), "--api-id", api_id, "--stage", "none")
    assert (wrong.returncode, f"no stage 'none' (there are: {stage})" in wrong.stderr) == (2, True)
