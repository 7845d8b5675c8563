"""Where the challenges of an API come from, if the caller says so, or the API itself (protocol: Discovery).

Most APIs say it in their refusals, and then it is an address on their own origin. A gateway that carries no
challenge (HTTP APIs) leaves it to the caller's settings, or to a document that the caller wants read. Those
may name another origin: Signet's. No redirect, no refusal and no challenge ever does.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin, urlsplit

from signet.core.apis import NAME
from signet.core.errors import UsageError
from signet.core.target import canonical_query, parse_query
from signet_client.addresses import canonical_url, origin

#: Where an API says it, at the root of its origin (RFC 8615).
DISCOVERY_PATH: Final = "/.well-known/pch"
#: Nonces that are fetched with one request; those that go stale cost a server microseconds.
BATCH: Final = 16
_MAX_DOCUMENT_BYTES: Final = 16_384


@dataclass(frozen=True, slots=True)
class Source:
    """A place that hands out challenges.

    Attributes:
        url: absolute URL of its ``/pch/challenge``; parameters in its query are sent as they are.
        api: name of the API, as registered there; None for Signet's own, or if the query says it.
    """

    url: str
    api: str | None = None

    def foreign(self, url: str) -> bool:
        """Tell whether it is on another origin than a request."""
        return origin(self.url) != origin(url)

    def asks(self, url: str) -> str:
        """Return what to GET for challenges that fit a request.

        On another origin it names the API's authority; on its own the path of the request (``target``).

        Raises:
            UsageError: the URL has no canonical spelling.
        """
        parts = urlsplit(canonical_url(self.url))
        given = dict(parse_query(parts.query))
        wanted = {"count": [str(BATCH)]}
        if self.api is not None:
            wanted["api"] = [self.api]
        if self.foreign(url) or "api" in {*wanted, *given}:
            wanted["authority"] = [origin(url)[1]]
        query = {**wanted, **given}
        if not self.foreign(url):
            query["target"] = [urlsplit(url).path]
        return f"{parts.scheme}://{parts.netloc}{parts.path}{canonical_query(query.items())}"

    def takes_evidence(self, url: str) -> str | None:
        """Return where bundles for a request go; None where the challenge says it, on the same origin."""
        if not self.foreign(url):
            return None
        parts = urlsplit(self.asks(url))
        kept = [(name, values) for name, values in parse_query(parts.query) if name in {"api", "authority"}]
        path = urljoin(parts.path, "evidence")
        return f"{parts.scheme}://{parts.netloc}{path}{canonical_query(kept)}"


def check_source(url: str | None, api: str | None) -> Source | None:
    """Return what a caller's settings say; None if they say nothing.

    Raises:
        UsageError: the URL cannot be one, the name is none, or there is a name without a URL.
    """
    if api is not None and (url is None or not NAME.fullmatch(api)):
        raise UsageError(
            f"{api!r} is no name of a registered API"
            if url is not None
            else "api goes with challenge_url: it is the name of the API there"
        )
    return None if url is None else Source(url, api)


def discovery_url(url: str) -> str:
    """Return where the origin of a request says where its challenges come from."""
    return "://".join(origin(url)) + DISCOVERY_PATH


def source_in(document: bytes, url: str) -> Source | None:
    """Read ``{"challenge_uri": …, "api": …}``; None if it is no such document.

    Args:
        document: what the origin of the request answered.
        url: of the request; from https nothing leads to plain http.
    """
    if len(document) > _MAX_DOCUMENT_BYTES:
        return None
    try:
        found = json.loads(document)
        named, api = found["challenge_uri"], found.get("api")
        source = Source(canonical_url(urljoin(discovery_url(url), named)), api)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, UsageError):
        return None
    if api is not None and not (isinstance(api, str) and NAME.fullmatch(api)):
        return None
    return None if origin(url)[0] == "https" and origin(source.url)[0] != "https" else source
