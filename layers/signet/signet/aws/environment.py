"""Reads what a function is told by its environment."""

from __future__ import annotations

from collections.abc import Mapping

from signet.core.errors import UsageError


def required(environment: Mapping[str, str], variable: str, what: str) -> str:
    """Return a variable that names something.

    Args:
        environment: such as ``os.environ``.
        variable: its name.
        what: what it names, for the message: ``the log table``.

    Raises:
        UsageError: it is missing or empty.
    """
    value = environment.get(variable, "")
    if not value:
        raise UsageError(f"Set {variable} to the name of {what}.")
    return value
