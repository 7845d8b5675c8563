"""Lambda authorizer: decode the event, enforce, encode the answer."""

from __future__ import annotations

import os
import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from signet.aws.handshake import HandshakeSettings, build_enforcer
from signet.handshake.decision import Decision
from signet.handshake.enforcer import Enforced, Enforcer
from signet.telemetry import NAMESPACE, Metric

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=NAMESPACE)


class Shed(Exception):  # noqa: N818 - the gateway turns it into 503; it is an answer, not a malfunction
    """Raised so that API Gateway answers AUTHORIZER_FAILURE: 503 with Retry-After."""


@cache
def _enforcer() -> Enforcer:
    return build_enforcer(HandshakeSettings.from_environment(os.environ))


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
@metrics.log_metrics
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer a REQUEST authorizer event of a REST API.

    Raises:
        Shed: the request is refused for the system's sake; the caller may try again later.
    """
    enforced = _enforcer().enforce(event, now_ms=time.time_ns() // 1_000_000)
    _report(enforced)
    if enforced.judgement.reason.decision is Decision.SHED:
        raise Shed(enforced.judgement.reason.value)
    return _answer(event, enforced)


def _answer(event: dict[str, Any], enforced: Enforced) -> dict[str, Any]:
    judgement = enforced.judgement
    allowed = judgement.reason.decision is Decision.ALLOW
    proof = judgement.trail.proof
    context = {"reason": judgement.reason.value, "receipt_id": enforced.receipt_id}
    if allowed:
        context |= {"keyid": proof.keyid or "", "alg": proof.alg or "", "binding": proof.binding.type.value}
        if judgement.trail.content_digest is not None:
            context["content_digest"] = judgement.trail.content_digest
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
                    "Resource": event["methodArn"],
                }
            ],
        },
        "context": context,
    }


def _report(enforced: Enforced) -> None:
    judgement = enforced.judgement
    logger.set_correlation_id(enforced.receipt_id)
    facts = {"reason": judgement.reason.value, "keyid": judgement.trail.proof.keyid}
    if judgement.error is not None:
        # The class and place only: an exception's text may quote what a caller sent.
        logger.error(
            "decision",
            extra={**facts, "error": type(judgement.error).__name__, "recorded": enforced.recorded},
        )
    else:
        logger.info("decision", extra=facts)
    with single_metric(
        name=Metric.DECISIONS.value, unit=MetricUnit.Count, value=1, namespace=NAMESPACE
    ) as metric:
        metric.add_dimension("reason", judgement.reason.value)
    metrics.add_metric(Metric.AUTHORIZER_LATENCY.value, MetricUnit.Microseconds, enforced.authorizer_us)
    metrics.add_metric(Metric.HEADER_BYTES.value, MetricUnit.Bytes, judgement.trail.facts.header_bytes)
