"""What ``signet attach`` prints for CloudFormation and OpenAPI, deployed and called: REST and HTTP APIs.

test_orders.py does the same for SAM and a REST API. What this emulator cannot deploy (ministack 1.5.33):

- An HTTP API of an OpenAPI document, so neither SAM's: ``_apigw_v2_api_create`` in its
  ``services/cloudformation/provisioners.py`` does not read ``Body``, and ``services/apigateway.py`` has no
  ImportApi. test_attach.py holds these two to what SAM's transform makes.
- An HTTP API whose authorizer is sent payload 1.0: ``_authorize_request_v2`` in ``services/apigateway.py``
  makes events without ``version``, ``requestContext.path`` and ``identity``, which those of AWS have. They
  are refused (below). ``tests/handlers/test_authorizer_kinds.py`` has the events as AWS sends them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import yaml
from typer.testing import CliRunner

from local.stack import Stack
from local.tools import ROOT
from signet.aws.chains import DynamoChainStore
from signet.aws.registry import DynamoClientRegistry
from signet.core.client import Client as Entry
from signet.core.vocabulary import PayloadKind
from signet.crypto import suites
from signet_client import PCHAuth
from signet_client.cli import app
from signet_client.signing import Plain, Signer, sign
from tests.edge.client import Client, connected
from tests.edge.conftest import KINDS, running
from tests.integration.test_tls_edge import binding, variables_of_edge
from tests.support import emulated
from tests.support.pasted import merged
from tests.support.waiting import until

pytestmark = pytest.mark.integration

Template = dict[str, Any]
HOST = "{}.shop.example"  # what the edge of an API answers to


@dataclass(frozen=True)
class Case:
    """An API as it was, and how a printed snippet gets into its template."""

    tool: str
    kind: PayloadKind
    before: Callable[[], Template]
    guard: Callable[[Template], Template]

    @property
    def stage(self) -> str:
        return "v1" if self.kind is PayloadKind.REST_V1 else "$default"

    def pasted(self, printed: Any) -> Template:
        if self.tool == "openapi":
            printed = {"Resources": {"Api": {"Properties": {"Body": printed}}}}
        return self.guard(merged(self.before(), printed))


CASES = {
    "cfn-rest": Case("cloudformation", PayloadKind.REST_V1, emulated.rest, emulated.guarded_rest),
    "cfn-http": Case("cloudformation", PayloadKind.HTTP_V2, emulated.http, emulated.guarded_http),
    "cfn-http1": Case("cloudformation", PayloadKind.HTTP_V1, emulated.http, emulated.guarded_http),
    "oas-rest": Case("openapi", PayloadKind.REST_V1, emulated.openapi, emulated.guarded_openapi),
}
#: Those of the kinds that this emulator tells of as AWS does.
ANSWERED = [name for name, case in CASES.items() if case.kind is not PayloadKind.HTTP_V1]


#: What the printed ACCESS_DENIED says. The emulator reads gateway responses that are resources of their own.
DENIED = 401


@dataclass(frozen=True)
class Attached:
    """The stack with all of these APIs attached, and a caller."""

    stack: Stack
    ids: Mapping[str, str]
    signer: Signer

    def url(self, name: str, path: str = "/orders") -> str:
        stage = "/v1" if CASES[name].stage == "v1" else ""
        return f"{self.stack.endpoint_url}/_aws/execute-api/{self.ids[name]}{stage}{path}"

    def nonce(self, name: str, authority: str) -> str:
        asked = {"api": name, "authority": authority, "route": "GET /bound"}
        answer = httpx.get(self.stack.outputs["ChallengeUrl"], params=asked, timeout=60)
        found: str = answer.raise_for_status().json()["nonce"]
        return found

    def signed(self, url: str, nonce: str, field: Mapping[str, str] | None = None) -> dict[str, str]:
        lowered = {name.lower(): value for name, value in (field or {}).items()}
        made = sign(Plain("GET", url, lowered, b""), self.signer, nonce=nonce, now=int(time.time()))
        return dict(field or {}) | dict(made.fields)

    def reasons(self, name: str) -> list[str]:
        """What the log says of one API: its reasons, in order."""
        table = DynamoChainStore(self.stack.client("dynamodb"), self.stack.outputs["ReceiptsTable"])
        receipts = (json.loads(raw) for raw in table.read(0, start_seq=0))
        made = [r for r in receipts if r["type"] == "pch.decision" and r["v"] == 2]
        # A refusal of an event without a reading may name its API by id alone.
        return [str(r["reason"]) for r in made if r["api"]["id"] == self.ids[name]]


def signet(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.output


def deploy(client: Any, name: str, template: Template, act: str) -> str:
    """Create or update a stack; return the id of its API."""
    getattr(client, f"{act}_stack")(
        StackName=name, TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"]
    )
    client.get_waiter(f"stack_{act}_complete").wait(StackName=name, WaiterConfig={"Delay": 1})
    [found] = client.describe_stacks(StackName=name)["Stacks"]
    return {out["OutputKey"]: str(out["OutputValue"]) for out in found["Outputs"]}["ApiId"]


def register(stack: Stack, name: str, api_id: str) -> None:
    case, own = CASES[name], urlsplit(stack.endpoint_url).netloc
    signet(
        "apis", "add", name, "--api-id", api_id, "--stage", case.stage, "--kind", case.kind.value,
        "--authority", own, "--authority", HOST.format(name),
    )  # fmt: skip


def push(folder: Path) -> None:
    told = json.loads(signet("policy", "push", str(folder), "--overlay", "development", "--json"))
    time.sleep(told["effective_within_s"] + 0.5)  # the time itself is what the command promises


@pytest.fixture(scope="module")
def attached(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attached]:
    """Deploy each API as it was, register it, paste what is printed, deploy again; then take all back."""
    client, folder = stack.client("cloudformation"), tmp_path_factory.mktemp("policy") / "policy"
    copytree(ROOT / "policy", folder)
    key = suites.get("ed25519").generate()
    entry = Entry(key.key_id, "ed25519", key.public_key_bytes)
    registered: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        for name, value in stack.env.items():
            patch.setenv(name, value)
        try:
            DynamoClientRegistry(stack.client("dynamodb"), stack.outputs["ClientsTable"]).put(entry)
            ids = {}
            for name, case in CASES.items():
                first = deploy(client, name, case.before(), "create")
                register(stack, name, first)
                registered.append(name)
                printed = signet("attach", "--print", case.tool, "--api", name)
                ids[name] = deploy(client, name, case.pasted(yaml.safe_load(printed)), "update")
                if ids[name] != first:  # this emulator makes an API of a document anew, AWS changes it
                    signet("apis", "remove", name)
                    register(stack, name, ids[name])
                routes = {"GET /orders": {"role": "caller", "minimum_binding": "none"}}
                if case.before is emulated.rest:
                    routes["GET /bound"] = {"role": "caller", "minimum_binding": "tls-exporter"}
                entry_of = {"config": {"apis": {name: {"routes": routes}}}}
                (folder / f"{name}.api.json").write_text(json.dumps(entry_of))
            push(folder)
            yield Attached(stack, ids, Signer(key, key.key_id))
        finally:
            for name in registered:
                signet("apis", "remove", name)
                client.delete_stack(StackName=name)
            push(ROOT / "policy")


@pytest.mark.parametrize("name", ANSWERED)
def test_a_printed_snippet_guards_its_api(attached: Attached, name: str) -> None:
    """No proof, a proof, a copy of it, a proof with another API's nonce: each as the log has to say."""
    url, own = attached.url(name), urlsplit(attached.stack.endpoint_url).netloc
    other = next(each for each in ANSWERED if each != name)
    denied = DENIED if name == "cfn-rest" else 403
    with httpx.Client(timeout=60) as client:
        refused = client.get(url)
        assert refused.status_code == denied
        if denied == DENIED:  # of the printed gateway responses; what is of the context never resolves here
            assert refused.headers["Access-Control-Allow-Origin"] == "*"
        proof = attached.signed(url, attached.nonce(name, own))
        first, again = client.get(url, headers=proof), client.get(url, headers=proof)
        assert (first.status_code, first.json()["caller"]) == (200, attached.signer.keyid), first.text
        assert again.status_code == denied
        foreign = attached.signed(url, attached.nonce(other, own))
        assert client.get(url, headers=foreign).status_code == denied
        challenges = attached.stack.outputs["ChallengeUrl"]
        auth = PCHAuth(attached.signer.key, attached.signer.keyid, challenge_url=challenges, api=name)
        assert client.get(f"{url}?status=open", auth=auth).status_code == 200
        if CASES[name].kind is PayloadKind.REST_V1:
            assert client.options(url).status_code == 200
    expected = ["challenge_required", "ok", "nonce_replayed", "nonce_invalid", "ok"]
    until(lambda: attached.reasons(name) == expected, seconds=60)


def test_an_event_of_payload_1_that_is_not_as_on_aws_is_refused(attached: Attached) -> None:
    """The module's docstring says what this emulator's events lack."""
    url = attached.url("cfn-http1")
    proof = attached.signed(url, attached.nonce("cfn-http1", urlsplit(url).netloc))
    assert httpx.get(url, headers=proof, timeout=60).status_code == 403
    until(lambda: attached.reasons("cfn-http1") == ["malformed"], seconds=60)


@pytest.fixture(params=KINDS)
def edge(request: pytest.FixtureRequest, attached: Attached) -> Iterator[int]:
    """An edge of the attached REST API: its port."""
    variables = variables_of_edge(attached.stack, attached.url("cfn-rest", ""))
    with running(request.param, variables) as made:
        yield made.port


def test_behind_its_own_edge_an_attached_api_binds_to_the_connection(attached: Attached, edge: int) -> None:
    name, host = "cfn-rest", HOST.format("cfn-rest")
    before = len(attached.reasons(name))

    def bound(client: Client, host: str, api: str) -> dict[str, str]:
        return attached.signed(f"https://{host}/bound", attached.nonce(api, host), binding(client.exporter))

    def send(client: Client, proof: Mapping[str, str], host: str) -> int:
        return client.request(target="/bound", headers=list(proof.items()), host=host).status

    with connected(edge) as one, connected(edge) as two:
        proof = bound(one, host, name)
        assert send(two, proof, host) == DENIED  # another connection
        assert send(one, proof, host) == 200
        assert send(one, bound(one, HOST.format("oas-rest"), "oas-rest"), HOST.format("oas-rest")) == DENIED
    around = attached.url(name, "/bound")
    own = urlsplit(around).netloc
    assert httpx.get(around, headers=attached.signed(around, attached.nonce(name, own))).status_code == DENIED
    expected = ["binding_mismatch", "ok", "malformed", "binding_missing"]
    until(lambda: attached.reasons(name)[before:] == expected, seconds=60)
