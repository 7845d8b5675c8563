"""Schedule or operator to log: integrate what is new, close the days that are over."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer

from signet.aws.compose.sth_cron import CronSettings, build_orders, build_sequencer
from signet.aws.reports import not_set_up
from signet.core.errors import LogError, MisconfiguredError, NotFoundError, UnavailableError, UsageError
from signet.core.instants import parse_date
from signet.log.sequencer import Outcome, Sequencer
from signet.telemetry import NAMESPACE, UNITS, Metric, dimensions

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=NAMESPACE)
metrics.set_default_dimensions(**dimensions(os.environ))


@cache
def _sequencer() -> Sequencer:
    return build_sequencer(CronSettings.from_environment(os.environ))


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Run the sequencer once.

    Args:
        event: an event of the schedule, or {"close": "YYYY-MM-DD"} to close days up to that one now, or
            {"rotate": n} to bring key set n into force, or {}.
        context: Lambda's context; the decorators read it.

    Returns:
        {"tree_size", "root_hash", "date", "final", "closed": [dates], "integrated", "key_set", "rotated":
        [numbers], "rotation_pending"}; for a wrong event {"error", "message"}. Any other failure is raised,
        so that the schedule tries again and alarms see it.
    """
    _count(Metric.LOG_RUNS, 1)
    if "audit" in event:
        return _audit_has_moved()
    with _told():
        sequencer = _sequencer()  # reads the first keys: what is wrong with those shows here
    try:
        with _told():
            now_ms = time.time_ns() // 1_000_000
            outcome = sequencer.integrate(now_ms, _close_of(event), rotate_to=_rotate_of(event))
    except (UsageError, NotFoundError) as error:
        logger.warning("refused", extra={"error": error.code})
        return {"error": error.code, "message": str(error)}
    _count_delay(outcome, started_ms=now_ms)
    _order_packs(outcome.closed)
    _remove_partials(sequencer, outcome, now_ms)
    _count(Metric.LOG_INTEGRATED, outcome.integrated)
    _count(Metric.LOG_TREE_SIZE, outcome.head.tree_size)
    _count(Metric.KEY_ROTATIONS, len(outcome.rotated))
    answer = _answer(outcome)
    logger.info("integrated", extra=answer)
    return answer


@contextmanager
def _told() -> Iterator[None]:
    """Log what a person has to see to, and let it go on."""
    try:
        yield
    except LogError as error:
        _count(Metric.LOG_CONTRADICTIONS, 1)
        logger.critical("the log contradicts itself", extra={"error": error.code, "reason": str(error)})
        raise
    except MisconfiguredError as error:
        not_set_up(logger, error)
        raise


def _audit_has_moved() -> dict[str, Any]:
    """Answer an order for an audit: releases before gave it to this function, by a schedule of their own.

    While a deployment replaces that schedule, it may still fire. Nothing is integrated then, and no alarm
    rings. The audit's own schedule runs at the same time; where it is not there yet, the next day's run looks
    at the same days again, since each looks at two.
    """
    message = "The audit is a function of its own, in the stack's output AuditFunction."
    logger.warning("refused", extra={"error": UsageError.code, "reason": message})
    return {"error": UsageError.code, "message": message}


def _count_delay(outcome: Outcome, *, started_ms: int) -> None:
    """Count how late the run's heads are: of its earliest receipt, so that no other is later.

    Three clocks date a receipt: that of what decided, the sink's, and this one's. One that is ahead of this
    one must not read as a delay below nothing. A run without new receipts counts 0: it says that it ran.
    """
    oldest, public_ms = outcome.oldest, time.time_ns() // 1_000_000
    waited_ms = 0 if oldest is None else max(0, started_ms - oldest.recorded_at_ms)
    delay_ms = 0 if oldest is None else max(0, public_ms - oldest.decided_at_ms)
    _count(Metric.LOG_WAIT, -(-waited_ms // 1000))
    _count(Metric.LOG_DELAY, -(-delay_ms // 1000))


def _order_packs(closed: Iterable[date]) -> None:
    """Have the packs of closed days built now, so that no caller has to wait for them."""
    orders = build_orders(os.environ)
    if orders is None:
        return
    for day in closed:
        try:
            orders.order(day.isoformat(), evidence=False, transcripts=False)
        except UnavailableError as error:
            # The day is closed all the same; who asks for its pack gets it built.
            told = {"date": day.isoformat(), "reason": str(error)}
            if isinstance(error, MisconfiguredError):
                logger.critical("pack not ordered", extra=told)
            else:
                logger.warning("pack not ordered", extra=told)


def _remove_partials(sequencer: Sequencer, outcome: Outcome, now_ms: int) -> None:
    """Remove partial tiles that are replaced; if that fails, the head stands all the same."""
    try:
        with _told():
            removed = sequencer.remove_partials(outcome, now_ms)
    except UnavailableError as error:
        logger.warning("partial tiles not removed", extra={"error": error.code, "reason": str(error)})
    else:
        if removed:
            logger.info("partial tiles removed", extra={"removed": removed})


def _close_of(event: Mapping[str, Any]) -> date | None:
    close = event.get("close")
    if close is None:
        return None
    try:
        return parse_date(close)
    except (TypeError, ValueError) as error:
        raise UsageError("Give the day to close as YYYY-MM-DD.") from error


def _rotate_of(event: Mapping[str, Any]) -> int | None:
    rotate = event.get("rotate")
    if rotate is not None and type(rotate) is not int:
        raise UsageError("Give the number of the key set to rotate to.")
    return rotate


def _answer(outcome: Outcome) -> dict[str, Any]:
    return {
        "tree_size": outcome.head.tree_size,
        "root_hash": base64.b64encode(outcome.head.root_hash).decode(),
        "date": outcome.head.date.isoformat(),
        "final": outcome.head.final,
        "closed": [day.isoformat() for day in outcome.closed],
        "integrated": outcome.integrated,
        "key_set": outcome.register.keys.sets[-1].n,
        "rotated": list(outcome.rotated),
        "rotation_pending": outcome.register.rotation is not None,
    }


def _count(metric: Metric, value: int) -> None:
    metrics.add_metric(name=metric.value, unit=UNITS[metric].value, value=value)
