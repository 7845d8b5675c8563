"""Composition of what takes bundles: apart from the authorizer, which would load it and never use it."""

from __future__ import annotations

from signet.aws.bundles import DynamoBundleStore
from signet.aws.handshake import HandshakeSettings, PolicyReport, build_guard
from signet.aws.session import dynamodb
from signet.handshake.deposit import Depository


def build_depository(settings: HandshakeSettings, report: PolicyReport) -> Depository:
    """Put together what takes bundles; ``report`` is told why a pushed policy was not loaded."""
    return Depository(build_guard(settings, report), DynamoBundleStore(dynamodb(), settings.bundles_table))
