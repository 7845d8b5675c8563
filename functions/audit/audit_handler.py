"""Schedule to verdict: hold what is stored of the log to what was signed, and tell the alarm."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer

from signet.aws.compose.audit import AuditSettings, run_audit
from signet.aws.reports import not_set_up
from signet.core.errors import MisconfiguredError, UsageError
from signet.telemetry import NAMESPACE, UNITS, Metric, dimensions

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=NAMESPACE)
metrics.set_default_dimensions(**dimensions(os.environ))


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Audit the log, and write nothing.

    Args:
        event: {"days": n} to audit the last n closed days and what is integrated since.
        context: Lambda's context; the decorators read it.

    Returns:
        {"good", "tree_size", "days", "findings": [{"code", "where"}]}.

    Raises:
        UsageError: a wrong event. Like a store that cannot be read, that is no verdict: the alarm on errors
            sees it.
        UnavailableError: a store cannot be read; the schedule tries again.
    """
    _count(Metric.AUDIT_RUNS, 1)
    days = event.get("days")
    if type(days) is not int or days < 1:
        raise UsageError("Give the number of closed days to audit, 1 or more.")
    try:
        report = run_audit(AuditSettings.from_environment(os.environ), days)
    except MisconfiguredError as error:
        not_set_up(logger, error)
        raise
    findings = [{"code": failure.code, "where": failure.where} for failure in report.failures]
    _count(Metric.AUDIT_FINDINGS, len(findings) + report.more_failures)
    answer = {
        "good": report.good,
        "tree_size": report.tree_size,
        "days": report.days,
        "findings": findings,
    }
    if report.good:
        logger.info("audited", extra=answer)
    else:
        logger.critical("the audit failed", extra=answer)
    return answer


def _count(metric: Metric, value: int) -> None:
    metrics.add_metric(name=metric.value, unit=UNITS[metric].value, value=value)
