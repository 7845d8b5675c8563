"""The routes that a SAM or CloudFormation template declares, and which of them an authorizer guards.

Read are: events of the types ``Api`` and ``HttpApi`` of ``AWS::Serverless::Function``; inline OpenAPI of
``AWS::Serverless::Api`` and ``HttpApi`` (``DefinitionBody``), ``AWS::ApiGateway::RestApi`` and
``AWS::ApiGatewayV2::Api`` (``Body``); ``AWS::ApiGateway::Method`` and ``Resource``;
``AWS::ApiGatewayV2::Route``. Sources:
docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-api.html and
…/sam-property-function-httpapi.html (without a path it is the route ``$default``),
docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-apigateway-method.html and
…/aws-resource-apigatewayv2-route.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from signet.core.errors import UsageError
from signet_client.declared_routes import ANY, DEFAULT, Declared, mapping, read_document
from signet_client.openapi_routes import add_paths

#: Events of functions → member that names their API.
_EVENTS: Final = {"Api": "RestApiId", "HttpApi": "ApiId"}
_APIS: Final = frozenset(
    {
        "AWS::Serverless::Api",
        "AWS::Serverless::HttpApi",
        "AWS::ApiGateway::RestApi",
        "AWS::ApiGatewayV2::Api",
    }
)
_UNGUARDED: Final = frozenset({"NONE", "AWS_IAM"})
_MAX_DEPTH: Final = 64


def read_template(path: Path) -> Declared:
    """Read a template, in YAML or JSON.

    Raises:
        UsageError: it cannot be read, or is no template.
    """
    template = read_document(path)
    resources = template.get("Resources") if isinstance(template, dict) else None
    if not isinstance(resources, dict):
        raise UsageError(f"{path.name} is no template: it has no Resources (an OpenAPI document: --openapi)")
    given = {name: value for name, value in resources.items() if isinstance(value, dict)}
    return declared_by(given, source=path.name)


def declared_by(resources: Mapping[str, Mapping[str, Any]], *, source: str = "the template") -> Declared:
    """Return what the resources of a template declare (logical id → resource)."""
    found = Declared(source=source)
    for name, resource in resources.items():
        kind, properties = resource.get("Type"), mapping(resource.get("Properties"))
        if kind == "AWS::Serverless::Function":
            _of_function(name, properties, resources, found)
        elif kind in _APIS:
            _of_api(name, properties, found)
        elif kind == "AWS::ApiGatewayV2::Route":
            _of_route(name, properties, found)
        elif kind == "AWS::ApiGateway::Method":
            _of_method(name, properties, resources, found)
    return found


def _of_function(
    name: str, properties: Mapping[str, Any], resources: Mapping[str, Mapping[str, Any]], found: Declared
) -> None:
    for event_name, event in mapping(properties.get("Events")).items():
        if not isinstance(event, dict) or event.get("Type") not in _EVENTS:
            continue
        facts = mapping(event.get("Properties"))
        api_of = facts.get(_EVENTS[event["Type"]])
        api = mapping(resources.get(_reference(api_of), {}).get("Properties"))
        authorizer = mapping(facts.get("Auth")).get("Authorizer", _default_authorizer(api))
        guarded = isinstance(authorizer, str) and authorizer not in _UNGUARDED
        method, path = facts.get("Method"), facts.get("Path")
        if event["Type"] == "HttpApi":
            method, path = (ANY, DEFAULT) if path is None else (method or ANY, path)
        found.add(f"{name}.{event_name}", method, path, guarded=guarded)


def _of_api(name: str, properties: Mapping[str, Any], found: Declared) -> None:
    body = properties.get("DefinitionBody", properties.get("Body"))
    if body is None:
        if "DefinitionUri" in properties or "BodyS3Location" in properties:
            found.unread.append(f"{name} has its routes in a file elsewhere")
        return
    guarded = isinstance(_default_authorizer(properties), str)
    add_paths(name, mapping(body), found, guarded_by_default=guarded)
    if not isinstance(mapping(body).get("paths"), dict):
        found.unread.append(f"{name} has its routes in a file elsewhere")


def _of_method(
    name: str, properties: Mapping[str, Any], resources: Mapping[str, Mapping[str, Any]], found: Declared
) -> None:
    path = _path_of(properties.get("ResourceId"), resources)
    guarded = properties.get("AuthorizationType") == "CUSTOM"
    found.add(name, properties.get("HttpMethod"), path, guarded=guarded)


def _of_route(name: str, properties: Mapping[str, Any], found: Declared) -> None:
    key = properties.get("RouteKey")
    method, _, path = key.partition(" ") if isinstance(key, str) else ("", "", "")
    guarded = properties.get("AuthorizationType") == "CUSTOM"
    if key == DEFAULT:
        method, path = ANY, DEFAULT
    found.add(name, method, path, guarded=guarded)


def _path_of(resource: object, resources: Mapping[str, Mapping[str, Any]]) -> str | None:
    parts: list[str] = []
    for _ in range(_MAX_DEPTH):
        if _is_root(resource):
            return "/" + "/".join(reversed(parts))
        properties = mapping(resources.get(_reference(resource), {}).get("Properties"))
        part = properties.get("PathPart")
        if not isinstance(part, str):
            return None
        parts.append(part)
        resource = properties.get("ParentId")
    return None


def _is_root(value: object) -> bool:
    named = value.get("Fn::GetAtt") if isinstance(value, dict) else None
    return isinstance(named, str | list) and str(named).rstrip("]'").endswith("RootResourceId")


def _default_authorizer(properties: Mapping[str, Any]) -> object:
    authorizer = mapping(properties.get("Auth")).get("DefaultAuthorizer")
    return None if authorizer in _UNGUARDED else authorizer


def _reference(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("Ref")
    return value if isinstance(value, str) else ""
