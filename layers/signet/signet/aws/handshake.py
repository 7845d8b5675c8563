"""Composition of the handshake on AWS: typed settings from the environment, parts put together once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import SystemRandom

from botocore.exceptions import ClientError

from signet.aws.breaker import DynamoBreakerStore
from signet.aws.bundles import DynamoBundleStore
from signet.aws.liboqs import load_provider, provider_name
from signet.aws.lock import DynamoLockStore
from signet.aws.nonces import DynamoNonceStore
from signet.aws.objects import S3ObjectStore
from signet.aws.queue import SqsReceiptQueue
from signet.aws.registry import DynamoClientRegistry
from signet.aws.secrets import text_of
from signet.aws.session import dynamodb, dynamodb_once, error_code, s3, secretsmanager, sqs, translate_errors
from signet.breaker.config import BreakerConfig, EstimatorConfig
from signet.breaker.keeper import Breaker, BreakerKeeper, FixedBreaker
from signet.breaker.snapshot import DEFAULT_NAME
from signet.core.client import Client
from signet.core.clocks import Elapsed
from signet.core.errors import SignetError, UsageError
from signet.core.ports import ReceiptQueue
from signet.core.vocabulary import BreakerLevel
from signet.crypto import suites
from signet.handshake.challenge import NonceKeys, derive_key
from signet.handshake.edge import EdgeKeys
from signet.handshake.enforcer import EmitterCounter, Enforcer
from signet.handshake.guard import Guard, GuardSettings
from signet.handshake.registry import CachedRegistry
from signet.handshake.request import Site
from signet.handshake.steering import steered
from signet.policy.bundle import OVERLAY_VARIABLE, load_deployed
from signet.policy.engine import PolicySource
from signet.policy.register import REGISTER
from signet.policy.source import PolicyInForce

#: Takes the reason why a pushed policy was not loaded.
PolicyReport = Callable[[SignetError], None]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class HandshakeSettings:
    """What the authorizer and the challenge endpoint read from their environment."""

    site: Site
    guard: GuardSettings
    secret_arn: str
    log_table: str
    log_bucket: str
    clients_table: str
    nonces_table: str
    bundles_table: str
    queue_url: str
    edge_secret_arn: str = ""
    edge_accept_v1: bool = False
    mldsa_provider: str = "cryptography"
    policy_overlay: str = ""
    policy_refresh_s: int = 60
    breakers_table: str = ""
    backend_servers: int = 0

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> HandshakeSettings:
        """Parse the environment; tables, queue and edge secret may be absent where they are not needed.

        Raises:
            UsageError: a variable is missing or no number, or the ML-DSA provider is unknown.
        """
        try:
            return cls(
                site=Site(
                    authorities=frozenset(filter(None, env["SIGNET_AUTHORITIES"].lower().split(","))),
                    base_path=env.get("SIGNET_BASE_PATH", ""),
                    region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION", "us-east-1"),
                    edge_base_path=env.get("SIGNET_EDGE_BASE_PATH", ""),
                    url_suffix=env.get("SIGNET_URL_SUFFIX") or "amazonaws.com",
                ),
                guard=GuardSettings(
                    realm=env["SIGNET_REALM"],
                    nonce_lifetime_ms=int(env["SIGNET_NONCE_LIFETIME_S"]) * 1000,
                    skew_ms=int(env.get("SIGNET_CLOCK_SKEW_S", "30")) * 1000,
                    header_budget=int(env["SIGNET_HEADER_BUDGET"]),
                    level=_level(env.get("SIGNET_LEVEL", "full")),
                ),
                secret_arn=env["SIGNET_HANDSHAKE_SECRET_ARN"],
                log_table=env["SIGNET_LOG_TABLE"],
                log_bucket=env["SIGNET_LOG_BUCKET"],
                clients_table=env.get("SIGNET_CLIENTS_TABLE", ""),
                nonces_table=env.get("SIGNET_NONCES_TABLE", ""),
                bundles_table=env.get("SIGNET_BUNDLES_TABLE", ""),
                queue_url=env.get("SIGNET_RECEIPT_QUEUE_URL", ""),
                edge_secret_arn=env.get("SIGNET_EDGE_SECRET_ARN", ""),
                edge_accept_v1=_flag(env, "SIGNET_EDGE_ACCEPT_V1"),
                mldsa_provider=provider_name(env),
                policy_overlay=env.get(OVERLAY_VARIABLE, ""),
                policy_refresh_s=int(env.get("SIGNET_POLICY_REFRESH_S", "60")),
                breakers_table=env.get("SIGNET_BREAKERS_TABLE", ""),
                backend_servers=int(env.get("SIGNET_BACKEND_SERVERS", "0")),
            )
        except (KeyError, ValueError) as error:
            raise UsageError(f"the function's environment lacks or garbles {error}") from error


def _flag(env: Mapping[str, str], name: str) -> bool:
    """Parse a switch that is off unless it says otherwise."""
    text = env.get(name, "false")
    if text not in {"true", "false"}:
        raise ValueError(f"{name}, which is true or false")
    return text == "true"


def _level(text: str) -> BreakerLevel:
    """Parse the rung that a setting forces; the further ones are the breaker's to take."""
    if text not in {BreakerLevel.FULL.value, BreakerLevel.RELAX.value}:
        raise ValueError("SIGNET_LEVEL, which is full or relax")
    return BreakerLevel(text)


class _NoClients:
    """The registry of a function that only hands out challenges: it knows nobody."""

    def get(self, keyid: str) -> Client | None:  # noqa: ARG002 - the port's signature
        return None


def build_breaker(settings: HandshakeSettings, policy: PolicySource, queue: ReceiptQueue | None) -> Breaker:
    """Put the breaker together; one that is given no queue watches and does not drive."""
    if not settings.breakers_table:
        return FixedBreaker()
    store = DynamoBreakerStore(dynamodb_once(), settings.breakers_table)
    config = BreakerConfig(estimator=EstimatorConfig(servers=settings.backend_servers or None))

    def steer(config: BreakerConfig) -> BreakerConfig | None:
        try:
            engine = policy.current()
            return steered(config, engine.controls(), engine.bundle_sha256)
        except SignetError:  # whoever decides on the request meets it too, refuses and reports it
            return None

    return BreakerKeeper(DEFAULT_NAME, store, queue, config, SystemRandom().random, Elapsed(), steer)


def build_guard(
    settings: HandshakeSettings, report: PolicyReport, queue: ReceiptQueue | None = None
) -> Guard:
    """Put a guard together; reads the secret.

    Args:
        settings: the function's.
        report: takes the reason why a pushed policy was not loaded.
        queue: takes the receipts of the breaker's transitions; without one the guard moves no breaker.
    """
    secrets = [text.encode() for text in _read_secrets(settings.secret_arn)]
    edge_secrets = _read_secrets(settings.edge_secret_arn) if settings.edge_secret_arn else []
    registry = (
        DynamoClientRegistry(dynamodb(), settings.clients_table) if settings.clients_table else _NoClients()
    )
    policy = PolicyInForce(
        load_deployed(settings.policy_overlay),
        DynamoLockStore(dynamodb(), settings.log_table, REGISTER),
        lambda: S3ObjectStore(s3(), settings.log_bucket),
        clock=Elapsed(),
        refresh_s=settings.policy_refresh_s,
        report=report,
    )
    return Guard(
        site=settings.site,
        settings=settings.guard,
        nonce_keys=NonceKeys.from_secrets(secrets),
        address_key=derive_key(secrets[0], "address"),
        policy=policy,
        clients=CachedRegistry(registry, Elapsed()),
        nonces=DynamoNonceStore(dynamodb(), settings.nonces_table),
        bundles=DynamoBundleStore(dynamodb(), settings.bundles_table),
        breaker=build_breaker(settings, policy, queue),
        random=os.urandom,
        edge_keys=EdgeKeys.from_secrets(edge_secrets, accept_v1=settings.edge_accept_v1),
    )


def build_enforcer(settings: HandshakeSettings, report: PolicyReport) -> Enforcer:
    """Put the authorizer's enforcer together; the only function that verifies callers' signatures.

    Args:
        settings: from the environment.
        report: is told why a pushed policy was not loaded.

    Raises:
        UsageError: the chosen ML-DSA provider is not here.
    """
    suites.use_mldsa_provider(load_provider(settings.mldsa_provider))
    queue = SqsReceiptQueue(sqs(), settings.queue_url)
    return Enforcer(
        guard=build_guard(settings, report, queue),
        queue=queue,
        emitter=EmitterCounter(os.urandom),
        random=os.urandom,
        cpu_ns=time.thread_time_ns,
    )


def _read_secrets(arn: str) -> list[str]:
    """Return a secret's current version and, during a rotation, the previous one."""
    found = []
    for stage in ("AWSCURRENT", "AWSPREVIOUS"):
        with translate_errors("read a deployment secret"):
            try:
                answer = secretsmanager().get_secret_value(SecretId=arn, VersionStage=stage)
            except ClientError as error:
                if stage == "AWSPREVIOUS" and error_code(error) == "ResourceNotFoundException":
                    continue
                raise
        found.append(text_of(arn, answer))
    return found
