"""Lambda authorizer: authorize the event, encode the answer."""
# ruff: noqa: E402 - the collector has to be off before the imports

from __future__ import annotations

import gc

# What is imported stays, and a tenth of a cold start went into looking for garbage among it.
gc.disable()

import os
import time
import traceback
from functools import cache, partial
from typing import Any

from aws_lambda_powertools import Logger, Metrics  # no Tracer: importing X-Ray's SDK takes another fifth
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from signet.aws.compose.authorizer import build_authorizer
from signet.aws.compose.handshake_settings import AuthorizerSettings
from signet.aws.reports import not_set_up, policy_not_loaded
from signet.breaker.admission import Admission
from signet.core.decision import Decision, Reason
from signet.core.errors import SignetError
from signet.gateway import responses
from signet.handshake.authorizer import Authorizer, RecordedDecision
from signet.telemetry import NAMESPACE, UNITS, Metric, dimensions

gc.freeze()  # or the first collection would look through it in the middle of a request
gc.enable()

logger = Logger()
metrics = Metrics(namespace=NAMESPACE)
metrics.set_default_dimensions(**dimensions(os.environ))


class Shed(Exception):  # noqa: N818 - the gateway turns it into 503; it is an answer, not a malfunction
    """Raised so that API Gateway answers AUTHORIZER_FAILURE: 503 with Retry-After."""


_SPARED = frozenset({Reason.BREAKER_OPEN, Reason.HALF_OPEN_FULL})
# What a caller's own requests bring about. No kind of API is answered by an exception for it: a caller could
# make the alarm ring that counts those.
_FOR_CALLERS = frozenset({Reason.RATE_LIMITED, Reason.CALLER_SHED})


@cache
def _authorizer() -> Authorizer:
    settings = AuthorizerSettings.from_environment(os.environ)
    return build_authorizer(settings, _policy_not_loaded, partial(not_set_up, logger))


def _policy_not_loaded(error: SignetError) -> None:
    policy_not_loaded(logger, error)
    _measure(Metric.POLICY_FAILURES, 1)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a REQUEST authorizer event as the registration of its API says: REST, HTTP 1.0 or HTTP 2.0.

    What the breaker sheds, and what is over its caller's limit, is answered without a policy, which lets no
    request in. A REST API makes a 503 of it (AUTHORIZER_CONFIGURATION_ERROR) that is told apart from
    failures, and no alarm counts it as one. An HTTP API makes a bare 500 of it, and of an exception.

    Raises:
        Shed: the system cannot decide, or not record it; the caller may try again soon (AUTHORIZER_FAILURE).
            For an HTTP API also what the breaker sheds.
    """
    now_ms = time.time_ns() // 1_000_000
    recorded = _authorizer().authorize(event, now_ms=now_ms)
    _report(recorded)
    reason = recorded.decision.reason
    kind = recorded.decision.context.inbound.kind
    told = {"reason": reason.value, "receipt_id": recorded.receipt_id}
    if reason in _FOR_CALLERS or (reason in _SPARED and responses.sheds_by_answer(kind)):
        return responses.shed(told)
    if reason.decision is Decision.SHED:
        raise Shed(reason.value)
    allowed = reason.decision is Decision.ALLOW
    told |= _granted(recorded, now_ms) if allowed else {"challenge": recorded.decision.challenge}
    context = recorded.decision.context
    principal = (context.proof.keyid if allowed else None) or "anonymous"
    return responses.decided(kind, principal, told, allowed=allowed, arn=context.inbound.arn)


def _granted(recorded: RecordedDecision, now_ms: int) -> dict[str, str]:
    """Return what the backend is told of a request that is let through; no caller is."""
    context = recorded.decision.context
    proof = context.proof
    granted = {"keyid": proof.keyid or "", "alg": proof.alg or "", "binding": proof.binding.type.value}
    granted["covered"] = " ".join(context.covered or ())
    granted["nonce"] = context.next_nonce
    if context.content_digest is not None:
        granted["content_digest"] = context.content_digest
    grants = _authorizer().grants
    return granted if grants is None else granted | grants.told(context, recorded.receipt_id, now_ms=now_ms)


def _report(recorded: RecordedDecision) -> None:
    decision = recorded.decision
    logger.set_correlation_id(recorded.receipt_id)
    facts: dict[str, Any] = {
        "reason": decision.reason.value,
        "why": decision.message,
        "keyid": decision.context.proof.keyid,
    }
    if decision.reason in _SPARED | _FOR_CALLERS:
        context, spared = decision.context, decision.reason in _SPARED
        facts["retry_after_s"] = context.admission.retry_after_s if spared else context.retry_after_s
        facts["backend"] = context.requirements.backend if context.requirements is not None else None
    if decision.error is not None:
        logger.error("decision", extra={**facts, **_trace(decision.error), "recorded": recorded.durable})
    else:
        logger.info("decision", extra=facts)
    with single_metric(
        name=Metric.DECISIONS.value,
        unit=MetricUnit.Count,
        value=1,
        namespace=NAMESPACE,
        default_dimensions=dimensions(os.environ),
    ) as metric:
        metric.add_dimension("reason", decision.reason.value)
    _measure(Metric.AUTHORIZER_LATENCY, recorded.authorizer_us)
    if decision.reason in _SPARED:
        _measure(Metric.BREAKER_SHEDS, 1)
    elif decision.reason.decision is Decision.ALLOW:
        _report_trouble(decision.context.admission)
    _measure(Metric.HEADER_BYTES, decision.context.inbound.header_bytes)


def _report_trouble(admission: Admission) -> None:
    """Count a request that is let through though its backend is not known to be well."""
    if admission.view is None:
        return
    if admission.view.blind:
        _measure(Metric.BREAKER_SILENT, 1)
    if admission.view.record.floor_ppm:
        _measure(Metric.BREAKER_FUTILE, 1)


def _trace(error: BaseException) -> dict[str, str]:
    """Return class and place of an error, not its text: that may quote what a caller sent."""
    places = traceback.extract_tb(error.__traceback__)[-1:]
    return {
        "error": type(error).__name__,
        "place": "".join(f"{place.name}:{place.lineno}" for place in places),
    }


def _measure(metric: Metric, value: int) -> None:
    metrics.add_metric(name=metric.value, unit=UNITS[metric].value, value=value)
