"""The routes that an API has, as a template, an OpenAPI document or the deployed API says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from signet.core.errors import UsageError

ANY: Final = "ANY"
#: The route of an HTTP API that takes what no other takes
#: (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html).
DEFAULT: Final = "$default"
_MAX_BYTES: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Declared:
    """What is said of routes.

    Attributes:
        routes: ``METHOD /resource`` (``ANY`` for all methods) → whether an authorizer guards it.
        unread: what could not be read, in words.
        source: what says it: the name of a file, or the API.
    """

    routes: dict[str, bool] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)
    source: str = "the template"

    def guards(self, route: str) -> bool | None:
        """Say whether a route is guarded; None if it is not declared."""
        method, _, path = route.partition(" ")
        return self.routes.get(f"{method} {path}", self.routes.get(f"{ANY} {path}"))

    def add(self, where: str, method: object, path: object, *, guarded: bool) -> None:
        """Add a route, or say that it is not written out."""
        if isinstance(path, str) and path == f"/{DEFAULT}":  # as OpenAPI spells it
            path = DEFAULT
        if not (isinstance(method, str) and isinstance(path, str) and (path[:1] == "/" or path == DEFAULT)):
            self.unread.append(f"{where} does not write its method and path out")
            return
        name = ANY if method.upper() in {ANY, "*"} else method.upper()
        self.routes[f"{name} {path}"] = self.routes.get(f"{name} {path}", False) or guarded


def merged(declared: Iterable[Declared]) -> Declared:
    """Return what several sources say together; a route that one of them guards is guarded."""
    sources = list(declared)
    found = Declared(source=" and ".join(one.source for one in sources))
    for one in sources:
        found.unread.extend(one.unread)
        for route, guarded in one.routes.items():
            found.routes[route] = found.routes.get(route, False) or guarded
    return found


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


def read_document(path: Path) -> Any:
    """Read a file in YAML or JSON.

    Raises:
        UsageError: it cannot be read; names the file, and the line where one is known.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise UsageError(f"{path.name} is larger than {_MAX_BYTES} bytes")
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path.name} cannot be read: {type(error).__name__}") from error
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise UsageError(f"{path.name} is no YAML or JSON{where}") from error


def mapping(value: object) -> dict[str, Any]:
    """Return an object as it is, and anything else as an empty one."""
    return value if isinstance(value, dict) else {}
