"""Ways to change a gateway's event, each driven by choices; an event may have been changed before."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeAlias

from tests.fuzz.choices import TOKENS, VALUES, Choices

Event: TypeAlias = dict[str, Any]

_FIELDS = ("Signature-Input", "Signature", "Host", "Content-Digest", "PCH-Evidence", "PCH-Channel-Binding")
EXTRA_FIELDS = ("PCH-Proof", "Signet-Edge", "PCH-Evidence-Digest", "Transfer-Encoding", "X-Order")


def _edit_field(choices: Choices, event: Event) -> None:
    """Edit a field's value in both maps."""
    names = [n for n in event.get("headers") or {} if isinstance(n, str)] if _mapped(event) else []
    if names:
        preferred = [n for n in _FIELDS if n in names]
        name = choices.pick(preferred + names)
        value = event["headers"][name]
        if isinstance(value, str):
            set_both(event, name, choices.edit(value))


def set_both(event: Event, name: str, value: str) -> None:
    event["headers"][name] = value
    if isinstance(event.get("multiValueHeaders"), dict):
        event["multiValueHeaders"][name] = [value]


def _add_field(choices: Choices, event: Event) -> None:
    if _mapped(event):
        set_both(event, choices.pick(_FIELDS + EXTRA_FIELDS + ("host", "SIGNATURE")), choices.pick(TOKENS))


def _drop_field(choices: Choices, event: Event) -> None:
    if _mapped(event) and event["headers"]:
        name = choices.pick(list(event["headers"]))
        del event["headers"][name]
        if isinstance(event.get("multiValueHeaders"), dict):
            event["multiValueHeaders"].pop(name, None)


def _repeat_field(choices: Choices, event: Event) -> None:
    multi = event.get("multiValueHeaders")
    if isinstance(multi, dict) and multi:
        values = multi[choices.pick(list(multi))]
        if isinstance(values, list):
            values.extend(values or ["x"])


def _change_target(choices: Choices, event: Event) -> None:
    context = event.get("requestContext")
    if isinstance(context, dict) and isinstance(context.get("path"), str):
        path = choices.edit(context["path"])
        context["path"], event["path"] = path, path.removeprefix("/prod")
        if choices.below(2):  # else the other places that tell of the path disagree
            event["pathParameters"] = {"item": path.rpartition("/")[2], "proxy": event["path"][1:]}
            event.pop("methodArn", None)


def _change_query(choices: Choices, event: Event) -> None:
    name, value = choices.pick(TOKENS), choices.pick(TOKENS)
    for key, entry in (("queryStringParameters", value), ("multiValueQueryStringParameters", [value])):
        if isinstance(event.get(key), dict):
            event[key][name] = entry


def _change_method(choices: Choices, event: Event) -> None:
    method = choices.pick(("GET", "POST", "DELETE", "get", "GET ", ""))
    event["httpMethod"] = method
    if isinstance(event.get("requestContext"), dict):
        event["requestContext"]["httpMethod"] = method


def _replace_node(choices: Choices, event: Event) -> None:
    """Put any JSON value in any place, or take the place away."""
    node: Any = event
    for _ in range(1 + choices.below(3)):
        if not isinstance(node, dict) or not node:
            return
        key = choices.pick(list(node))
        if choices.below(3) == 0 or not isinstance(node[key], dict):
            if choices.below(8) == 0:
                del node[key]
            else:
                node[key] = copy.deepcopy(choices.pick(VALUES))
            return
        node = node[key]


def _mapped(event: Event) -> bool:
    return isinstance(event.get("headers"), dict)


MUTATIONS: tuple[Callable[[Choices, Event], None], ...] = (
    _edit_field,
    _edit_field,
    _edit_field,
    _add_field,
    _drop_field,
    _repeat_field,
    _change_target,
    _change_query,
    _change_method,
    _replace_node,
)
