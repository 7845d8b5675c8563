"""Waiting for what another process does."""

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], *, seconds: float) -> None:
    """Poll until a condition holds; fail if it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.1)
