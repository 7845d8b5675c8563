"""Lambda authorizer: decode the event, enforce, encode the answer."""
# ruff: noqa: E402 - the collector has to be off before the imports

from __future__ import annotations

import gc

# What is imported stays, and a tenth of a cold start went into looking for garbage among it.
gc.disable()

import os
import time
import traceback
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics  # no Tracer: importing X-Ray's SDK takes another fifth
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from signet.aws.handshake import HandshakeSettings, build_enforcer
from signet.core.decision import Decision, Reason
from signet.core.errors import SignetError
from signet.handshake.enforcer import Enforced, Enforcer
from signet.telemetry import NAMESPACE, UNITS, Metric, dimensions

gc.freeze()  # or the first collection would look through it in the middle of a request
gc.enable()

logger = Logger()
metrics = Metrics(namespace=NAMESPACE)
metrics.set_default_dimensions(**dimensions(os.environ))


class Shed(Exception):  # noqa: N818 - the gateway turns it into 503; it is an answer, not a malfunction
    """Raised so that API Gateway answers AUTHORIZER_FAILURE: 503 with Retry-After."""


_SPARED = frozenset({Reason.BREAKER_OPEN, Reason.HALF_OPEN_FULL})


@cache
def _enforcer() -> Enforcer:
    return build_enforcer(HandshakeSettings.from_environment(os.environ), _policy_not_loaded)


def _policy_not_loaded(error: SignetError) -> None:
    logger.error("policy not loaded", extra={"error": error.code, "why": str(error)})
    _measure(Metric.POLICY_FAILURES, 1)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a REQUEST authorizer event of a REST API.

    What the breaker sheds is answered without a policy, which lets nobody in: API Gateway makes a 503 of it
    (AUTHORIZER_CONFIGURATION_ERROR) that is told apart from failures, and no alarm counts it as one.

    Raises:
        Shed: the system cannot decide, or not record it; the caller may try again soon (AUTHORIZER_FAILURE).
    """
    enforced = _enforcer().enforce(event, now_ms=time.time_ns() // 1_000_000)
    _report(enforced)
    if enforced.judgement.reason in _SPARED:
        return _without_policy(enforced)
    if enforced.judgement.reason.decision is Decision.SHED:
        raise Shed(enforced.judgement.reason.value)
    return _answer(event, enforced)


def _without_policy(enforced: Enforced) -> dict[str, Any]:
    judgement = enforced.judgement
    return {"context": {"reason": judgement.reason.value, "receipt_id": enforced.receipt_id}}


def _answer(event: dict[str, Any], enforced: Enforced) -> dict[str, Any]:
    judgement = enforced.judgement
    allowed = judgement.reason.decision is Decision.ALLOW
    proof = judgement.trail.proof
    context = {"reason": judgement.reason.value, "receipt_id": enforced.receipt_id}
    if allowed:
        context |= {"keyid": proof.keyid or "", "alg": proof.alg or "", "binding": proof.binding.type.value}
        context["covered"] = " ".join(judgement.trail.covered)
        if judgement.trail.content_digest is not None:
            context["content_digest"] = judgement.trail.content_digest
        if judgement.trail.credit:
            context["breaker"] = judgement.trail.credit
    else:
        context["challenge"] = judgement.challenge
    return {
        "principalId": (proof.keyid or "anonymous") if allowed else "anonymous",
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow" if allowed else "Deny",
                    # What is denied may be everything; what is allowed has a name.
                    "Resource": event["methodArn"] if allowed else event.get("methodArn", "*"),
                }
            ],
        },
        "context": context,
    }


def _report(enforced: Enforced) -> None:
    judgement = enforced.judgement
    logger.set_correlation_id(enforced.receipt_id)
    facts: dict[str, Any] = {
        "reason": judgement.reason.value,
        "why": judgement.message,
        "keyid": judgement.trail.proof.keyid,
    }
    if judgement.reason in _SPARED:
        facts["retry_after_s"] = judgement.trail.admission.retry_after_s
    if judgement.error is not None:
        logger.error("decision", extra={**facts, **_trace(judgement.error), "recorded": enforced.recorded})
    else:
        logger.info("decision", extra=facts)
    with single_metric(
        name=Metric.DECISIONS.value,
        unit=MetricUnit.Count,
        value=1,
        namespace=NAMESPACE,
        default_dimensions=dimensions(os.environ),
    ) as metric:
        metric.add_dimension("reason", judgement.reason.value)
    _measure(Metric.AUTHORIZER_LATENCY, enforced.authorizer_us)
    if judgement.reason in _SPARED:
        _measure(Metric.BREAKER_SHEDS, 1)
    _measure(Metric.HEADER_BYTES, judgement.trail.facts.header_bytes)


def _trace(error: BaseException) -> dict[str, str]:
    """Return class and place of an error, not its text: that may quote what a caller sent."""
    places = traceback.extract_tb(error.__traceback__)[-1:]
    return {
        "error": type(error).__name__,
        "place": "".join(f"{place.name}:{place.lineno}" for place in places),
    }


def _measure(metric: Metric, value: int) -> None:
    metrics.add_metric(name=metric.value, unit=UNITS[metric].value, value=value)
