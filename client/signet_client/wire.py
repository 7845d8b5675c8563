"""What the drivers of an ``Exchange`` share, for every HTTP library."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from signet.core.errors import UsageError
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


def as_bytes(content: Any) -> bytes:
    """Return a request's content as it goes over the wire.

    Args:
        content: None, text (UTF-8), anything that holds bytes (memoryview, array …), a file that is open for
            reading, or an iterable of text and bytes.

    Raises:
        UsageError: it is something else.
    """
    if content is None:
        return b""
    if isinstance(content, str):
        return content.encode()
    with suppress(TypeError):  # no buffer
        return memoryview(content).tobytes()
    if hasattr(content, "read"):
        return as_bytes(content.read())
    if isinstance(content, Iterable) and not isinstance(content, Mapping):
        return b"".join(map(_part, content))
    raise UsageError(
        f"content of the type {type(content).__name__} cannot be signed; give bytes, text, a file, or an "
        "iterable of bytes or text"
    )


def _part(part: Any) -> bytes:
    if isinstance(part, str):
        return part.encode()
    try:
        return memoryview(part).tobytes()
    except TypeError:
        raise UsageError(
            f"the content yields a part of the type {type(part).__name__}; only bytes and text can be signed"
        ) from None


def set_fields(headers: Any, fields: Mapping[str, str]) -> None:
    """Replace the fields of an earlier proof, in header fields of either library, by these."""
    for name in PROOF_FIELDS:
        headers.pop(name, None)
    headers.update(fields)
