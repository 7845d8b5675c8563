"""The time that a fleet shares: the store's, as its answers tell it.

Sums are weighed by time, and intervals end at one. Where the clocks of environments differ by seconds, an
outcome that is ahead weighs as much as several. So an environment corrects its wall clock by what the store's
answers prove: each has a ``Date`` (RFC 9110, section 6.6.1) of whole seconds, and the store wrote it between
the sending of the request and the coming of the answer. That bounds the difference between both clocks; the
bounds of several answers together narrow it.

Nothing but the store's own answers moves it: no caller's request, and no time that another environment wrote.
A clock that may be right by these bounds is left alone. So where clocks agree, as they do on AWS
(docs.aws.amazon.com/AWSEC2/latest/UserGuide/set-time.html), nothing is corrected, and environments of a
version that corrects nothing go by the same time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

#: AWS refuses calls that are signed more than five minutes off
#: (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html): what differs by more is no
#: store's clock, but an emulator's in another time zone.
MAX_CORRECTION_MS: Final = 300_000
# Clocks of the servers behind one address differ a little.
_MARGIN_MS: Final = 50
_DATE = re.compile(
    r"[A-Z][a-z]{2}, ([0-9]{2}) ([A-Z][a-z]{2}) ([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) GMT"
)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_Bounds = tuple[float, float]
_ANY: Final[_Bounds] = (float("-inf"), float("inf"))


class FleetClock:
    """Safe to share between threads."""

    def __init__(self) -> None:
        """Know nothing yet: nothing is corrected."""
        self._bounds = _ANY

    def heard(self, date: object, *, sent_ms: float, received_ms: float) -> None:
        """Take note of an answer; one without a date that can be read says nothing.

        Args:
            date: its ``Date``.
            sent_ms: when the request was sent, Unix milliseconds by this machine's clock.
            received_ms: when the answer had come, likewise.
        """
        told_ms = _read(date)
        if told_ms is None or received_ms < sent_ms:  # the clock was set back meanwhile
            return
        least = told_ms - received_ms - _MARGIN_MS
        most = told_ms + 1000 - sent_ms + _MARGIN_MS
        lower, upper = self._bounds
        both = max(lower, least), min(upper, most)
        # Bounds that leave nothing are of a clock that was set, or ran away, since: the newest ones hold.
        self._bounds = both if both[0] <= both[1] else (least, most)

    def correct(self, now_ms: int) -> int:
        """Return the fleet's time.

        Args:
            now_ms: this machine's wall clock, Unix milliseconds.
        """
        least, most = self._bounds
        correction = least if least > 0 else min(most, 0.0)  # no more than is proven
        return now_ms + round(correction) if abs(correction) <= MAX_CORRECTION_MS else now_ms


def uncorrected(now_ms: int) -> int:
    """Return a time as it is: where there is no store whose answers have one."""
    return now_ms


def _read(date: object) -> int | None:
    found = _DATE.fullmatch(date) if isinstance(date, str) else None
    if found is None or found[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(found[place]) for place in (1, 3, 4, 5, 6))
    try:
        told = datetime(year, _MONTHS.index(found[2]) + 1, day, hour, minute, second, tzinfo=UTC)
    except ValueError:  # also of a leap second
        return None
    return int(told.timestamp()) * 1000
