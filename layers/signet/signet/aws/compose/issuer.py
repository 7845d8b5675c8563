"""Composition of what authorizer and handshake share: challenges, policy, breaker."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from random import SystemRandom

from botocore.exceptions import ClientError

from signet.aws.breaker import DynamoBreakerStore
from signet.aws.compose.handshake_settings import HandshakeSettings
from signet.aws.lock import DynamoLockStore
from signet.aws.objects import S3ObjectStore
from signet.aws.permanent import DEPLOYMENT_SECRET
from signet.aws.secrets import text_of
from signet.aws.session import dynamodb, dynamodb_once, error_code, s3, secretsmanager, translate_errors
from signet.breaker.config import BreakerConfig, EstimatorConfig
from signet.breaker.keeper import Breaker, BreakerKeeper
from signet.breaker.pause import Report
from signet.breaker.snapshot import DEFAULT_NAME
from signet.core.clocks import Elapsed
from signet.core.errors import SignetError
from signet.core.ports import ReceiptQueue
from signet.handshake.challenge import NonceKeys
from signet.handshake.edge import EdgeKeys
from signet.handshake.issuer import ChallengeIssuer
from signet.handshake.overrides import overridden
from signet.policy.bundle import load_deployed
from signet.policy.engine import PolicySource
from signet.policy.register import REGISTER
from signet.policy.source import PolicyInForce

#: Takes the reason why a pushed policy was not loaded.
PolicyReport = Callable[[SignetError], None]


def build_breaker(
    settings: HandshakeSettings, policy: PolicySource, queue: ReceiptQueue | None, report: Report
) -> Breaker:
    """Put the breaker together; one that is given no queue watches and does not drive.

    ``report`` is told what a person has to change before it can be used: no request is refused for it.
    """
    store = DynamoBreakerStore(dynamodb_once(), settings.breakers_table)
    config = BreakerConfig(estimator=EstimatorConfig(servers=settings.backend_servers))

    def overrides(config: BreakerConfig) -> BreakerConfig | None:
        try:
            engine = policy.current()
            return overridden(config, engine.controls(), engine.bundle_sha256)
        except SignetError:  # the decision on the request meets it too, refuses and reports it
            return None

    draw = SystemRandom().random
    return BreakerKeeper(DEFAULT_NAME, store, queue, config, draw, Elapsed(), overrides, report)


def build_issuer(
    settings: HandshakeSettings,
    secrets: Sequence[bytes],
    report: PolicyReport,
    breaker_report: Report,
    queue: ReceiptQueue | None = None,
) -> ChallengeIssuer:
    """Put together what issues challenges; reads the edges' secret.

    Args:
        settings: the function's.
        secrets: of the deployment, newest first.
        report: takes the reason why a pushed policy was not loaded.
        breaker_report: takes what a person has to change before the breaker can be used.
        queue: takes the receipts of the breaker's transitions; without one the breaker is not moved.
    """
    edge_secrets = [] if settings.edge_secret_arn is None else _read_secrets(settings.edge_secret_arn)
    policy = PolicyInForce(
        load_deployed(settings.policy_overlay),
        DynamoLockStore(dynamodb(), settings.log_table, REGISTER),
        lambda: S3ObjectStore(s3(), settings.log_bucket),
        clock=Elapsed(),
        refresh_s=settings.policy_refresh_s,
        report=report,
    )
    return ChallengeIssuer(
        site=settings.site,
        limits=settings.limits,
        nonce_keys=NonceKeys.from_secrets(secrets),
        policy=policy,
        breaker=build_breaker(settings, policy, queue, breaker_report),
        random=os.urandom,
        edge_keys=EdgeKeys.from_secrets(edge_secrets, accept_v1=settings.edge_accept_v1),
    )


def deployment_secrets(settings: HandshakeSettings) -> list[bytes]:
    """Return the deployment's secrets, newest first."""
    return [text.encode() for text in _read_secrets(settings.secret_arn)]


def _read_secrets(arn: str) -> list[str]:
    """Return a secret's current version and, during a rotation, the previous one."""
    found = []
    for stage in ("AWSCURRENT", "AWSPREVIOUS"):
        with translate_errors("read a deployment secret", DEPLOYMENT_SECRET):
            try:
                answer = secretsmanager().get_secret_value(SecretId=arn, VersionStage=stage)
            except ClientError as error:
                if stage == "AWSPREVIOUS" and error_code(error) == "ResourceNotFoundException":
                    continue
                raise
        found.append(text_of(arn, answer))
    return found
