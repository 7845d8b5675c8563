"""Composition of what authorizer and handshake share: challenges, bundles, policy, breaker."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from random import SystemRandom

from signet.aws.apis import DynamoApiRegistry, own_api, own_api_of
from signet.aws.breaker import DynamoBreakerStore
from signet.aws.bundles import DynamoBundleStore
from signet.aws.compose.handshake_settings import HandshakeSettings
from signet.aws.lock import DynamoLockStore
from signet.aws.objects import S3ObjectStore
from signet.aws.secrets import versions_of
from signet.aws.session import hot, hot_once, s3
from signet.breaker.asked import Breaker
from signet.breaker.config import BreakerConfig, EstimatorConfig
from signet.breaker.fleetclock import FleetClock
from signet.breaker.keeper import BreakerKeeper
from signet.breaker.pause import Report
from signet.breaker.pool import BreakerPool
from signet.core.apis import Api
from signet.core.clocks import Elapsed
from signet.core.errors import SignetError
from signet.core.ports import BundleStore, ReceiptQueue
from signet.handshake.challenge import NonceKeys
from signet.handshake.edge import EdgeKeys
from signet.handshake.issuer import ChallengeIssuer
from signet.handshake.overrides import overridden
from signet.handshake.registry import CachedApis
from signet.policy.bundle import load_deployed
from signet.policy.engine import PolicySource
from signet.policy.register import REGISTER
from signet.policy.source import PolicyInForce

#: Takes the reason why a pushed policy was not loaded.
PolicyReport = Callable[[SignetError], None]


def build_apis(settings: HandshakeSettings) -> CachedApis:
    """Put together what knows the registered APIs, Signet's own among them."""

    def own(_key: str) -> Api:
        if settings.api_id is not None:
            return own_api_of(settings.api_id, settings.authorities)
        return own_api(hot("ssm"), settings.api_parameter, settings.authorities)

    return CachedApis(own, DynamoApiRegistry(hot("dynamodb"), settings.apis_table), Elapsed())


def build_bundles(settings: HandshakeSettings) -> BundleStore:
    """Put together what the function handshake stores bundles in, and the authorizer loads them from."""
    return DynamoBundleStore(hot("dynamodb"), settings.bundles_table)


def build_breakers(
    settings: HandshakeSettings, policy: PolicySource, queue: ReceiptQueue | None, report: Report
) -> BreakerPool:
    """Put the breakers together; without a queue they watch and do not drive.

    ``report`` is told what a person has to change before one can be used: no request is refused for it.
    """
    clock = FleetClock()
    store = DynamoBreakerStore(hot_once(), settings.breakers_table, clock)
    config = BreakerConfig(estimator=EstimatorConfig(servers=settings.backend_servers))

    draw = SystemRandom().random

    def make(backend: str) -> Breaker:
        def overrides(config: BreakerConfig) -> BreakerConfig | None:
            try:
                engine = policy.current()
                return overridden(config, engine.controls(backend), engine.bundle_sha256)
            except SignetError:  # the decision on the request meets it too, refuses and reports it
                return None

        return BreakerKeeper(backend, store, queue, config, draw, Elapsed(), overrides, report, clock.correct)

    return BreakerPool(make)


def build_issuer(
    settings: HandshakeSettings,
    secrets: Sequence[bytes],
    report: PolicyReport,
    breaker_report: Report,
    queue: ReceiptQueue | None = None,
    *,
    own_url: Callable[[], str] | None = None,
) -> ChallengeIssuer:
    """Put together what issues challenges; reads the edges' secret.

    Args:
        settings: the function's.
        secrets: of the deployment, newest first.
        report: takes the reason why a pushed policy was not loaded.
        breaker_report: takes what a person has to change before the breaker can be used.
        queue: takes the receipts of the breaker's transitions; without one the breaker is not moved.
        own_url: see ``ChallengeIssuer``.
    """
    edge_secrets = (
        []
        if settings.edge_secret_arn is None
        else versions_of(hot("secretsmanager"), settings.edge_secret_arn)
    )
    policy = PolicyInForce(
        load_deployed(settings.policy_overlay),
        DynamoLockStore(hot("dynamodb"), settings.log_table, REGISTER),
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
        breakers=build_breakers(settings, policy, queue, breaker_report),
        random=os.urandom,
        edge_keys=EdgeKeys.from_secrets(edge_secrets, accept_v1=settings.edge_accept_v1),
        own_url=own_url,
    )


def deployment_secrets(settings: HandshakeSettings) -> list[bytes]:
    """Return the deployment's secrets, newest first."""
    return [text.encode() for text in versions_of(hot("secretsmanager"), settings.secret_arn)]
