"""Composition of what takes bundles: apart from the authorizer, which would load it and never use it."""

from __future__ import annotations

from signet.aws.bundles import DynamoBundleStore
from signet.aws.handshake import PolicyReport, build_issuer, deployment_secrets
from signet.aws.handshake_settings import HandshakeSettings
from signet.aws.session import dynamodb
from signet.breaker.pause import Report
from signet.handshake.uploader import BundleUploader


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
    return BundleUploader(issuer, DynamoBundleStore(dynamodb(), settings.bundles_table))
