"""What the drivers of an ``Exchange`` share, whichever HTTP library they drive it with."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from typing import Any, TypeAlias

from signet_client.messages import Answer, Step
from signet_client.signing import PROOF_FIELDS

Flow: TypeAlias = Generator[Step, Answer, None]


def advance(flow: Flow, answer: Answer) -> Step | None:
    """Tell a handshake the answer and return its next step, or None if there is none."""
    try:
        return flow.send(answer)
    except StopIteration:
        return None


def lowered(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return header fields by lower-case name, repeated ones joined, without those of an earlier proof."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        if key not in PROOF_FIELDS:
            found[key] = f"{found[key]}, {value}" if key in found else value
    return found


def set_fields(headers: Any, fields: Mapping[str, str]) -> None:
    """Replace the fields of an earlier proof, in header fields of either library, by these."""
    for name in PROOF_FIELDS:
        headers.pop(name, None)
    headers.update(fields)
