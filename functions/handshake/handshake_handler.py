"""GET /pch/challenge and GET /pch/keys: what a caller or an auditor may ask without a proof."""

from __future__ import annotations

import json
import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response

from signet.aws.handshake import HandshakeSettings, build_guard
from signet.aws.objects import S3ObjectStore
from signet.aws.session import s3
from signet.errors import SignetError
from signet.handshake.challenge import Challenge
from signet.handshake.guard import Guard
from signet.telemetry import NAMESPACE, UNITS, Metric

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=NAMESPACE)
app = APIGatewayRestResolver()


@cache
def _guard() -> Guard:
    return build_guard(HandshakeSettings.from_environment(os.environ))


@app.get("/pch/challenge")
def challenge() -> Response[str]:
    """Hand out the challenge a 401 would carry: in WWW-Authenticate, and as JSON for people."""
    header = _guard().issue(app.current_event.raw_event, now_ms=time.time_ns() // 1_000_000)
    offered = Challenge.from_header(header)
    body = {
        "realm": offered.realm,
        "nonce": offered.nonce,
        "algs": list(offered.algs),
        "binding": offered.binding,
        "header_budget": offered.header_budget,
    }
    return Response(
        status_code=200,
        content_type="application/json",
        headers={"WWW-Authenticate": header, "Cache-Control": "no-store"},
        body=json.dumps(body),
    )


@app.get("/pch/keys")
def keys() -> Response[str]:
    """Hand out the log's public signing keys (keys.json), as they are in the bucket."""
    found = S3ObjectStore(s3(), os.environ["SIGNET_LOG_BUCKET"]).get("keys.json")
    if found is None:
        error = {"error": "not_ready", "message": "The log has no keys yet; its first run makes them."}
        return Response(status_code=404, content_type="application/json", body=json.dumps(error))
    return Response(status_code=200, content_type="application/json", body=found.decode())


@app.exception_handler(SignetError)  # type: ignore[untyped-decorator] # as Powertools ships it
def unavailable(error: SignetError) -> Response[str]:
    """Answer as the gateway does when the authorizer fails: neither route takes input that could be wrong."""
    logger.error("unavailable", extra={"error": error.code, "reason": str(error)})
    return Response(
        status_code=503,
        content_type="application/json",
        headers={"Retry-After": "2", "Cache-Control": "no-store"},
        body=json.dumps({"error": "unavailable"}),
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Resolve a REST API proxy event."""
    logger.info("request", extra={"path": event.get("path")})
    counted = Metric.HANDSHAKE_REQUESTS
    metrics.add_metric(name=counted.value, unit=UNITS[counted].value, value=1)
    return app.resolve(event, context)
