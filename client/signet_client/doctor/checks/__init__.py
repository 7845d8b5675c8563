"""The checks: pure functions of what was seen to what is wrong. A check that lacks a fact finds nothing.

A check never guesses: what it needs and was not seen stands in ``Deployment.unseen`` already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from signet_client.doctor.checks import (
    authorizers,
    doors,
    functions,
    gateway_responses,
    log,
    methods,
    registration,
    rules,
)
from signet_client.doctor.facts import Deployment, Finding

Check: TypeAlias = Callable[[Deployment], Iterator[Finding]]

#: In the order in which they are told: what lets requests through unproven comes first.
CHECKS: Final[tuple[Check, ...]] = (
    methods.check,
    authorizers.check,
    gateway_responses.check,
    doors.check,
    registration.check,
    rules.check,
    functions.check,
    log.check,
)


def find(deployment: Deployment) -> tuple[Finding, ...]:
    """Return all that is wrong with a deployment, as far as it was seen."""
    return tuple(finding for check in CHECKS for finding in check(deployment))
