"""A deployment on moto without a fault, and what plants one.

moto has neither of the two authorizers' behaviour; the doctor only reads how they are set up, which it keeps.
"""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from moto import mock_aws

from signet.aws.lock import DynamoLockStore
from signet.aws.objects import S3ObjectStore
from signet.core.apis import Api
from signet.core.vocabulary import PayloadKind
from signet.policy.register import REGISTER, Pushed, object_key
from signet_client.doctor.asking import Asking
from signet_client.doctor.checks import find
from signet_client.doctor.facts import Deployment, Finding
from signet_client.doctor.reading import read_deployment
from signet_client.stack import read_stack
from tests.support.registered import put_in_force

REGION, ACCOUNT = "us-east-1", "123456789012"
STACK, STAGE, ALARM = "signet-test", "prod", "signet-test-TreeHeadStale"
ROOT = Path(__file__).parents[2]
FUNCTIONS = ("Authorizer", "Handshake", "ReceiptSink", "SthCron", "Audit", "Pack")
ROUTES = {
    "GET /orders/{id}": {"role": "caller", "minimum_binding": "none"},
    "POST /compliance/pack": {"role": "auditor", "minimum_binding": "none"},
}
OWN_ROUTE = "POST /compliance/pack"
RESPONSES: dict[str, dict[str, str]] = {
    "ACCESS_DENIED": {"WWW-Authenticate": "context.authorizer.challenge"},
    "AUTHORIZER_FAILURE": {"Retry-After": "'2'"},
    "AUTHORIZER_CONFIGURATION_ERROR": {"Retry-After": "'20'"},
}


@cache
def boto(service: str) -> Any:
    """Return a client for all tests: to make one takes longer than to use it, and moto minds no other."""
    make: Any = boto3.client
    return make(service, region_name=REGION, aws_access_key_id="testing", aws_secret_access_key="testing")


def template() -> str:
    """The parts of the stack that the doctor finds by CloudFormation, as the real template names them."""
    values = {"Environment": STAGE, "EdgeSecretArn": "", "EndpointUrl": "", "ClockSkewSeconds": "30"}
    outputs: dict[str, Any] = {f"{name}Function": f"{STACK}-{name}" for name in FUNCTIONS}
    outputs |= {"ReceiptQueueUrl": {"Ref": "ReceiptQueue"}, "ReceiptDlqUrl": {"Ref": "ReceiptDlq"}}
    outputs |= {"ApisTable": f"{STACK}-apis"}
    outputs |= {"LogBucket": f"{STACK}-log", "LogTable": f"{STACK}-log", "BreakersTable": f"{STACK}-breakers"}
    return json.dumps(
        {
            "Parameters": {name: {"Type": "String", "Default": value} for name, value in values.items()},
            "Resources": {
                "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": f"{STACK}-api"}},
                "ReceiptQueue": {"Type": "AWS::SQS::Queue"},
                "ReceiptDlq": {"Type": "AWS::SQS::Queue"},
            },
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
    )


class WithAlarms:
    """moto's CloudFormation makes no alarms: they are made apart, and its listing names them here."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def list_stack_resources(self, **asked: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.list_stack_resources(**asked)
        alarm = {
            "LogicalResourceId": ALARM,
            "PhysicalResourceId": ALARM,
            "ResourceType": "AWS::CloudWatch::Alarm",
        }
        answer["StackResourceSummaries"].append(alarm)
        return answer


class WithLists:
    """moto lists no authorizers of HTTP APIs, and maps no domain name to a REST API: here are both.

    The answers have the shape of the API reference (docs.aws.amazon.com/apigatewayv2/latest/api-reference).
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._authorizers: dict[str, list[str]] = {}
        self._mappings: dict[str, list[dict[str, str]]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def create_authorizer(self, **asked: Any) -> dict[str, Any]:
        made: dict[str, Any] = self._client.create_authorizer(**asked)
        self._authorizers.setdefault(asked["ApiId"], []).append(made["AuthorizerId"])
        return made

    def get_authorizers(self, *, ApiId: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        ids = self._authorizers.get(ApiId, [])
        return {"Items": [self._client.get_authorizer(ApiId=ApiId, AuthorizerId=one) for one in ids]}

    def map(self, name: str, api_id: str, stage: str) -> None:
        self._mappings.setdefault(name, []).append({"ApiId": api_id, "Stage": stage, "ApiMappingKey": ""})

    def get_api_mappings(self, *, DomainName: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        return {"Items": self._mappings.get(DomainName, [])}


@dataclass
class World:
    """The stack ``signet-test`` and an API of another stack that it guards.

    Attributes:
        api_id: the REST API of its own.
        other_id: the REST API that it guards.
        authorizer_id: Signet's authorizer there.
        named: what the doctor is told to look at.
        routes: that the policy in force lists.
        registered: names of the registered APIs.
    """

    api_id: str = ""
    other_id: str = ""
    authorizer_id: str = ""
    resources: dict[str, str] = field(default_factory=dict)
    named: list[tuple[str, str]] = field(default_factory=list)
    clients: dict[str, Any] = field(default_factory=dict)
    routes: dict[str, Any] = field(default_factory=dict)
    registered: list[str] = field(default_factory=list)
    ahead_s: float = 0.0

    def client(self, service: str) -> Any:
        if service not in self.clients:
            made = boto(service)
            wrap = {"cloudformation": WithAlarms, "apigatewayv2": WithLists}.get(service)
            self.clients[service] = made if wrap is None else wrap(made)
        return self.clients[service]

    @property
    def rest(self) -> Any:
        return self.client("apigateway")

    @property
    def http(self) -> Any:
        return self.client("apigatewayv2")

    def now(self) -> float:
        return time.time() + self.ahead_s

    def seen(self, **changes: Any) -> Deployment:
        read = read_deployment(read_stack(STACK), self.named, Asking(self.client, self.now), self.now)
        return replace(read, **changes)

    def findings(self, **changes: Any) -> list[Finding]:
        return list(find(self.seen(**changes)))

    def function_arn(self, name: str = "Authorizer") -> str:
        return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{STACK}-{name}"

    def uri(self, arn: str | None = None) -> str:
        called = arn or self.function_arn()
        return f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{called}/invocations"

    # ------------------------------------------------------------ what is deployed

    def resource(self, api_id: str, path: str) -> str:
        place = f"{api_id}{path}"
        if place not in self.resources:
            if path == "/":
                found = self.rest.get_resources(restApiId=api_id)["items"]
                self.resources[place] = next(one["id"] for one in found if one["path"] == "/")
            else:
                parent, _, part = path.rpartition("/")
                made = self.rest.create_resource(
                    restApiId=api_id, parentId=self.resource(api_id, parent or "/"), pathPart=part
                )
                self.resources[place] = made["id"]
        return self.resources[place]

    def method(self, api_id: str, route: str, authorizer: str = "", kind: str = "") -> None:
        verb, _, path = route.partition(" ")
        self.rest.put_method(
            restApiId=api_id,
            resourceId=self.resource(api_id, path),
            httpMethod=verb,
            authorizationType=kind or ("CUSTOM" if authorizer else "NONE"),
            **({"authorizerId": authorizer} if authorizer else {}),
        )
        self.rest.put_integration(
            restApiId=api_id, resourceId=self.resource(api_id, path), httpMethod=verb, type="MOCK"
        )

    def authorize(self, api_id: str, **facts: Any) -> str:
        given = {"type": "REQUEST", "authorizerResultTtlInSeconds": 0, "authorizerUri": self.uri(), **facts}
        made: str = self.rest.create_authorizer(restApiId=api_id, name="Signet", **given)["id"]
        return made

    def respond(self, api_id: str, name: str, fields: dict[str, str]) -> None:
        self.rest.put_gateway_response(
            restApiId=api_id,
            responseType=name,
            responseParameters={f"gatewayresponse.header.{field}": value for field, value in fields.items()},
        )

    def deploy(self, api_id: str, stage: str, rate: str = "100") -> None:
        self.rest.create_deployment(restApiId=api_id, stageName=stage)
        if rate:
            operations = [{"op": "replace", "path": "/*/*/throttling/rateLimit", "value": rate}]
            self.rest.update_stage(restApiId=api_id, stageName=stage, patchOperations=operations)

    def permit(self, api_id: str) -> None:
        self.client("lambda").add_permission(
            FunctionName=f"{STACK}-Authorizer",
            StatementId=f"api-{api_id}",
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{api_id}/authorizers/*",
        )

    def alarm(self, *, actions: bool = True) -> None:
        self.client("cloudwatch").put_metric_alarm(
            AlarmName=ALARM,
            AlarmDescription="Days are not closed. Run signet close.",
            Namespace="Signet",
            MetricName="LogTreeSize",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="LessThanThreshold",
            AlarmActions=[f"arn:aws:sns:{REGION}:{ACCOUNT}:topic"] if actions else [],
        )

    def register(self, name: str, api_id: str, stage: str, *, account: str = ACCOUNT) -> None:
        """Register an API; the policy in force lists the same routes for it as for others."""
        api = Api(name, api_id, stage, PayloadKind.REST_V1, account)
        put_in_force(self.client("dynamodb"), f"{STACK}-apis", api)
        self.registered.append(name)
        self.push(self.routes)

    def push(self, routes: dict[str, Any], **of_apis: Any) -> None:
        """Put a policy in force that lists these routes: Signet's own for its API, the rest for others."""
        self.routes = routes
        config = json.loads((ROOT / "policy/config.json").read_text())
        others = {route: entry for route, entry in routes.items() if route != OWN_ROUTE}
        config["config"]["routes"] = {OWN_ROUTE: ROUTES[OWN_ROUTE]}
        config["config"]["apis"] = {name: {"routes": others} for name in self.registered} | of_apis
        files = {
            "config.json": json.dumps(config).encode(),
            "signet.rego": (ROOT / "policy/signet.rego").read_bytes(),
        }
        pushed = Pushed.after(None, files, now_ms=1_700_000_000_000)
        objects = S3ObjectStore(self.client("s3"), f"{STACK}-log")
        for name, body in files.items():
            objects.put(object_key(pushed.version.bundle_sha256, name), body)
        register = DynamoLockStore(self.client("dynamodb"), f"{STACK}-log", REGISTER)
        assert register.compare_and_swap(register.read(), pushed.encode())

    def http_api(self, **facts: Any) -> tuple[str, str]:
        """Guard an HTTP API with one route; returns its id and its authorizer's."""
        api_id = self.http.create_api(Name="web", ProtocolType="HTTP", **facts.pop("api", {}))["ApiId"]
        given = {
            "AuthorizerType": "REQUEST",
            "AuthorizerUri": self.uri(),
            "AuthorizerPayloadFormatVersion": "2.0",
            "AuthorizerResultTtlInSeconds": 0,
            "EnableSimpleResponses": True,
            "IdentitySource": [],
            **facts.pop("authorizer", {}),
        }
        authorizer = self.http.create_authorizer(ApiId=api_id, Name="Signet", **given)["AuthorizerId"]
        self.http.create_route(
            ApiId=api_id,
            RouteKey=facts.pop("route", "GET /orders/{id}"),
            AuthorizationType="CUSTOM",
            AuthorizerId=authorizer,
        )
        self.http.create_stage(
            ApiId=api_id,
            StageName="$default",
            **facts.pop("stage", {"DefaultRouteSettings": {"ThrottlingRateLimit": 100.0}}),
        )
        self.permit(api_id)
        self.register(f"web{len(self.registered)}", api_id, "$default")
        assert not facts
        return api_id, authorizer

    def domain(self, name: str, api_id: str, stage: str, *, mutual_tls: bool = False) -> None:
        truststore = {"MutualTlsAuthentication": {"TruststoreUri": "s3://trust/ca.pem"}} if mutual_tls else {}
        self.http.create_domain_name(DomainName=name, DomainNameConfigurations=[{}], **truststore)
        self.http.map(name, api_id, stage)


@contextmanager
def healthy() -> Iterator[World]:
    """Deploy a stack without a fault, and an API that it guards."""
    with mock_aws(config={"lambda": {"use_docker": False}}):
        world = World()
        _stores(world)
        _functions(world)
        world.client("cloudformation").create_stack(StackName=STACK, TemplateBody=template())
        world.api_id = next(
            one["PhysicalResourceId"]
            for one in world.client("cloudformation").list_stack_resources(StackName=STACK)[
                "StackResourceSummaries"
            ]
            if one["LogicalResourceId"] == "Api"
        )
        own = world.authorize(world.api_id)
        for route in ("GET /pch/challenge", "POST /pch/evidence", "GET /pch/keys"):
            world.method(world.api_id, route)
        world.method(world.api_id, "POST /compliance/pack", own)
        world.other_id = world.rest.create_rest_api(name="orders")["id"]
        world.authorizer_id = world.authorize(world.other_id)
        world.method(world.other_id, "GET /orders/{id}", world.authorizer_id)
        for api_id, stage in ((world.api_id, STAGE), (world.other_id, "live")):
            for name, fields in RESPONSES.items():
                world.respond(api_id, name, fields)
            world.deploy(api_id, stage)
            world.permit(api_id)
        world.routes = ROUTES
        world.register("orders", world.other_id, "live")
        world.alarm()
        yield world


def _stores(world: World) -> None:
    world.client("s3").create_bucket(Bucket=f"{STACK}-log")
    world.client("s3").put_object(Bucket=f"{STACK}-log", Key="sth/latest.json", Body=b"{}")
    for name in ("log", "breakers", "apis"):
        world.client("dynamodb").create_table(
            TableName=f"{STACK}-{name}",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            BillingMode="PAY_PER_REQUEST",
        )


def _functions(world: World) -> None:
    role = world.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    layer = world.client("lambda").publish_layer_version(
        LayerName="signet",
        Content={"ZipFile": archive()},
        CompatibleRuntimes=["python3.13"],
        CompatibleArchitectures=["x86_64"],
    )["LayerVersionArn"]
    for name in FUNCTIONS:
        world.client("lambda").create_function(
            FunctionName=f"{STACK}-{name}",
            Runtime="python3.13",
            Role=role,
            Handler="h.handler",
            Code={"ZipFile": archive()},
            Timeout=25,  # as in template.yaml
            Architectures=["x86_64"],
            Layers=[layer],
            Environment={"Variables": {"SIGNET_AUTHORITIES": "default"}},
        )


def archive() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("h.py", "")
    return made.getvalue()
