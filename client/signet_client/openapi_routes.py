"""The routes of an OpenAPI document (3.x, or Swagger 2.0), as API Gateway imports them.

Extensions: docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions.html
(``x-amazon-apigateway-any-method``, ``-authorizer``, ``-authtype``, ``-auth``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from signet.core.errors import UsageError
from signet_client.declared_routes import ANY, Declared, mapping, read_document

_ANY_METHOD: Final = "x-amazon-apigateway-any-method"
_METHODS: Final = frozenset({"get", "head", "post", "put", "patch", "delete", "options", _ANY_METHOD})
_AUTHORIZER: Final = "x-amazon-apigateway-authorizer"
_TYPE: Final = "x-amazon-apigateway-authtype"
_AUTH: Final = "x-amazon-apigateway-auth"


def read_openapi(path: Path) -> Declared:
    """Read an OpenAPI document, in YAML or JSON.

    Raises:
        UsageError: it cannot be read, or is no such document.
    """
    body = read_document(path)
    if not isinstance(body, dict) or not ({"openapi", "swagger"} & body.keys()):
        raise UsageError(
            f"{path.name} is no OpenAPI document: write 'openapi: 3.0.1' at its top, or give a SAM or "
            "CloudFormation template with --template"
        )
    if not isinstance(body.get("paths"), dict):
        raise UsageError(f"{path.name} has no paths; write each route under 'paths:', as in /orders/{{id}}")
    found = Declared(source=path.name)
    add_paths(path.name, body, found)
    return found


def add_paths(
    name: str, body: Mapping[str, Any], found: Declared, *, guarded_by_default: bool = False
) -> None:
    """Add the routes of a document.

    Args:
        name: of the document, for what cannot be read.
        body: the document.
        found: what they are added to.
        guarded_by_default: whether an authorizer guards what the document says nothing of.
    """
    schemes = _authorizers(body)
    for path, item in mapping(body.get("paths")).items():
        if "$ref" in mapping(item):
            found.unread.append(f"{name} {path} stands in another document ($ref)")
        for method, operation in mapping(item).items():
            if str(method).lower() not in _METHODS:
                continue
            security = mapping(operation).get("security", body.get("security"))
            guarded = guarded_by_default if security is None else _names_one(security, schemes)
            if str(mapping(mapping(operation).get(_AUTH)).get("type", "")).upper() in {"NONE", "AWS_IAM"}:
                guarded = False
            found.add(f"{name} {path}", ANY if method == _ANY_METHOD else method, path, guarded=guarded)


def _authorizers(body: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the security schemes that are authorizers; None where no scheme says so."""
    schemes = mapping(mapping(body.get("components")).get("securitySchemes"))
    schemes = {**mapping(body.get("securityDefinitions")), **schemes}
    found = frozenset(
        name
        for name, scheme in schemes.items()
        if _AUTHORIZER in mapping(scheme) or mapping(scheme).get(_TYPE) == "custom"
    )
    return found or None


def _names_one(security: object, schemes: frozenset[str] | None) -> bool:
    """Tell whether a list of security requirements asks for an authorizer; an API key is none."""
    named = (
        {name for one in security if isinstance(one, dict) for name in one}
        if isinstance(security, list)
        else set()
    )
    return bool(named if schemes is None else named & schemes)
