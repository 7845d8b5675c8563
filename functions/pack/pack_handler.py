"""POST /compliance/pack: hand an auditor the proof of one closed day; and the building of large ones."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from signet.aws.objects import S3ObjectStore
from signet.aws.packjobs import Job, JobState, JobStore, Reporter, order_build
from signet.aws.packs import CONTENT_TYPE, PackStore, StoredPack, presigning_s3
from signet.aws.session import functions, s3
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
from signet.gateway.proxy import is_proxy_event, own_path
from signet.pack.build import PackPlan
from signet.telemetry import NAMESPACE, UNITS, Metric, dimensions

logger = Logger()
tracer = Tracer()
app = APIGatewayRestResolver()

_RETRY_AFTER_S = "5"
# Each piece of evidence is an object to fetch, where one bundle has 256 receipts.
_EVIDENCE_COSTS_RECEIPTS = 10
_CLIENT_ERRORS = {
    "not_authorized": HTTPStatus.FORBIDDEN,
    "digest_mismatch": HTTPStatus.BAD_REQUEST,
    "malformed": HTTPStatus.BAD_REQUEST,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """What the function is configured with.

    Attributes:
        bucket: the log's bucket (``SIGNET_LOG_BUCKET``).
        url_ttl_s: lifetime of a download URL in seconds (``SIGNET_PACK_URL_TTL_S``, default 900).
        receipts_at_once: days of up to so many receipts are built while the caller waits
            (``SIGNET_PACK_RECEIPTS_AT_ONCE``, default 50000), a tenth with evidence; the gateway waits 29 s.
    """

    bucket: str
    url_ttl_s: int
    receipts_at_once: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings."""
        return cls(
            environment["SIGNET_LOG_BUCKET"],
            int(environment.get("SIGNET_PACK_URL_TTL_S", "900")),
            int(environment.get("SIGNET_PACK_RECEIPTS_AT_ONCE", "50000")),
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which pack is asked for."""

    day: date
    evidence: bool


@cache
def _settings() -> Settings:
    return Settings.from_environment(os.environ)


@cache
def _packs() -> PackStore:
    bucket = _settings().bucket
    return PackStore(s3(), presigning_s3(), bucket, S3ObjectStore(s3(), bucket))


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
            return _build(_wanted(event["build"]))
        return _deliver(_wanted(event), context)[1]
    except SignetError as error:
        if "build" in event and isinstance(error, UnavailableError):
            if isinstance(error, MisconfiguredError):
                _say_what_is_wrong(error)
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
        retry = {"Retry-After": _RETRY_AFTER_S} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
        return _response(status, refusal, retry)
    if status is HTTPStatus.ACCEPTED:
        return _response(status, body, {"Location": body["status_url"], "Retry-After": _RETRY_AFTER_S})
    if _accepts_zip(event):
        return _response(HTTPStatus.SEE_OTHER, body, {"Location": body["url"]})
    return _response(status, body)


def _now() -> datetime:
    return datetime.now(UTC)


def _now_ms() -> int:
    return int(_now().timestamp() * 1000)


def _plan(wanted: Wanted) -> PackPlan:
    return _packs().plan(wanted.day.isoformat(), today=_now().date(), evidence=wanted.evidence)


def _deliver(wanted: Wanted, context: Any) -> tuple[HTTPStatus, dict[str, Any]]:
    """Return the pack, built at once if that is quick; else have it built, and return where to wait."""
    packs, settings = _packs(), _settings()
    plan = _plan(wanted)
    cost = _EVIDENCE_COSTS_RECEIPTS if plan.evidence else 1
    if plan.receipts * cost <= settings.receipts_at_once:
        pack: StoredPack | None = packs.obtain(plan)
    else:
        pack = packs.find(plan)
    if pack is None:
        return HTTPStatus.ACCEPTED, _waiting(plan, context.function_name)
    _note(pack)
    url = packs.presign(pack, ttl_s=settings.url_ttl_s)
    return HTTPStatus.OK, _delivery(pack, url, _now(), settings.url_ttl_s)


def _waiting(plan: PackPlan, function: str) -> dict[str, Any]:
    """See that somebody builds the pack, and return how far that is."""
    jobs = JobStore(_packs().objects)
    job = jobs.read(plan)
    if job is None or not job.runs(_now_ms()):
        job = Job(JobState.BUILDING, plan.date, plan.receipts, 0, _now_ms())
        jobs.write(plan, job)
        try:
            order_build(functions(), function, plan.date, evidence=plan.evidence)
        except UnavailableError as error:  # nothing builds it: the next call is to order again, not to wait
            told = error.for_callers() if isinstance(error, MisconfiguredError) else error
            jobs.write(plan, replace(job, state=JobState.FAILED, error=told.code, message=str(told)))
            raise
        logger.info("pack ordered", extra={"date": plan.date, "receipts": plan.receipts})
    url = _packs().presign_key(jobs.key(plan), ttl_s=_settings().url_ttl_s)
    return {
        "state": job.state.value,
        "date": job.date,
        "receipts": job.receipts,
        "done": job.done,
        "status_url": url,
    }


def _build(wanted: Wanted) -> dict[str, Any]:
    """Build a pack and say how far it is.

    Raises:
        LogError: the log contradicts itself, or the day is too large for a pack.
        UnavailableError: the store cannot be used; by the next call it may be.
    """
    plan = _plan(wanted)
    reporter = Reporter(JobStore(_packs().objects), plan, _now_ms())
    try:
        pack = _packs().obtain(plan, lambda done, _total: reporter.progress(done, _now_ms()))
    except SignetError as error:
        if isinstance(error, MisconfiguredError):  # no caller has to wait; the log says the rest
            reporter.failed(error.for_callers(), _now_ms())
        elif not isinstance(error, UnavailableError):
            reporter.failed(error, _now_ms())
        raise
    reporter.built(_now_ms())
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


def _delivery(pack: StoredPack, url: str, now: datetime, ttl_s: int) -> dict[str, Any]:
    expires_at = (now + timedelta(seconds=ttl_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "url": url,
        "sha256": pack.sha256,
        "size": pack.size,
        "expires_at": expires_at,
        "tree_size": pack.tree_size,
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
    if not isinstance(request, dict) or not {"date"} <= request.keys() <= {"date", "include_evidence"}:
        raise UsageError('ask with {"date": "YYYY-MM-DD"}, nothing else', code="malformed")
    day, evidence = request["date"], request.get("include_evidence", False)
    if not isinstance(day, str) or not isinstance(evidence, bool):
        raise UsageError("date must be text, include_evidence true or false", code="malformed")
    try:
        return Wanted(parse_date(day), evidence)
    except ValueError as error:
        raise UsageError("date must be a day of the calendar, YYYY-MM-DD", code="bad_date") from error


def _accepts_zip(event: Mapping[str, Any]) -> bool:
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    ranges = (headers.get("accept") or "").split(",")
    return any(item.split(";")[0].strip().lower() == CONTENT_TYPE for item in ranges)


def _say_what_is_wrong(error: MisconfiguredError) -> None:
    logger.error("not set up right", extra={"error": error.code, "reason": str(error)})


def _refusal(error: SignetError) -> tuple[HTTPStatus, dict[str, Any]]:
    if isinstance(error, MisconfiguredError):
        _say_what_is_wrong(error)
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
