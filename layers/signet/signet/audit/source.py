"""Where a log's objects are read from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Final

#: Returns an object's bytes by key, None if there is none.
Get = Callable[[str], bytes | None]
#: Yields the keys under a prefix.
Listing = Callable[[str], Iterator[str]]

#: What file managers put into folders that they look at: a copy of a log may have them.
_STRAY_FILE: Final = re.compile(r"(?:.*/)?(?:\.DS_Store|\._[^/]*|Thumbs\.db|desktop\.ini|\.directory)")


@dataclass(frozen=True, slots=True)
class LogSource:
    """Where a log's objects are.

    Attributes:
        get: returns an object's bytes by key, None if there is none.
        keys: yields the keys under a prefix; None where the source cannot be listed (a web server).
        open: opens an object of any size, seekable (``NotFoundError`` if there is none); None where it
            cannot be done.
    """

    get: Get
    keys: Listing | None = None
    open: Callable[[str], AbstractContextManager[BinaryIO]] | None = None


def is_stray_file(key: str) -> bool:
    """Tell whether a key is that of a file which file managers leave lying about."""
    return _STRAY_FILE.fullmatch(key) is not None
