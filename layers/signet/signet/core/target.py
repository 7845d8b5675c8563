"""The request target that gets signed: one spelling on both sides.

A REST API hands the authorizer decoded parameters in maps without order, and emulators hand on a decoded
path too, so the byte-exact target cannot be rebuilt. Client and authorizer therefore agree on ONE canonical
spelling, the client sends exactly that, and a target without a canonical spelling is refused rather than
guessed at (docs/protocol.md, "Target"). A target in canonical form is an ordinary RFC 9421 ``@path`` and
``@query``, so any RFC 9421 signer can produce it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from urllib.parse import quote, unquote_to_bytes

from signet.core.decision import Reason
from signet.core.errors import Denied

MAX_TARGET_BYTES = 4096

#: What stands in a canonical path as it is, beside ``/``: RFC 3986 pchar without ";", where some servers cut.
PLAIN_IN_PATH = "A-Za-z0-9._~!$&'()*+,=:@-"
_PATH = re.compile(rf"(?:/(?:[{PLAIN_IN_PATH}]|%[0-9A-F]{{2}})*)+")
_ESCAPES = re.compile(r"(?:%[0-9A-F]{2})+")
_ANY_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
# Not to be escaped in a canonical path: what needs no escape; what means something else once a server on the
# way has decoded it (a separator, the end of the path, another escape, the name of a path parameter); control
# characters, and what stands for bytes that were not UTF-8.
_NEVER_ESCAPED = re.compile(r"[A-Za-z0-9._~/\\%;?#{}\x00-\x1f\x7f-\x9f\ufffd-]")
_AUTHORITY = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?::[1-9][0-9]{0,4})?"
)
_UNSAFE_IN_QUERY = re.compile(r"[;\x00-\x1f\x7f\ufffd\ud800-\udfff]")


def check_path(path: str) -> str:
    r"""Return the path unchanged if it is canonical.

    Canonical: begins with ``/``; no ``;``, no empty inner segment, no ``.`` or ``..`` segment. What is no
    ``PLAIN_IN_PATH`` is percent-encoded UTF-8, in upper case; unreserved characters are not (RFC 3986
    sections 2.1 and 2.3). ``/ \ % ; ? # { }`` and control characters have no canonical spelling, escaped or
    not: for a server that decodes before it cuts the path, such a path is another one.

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
        raise Denied(
            Reason.MALFORMED,
            "the path has no canonical spelling: there is '//', ';', a dot segment or a bad escape",
        )
    if "%" in path:
        _check_escapes(path)
    return path


def canonical_path(raw: str) -> str:
    """Return the canonical spelling of a path, for a client that is about to send and sign it.

    Escapes go into upper case, unreserved characters lose theirs, other characters get one. Reserved
    characters stay as they are, escaped or not: the two are different paths (RFC 3986 section 2.2).

    Raises:
        Denied: ``malformed``; see ``check_path``.
    """
    return check_path(quote(_ANY_ESCAPE.sub(_normal_escape, raw), safe="/%;!$&'()*+,=:@"))


def spell_path(decoded: str) -> str:
    """Return how a path that a gateway decoded was spelled: everything that needs an escape gets one.

    Raises:
        Denied: ``malformed``: a ``%``, which in a decoded path could be an escape or none.
    """
    if "%" in decoded:
        raise Denied(
            Reason.MALFORMED,
            "the gateway decoded the path, and a '%' is left in it: two paths read like this",
        )
    try:
        return quote(decoded, safe="/!$&'()*+,=:@")
    except UnicodeEncodeError as error:
        raise Denied(Reason.MALFORMED, "the path is no text") from error


def _normal_escape(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if _UNRESERVED.fullmatch(character) else match[0].upper()


def _check_escapes(path: str) -> None:
    for run in _ESCAPES.findall(path):
        try:
            text = bytes.fromhex(run.replace("%", "")).decode()
        except UnicodeDecodeError as error:
            raise Denied(Reason.MALFORMED, "the path's percent escapes are not UTF-8") from error
        if (found := _NEVER_ESCAPED.search(text)) is not None:
            raise Denied(
                Reason.MALFORMED, f"the path escapes {found[0]!a}, which has no canonical spelling there"
            )


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
        raise Denied(
            Reason.MALFORMED, "the authority is not a plain host name with an optional non-default port"
        )
    return lowered


def canonical_query(parameters: Collection[tuple[str, Sequence[str]]]) -> str:
    """Return ``@query`` (RFC 9421 section 2.2.7) of decoded parameters, with its leading ``?``.

    Args:
        parameters: each distinct name once, with its decoded values in the order received.

    Names are sorted by their encoded bytes; every byte outside RFC 3986 unreserved is escaped in upper
    case; a name without a value gets an empty one: ``b&a=x y`` becomes ``?a=x%20y&b=``.

    Raises:
        Denied: ``malformed`` for ``;``, control characters and bytes that were not UTF-8: servers
            disagree about what they mean.
    """
    if not parameters:  # most requests
        return "?"
    encoded = []
    for name, values in parameters:
        for text in (name, *values):
            if _UNSAFE_IN_QUERY.search(text):
                raise Denied(Reason.MALFORMED, "the query holds ';', a control character or invalid UTF-8")
        encoded.append((quote(name, safe=""), [quote(value, safe="") for value in values]))
    encoded.sort()
    query = "?" + "&".join(f"{name}={value}" for name, values in encoded for value in values)
    if len(query) > MAX_TARGET_BYTES:
        raise Denied(Reason.MALFORMED, "the query is longer than 4,096 bytes")
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
            raise Denied(Reason.MALFORMED, "the query holds a '%' that is no percent escape; write it as %25")
        name, _, value = (_decode(part) for part in field.partition("="))
        if name in grouped and name != last:
            raise Denied(
                Reason.MALFORMED,
                # A stranger's text has no place in a log: the name is not told.
                "the query repeats a name between other names; keep the values of a name together",
            )
        grouped.setdefault(name, []).append(value)
        last = name
    return list(grouped.items())


def _decode(part: str) -> str:
    try:
        return unquote_to_bytes(part.replace("+", " ")).decode()
    except UnicodeDecodeError as error:
        raise Denied(Reason.MALFORMED, "the query's percent escapes are not UTF-8") from error
