"""Every way in which a template declares a route is read; what is not written out is said to be unread."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from signet.core.errors import UsageError
from signet_client.declared_routes import Declared
from signet_client.policy_check import against_routes
from signet_client.template_routes import declared_by, read_template
from tests.support.world import ROOT, policy_files

WRITE = (
    'write "GET /protected/{id}": {"role": "caller", "minimum_binding": "none"} under routes in config.json'
)


def resources(**found: Any) -> Declared:
    return declared_by(found)


def test_the_shipped_template_declares_the_routes_of_the_shipped_policy() -> None:
    declared = read_template(ROOT / "template.yaml")
    assert declared.unread == []
    assert declared.guards("GET /protected/{item}") is True
    assert declared.guards("GET /pch/challenge") is False
    assert declared.guards("GET /orderz") is None
    assert against_routes(policy_files(""), declared) == ([], [])


def _event(**facts: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "Events": {"E": {"Type": "Api", "Properties": {"Path": "/a", "Method": "get", **facts}}}
        },
    }


@pytest.mark.parametrize(
    ("facts", "routes"),
    [
        ({}, {"GET /a": False}),
        ({"RestApiId": {"Ref": "Api"}}, {"GET /a": True}),
        ({"RestApiId": {"Ref": "Api"}, "Auth": {"Authorizer": "NONE"}}, {"GET /a": False}),
        ({"RestApiId": {"Ref": "Api"}, "Auth": {"Authorizer": "AWS_IAM"}}, {"GET /a": False}),
        ({"Auth": {"Authorizer": "Signet"}}, {"GET /a": True}),
        ({"Method": "any"}, {"ANY /a": False}),
        ({"Method": "*"}, {"ANY /a": False}),
        ({"Path": {"Fn::Sub": "/${P}"}}, {}),
    ],
)
def test_events_of_functions(facts: dict[str, Any], routes: dict[str, bool]) -> None:
    api = {"Type": "AWS::Serverless::Api", "Properties": {"Auth": {"DefaultAuthorizer": "Signet"}}}
    declared = resources(F=_event(**facts), Api=api)
    assert declared.routes == routes
    assert bool(declared.unread) == (not routes)


def test_an_openapi_body() -> None:
    body = {
        "paths": {
            "/a": {"get": {"security": [{"Signet": []}]}, "post": {"security": []}, "parameters": []},
            "/b/{id}": {"x-amazon-apigateway-any-method": {}},
        },
        "security": [{"Signet": []}],
    }
    declared = resources(Api={"Type": "AWS::ApiGateway::RestApi", "Properties": {"Body": body}})
    assert declared.routes == {"GET /a": True, "POST /a": False, "ANY /b/{id}": True}
    assert declared.guards("PATCH /b/{id}") is True


@pytest.mark.parametrize(
    "properties", [{"DefinitionUri": "api.yaml"}, {"DefinitionBody": {"Fn::Transform": {}}}]
)
def test_a_body_that_stands_elsewhere_is_said_to_be_unread(properties: dict[str, Any]) -> None:
    declared = resources(Api={"Type": "AWS::Serverless::Api", "Properties": properties})
    assert (declared.routes, declared.unread) == ({}, ["Api has its routes in a file elsewhere"])
    findings, notices = against_routes(policy_files(""), declared)
    assert findings == []  # it may well declare them
    assert "not read: Api has its routes in a file elsewhere" in notices
    assert sum("declares no route" in notice for notice in notices) == 6


def test_methods_and_resources() -> None:
    root = {"Fn::GetAtt": ["Api", "RootResourceId"]}

    def part(parent: Any, text: str) -> dict[str, Any]:
        return {"Type": "AWS::ApiGateway::Resource", "Properties": {"ParentId": parent, "PathPart": text}}

    def method(resource: Any, **facts: Any) -> dict[str, Any]:
        return {"Type": "AWS::ApiGateway::Method", "Properties": {"ResourceId": resource, **facts}}

    declared = resources(
        Orders=part(root, "orders"),
        Order=part({"Ref": "Orders"}, "{id}"),
        Loop=part({"Ref": "Loop"}, "x"),
        Get=method({"Ref": "Order"}, HttpMethod="GET", AuthorizationType="CUSTOM"),
        Root=method({"Fn::GetAtt": "Api.RootResourceId"}, HttpMethod="ANY", AuthorizationType="NONE"),
        Lost=method({"Ref": "Loop"}, HttpMethod="GET", AuthorizationType="CUSTOM"),
    )
    assert declared.routes == {"GET /orders/{id}": True, "ANY /": False}
    assert declared.unread == ["Lost does not write its method and path out"]


def test_rules_and_routes_that_do_not_meet_are_told() -> None:
    routes = dict.fromkeys(("POST /protected", "PUT /protected", "DELETE /protected"), True)
    routes |= {"GET /protected": False, "GET /protected/{id}": True, "POST /compliance/pack": True}
    findings, notices = against_routes(policy_files(""), Declared(routes))
    assert [(f.file, f.line, f.message) for f in findings] == [
        (
            "config.json",
            21,
            "the template declares no route 'GET /protected/{item}'; did you mean 'GET /protected/{id}'?",
        )
    ]
    assert notices == [
        "no authorizer guards 'GET /protected' in the template, so its rule is never asked",
        f"no rule for GET /protected/{{id}}: signed requests are refused there as no_rule; {WRITE}",
    ]


@pytest.mark.parametrize("text", ["[]", "a: [", "Resources: 1", "\x00", "a: !Sub", "- &a [*a]"])
def test_what_is_no_template_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    with pytest.raises(UsageError):
        read_template(path)


def test_a_template_in_json_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"Resources": {"F": _event(Auth={"Authorizer": "S"})}}))
    assert read_template(path).routes == {"GET /a": True}
