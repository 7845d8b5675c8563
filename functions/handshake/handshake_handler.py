"""/pch/challenge, /pch/evidence, /pch/keys, /pch/assertion-keys, /.well-known/pch: asked without a proof."""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from signet.aws.compose.handshake import build_uploader, read_assertion_keys, read_keys
from signet.aws.compose.handshake_settings import HandshakeSettings
from signet.aws.published import FRESH_S, Copy, PublishedObject
from signet.aws.reports import not_set_up, policy_not_loaded
from signet.core.clocks import Elapsed
from signet.core.decision import Reason
from signet.core.errors import (
    Denied,
    MisconfiguredError,
    NotFoundError,
    SignetError,
    UnavailableError,
    UsageError,
)
from signet.gateway import rest_v1
from signet.gateway.model import InboundRequest
from signet.gateway.proxy import field_value, own_path, received_body, retry_after
from signet.handshake.asked import Asked
from signet.handshake.decision import reason_of
from signet.handshake.evidence import digest_field
from signet.handshake.uploader import BundleUploader
from signet.telemetry import NAMESPACE, UNITS, Metric, dimensions

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=NAMESPACE)
metrics.set_default_dimensions(**dimensions(os.environ))
app = APIGatewayRestResolver()

_RETRY_AFTER_S = 2
_DISCOVERY_FRESH_S = 300


@cache
def _uploader() -> BundleUploader:
    settings = HandshakeSettings.from_environment(os.environ)
    return build_uploader(settings, _policy_not_loaded, partial(not_set_up, logger))


@cache
def _public_keys() -> PublishedObject:
    return PublishedObject(_read_keys, Elapsed())


def _read_keys() -> bytes | None:
    return read_keys(os.environ)


@cache
def _assertion_keys() -> PublishedObject:
    return PublishedObject(_read_assertion_keys, Elapsed())


def _read_assertion_keys() -> bytes:
    return json.dumps({"alg": "ed25519", "keys": read_assertion_keys(os.environ)}).encode()


def _policy_not_loaded(error: SignetError) -> None:
    policy_not_loaded(logger, error)
    _count(Metric.POLICY_FAILURES)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _inbound() -> InboundRequest:
    """Return what ``handler`` decoded the event to, as a request to Signet's own API."""
    inbound: InboundRequest = app.context["inbound"]
    return replace(inbound, api=_uploader().apis.own())


@app.get("/pch/challenge")
def challenge() -> Response[str]:
    """Hand out the challenge a 401 would carry: in WWW-Authenticate, and as JSON, which has all nonces."""
    now_ms, uploader, inbound = _now_ms(), _uploader(), _inbound()
    try:
        asked = uploader.asked(inbound)
    except (Denied, NotFoundError) as error:
        return _refused_for_what_is_asked(error)
    offered = uploader.issuer.issue(inbound, asked, now_ms=now_ms)
    body = {
        "realm": offered.realm,
        "nonce": offered.nonce,
        "algs": list(offered.algs),
        "binding": offered.binding,
        "header_budget": offered.header_budget,
        "challenge_uri": offered.challenge_uri,
        "evidence_uri": offered.evidence_uri,
        "components": list(offered.components),
        "max_age": offered.max_age,
        "nonces": [offered.nonce, *offered.further],
    }
    return _json(HTTPStatus.OK, body, {"WWW-Authenticate": offered.to_header()})


@app.post("/pch/evidence")
def evidence() -> Response[str]:
    """Store a bundle for a detached proof, for a caller that holds a live nonce."""
    now_ms, uploader, inbound = _now_ms(), _uploader(), _inbound()
    try:
        asked = uploader.asked(inbound)
    except (Denied, NotFoundError) as error:
        return _refused_for_what_is_asked(error)
    try:
        made = uploader.store(inbound, received_body(app.current_event.raw_event), asked, now_ms=now_ms)
    except (Denied, UsageError, UnavailableError) as error:
        return _refusal(inbound, asked, error, now_ms)
    logger.info("stored a bundle", extra={"sha256": made.sha256.hex()})
    _count(Metric.BUNDLES_STORED)
    return _json(HTTPStatus.CREATED, {"digest": digest_field(made.sha256), "expires_at": made.expires_at})


def _refused_for_what_is_asked(error: Denied | NotFoundError) -> Response[str]:
    """Answer a request that names an API or a name which is not registered, or parameters that are none."""
    status = HTTPStatus.NOT_FOUND if isinstance(error, NotFoundError) else HTTPStatus.BAD_REQUEST
    logger.info("refused what was asked", extra={"error": error.code})
    return _json(status, {"error": error.code, "message": str(error)})


def _refusal(inbound: InboundRequest, asked: Asked, error: SignetError, now_ms: int) -> Response[str]:
    if isinstance(error, MisconfiguredError):
        not_set_up(logger, error)
        error = error.for_callers()
    logger.info("refused a bundle", extra={"error": error.code})
    body = {"error": error.code, "message": str(error)}
    if isinstance(error, UnavailableError):
        return _json(HTTPStatus.SERVICE_UNAVAILABLE, body, _retry_after())
    if isinstance(error, UsageError):
        return _json(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, body)
    if error.code == Reason.MALFORMED:
        return _json(HTTPStatus.BAD_REQUEST, body)
    reason, message, _ = reason_of(error)
    if reason is Reason.INTERNAL_ERROR:  # no code of a refusal: an outage, as below
        raise SignetError(message, code=error.code)
    challenge = _uploader().issuer.issue(inbound, replace(asked, count=1), now_ms=now_ms, reason=reason)
    return _json(HTTPStatus.UNAUTHORIZED, body, {"WWW-Authenticate": challenge.to_header()})


@app.get("/pch/keys")
def keys() -> Response[str]:
    """Hand out the log's public signing keys (keys.json), as they are in the bucket or were a minute ago."""
    found = _public_keys().get()
    if found is None:
        error = {"error": "not_ready", "message": "The log has no keys yet; its first run makes them."}
        return _json(HTTPStatus.NOT_FOUND, error)
    return _published(found)


@app.get("/pch/assertion-keys")
def assertion_keys() -> Response[str]:
    """Hand out the public keys that guards of backends are given; what they were a minute ago at most."""
    found = _assertion_keys().get()
    if found is None:
        raise UnavailableError("there are no assertion keys")
    return _published(found)


@app.get("/.well-known/pch")
def discovery() -> Response[str]:
    """Say where challenges for this API are: for clients that look for it at the root of its name."""
    issuer = _uploader().issuer
    body = {"challenge_uri": issuer.challenge_uri(_inbound(), now_ms=_now_ms())}
    return _json(HTTPStatus.OK, body, {"Cache-Control": f"public, max-age={_DISCOVERY_FRESH_S}"})


def _published(found: Copy) -> Response[str]:
    fields = {"Cache-Control": f"public, max-age={FRESH_S}", "ETag": found.etag}
    if found.matches(field_value(app.current_event.raw_event, "if-none-match")):
        return Response(status_code=HTTPStatus.NOT_MODIFIED.value, headers=fields)
    return Response(
        status_code=HTTPStatus.OK.value,
        content_type="application/json",
        headers=fields,
        body=found.content.decode(),
    )


@app.exception_handler(SignetError)  # type: ignore[untyped-decorator] # as Powertools ships it
def unavailable(error: SignetError) -> Response[str]:
    """Answer as the gateway does when the authorizer fails: what no route expects is an outage."""
    logger.error("unavailable", extra={"error": error.code, "reason": str(error)})
    return _json(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "unavailable"}, _retry_after())


def _retry_after() -> dict[str, str]:
    return retry_after(_RETRY_AFTER_S, random.random())  # noqa: S311 - jitter


def _count(metric: Metric) -> None:
    metrics.add_metric(name=metric.value, unit=UNITS[metric].value, value=1)


def _json(
    status: HTTPStatus, body: Mapping[str, Any], fields: Mapping[str, str] | None = None
) -> Response[str]:
    return Response(
        status_code=status.value,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(fields or {})},
        body=json.dumps(body),
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Resolve a REST API proxy event, by the API's own path: a base-path mapping may stand in front of it."""
    inbound = rest_v1.decode(event)
    path = own_path(event, inbound)
    logger.info("request", extra={"path": path})
    _count(Metric.HANDSHAKE_REQUESTS)
    app.context["inbound"] = inbound
    return app.resolve({**event, "path": path}, context)
