"""The orders API is attached in few lines, all of its routes and nothing else behind the authorizer."""

from __future__ import annotations

import difflib
import json
from copy import deepcopy
from functools import cache
from typing import Any

import pytest
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from signet.policy.bundle import read_folder
from signet_client.template_routes import read_template
from tests.support.world import ROOT
from tests.template.cloudformation import NoManagedPolicies, source
from tests.template.cloudformation import transformed as signet

EXAMPLE = ROOT / "examples" / "orders"
MOST_LINES = 15
ROUTES = {"GET /orders", "POST /orders", "GET /orders/{id}"}


@cache
def text(name: str) -> str:
    return (EXAMPLE / name).read_text()


@pytest.fixture(autouse=True)
def region(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")


def transformed(name: str) -> dict[str, Any]:
    """Return a template of the example as CloudFormation sees it after the SAM transform."""
    template = yaml_parse(text(name))
    template["Resources"]["OrdersFunction"]["Properties"]["CodeUri"] = "s3://bucket/key"
    found: dict[str, Any] = transform(template, {"SignetStack": "signet-dev"}, NoManagedPolicies())
    return found


def body(template: dict[str, Any]) -> dict[str, Any]:
    [api] = [r for r in template["Resources"].values() if r["Type"] == "AWS::ApiGateway::RestApi"]
    found: dict[str, Any] = api["Properties"]["Body"]
    return found


def operations(api: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{m.upper()} {path}": spec for path, item in api["paths"].items() for m, spec in item.items()}


def test_attaching_changes_at_most_fifteen_lines():
    before, after = (text(name).splitlines() for name in ("template.yaml", "attached.yaml"))
    changed = [line for line in difflib.ndiff(before, after) if line.startswith(("+ ", "- "))]
    assert 0 < len(changed) <= MOST_LINES, "\n".join(changed)


def test_before_nothing_is_guarded_and_after_every_route_is():
    assert read_template(EXAMPLE / "template.yaml").routes == dict.fromkeys(ROUTES, False)
    assert read_template(EXAMPLE / "attached.yaml").routes == dict.fromkeys(ROUTES, True)
    assert "ignet" not in text("template.yaml")
    after = operations(body(transformed("attached.yaml")))
    assert {route for route, spec in after.items() if spec.get("security") == [{"Signet": []}]} == ROUTES


def test_preflights_are_as_they_were():
    before, after = (operations(body(transformed(name))) for name in ("template.yaml", "attached.yaml"))
    preflights = {"OPTIONS /orders", "OPTIONS /orders/{id}"}
    assert set(before) == set(after) == ROUTES | preflights
    for route in preflights:
        assert after[route] == before[route]
        assert "security" not in after[route]


def test_no_decision_is_cached_and_none_is_skipped():
    [(_, scheme)] = body(transformed("attached.yaml"))["securityDefinitions"].items()
    authorizer = scheme["x-amazon-apigateway-authorizer"]
    assert (authorizer["type"], authorizer["authorizerResultTtlInSeconds"]) == ("request", 0)
    assert "identitySource" not in authorizer


def test_refusals_are_signet_s_own():
    """But for UNAUTHORIZED, which no route of an API without identity sources gives."""
    own = body(signet())["x-amazon-apigateway-gateway-responses"]
    answers = body(transformed("attached.yaml"))["x-amazon-apigateway-gateway-responses"]
    assert answers == {name: answer for name, answer in own.items() if name != "UNAUTHORIZED"}
    assert "x-amazon-apigateway-gateway-responses" not in body(transformed("template.yaml"))


def test_the_authorizer_that_is_asked_is_exported_and_may_be_invoked():
    resources = transformed("attached.yaml")["Resources"]
    [permission] = [
        resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Lambda::Permission" and "Authorizer" in name
    ]
    assert permission["FunctionName"] == {"Fn::ImportValue": {"Fn::Sub": "signet-dev-AuthorizerArn"}}
    assert permission["Principal"] == "apigateway.amazonaws.com"
    assert "/authorizers/*" in json.dumps(permission["SourceArn"])
    scheme = body(transformed("attached.yaml"))["securityDefinitions"]["Signet"]
    uri = scheme["x-amazon-apigateway-authorizer"]["authorizerUri"]["Fn::Sub"]
    assert uri[1] == {"__FunctionArn__": permission["FunctionName"]}


def test_what_other_stacks_import_is_exported_and_in_parameters():
    template = signet()
    outputs, resources = template["Outputs"], template["Resources"]
    exports = {out["Export"]["Name"]["Fn::Sub"]: out["Value"] for out in outputs.values() if "Export" in out}
    assert set(exports) == {"${AWS::StackName}-AuthorizerArn", "${AWS::StackName}-ChallengeUrl"}
    parameters = {
        resource["Properties"]["Name"]["Fn::Sub"]: resource["Properties"]["Value"]
        for resource in resources.values()
        if resource["Type"] == "AWS::SSM::Parameter"
    }
    assert parameters.pop("/signet/${AWS::StackName}/api-id") == {"Ref": "Api"}  # for Signet's own functions
    assert parameters == {
        "/signet/${AWS::StackName}/authorizer-arn": exports["${AWS::StackName}-AuthorizerArn"],
        "/signet/${AWS::StackName}/challenge-url": exports["${AWS::StackName}-ChallengeUrl"],
    }
    [alias] = [name for name, r in resources.items() if r["Type"] == "AWS::Lambda::Alias"]
    assert exports["${AWS::StackName}-AuthorizerArn"] == {"Ref": alias}


def test_the_alias_is_the_one_that_sam_would_make():
    """So that a step-by-step roll-out changes the alias that other stacks name, and makes no second one."""
    template = deepcopy(source())
    [(name, own)] = [
        (name, resource["Properties"])
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Lambda::Alias"
    ]
    del template["Resources"][name]
    template["Resources"]["AuthorizerFunction"]["Properties"]["AutoPublishAlias"] = own["Name"]
    for resource in template["Resources"].values():
        for key in ("CodeUri", "ContentUri"):
            if key in resource["Properties"]:
                resource["Properties"][key] = "s3://bucket/key"
    made = transform(template, {}, NoManagedPolicies())["Resources"]
    [sams] = [name for name, resource in made.items() if resource["Type"] == "AWS::Lambda::Alias"]
    assert sams == name
    same = {"Name", "FunctionName"}
    assert {k: made[sams]["Properties"][k] for k in same} == {k: own[k] for k in same}


def test_the_policy_is_the_development_one_with_one_api_more():
    own = json.loads(read_folder(EXAMPLE / "policy")["config.json"])["config"]
    [(name, settings)] = own.pop("apis").items()
    assert (name, set(settings), set(settings["routes"])) == ("orders", {"routes"}, ROUTES)
    development = json.loads((ROOT / "policy" / "development" / "config.json").read_text())["config"]
    assert own == development


def test_its_rules_are_the_shipped_ones_and_its_own():
    shipped = (ROOT / "policy" / "signet.rego").read_text()
    assert (EXAMPLE / "policy" / "signet.rego").read_text() == shipped, "copy policy/signet.rego"
