"""The request target that gets signed: one spelling on both sides.

A REST API hands the authorizer a decoded path and decoded parameters, so the byte-exact target
cannot be rebuilt. Client and authorizer therefore agree on ONE canonical spelling, the client sends
exactly that, and whatever has no canonical spelling is refused rather than guessed at
(docs/protocol.md, "Target"). A target in canonical form is an ordinary RFC 9421 ``@path`` and
``@query``, so any RFC 9421 signer can produce it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import quote, unquote_to_bytes

from signet.errors import Denied

MAX_TARGET_BYTES = 4096

# RFC 3986 pchar without percent escapes (a gateway may or may not have decoded them) and without ";"
# (some servers cut path parameters there).
_PATH = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,=:@-]*)+")
_AUTHORITY = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?::[1-9][0-9]{0,4})?"
)
_UNSAFE_IN_QUERY = re.compile(r"[;\x00-\x1f\x7f\ufffd\ud800-\udfff]")


def check_path(path: str) -> str:
    """Return the path unchanged if it is canonical.

    Canonical: begins with ``/``; no percent escape, ``;``, empty inner segment, ``.`` or ``..`` segment.

    Raises:
        Denied: ``malformed``.
    """
    segments = path.split("/")
    if (
        len(path) > MAX_TARGET_BYTES
        or not _PATH.fullmatch(path)
        or "" in segments[1:-1]
        or "." in segments
        or ".." in segments
    ):
        raise Denied("the path has no canonical spelling: no percent escapes, ';', '//' or dot segments")
    return path


def check_authority(authority: str) -> str:
    """Return ``host[:port]`` in lower case if it is a plain DNS name or IPv4 address.

    Raises:
        Denied: ``malformed``, also for a trailing dot or the default port spelled out.
    """
    lowered = authority.lower()
    if (
        not authority.isascii()  # or U+212A, the Kelvin sign, would pass for a k
        or len(lowered) > MAX_TARGET_BYTES
        or not _AUTHORITY.fullmatch(lowered)
        or lowered.endswith(":443")
    ):
        raise Denied("the authority is not a plain host name with an optional non-default port")
    return lowered


def canonical_query(parameters: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Return ``@query`` (RFC 9421 section 2.2.7) of decoded parameters, with its leading ``?``.

    Args:
        parameters: each distinct name once, with its decoded values in the order received.

    Names are sorted by their encoded bytes; every byte outside RFC 3986 unreserved is escaped in upper
    case; a name without a value gets an empty one: ``b&a=x y`` becomes ``?a=x%20y&b=``.

    Raises:
        Denied: ``malformed`` for ``;``, control characters and bytes that were not UTF-8: servers
            disagree about what they mean.
    """
    encoded = []
    for name, values in parameters:
        for text in (name, *values):
            if _UNSAFE_IN_QUERY.search(text):
                raise Denied("the query holds ';', a control character or invalid UTF-8")
        encoded.append((quote(name, safe=""), [quote(value, safe="") for value in values]))
    encoded.sort()
    query = "?" + "&".join(f"{name}={value}" for name, values in encoded for value in values)
    if len(query) > MAX_TARGET_BYTES:
        raise Denied("the query is longer than 4,096 bytes")
    return query


def parse_query(raw: str) -> list[tuple[str, list[str]]]:
    """Decode a raw query (without ``?``) as a gateway does, for a client that wants to canonicalise it.

    ``+`` is a space. Repeated names are grouped.

    Raises:
        Denied: ``malformed`` for what a gateway's map cannot keep: repeated names that are interleaved
            with others, and for ``;``, bad escapes or invalid UTF-8.
    """
    grouped: dict[str, list[str]] = {}
    last = None
    for field in raw.split("&") if raw else []:
        if re.search(r"%(?![0-9A-Fa-f]{2})", field):
            raise Denied("the query holds a '%' that is no percent escape; write it as %25")
        name, _, value = (_decode(part) for part in field.partition("="))
        if name in grouped and name != last:
            raise Denied(f"the query repeats {name!r} between other names; keep its values together")
        grouped.setdefault(name, []).append(value)
        last = name
    return list(grouped.items())


def _decode(part: str) -> str:
    try:
        return unquote_to_bytes(part.replace("+", " ")).decode()
    except UnicodeDecodeError as error:
        raise Denied("the query's percent escapes are not UTF-8") from error
