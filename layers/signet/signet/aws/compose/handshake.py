"""Composition of the function handshake: challenges, bundles, public keys.

Apart from the authorizer, which would load it and never use it.
"""

from __future__ import annotations

from collections.abc import Mapping

from signet.aws.compose.handshake_settings import HandshakeSettings
from signet.aws.compose.issuer import (
    PolicyReport,
    build_apis,
    build_bundles,
    build_issuer,
    deployment_secrets,
)
from signet.aws.environment import required
from signet.aws.objects import S3ObjectStore
from signet.aws.secrets import versions_of
from signet.aws.session import s3, secretsmanager
from signet.breaker.pause import Report
from signet.handshake.assertion import MAX_KEYS, assertion_key, assertion_public_key
from signet.handshake.uploader import BundleUploader
from signet.log.object_keys import KEYS


def build_uploader(
    settings: HandshakeSettings, report: PolicyReport, breaker_report: Report
) -> BundleUploader:
    """Put together what takes bundles.

    Args:
        settings: the function's.
        report: is told why a pushed policy was not loaded.
        breaker_report: is told what a person has to change before the breaker can be read.
    """
    issuer = build_issuer(settings, deployment_secrets(settings), report, breaker_report)
    return BundleUploader(issuer, build_bundles(settings), build_apis(settings))


def read_keys(environment: Mapping[str, str]) -> bytes | None:
    """Read the log's public keys from the bucket; None before the log's first run.

    Raises:
        UsageError: SIGNET_LOG_BUCKET is missing.
        UnavailableError: the bucket cannot be read.
    """
    bucket = required(environment, "SIGNET_LOG_BUCKET", "the name of the log bucket")
    return S3ObjectStore(s3(), bucket).get(KEYS)


def read_assertion_keys(environment: Mapping[str, str]) -> list[str]:
    """Return the public keys that guards need now, each in base64, the present one first.

    The second is that of the secret that is to be current next, if there is one, else of the one before.

    Raises:
        UsageError: SIGNET_HANDSHAKE_SECRET_ARN is missing.
        UnavailableError: the secret cannot be read.
    """
    arn = required(environment, "SIGNET_HANDSHAKE_SECRET_ARN", "the ARN of the handshake secret")
    secrets = versions_of(secretsmanager(), arn, pending=True)[:MAX_KEYS]
    return [assertion_public_key(assertion_key(secret.encode())) for secret in secrets]
