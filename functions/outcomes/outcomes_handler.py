"""POST /pch/outcomes: backends say how requests went; each outcome counts once, and only with its ticket."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger, Tracer

from signet.aws.compose.outcomes import build_intake
from signet.aws.reports import not_set_up
from signet.breaker.intake import TOO_LARGE, OutcomeIntake
from signet.core.errors import Denied, MisconfiguredError, SignetError, UsageError
from signet.gateway.proxy import received_body, retry_after

logger = Logger()
tracer = Tracer()

_RETRY_AFTER_S = 2


@cache
def _intake() -> OutcomeIntake:
    return build_intake(os.environ)


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a REST API proxy event. It needs no proof: what counts is the ticket of each outcome."""
    try:
        intake = _intake()
    except SignetError as error:
        return _unavailable(error)
    try:
        results = intake.take(received_body(event), now_ms=time.time_ns() // 1_000_000)
    except (Denied, UsageError) as error:
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if error.code == TOO_LARGE else HTTPStatus.BAD_REQUEST
        return _answer(status, {"error": error.code, "message": str(error)})
    except SignetError as error:
        return _unavailable(error)
    logger.info("outcomes", extra={"results": dict(Counter(results))})
    return _answer(HTTPStatus.OK, {"results": results})


def _unavailable(error: SignetError) -> dict[str, Any]:
    if isinstance(error, MisconfiguredError | UsageError):
        not_set_up(logger, error)
    else:
        logger.error("unavailable", extra={"error": error.code, "reason": str(error)})
    pause = retry_after(_RETRY_AFTER_S, random.random())  # noqa: S311 - jitter
    return _answer(HTTPStatus.SERVICE_UNAVAILABLE, {"error": "unavailable"}, pause)


def _answer(
    status: HTTPStatus, document: Mapping[str, Any], fields: Mapping[str, str] | None = None
) -> dict[str, Any]:
    return {
        "statusCode": status.value,
        "headers": {"Content-Type": "application/json", "Cache-Control": "no-store", **(fields or {})},
        "body": json.dumps(document),
    }
