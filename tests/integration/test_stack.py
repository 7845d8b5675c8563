"""The embedded stack comes up whole, beside others, and goes away however its owner ends."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from local.sam_env import sam_env
from local.stack import HOME
from local.tools import ROOT

pytestmark = pytest.mark.integration

OWNER = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores it
import sys
from local.stack import embedded
with embedded(report=lambda line: None) as stack:
    print(stack.name, stack.env["SIGNET_URL"], flush=True)
    sys.stdin.read()
"""


def test_the_deployed_template_is_complete(stack):
    found = stack.client("cloudformation").describe_stacks(StackName=stack.name)["Stacks"][0]
    assert found["StackStatus"] == "CREATE_COMPLETE"
    assert stack.env["SIGNET_URL"] == stack.outputs["ApiUrl"]
    assert stack.outputs["ApiUrl"].startswith(stack.endpoint_url)
    for name in ("NoncesTable", "ClientsTable", "ReceiptsTable", "LogTable"):
        assert stack.client("dynamodb").describe_table(TableName=stack.outputs[name])
    assert stack.client("s3").get_bucket_versioning(Bucket=stack.outputs["LogBucket"])["Status"] == "Enabled"


def test_the_api_hands_out_challenges_and_guards_the_rest(stack):
    with urllib.request.urlopen(stack.outputs["ChallengeUrl"], timeout=60) as answer:
        assert answer.headers["WWW-Authenticate"].startswith('PCH realm="signet", nonce="')
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(stack.outputs["ProtectedUrl"], timeout=60)
    with refused.value as answer:
        assert answer.code == 403  # what the emulator makes of a Deny; AWS makes it the 401


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_second_stack_runs_beside_and_ends_with_its_owner(stack, number):
    with subprocess.Popen(
        [sys.executable, "-c", OWNER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as owner:
        name, url = owner.stdout.readline().split()
        assert url != stack.env["SIGNET_URL"]
        with urllib.request.urlopen(f"{url}/pch/challenge", timeout=60) as answer:
            assert answer.status == 200
        with (HOME / name / "lock").open() as lock:
            os.kill(owner.pid, number)
            owner.wait(60)
            fcntl.flock(lock, fcntl.LOCK_EX)  # free when the last process that had it is gone
    with pytest.raises(urllib.error.URLError, match="refused"):
        urllib.request.urlopen(url, timeout=5)


def test_sam_local_gets_the_settings_of_the_deployed_functions(stack):
    found = sam_env(stack, 3100)
    assert found["ReceiptSinkFunction"]["SIGNET_RECEIPTS_TABLE"] == stack.outputs["ReceiptsTable"]
    assert {variables["AWS_ENDPOINT_URL"] for variables in found.values()} == {stack.endpoint_url}
    authorizer = found["AuthorizerFunction"]
    assert {"127.0.0.1:3100", "localhost:3100"} <= set(authorizer["SIGNET_AUTHORITIES"].split(","))
    assert authorizer["SIGNET_BASE_PATH"] == ""
