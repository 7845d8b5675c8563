"""Notices on a good pack: what no rule forbids, and a reader should know (docs/formats.md, "Remarks")."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from signet.core.instants import MS_PER_DAY, day_start_ms, utc_millis
from signet.core.verification import Notice
from signet.log.sth import TreeHead
from signet.pack.day import CLOCKS_APART_MS, DayReader, Occurrences


def notices_on(head: TreeHead, day: DayReader) -> Iterator[Notice]:
    """Yield what is odd about a day whose checks all passed, each code once."""
    if day.far_apart.count:
        yield _counted(
            "times_far_apart",
            day.far_apart,
            "decisions say a time more than 5 minutes after, or more than 24 hours before, their record",
        )
    yield from _of_the_head(head, day)
    if (unannounced := _unannounced(head, day)).count:
        yield _counted(
            "policy_unannounced",
            unannounced,
            "decisions name a policy that neither the day's head nor a change of policy in this day names; "
            "it may have been announced on an earlier day",
        )
    folded = day.folded
    if folded.summaries or folded.not_shown:
        counted = f"{folded.counts.total()} refusals are counted in {folded.summaries} summaries"
        unseen = (
            f"at least {folded.not_shown} more are in summaries that are not in this pack: of another day"
        )
        text = f"{counted} and have no receipt of their own; {unseen}, or lost"
        yield Notice("refusals_summarised", text)
    if folded.falling:
        yield Notice(
            "folded_decreases",
            f"{folded.falling} emitters say later that they counted fewer refusals in summaries than before: "
            "what they say of that is wrong",
        )
    if (twice := day.repeated_numbers()).count:
        yield _counted(
            "emitter_number_twice",
            twice,
            "receipts have a number that an earlier one of their emitter has, too: another writer used its "
            "name, or it counted twice",
        )


def _of_the_head(head: TreeHead, day: DayReader) -> Iterator[Notice]:
    start_ms = day_start_ms(head.date)
    signed = _clock(head.timestamp)
    if head.timestamp < start_ms or (day.count and head.timestamp < day.last_recorded_ms - CLOCKS_APART_MS):
        text = f"the day's head says that it was signed at {signed}, before what it signs was recorded"
        yield Notice("head_time", text)
    if head.timestamp < start_ms + MS_PER_DAY:
        text = (
            f"closed at {signed}, before the day was over: what was decided later that day is in the next "
            "day's pack"
        )
        yield Notice("closed_early", text)


def _unannounced(head: TreeHead, day: DayReader) -> Occurrences:
    announced = {head.policy_bundle_sha256}
    for _line, receipt in day.policy_changes:
        change: Any = receipt.members.get("change")
        if isinstance(change, dict):  # its own members are its writer's
            announced |= {name for name in (change.get("from"), change.get("to")) if isinstance(name, str)}
    found = Occurrences()
    for bundle, decisions in day.by_policy.items():
        if bundle not in announced:
            found.count += decisions.count
            found.first_line = min(found.first_line or decisions.first_line, decisions.first_line)
    return found


def _counted(code: str, found: Occurrences, text: str) -> Notice:
    return Notice(code, f"{found.count} {text} (the first in line {found.first_line})")


def _clock(unix_ms: int) -> str:
    text = utc_millis(unix_ms)
    return f"{text[:10]} {text[11:19]} UTC"
