"""What a policy's input and data can hold, so that rules about anything else are found.

``INPUT`` is the one table of the input: docs/policy.md states it for people, and a test holds them together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from signet.core.client import LABEL_NAME
from signet.core.vocabulary import BINDING_TYPES, METHOD_NAMES, BreakerLevel, BreakerState
from signet.crypto.suites import NAMES
from signet.policy.engine import CHALLENGE_ROUTE
from signet.policy.listing import APIS, as_object
from signet.policy.listing import CONFIG as CONFIG_NAME
from signet.policy.networks import is_network, texts_in
from signet.policy.routes import api_and_route
from signet.policy.wanted import INPUT_HEADERS, TIME_ZONES, WEEKDAYS

_JSON: Final[Mapping[type, str]] = {
    str: "text", int: "number", float: "number", bool: "boolean", dict: "object", list: "array"
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shape:
    """What a member of the input can be.

    Attributes:
        kind: ``text``, ``number``, ``boolean``, ``object`` or ``array``.
        members: of an object.
        each: any other member of an object that takes names of the callers' or operators' own.
        names: pattern of these names; None for any.
        items: of an array.
        values: the only ones it takes, if they are known.
        nullable: whether it can be null, which counts as true.
        path: what to call it.
    """

    kind: str
    members: Mapping[str, Shape] = field(default_factory=dict)
    items: Shape | None = None
    values: frozenset[str] | None = None
    nullable: bool = False
    path: str = ""
    each: Shape | None = None
    names: re.Pattern[str] | None = None


def _one_of(values: Iterable[str], *, nullable: bool = False) -> Shape:
    return Shape("text", values=frozenset(values), nullable=nullable)


_LOCAL: Final[Mapping[str, Shape]] = {
    "date": Shape("text"),
    "weekday": _one_of(WEEKDAYS),
    "hour": Shape("number"),
    "minute": Shape("number"),
}
_FIELD: Final = Shape("object", {"value": Shape("text"), "covered": Shape("boolean")})
INPUT: Final = Shape(
    "object",
    {
        "api": Shape("text"),
        "route": Shape("text"),
        "method": _one_of(METHOD_NAMES),
        "path": Shape("text"),
        "path_parameters": Shape("object"),
        "query": Shape("object", each=Shape("array", items=Shape("text"))),
        "headers": Shape("object", each=_FIELD),
        "covered": Shape("array", items=Shape("text")),
        "principal": Shape(
            "object",
            {
                "keyid": Shape("text"),
                "roles": Shape("array", items=Shape("text")),
                "labels": Shape("object", each=Shape("text"), names=LABEL_NAME),
            },
        ),
        "algorithm": _one_of(NAMES),
        "binding": Shape("object", {"type": _one_of(BINDING_TYPES)}),
        "evidence": Shape("object", {"sha256": Shape("text")}, nullable=True),
        "content": Shape("object", {"digest": Shape("text"), "type": Shape("text")}),
        "source": Shape("object", {"ip": Shape("text"), "networks": Shape("array", items=Shape("text"))}),
        "time": Shape(
            "object",
            {
                "rfc3339": Shape("text"),
                "unix": Shape("number"),
                **_LOCAL,
                "zones": Shape("object", each=Shape("object", _LOCAL)),
            },
        ),
        "breaker": Shape(
            "object",
            {
                "state": _one_of(map(str, BreakerState), nullable=True),
                "level": _one_of(map(str, BreakerLevel), nullable=True),
            },
        ),
        "header_bytes": Shape("number"),
    },
)
#: Where people look for a member that has another name here.
ELSEWHERE: Final = {
    "hash": "sha256", "digest": "sha256", "sha": "sha256", "id": "keyid", "key_id": "keyid", "kid": "keyid",
    "role": "roles", "alg": "algorithm", "user": "principal", "subject": "principal", "client": "principal",
    "resource": "route", "verb": "method", "parameters": "path_parameters", "size": "header_bytes",
    "source_ip": "source.ip", "ip": "source.ip", "remote_addr": "source.ip", "client_ip": "source.ip",
    "params": "query", "query_parameters": "query", "now": "time.rfc3339", "timestamp": "time.unix",
    "tenant": "labels", "org": "labels", "attributes": "labels", "label": "labels", "body": "content",
    "content_type": "content.type", "content_digest": "content.digest", "day": "weekday",
}  # fmt: skip


def input_shape(routes: Iterable[str], data: Mapping[str, Any], texts: Iterable[str] = ()) -> Shape:
    """Return the input's shape for one policy, each member under its full name.

    Args:
        routes: keys of the routes that it lists.
        data: what its data files hold.
        texts: those that stand in quotes in its rules.
    """
    config = as_object(data.get(CONFIG_NAME))
    stated = (config, *as_object(config.get(APIS)).values())
    fields = {name for settings in stated for name in _words(as_object(settings).get(INPUT_HEADERS))}
    networks = frozenset(text for text in (*texts_in(data), *texts) if is_network(text))
    source, moment = INPUT.members["source"].members, INPUT.members["time"].members
    local = moment["zones"].each
    apis, declared = zip(*map(api_and_route, (*routes, CHALLENGE_ROUTE)), strict=True)
    members = {
        **INPUT.members,
        "api": Shape("text", values=frozenset(apis)),
        "route": Shape("text", values=frozenset(declared)),
        "path_parameters": Shape("object", {name: Shape("text") for name in _parameters(declared)}),
        "headers": Shape("object", dict.fromkeys(fields, _FIELD)),
        "source": Shape(
            "object", {**source, "networks": Shape("array", items=Shape("text", values=networks))}
        ),
        "time": Shape(
            "object",
            {
                **moment,
                "zones": Shape("object", {name: local for name in _words(config.get(TIME_ZONES)) if local}),
            },
        ),
    }
    return _named(replace(INPUT, members=members), "input")


def _words(value: Any) -> list[str]:
    return [word for word in value if isinstance(word, str)] if isinstance(value, list) else []


def _parameters(routes: Iterable[str]) -> set[str]:
    """Return the names of all path parameters; one with + has its name without."""
    return {name.rstrip("+") for route in routes for name in re.findall(r"\{([^{}]+)\}", route)}


def _named(shape: Shape, path: str) -> Shape:
    members = {name: _named(member, f"{path}.{name}") for name, member in shape.members.items()}
    items = None if shape.items is None else _named(shape.items, f"{path}[_]")
    each = None if shape.each is None else _named(shape.each, f"{path}[_]")
    return replace(shape, members=members, items=items, each=each, path=path)


@dataclass(frozen=True, slots=True)
class Known:
    """What a path into the data files leads to: each value that may stand there.

    Attributes:
        values: JSON values.
        path: what to call it.
        config: how far the path is one into ``data.config``: the table's part for it, or None.
    """

    values: tuple[Any, ...]
    path: str
    config: ConfigMembers | None = None

    def member(self, name: str) -> Known | None:
        """Return what a member leads to; None if none of the values has it."""
        found = tuple(value[name] for value in self.values if isinstance(value, dict) and name in value)
        within = None if self.config is None else self.config.within(name)
        return Known(found, f"{self.path}.{name}", within) if found else None

    def any(self) -> Known:
        """Return what any member or element leads to."""
        found: list[Any] = []
        for value in self.values:
            found += value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        within = None if self.config is None else self.config.each
        return Known(tuple(found), f"{self.path}[_]", within)

    def optional(self, name: str) -> bool:
        """Say whether a member may be left out, since the rules have something in its place."""
        return self.config is not None and name in self.config.names

    @property
    def names(self) -> list[str]:
        """The members that there are."""
        return sorted({name for value in self.values if isinstance(value, dict) for name in value})


@dataclass(frozen=True, slots=True)
class ConfigMembers:
    """Names that an object in ``data.config`` may have.

    Attributes:
        names: name → what its object may hold, or None if it is none or holds names of the policy's own.
        each: for an object of any names: what each of its members may hold.
        closed: whether it may have no others, even if rules name them.
    """

    names: Mapping[str, ConfigMembers | None] = field(default_factory=dict)
    each: ConfigMembers | None = None
    closed: bool = False

    def within(self, name: str) -> ConfigMembers | None:
        """Return what a member of that name may hold."""
        return self.names.get(name, self.each)


def _names(names: str) -> dict[str, ConfigMembers | None]:
    return dict.fromkeys(names.split())


_ROUTE: Final = ConfigMembers(
    _names(
        "role minimum_binding algorithms ladder classical_fallback latency_objective_ms required_components"
        " backend rate_limit"
    )
)
_BREAKER: Final = ConfigMembers(
    _names("trip_bad_share_ppm step_bad_share_ppm close_bad_share_ppm down_bad_share_ppm"), closed=True
)
_SETTINGS: Final[Mapping[str, ConfigMembers | None]] = {
    **_names("algorithms availability_floor_ppm classical_fallback exporter_header_budget ladder"),
    "required_components": None,
    INPUT_HEADERS: None,
    "latency_objective_ms": None,
    "rate_limit": None,
    "breaker": _BREAKER,
    "header_budget": ConfigMembers(_names("full relax classical shed"), closed=True),
    "routes": ConfigMembers(each=_ROUTE),
}
#: What an attached API says for itself, in the place of what holds for all.
_API: Final = ConfigMembers({**_SETTINGS, "backend": None})
#: The members of config.json that the shipped rules or the code read: a new one is added here. Others pass if
#: rules name them.
CONFIG: Final = ConfigMembers({**_SETTINGS, TIME_ZONES: None, "apis": ConfigMembers(each=_API)})


def kind_of(value: Any) -> str:
    """Return the kind of a JSON value, as in ``Shape``; ``null`` for null."""
    return _JSON.get(type(value), "null")
