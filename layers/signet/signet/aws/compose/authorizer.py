"""Composition of the authorizer, the only function that verifies callers' signatures."""

from __future__ import annotations

import os
import time
from importlib import import_module

from signet.aws.compose.handshake_settings import AuthorizerSettings
from signet.aws.compose.issuer import (
    PolicyReport,
    build_apis,
    build_bundles,
    build_issuer,
    deployment_secrets,
)
from signet.aws.liboqs import load_provider
from signet.aws.nonces import DynamoNonceStore
from signet.aws.queue import SqsReceiptQueue
from signet.aws.registry import DynamoClientRegistry
from signet.aws.session import hot
from signet.breaker.pause import Report
from signet.core.clocks import Elapsed
from signet.crypto import suites
from signet.handshake.authorizer import Authorizer
from signet.handshake.challenge import derive_key
from signet.handshake.emitter import EmitterCounter
from signet.handshake.grants import Grants
from signet.handshake.registry import CachedRegistry
from signet.handshake.strangers import Strangers
from signet.handshake.verifier import RequestVerifier

if os.environ.get("SIGNET_EDGE_SECRET_ARN"):
    # Parses what an edge attests: loaded while the environment starts. Without edges it is rarely needed.
    import_module("http_sf")


def build_authorizer(
    settings: AuthorizerSettings, report: PolicyReport, breaker_report: Report
) -> Authorizer:
    """Put the authorizer together; reads the secrets.

    Args:
        settings: from the environment.
        report: is told why a pushed policy was not loaded.
        breaker_report: is told what a person has to change before the breaker can be used.

    Raises:
        UsageError: the chosen ML-DSA provider is not here.
    """
    suites.use_mldsa_provider(load_provider(settings.mldsa_provider))
    queue, secrets = SqsReceiptQueue(hot("sqs"), settings.queue_url), deployment_secrets(settings)
    apis = build_apis(settings)

    def own_url() -> str:
        return settings.own_url.replace("{api_id}", apis.own().api_id)

    verifier = RequestVerifier(
        issuer=build_issuer(settings, secrets, report, breaker_report, queue, own_url=own_url),
        address_key=derive_key(secrets[0], "address"),
        caller_key=derive_key(secrets[0], "caller"),
        clients=CachedRegistry(DynamoClientRegistry(hot("dynamodb"), settings.clients_table), Elapsed()),
        nonces=DynamoNonceStore(hot("dynamodb"), settings.nonces_table),
        bundles=build_bundles(settings),
    )
    emitter = EmitterCounter(os.urandom)
    return Authorizer(
        verifier=verifier,
        queue=queue,
        emitter=emitter,
        random=os.urandom,
        cpu_ns=time.thread_time_ns,
        apis=apis,
        grants=Grants.from_secrets(secrets),
        strangers=Strangers(settings.refusal_receipts_per_s, emitter, os.urandom),
    )
