"""POST /compliance/pack: hand an auditor the proof of one closed day."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from signet.aws.objects import S3ObjectStore
from signet.aws.packs import CONTENT_TYPE, PackStore, StoredPack, presigning_s3
from signet.aws.session import s3
from signet.errors import Denied, NotFoundError, NotReadyError, SignetError, UnavailableError, UsageError
from signet.handshake.digest import check_content_digest
from signet.handshake.request import received_body
from signet.log.encoding import parse_date
from signet.telemetry import NAMESPACE, UNITS, Metric

logger = Logger()
tracer = Tracer()
app = APIGatewayRestResolver()

_RETRY_AFTER_S = "5"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the function is configured with.

    Attributes:
        bucket: the log's bucket (``SIGNET_LOG_BUCKET``).
        url_ttl_s: lifetime of a download URL in seconds (``SIGNET_PACK_URL_TTL_S``, default 900).
    """

    bucket: str
    url_ttl_s: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings."""
        return cls(environment["SIGNET_LOG_BUCKET"], int(environment.get("SIGNET_PACK_URL_TTL_S", "900")))


@cache
def _settings() -> Settings:
    return Settings.from_environment(os.environ)


@cache
def _packs() -> PackStore:
    bucket = _settings().bucket
    return PackStore(s3(), presigning_s3(), bucket, S3ObjectStore(s3(), bucket))


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer an API Gateway proxy event, or {"date": "YYYY-MM-DD"} of a direct invocation (IAM)."""
    if "requestContext" in event:
        answer: dict[str, Any] = app.resolve(event, context)
        return answer
    try:
        return _deliver(_requested_date(event))
    except SignetError as error:
        return _refusal(error)[1]


@app.post("/compliance/pack")
def compliance_pack() -> Response[str]:
    """Answer with the pack's URL: as JSON, or as a redirect for ``Accept: application/zip``."""
    event = app.current_event.raw_event
    try:
        delivered = _deliver(_requested_date(_json(_signed_body(event))))
    except SignetError as error:
        status, refusal = _refusal(error)
        retry = {"Retry-After": _RETRY_AFTER_S} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
        return _response(status, refusal, retry)
    if _accepts_zip(event):
        return _response(HTTPStatus.SEE_OTHER, delivered, {"Location": delivered["url"]})
    return _response(HTTPStatus.OK, delivered)


def _now() -> datetime:
    return datetime.now(UTC)


def _deliver(day: date) -> dict[str, Any]:
    settings = _settings()
    now = _now()
    pack = _packs().obtain(day.isoformat(), today=now.date())
    if pack.built:
        _count_built()
    logger.info("pack", extra={"date": day.isoformat(), "size": pack.size, "built": pack.built})
    return _delivery(pack, _packs().presign(pack, ttl_s=settings.url_ttl_s), now, settings.url_ttl_s)


def _count_built() -> None:
    # Written at once and only here: most requests build nothing and have no metric to publish.
    name = Metric.PACKS_BUILT
    with single_metric(
        name=name.value, unit=MetricUnit(UNITS[name].value), value=1, namespace=NAMESPACE
    ) as metric:
        metric.add_dimension("service", logger.service)


def _delivery(pack: StoredPack, url: str, now: datetime, ttl_s: int) -> dict[str, Any]:
    expires_at = (now + timedelta(seconds=ttl_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "url": url,
        "sha256": pack.sha256,
        "size": pack.size,
        "expires_at": expires_at,
        "tree_size": pack.tree_size,
    }


def _signed_body(event: Mapping[str, Any]) -> bytes:
    """Return the body, held to the digest that the caller signed.

    Raises:
        UsageError: the event's base64 is broken.
        SignetError: code ``digest_mismatch``: another body than was signed, or none was signed.
    """
    try:
        body = received_body(event)
    except Denied as error:
        raise UsageError("the body is not valid base64 or text", code="malformed") from error
    field = (event["requestContext"].get("authorizer") or {}).get("content_digest")
    if not isinstance(field, str):
        raise SignetError("sign the body: send and cover Content-Digest", code="digest_mismatch")
    check_content_digest(field, body)
    return body


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


def _requested_date(request: Any) -> date:
    if not isinstance(request, dict) or request.keys() != {"date"} or not isinstance(request["date"], str):
        raise UsageError('ask with exactly {"date": "YYYY-MM-DD"}', code="malformed")
    try:
        return parse_date(request["date"])
    except ValueError as error:
        raise UsageError("date must be a day of the calendar, YYYY-MM-DD", code="bad_date") from error


def _accepts_zip(event: Mapping[str, Any]) -> bool:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    ranges = (headers.get("accept") or "").split(",")
    return any(item.split(";")[0].strip().lower() == CONTENT_TYPE for item in ranges)


def _refusal(error: SignetError) -> tuple[HTTPStatus, dict[str, Any]]:
    if isinstance(error, NotFoundError):
        status = HTTPStatus.NOT_FOUND
    elif isinstance(error, NotReadyError):
        status = HTTPStatus.CONFLICT
    elif isinstance(error, UnavailableError):
        status = HTTPStatus.SERVICE_UNAVAILABLE
    elif isinstance(error, UsageError) or error.code == "digest_mismatch":
        status = HTTPStatus.BAD_REQUEST
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
