"""The routes that a SAM or CloudFormation template declares, and which of them an authorizer guards.

Read are: events of the type ``Api`` of ``AWS::Serverless::Function``; inline OpenAPI of
``AWS::Serverless::Api`` (``DefinitionBody``) and ``AWS::ApiGateway::RestApi`` (``Body``);
``AWS::ApiGateway::Method`` and ``Resource``. Sources:
docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-property-function-api.html,
docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-apigateway-method.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from signet.core.errors import UsageError

_ANY: Final = "ANY"
_OPENAPI_ANY: Final = "x-amazon-apigateway-any-method"
_OPENAPI_METHODS: Final = frozenset(
    {"get", "head", "post", "put", "patch", "delete", "options", _OPENAPI_ANY}
)
_UNGUARDED: Final = frozenset({"NONE", "AWS_IAM"})
_MAX_BYTES: Final = 4 * 1024 * 1024
_MAX_DEPTH: Final = 64


@dataclass(frozen=True, slots=True)
class Declared:
    """What a template says about routes.

    Attributes:
        routes: ``METHOD /resource`` (``ANY`` for all methods) → whether an authorizer guards it.
        unread: what could not be read, in words.
    """

    routes: dict[str, bool] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)

    def guards(self, route: str) -> bool | None:
        """Say whether a route is guarded; None if it is not declared."""
        method, _, path = route.partition(" ")
        return self.routes.get(f"{method} {path}", self.routes.get(f"{_ANY} {path}"))


class _Loader(yaml.SafeLoader):  # type: ignore[misc] # yaml ships no types
    """YAML with CloudFormation's short forms: ``!Ref x`` is ``{"Ref": "x"}``."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    name = suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}"
    if isinstance(node, yaml.ScalarNode):
        return {name: loader.construct_scalar(node)}
    if isinstance(node, yaml.SequenceNode):
        return {name: loader.construct_sequence(node, deep=True)}
    return {name: loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else None}


_Loader.add_multi_constructor("!", _short_form)


def read_template(path: Path) -> Declared:
    """Read a template, in YAML or JSON.

    Raises:
        UsageError: it cannot be read, or is no template.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path.name} is larger than {_MAX_BYTES} bytes")
        template = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} cannot be read: {type(error).__name__}") from error
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise UsageError(f"{path.name} is no YAML or JSON{where}") from error
    resources = template.get("Resources") if isinstance(template, dict) else None
    if not isinstance(resources, dict):
        raise UsageError(f"{path.name} is no template: it has no Resources")
    return declared_by({name: value for name, value in resources.items() if isinstance(value, dict)})


def declared_by(resources: Mapping[str, Mapping[str, Any]]) -> Declared:
    """Return what the resources of a template declare (logical id → resource)."""
    found = Declared()
    for name, resource in resources.items():
        kind, properties = resource.get("Type"), _object(resource.get("Properties"))
        if kind == "AWS::Serverless::Function":
            _of_function(name, properties, resources, found)
        elif kind in {"AWS::Serverless::Api", "AWS::ApiGateway::RestApi"}:
            _of_api(name, properties, found)
        elif kind == "AWS::ApiGateway::Method":
            _of_method(name, properties, resources, found)
    return found


def _of_function(
    name: str, properties: Mapping[str, Any], resources: Mapping[str, Mapping[str, Any]], found: Declared
) -> None:
    for event_name, event in _object(properties.get("Events")).items():
        if not isinstance(event, dict) or event.get("Type") != "Api":
            continue
        facts = _object(event.get("Properties"))
        api = _object(resources.get(_reference(facts.get("RestApiId")), {}).get("Properties"))
        authorizer = _object(facts.get("Auth")).get("Authorizer", _default_authorizer(api))
        guarded = isinstance(authorizer, str) and authorizer not in _UNGUARDED
        _add(found, f"{name}.{event_name}", facts.get("Method"), facts.get("Path"), guarded=guarded)


def _of_api(name: str, properties: Mapping[str, Any], found: Declared) -> None:
    body = properties.get("DefinitionBody", properties.get("Body"))
    if body is None:
        if "DefinitionUri" in properties or "BodyS3Location" in properties:
            found.unread.append(f"{name} has its routes in a file elsewhere")
        return
    default = _default_authorizer(properties)
    for path, methods in _object(_object(body).get("paths")).items():
        for method, operation in _object(methods).items():
            if str(method).lower() in _OPENAPI_METHODS:
                security = _object(operation).get("security", _object(body).get("security"))
                guarded = bool(security) if security is not None else isinstance(default, str)
                named = _ANY if method == _OPENAPI_ANY else method
                _add(found, f"{name} {path}", named, path, guarded=guarded)
    if not isinstance(_object(body).get("paths"), dict):
        found.unread.append(f"{name} has its routes in a file elsewhere")


def _of_method(
    name: str, properties: Mapping[str, Any], resources: Mapping[str, Mapping[str, Any]], found: Declared
) -> None:
    path = _path_of(properties.get("ResourceId"), resources)
    guarded = properties.get("AuthorizationType") == "CUSTOM"
    _add(found, name, properties.get("HttpMethod"), path, guarded=guarded)


def _path_of(resource: object, resources: Mapping[str, Mapping[str, Any]]) -> str | None:
    parts: list[str] = []
    for _ in range(_MAX_DEPTH):
        if _is_root(resource):
            return "/" + "/".join(reversed(parts))
        properties = _object(resources.get(_reference(resource), {}).get("Properties"))
        part = properties.get("PathPart")
        if not isinstance(part, str):
            return None
        parts.append(part)
        resource = properties.get("ParentId")
    return None


def _is_root(value: object) -> bool:
    named = value.get("Fn::GetAtt") if isinstance(value, dict) else None
    return isinstance(named, str | list) and str(named).rstrip("]'").endswith("RootResourceId")


def _add(found: Declared, where: str, method: object, path: object, *, guarded: bool) -> None:
    if not isinstance(method, str) or not isinstance(path, str):
        found.unread.append(f"{where} does not write its method and path out")
        return
    route = f"{_ANY if method in {'*', 'any'} else method.upper()} {path}"
    found.routes[route] = found.routes.get(route, False) or guarded


def _default_authorizer(properties: Mapping[str, Any]) -> object:
    authorizer = _object(properties.get("Auth")).get("DefaultAuthorizer")
    return None if authorizer in _UNGUARDED else authorizer


def _reference(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("Ref")
    return value if isinstance(value, str) else ""


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
