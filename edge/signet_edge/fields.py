"""Which header fields travel on (RFC 9110 section 7.6.1), and how a message tells its end (RFC 9112)."""

from __future__ import annotations

import re
from collections.abc import Iterable

Fields = list[tuple[bytes, bytes]]

#: What only an edge or the gateway may say, also in the spellings some servers take for the same name.
_FORGED = re.compile(rb"signet[-_]edge|x[-_]amzn[-_]mtls[-_]|client[-_]cert|x[-_]forwarded[-_]|forwarded$")
_AUTHORITY = re.compile(rb"[A-Za-z0-9._:-]{1,255}")
# Of one hop (RFC 9110), or about how the body is framed on it; the framing is told anew.
_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"content-length",
        b"expect",
    }
)


class Refused(Exception):  # noqa: N818 - an answer, not a malfunction
    """A request is answered here instead of upstream.

    Attributes:
        status: the answer's status.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def authority_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return the one Host of a request.

    Raises:
        Refused: 400 if there is none, more than one, or one that is no plain ``host[:port]``.
    """
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) != 1 or not _AUTHORITY.fullmatch(hosts[0]):
        raise Refused(400, "exactly one plain Host is expected")
    return hosts[0].decode("ascii")


def signature_input_of(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return the value of the one Signature-Input of a request, or None without one.

    Raises:
        Refused: 400 if there is more than one: the attestation names one proof.
    """
    values = [value for name, value in headers if name == b"signature-input"]
    if len(values) > 1:
        raise Refused(400, "at most one Signature-Input is expected")
    return values[0] if values else None


def onward(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Return the end-to-end fields of a request or response, framing excluded. Names are lower case."""
    headers = list(headers)
    named = {
        token.strip().lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    }
    return [(name, value) for name, value in headers if name not in _HOP and name not in named]


def without_forgeries(headers: Fields) -> Fields:
    """Return a request's fields without those that only an edge or the gateway may write."""
    return [(name, value) for name, value in headers if not _FORGED.match(name) and name != b"host"]


def framing(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Return the one field that says where a message ends; nothing if the message does not say.

    Raises:
        Refused: 400 if it says so in two ways, which is how requests are smuggled.
    """
    found = [(n, v) for n, v in headers if n in {b"content-length", b"transfer-encoding"}]
    if len(found) > 1:
        raise Refused(400, "the message tells its length in two ways")
    return found


def content_length(headers: Fields) -> int:
    """Return the announced length, or 0 where none is."""
    return next((int(value) for name, value in headers if name == b"content-length"), 0)
