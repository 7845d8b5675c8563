"""A demo backend behind the authorizer: says who called, with which proof, on which receipt.

Where the deployment allows fault sessions, it is slow or fails as ``signet fault`` says.
"""

from __future__ import annotations

import json
import os
import random
import time
from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger, Tracer

from signet.aws.observe import observe
from signet.backend import guarded
from signet.breaker.fault import FaultInjector
from signet.core.clocks import Elapsed
from signet.core.errors import SignetError
from signet.gateway.proxy import granted, own_path, received_body

logger = Logger()
tracer = Tracer()


@cache
def _injector() -> FaultInjector | None:
    """Return what carries out ordered faults, or None where none may be ordered."""
    table = os.environ.get("SIGNET_FAULT_TABLE")
    if not table:
        return None
    from signet.aws.faults import DynamoFaultStore  # noqa: PLC0415 - AWS is loaded only where faults are allowed
    from signet.aws.session import dynamodb  # noqa: PLC0415 - as above

    store = DynamoFaultStore(dynamodb(), table)
    return FaultInjector(
        store.ordered, lambda: time.time_ns() // 1_000_000, time.sleep, random.random, Elapsed(), _not_set_up
    )


def _not_set_up(error: SignetError) -> None:
    logger.error("not set up right", extra={"error": error.code, "reason": str(error)})


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
