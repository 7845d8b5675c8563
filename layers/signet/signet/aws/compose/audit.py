"""Composition of the function audit, which reads what the log's writer wrote."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from signet.audit.live import LiveState
from signet.audit.log import audit_log
from signet.audit.report import AuditReport
from signet.audit.source import LogSource
from signet.aws.chains import DynamoChainStore
from signet.aws.environment import optional, required, wrong
from signet.aws.lock import DynamoLockStore
from signet.aws.objects import S3ObjectStore
from signet.aws.session import dynamodb, s3
from signet.policy.register import REGISTER as POLICY_REGISTER

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
        log_id = optional(environment, "SIGNET_LOG_ID")
        if log_id is not None and (len(log_id) != _LOG_ID_DIGITS or set(log_id) - set("0123456789abcdef")):
            raise wrong("SIGNET_LOG_ID", "the log's id, 64 hex digits in lower case, or to nothing")
        return cls(
            receipts_table=required(environment, "SIGNET_RECEIPTS_TABLE", "the name of the receipts table"),
            log_table=required(environment, "SIGNET_LOG_TABLE", "the name of the log table"),
            log_bucket=required(environment, "SIGNET_LOG_BUCKET", "the name of the log bucket"),
            log_id=log_id,
        )


def run_audit(settings: AuditSettings, days: int) -> AuditReport:
    """Audit the last closed days of the log, and what is integrated since.

    Args:
        settings: from the environment.
        days: number of closed days, 1 or more.

    Raises:
        UnavailableError: a store cannot be read.
    """
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
