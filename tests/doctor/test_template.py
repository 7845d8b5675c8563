"""The shipped template, as the SAM transform leaves it, is a deployment in which the doctor finds nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from signet.core.apis import OWN_API
from signet_client.doctor import reading_apis
from signet_client.doctor.checks import find
from signet_client.doctor.facts import Api, Deployment, Function, Grant, Method, Rule
from tests.doctor.world import ACCOUNT, REGION, ROOT
from tests.template.cloudformation import transformed, with_parameters

FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:signet-Authorizer"
API = f"arn:aws:execute-api:{REGION}:{ACCOUNT}:api1234567"
NAMED = {
    "AWS::Region": REGION,
    "AWS::AccountId": ACCOUNT,
    "__ApiId__": "api1234567",
    "__FunctionArn__": FUNCTION,
}


def sub(value: Any) -> str:
    """Resolve the one ``Fn::Sub`` that a value is."""
    text = value["Fn::Sub"] if isinstance(value, Mapping) else value
    found = text if isinstance(text, str) else text[0]
    return re.sub(r"\$\{([^}]+)\}", lambda name: NAMED.get(name[1], name[1]), found)


@pytest.fixture(scope="module")
def parts() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        template = transformed()
    resolved: dict[str, Any] = with_parameters(template, DemoBackend="true", Production="false")(template)
    resources: dict[str, Any] = resolved["Resources"]
    return resources


def deployment(parts: Mapping[str, Any]) -> Deployment:
    """Return what the doctor would read of it: API, authorizer, permission, stage and function."""
    body = parts["Api"]["Properties"]["Body"]
    scheme = body["components"]["securitySchemes"]["Signet"]["x-amazon-apigateway-authorizer"]
    answered = {"id": "Signet", "name": "Signet", **scheme, "type": scheme["type"].upper()}
    authorizer = reading_apis._authorizer({**answered, "authorizerUri": sub(scheme["authorizerUri"])})
    settings = parts["ApiStage"]["Properties"]["MethodSettings"][0]
    api = Api(
        id="api1234567",
        kind="rest",
        stage="dev",
        own=True,
        name=OWN_API,
        arn=API,
        methods=tuple(
            Method(
                verb.upper(),
                path,
                *(("CUSTOM", "Signet") if operation.get("security") == [{"Signet": []}] else ("NONE",)),
            )
            for path, item in body["paths"].items()
            for verb, operation in item.items()
        ),
        authorizers={"Signet": authorizer},
        responses={
            name: reading_apis._fields(response)
            for name, response in body["x-amazon-apigateway-gateway-responses"].items()
        },
        stages=("dev",),
        rate=reading_apis._rate(float(settings["ThrottlingRateLimit"])),
        domains=(),
    )
    properties = parts["AuthorizerFunction"]["Properties"]
    function = Function(
        output="AuthorizerFunction",
        name="signet-Authorizer",
        arn=FUNCTION,
        timeout_s=properties["Timeout"],
        architectures=tuple(properties["Architectures"]),
        runtime=properties["Runtime"],
        environment=properties["Environment"]["Variables"],
    )
    permission = parts["ApiSignetAuthorizerPermission"]["Properties"]
    config = json.loads((ROOT / "policy/development/config.json").read_text())["config"]["routes"]
    return Deployment(
        stack="signet",
        parameters={"EdgeSecretArn": ""},
        apis=(api,),
        functions={"AuthorizerFunction": function},
        grants=(Grant("", (sub(permission["SourceArn"]),), ()),),
        rules=tuple(Rule(route, entry["minimum_binding"]) for route, entry in config.items()),
    )


def test_the_shipped_template_is_healthy(parts: dict[str, Any]) -> None:
    seen = deployment(parts)
    assert {method.authorization for method in seen.apis[0].methods or ()} == {"NONE", "CUSTOM"}
    assert find(seen) == ()


def test_and_would_not_be_without_its_gateway_responses(parts: dict[str, Any]) -> None:
    api = dict(parts["Api"]["Properties"]["Body"])
    api["x-amazon-apigateway-gateway-responses"] = {}
    changed = {**parts, "Api": {"Properties": {"Body": api}}}
    assert {finding.id for finding in find(deployment(changed))} == {
        "no_denied_response",
        "no_failure_response",
    }
