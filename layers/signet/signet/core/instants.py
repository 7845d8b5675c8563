"""Instants, UTC days and identifiers that hold a time: one value, one spelling.

Pure: time and randomness are arguments.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from signet.core.errors import CanonicalError

#: Random bytes that ``uuid7`` takes.
UUID7_RANDOM_BYTES: Final = 10
#: Milliseconds of a UTC day: Unix time has no leap seconds.
MS_PER_DAY: Final = 86_400_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_DAY = _EPOCH.date()
_MILLISECOND = timedelta(milliseconds=1)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
# The hour is spelled out: newer Pythons read 24:00:00 as the next day's midnight.
_UTC_MILLIS = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z")


def uuid7(unix_ms: int, random: bytes) -> str:
    """Return the UUID of version 7 (RFC 9562 section 5.7) of a time and ten random bytes, lower case.

    Six of the 80 random bits give way to version and variant.

    Raises:
        ValueError: the time does not fit 48 bits, or there are not ten random bytes.
    """
    if not 0 <= unix_ms < 1 << 48 or len(random) != UUID7_RANDOM_BYTES:
        raise ValueError("uuid7 takes a time of 48 bits and ten random bytes")
    digits = (unix_ms.to_bytes(6) + random).hex()
    variant = "89ab"[random[2] >> 4 & 3]
    return f"{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def is_uuid7(text: str) -> bool:
    """Tell whether the text is a UUID of version 7 in lower case."""
    return _UUID7.fullmatch(text) is not None


def uuid7_millis(text: str) -> int:
    """Return the Unix milliseconds that a UUID of version 7 begins with."""
    return int.from_bytes(raw_id(text)[:6])


def raw_id(receipt_id: str) -> bytes:
    """Return the 16 bytes of a UUID."""
    return bytes.fromhex(receipt_id.replace("-", ""))


def utc_millis(unix_ms: int) -> str:
    """Return ``YYYY-MM-DDThh:mm:ss.mmmZ`` of Unix milliseconds, 1970 to 9999.

    Raises:
        ValueError: the time is before 1970 or after 9999.
    """
    if unix_ms < 0:
        raise ValueError("times before 1970 have no form here")
    days, rest = divmod(unix_ms, MS_PER_DAY)
    minutes, rest = divmod(rest, 60_000)
    return f"{_date(days)}T{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}Z"


@lru_cache(maxsize=8)
def _date(days: int) -> str:
    """Return ``YYYY-MM-DD`` of days since 1970: hardly ever another than last time, and slow to write."""
    try:
        return (_EPOCH + timedelta(days=days)).date().isoformat()
    except OverflowError as error:
        raise ValueError("times after the year 9999 have no form here") from error


def parse_utc_millis(text: str) -> int:
    """Return the Unix milliseconds whose form is exactly ``text``: the inverse of ``utc_millis``.

    Raises:
        CanonicalError: the text is anything else.
    """
    if _UTC_MILLIS.fullmatch(text) is None:
        raise CanonicalError("a time is not of the form YYYY-MM-DDThh:mm:ss.mmmZ")
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise CanonicalError("a time names a day that does not exist") from error
    if instant < _EPOCH:
        raise CanonicalError("a time is before 1970")
    return (instant - _EPOCH) // _MILLISECOND


def parse_date(text: str) -> date:
    """Return the day whose form is exactly ``text``, ``YYYY-MM-DD``.

    Raises:
        ValueError: another form, no such day, or one before 1970.
    """
    if _DATE.fullmatch(text) is None:
        raise ValueError("a day is written YYYY-MM-DD")
    day = date.fromisoformat(text)
    if day < _FIRST_DAY:
        raise ValueError("days before 1970 have no instants here")
    return day


def utc_day(unix_ms: int) -> date:
    """Return the UTC day of an instant in Unix milliseconds."""
    return datetime.fromtimestamp(unix_ms // 1000, tz=UTC).date()


def day_start_ms(day: date) -> int:
    """Return the first instant of a UTC day in Unix milliseconds."""
    return (day - _FIRST_DAY).days * MS_PER_DAY


def next_day(day: date) -> date:
    """Return the day after."""
    return day + timedelta(days=1)
