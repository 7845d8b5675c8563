"""What could not be looked at is said, and never taken for well; nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from typer.testing import CliRunner

from signet.aws.breaker import DynamoBreakerStore
from signet.breaker.snapshot import first
from signet.core.errors import NotFoundError
from signet_client import stack
from signet_client.cli import app
from signet_client.doctor.asking import MAX_PAGES, Asking
from signet_client.doctor.checks import find
from signet_client.doctor.facts import Deployment, Grant, Unseen
from signet_client.doctor.reading import read_deployment
from signet_client.doctor.report import as_object, exit_code, lines
from signet_client.stack import read_stack
from tests.doctor.world import STACK, World


class Watched:
    """A client that notes what it is asked, and refuses what it is told to."""

    def __init__(self, client: Any, service: str, asked: list[tuple[str, str]], denied: str) -> None:
        self._client, self._service, self._asked, self._denied = client, service, asked, denied

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found) or name.startswith("_"):
            return found

        def call(**arguments: Any) -> Any:
            self._asked.append((self._service, name))
            if self._denied == f"{self._service}.{name}":
                error = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
                raise ClientError(error, name)  # type: ignore[arg-type]
            return found(**arguments)

        return call


def watched(world: World, denied: str = "") -> tuple[Callable[[str], Any], list[tuple[str, str]]]:
    asked: list[tuple[str, str]] = []
    return lambda service: Watched(world.client(service), service, asked, denied), asked


def read(world: World, denied: str = "") -> Deployment:
    client, _ = watched(world, denied)
    return read_deployment(read_stack(STACK), world.named, Asking(client, world.now), world.now)


#: Operation → the permission that has to be named where it is refused.
PERMISSIONS = {
    "cloudformation.list_stack_resources": "cloudformation:ListStackResources",
    "apigateway.get_rest_api": "apigateway:GET on /restapis/",
    "apigateway.get_resources": "apigateway:GET on /restapis/",
    "apigateway.get_authorizers": "apigateway:GET on /restapis/",
    "apigateway.get_gateway_responses": "apigateway:GET on /restapis/",
    "apigateway.get_stages": "apigateway:GET on /restapis/",
    "apigatewayv2.get_api": "apigateway:GET on /apis/",
    "apigatewayv2.get_routes": "apigateway:GET on /apis/",
    "apigatewayv2.get_authorizers": "apigateway:GET on /apis/",
    "apigatewayv2.get_stages": "apigateway:GET on /apis/",
    "apigatewayv2.get_domain_names": "apigateway:GET on /domainnames",
    "apigatewayv2.get_api_mappings": "apigateway:GET on /domainnames/",
    "lambda.get_function_configuration": "lambda:GetFunctionConfiguration",
    "lambda.get_layer_version": "lambda:GetLayerVersion",
    "lambda.get_policy": "lambda:GetPolicy",
    "lambda.get_function_concurrency": "lambda:GetFunctionConcurrency",
    "sqs.get_queue_attributes": "sqs:GetQueueAttributes",
    "cloudwatch.describe_alarms": "cloudwatch:DescribeAlarms",
    "cloudwatch.get_metric_statistics": "cloudwatch:GetMetricStatistics",
    "s3.head_object": "s3:GetObject",
    "s3.get_object": "s3:GetObject",
    "dynamodb.get_item": "dynamodb:GetItem",
    "dynamodb.scan": "dynamodb:Scan on ",
}


@pytest.fixture
def everything(world: World) -> World:
    """A healthy deployment in which each of the doctor's questions is asked."""
    api_id, _ = world.http_api()
    world.domain("api.example.com", api_id, "$default")
    variables = {"SIGNET_AUTHORITIES": "default,api.example.com"}
    name = f"{STACK}-Authorizer"
    world.client("lambda").update_function_configuration(
        FunctionName=name, Environment={"Variables": variables}
    )
    found = world.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
    url = next(one["OutputValue"] for one in found if one["OutputKey"] == "ReceiptQueueUrl")
    world.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    return world


def test_it_only_reads_and_asks_for_no_more_than_the_listed_permissions(everything: World) -> None:
    client, asked = watched(everything)
    read_deployment(read_stack(STACK), everything.named, Asking(client, everything.now), everything.now)
    assert {f"{service}.{name}" for service, name in asked} == set(PERMISSIONS)
    assert all(name.startswith(("get_", "list_", "describe_", "head_", "scan")) for _, name in asked)
    assert len(asked) < 60


def test_a_missing_permission_is_named_and_nothing_is_called_healthy(everything: World) -> None:
    for operation, permission in PERMISSIONS.items():
        seen = read(everything, operation)
        assert any(permission in unseen.why for unseen in seen.unseen), operation
        findings = find(seen)
        assert findings == (), (operation, findings)
        assert exit_code(seen, findings) == 2, operation
        assert as_object(seen, findings)["healthy"] is None
        assert not any(line.startswith("healthy") for line in lines(seen, findings)), operation


def test_no_answer_is_unseen(world: World) -> None:
    class Down:
        def get_thing(self) -> None:
            raise EndpointConnectionError(endpoint_url="https://x")

    asking = Asking(lambda _service: Down(), world.now)
    assert asking.ask("x", "get_thing", what="the thing", permission="x:GetThing") is None
    assert asking.unseen == [Unseen("the thing", "there was no answer (EndpointConnectionError); x:GetThing")]


def test_a_listing_without_an_end_is_given_up_and_said() -> None:
    class Endless:
        asked = 0

        def get_things(self, **_more: Any) -> Mapping[str, Any]:
            self.asked += 1
            return {"items": [1], "position": "again"}

    endless = Endless()
    asking = Asking(lambda _service: endless, lambda: 0.0)
    token = ("position", "position")
    found = asking.pages("x", "get_things", "items", token, what="the things", permission="x:GetThings")
    assert (found, endless.asked) == (None, MAX_PAGES)
    assert [unseen.what for unseen in asking.unseen] == ["the things"]


def test_api_or_stage_that_is_not_there(world: World) -> None:
    for place, said in (
        (("nothere123", "live"), "no REST or HTTP API 'nothere123'"),
        ((world.other_id, "beta"), "no stage 'beta' (there are: live)"),
    ):
        world.named = [place]
        with pytest.raises(NotFoundError, match="there") as caught:
            world.seen()
        assert said in str(caught.value)


def test_a_name_chooses_which_registered_api_is_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.register("gone", "gone123", "live")
    monkeypatch.setattr(stack, "aws", world.client)

    def doctor(*options: str) -> Any:
        return CliRunner().invoke(app, ["doctor", "--stack", STACK, *options])

    assert [finding.id for finding in world.findings()] == ["api_not_deployed"]
    healthy = doctor("--api", "orders")
    assert (healthy.exit_code, f"REST API {world.other_id} (live)" in healthy.stdout) == (0, True)
    lacking = doctor("--api", "gone")
    assert (lacking.exit_code, "[api_not_deployed]" in lacking.stdout) == (1, True)
    assert world.other_id not in lacking.stdout
    unknown = doctor("--api", "order")
    assert unknown.exit_code == 2
    assert "no API is registered under the name 'order'; signet apis list shows them" in unknown.stderr
    unseen = doctor("--api", "gone", "--api-id", "gone123", "--stage", "live")  # what is named must be there
    assert (unseen.exit_code, "no REST or HTTP API 'gone123'" in unseen.stderr) == (2, True)


def test_an_api_of_another_account_is_said_to_be_unseen(world: World) -> None:
    world.register("far", "far1234", "live", account="210987654321")
    seen = world.seen()
    assert find(seen) == ()
    assert seen.unseen == (
        Unseen("the API far", "it is in the account 210987654321, which these credentials are not of"),
    )


def test_a_damaged_registration_is_unseen(world: World) -> None:
    item = {"pk": {"S": "api#x#live"}, "name": {"S": "x"}}
    world.client("dynamodb").put_item(TableName=f"{STACK}-apis", Item=item)
    seen = world.seen()
    assert find(seen) == ()
    assert [unseen.what for unseen in seen.unseen] == ["the registered APIs"]


def test_each_breaker_is_read_by_its_name(world: World) -> None:
    store = DynamoBreakerStore(world.client("dynamodb"), f"{STACK}-breakers")
    for name in ("orders", "backend"):
        assert store.move(first(name, 1_700_000_000_000))
    store.add("orders#1#1", {"n": "1"}, expires_at=2**31)
    assert store.names() == ["backend", "orders"]
    assert [breaker.name for breaker in world.seen().breakers] == ["backend", "orders"]


def test_a_stack_of_another_version_is_not_seen_whole(world: World) -> None:
    found = read_stack(STACK)
    outputs = {
        name: value for name, value in found.outputs.items() if not name.startswith(("Log", "Pack", "Apis"))
    }
    asking = Asking(world.client, world.now)
    parameters = {"Environment": found.parameter("Environment")}
    seen = read_deployment(replace(found, outputs=outputs, parameters=parameters), [], asking, world.now)
    missing = [
        "PackFunction",
        "ApisTable",
        "LogBucket",
        "LogTable",
        "EdgeSecretArn",
        "EndpointUrl",
        "ClockSkewSeconds",
    ]
    assert [unseen.what for unseen in seen.unseen] == missing
    assert find(seen) == ()


def test_a_policy_that_was_tampered_with_is_unseen(world: World) -> None:
    bucket = f"{STACK}-log"
    key = next(
        one["Key"]
        for one in world.client("s3").list_objects_v2(Bucket=bucket, Prefix="policy/")["Contents"]
        if one["Key"].endswith("config.json")
    )
    world.client("s3").put_object(Bucket=bucket, Key=key, Body=b'{"config": {"routes": {}}}')
    seen = world.seen()
    assert seen.rules is None
    assert [unseen.what for unseen in seen.unseen] == ["the policy in force"]
    assert find(seen) == ()


def test_a_deployed_policy_is_found_by_the_newest_head(world: World) -> None:
    bucket, s3 = f"{STACK}-log", world.client("s3")
    key = s3.list_objects_v2(Bucket=bucket, Prefix="policy/")["Contents"][0]["Key"]
    world.client("dynamodb").delete_item(TableName=bucket, Key={"pk": {"S": "policy"}})
    head = {"policy_bundle_sha256": key.split("/")[1]}
    s3.put_object(Bucket=bucket, Key="sth/latest.json", Body=json.dumps(head).encode())
    rules = world.seen().rules
    assert rules is not None
    assert {rule.route for rule in rules} == {"GET /orders/{id}", "POST /compliance/pack"}


def test_a_name_that_openapi_demands_is_no_identity_source(world: World) -> None:
    authorizer = world.authorize(world.other_id, identitySource="method.request.header.Unused")
    world.method(world.other_id, "GET /orders/{id}", authorizer)
    assert world.findings() == []


def test_a_version_that_an_api_calls_is_read_as_it_was_published(world: World) -> None:
    function, name = world.client("lambda"), f"{STACK}-Authorizer"
    function.update_function_configuration(FunctionName=name, Timeout=29)
    version = function.publish_version(FunctionName=name)["Version"]
    function.update_function_configuration(FunctionName=name, Timeout=8)
    authorizer = world.authorize(world.other_id, authorizerUri=world.uri(f"{world.function_arn()}:{version}"))
    world.method(world.other_id, "GET /orders/{id}", authorizer)
    seen = world.seen()
    assert seen.functions[f"AuthorizerFunction:{version}"].timeout_s == 29
    assert [(finding.id, finding.where) for finding in find(seen)] == [
        ("timeout_over_gateway", f"AuthorizerFunction:{version} ({name})")
    ]
    # moto gives a version the function's own policy; on AWS each has one of its own.
    of_the_function = replace(seen, grants=(Grant("", (), ()),))
    found = {finding.id: finding for finding in find(of_the_function)}
    assert f"--function-name {name}:{version}" in found["invoke_permission"].mend


@pytest.mark.parametrize(
    ("sources", "accounts", "allowed"),
    [
        ((), (), True),
        (("arn:aws:execute-api:*:*:*/authorizers/*",), (), True),
        (("arn:aws:execute-api:us-east-1:123456789012:*/authorizers/*",), ("123456789012",), True),
        (("arn:aws:execute-api:us-east-1:123456789012:other/authorizers/*",), (), False),
        (("arn:aws:execute-api:us-east-1:123456789012:*/*/GET/orders",), (), False),
        ((), ("999999999999",), False),
    ],
)
def test_who_may_call_the_authorizer(
    world: World, sources: tuple[str, ...], accounts: tuple[str, ...], *, allowed: bool
) -> None:
    found = world.findings(grants=(Grant("", sources, accounts),))
    assert {finding.id for finding in found} == (set() if allowed else {"invoke_permission"})


def command(world: World, monkeypatch: pytest.MonkeyPatch, *options: str) -> Any:
    monkeypatch.setattr(stack, "aws", world.client)
    return CliRunner().invoke(app, ["doctor", "--stack", STACK, *options])


def test_the_command_is_for_people_programs_and_ci(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ("--api-id", world.other_id, "--stage", "live")
    healthy = command(world, monkeypatch, *place)
    assert (healthy.exit_code, healthy.stdout) == (
        0,
        f"healthy: stack {STACK}, REST API {world.api_id} (prod), REST API {world.other_id} (live)\n",
    )
    told = json.loads(command(world, monkeypatch, *place, "--json").stdout)
    assert (told["healthy"], told["findings"], told["not_looked_at"]) == (True, [], [])
    world.method(world.other_id, "GET /health")
    told = json.loads(command(world, monkeypatch, *place, "--json").stdout)
    assert (told["healthy"], [one["id"] for one in told["findings"]]) == (
        False,
        ["method_without_authorizer"],
    )
    assert command(world, monkeypatch, *place, "--open", "GET /health").exit_code == 0
    one = command(world, monkeypatch, *place[:2])
    assert (one.exit_code, "one stage for each API" in one.stderr) == (2, True)


def test_names_cannot_steer_a_terminal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "\x1b[2Jhealthy\n"
    authorizer = world.rest.create_authorizer(
        restApiId=world.other_id, name=name, type="REQUEST", authorizerUri=world.uri()
    )["id"]
    world.method(world.other_id, "GET /orders", authorizer)
    told = command(world, monkeypatch, "--api-id", world.other_id, "--stage", "live")
    assert told.exit_code == 1
    assert r"\x1b[2Jhealthy\x0a" in told.stdout
    assert "\x1b" not in told.stdout
