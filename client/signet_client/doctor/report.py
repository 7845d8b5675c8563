"""How a diagnosis is told: for people, for programs, and as an exit code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

from signet_client.doctor.facts import Deployment, Finding

HEALTHY: Final = 0
MISTAKES: Final = 1
NOT_SEEN: Final = 2


def exit_code(deployment: Deployment, findings: Sequence[Finding]) -> int:
    """Return 1 for mistakes, else 2 if something could not be looked at, else 0."""
    if findings:
        return MISTAKES
    return NOT_SEEN if deployment.unseen else HEALTHY


def as_object(deployment: Deployment, findings: Sequence[Finding]) -> dict[str, Any]:
    """Return a diagnosis as JSON; ``healthy`` is null where it is not known."""
    verdict = {HEALTHY: True, MISTAKES: False, NOT_SEEN: None}[exit_code(deployment, findings)]
    return {
        "healthy": verdict,
        "stack": deployment.stack,
        "apis": [
            {"id": api.id, "stage": api.stage, "kind": api.kind, "own": api.own} for api in deployment.apis
        ],
        "findings": [asdict(finding) for finding in findings],
        "not_looked_at": [asdict(unseen) for unseen in deployment.unseen],
    }


def lines(deployment: Deployment, findings: Sequence[Finding]) -> Iterator[str]:
    """Yield a diagnosis line by line; names in it are others' words, to be printed as such."""
    for finding in findings:
        yield f"WRONG    {finding.where}: {finding.sentence} [{finding.id}]"
        yield f"   mend  {finding.mend}"
    for unseen in deployment.unseen:
        yield f"NOT SEEN {unseen.what}: {unseen.why}"
    if findings or deployment.unseen:
        yield ""
    yield _verdict(deployment, findings)


def _verdict(deployment: Deployment, findings: Sequence[Finding]) -> str:
    looked_at = ", ".join(f"{api} ({api.stage})" for api in deployment.apis) or "no API"
    rest = f"; not looked at: {_counted(deployment.unseen, 'thing')}" if deployment.unseen else ""
    of = f"stack {deployment.stack}, {looked_at}"
    if findings:
        return f"{_counted(findings, 'mistake')}{rest}: {of}"
    return f"nothing wrong in what was seen{rest}: {of}" if rest else f"healthy: {of}"


def _counted(found: Sequence[object], what: str) -> str:
    return f"{len(found)} {what}{'' if len(found) == 1 else 's'}"
