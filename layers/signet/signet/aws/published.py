"""A public object of the log bucket as one environment keeps it: read once a minute, however often asked for.

It is for routes that are open to every caller: without the copy each call of a stranger would cost a read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from signet.core.errors import UnavailableError

#: For how long a copy is handed out without looking again.
FRESH_S: Final = 60
#: The same for the answer that there is none, or that it cannot be read: that may change at any moment.
ABSENT_S: Final = 2
#: An entity tag, as in RFC 9110 section 8.8.3; If-None-Match compares weakly (section 13.1.2).
_ENTITY_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


@dataclass(frozen=True, slots=True)
class Copy:
    """An object's content.

    Attributes:
        content: its bytes.
        etag: strong entity tag, quotes included: its SHA-256.
    """

    content: bytes
    etag: str

    @classmethod
    def of(cls, content: bytes) -> Copy:
        """Make one of what was read."""
        return cls(content, f'"{hashlib.sha256(content).hexdigest()}"')

    def matches(self, if_none_match: str) -> bool:
        """Tell whether a caller who sends this ``If-None-Match`` has this very content."""
        return if_none_match.strip() == "*" or self.etag in _ENTITY_TAG.findall(if_none_match)


class PublishedObject:
    """One object, kept for ``FRESH_S`` seconds by the faster of two clocks (``signet.core.clocks``)."""

    def __init__(self, read: Callable[[], bytes | None], elapsed: Callable[[], float]) -> None:
        """Prepare; nothing is read before the first call.

        Args:
            read: reads the object; None if there is none.
            elapsed: seconds that have passed, as ``Elapsed`` counts them.
        """
        self._read = read
        self._elapsed = elapsed
        self._old_at: float | None = None
        self._found: Copy | None = None
        self._error: UnavailableError | None = None

    def get(self) -> Copy | None:
        """Return the object, or None if there is none.

        Raises:
            UnavailableError: the store cannot be reached, or could not be ``ABSENT_S`` seconds ago.
        """
        now = self._elapsed()  # from before the read: what is read may change meanwhile
        if self._old_at is None or now >= self._old_at:
            self._look()
            self._old_at = now + (ABSENT_S if self._found is None else FRESH_S)
        if self._error is not None:
            raise self._error
        return self._found

    def _look(self) -> None:
        self._found, self._error = None, None
        try:
            content = self._read()
            self._found = None if content is None else Copy.of(content)
        except UnavailableError as error:
            self._error = error.with_traceback(None)  # raised many times, and a traceback grows with each
