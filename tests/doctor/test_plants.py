"""Each mistake is found, the line that mends it is printed, and nothing else is reported."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from signet_client import stack
from signet_client.cli import app
from signet_client.doctor.checks import find
from tests.doctor.plants import PLANTS, Plant
from tests.doctor.world import STACK, World


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
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
