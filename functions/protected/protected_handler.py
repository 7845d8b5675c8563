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
from signet.breaker.ticket import token_of
from signet.gateway.proxy import granted, own_path, received_body

logger = Logger()
tracer = Tracer()


@cache
def _injector() -> FaultInjector | None:
    return build_injector(os.environ, partial(not_set_up, logger))


def _backend(event: dict[str, Any]) -> str | None:
    """Return the name of the breaker that let a request in."""
    token = token_of(granted(event).get("breaker"))
    return None if token is None else token.name


def _served(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    caller = granted(event)
    logger.set_correlation_id(caller["receipt_id"])
    injector = _injector()
    if injector is not None and injector.inject(_backend(event)):
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


_observed = observe(_served)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
@guarded
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer a REST API proxy event that the authorizer let through, and whose body is the signed one."""
    injector = _injector()
    if injector is not None and injector.silences(_backend(event)):
        return _served(event, context)
    answer: dict[str, Any] = _observed(event, context)
    return answer


def _answer(status: HTTPStatus, document: dict[str, Any]) -> dict[str, Any]:
    return {
        "statusCode": status.value,
        "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
        "body": json.dumps(document),
    }
