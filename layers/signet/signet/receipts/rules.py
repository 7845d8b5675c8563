"""The language in which the table of a receipt's version is written: what may stand in a member.

One table of rules serves three readers. ``require_exactly`` walks a parsed value, and is the authority.
``pattern_of`` is the same rules as one pattern over canonical bytes, limited to
plain ASCII text and numbers of 15 digits: what it matches needs no parsing (a tenth of the time), what it
does not match is left to the authority. A property test holds the pattern inside the rules. ``schema_of`` is
the same rules as JSON Schema, for ``docs/schema``; tests hold it against the authority.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from signet.core.canonical import MAX_INTEGER
from signet.core.errors import CanonicalError
from signet.core.instants import is_uuid7, parse_utc_millis

#: Of the pattern of a receipt without ``chain``: the empty group where the sink puts it.
BEFORE_CHAIN: Final = "before_chain"
_CHAIN: Final = "chain"


@dataclass(frozen=True, slots=True)
class Rule:
    """What may stand in a member.

    Attributes:
        types: the exact types the value may have.
        holds: what else must be true of a value that is not null.
        pattern: the canonical bytes of (most of) such values, as a regular expression.
        schema: such values as JSON Schema (2020-12), null left out.
        members: of an object: the rules of its members, which are all present and the only ones.
    """

    types: frozenset[type]
    holds: Callable[[Any], object]
    pattern: str
    schema: Mapping[str, Any]
    members: Mapping[str, Rule] | None = None


def refused(reason: str) -> CanonicalError:
    """Return the error of what is no receipt: code ``bad_receipt``."""
    return CanonicalError(reason, code="bad_receipt")


def _anything(_value: Any) -> bool:
    return True


def _is_time(text: str) -> bool:
    try:
        parse_utc_millis(text)
    except CanonicalError:
        return False
    return True


def _is_day(text: str) -> bool:
    return _is_time(f"{text}T00:00:00.000Z")


def text_of(pattern: str) -> Rule:
    """Build the rule of a string that its pattern describes entirely."""
    schema = {"type": "string", "pattern": f"^{pattern}$"}
    return Rule(frozenset({str}), re.compile(pattern).fullmatch, f'"{pattern}"', schema)


def one_of(*values: str) -> Rule:
    """Build the rule of a closed set of words."""
    pattern = f'"(?:{"|".join(map(re.escape, values))})"'
    schema = {"enum": [str(value) for value in values]}
    return Rule(frozenset({str}), frozenset(values).__contains__, pattern, schema)


def the_number(value: int) -> Rule:
    """Build the rule of a member that can only have this value."""
    return Rule(frozenset({int}), value.__eq__, str(value), {"const": value})


def _integer(pattern: str, least: int) -> Rule:
    schema = {"type": "integer", "minimum": least, "maximum": MAX_INTEGER}
    return Rule(frozenset({int}), lambda value: least <= value <= MAX_INTEGER, pattern, schema)


def nullable(rule: Rule) -> Rule:
    """Build the rule of what may be null as well."""
    return replace(rule, types=rule.types | {type(None)}, pattern=f"(?:null|{rule.pattern})")


def object_of(rules: Mapping[str, Rule]) -> Rule:
    """Build the rule of an object with exactly these members."""
    return Rule(frozenset({dict}), _anything, "", {"type": "object"}, rules)


def array_of(rule: Rule, *, least: int = 0) -> Rule:
    """Build the rule of an array of such values that are neither objects nor arrays, at least so many."""
    more = f"(?:{rule.pattern}(?:,{rule.pattern})*+)"
    schema: dict[str, Any] = {"type": "array", "items": dict(rule.schema)}
    if least:
        schema["minItems"] = least

    def holds(value: list[Any]) -> bool:
        return len(value) >= least and all(type(item) in rule.types and rule.holds(item) for item in value)

    return Rule(frozenset({list}), holds, rf"\[{more}{'' if least else '?'}\]", schema)


def map_of(name: str, rule: Rule) -> Rule:
    """Build the rule of an object with any members whose names match a pattern, all of one rule."""
    match = re.compile(name).fullmatch
    schema = {
        "type": "object",
        "propertyNames": {"pattern": f"^(?:{name})$"},
        "additionalProperties": dict(rule.schema),
    }

    def holds(value: dict[str, Any]) -> bool:
        return all(
            match(key) and type(member) in rule.types and rule.holds(member) for key, member in value.items()
        )

    member = f'"(?:{name})":{rule.pattern}'
    return Rule(frozenset({dict}), holds, rf"\{{(?:{member}(?:,{member})*+)?\}}", schema)


#: An object whose members another module knows.
ANY_OBJECT: Final = Rule(frozenset({dict}), _anything, "", {"type": "object"})
ANY_TEXT: Final = Rule(frozenset({str}), _anything, r'"[ !#-\[\]-~]*+"', {"type": "string"})
#: A text of which most have quotation marks: one of a header field.
QUOTED_TEXT: Final = replace(ANY_TEXT, pattern=r'"(?:[ !#-\[\]-~]|\\")*+"')
INTEGER: Final = _integer("(?:0|-?[1-9][0-9]{0,14})", -MAX_INTEGER)
COUNT: Final = _integer("(?:0|[1-9][0-9]{0,14})", 0)
SHA256: Final = text_of("[0-9a-f]{64}")
# Base64 of 32 bytes in its one encoding: the last digit carries four bits, its other two are zero.
SHA256_BASE64: Final = text_of("[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")
#: Standard base64 in its one encoding, of any number of bytes but none.
BASE64: Final = text_of(
    "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:[A-Za-z0-9+/]{2}|[AEIMQUYcgkosw048]=)|[A-Za-z0-9+/][AQgw]==)"
)
# The patterns let 30 February pass: a caller that uses one parses the time it found.
TIME: Final = Rule(
    frozenset({str}),
    _is_time,
    '"[0-9TZ:.-]{24}"',
    {
        "type": "string",
        "pattern": "^(?:19[7-9][0-9]|[2-9][0-9]{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
        r"T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z$",
    },
)
DAY: Final = Rule(
    frozenset({str}),
    _is_day,
    '"[0-9-]{10}"',
    {
        "type": "string",
        "pattern": "^(?:19[7-9][0-9]|[2-9][0-9]{3})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])$",
    },
)
TRUTH: Final = Rule(frozenset({bool}), _anything, "(?:false|true)", {"type": "boolean"})
#: A number that counts from 1.
ORDINAL: Final = _integer("[1-9][0-9]{0,14}", 1)
_UUID7_FORM: Final = "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
UUID7: Final = Rule(
    frozenset({str}), is_uuid7, f'"{_UUID7_FORM}"', {"type": "string", "pattern": f"^{_UUID7_FORM}$"}
)


def require(value: Mapping[str, Any], rules: Mapping[str, Rule], path: str) -> None:
    """Hold members that are there to their rules.

    Args:
        value: the object; it has a member for every rule.
        rules: by the member's name.
        path: of the object, for the error.

    Raises:
        CanonicalError: code ``bad_receipt``; the message names the member.
    """
    for name, rule in rules.items():
        member = value[name]
        if type(member) not in rule.types or not (member is None or rule.holds(member)):
            raise refused(f"{path}.{name} has a value that cannot stand there")
        if rule.members is not None and member is not None:
            require_exactly(member, rule.members, f"{path}.{name}")


def require_exactly(value: Mapping[str, Any], rules: Mapping[str, Rule], path: str) -> None:
    """Hold an object to its rules: it has these members and no other.

    Raises:
        CanonicalError: code ``bad_receipt``; the message names the member.
    """
    if value.keys() != rules.keys():
        raise refused(f"{path} must have exactly the members {', '.join(sorted(rules))}")
    require(value, rules, path)


def pattern_of(rules: Mapping[str, Rule], groups: Collection[str], prefix: str = "") -> str:
    """Write the rules of an object as a pattern over its canonical bytes.

    Args:
        rules: by the member's name.
        groups: the members that become a group of the pattern: their path, joined by ``_``.
        prefix: of the paths; empty for a receipt as a whole, which also gets ``BEFORE_CHAIN``.
    """
    members = []
    for name in sorted(rules):
        rule, path = rules[name], prefix + name
        value = rule.pattern if rule.members is None else pattern_of(rule.members, groups, f"{path}_")
        if rule.members is not None and type(None) in rule.types:
            value = f"(?:null|{value})"
        members.append(f'"{name}":' + (f"(?P<{path}>{value})" if path in groups else value))
    if not prefix and _CHAIN not in rules:
        before = sum(name < _CHAIN for name in rules)
        mark = f"(?P<{BEFORE_CHAIN}>)"
        if before:
            members[before - 1] += mark
        else:
            members[0] = mark + members[0]
    return rf"\{{{','.join(members)}\}}"


def schema_of(rules: Mapping[str, Rule]) -> dict[str, Any]:
    """Write the rules of an object as JSON Schema (2020-12)."""
    return {
        "type": "object",
        "properties": {name: _member_schema(rule) for name, rule in rules.items()},
        "required": list(rules),
        "additionalProperties": False,
    }


def _member_schema(rule: Rule) -> dict[str, Any]:
    schema = dict(rule.schema) if rule.members is None else schema_of(rule.members)
    if type(None) in rule.types:
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
        else:
            schema["type"] = [schema["type"], "null"]
    return schema
