from __future__ import annotations

from tests.doctor.world import World


def test_a_healthy_deployment_has_no_finding_and_is_seen_whole(world: World) -> None:
    seen = world.seen()
    assert seen.unseen == ()
    assert [api.kind for api in seen.apis] == ["rest", "rest"]
    assert [api.own for api in seen.apis] == [True, False]
    assert world.findings() == []
