"""A demo backend behind the authorizer: says who called, with which proof, on which receipt."""

from __future__ import annotations

import base64
import json
from typing import Any

from aws_lambda_powertools import Logger, Tracer

from signet.errors import SignetError
from signet.handshake.digest import check_content_digest

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a REST API proxy event that the authorizer let through."""
    granted = event["requestContext"].get("authorizer") or {}
    logger.set_correlation_id(granted.get("receipt_id", ""))
    body = event.get("body") or ""
    raw = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    try:
        # The authorizer never saw the body: only here can it be held to the digest that was signed.
        if raw or "content_digest" in granted:
            check_content_digest(granted.get("content_digest", ""), raw)
    except SignetError as error:
        logger.info("refused", extra={"error": error.code})
        return _json(400, {"error": error.code, "message": str(error)})
    logger.info("served")
    return _json(
        200,
        {
            "message": "Welcome: your proof was verified.",
            "caller": granted.get("keyid"),
            "alg": granted.get("alg"),
            "binding": granted.get("binding"),
            "receipt_id": granted.get("receipt_id"),
            "path": event["path"],
            "received_bytes": len(raw),
        },
    )


def _json(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
        "body": json.dumps(body),
    }
