"""What a verification says, of a pack as of a whole log: checks that passed, failures, notices, gaps.

A check either passes or has failures. A notice and a gap are no failures: what they are about stays good.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from signet.core.errors import AuditError, PackError, SignetError, UnavailableError

#: What is damaged all over shall not fill the screen: the first failures say where to look.
MAX_FAILURES: Final = 100

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Failure:
    """What a check refuses: bytes are not what was signed, or contradict each other.

    Attributes:
        code: stable word for programs.
        where: of a pack its member; of a log the object key, ``leaf <index>``, ``lock register`` or
            ``chain <id>``.
        reason: a sentence for people, without the place.
        line: 1-based line in that member, or None.
    """

    code: str
    where: str
    reason: str
    line: int | None = None

    def __str__(self) -> str:
        """Return ``where:line: reason``."""
        place = self.where if self.line is None else f"{self.where}:{self.line}"
        return f"{place}: {self.reason}"

    @classmethod
    def of(cls, error: SignetError, where: str) -> Failure:
        """Return what an error says; ``where`` is the place of one that has none of its own."""
        if isinstance(error, PackError):
            return cls(error.code, error.file, error.reason, error.line)
        if isinstance(error, AuditError):
            return cls(error.code, error.where, error.reason)
        return cls(error.code, where, str(error))


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know that is no failure: oddities, work under way, what could not be looked at.

    Attributes:
        code: stable word for programs; those of packs are in docs/formats.md, "Remarks".
        text: a sentence for people.
    """

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Numbers of an emitter that are not among the receipts read.

    A decision was lost before it reached the log, or is recorded on a neighbouring day.

    Attributes:
        emitter: the emitter's id.
        first: first number missing.
        last: last number missing.
    """

    emitter: str
    first: int
    last: int


class SkippedError(Exception):
    """A check needs what a failed one would have given; the failure it follows from is recorded."""


def needed(value: _T | None) -> _T:
    """Return what an earlier check gave.

    Raises:
        SkippedError: that check failed.
    """
    if value is None:
        raise SkippedError
    return value


@dataclass(slots=True)
class Checks:
    """Runs the checks of one verification, one after the other, and keeps what came of them.

    Attributes:
        passed: titles of those that passed, in order.
        failures: the first ``MAX_FAILURES``.
        notices: what is worth knowing.
        more_failures: how many failures were not kept.
    """

    passed: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    more_failures: int = 0

    def run(self, title: str, where: str, check: Callable[[], None]) -> None:
        """Run one check; ``where`` is the place of a failure that has none of its own.

        Raises:
            UnavailableError: a store cannot be read: that is no verdict.
        """
        before = len(self.failures) + self.more_failures
        try:
            check()
        except SkippedError:
            return
        except UnavailableError:
            raise
        except SignetError as error:
            self.fail(Failure.of(error, where))
        if len(self.failures) + self.more_failures == before:
            self.passed.append(title)

    def fail(self, failure: Failure) -> None:
        """Keep a failure."""
        if len(self.failures) < MAX_FAILURES:
            self.failures.append(failure)
        else:
            self.more_failures += 1

    def notice(self, code: str, text: str) -> None:
        """Keep a notice."""
        self.notices.append(Notice(code, text))
