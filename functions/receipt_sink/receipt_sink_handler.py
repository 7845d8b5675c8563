"""SQS batch to hash chain: decode the batch, append it, report what the queue must keep."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from signet.aws.compose.receipt_sink import SinkSettings, build_sink
from signet.aws.queue import evidence_of, transcript_of
from signet.aws.reports import not_set_up
from signet.core.clocks import Elapsed
from signet.core.errors import LogError, MisconfiguredError
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


@cache
def _sink() -> Sink:
    return build_sink(SinkSettings.from_environment(os.environ), lambda: time.time_ns() // 1_000_000)


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
        batch = (
            Message(one["messageId"], one["body"], evidence_of(one), transcript_of(one)) for one in records
        )
        result = _sink().record(batch, RetryPolicy(_pause, random.random, _time_left(context)))
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
    """Tell whether this invocation has time for another try, by the first of two clocks that says so.

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
    mend = {str(error): error for error in result.failures.values() if isinstance(error, MisconfiguredError)}
    for reason in sorted(mend)[:_MAX_REASONS]:
        not_set_up(logger, mend[reason])
    counts = {
        Metric.SINK_BATCH_SIZE: batch_size,
        Metric.SINK_RECEIPTS: result.appended,
        Metric.SINK_DUPLICATES: result.duplicates,
        Metric.SINK_EVIDENCE: result.evidence,
        Metric.SINK_TRANSCRIPTS: result.transcripts,
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
