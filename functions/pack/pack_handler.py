"""POST /compliance/pack: hand an auditor the proof of one closed day; and the building of large ones."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from signet.aws.compose.pack import PackSettings, build_delivery
from signet.aws.packs import CONTENT_TYPE
from signet.aws.reports import not_set_up
from signet.backend import verified_body
from signet.core.errors import (
    MisconfiguredError,
    NotFoundError,
    NotReadyError,
    SignetError,
    UnavailableError,
    UsageError,
)
from signet.core.instants import parse_date
from signet.gateway.proxy import is_proxy_event, own_path, retry_after
from signet.pack.delivery import Delivered, PackDelivery, Wanted
from signet.pack.store import StoredPack
from signet.telemetry import NAMESPACE, UNITS, Metric, dimensions

logger = Logger()
tracer = Tracer()
app = APIGatewayRestResolver()

_RETRY_AFTER_S = 5
_INCLUDE = ("include_evidence", "include_transcripts")
_CLIENT_ERRORS = {
    "not_authorized": HTTPStatus.FORBIDDEN,
    "digest_mismatch": HTTPStatus.BAD_REQUEST,
    "malformed": HTTPStatus.BAD_REQUEST,
}


@cache
def _settings() -> PackSettings:
    return PackSettings.from_environment(os.environ)


@cache
def _delivery(function: str) -> PackDelivery:
    """Return what hands out packs; large ones are ordered from the function of that name."""
    return build_delivery(_settings(), function, lambda: _now())  # noqa: PLW0108 - looked up at each call


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer an API Gateway proxy event, or a direct invocation (IAM).

    Args:
        event: a proxy event; or {"date": "YYYY-MM-DD"}, perhaps with {"include_evidence": true}, which is
            answered as the API would; or {"build": the same}, which builds the pack however long it takes.
        context: Lambda's context; its ``function_name`` is where large packs are ordered.
    """
    if is_proxy_event(event):
        # By the API's own path: a base-path mapping may stand in front of it.
        answer: dict[str, Any] = app.resolve({**event, "path": own_path(event)}, context)
        return answer
    try:
        if event.keys() == {"build"}:
            return _build(_wanted(event["build"]), context)
        return _deliver(_wanted(event), context)[1]
    except SignetError as error:
        if "build" in event and isinstance(error, UnavailableError):
            if isinstance(error, MisconfiguredError):
                not_set_up(logger, error)
            raise  # Lambda calls again
        return _refusal(error)[1]


@app.post("/compliance/pack")
def compliance_pack() -> Response[str]:
    """Answer with the pack's URL, as JSON or a redirect (``Accept: application/zip``), or where to wait."""
    event = app.current_event.raw_event
    try:
        status, body = _deliver(_wanted(_json(verified_body(event))), app.lambda_context)
    except SignetError as error:
        status, refusal = _refusal(error)
        retry = status is HTTPStatus.SERVICE_UNAVAILABLE
        return _response(status, refusal, _retry_after() if retry else {})
    if status is HTTPStatus.ACCEPTED:
        return _response(status, body, {"Location": body["status_url"], **_retry_after()})
    if _accepts_zip(event):
        return _response(HTTPStatus.SEE_OTHER, body, {"Location": body["url"]})
    return _response(status, body)


def _now() -> datetime:
    return datetime.now(UTC)


def _deliver(wanted: Wanted, context: Any) -> tuple[HTTPStatus, dict[str, Any]]:
    """Return the pack, or where to wait for it."""
    answer = _delivery(context.function_name).deliver(wanted)
    if isinstance(answer, Delivered):
        _note(answer.pack)
        return HTTPStatus.OK, _delivered(answer)
    job = answer.job
    if answer.ordered:
        logger.info("pack ordered", extra={"date": job.date, "receipts": job.receipts})
    return HTTPStatus.ACCEPTED, {
        "state": job.state.value,
        "date": job.date,
        "receipts": job.receipts,
        "done": job.done,
        "status_url": answer.url,
    }


def _build(wanted: Wanted, context: Any) -> dict[str, Any]:
    pack = _delivery(context.function_name).build(wanted)
    _note(pack)
    return {"key": pack.key, "sha256": pack.sha256, "size": pack.size, "built": pack.built}


def _note(pack: StoredPack) -> None:
    logger.info("pack", extra={"key": pack.key, "size": pack.size, "built": pack.built})
    if not pack.built:
        return
    # Written at once and only here: most requests build nothing and have no metric to publish.
    name = Metric.PACKS_BUILT
    with single_metric(
        name=name.value,
        unit=MetricUnit(UNITS[name].value),
        value=1,
        namespace=NAMESPACE,
        default_dimensions=dimensions(os.environ),
    ) as metric:
        metric.add_dimension("service", logger.service)


def _delivered(answer: Delivered) -> dict[str, Any]:
    return {
        "url": answer.url,
        "sha256": answer.pack.sha256,
        "size": answer.pack.size,
        "expires_at": answer.expires_at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "tree_size": answer.pack.tree_size,
    }


def _json(body: bytes) -> Any:
    try:
        return json.loads(body.decode(), object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise UsageError('the body must be JSON: {"date": "YYYY-MM-DD"}', code="malformed") from error


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _wanted(request: Any) -> Wanted:
    if not isinstance(request, dict) or not {"date"} <= request.keys() <= {"date", *_INCLUDE}:
        raise UsageError('ask with {"date": "YYYY-MM-DD"}, nothing else', code="malformed")
    day, (evidence, transcripts) = request["date"], (request.get(name, False) for name in _INCLUDE)
    if not isinstance(day, str) or not isinstance(evidence, bool) or not isinstance(transcripts, bool):
        raise UsageError(f"date must be text, {' and '.join(_INCLUDE)} true or false", code="malformed")
    try:
        return Wanted(parse_date(day), evidence, transcripts)
    except ValueError as error:
        raise UsageError("date must be a day of the calendar, YYYY-MM-DD", code="bad_date") from error


def _accepts_zip(event: Mapping[str, Any]) -> bool:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    ranges = (headers.get("accept") or "").split(",")
    return any(item.split(";")[0].strip().lower() == CONTENT_TYPE for item in ranges)


def _retry_after() -> dict[str, str]:
    return retry_after(_RETRY_AFTER_S, random.random())  # noqa: S311 - jitter


def _refusal(error: SignetError) -> tuple[HTTPStatus, dict[str, Any]]:
    if isinstance(error, MisconfiguredError):
        not_set_up(logger, error)
        error = error.for_callers()
    if isinstance(error, NotFoundError):
        status = HTTPStatus.NOT_FOUND
    elif isinstance(error, NotReadyError):
        status = HTTPStatus.CONFLICT
    elif isinstance(error, UnavailableError):
        status = HTTPStatus.SERVICE_UNAVAILABLE
    elif isinstance(error, UsageError):
        status = HTTPStatus.BAD_REQUEST
    elif error.code in _CLIENT_ERRORS:
        status = _CLIENT_ERRORS[error.code]
    else:
        # The log contradicts itself: a person has to look, and this line is what wakes one up.
        logger.error("pack cannot be built", extra={"error": error.code, "reason": str(error)})
        status = HTTPStatus.INTERNAL_SERVER_ERROR
    return status, {"error": error.code, "message": str(error)}


def _response(
    status: HTTPStatus, body: dict[str, Any], headers: Mapping[str, str] | None = None
) -> Response[str]:
    return Response(
        status_code=status.value,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
        body=json.dumps(body),
    )
