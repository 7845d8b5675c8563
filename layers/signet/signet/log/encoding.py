"""Strict readers of the encodings that heads, keys and notes share: one value, one spelling. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH: Final = date(1970, 1, 1)
MS_PER_DAY: Final = 86_400_000


def encode_base64(data: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(data).decode()


def decode_base64(text: str) -> bytes:
    """Return the bytes whose base64 is exactly ``text``.

    Raises:
        ValueError: not base64, or another spelling of it (white space, padding, trailing bits).
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error
    if encode_base64(data) != text:
        raise ValueError("not the only spelling of its base64")
    return data


def parse_date(text: str) -> date:
    """Return the day whose form is exactly ``text``, ``YYYY-MM-DD``.

    Raises:
        ValueError: another form, no such day, or one before 1970.
    """
    if _DATE.fullmatch(text) is None:
        raise ValueError("a day is written YYYY-MM-DD")
    day = date.fromisoformat(text)
    if day < _EPOCH:
        raise ValueError("days before 1970 have no instants here")
    return day


def utc_day(unix_ms: int) -> date:
    """Return the UTC day of an instant in Unix milliseconds."""
    return datetime.fromtimestamp(unix_ms // 1000, tz=UTC).date()


def day_start_ms(day: date) -> int:
    """Return the first instant of a UTC day in Unix milliseconds."""
    return (day - _EPOCH).days * MS_PER_DAY


def next_day(day: date) -> date:
    """Return the day after."""
    return day + timedelta(days=1)
