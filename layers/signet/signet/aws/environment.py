"""Reads what a function is told by its environment; each error names the variable, and says what to set."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from signet.core.errors import UsageError

#: Largest number that a variable takes unless its reader says otherwise: the seconds of a day.
MOST: Final = 86_400
#: Python refuses to parse thousands of digits, by its own error: docs.python.org/3/library/stdtypes.html,
#: "Integer string conversion length limitation".
_DIGITS: Final = 20


def required(environment: Mapping[str, str], variable: str, what: str) -> str:
    """Return a variable that has to be set.

    Args:
        environment: such as ``os.environ``.
        variable: its name.
        what: what it is set to, for the message: ``the name of the log table``.

    Raises:
        UsageError: it is missing or empty.
    """
    value = environment.get(variable, "")
    if not value:
        raise wrong(variable, what)
    return value


def optional(environment: Mapping[str, str], variable: str) -> str | None:
    """Return a variable that may be missing or empty: None then."""
    return environment.get(variable) or None


def number(
    environment: Mapping[str, str], variable: str, default: int | None = None, *, least: int, most: int = MOST
) -> int:
    """Parse a decimal number: ASCII digits, and nothing else.

    Args:
        environment: such as ``os.environ``.
        variable: its name.
        default: the number where the variable is missing; None if it has to be set.
        least: smallest number that is taken.
        most: largest number that is taken.

    Raises:
        UsageError: it is no such number, or it is empty, or it is missing and has no default.
    """
    text = environment.get(variable, "" if default is None else str(default))
    digits = text.isascii() and text.isdecimal() and len(text) <= _DIGITS
    if not (digits and least <= int(text) <= most):
        raise wrong(variable, f"a number from {least} to {most}")
    return int(text)


def switch(environment: Mapping[str, str], variable: str) -> bool:
    """Parse a switch that is off unless it says otherwise.

    Raises:
        UsageError: it is neither ``true`` nor ``false``.
    """
    return choice(environment, variable, ("false", "true")) == "true"


def choice(environment: Mapping[str, str], variable: str, choices: Collection[str]) -> str:
    """Return one of several words, the first of them where the variable is missing.

    Raises:
        UsageError: it is another word, or empty.
    """
    value = environment.get(variable, next(iter(choices)))
    if value not in choices:
        raise wrong(variable, " or ".join(choices))
    return value


def wrong(variable: str, what: str) -> UsageError:
    """Return the error of a variable that cannot be used as it is."""
    return UsageError(f"Set {variable} to {what}: the function's environment lacks or garbles '{variable}'.")
