"""SQS batch to hash chain: decode the batch, append it, report what the queue must keep."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Self

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from signet.aws.chains import DynamoChainStore
from signet.aws.evidence import S3EvidenceStore
from signet.aws.objects import S3ObjectStore
from signet.aws.queue import evidence_of
from signet.aws.session import clock_checked, dynamodb, s3
from signet.core.clocks import Elapsed
from signet.core.errors import LogError, MisconfiguredError, UsageError
from signet.receipts.retry import RetryPolicy
from signet.receipts.sink import Message, Sink, SinkResult
from signet.telemetry import NAMESPACE, UNITS, Metric, dimensions

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=NAMESPACE)
metrics.set_default_dimensions(**dimensions(os.environ))

#: No try begins with less left of the invocation: Lambda would cut off one that a slow store holds up, and
#: then the whole batch comes again, what was appended included.
_RESERVE_MS: Final = 10_000

#: Evidence has one cause for each object, so a bucket that refuses would say the same a thousand times.
_MAX_REASONS: Final = 5


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """What the sink is told by its environment.

    Attributes:
        receipts_table: name of the table that holds the chains.
        chains: number of chains; every reader and writer of a deployment must agree on it.
        log_bucket: name of the bucket that keeps evidence.
    """

    receipts_table: str
    chains: int
    log_bucket: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read SIGNET_RECEIPTS_TABLE, SIGNET_LOG_BUCKET and SIGNET_CHAINS (default 1).

        Raises:
            UsageError: a variable is missing or not what it should be.
        """
        table = environment.get("SIGNET_RECEIPTS_TABLE", "")
        if not table:
            raise UsageError("Set SIGNET_RECEIPTS_TABLE to the name of the receipts table.")
        bucket = environment.get("SIGNET_LOG_BUCKET", "")
        if not bucket:
            raise UsageError("Set SIGNET_LOG_BUCKET to the name of the log bucket.")
        chains = environment.get("SIGNET_CHAINS", "1")
        if not (chains.isascii() and chains.isdecimal() and int(chains) > 0):
            raise UsageError("Set SIGNET_CHAINS to the number of chains, 1 or more.")
        return cls(receipts_table=table, chains=int(chains), log_bucket=bucket)


@cache
def _sink() -> Sink:
    settings = SinkSettings.from_environment(os.environ)
    return Sink(
        store=DynamoChainStore(clock_checked(dynamodb()), settings.receipts_table),
        chains=settings.chains,
        now_ms=lambda: time.time_ns() // 1_000_000,
        evidence=S3EvidenceStore(S3ObjectStore(s3(), settings.log_bucket)),
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> PartialItemFailureResponse:
    """Append a batch of receipts; the response names the messages that the queue must deliver again.

    A message that is no receipt is named too: after its last delivery the queue moves it to the
    dead-letter queue, and it never holds up the others. A chain that contradicts itself fails the batch.
    """
    records = event["Records"]
    try:
        batch = (Message(one["messageId"], one["body"], evidence_of(one)) for one in records)
        result = _sink().take(batch, RetryPolicy(_pause, random.random, _time_left(context)))
    except LogError as error:
        _count(Metric.LOG_CONTRADICTIONS, 1)
        logger.critical("a chain contradicts itself", extra={"error": error.code, "reason": str(error)})
        raise
    _report(result, batch_size=len(records))

    # One transaction takes many messages, so the batch is appended as a whole; the processor then settles
    # each message with what became of it.
    def settle(record: SQSRecord) -> None:
        error = result.failures.get(record.message_id)
        if error is not None:
            raise error

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event, settle, processor, context)


def _pause(seconds: float) -> None:
    time.sleep(seconds)


def _time_left(context: Any) -> Callable[[], bool]:
    """Tell whether this invocation has time for another try, by whichever of two clocks says so first.

    What Lambda's client says of the time that remains is the wall clock's, which may be set back meanwhile.
    """
    elapsed = Elapsed()
    budget_s = (context.get_remaining_time_in_millis() - _RESERVE_MS) / 1000

    def left() -> bool:
        remaining_ms: int = context.get_remaining_time_in_millis()
        return elapsed() < budget_s and remaining_ms > _RESERVE_MS

    return left


def _report(result: SinkResult, *, batch_size: int) -> None:
    for message_id, error in result.failures.items():
        logger.set_correlation_id(result.receipt_ids.get(message_id))
        logger.warning("not recorded", extra={"message_id": message_id, "error": error.code})
    logger.set_correlation_id(None)
    # What no further delivery mends by itself; once for each cause, however many messages it holds up.
    mend = {str(error) for error in result.failures.values() if isinstance(error, MisconfiguredError)}
    for reason in sorted(mend)[:_MAX_REASONS]:
        logger.error("not set up right", extra={"error": MisconfiguredError.code, "reason": reason})
    counts = {
        Metric.SINK_BATCH_SIZE: batch_size,
        Metric.SINK_RECEIPTS: result.appended,
        Metric.SINK_DUPLICATES: result.duplicates,
        Metric.SINK_EVIDENCE: result.evidence,
        Metric.SINK_POISON: result.poison,
    }
    for metric, count in counts.items():
        _count(metric, count)
    logger.info(
        "batch",
        extra={
            "messages": batch_size,
            "appended": result.appended,
            "duplicates": result.duplicates,
            "poison": result.poison,
            "retries": result.retries,
        },
    )


def _count(metric: Metric, value: int) -> None:
    metrics.add_metric(name=metric.value, unit=UNITS[metric].value, value=value)
