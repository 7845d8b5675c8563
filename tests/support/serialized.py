"""An AWS client that makes one call at a time, for tests in which threads meet at a conditional write.

DynamoDB and S3 check a condition and write in one step; that they do is the point of such tests. moto (5.2)
looks first and writes then, with no lock in between (``Table.put_item`` of its DynamoDB, ``put_object`` of
its S3), so of two threads both may win. The same promises are asked of the embedded stack, whose store is
atomic (tests/integration), without this.
"""

from __future__ import annotations

import threading
from typing import Any


class Serialized:
    """Wraps a client of boto3; its calls do not overlap."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            with self._lock:
                return found(*arguments, **named)

        return call
