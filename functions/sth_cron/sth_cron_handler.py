"""Schedule or operator to log: integrate what is new, close the days that are over."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, Final, Self

from aws_lambda_powertools import Logger, Metrics, Tracer

from signet.aws.chains import DynamoChainStore
from signet.aws.lock import DynamoLockStore
from signet.aws.objects import S3ObjectStore
from signet.aws.secrets import SecretsManagerStore
from signet.aws.session import clock_checked, dynamodb, s3, secretsmanager
from signet.errors import LogError, NotFoundError, UsageError
from signet.log.encoding import parse_date
from signet.log.keys import ensure_genesis
from signet.log.sequencer import Outcome, Sequencer
from signet.policy.bundle import load_deployed
from signet.telemetry import NAMESPACE, UNITS, Metric

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=NAMESPACE)

#: S3 takes many writes at once, and a step writes hundreds of tiles.
_UPLOAD_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class CronSettings:
    """What the log's writer is told by its environment.

    Attributes:
        receipts_table: table that holds the receipt chains.
        log_table: table that holds the lock register.
        log_bucket: bucket of the log.
        keys_prefix: prefix of the log keys' secrets.
        origin: the log's name in checkpoints.
        chains: number of chains.
    """

    receipts_table: str
    log_table: str
    log_bucket: str
    keys_prefix: str
    origin: str
    chains: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables; only SIGNET_CHAINS has a default (1).

        Raises:
            UsageError: a variable is missing or not what it should be.
        """
        chains = environment.get("SIGNET_CHAINS", "1")
        if not (chains.isascii() and chains.isdecimal() and int(chains) > 0):
            raise UsageError("Set SIGNET_CHAINS to the number of chains, 1 or more.")
        return cls(
            receipts_table=_required(environment, "SIGNET_RECEIPTS_TABLE", "the receipts table"),
            log_table=_required(environment, "SIGNET_LOG_TABLE", "the log table"),
            log_bucket=_required(environment, "SIGNET_LOG_BUCKET", "the log bucket"),
            keys_prefix=_required(environment, "SIGNET_LOG_KEYS_PREFIX", "the log keys' secrets"),
            origin=_required(environment, "SIGNET_LOG_ORIGIN", "the log in its checkpoints"),
            chains=int(chains),
        )


def _required(environment: Mapping[str, str], variable: str, what: str) -> str:
    value = environment.get(variable, "")
    if not value:
        raise UsageError(f"Set {variable} to the name of {what}.")
    return value


@cache
def _sequencer() -> Sequencer:
    settings = CronSettings.from_environment(os.environ)
    return Sequencer(
        objects=S3ObjectStore(s3(), settings.log_bucket),
        lock=DynamoLockStore(clock_checked(dynamodb()), settings.log_table),
        chains=DynamoChainStore(dynamodb(), settings.receipts_table),
        signer=ensure_genesis(SecretsManagerStore(secretsmanager()), settings.keys_prefix, settings.origin),
        chain_count=settings.chains,
        policy=load_deployed(),
        threads=_UPLOAD_THREADS,
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Run the sequencer once.

    Args:
        event: an event of the schedule, or {"close": "YYYY-MM-DD"} to close days up to that one now, or {}.
        context: Lambda's context; the decorators read it.

    Returns:
        {"tree_size", "root_hash", "date", "final", "closed": [dates], "integrated"}, or for a wrong
        ``close`` {"error", "message"}. Every other failure is raised, so that the schedule tries again
        and alarms see it.
    """
    _count(Metric.LOG_RUNS, 1)
    sequencer = _sequencer()
    try:
        outcome = sequencer.integrate(time.time_ns() // 1_000_000, _close_of(event))
    except LogError as error:
        _count(Metric.LOG_CONTRADICTIONS, 1)
        logger.critical("the log contradicts itself", extra={"error": error.code, "reason": str(error)})
        raise
    except (UsageError, NotFoundError) as error:
        logger.warning("refused", extra={"error": error.code})
        return {"error": error.code, "message": str(error)}
    _count(Metric.LOG_INTEGRATED, outcome.integrated)
    _count(Metric.LOG_TREE_SIZE, outcome.head.tree_size)
    answer = _answer(outcome)
    logger.info("integrated", extra=answer)
    return answer


def _close_of(event: Mapping[str, Any]) -> date | None:
    close = event.get("close")
    if close is None:
        return None
    try:
        return parse_date(close)
    except (TypeError, ValueError) as error:
        raise UsageError("Give the day to close as YYYY-MM-DD.") from error


def _answer(outcome: Outcome) -> dict[str, Any]:
    return {
        "tree_size": outcome.head.tree_size,
        "root_hash": base64.b64encode(outcome.head.root_hash).decode(),
        "date": outcome.head.date.isoformat(),
        "final": outcome.head.final,
        "closed": [day.isoformat() for day in outcome.closed],
        "integrated": outcome.integrated,
    }


def _count(metric: Metric, value: int) -> None:
    metrics.add_metric(name=metric.value, unit=UNITS[metric].value, value=value)
