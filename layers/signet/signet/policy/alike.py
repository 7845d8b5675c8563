"""Which of many routes stand for others: rules can tell them apart by nothing that stands in the policy."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from signet.policy.listing import CONFIG
from signet.policy.networks import texts_in
from signet.policy.routes import api_and_route

#: With so many routes, or fewer, each stands for itself.
ALL_APART: Final = 100
_OF_EACH_KIND: Final = 2
_LEAST_LETTERS: Final = 3
_QUOTED: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`([^`]*)`')
_PATTERN: Final = re.compile(r"\b(?:regex|glob)\s*\.")
_PARAMETER: Final = re.compile(r"\{([^{}]+)\}")


def spelled(rules: Iterable[str], data: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Return the texts by which a policy may tell routes apart, those that settings hold apart.

    None if its rules have patterns, which may stand for any text.

    Args:
        rules: text of each Rego file; what stands in quotes counts.
        data: of all files; of what is no settings, texts and names with a slash count, as paths have.
    """
    rules = tuple(rules)
    if any(_PATTERN.search(text) for text in rules):
        return None
    quoted = (one[1] or one[2] or "" for text in rules for one in _QUOTED.finditer(text))
    listed = texts_in({name: value for name, value in data.items() if name != CONFIG})
    return tuple(dict.fromkeys((*quoted, *(text for text in listed if "/" in text))))


def standing_for(
    routes: Mapping[str, Any], texts: Iterable[str] | None, named: Iterable[str]
) -> frozenset[str]:
    """Return the routes that are asked about for all, two of each kind.

    Of one kind are routes of an API with the same entry and parameters, in which the same texts of the policy
    stand: by these a rule tells them apart that names a method or looks at a route's beginning.

    Args:
        routes: key → entry.
        texts: as ``spelled`` returns them; for None each route stands for itself.
        named: keys of routes that stand for themselves.
    """
    if len(routes) <= ALL_APART or texts is None:
        return frozenset(routes)
    parts = [text for text in texts if len(text) >= _LEAST_LETTERS]
    alone, kinds = frozenset(named), dict[tuple[Any, ...], int]()
    found = set(alone & routes.keys())
    for route, entry in routes.items():
        api, declared = api_and_route(route)
        told = tuple(part for part in parts if part in declared)
        kind = (api, json.dumps(entry, sort_keys=True), *_PARAMETER.findall(declared), told)
        kinds[kind] = kinds.get(kind, 0) + 1
        if kinds[kind] <= _OF_EACH_KIND:
            found.add(route)
    return frozenset(found)
