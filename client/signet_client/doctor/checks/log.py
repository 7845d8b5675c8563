"""What goes on behind the answers: receipts, tree heads, the breaker, alarms and clocks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from signet_client.doctor.facts import SKEW, Breaker, Deployment, Finding

#: As the alarms ReceiptQueueAge and TreeHeadStale of the template have it.
_OLD_MESSAGE_S: Final = 300
_OLD_HEAD_S: Final = 26 * 3600
#: An open interval has at most 20 s, jitter included, and an answer 29 s: by then some outcome was reported.
_SILENT_S: Final = 300
_SKEW_S: Final = 30
_HOUR_S: Final = 3600


def check(deployment: Deployment) -> Iterator[Finding]:
    """Find what does not reach the log, and what goes on unseen."""
    stack = deployment.stack
    yield from _queues(deployment, stack)
    yield from _head(deployment.head_age_s, stack)
    for breaker in deployment.breakers:
        yield from _breaker(breaker)
    yield from _alarms(deployment, stack)
    yield from _clock(deployment)


def _queues(deployment: Deployment, stack: str) -> Iterator[Finding]:
    queue, dead = deployment.queues.get("ReceiptQueueUrl"), deployment.queues.get("ReceiptDlqUrl")
    if queue is not None and queue.oldest_s is not None and queue.oldest_s > _OLD_MESSAGE_S:
        yield Finding(
            "queue_age",
            "ReceiptQueue",
            f"its oldest receipt waits for {queue.oldest_s:.0f} s: the sink fails, or is too slow",
            f"aws logs tail /signet/{stack}/receipt_sink --since 1h names the error",
        )
    if dead is not None and dead.waiting:
        yield Finding(
            "dead_letters",
            "ReceiptDlq",
            f"{dead.waiting} messages are in it: decisions that are not in the log",
            f"signet redrive --stack {stack} once the cause is mended (docs/operations.md)",
        )


def _head(age_s: float | None, stack: str) -> Iterator[Finding]:
    if age_s is None or 0 <= age_s <= _OLD_HEAD_S:
        return
    said = (
        "no tree head was ever signed: nothing can be proven of any decision"
        if age_s < 0
        else f"its newest tree head is {age_s / _HOUR_S:.0f} h old: days are not closed"
    )
    yield Finding("tree_head_age", "log", said, f"signet close --stack {stack}")


def _breaker(breaker: Breaker) -> Iterator[Finding]:
    if breaker.state == "closed" or breaker.for_s < _SILENT_S:
        return
    if breaker.outcomes or not breaker.offered_rps:  # without requests it stays as it is, and rightly so
        return
    yield Finding(
        "breaker_without_reports",
        f"breaker of {breaker.name}",
        f"it is {breaker.state} for {breaker.for_s:.0f} s and no backend reports outcomes: it cannot "
        "learn that the backend is well",
        "@observe around the backend's handler, as docs/operations.md, Breaker, says",
    )


def _alarms(deployment: Deployment, stack: str) -> Iterator[Finding]:
    silent = [alarm.name for alarm in deployment.alarms or () if not alarm.acts]
    if silent:
        yield Finding(
            "alarm_without_action",
            f"{len(silent)} alarms",
            f"they change state and tell no person: {', '.join(silent)}",
            f"AlarmTopicArn=ARN for the stack {stack}; or, if one has a topic, aws cloudwatch "
            "enable-alarm-actions",
        )
    for alarm in deployment.alarms or ():
        if alarm.ringing:
            yield Finding(
                "alarm_rings", f"alarm {alarm.name}", "it rings", alarm.description or "(it does not say)"
            )


def _clock(deployment: Deployment) -> Iterator[Finding]:
    clock = deployment.clock
    if clock is None:
        return
    ahead = clock.here_s - clock.aws_s
    allowed = _allowed(deployment)
    if abs(ahead) > allowed:
        yield Finding(
            "clock_skew",
            "this machine",
            f"its clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} AWS's, and callers "
            f"may be off by {allowed} s: what is signed here is refused as created_out_of_window",
            "sudo timedatectl set-ntp true",
        )


def _allowed(deployment: Deployment) -> int:
    said = deployment.parameters.get(SKEW, "")
    return max(1, int(said)) if said.isdecimal() else _SKEW_S  # a Date field has whole seconds
