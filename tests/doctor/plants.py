"""Mistakes to plant in a deployment without a fault, and what the doctor has to say of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from signet.aws.breaker import DynamoBreakerStore
from signet.breaker.config import BreakerConfig
from signet.breaker.estimator import arrival_epochs
from signet.breaker.machine import BreakerRecord
from signet.breaker.snapshot import DEFAULT_NAME, arrivals_item, encode, first
from signet.core.ports import StoredBreaker
from signet.core.vocabulary import BreakerState
from tests.doctor.world import ROUTES, STACK, STAGE, World, archive
from tests.support.registered import take_away

CORS = {
    "Access-Control-Allow-Origin": "'*'",
    "Access-Control-Expose-Headers": "'WWW-Authenticate,Signet-Nonce'",
}
CHALLENGE = {"WWW-Authenticate": "context.authorizer.challenge"}


@dataclass(frozen=True)
class Plant:
    """A mistake.

    Attributes:
        name: of the test.
        id: the one finding.
        mend: a part of the line that mends it.
        do: what plants it.
        where: a part of what it is about.
    """

    name: str
    id: str
    mend: str
    do: Callable[[World], object]
    where: str = ""


def _authorizer(world: World, member: str, value: str) -> None:
    world.rest.update_authorizer(
        restApiId=world.other_id,
        authorizerId=world.authorizer_id,
        patchOperations=[{"op": "replace", "path": f"/{member}", "value": value}],
    )


def _function(world: World, name: str = "Authorizer", **facts: Any) -> None:
    world.client("lambda").update_function_configuration(FunctionName=f"{STACK}-{name}", **facts)


def _authorities(world: World, *names: str) -> None:
    _function(world, Environment={"Variables": {"SIGNET_AUTHORITIES": ",".join(("default", *names))}})


def _token(world: World) -> None:
    """An API of its own: moto changes no authorizer's type."""
    api_id = world.rest.create_rest_api(name="token")["id"]
    authorizer = world.authorize(api_id, type="TOKEN", identitySource="method.request.header.Signature")
    world.method(api_id, "GET /orders/{id}", authorizer)
    _serve(world, api_id)


def _serve(world: World, api_id: str) -> None:
    for name, fields in (
        ("ACCESS_DENIED", CHALLENGE),
        ("AUTHORIZER_FAILURE", {}),
        ("AUTHORIZER_CONFIGURATION_ERROR", {}),
    ):
        world.respond(api_id, name, fields)
    world.deploy(api_id, "live")
    world.permit(api_id)
    world.register("token", api_id, "live")


def _preflight(world: World) -> None:
    for name in ("ACCESS_DENIED", "AUTHORIZER_FAILURE", "AUTHORIZER_CONFIGURATION_ERROR"):
        world.respond(world.other_id, name, {**CHALLENGE, **CORS})
    world.method(world.other_id, "OPTIONS /orders/{id}", world.authorizer_id)


def _mutual_tls(world: World) -> None:
    world.domain("mtls.example.com", world.other_id, "live", mutual_tls=True)
    _authorities(world, "mtls.example.com")


def _other_name(world: World) -> None:
    world.domain("api.example.com", world.api_id, STAGE)


def _any(world: World) -> None:
    world.push({**ROUTES, "GET /carts": {"role": "caller", "minimum_binding": "none"}})
    world.method(world.other_id, "ANY /carts", world.authorizer_id)


def _without_the_route(world: World) -> None:
    """An API without the route that the policy lists for it, and that another one has."""
    api_id = world.rest.create_rest_api(name="token")["id"]
    world.method(api_id, "GET /x", world.authorize(api_id))
    _serve(world, api_id)
    listed = {"routes": dict.fromkeys(("GET /x", "GET /orders/{id}"), ROUTES["GET /orders/{id}"])}
    world.push(ROUTES, token=listed)


def _unregistered(world: World) -> None:
    api_id = world.rest.create_rest_api(name="new")["id"]
    world.method(api_id, "GET /orders/{id}", world.authorize(api_id))
    _serve(world, api_id)
    take_away(world.client("dynamodb"), f"{STACK}-apis", "token")
    world.registered.remove("token")
    world.push(ROUTES)
    world.named = [(api_id, "live")]


def _bound(binding: str) -> Callable[[World], None]:
    return lambda world: world.push(
        {**ROUTES, "GET /orders/{id}": {"role": "caller", "minimum_binding": binding}}
    )


def _concurrency(world: World) -> None:
    world.client("lambda").put_function_concurrency(
        FunctionName=f"{STACK}-Authorizer", ReservedConcurrentExecutions=10
    )


def _layer(world: World, **facts: Any) -> None:
    given = {"CompatibleArchitectures": ["x86_64"], "CompatibleRuntimes": ["python3.13"], **facts}
    layer = world.client("lambda").publish_layer_version(
        LayerName="other", Content={"ZipFile": archive()}, **given
    )["LayerVersionArn"]
    _function(world, "Pack", Layers=[layer])


def _queue(world: World, logical: str) -> str:
    found = world.client("cloudformation").describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
    return next(str(one["OutputValue"]) for one in found if one["OutputKey"] == logical)


def _send(world: World, logical: str) -> str:
    url = _queue(world, logical)
    world.client("sqs").send_message(QueueUrl=url, MessageBody="{}")
    return url.rpartition("/")[2]


def _aged(logical: str, seconds: float) -> Callable[[World], None]:
    """Put a message into a queue, and let CloudWatch say how old it is."""

    def plant(world: World) -> None:
        point = {
            "MetricName": "ApproximateAgeOfOldestMessage",
            "Dimensions": [{"Name": "QueueName", "Value": _send(world, logical)}],
            "Timestamp": datetime.now(UTC) - timedelta(minutes=1),
            "Value": seconds,
        }
        world.client("cloudwatch").put_metric_data(Namespace="AWS/SQS", MetricData=[point])

    return plant


def _blind(world: World, name: str = "orders") -> None:
    now_ms = int(world.now() * 1000)
    record = BreakerRecord(
        version=1,
        generation=1,
        state=BreakerState.HALF_OPEN,
        state_since_ms=now_ms - 900_000,
        admit_ppm=10_000,
    )
    store = DynamoBreakerStore(world.client("dynamodb"), f"{STACK}-breakers")
    assert store.move(StoredBreaker(name, 1, encode(record)))
    assert store.move(first(DEFAULT_NAME, now_ms))
    estimator = BreakerConfig().estimator
    bins = {f"b{number}": "5" for number in range(estimator.bins_per_epoch)}
    for epoch in arrival_epochs(now_ms, estimator):
        store.add(arrivals_item(name, epoch), bins, expires_at=2**31)


def _second_stage(world: World) -> None:
    world.deploy(world.other_id, "old")


def _unlimited(world: World) -> None:
    world.rest.delete_stage(restApiId=world.other_id, stageName="live")
    world.deploy(world.other_id, "live", rate="")


def _http_default(world: World) -> None:
    api_id, authorizer = world.http_api()
    world.http.create_route(
        ApiId=api_id, RouteKey="$default", AuthorizationType="CUSTOM", AuthorizerId=authorizer
    )


def _unpermitted(world: World) -> None:
    world.client("lambda").remove_permission(
        FunctionName=f"{STACK}-Authorizer", StatementId=f"api-{world.other_id}"
    )


PLANTS = (
    Plant(
        "open_method",
        "method_without_authorizer",
        "signet doctor --open 'GET /open'",
        lambda world: world.method(world.other_id, "GET /open"),
        "GET /open",
    ),
    Plant(
        "another_authorizer",
        "method_without_authorizer",
        "Auth: {Authorizer: Signet}",
        lambda world: world.method(world.other_id, "GET /iam", kind="AWS_IAM"),
    ),
    Plant("preflight", "preflight_to_authorizer", "AddDefaultAuthorizerToCorsPreflight: false", _preflight),
    Plant(
        "cached",
        "authorizer_caches",
        "AuthorizerResultTtlInSeconds: 0",
        lambda world: _authorizer(world, "authorizerResultTtlInSeconds", "300"),
    ),
    Plant(
        "identity_source",
        "identity_source",
        "IdentitySource left out",
        lambda world: _authorizer(world, "identitySource", "method.request.header.Signature"),
    ),
    Plant("token", "authorizer_type", "Type: REQUEST", _token),
    Plant("not_permitted", "invoke_permission", "aws lambda add-permission --function-name", _unpermitted),
    Plant(
        "no_denied_response",
        "no_denied_response",
        "ACCESS_DENIED: {StatusCode: 401",
        lambda world: world.rest.delete_gateway_response(
            restApiId=world.other_id, responseType="ACCESS_DENIED"
        ),
    ),
    Plant(
        "no_challenge",
        "no_challenge",
        "WWW-Authenticate: context.authorizer.challenge",
        lambda world: world.respond(world.other_id, "ACCESS_DENIED", {"WWW-Authenticate": "'PCH'"}),
    ),
    Plant(
        "no_failure_response",
        "no_failure_response",
        "AUTHORIZER_FAILURE: {StatusCode: 503",
        lambda world: world.rest.delete_gateway_response(
            restApiId=world.other_id, responseType="AUTHORIZER_FAILURE"
        ),
    ),
    Plant(
        "no_shed_response",
        "no_failure_response",
        "AUTHORIZER_CONFIGURATION_ERROR: {StatusCode: 503",
        lambda world: world.rest.delete_gateway_response(
            restApiId=world.other_id, responseType="AUTHORIZER_CONFIGURATION_ERROR"
        ),
    ),
    Plant(
        "unauthorized",
        "unauthorized_overridden",
        "UNAUTHORIZED left out",
        lambda world: world.respond(world.other_id, "UNAUTHORIZED", {"WWW-Authenticate": "'PCH realm=x'"}),
    ),
    Plant(
        "no_cors",
        "cors_on_response",
        "Access-Control-Allow-Origin",
        lambda world: world.method(world.other_id, "OPTIONS /orders/{id}"),
    ),
    Plant("execute_api", "endpoint_beside_mutual_tls", "DisableExecuteApiEndpoint: true", _mutual_tls),
    Plant("other_stage", "other_stage", "--stage old", _second_stage),
    Plant("unlisted_name", "authority_not_listed", "Authorities=default,api.example.com", _other_name),
    Plant("unlimited", "no_throttle", "ThrottlingRateLimit: 100", _unlimited),
    Plant("too_fast", "throttle_over_concurrency", "ReservedConcurrentExecutions: 20", _concurrency),
    Plant(
        "cors_headers",
        "cors_allow_headers",
        "AllowHeaders: [content-type, signature, signature-input, content-digest]",
        lambda world: world.http_api(api={"CorsConfiguration": {"AllowHeaders": ["content-type"]}}),
    ),
    Plant(
        "unruled",
        "route_without_rule",
        '"minimum_binding": "none"} under config.apis[\'orders\'].routes, then',
        lambda world: world.push({"POST /compliance/pack": ROUTES["POST /compliance/pack"]}),
    ),
    Plant(
        "unused_rule",
        "rule_without_route",
        "signet policy push",
        lambda world: world.push({**ROUTES, "GET /orderz": {"role": "caller", "minimum_binding": "none"}}),
        "GET /orderz",
    ),
    Plant(
        "unused_rule_of_an_equal_route",
        "rule_without_route",
        "'GET /orders/{id}' taken out of config.apis['token'].routes",
        _without_the_route,
        "policy, token GET /orders/{id}",
    ),
    Plant(
        "not_deployed",
        "api_not_deployed",
        "signet apis remove gone",
        lambda world: world.register("gone", "gone123", "live"),
        "registered API gone",
    ),
    Plant(
        "no_such_stage",
        "api_not_deployed",
        "signet apis remove beta",
        lambda world: world.register("beta", world.other_id, "beta"),
        "registered API beta",
    ),
    Plant(
        "policy_of_no_api",
        "api_not_registered",
        "signet apis add ghost",
        lambda world: world.push(ROUTES, ghost={"routes": {"GET /orders/{id}": ROUTES["GET /orders/{id}"]}}),
        "policy, config.apis['ghost']",
    ),
    Plant("unregistered", "api_not_registered", "signet apis add NAME --api-id", _unregistered),
    Plant("any", "any_method", "GET one by one in place of ANY", _any),
    Plant("no_edge", "binding_not_observed", "EdgeSecretArn=ARN", _bound("tls-exporter")),
    Plant("no_mutual_tls", "binding_not_observed", "MutualTlsAuthentication", _bound("tls-client-cert")),
    Plant("default_route", "default_route", "a route of its own", _http_default),
    Plant(
        "payload_1",
        "payload_version",
        "AuthorizerPayloadFormatVersion: '2.0'",
        lambda world: world.http_api(authorizer={"AuthorizerPayloadFormatVersion": "1.0"}),
    ),
    Plant(
        "no_simple",
        "simple_responses",
        "EnableSimpleResponses: true",
        lambda world: world.http_api(authorizer={"EnableSimpleResponses": False}),
    ),
    Plant(
        "http_identity",
        "identity_source",
        "IdentitySource left out",
        lambda world: world.http_api(authorizer={"IdentitySource": ["$request.header.Signature"]}),
    ),
    Plant("slow_for_rest", "timeout_over_gateway", "Timeout: 25", lambda world: _function(world, Timeout=29)),
    Plant(
        "arm_layer",
        "layer_architecture",
        "SIGNET_LAYER_ARCH=x86_64 sam build",
        lambda world: _layer(world, CompatibleArchitectures=["arm64"]),
        "PackFunction",
    ),
    Plant(
        "old_layer",
        "layer_runtime",
        "SIGNET_LAYER_PYTHON=3.13 sam build",
        lambda world: _layer(world, CompatibleRuntimes=["python3.12"]),
    ),
    Plant(
        "emulator",
        "endpoint_differs",
        "EndpointUrl=http://localhost:4566",
        lambda world: _function(
            world, "Audit", Environment={"Variables": {"AWS_ENDPOINT_URL": "http://localhost:4566"}}
        ),
    ),
    Plant("waiting", "queue_age", "receipt_sink --since 1h", _aged("ReceiptQueueUrl", 900.0)),
    Plant("dead", "dead_letters", "signet redrive --stack", _aged("ReceiptDlqUrl", 5.0)),
    Plant(
        "no_head",
        "tree_head_age",
        f"signet close --stack {STACK}",
        lambda world: world.client("s3").delete_object(Bucket=f"{STACK}-log", Key="sth/latest.json"),
    ),
    Plant("blind", "breaker_without_reports", "@observe", _blind),
    Plant("silent", "alarm_without_action", "AlarmTopicArn=ARN", lambda world: world.alarm(actions=False)),
    Plant(
        "ringing",
        "alarm_rings",
        "Run signet close",
        lambda world: world.client("cloudwatch").set_alarm_state(
            AlarmName="signet-test-TreeHeadStale", StateValue="ALARM", StateReason="x"
        ),
    ),
    Plant("clock", "clock_skew", "timedatectl", lambda world: setattr(world, "ahead_s", 90.0)),
)
