"""The transform can close a circle that neither the file shows nor the linter finds."""

from __future__ import annotations

import copy

from tests.template.cloudformation import find_cycle, references


def graph_of(resources):
    names = set(resources)
    return {name: set(references(resource)) & names for name, resource in resources.items()}


def test_no_resource_depends_on_itself(resources):
    assert find_cycle(graph_of(resources)) == []


def test_the_cycle_that_invites_itself_would_be_found(resources):
    wrong = copy.deepcopy(resources)
    wrong["AuthorizerFunction"]["Properties"]["Environment"]["Variables"]["API"] = {"Ref": "Api"}
    assert set(find_cycle(graph_of(wrong))) == {"Api", "AuthorizerFunction"}


def test_every_reference_leads_somewhere(transformed, resources):
    known = set(resources) | set(transformed["Parameters"])
    everything = {key: transformed[key] for key in ("Resources", "Outputs", "Conditions")}
    dangling = {
        name for name in references(everything) if name not in known and not name.startswith("AWS::")
    } - set(transformed["Conditions"])
    assert dangling == set()


def test_every_parameter_is_used_and_described(transformed):
    used = set(references({key: transformed[key] for key in ("Resources", "Outputs", "Conditions", "Rules")}))
    for name, parameter in transformed["Parameters"].items():
        assert name in used, name
        assert parameter["Description"].endswith((".", ")")), name
        assert ("Default" in parameter) == (name != "Production"), name
