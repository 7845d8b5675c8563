"""Lambda authorizer: authorize the event, encode the answer."""
# ruff: noqa: E402 - the collector has to be off before the imports

from __future__ import annotations

import gc

# What is imported stays, and a tenth of a cold start went into looking for garbage among it.
gc.disable()

import os
import time
from functools import cache
from typing import Any

from signet.aws.compose.authorizer import build_authorizer
from signet.aws.compose.handshake_settings import AuthorizerSettings
from signet.aws.reports import ErrorLogger, not_set_up, policy_not_loaded
from signet.breaker.admission import Admission
from signet.core.decision import Decision, Reason
from signet.core.errors import SignetError
from signet.decisionlog import DecisionLog
from signet.gateway import responses
from signet.handshake.authorizer import Authorizer, RecordedDecision
from signet.telemetry import Metric

gc.freeze()  # or the first collection would look through it in the middle of a request
gc.enable()

decisions = DecisionLog(os.environ)


class Shed(Exception):  # noqa: N818 - the gateway turns it into 503; it is an answer, not a malfunction
    """Raised so that API Gateway answers AUTHORIZER_FAILURE: 503 with Retry-After."""


_SPARED = frozenset({Reason.BREAKER_OPEN, Reason.HALF_OPEN_FULL})
# What a caller's own requests bring about. No kind of API is answered by an exception for it: a caller could
# make the alarm ring that counts those.
_FOR_CALLERS = frozenset({Reason.RATE_LIMITED, Reason.CALLER_SHED})


@cache
def _authorizer() -> Authorizer:
    settings = AuthorizerSettings.from_environment(os.environ)
    return build_authorizer(settings, _policy_not_loaded, _not_set_up)


def _policy_not_loaded(error: SignetError) -> None:
    policy_not_loaded(_logger(), error)
    decisions.count(Metric.POLICY_FAILURES)


def _not_set_up(error: SignetError) -> None:
    not_set_up(_logger(), error)


def _logger() -> ErrorLogger:
    """Return Powertools' logger, for what is rarely said: importing it takes a sixth of a cold start."""
    from aws_lambda_powertools import Logger  # noqa: PLC0415 - see above

    return Logger()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
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
    _report(recorded, getattr(context, "aws_request_id", ""))
    reason = recorded.decision.reason
    kind = recorded.decision.context.inbound.kind
    told = {"reason": reason.value, "receipt_id": recorded.receipt_id}
    if reason in _FOR_CALLERS or (reason in _SPARED and responses.sheds_by_answer(kind)):
        return responses.shed(told)
    if reason.decision is Decision.SHED:
        raise Shed(reason.value)
    allowed = reason.decision is Decision.ALLOW
    told |= _granted(recorded, now_ms) if allowed else {"challenge": recorded.decision.challenge}
    facts = recorded.decision.context
    principal = (facts.proof.keyid if allowed else None) or "anonymous"
    return responses.decided(kind, principal, told, allowed=allowed, arn=facts.inbound.arn)


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


def _report(recorded: RecordedDecision, request_id: str) -> None:
    decision = recorded.decision
    context = decision.context
    facts: dict[str, Any] = {
        "reason": decision.reason.value,
        "why": decision.message,
        "keyid": context.proof.keyid,
    }
    measured = {
        Metric.AUTHORIZER_LATENCY: recorded.authorizer_us,
        Metric.HEADER_BYTES: context.inbound.header_bytes,
    }
    if decision.reason in _SPARED | _FOR_CALLERS:
        spared, needs = decision.reason in _SPARED, context.requirements
        facts["retry_after_s"] = context.admission.retry_after_s if spared else context.retry_after_s
        facts["backend"] = needs.backend if needs is not None else None
        measured |= {Metric.BREAKER_SHEDS: 1} if spared else {}
    elif decision.reason.decision is Decision.ALLOW:
        measured |= _trouble(context.admission)
    if recorded.folded:
        measured |= {Metric.REFUSALS_FOLDED: 1}
    level = "INFO"
    if decision.error is not None:
        level = "ERROR"
        facts |= {**_trace(decision.error), "recorded": recorded.durable}
    decisions.write(level, facts, measured, request_id=request_id, receipt_id=recorded.receipt_id)


def _trouble(admission: Admission) -> dict[Metric, int]:
    """Return what counts a request that is let through though its backend is not known to be well."""
    if admission.view is None:
        return {}
    silent = {Metric.BREAKER_SILENT: 1} if admission.view.blind else {}
    return silent | ({Metric.BREAKER_FUTILE: 1} if admission.view.record.floor_ppm else {})


def _trace(error: BaseException) -> dict[str, str]:
    """Return class and place of an error, not its text: that may quote what a caller sent."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "" if place is None else f"{place.tb_frame.f_code.co_name}:{place.tb_lineno}"
    return {"error": type(error).__name__, "place": where}
