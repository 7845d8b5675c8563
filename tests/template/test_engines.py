"""What CloudFormation takes and other engines refuse: the template does without.

LocalStack's engine (localstack-core 4.14.0, services/cloudformation/engine/v2/change_set_model_validator.py,
change_set_model_preproc.py) resolves every reference before it transforms the template. Its predecessor
(engine/template_deployer.py) stopped at a literal in Fn::Sub. `make localstack` asks LocalStack itself.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.template.cloudformation import source

PSEUDO_PARAMETERS = {
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
}
FUNCTIONS = {"Ref", "Condition", "Fn::GetAtt", "Fn::If", "Fn::Join", "Fn::Sub"}


def complaints(template: Mapping[str, Any]) -> list[str]:
    """Return what such an engine refuses of a template as it stands in the file, before the SAM transform."""
    found = []
    known = set(template["Resources"]) | set(template["Parameters"]) | PSEUDO_PARAMETERS
    for name, resource in {**template["Resources"], **template["Outputs"]}.items():
        given = _implied(resource["Condition"], template) if "Condition" in resource else set()
        body = {key: part for key, part in resource.items() if key not in {"Condition", "DependsOn"}}
        for target, conditions in _targets(body, frozenset(given)):
            needed = template["Resources"].get(target.split(".")[0], {}).get("Condition")
            if target.startswith("!"):
                found.append(f"{name}: a literal in Fn::Sub, ${{{target}}}")
            elif target.split(".")[0] not in known:
                found.append(f"{name}: {target} is no resource of the file")
            elif needed is not None and needed not in conditions:
                found.append(f"{name}: {target} may not be there")
        found += [f"{name}: {function}" for function in sorted(_functions(body) - FUNCTIONS)]
    return found


def _targets(value: object, conditions: frozenset[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield what a value refers to, and which conditions hold where it does."""
    match value:
        case {"Ref": str() as name}:
            # With a dot it is one of SAM's references to what it makes, which those engines take for a name.
            yield name.replace(".", "\N{MIDDLE DOT}"), conditions
        case {"Fn::GetAtt": [str() as name, *_]}:
            yield name, conditions
        case {"Fn::GetAtt": str() as path}:
            yield path, conditions
        case {"Fn::Sub": str() as text}:
            yield from ((name, conditions) for name in re.findall(r"\$\{([^}]+)\}", text))
        case {"Fn::If": [str() as name, yes, no]}:
            yield from _targets(yes, conditions | {name})
            yield from _targets(no, conditions)
        case Mapping():
            for part in value.values():
                yield from _targets(part, conditions)
        case list():
            for part in value:
                yield from _targets(part, conditions)


def _implied(condition: str, template: Mapping[str, Any]) -> set[str]:
    """Return a condition and those that hold with it."""
    parts = template["Conditions"][condition].get("Fn::And", [])
    return {condition}.union(
        *(_implied(part["Condition"], template) for part in parts if "Condition" in part)
    )


def _functions(value: object) -> set[str]:
    match value:
        case Mapping():
            own = {key for key in value if key.startswith("Fn::")}
            return own.union(*(_functions(part) for part in value.values()))
        case list():
            return set().union(*map(_functions, value))
    return set()


def test_no_engine_meets_a_reference_that_it_cannot_resolve():
    assert complaints(source()) == []


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"Ref": "Api.Stage"}, "Api\N{MIDDLE DOT}Stage is no resource"),
        ({"Ref": "ApiStage"}, "ApiStage is no resource"),
        ({"Fn::Sub": "stages/${ApiStage}"}, "ApiStage is no resource"),
        ({"Fn::Sub": "${!PROP('Dim.reason')}"}, "a literal in Fn::Sub"),
        ({"Fn::GetAtt": ["EdgeStack", "Outputs.EdgeTarget"]}, "EdgeStack may not be there"),
        ({"Fn::If": ["HasDomain", {"Ref": "EdgeStack"}, ""]}, "EdgeStack may not be there"),
        ({"Fn::ImportValue": "other"}, "Fn::ImportValue"),
    ],
    ids=repr,
)
def test_what_they_refuse_would_be_found(wrong, said):
    template = copy.deepcopy(source())
    template["Resources"]["ApiUsagePlan"]["Properties"]["Description"] = wrong
    [found] = complaints(template)
    assert said in found


def test_whoever_needs_the_stage_waits_for_it(resources):
    """Its name alone makes no resource wait: DependsOn has to name the resource that SAM makes of it."""
    [stage] = [name for name, r in resources.items() if r["Type"] == "AWS::ApiGateway::Stage"]
    for name in ("ApiWebAcl", "ApiUsagePlan", "ApiDomainMapping", "EdgeStack"):
        assert resources[name]["DependsOn"] == stage, name
