"""``signet policy check`` against an OpenAPI document, an HTTP API's template and a deployed API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from signet.core.errors import UsageError
from signet_client import deployed_routes
from signet_client.cli import app
from signet_client.declared_routes import Declared, merged
from signet_client.openapi_routes import read_openapi
from signet_client.policy_check import against_routes
from signet_client.template_routes import declared_by
from tests.doctor.test_reading import Watched
from tests.doctor.world import ROOT, World

AUTHORIZER = {
    "type": "apiKey",
    "x-amazon-apigateway-authtype": "custom",
    "x-amazon-apigateway-authorizer": {},
}
GREEDY = "its requests come in by 'ANY /v1/{proxy+}': write 'GET /v1/{proxy+}'"
GUARDED = {"security": [{"Signet": []}]}


def document(**paths: Any) -> dict[str, Any]:
    schemes = {"Signet": AUTHORIZER, "Key": {"type": "apiKey", "in": "header", "name": "x-api-key"}}
    return {"openapi": "3.0.1", "components": {"securitySchemes": schemes}, "paths": paths}


def files(*routes: str) -> dict[str, bytes]:
    listed = {route: {"role": "caller", "minimum_binding": "none"} for route in routes}
    return {"config.json": json.dumps({"config": {"routes": listed}}, indent=1).encode()}


@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_an_openapi_document_is_read(tmp_path: Path, suffix: str) -> None:
    body = document(
        **{
            "/orders": {"get": GUARDED, "post": {"security": []}, "parameters": []},
            "/keyed": {"get": {"security": [{"Key": []}]}},
            "/iam": {"get": {**GUARDED, "x-amazon-apigateway-auth": {"type": "NONE"}}},
            "/{proxy+}": {"x-amazon-apigateway-any-method": GUARDED},
            "/$default": {"x-amazon-apigateway-any-method": {}},
            "/far": {"$ref": "other.yaml"},
        }
    )
    path = tmp_path / f"api.{suffix}"
    path.write_text(json.dumps(body) if suffix == "json" else yaml.safe_dump(body))
    found = read_openapi(path)
    assert found.routes == {
        "GET /orders": True,
        "POST /orders": False,
        "GET /keyed": False,
        "GET /iam": False,
        "ANY /{proxy+}": True,
        "ANY $default": False,
    }
    assert found.unread == [f"{path.name} /far stands in another document ($ref)"]
    assert found.guards("DELETE /{proxy+}") is True


def test_security_of_the_whole_document_and_without_extensions(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    body = {
        "openapi": "3.1.0",
        "security": [{"Signet": []}],
        "paths": {"/a": {"get": {}, "put": {"security": []}}},
    }
    path.write_text(yaml.safe_dump(body))
    assert read_openapi(path).routes == {"GET /a": True, "PUT /a": False}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Resources: {}", "api.yaml is no OpenAPI document: write 'openapi: 3.0.1'"),
        ("openapi: 3.0.1", "api.yaml has no paths; write each route under 'paths:'"),
        ("openapi: [", "api.yaml is no YAML or JSON, line 1"),
    ],
)
def test_what_is_no_openapi_document_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_openapi(path)
    assert str(caught.value).startswith(said)


def test_http_apis_in_templates() -> None:
    def event(**facts: Any) -> dict[str, Any]:
        given = {"Type": "HttpApi", "Properties": {"ApiId": {"Ref": "Api"}, **facts}}
        return {"Type": "AWS::Serverless::Function", "Properties": {"Events": {"E": given}}}

    def route(key: Any, kind: str) -> dict[str, Any]:
        return {
            "Type": "AWS::ApiGatewayV2::Route",
            "Properties": {"RouteKey": key, "AuthorizationType": kind},
        }

    api = {"Type": "AWS::Serverless::HttpApi", "Properties": {"Auth": {"DefaultAuthorizer": "Signet"}}}
    found = declared_by(
        {
            "Api": api,
            "Get": event(Method="get", Path="/a"),
            "All": event(Path="/b", Auth={"Authorizer": "NONE"}),
            "Default": event(),
            "Route": route("POST /c", "CUSTOM"),
            "Jwt": route("$default", "JWT"),
            "Lost": route({"Ref": "Key"}, "CUSTOM"),
        }
    )
    assert found.routes == {
        "GET /a": True,
        "ANY /b": False,
        "ANY $default": True,
        "POST /c": True,
    }
    assert found.unread == ["Lost does not write its method and path out"]


def test_what_to_write_is_said_with_file_and_line() -> None:
    declared = Declared({"ANY /v1/{proxy+}": True, "GET /orders/{id}": True}, source="api.yaml")
    findings, notices = against_routes(files("GET /v1/orders", "GET /orders/{key}", "GET /x"), declared)
    assert [str(finding) for finding in findings] == [
        f"config.json:4: api.yaml declares no route 'GET /v1/orders'; {GREEDY}",
        "config.json:8: api.yaml declares no route 'GET /orders/{key}'; did you mean 'GET /orders/{id}'?",
        "config.json:12: api.yaml declares no route 'GET /x'; take it out, or declare the route",
    ]
    assert notices[-1] == (
        "no rule for GET /orders/{id}: signed requests are refused there as no_rule; write "
        '"GET /orders/{id}": {"role": "caller", "minimum_binding": "none"} under routes in config.json'
    )


def two_apis() -> dict[str, bytes]:
    entry = {"role": "caller", "minimum_binding": "none"}
    listed = {"GET /a": entry, "GET /b": entry}
    config = {
        "routes": listed,
        "apis": {"orders": {"routes": listed}, "my-stock": {"routes": {"GET /a": entry}}},
    }
    return {"config.json": json.dumps({"config": config}, indent=1).encode()}


@pytest.mark.parametrize(
    ("api", "line", "where"),
    [("signet", 8, "routes in config.json"), ("orders", 20, "config.apis['orders'].routes")],
)
def test_equal_routes_of_two_apis_are_told_apart(api: str, line: int, where: str) -> None:
    declared = Declared({"GET /a": True, "GET /c": True}, source="api.yaml")
    findings, notices = against_routes(two_apis(), declared, api)
    assert [(finding.file, finding.line) for finding in findings] == [("config.json", line)]
    assert "declares no route 'GET /b'" in findings[0].message
    assert len(notices) == 1
    assert where in notices[0]
    assert against_routes(two_apis(), Declared({"GET /a": True}), "my-stock") == ([], [])


def test_an_api_that_the_policy_does_not_list_is_refused() -> None:
    findings, notices = against_routes(two_apis(), Declared({"GET /a": True}), "stock")
    assert [str(finding) for finding in findings] == [
        "the policy lists no route of an API 'stock': write them into config.apis['stock'].routes"
    ]
    assert len(notices) == 1


def test_the_command_takes_the_name_of_an_api(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    path.write_text(yaml.safe_dump(document(**{"/a": {"get": GUARDED}})))
    refused = check("--api", "orders", "--openapi", str(path))
    assert (refused.exit_code, "lists no route of an API 'orders'" in refused.stdout) == (1, True)
    assert "/protected" not in refused.stdout
    alone = check("--api", "orders")
    assert (alone.exit_code, "add --template, --openapi or --api-id" in alone.stderr) == (2, True)


def test_default_can_have_no_rule() -> None:
    _, notices = against_routes(files("GET /a"), Declared({"ANY $default": True, "GET /a": True}))
    assert notices == [
        "no rule can name $default: signed requests are refused there as no_rule; declare each route"
    ]


def test_several_sources_are_held_together() -> None:
    found = merged(
        [Declared({"GET /a": False}, ["x"], "a.yaml"), Declared({"GET /a": True}, ["y"], "b.yaml")]
    )
    assert (found.routes, found.unread, found.source) == ({"GET /a": True}, ["x", "y"], "a.yaml and b.yaml")


def check(*options: str) -> Any:
    return CliRunner().invoke(app, ["policy", "check", str(ROOT / "policy"), *options])


@pytest.mark.long
def test_the_command_takes_documents(tmp_path: Path) -> None:
    path = tmp_path / "api.yaml"
    paths = {"/protected": {"x-amazon-apigateway-any-method": GUARDED}}
    path.write_text(yaml.safe_dump(document(**paths)))
    told = check("--openapi", str(path))
    assert told.exit_code == 1
    assert "declares no route 'GET /protected/{item}'" in told.stdout
    assert "compliance" not in told.stdout
    paths["/protected/{item}"] = {"get": GUARDED}
    path.write_text(yaml.safe_dump(document(**paths)))
    assert check("--openapi", str(path)).exit_code == 0


@pytest.mark.long
def test_the_command_asks_a_deployed_api(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployed_routes, "aws", world.client)
    told = check("--api-id", world.other_id, "--stage", "live")
    assert told.exit_code == 1
    assert f"REST API {world.other_id} declares no route 'GET /protected'" in told.stdout
    assert "notice: no rule for GET /orders/{id}: signed requests are refused there" in told.stdout
    for verb in ("GET", "POST", "PUT", "DELETE"):
        world.method(world.other_id, f"{verb} /protected", world.authorizer_id)
    world.method(world.other_id, "GET /protected/{item}", world.authorizer_id)
    assert check("--api-id", world.other_id, "--stage", "live").exit_code == 0
    lacking = check("--api-id", world.other_id)
    assert (lacking.exit_code, "give one stage for each API" in lacking.stderr) == (2, True)
    none = check("--api-id", world.other_id, "--stage", "beta")
    assert (none.exit_code, "no stage 'beta'" in none.stderr) == (2, True)
    denied = "apigateway.get_resources"
    monkeypatch.setattr(
        deployed_routes, "aws", lambda service: Watched(world.client(service), service, [], denied)
    )
    refused = check("--api-id", world.other_id, "--stage", "live")
    assert refused.exit_code == 2
    assert (
        f"the permission apigateway:GET on /restapis/{world.other_id}/resources is missing" in refused.stderr
    )
