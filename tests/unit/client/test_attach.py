"""What ``signet attach`` prints: each tool's snippet says the same, and is what its tool reads."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse
from typer.testing import CliRunner

from local.tools import HOME, uv
from signet.core.apis import Api
from signet.core.errors import UsageError
from signet.core.vocabulary import PayloadKind
from signet_client.attach import cdk, cloudformation, openapi, sam, terraform
from signet_client.attach.attachment import GATEWAY_RESPONSES, Attachment, check_resource
from signet_client.cli import app
from signet_client.cli.attach import Tool, snippet
from signet_client.sources import Source, discovery_url, source_in
from signet_client.stack import Stack
from tests.support.pasted import merged
from tests.support.world import ROOT
from tests.template.cloudformation import NoManagedPolicies
from tests.template.cloudformation import transformed as signet

ACCOUNT = "123456789012"
ARN = f"arn:aws:lambda:eu-central-1:{ACCOUNT}:function:signet-dev-Authorizer:live"
URI = f"arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/{ARN}/invocations"
IMPORT = {"Fn::ImportValue": "signet-dev-AuthorizerArn"}
CDK_VERSION = "2.275.0"
EXPOSED = "'WWW-Authenticate,Signet-Nonce,Signet-Receipt'"
KINDS = list(PayloadKind)


def attachment(kind: PayloadKind = PayloadKind.REST_V1, account: str = ACCOUNT) -> Attachment:
    api = Api("orders", "a1b2c3d4e5", "v1", kind, account)
    return Attachment(api, "signet-dev", ARN, "https://signet.example/dev/pch/challenge", "OrdersApi")


FOREIGN = attachment(account="999999999999")


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


def orders(text: str) -> dict[str, Any]:
    """Return the orders template with a snippet in it, as CloudFormation sees it after the SAM transform."""
    template = merged(
        yaml_parse((ROOT / "examples" / "orders" / "template.yaml").read_text()), yaml.safe_load(text)
    )
    template["Resources"]["OrdersFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    found: dict[str, Any] = transform(template, {}, NoManagedPolicies())
    return found


def of_type(template: dict[str, Any], type_: str) -> list[dict[str, Any]]:
    return [r["Properties"] for r in template["Resources"].values() if r["Type"] == type_]


def gateway_responses() -> dict[str, Any]:
    """Return Signet's own, without the one that an API with other authorizers must keep."""
    [api] = of_type(signet(), "AWS::ApiGateway::RestApi")
    own: dict[str, Any] = api["Body"]["x-amazon-apigateway-gateway-responses"]
    return {name: answer for name, answer in own.items() if name != "UNAUTHORIZED"}


def test_the_gateway_responses_are_signet_s_own_and_scripts_may_read_them() -> None:
    readable = {"Access-Control-Allow-Origin": "'*'", "Access-Control-Expose-Headers": EXPOSED}
    assert {
        name: {
            "statusCode": str(response.status),
            "responseParameters": {
                f"gatewayresponse.header.{field}": value
                for field, value in response.headers.items()
                if readable.get(field) != value
            },
            "responseTemplates": {"application/json": response.body},
        }
        for name, response in GATEWAY_RESPONSES.items()
    } == gateway_responses()
    assert all(readable.items() <= response.headers.items() for response in GATEWAY_RESPONSES.values())


def parameters(kind: str) -> dict[str, str]:
    return {
        f"gatewayresponse.header.{name}": value for name, value in GATEWAY_RESPONSES[kind].headers.items()
    }


def test_sam_guards_every_route_of_a_rest_api_but_preflights() -> None:
    template = orders(sam.snippet(attachment()))
    [api] = of_type(template, "AWS::ApiGateway::RestApi")
    authorizer = api["Body"]["securityDefinitions"]["Signet"]["x-amazon-apigateway-authorizer"]
    assert (authorizer["type"], authorizer["authorizerResultTtlInSeconds"]) == ("request", 0)
    assert "identitySource" not in authorizer
    assert authorizer["authorizerUri"]["Fn::Sub"][1] == {"__FunctionArn__": IMPORT}
    guarded = {
        f"{method} {path}": spec.get("security")
        for path, item in api["Body"]["paths"].items()
        for method, spec in item.items()
    }
    routes = ("get /orders", "post /orders", "get /orders/{id}")
    assert guarded == {route: [{"Signet": []}] for route in routes} | dict.fromkeys(
        ("options /orders", "options /orders/{id}")
    )
    answers = api["Body"]["x-amazon-apigateway-gateway-responses"]
    assert {name: answer["responseParameters"] for name, answer in answers.items()} == {
        name: parameters(name) for name in GATEWAY_RESPONSES
    }
    assert [p for p in of_type(template, "AWS::Lambda::Permission") if p["FunctionName"] == IMPORT]


def test_sam_attaches_in_fifteen_lines() -> None:
    text = sam.snippet(attachment())
    added = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(added) - len(("Resources:", "OrdersApi:", "Type:", "Properties:")) <= 15


def test_sam_makes_no_permission_in_another_account() -> None:
    template = orders(sam.snippet(FOREIGN))
    [api] = of_type(template, "AWS::ApiGateway::RestApi")
    authorizer = api["Body"]["securityDefinitions"]["Signet"]["x-amazon-apigateway-authorizer"]
    assert authorizer["authorizerUri"]["Fn::Sub"][1] == {"__FunctionArn__": ARN}
    functions = [json.dumps(p["FunctionName"]) for p in of_type(template, "AWS::Lambda::Permission")]
    assert not [name for name in functions if "uthorizer" in name]


@pytest.mark.parametrize("kind", [PayloadKind.HTTP_V1, PayloadKind.HTTP_V2])
def test_sam_guards_an_http_api_with_the_payload_of_its_registration(kind: PayloadKind) -> None:
    base: dict[str, Any] = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Backend": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "CodeUri": "s3://bucket/key",
                    "Handler": "app.handler",
                    "Runtime": "python3.13",
                    "Events": {
                        "List": {
                            "Type": "HttpApi",
                            "Properties": {
                                "ApiId": {"Ref": "OrdersApi"},
                                "Path": "/orders",
                                "Method": "get",
                            },
                        }
                    },
                },
            }
        },
    }
    text = sam.snippet(attachment(kind))
    template = transform(merged(base, yaml.safe_load(text)), {}, NoManagedPolicies())
    [api] = of_type(template, "AWS::ApiGatewayV2::Api")
    scheme = api["Body"]["components"]["securitySchemes"]["Signet"]["x-amazon-apigateway-authorizer"]
    assert scheme["authorizerPayloadFormatVersion"] == ("2.0" if kind is PayloadKind.HTTP_V2 else "1.0")
    assert scheme.get("enableSimpleResponses", False) is (kind is PayloadKind.HTTP_V2)
    assert not scheme.get("identitySource")
    assert scheme["authorizerResultTtlInSeconds"] == 0
    assert api["Body"]["paths"]["/orders"]["get"]["security"] == [{"Signet": []}]
    [permission] = [p for p in of_type(template, "AWS::Lambda::Permission") if p["FunctionName"] == IMPORT]
    assert permission["SourceArn"]["Fn::Sub"].endswith(":${OrdersApi}/authorizers/*")


def test_cloudformation_adds_what_the_sam_transform_makes() -> None:
    resources = yaml.safe_load(cloudformation.snippet(attachment()))["Resources"]
    authorizer = resources.pop("SignetAuthorizer")
    assert authorizer["Type"] == "AWS::ApiGateway::Authorizer"
    uri, named = authorizer["Properties"].pop("AuthorizerUri")["Fn::Sub"]
    assert named == {"Arn": IMPORT}
    [api] = of_type(orders(sam.snippet(attachment())), "AWS::ApiGateway::RestApi")
    made = api["Body"]["securityDefinitions"]["Signet"]["x-amazon-apigateway-authorizer"]
    named_as_sam = uri.replace("${Arn}", "${__FunctionArn__}").replace("${AWS::Partition}", "aws")
    assert named_as_sam == made["authorizerUri"]["Fn::Sub"][0]
    assert authorizer["Properties"] == {
        "Name": "Signet",
        "RestApiId": {"Ref": "OrdersApi"},
        "Type": "REQUEST",
        "AuthorizerResultTtlInSeconds": 0,
    }
    permission = resources.pop("SignetMayBeAsked")["Properties"]
    assert permission["FunctionName"] == IMPORT
    assert {
        r["Properties"]["ResponseType"]: r["Properties"]["ResponseParameters"] for r in resources.values()
    } == {name: parameters(name) for name in GATEWAY_RESPONSES}


@pytest.mark.parametrize("kind", [PayloadKind.HTTP_V1, PayloadKind.HTTP_V2])
def test_cloudformation_of_an_http_api(kind: PayloadKind) -> None:
    resources = yaml.safe_load(cloudformation.snippet(attachment(kind)))["Resources"]
    own = resources["SignetAuthorizer"]["Properties"]
    simple = kind is PayloadKind.HTTP_V2
    assert (own["AuthorizerPayloadFormatVersion"], own["EnableSimpleResponses"]) == (
        "2.0" if simple else "1.0",
        simple,
    )
    assert own["AuthorizerResultTtlInSeconds"] == 0
    assert "IdentitySource" not in own
    assert set(resources) == {"SignetAuthorizer", "SignetMayBeAsked"}


def test_cloudformation_in_another_account_names_the_arn_and_makes_no_permission() -> None:
    resources = yaml.safe_load(cloudformation.snippet(FOREIGN))["Resources"]
    assert resources["SignetAuthorizer"]["Properties"]["AuthorizerUri"]["Fn::Sub"][1] == {"Arn": ARN}
    assert "SignetMayBeAsked" not in resources


@pytest.mark.parametrize("kind", KINDS)
def test_openapi_has_the_scheme_and_a_rest_api_s_responses(kind: PayloadKind) -> None:
    document = yaml.safe_load(openapi.snippet(attachment(kind)))
    scheme = document["components"]["securitySchemes"]["Signet"]
    assert scheme["x-amazon-apigateway-authtype"] == "custom"
    expected: dict[str, Any] = {"type": "request", "authorizerUri": URI, "authorizerResultTtlInSeconds": 0}
    if kind is not PayloadKind.REST_V1:
        expected["authorizerPayloadFormatVersion"] = "2.0" if kind is PayloadKind.HTTP_V2 else "1.0"
        expected["enableSimpleResponses"] = kind is PayloadKind.HTTP_V2
    assert scheme["x-amazon-apigateway-authorizer"] == expected
    if kind is PayloadKind.REST_V1:
        operation = document["paths"]["/.well-known/pch"]["get"]
        assert "security" not in operation
        mock = operation["x-amazon-apigateway-integration"]
        assert (mock["type"], mock["requestTemplates"]) == (
            "mock",
            {"application/json": '{"statusCode": 200}'},
        )
        told = mock["responses"]["default"]["responseTemplates"]["application/json"]
        assert source_in(told.encode(), "https://api.example.com/orders") is not None
    answers = document.get("x-amazon-apigateway-gateway-responses", {})
    assert {name: answer["responseParameters"] for name, answer in answers.items()} == (
        {name: parameters(name) for name in GATEWAY_RESPONSES} if kind is PayloadKind.REST_V1 else {}
    )


BLOCK = re.compile(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)


def blocks(text: str) -> dict[str, dict[str, str]]:
    """Return the resources of a file: by type and name their settings, as they are written."""
    code = re.sub(r"^ *#.*\n", "", text, flags=re.MULTILINE)
    assert BLOCK.sub("", code).strip() == ""  # nothing else is in it
    found = {}
    for type_, name, inside in BLOCK.findall(code):
        lines = (line.partition(" #")[0] for line in inside.splitlines())
        pairs = (line.strip().partition("=") for line in lines if "=" in line)
        found[f"{type_}.{name}"] = {key.strip().strip('"'): value.strip() for key, _, value in pairs}
    return found


def test_terraform_of_a_rest_api() -> None:
    found = blocks(terraform.snippet(attachment()))
    authorizer = found.pop("aws_api_gateway_authorizer.signet")
    assert authorizer["authorizer_result_ttl_in_seconds"] == "0"
    assert authorizer["authorizer_uri"] == json.dumps(URI)
    assert authorizer["identity_source"] == '"context.identity.sourceIp"'
    permission = found.pop("aws_lambda_permission.signet")
    assert f"{permission['function_name']}:{permission['qualifier']}".replace('"', "") == ARN
    for kind in GATEWAY_RESPONSES:
        response = found.pop(f"aws_api_gateway_gateway_response.signet_{kind.lower()}")
        assert response["response_type"] == f'"{kind}"'
        headers = {name: json.loads(v) for name, v in response.items() if name.startswith("gatewayresponse")}
        assert headers == parameters(kind)
    assert not found


@pytest.mark.parametrize("kind", [PayloadKind.HTTP_V1, PayloadKind.HTTP_V2])
def test_terraform_of_an_http_api(kind: PayloadKind) -> None:
    found = blocks(terraform.snippet(attachment(kind)))
    assert set(found) == {"aws_apigatewayv2_authorizer.signet", "aws_lambda_permission.signet"}
    own = found["aws_apigatewayv2_authorizer.signet"]
    simple = kind is PayloadKind.HTTP_V2
    assert own["authorizer_payload_format_version"] == ('"2.0"' if simple else '"1.0"')
    assert own["enable_simple_responses"] == str(simple).lower()
    assert own["authorizer_result_ttl_in_seconds"] == "0"
    assert "identity_sources" not in own


def test_terraform_makes_no_permission_in_another_account() -> None:
    assert "aws_lambda_permission.signet" not in blocks(terraform.snippet(FOREIGN))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tool", list(Tool))
def test_every_snippet_says_what_it_replaces_and_where_challenges_are(tool: Tool, kind: PayloadKind) -> None:
    text = snippet(tool, attachment(kind))
    assert "replaces a Cognito, JWT, IAM or Lambda authorizer" in text
    assert "OPTIONS stays without an authorizer" in text
    assert "UNAUTHORIZED" not in text
    challenges = "https://signet.example/dev/pch/challenge?api=orders"
    assert challenges in text
    # The document that it shows is one that our client believes.
    [document] = [line.lstrip("# ") for line in text.splitlines() if line.startswith('# {"challenge_uri"')]
    found = source_in(document.encode(), "https://api.example.com/orders")
    assert found == Source("https://signet.example/dev/pch/challenge", "orders")
    assert discovery_url("https://api.example.com/v1/orders").endswith("//api.example.com/.well-known/pch")
    assert "GET /.well-known/pch" in text


@pytest.mark.parametrize("name", ["", "Orders Api", "a\n", "${x}", "Ä", "1st"])
def test_what_is_no_resource_s_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="resource"):
        check_resource(name)


@pytest.mark.parametrize(("name", "code"), [("orders", 0), ("order", 2)])
def test_the_command_knows_registered_apis_only(
    monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    one = attachment()
    outputs = {"AuthorizerArn": one.authorizer_arn, "ChallengeUrl": one.challenge_url}
    monkeypatch.setattr("signet_client.stack.read_stack", lambda stack: Stack(stack, outputs))
    monkeypatch.setattr("signet_client.cli.apis.registry", lambda _: SimpleNamespace(each=lambda: [one.api]))
    given = ["attach", "--print", "sam", "--api", name, "--resource", "OrdersApi", "--stack", one.stack]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == code, done.output
    assert done.output == sam.snippet(one) if code == 0 else "signet apis add" in done.output


APPS = {
    PayloadKind.REST_V1: """\
api = apigateway.RestApi(
    stack, "OrdersApi", default_method_options=apigateway.MethodOptions(authorizer=signet(stack))
)
signet_responses(api)
api.root.add_resource("orders").add_method("GET", apigateway.MockIntegration())
""",
    PayloadKind.HTTP_V2: """\
from aws_cdk import aws_apigatewayv2 as http
from aws_cdk.aws_apigatewayv2_integrations import HttpUrlIntegration

api = http.HttpApi(stack, "OrdersApi", default_authorizer=signet(stack))
api.add_routes(path="/orders", integration=HttpUrlIntegration("Backend", "https://backend.example"))
""",
}


def synthesized(one: Attachment, folder: Path) -> dict[str, Any]:
    """Run a CDK app with the snippet in it; skip where CDK's packages or Node.js are not to be had."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    packages = HOME / "tools" / f"cdk-{CDK_VERSION}"
    if not (packages / "aws_cdk").is_dir():
        wanted = ["--target", str(packages), "--python", sys.executable, f"aws-cdk-lib=={CDK_VERSION}"]
        got = subprocess.run(
            [str(uv()), "pip", "install", "--quiet", *wanted], capture_output=True, text=True, check=False
        )
        if got.returncode:
            pytest.skip(f"aws-cdk-lib cannot be installed: {got.stderr.strip()[-200:]}")
    env = f"env=cdk.Environment(account={one.api.account!r}, region='eu-central-1')"
    app = (
        f"{cdk.snippet(one)}\n\nimport aws_cdk as cdk\n\napp = cdk.App(outdir={str(folder)!r})\n"
        f"stack = Stack(app, 'orders', {env})\n{APPS[one.api.kind]}\napp.synth()\n"
    )
    (folder / "app.py").write_text(app)
    done = subprocess.run(
        [sys.executable, str(folder / "app.py")],
        env={
            "PYTHONPATH": str(packages),
            "PATH": str(Path(shutil.which("node") or "").parent),
            "HOME": str(folder),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((folder / "orders.template.json").read_text())
    return found


@pytest.mark.long
def test_cdk_synthesises_a_guarded_rest_api(tmp_path: Path) -> None:
    template = synthesized(attachment(), tmp_path)
    [authorizer] = of_type(template, "AWS::ApiGateway::Authorizer")
    assert (authorizer["Type"], authorizer["AuthorizerResultTtlInSeconds"]) == ("REQUEST", 0)
    assert not authorizer.get("IdentitySource")
    assert ARN in json.dumps(authorizer["AuthorizerUri"])
    [method] = of_type(template, "AWS::ApiGateway::Method")
    assert method["AuthorizationType"] == "CUSTOM"
    [permission] = of_type(template, "AWS::Lambda::Permission")
    assert permission["FunctionName"] == ARN
    assert {
        r["ResponseType"]: r["ResponseParameters"]
        for r in of_type(template, "AWS::ApiGateway::GatewayResponse")
    } == {name: parameters(name) for name in GATEWAY_RESPONSES}


@pytest.mark.long
def test_cdk_synthesises_a_guarded_http_api(tmp_path: Path) -> None:
    template = synthesized(attachment(PayloadKind.HTTP_V2), tmp_path)
    [authorizer] = of_type(template, "AWS::ApiGatewayV2::Authorizer")
    assert (authorizer["AuthorizerPayloadFormatVersion"], authorizer["EnableSimpleResponses"]) == (
        "2.0",
        True,
    )
    assert authorizer["AuthorizerResultTtlInSeconds"] == 0
    assert not authorizer.get("IdentitySource")
    [route] = of_type(template, "AWS::ApiGatewayV2::Route")
    assert route["AuthorizationType"] == "CUSTOM"
    [permission] = of_type(template, "AWS::Lambda::Permission")
    assert permission["FunctionName"] == ARN


@pytest.mark.sweep
def test_cdk_makes_no_permission_in_another_account(tmp_path: Path) -> None:
    template = synthesized(FOREIGN, tmp_path)
    assert not of_type(template, "AWS::Lambda::Permission")
