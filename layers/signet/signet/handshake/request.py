"""The request to decide on: what the gateway says, at a place where the API answers, as the edge saw it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from signet.core.apis import DEFAULT_AUTHORITY, DEFAULT_STAGE, OWN_API, Api
from signet.core.decision import Reason
from signet.core.errors import Denied
from signet.core.records import record
from signet.core.target import canonical_query, check_authority, check_path, parse_query, spell_path
from signet.core.vocabulary import CONTENT_METHODS
from signet.gateway.model import InboundRequest
from signet.gateway.registered import unknown_api
from signet.policy.routes import route_key

_MAX_RECORDED_CHARS = 1024


@dataclass(frozen=True, slots=True)
class Site:
    """Where the deployment's APIs can be addressed; their names are in their registrations.

    Attributes:
        base_path: what the client's path has in front of the path API Gateway reports; ``{api_id}`` is
            filled in. Empty on AWS, where the stage or base-path mapping is in the reported path already.
        region: AWS region, for the default authority.
        edge_base_path: what an edge of Signet's own API puts in front of the client's path on the way to API
            Gateway: the stage, behind ``base_path``; ``{api_id}`` is filled in. What the edge of an attached
            API puts there, its registration says.
        url_suffix: end of AWS's own host names; another one in partitions such as China's.
    """

    base_path: str
    region: str
    edge_base_path: str = ""
    url_suffix: str = "amazonaws.com"

    def accepts(self, authority: str, api: Api) -> bool:
        """Tell whether requests for this authority are meant for this API."""
        if authority in api.authorities:
            return True
        return DEFAULT_AUTHORITY in api.authorities and authority == self.default_authority(api)

    def default_authority(self, api: Api) -> str:
        """Return the name that the gateway gives an API."""
        return f"{api.api_id}.execute-api.{self.region}.{self.url_suffix}"

    def client_path(self, path: str, api_id: str) -> str:
        """Return the path as the client addressed it, given the one API Gateway reports."""
        return self.base_path.replace("{api_id}", api_id) + path

    def edge_prefixes(self, api: Api) -> tuple[str, ...]:
        """Return what an edge may put in front of the path that a client addresses.

        For an attached API: its stage, for the gateway's own name of it; and for a custom domain of the
        gateway the base paths that are registered, or nothing where none is.
        """
        if api.name == OWN_API:
            return (self.edge_base_path.replace("{api_id}", api.api_id),)
        stage = "" if api.stage == DEFAULT_STAGE else f"/{api.stage}"
        return tuple(
            self.client_path(front, api.api_id) for front in (stage, *(sorted(api.base_paths) or [""]))
        )


@dataclass(frozen=True, slots=True)
class Attestation:
    """What an edge vouches for.

    Attributes:
        exporter: RFC 9266 ``tls-exporter`` value of the client's connection, 32 bytes.
        authority: ``host[:port]`` as the client addressed it; not held against any list yet.
        path: as received, byte for byte.
        query: as received with its ``?``; ``?`` alone if there was none (RFC 9421 section 2.2.7).
        src: the client's address, as the edge saw it.
    """

    exporter: bytes
    authority: str
    path: str
    query: str
    src: str


@record
class Request:
    """A request with exactly one reading.

    Attributes:
        method: upper case.
        authority: ``host[:port]``, lower case, accepted by the site.
        path: canonical path as the client addressed it, stage or base-path mapping in front.
        query: query with its ``?``, as the client signed it: canonical, or as the edge attests it.
        headers: lower-case names; values as received.
        api: name of the API, as registered.
        route: ``METHOD /resource`` as declared in the API, such as ``GET /protected/{item}``.
        route_key: what policies list the route under: no two APIs share one.
        path_parameters: what fills the resource in: name and value, as the path spells it; names sorted.
        api_path: the API's own path, for route patterns: its resource filled in, without stage or mapping,
            and without a slash at its end, which API Gateway overlooks.
        needs_digest: whether the request has to sign a digest of its content, also if that is nothing.
        query_rebuilt: the query was put together from decoded values, which have lost its order and spelling.
        repeated: names of the header fields that came in more than one line.
    """

    method: str
    authority: str
    path: str
    query: str
    headers: Mapping[str, str]
    api: str
    route: str
    route_key: str
    path_parameters: tuple[tuple[str, str], ...]
    api_path: str
    needs_digest: bool
    query_rebuilt: bool = False
    repeated: frozenset[str] = frozenset()

    @property
    def query_sha256(self) -> bytes:
        """SHA-256 of the query, for the receipt."""
        return hashlib.sha256(self.query.encode()).digest()

    @classmethod
    def read(cls, inbound: InboundRequest, site: Site, attested: Attestation | None = None) -> Request:
        """Hold what a gateway says against where the API answers and what an edge saw.

        Args:
            inbound: as decoded.
            site: where the API answers.
            attested: what the edge saw of the request, if it came through one; then authority, path and
                query are the edge's, and what API Gateway routed has to be the same.

        Raises:
            Denied: ``malformed`` for what has no reading, or two; ``edge_attestation_invalid`` if another
                request was attested.
        """
        if inbound.refusal is not None:
            raise inbound.refusal
        api = registered(inbound)
        authority = check_authority(attested.authority if attested else inbound.headers.get("host", ""))
        query = canonical_query(inbound.query)
        if not site.accepts(authority, api):
            raise Denied(Reason.MALFORMED, "the authority is not one this API answers to")
        if attested is None:  # behind an edge the gateway's path is held against the attested one
            _check_base_path(inbound, api, authority)
        path = site.client_path(inbound.path, inbound.api_id)
        if path != inbound.path:
            check_path(path)
        if attested is not None:
            _check_routed(attested, site.edge_prefixes(api), path, query, inbound)
            path, query = attested.path, attested.query
        method, route = inbound.method, f"{inbound.method} {inbound.resource}"
        return cls(
            method=method,
            authority=authority,
            path=path,
            query=query,
            headers=inbound.headers,
            api=api.name,
            route=route,
            route_key=route_key(api.name, route),
            path_parameters=_parameters(inbound.resource, inbound.own_path),
            api_path=inbound.own_path,
            needs_digest=needs_digest(method, inbound.headers),
            query_rebuilt=attested is None and query != "?",
            repeated=inbound.repeated,
        )


def registered(inbound: InboundRequest) -> Api:
    """Return the registration of the API that a request came to.

    Raises:
        Denied: ``unknown_api``.
    """
    if inbound.api is None:
        raise unknown_api()
    return inbound.api


def _parameters(resource: str, path: str) -> tuple[tuple[str, str], ...]:
    """Return what fills a resource in, given the path that it is filled in to."""
    if "{" not in resource:
        return ()
    places, cuts = _places(resource)
    given = path.split("/", cuts)
    found = [(name, given[place]) for name, place in places]
    return tuple(sorted(found)) if len(found) > 1 else (found[0],)


@lru_cache(maxsize=256)
def _places(resource: str) -> tuple[tuple[tuple[str, int], ...], int]:
    """Return the names in a resource that is declared, each with its place, and how often to cut a path.

    A greedy name, which is the last, takes all that is left; else the path is cut everywhere (-1). Of a name
    that comes twice the last place counts.
    """
    segments = enumerate(resource.split("/"))
    found = {segment[1:-1].removesuffix("+"): place for place, segment in segments if segment[:1] == "{"}
    return tuple(found.items()), resource.count("/") if resource.endswith("+}") else -1


def _check_base_path(inbound: InboundRequest, api: Api, authority: str) -> None:
    """Refuse a mapping that is not registered: under it, two APIs could answer to one path.

    Only on the API's own names: on the gateway's name there is no mapping. A mapping that names no stage
    leaves the stage in the path (``gateway.rest_v1``).
    """
    if not api.base_paths or authority not in api.authorities:
        return
    prefix = inbound.prefix_of(inbound.path)
    if prefix not in api.base_paths and prefix.removesuffix(f"/{api.stage}") not in api.base_paths:
        raise Denied(
            Reason.MALFORMED,
            "the path is under no base path that is registered for this API (--base-path)",
        )


def recorded(text: str) -> str:
    """Return what of an unverified text goes on record: its first 1,024 characters, in valid UTF-8."""
    text = text[:_MAX_RECORDED_CHARS]
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def needs_digest(method: str, headers: Mapping[str, str]) -> bool:
    """Tell whether a request has to sign a Content-Digest: by its method, or because a body can be seen.

    Args:
        method: upper case.
        headers: names in lower case; REST APIs on AWS take ``Content-Length`` away, others leave it in.
    """
    seen = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return seen or method in CONTENT_METHODS


def attestation_invalid() -> Denied:
    """Return the one refusal for every fault of an edge's word."""
    return Denied(Reason.EDGE_ATTESTATION_INVALID, "the edge attestation is not valid")


def _check_routed(
    attested: Attestation, prefixes: tuple[str, ...], path: str, query: str, inbound: InboundRequest
) -> None:
    """Check that what API Gateway routed is what the edge received: what is signed is what is routed.

    What stands before the API's own path is what an edge puts there, so the own path is the attested one.
    """
    check_path(attested.path)  # one spelling here too
    meant = canonical_query(parse_query(attested.query.removeprefix("?")))
    prefix = inbound.prefix_of(path)
    expected = prefix + attested.path
    if inbound.path_decoded:
        expected = spell_path(unquote(expected))
    if prefix not in prefixes or path != expected or query != meant:
        raise attestation_invalid()
