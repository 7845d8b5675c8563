"""Composition of the function outcomes: what backends report over HTTP."""

from __future__ import annotations

from collections.abc import Mapping

from signet.aws.breaker import DynamoBreakerStore
from signet.aws.environment import required
from signet.aws.outcomes import DynamoOutcomeMarks
from signet.aws.secrets import versions_of
from signet.aws.session import dynamodb_once, secretsmanager
from signet.breaker.config import BreakerConfig
from signet.breaker.fleetclock import FleetClock
from signet.breaker.intake import OutcomeIntake
from signet.breaker.ticket import PURPOSE
from signet.handshake.challenge import derive_key


def build_intake(environment: Mapping[str, str]) -> OutcomeIntake:
    """Put together what takes outcomes; reads the deployment's secret.

    Raises:
        UsageError: a variable is missing.
        UnavailableError: the secret cannot be read.
    """
    arn = required(environment, "SIGNET_HANDSHAKE_SECRET_ARN", "the ARN of the handshake secret")
    table = required(environment, "SIGNET_BREAKERS_TABLE", "the name of the breakers table")
    # A pending secret too: an authorizer that starts a moment after it became current makes tickets with it.
    secrets = versions_of(secretsmanager(), arn, pending=True)
    clock = FleetClock()
    return OutcomeIntake(
        keys=[derive_key(secret.encode(), PURPOSE) for secret in secrets],
        marks=DynamoOutcomeMarks(dynamodb_once(), table),
        store=DynamoBreakerStore(dynamodb_once(), table, clock),
        config=BreakerConfig(),
        fleet_ms=clock.correct,
    )
