"""URLs as both sides spell them, and where a challenge may be had."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from signet.core.errors import Denied, UsageError
from signet.core.target import canonical_path, canonical_query, check_authority, parse_query

CHALLENGE_PATH = "/pch/challenge"
MAX_WALK = 8  # parents tried for a challenge: each costs a request
MAX_LABELS = 256  # origins, and URLs of each, of which a label is remembered

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")


def canonical_url(url: str) -> str:
    """Return the URL in the one spelling that both sides sign (``signet.core.target``).

    The fragment is dropped, the host lowered, a default port removed, path and query canonicalised.

    Raises:
        UsageError: it is no absolute http(s) URL, or has no canonical spelling.
    """
    try:
        parts = urlsplit(url)
        _ = url.encode(), parts.port  # no lone surrogates, no port beyond 65535
    except ValueError as error:
        raise UsageError(
            f"{url!r} is not a URL; give one such as https://api.example.com/protected"
        ) from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.netloc:
        raise UsageError(
            f"{url!r} is not an http or https URL; give one such as https://api.example.com/protected"
        )
    if "[" in parts.netloc:
        raise UsageError(
            f"{parts.netloc} is an IPv6 address, which cannot be signed as an authority; "
            "use the name of the host, such as localhost"
        )
    if "@" in parts.netloc:
        raise UsageError("the URL holds a user name or password; remove it, the key is what identifies you")
    if not _VISIBLE_ASCII.fullmatch(parts.path or "/"):
        raise UsageError(f"cannot sign {parts.path!r}: a path may hold visible ASCII characters only")
    try:
        authority = check_authority(parts.netloc.removesuffix(_DEFAULT_PORTS[parts.scheme]))
        path = canonical_path(parts.path or "/")
        query = canonical_query(parse_query(parts.query))
    except Denied as error:
        raise UsageError(f"cannot sign a request for this URL: {error}") from error
    return f"{parts.scheme}://{authority}{path}{query if query != '?' else ''}"


def origin(url: str) -> tuple[str, str]:
    """Return scheme and authority of a URL; equal for the same origin (RFC 6454)."""
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, parts.netloc.lower().removesuffix(_DEFAULT_PORTS.get(scheme, ""))


def parents(path: str) -> list[str]:
    """Return the paths above a path, deepest first, no trailing slash: ``/a/b`` has ``/a`` and ``""``."""
    segments = path.rstrip("/").split("/")[1:] or [""]
    return ["".join(f"/{segment}" for segment in segments[:end]) for end in range(len(segments) - 1, -1, -1)]


def candidates(url: str, named: str | None) -> Iterator[str]:
    """Yield where a challenge for a URL may be had, all on its own origin.

    Args:
        url: canonical URL of the request.
        named: challenge-uri that the server named, if any; one on another origin is ignored.

    A stage or base path stands in front of the API's own paths, and only the server knows how long it
    is; so each parent of the request's path is tried, deepest first.
    """
    first = resolved(url, named) if named is not None else None
    if first is not None:
        yield first
    base = "://".join(origin(url))
    for parent in parents(urlsplit(url).path)[:MAX_WALK]:
        candidate = f"{base}{parent}{CHALLENGE_PATH}"
        if candidate != first:
            yield candidate


def resolved(url: str, named: str) -> str | None:
    """Return what a server named as an absolute URL, or None if it is of no use on this origin."""
    try:
        absolute = canonical_url(urljoin(url, named))
    except (UsageError, ValueError):  # urljoin has its own opinion of what is no address
        return None
    return absolute if origin(absolute) == origin(url) else None


class Locations:
    """Remembers, for a client's lifetime, which challenge location worked for which part of a server.

    Safe to share between threads: each operation is one dictionary access.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[str, str], str], str] = {}
        self._dead: set[str] = set()

    def remember(self, url: str, location: str) -> None:
        """Note that ``location`` answered a challenge for ``url``."""
        self._dead.discard(location)
        self._known[origin(url), _common_parent(urlsplit(url).path, urlsplit(location).path)] = location

    def suggest(self, url: str, named: str) -> None:
        """Note where the server says challenges are, unless that was tried in vain before."""
        location = resolved(url, named)
        if location is not None and location not in self._dead:
            self.remember(url, location)

    def forget(self, location: str) -> None:
        """Drop a location that does not answer."""
        self._dead.add(location)
        for key in [key for key, known in list(self._known.items()) if known == location]:
            self._known.pop(key, None)

    def find(self, url: str) -> str | None:
        """Return the location that worked closest to this URL's path, or None."""
        for parent in parents(urlsplit(url).path):
            location = self._known.get((origin(url), parent))
            if location is not None:
                return location
        return None


class Labels:
    """Remembers what a server calls the API at a URL: it tells nonces apart, and is no place to ask.

    Safe to share between threads: each operation is a few dictionary accesses.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], dict[str, str]] = {}

    def remember(self, url: str, label: str) -> None:
        """Note the label of a URL."""
        if len(self._known) >= MAX_LABELS:
            self._known.clear()
        of_origin = self._known.setdefault(origin(url), {})
        if len(of_origin) >= MAX_LABELS:
            of_origin.clear()
        of_origin[urlsplit(url).path] = label

    def find(self, url: str) -> str | None:
        """Return the label of a URL, or the one that all known URLs of its origin have; else None."""
        of_origin = self._known.get(origin(url), {})
        label = of_origin.get(urlsplit(url).path)
        labels = {label} if label is not None else set(of_origin.copy().values())
        return labels.pop() if len(labels) == 1 else None


def _common_parent(path: str, location: str) -> str:
    above = set(parents(location))
    return next(parent for parent in parents(path) if parent in above)
