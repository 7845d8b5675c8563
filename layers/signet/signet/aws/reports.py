"""Log lines that several functions write: one wording and one level (docs/operations.md, "Logs")."""

from __future__ import annotations

from typing import Final, Protocol

from signet.core.errors import SignetError

#: A person has to change something before this works; trying again does not help.
NOT_SET_UP: Final = "not set up right"
#: A pushed policy could not be loaded; the one before stays in force.
POLICY_NOT_LOADED: Final = "policy not loaded"


class ErrorLogger(Protocol):
    """What this module needs of a logger: Powertools' and Python's have it."""

    def error(self, msg: object, /, *, extra: dict[str, object]) -> None:
        """Write a line at the level ERROR."""
        ...


def not_set_up(logger: ErrorLogger, error: SignetError) -> None:
    """Say what a person has to change."""
    logger.error(NOT_SET_UP, extra={"error": error.code, "reason": str(error)})


def policy_not_loaded(logger: ErrorLogger, error: SignetError) -> None:
    """Say why a pushed policy was not loaded."""
    logger.error(POLICY_NOT_LOADED, extra={"error": error.code, "why": str(error)})
