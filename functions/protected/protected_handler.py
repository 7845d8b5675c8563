"""A demo backend behind the authorizer: says who called, with which proof, on which receipt."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools import Logger, Tracer

from signet.backend import guarded
from signet.handshake.request import received_body

logger = Logger()
tracer = Tracer()


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@guarded
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a REST API proxy event that the authorizer let through, and whose body is the signed one."""
    granted = event["requestContext"]["authorizer"]
    logger.set_correlation_id(granted["receipt_id"])
    logger.info("served")
    answer = {
        "message": "Welcome: your proof was verified.",
        "caller": granted["keyid"],
        "alg": granted.get("alg"),
        "binding": granted.get("binding"),
        "receipt_id": granted["receipt_id"],
        "path": event["path"],
        "received_bytes": len(received_body(event)),
    }
    return {
        "statusCode": 200,
        "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
        "body": json.dumps(answer),
    }
