"""The orders example: its README's commands as they stand there, then the backend in Node.js.

The policy of the example is in force meanwhile; the tests before and after this file call other routes.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from samtranslator.yaml_helper import yaml_parse

from local.stack import Stack
from local.tools import ROOT, base_env, sam
from signet.aws.chains import DynamoChainStore
from tests.interop.example_callers import LANGUAGES, call
from tests.support.pasted import merged
from tests.support.waiting import until

pytestmark = pytest.mark.integration

BIN = Path(sys.executable).parent
README = (ROOT / "examples" / "orders" / "README.md").read_text()
#: The commands of its steps, without those that start what the tests have already.
STEPS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def env(stack: Stack) -> dict[str, str]:
    return shell_env(stack)


def shell_env(stack: Stack) -> dict[str, str]:
    """Return what a shell has after the first step."""
    path = f"{BIN}:{sam(print).parent}:{base_env()['PATH']}"
    return {**base_env(), **stack.env, "PATH": path}


def challenges(stack: Stack) -> str:
    return f"{stack.outputs['ChallengeUrl']}?api=orders"


def run(commands: Sequence[str], env: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", "\n".join(commands)],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def attached(stack: Stack, env: dict[str, str], workplace: Path) -> Iterator[str]:
    """Take the steps up to the attached API; return what they printed, and go the way back."""
    start, before, keys, register, policy, attach, again, *_, back = STEPS
    assert start.startswith("make up\n")
    try:
        # what passes after the push is the time itself: nothing tells its end
        yield run(
            [before, keys, register, policy, "sleep 1.5", attach, again, 'echo "$ORDERS"'], env, workplace
        )
    finally:
        run([back, "sleep 1.5"], env, workplace)


@pytest.fixture(scope="module")
def orders(attached: str) -> str:
    return attached.splitlines()[-1]


def test_before_every_caller_is_answered(attached: str):
    assert '{"orders": [{"id": "1001"' in attached
    assert "9 hold" in attached


def test_attached_the_steps_end_as_the_readme_says(
    orders: str, attached: str, env: dict[str, str], workplace: Path
):
    missing = [tool for tool in ("node", "go", "java") if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"not installed: {missing}")
    *_, unsigned, signed, refused, _ = STEPS
    said = run([f"ORDERS={orders}", unsigned, signed, refused], env, workplace)
    unsigned_status, *answers = said.splitlines()
    assert unsigned_status == "403"
    assert [answer.split(" ")[0] for answer in answers[:5]] == ["200", "201", "200", "200", "200"]
    assert "refused, as the policy says" in said


def test_preflights_do_not_ask_the_authorizer(orders: str):
    """The emulator leaves out the header fields that the mock integration sets."""
    assert httpx.options(orders, timeout=60).status_code == 200
    assert httpx.get(orders, timeout=60).status_code == 403


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_backend_in_node_is_called_from_each_language(
    stack: Stack, node_orders: str, workplace: Path, language: str
):
    challenge = ("--challenge-url", challenges(stack))
    reader = ("--key", workplace / "reader.pem", "--keyid", "orders-reader", *challenge)
    writer = ("--key", workplace / "writer.pem", "--keyid", "orders-writer", *challenge)
    listed = call(language, "GET", f"{node_orders}?status=open&limit=1", *reader)
    assert (listed.status, [o["id"] for o in json.loads(listed.body)["orders"]]) == (200, ["1001"])
    made = call(language, "POST", node_orders, '{"item": "té", "quantity": 2}', *writer)
    assert (made.status, json.loads(made.body)["item"]) == (201, "té")
    assert call(language, "POST", node_orders, '{"item": "tea", "quantity": 2}', *reader).code == 1


@pytest.fixture(scope="module")
def node_orders(attached: str, env: dict[str, str], workplace: Path) -> str:
    deploy = next(step for step in STEPS if "SignetStack=$SIGNET_STACK" in step)
    deploy = deploy.replace("SignetStack=$SIGNET_STACK", "SignetStack=$SIGNET_STACK Backend=node")
    return run([deploy, 'echo "$ORDERS"'], env, workplace).splitlines()[-1]


def test_its_decisions_are_on_record(stack: Stack, orders: str, workplace: Path):
    """With the API, its stage and route, the path and the key."""
    caller = ("--key", workplace / "reader.pem", "--keyid", "orders-reader")
    answer = call("python", "GET", f"{orders}/1003", *caller, "--challenge-url", challenges(stack))
    assert answer.status == 200
    client = stack.client("dynamodb")
    table = DynamoChainStore(client, stack.outputs["ReceiptsTable"])

    def there() -> bool:
        receipts = [json.loads(raw) for raw in table.read(0, start_seq=0)]
        decisions = [receipt for receipt in receipts if receipt["type"] == "pch.decision"]
        asked = [r for r in decisions if (r["request"]["path"] or "").endswith("/v1/orders/1003")]
        found = [
            (r["reason"], r["api"]["name"], r["api"]["stage"], r["route"], r["proof"]["keyid"]) for r in asked
        ]
        return found == [("ok", "orders", "v1", "GET /orders/{id}", "orders-reader")]

    until(there, seconds=60)


def test_the_printed_snippet_attaches_it_too(
    stack: Stack, node_orders: str, env: dict[str, str], workplace: Path
):
    """Pasted into the template as it was before: what ``signet attach`` says of SAM, deployed and called."""
    assert node_orders
    printed = run(["signet attach --print sam --api orders --resource OrdersApi"], env, workplace)
    example = workplace / "examples" / "orders"
    pasted = merged(yaml_parse((example / "template.yaml").read_text()), yaml_parse(printed))
    (example / "pasted.json").write_text(json.dumps(pasted))
    deploy, again = (
        next(step for step in STEPS if part in step)
        for part in ("SignetStack=$SIGNET_STACK", "signet apis remove orders\nsignet apis add")
    )
    deploy = deploy.replace("attached.yaml --stack-name", "pasted.json --stack-name")
    deploy = deploy.replace("SignetStack=$SIGNET_STACK", "Backend=python")
    url = run([deploy, again, 'echo "$ORDERS"'], env, workplace).splitlines()[-1]
    assert httpx.get(url, timeout=60).status_code == 403
    assert httpx.options(url, timeout=60).status_code == 200
    reader = ("--key", workplace / "reader.pem", "--keyid", "orders-reader")
    assert call("python", "GET", url, *reader, "--challenge-url", challenges(stack)).status == 200


def test_one_script_attaches_the_api_as_it_was_and_calls_it_from_every_language(
    attached: str, env: dict[str, str], workplace: Path
):
    """Its second half runs in test_orders_pack.py, when the day is over."""
    assert attached
    *said, minutes, lines = run(["examples/orders/attach.sh attach"], env, workplace).splitlines()
    assert said[:2] == ["before: every caller is answered", "attached: a call without a proof is refused"]
    called = dict(line.removeprefix("called from ").split(": ") for line in said[2:])
    tools = {"Python": "python", "Node.js": "node", "Go": "go", "Java": "java"}
    assert called == {
        language: "200" if shutil.which(tool, path=env["PATH"]) else f"SKIPPED ({tool} is not installed)"
        for language, tool in tools.items()
    }
    assert re.fullmatch(r"minutes to attach it and call it: \d\.\d \(at most 10\)", minutes)
    assert re.fullmatch(r"changed lines of SAM: 1?\d \(at most 15\)", lines)
