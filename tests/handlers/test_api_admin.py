"""``signet apis`` on moto: what the operator writes is what the authorizer reads, and its gateway may ask."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from typer.testing import CliRunner

from signet.aws.apis import DynamoApiRegistry
from signet.aws.apis_change import ApiChanges
from signet.core.apis import OWN_API, Api
from signet.core.clocks import Elapsed
from signet.core.errors import SignetError, UsageError
from signet.core.vocabulary import PayloadKind
from signet.handshake.registry import CachedApis
from signet.receipts.reading import read_receipt
from signet_client import stack
from signet_client.cli import app
from tests.support.declared import NAMES, REGION, account, create_tables

ORDERS = ("add", "orders", "--api-id", "a1b2c3d4e5", "--stage", "live")
OWN = Api(OWN_API, "s1gn3t", "", PayloadKind.REST_V1, "")
FUNCTION = "signet-Authorizer"
QUEUE = "receipts"
OTHER_ACCOUNT = "210987654321"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoApiRegistry]:
    account(monkeypatch)
    monkeypatch.delenv("SIGNET_STACK", raising=False)
    arn = f"arn:aws:lambda:{REGION}:123456789012:function:{FUNCTION}"
    outputs = {"ApisTable": NAMES["ApisTable"], "AuthorizerArn": arn}
    monkeypatch.setattr(stack, "read_stack", lambda name: stack.Stack(name, outputs))
    monkeypatch.setattr("signet_client.attached.read_stack", lambda name: stack.Stack(name, outputs))
    monkeypatch.setattr("signet_client.attached.aws", _aws)
    with mock_aws(config={"lambda": {"use_docker": False}}):
        client = boto3.client("dynamodb")
        create_tables(client, "ApisTable")
        _function()
        outputs["ReceiptQueueUrl"] = boto3.client("sqs").create_queue(QueueName=QUEUE)["QueueUrl"]
        yield DynamoApiRegistry(client, NAMES["ApisTable"])


class Strict:
    """Lambda, which refuses a statement of an id that is there; moto takes it a second time.

    docs.aws.amazon.com/lambda/latest/api/API_AddPermission.html, ResourceConflictException
    """

    def __init__(self, client: Any) -> None:
        self._client = client

    def add_permission(self, **asked: Any) -> Any:
        try:
            there = permissions()
        except ClientError:  # there is no policy yet
            there = []
        if asked["StatementId"] in {one["Sid"] for one in there}:
            error = {"Error": {"Code": "ResourceConflictException", "Message": "there"}}
            raise ClientError(error, "AddPermission")  # type: ignore[arg-type]
        return self._client.add_permission(**asked)

    def remove_permission(self, **asked: Any) -> Any:
        return self._client.remove_permission(**asked)


def _aws(service: str) -> Any:
    client = boto3.client(service)
    return Strict(client) if service == "lambda" else client


def _function() -> None:
    role = boto3.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("h.py", "")
    code = {"ZipFile": made.getvalue()}
    boto3.client("lambda").create_function(
        FunctionName=FUNCTION, Runtime="python3.13", Role=role, Handler="h.h", Code=code
    )


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["apis", *arguments])


def refused(*arguments: str, code: int = 2) -> str:
    result = run(*arguments)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    [line] = result.stderr.strip().splitlines()
    return str(line)


def permissions() -> list[dict[str, Any]]:
    policy = json.loads(boto3.client("lambda").get_policy(FunctionName=FUNCTION)["Policy"])
    statements: list[dict[str, Any]] = policy["Statement"]
    return statements


def receipts() -> list[dict[str, Any]]:
    """Take what was sent, in order."""
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName=QUEUE)["QueueUrl"]
    found = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
        for message in messages:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(read_receipt(message["Body"].encode(), chained=False).members)
    return found


def items(registry: DynamoApiRegistry) -> set[str]:
    return {item["pk"]["S"] for item in registry.client.scan(TableName=registry.table)["Items"]}


def test_an_api_that_is_added_is_what_the_authorizer_finds(registry: DynamoApiRegistry) -> None:
    names = ("--authority", "API.example.com", "--authority", "default")
    added = run(*ORDERS, *names, "--base-path", "v1", "--kind", "http-2.0")
    assert added.exit_code == 0, added.output
    assert "config.apis.orders.routes" in added.stdout
    [receipt] = receipts()
    assert receipt["id"] in added.stdout
    assert registry.find("a1b2c3d4e5", "live") == Api(
        "orders",
        "a1b2c3d4e5",
        "live",
        PayloadKind.HTTP_V2,
        "123456789012",
        frozenset({"api.example.com", "default"}),
        frozenset({"/v1"}),
        receipt["id"],
    )
    assert registry.find("a1b2c3d4e5", "beta") is None
    assert items(registry) == {"api#a1b2c3d4e5#live", "name#orders"}


def test_apis_are_listed_and_one_is_removed(registry: DynamoApiRegistry) -> None:
    assert "no API is registered" in run("list").stdout
    assert run(*ORDERS).exit_code == 0
    assert (
        run("add", "my-stock", "--api-id", "b1", "--stage", "$default", "--kind", "http-2.0").exit_code == 0
    )
    listed = json.loads(run("list", "--json").stdout)
    assert [(row["name"], row["kind"]) for row in listed] == [("my-stock", "http-2.0"), ("orders", "rest")]
    assert run("list").stdout.splitlines()[1].startswith("my-stock\tb1\t$default")
    assert "within 60 seconds" in run("remove", "orders").stdout
    assert registry.find("a1b2c3d4e5", "live") is None
    assert items(registry) == {"api#b1#$default", "name#my-stock"}
    assert "no API is registered under the name 'orders'" in refused("remove", "orders")
    assert run(*ORDERS).exit_code == 0  # its name is free again


def test_a_name_and_a_stage_are_taken_once(registry: DynamoApiRegistry) -> None:
    assert run(*ORDERS).exit_code == 0
    there = items(registry)
    for more in (
        ("add", "orders", "--api-id", "other1", "--stage", "live"),
        ("add", "others", "--api-id", "a1b2c3d4e5", "--stage", "live"),
    ):
        assert "is taken, or" in refused(*more)
        assert items(registry) == there  # and nothing of it is half there
    assert run("add", "orders-beta", "--api-id", "a1b2c3d4e5", "--stage", "beta").exit_code == 0


def test_of_adds_at_once_one_wins(registry: DynamoApiRegistry) -> None:
    def add(number: int) -> bool:
        api = Api("orders", f"api{number}", "live", PayloadKind.REST_V1, "123456789012")
        try:
            ApiChanges(registry.client, registry.table).reserve(api)
        except UsageError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(add, range(8)))
    assert won.count(True) == 1
    assert items(registry) == {f"api#api{won.index(True)}#live", "name#orders"}


def test_an_api_gets_a_permission_of_its_own_and_loses_it(registry: DynamoApiRegistry) -> None:
    """One for a whole account would let any of its APIs call the function with an event that it made up."""
    assert run(*ORDERS).exit_code == 0
    [statement] = permissions()
    assert statement["Sid"] == "api-orders"
    assert statement["Condition"]["ArnLike"]["AWS:SourceArn"] == (
        f"arn:aws:execute-api:{REGION}:123456789012:a1b2c3d4e5/authorizers/*"
    )
    assert statement["Principal"] == {"Service": "apigateway.amazonaws.com"}
    far = ("add", "far", "--api-id", "c1", "--stage", "live", "--account", OTHER_ACCOUNT)
    assert run(*far).exit_code == 0
    assert [one["Sid"] for one in permissions()] == ["api-orders", "api-far"]
    assert run("remove", "far").exit_code == 0
    assert [one["Sid"] for one in permissions()] == ["api-orders"]
    assert registry.find("c1", "live") is None


def test_an_entry_that_no_command_wrote_lets_nothing_in(registry: DynamoApiRegistry) -> None:
    assert run(*ORDERS).exit_code == 0
    entry = registry.client.get_item(TableName=registry.table, Key={"pk": {"S": "api#a1b2c3d4e5#live"}})[
        "Item"
    ]
    wrongs = [{"name": {"S": "signet"}}, {"name": {"S": "No Name"}}, {"api_id": {"S": "zzz"}}]
    for wrong in [*wrongs, {"stage": {"S": "beta"}}, {"account": {"S": "1"}}, {"authorities": {"L": []}}]:
        registry.client.put_item(TableName=registry.table, Item={**entry, **wrong})
        with pytest.raises(SignetError) as refused:
            registry.find("a1b2c3d4e5", "live")
        assert refused.value.code == "bad_entry"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ("add", "Orders", "--api-id", "a1", "--stage", "live"),
            "'Orders' is no name for an API: up to 32 of",
        ),
        (("add", "signet", "--api-id", "a1", "--stage", "live"), "backend, signet are Signet's own"),
        (("add", "backend", "--api-id", "a1", "--stage", "live"), "backend, signet are Signet's own"),
        (("add", "orders", "--api-id", "A1", "--stage", "live"), "'A1' is no id of an API"),
        (("add", "orders", "--api-id", "a1", "--stage", "li/ve"), "'li/ve' is no stage"),
        ((*ORDERS, "--account", "123"), "'123' is no AWS account; it has 12 digits"),
        ((*ORDERS, "--authority", "a b"), "--authority 'a b' is no host name"),
        ((*ORDERS, "--base-path", "/"), "--base-path '/' is empty"),
        ((*ORDERS, "--base-path", "a?b"), "--base-path 'a?b' is no path"),
        (("remove", "name#orders"), "'name#orders' is no name of an API"),
    ],
)
def test_bad_input_is_refused_with_one_sentence(
    registry: DynamoApiRegistry, arguments: tuple[str, ...], says: str
) -> None:
    assert says in refused(*arguments)
    assert items(registry) == set()


@pytest.mark.parametrize("stopped", ["monotonic", "wall"])
def test_a_removed_api_is_refused_within_a_minute_by_either_clock(
    registry: DynamoApiRegistry, stopped: str
) -> None:
    """A frozen environment's monotonic clock stands still; a wall clock may."""
    now = {"monotonic": 0.0, "wall": 0.0}
    clock = Elapsed(monotonic=lambda: now["monotonic"], wall=lambda: now["wall"])
    apis = CachedApis(lambda _: OWN, registry, clock)
    [going] = now.keys() - {stopped}
    assert run(*ORDERS).exit_code == 0
    assert apis.find("a1b2c3d4e5", "live") is not None
    assert run("remove", "orders").exit_code == 0
    now[going] = 59.9
    assert apis.find("a1b2c3d4e5", "live") is not None
    now[going] = 60.0
    assert apis.find("a1b2c3d4e5", "live") is None


def test_an_api_that_is_added_is_found_within_a_minute(registry: DynamoApiRegistry) -> None:
    now = [0.0]
    apis = CachedApis(lambda _: OWN, registry, lambda: now[0])
    assert apis.find("a1b2c3d4e5", "live") is None
    assert run(*ORDERS).exit_code == 0
    now[0] = 60.0
    found = apis.find("a1b2c3d4e5", "live")
    assert found is not None
    assert found.name == "orders"
