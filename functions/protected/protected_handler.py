"""A demo backend behind the authorizer: says who called, with which proof, on which receipt.

Where the deployment allows fault sessions, it is slow or fails as ``signet fault`` says.
"""

from __future__ import annotations

import json
import os
from functools import cache, partial
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger, Tracer

from signet.aws.compose.protected import build_injector
from signet.aws.observe import observe
from signet.aws.reports import not_set_up
from signet.backend import guarded
from signet.breaker.fault import FaultInjector
from signet.gateway.proxy import granted, own_path, received_body

logger = Logger()
tracer = Tracer()


@cache
def _injector() -> FaultInjector | None:
    return build_injector(os.environ, partial(not_set_up, logger))


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
@guarded
@observe
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a REST API proxy event that the authorizer let through, and whose body is the signed one."""
    caller = granted(event)
    logger.set_correlation_id(caller["receipt_id"])
    injector = _injector()
    if injector is not None and injector.inject():
        logger.info("failed as ordered")
        return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"error": "fault_ordered"})
    logger.info("served")
    return _answer(
        HTTPStatus.OK,
        {
            "message": "Welcome: your proof was verified.",
            "caller": caller["keyid"],
            "alg": caller.get("alg"),
            "binding": caller.get("binding"),
            "receipt_id": caller["receipt_id"],
            "path": own_path(event),
            "received_bytes": len(received_body(event)),
        },
    )


def _answer(status: HTTPStatus, document: dict[str, Any]) -> dict[str, Any]:
    return {
        "statusCode": status.value,
        "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
        "body": json.dumps(document),
    }
