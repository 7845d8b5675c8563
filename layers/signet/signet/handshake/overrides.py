"""Policy overrides of the breaker: the shares and rungs of the policy in force replace those of the code."""

from __future__ import annotations

from dataclasses import replace

from signet.breaker.config import BreakerConfig
from signet.core.vocabulary import PPM
from signet.policy.requirements import Controls


def overridden(config: BreakerConfig, controls: Controls, policy_bundle: str) -> BreakerConfig:
    """Return a configuration that moves as a policy says, and names it; all other numbers stay.

    A step of the ramp has failed four ninths of the way from where it is good to where the breaker opens:
    there it lies between the ends that were measured. Policy names the ends, what lies between follows them.

    Args:
        config: the breaker's numbers.
        controls: as read from a policy, so free of contradictions.
        policy_bundle: that policy's hex SHA-256.
    """
    shares = controls.thresholds
    between_ppm = shares.trip_bad_share_ppm - shares.step_bad_share_ppm
    return replace(
        config,
        trip_bad_share=shares.trip_bad_share_ppm / PPM,
        step_fail_share=(shares.step_bad_share_ppm - -4 * between_ppm // 9) / PPM,
        step_bad_share=shares.step_bad_share_ppm / PPM,
        close_bad_share=shares.close_bad_share_ppm / PPM,
        policy_bundle=policy_bundle,
        ladder=replace(
            config.ladder,
            rungs=controls.rungs,
            availability_floor=controls.availability_floor_ppm / PPM,
            down_bad_share=shares.down_bad_share_ppm / PPM,
        ),
    )
