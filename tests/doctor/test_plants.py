"""Each mistake is found, the line that mends it is printed, and nothing else is reported.

``make check`` plants mistakes of which none hides another in one deployment, and some by themselves;
``make tests-sweep`` plants each by itself.
"""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from signet_client import stack
from signet_client.cli import app
from signet_client.doctor.checks import find
from tests.doctor.plants import PLANTS, Plant
from tests.doctor.world import STACK, World

#: What stands in none of these is planted by itself in ``make check``, too.
TOGETHER = (
    """
    open_method another_authorizer preflight cached identity_source token not_permitted no_denied_response
    no_failure_response no_shed_response unauthorized execute_api other_stage unlimited cors_headers unruled
    """,
    """
    no_challenge no_cors unlisted_name too_fast unused_rule not_deployed no_such_stage slow_for_rest arm_layer
    emulator waiting dead no_head blind ringing
    """,
    "unregistered default_route payload_1 no_simple http_identity",
)


@pytest.mark.parametrize("names", [names.split() for names in TOGETHER], ids=["first", "second", "third"])
def test_mistakes_that_stand_together_are_all_found(names: list[str], world: World) -> None:
    planted = [next(plant for plant in PLANTS if plant.name == name) for name in names]
    for plant in planted:
        plant.do(world)
    seen = world.seen()
    assert seen.unseen == ()
    found = find(seen)
    assert {finding.id for finding in found} == {plant.id for plant in planted}
    for plant in planted:
        assert any(
            plant.id == finding.id and plant.where in finding.where and plant.mend in finding.mend
            for finding in found
        ), plant.name


def _by_itself() -> list[Any]:
    """The mistakes, of which those are for the sweep that others are found beside."""
    together = {name for names in TOGETHER for name in names.split()}
    return [
        pytest.param(plant, id=plant.name, marks=pytest.mark.sweep if plant.name in together else ())
        for plant in PLANTS
    ]


@pytest.mark.parametrize("plant", _by_itself())
def test_a_mistake_is_found_and_nothing_else(
    plant: Plant, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant.do(world)
    seen = world.seen()
    assert seen.unseen == ()
    found = find(seen)
    assert {finding.id for finding in found} == {plant.id}
    assert plant.where in found[0].where
    if plant.id == "clock_skew":  # the command asks its own clock
        assert plant.mend in found[0].mend
        return
    monkeypatch.setattr(stack, "aws", world.client)
    options = [word for place in world.named for word in ("--api-id", place[0], "--stage", place[1])]
    told = CliRunner().invoke(app, ["doctor", "--stack", STACK, *options])
    assert told.exit_code == 1, told.output
    mends = [line for line in told.stdout.splitlines() if line.startswith("   mend  ")]
    assert len(mends) == len(found)
    assert any(plant.mend in line for line in mends)
