"""What the tests need to read a CloudFormation template: its transformation, references, conditions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse  # type: ignore[import-untyped] # as it ships

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"


class NoManagedPolicies:
    """Stands for the list of AWS-managed policies, which the transform would ask IAM for."""

    def load(self) -> dict[str, str]:
        return {}


def source() -> dict[str, Any]:
    """Return the template as it stands in the file; who asks may change what it gets."""
    return deepcopy(_parsed(TEMPLATE.read_text()))


@cache
def _parsed(text: str) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml_parse(text)  # takes half a second
    return parsed


def transformed(**parameters: str) -> dict[str, Any]:
    """Return the template as CloudFormation sees it after the SAM transform, which is told the parameters."""
    # It takes a second, which a test that only reads the template need not wait for.
    from samtranslator.translator.transform import (  # type: ignore[import-untyped] # noqa: PLC0415
        transform,
    )

    template = source()
    for resource in template["Resources"].values():
        for key in ("CodeUri", "ContentUri"):
            if key in resource["Properties"]:
                resource["Properties"][key] = "s3://bucket/key"  # as `sam package` would
    result: dict[str, Any] = transform(template, parameters, NoManagedPolicies())
    return result


def references(value: object) -> Iterator[str]:
    """Yield every logical name that a value refers to: Ref, GetAtt, Sub and DependsOn."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _named_by(key, inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def _named_by(key: str, value: object) -> Iterator[str]:
    match key, value:
        case ("Ref" | "DependsOn", str() as name) | ("Fn::GetAtt", [str() as name, *_]):
            yield name
        case "DependsOn", list() as names:
            yield from names
        case "Fn::GetAtt", str() as path:
            yield path.split(".")[0]
        case "Fn::Sub", str() as text:
            yield from _names_in(text)
        case "Fn::Sub", [str() as text, Mapping() as local]:
            yield from (name for name in _names_in(text) if name not in local)
            yield from references(local)
        case _:
            yield from references(value)


def _names_in(text: str) -> list[str]:
    return [name.split(".")[0] for name in re.findall(r"\$\{([^!][^}]*)\}", text)]


def find_cycle(graph: Mapping[str, set[str]]) -> list[str]:
    """Return one cycle of a graph as the names along it, or nothing if there is none."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for following in sorted(graph.get(name, set())):
            if cycle := visit(following, [*path, name]):
                return cycle
        done.add(name)
        return []

    for start in sorted(graph):
        if cycle := visit(start, []):
            return cycle
    return []


def refused(template: Mapping[str, Any], **given: str) -> list[str]:
    """Return what the template's rules say against a deployment with these parameters."""
    values = {name: str(spec.get("Default", "")) for name, spec in template["Parameters"].items()} | given
    lists = {n for n, spec in template["Parameters"].items() if spec["Type"] == "CommaDelimitedList"}

    def value(part: Any) -> Any:
        match part:
            case {"Ref": str() as name}:
                return values[name].split(",") if name in lists else values[name]
            case str() | list():
                return part
        raise AssertionError(f"a value that rules do not take: {part}")

    def holds(assertion: Any) -> bool:
        # What AWS takes in rules: no Fn::If and no Condition, although its documentation differs
        # (aws-cloudformation/cloudformation-coverage-roadmap 921 and 1183).
        match assertion:
            case {"Fn::Not": [inner]}:
                return not holds(inner)
            case {"Fn::And": [_, _, *_] as inner}:
                return all(map(holds, inner))
            case {"Fn::Or": [_, _, *_] as inner}:
                return any(map(holds, inner))
            case {"Fn::Equals": [left, right]}:
                return bool(value(left) == value(right))
            case {"Fn::Contains": [members, one]}:
                return value(one) in value(members)
        raise AssertionError(f"a rule function that this test does not know: {assertion}")

    return [
        assertion["AssertDescription"]
        for rule in template["Rules"].values()
        if holds(rule.get("RuleCondition", {"Fn::Equals": ["", ""]}))
        for assertion in rule["Assertions"]
        if not holds(assertion["Assert"])
    ]


def _holds(condition: Any, conditions: Mapping[str, Any], resolve: Callable[[Any], Any]) -> bool:
    match condition:
        case {"Condition": str() as name}:
            return _holds(conditions[name], conditions, resolve)
        case {"Fn::Not": [inner]}:
            return not _holds(inner, conditions, resolve)
        case {"Fn::And": [*inner]}:
            return all(_holds(one, conditions, resolve) for one in inner)
        case {"Fn::Equals": [left, right]}:
            return str(resolve(left)) == str(resolve(right))
    raise AssertionError(f"a condition this test does not know: {condition}")


def with_parameters(template: Mapping[str, Any], **given: str) -> Callable[[Any], Any]:
    """Return a function that resolves Ref to parameters and Fn::If in a value; other intrinsics stay."""
    values = {name: str(spec.get("Default", "")) for name, spec in template["Parameters"].items()} | given

    def resolve(value: Any) -> Any:
        match value:
            case {"Ref": str() as name} if name in values:
                return values[name]
            case {"Fn::If": [name, yes, no]}:
                return resolve(
                    yes if _holds(template["Conditions"][name], template["Conditions"], resolve) else no
                )
            case Mapping():
                resolved = {key: resolve(inner) for key, inner in value.items()}
                return {key: inner for key, inner in resolved.items() if inner != {"Ref": "AWS::NoValue"}}
            case list():
                return [resolve(inner) for inner in value]
        return value

    return resolve
