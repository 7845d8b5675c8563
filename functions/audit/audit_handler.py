"""Schedule to verdict: hold what is stored of the log to what was signed, and tell the alarm."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from aws_lambda_powertools import Logger, Metrics, Tracer

from signet.audit.live import LiveState
from signet.audit.log import audit_log
from signet.audit.report import AuditReport
from signet.audit.source import LogSource
from signet.aws.chains import DynamoChainStore
from signet.aws.environment import required
from signet.aws.lock import DynamoLockStore
from signet.aws.objects import S3ObjectStore
from signet.aws.session import dynamodb, s3
from signet.core.errors import MisconfiguredError, UsageError
from signet.policy.register import REGISTER as POLICY_REGISTER
from signet.telemetry import NAMESPACE, UNITS, Metric, dimensions

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=NAMESPACE)
metrics.set_default_dimensions(**dimensions(os.environ))

_LOG_ID_DIGITS: Final = 64


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """What the audit is told by its environment.

    Attributes:
        receipts_table: table that holds the receipt chains.
        log_table: table that holds the registers: of the latest head, and of pushed policies.
        log_bucket: bucket of the log.
        log_id: hex id of the log. None: the lock register alone says whose keys the bucket has to show. The
            writer, which has the private keys, refuses a register that names others.
    """

    receipts_table: str
    log_table: str
    log_bucket: str
    log_id: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read SIGNET_RECEIPTS_TABLE, SIGNET_LOG_TABLE, SIGNET_LOG_BUCKET, and SIGNET_LOG_ID if it is set.

        Raises:
            UsageError: a variable is missing or not what it should be.
        """
        log_id = environment.get("SIGNET_LOG_ID") or None
        if log_id is not None and (len(log_id) != _LOG_ID_DIGITS or set(log_id) - set("0123456789abcdef")):
            raise UsageError("Set SIGNET_LOG_ID to the log's id, 64 hex digits in lower case, or to nothing.")
        return cls(
            receipts_table=required(environment, "SIGNET_RECEIPTS_TABLE", "the receipts table"),
            log_table=required(environment, "SIGNET_LOG_TABLE", "the log table"),
            log_bucket=required(environment, "SIGNET_LOG_BUCKET", "the log bucket"),
            log_id=log_id,
        )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Audit the log. Nothing is written, whatever is found.

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
        report = _audit(AuditSettings.from_environment(os.environ), days)
    except MisconfiguredError as error:
        logger.critical("not set up right", extra={"error": error.code, "reason": str(error)})
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


def _audit(settings: AuditSettings, days: int) -> AuditReport:
    objects = S3ObjectStore(s3(), settings.log_bucket)
    return audit_log(
        LogSource(objects.get, objects.list),
        log_id=settings.log_id,
        live=LiveState(
            DynamoLockStore(dynamodb(), settings.log_table).read,
            DynamoChainStore(dynamodb(), settings.receipts_table),
            DynamoLockStore(dynamodb(), settings.log_table, POLICY_REGISTER).read,
        ),
        days=days,
    )


def _count(metric: Metric, value: int) -> None:
    metrics.add_metric(name=metric.value, unit=UNITS[metric].value, value=value)
