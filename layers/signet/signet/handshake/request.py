"""What API Gateway says about a request, brought into one strict form.

``read_event`` never fails: whatever can be said about a request goes on record, however broken it
is. ``Request.from_event`` is strict: it refuses what has two readings.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from signet.core.errors import Denied
from signet.core.records import record
from signet.core.target import canonical_query, check_authority, check_path, parse_query, spell_path
from signet.core.vocabulary import METHODS
from signet.handshake.gateway_event import (
    Paths,
    header_bytes,
    mapping,
    merge_headers,
    needs_digest,
    query_of,
    read_paths,
    reported_path,
)

_MAX_FACT_CHARS = 1024


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Site:
    """Where the API can be addressed.

    Attributes:
        authorities: accepted ``host[:port]``, lower case; ``default`` stands for the API's own
            ``<api id>.execute-api.<region>.<url suffix>``.
        base_path: what the client's path has in front of the path API Gateway reports; ``{api_id}`` is
            filled in. Empty on AWS, where the stage or base-path mapping is in the reported path already.
        region: AWS region, for the default authority.
        edge_base_path: what an edge puts in front of the client's path on the way to API Gateway: the stage,
            behind ``base_path``; ``{api_id}`` is filled in.
        url_suffix: end of AWS's own host names; another one in partitions such as China's.
    """

    authorities: frozenset[str]
    base_path: str
    region: str
    edge_base_path: str = ""
    url_suffix: str = "amazonaws.com"

    def accepts(self, authority: str, api_id: str) -> bool:
        """Tell whether requests for this authority are meant for this API."""
        own = f"{api_id}.execute-api.{self.region}.{self.url_suffix}"
        return authority in self.authorities or ("default" in self.authorities and authority == own)

    def client_path(self, path: str, api_id: str) -> str:
        """Return the path as the client addressed it, given the one API Gateway reports."""
        return self.base_path.replace("{api_id}", api_id) + path

    def routed_path(self, path: str, api_id: str) -> str:
        """Return where an edge sends what a client addresses as ``path``."""
        return self.edge_base_path.replace("{api_id}", api_id) + path


@dataclass(frozen=True, slots=True, eq=False, repr=False)
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
class EventFacts:
    """What an event says, unverified, for the record. All values are cut to 1,024 characters."""

    method: str
    authority: str
    path: str
    request_id: str | None
    stage: str
    source_ip: str
    header_bytes: int


@record
class Fields:
    """The header fields of an event, read once.

    Attributes:
        values: by name in lower case, values as received; empty if refused.
        refusal: why the fields have no reading, or two; None if they have one.
        repeated: names of the fields that came in more than one line; their values are joined.
    """

    values: Mapping[str, str]
    refusal: Denied | None = None
    repeated: frozenset[str] = frozenset()


@record
class Request:
    """A request with exactly one reading.

    Attributes:
        method: upper case.
        authority: ``host[:port]``, lower case, accepted by the site.
        path: canonical path as the client addressed it, stage or base-path mapping in front.
        query: query with its ``?``, as the client signed it: canonical, or as the edge attests it.
        headers: lower-case names; values as received.
        route: ``METHOD /resource`` as declared in the API, such as ``GET /protected/{item}``.
        api_path: the API's own path, for route patterns: its resource filled in, without stage or mapping,
            and without a slash at its end, which API Gateway overlooks.
        needs_digest: whether the request has to sign a digest of its content, also if that is nothing.
        query_rebuilt: the query was put together from maps that have lost its order and its spelling.
        repeated: names of the header fields that came in more than one line.
    """

    method: str
    authority: str
    path: str
    query: str
    headers: Mapping[str, str]
    route: str
    api_path: str
    needs_digest: bool
    query_rebuilt: bool = False
    repeated: frozenset[str] = frozenset()

    @property
    def query_sha256(self) -> bytes:
        """SHA-256 of the query, for the receipt."""
        return hashlib.sha256(self.query.encode()).digest()

    @classmethod
    def from_event(
        cls, event: Mapping[str, Any], fields: Fields, site: Site, attested: Attestation | None = None
    ) -> Request:
        """Read a REQUEST authorizer event of a REST API.

        Args:
            event: as API Gateway sent it.
            fields: its header fields.
            site: where the API answers.
            attested: what the edge saw of the request, if it came through one; then authority, path and
                query are the edge's, and what API Gateway routed has to be the same.

        Raises:
            Denied: ``malformed`` for whatever has no reading or two; ``edge_attestation_invalid`` if another
                request was attested.
        """
        try:
            context = event["requestContext"]
            methods, api_id = {context["httpMethod"], event["httpMethod"]}, context["apiId"]
            if fields.refusal is not None:
                raise fields.refusal
            headers = fields.values
            authority = check_authority(attested.authority if attested else headers.get("host", ""))
            paths, query = read_paths(event), canonical_query(query_of(event))
            resource = event["resource"]
            if not isinstance(api_id, str) or not isinstance(resource, str):
                raise TypeError("an API has an id, and a resource a name")  # noqa: TRY301 - as if it were missing
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise Denied("the gateway's event lacks what a request has") from error
        if len(methods) != 1 or not methods <= METHODS:
            raise Denied("the method is not one this API serves")
        (method,) = methods
        if not site.accepts(authority, api_id):
            raise Denied("the authority is not one this API answers to")
        path = site.client_path(paths.reported, api_id)
        if path != paths.reported:
            check_path(path)
        if attested is not None:
            _check_routed(attested, site.routed_path(attested.path, api_id), path, query, paths)
            path, query = attested.path, attested.query
        return cls(
            method=method,
            authority=authority,
            path=path,
            query=query,
            headers=headers,
            route=f"{method} {resource}",
            api_path=paths.own,
            needs_digest=needs_digest(method, headers),
            query_rebuilt=attested is None and query != "?",
            repeated=fields.repeated,
        )


def attestation_invalid() -> Denied:
    """Return the one refusal for whatever is wrong with an edge's word."""
    return Denied("the edge attestation is not valid", code="edge_attestation_invalid")


def _check_routed(attested: Attestation, expected: str, path: str, query: str, paths: Paths) -> None:
    """Check that what API Gateway routed is what the edge received: what is signed is what is routed."""
    check_path(attested.path)  # one spelling here too
    meant = canonical_query(parse_query(attested.query.removeprefix("?")))
    if paths.decoded:
        expected = spell_path(unquote(expected))
    if path != expected or query != meant:
        raise attestation_invalid()


def read_fields(event: Mapping[str, Any]) -> Fields:
    """Read the header fields of an event; never fails."""
    try:
        multi = mapping(event.get("multiValueHeaders"))
        repeated = frozenset(name.lower() for name, values in multi.items() if len(values) > 1)
        return Fields(merge_headers(event), None, repeated)
    except Denied as refusal:
        return Fields({}, refusal)
    except (LookupError, TypeError, AttributeError, ValueError):
        return Fields({}, Denied("the gateway's event lacks what a request has"))


def read_event(event: Mapping[str, Any], fields: Fields) -> EventFacts:
    """Gather what an event says, without judging it."""
    context = mapping(event.get("requestContext"))
    headers: Mapping[str, Any] = fields.values
    if fields.refusal is not None:
        headers = {str(k).lower(): v for k, v in mapping(event.get("headers")).items()}
    request_id = context.get("requestId")
    return EventFacts(
        method=_text(context.get("httpMethod")),
        authority=_text(headers.get("host")),
        path=_text(reported_path(event)),
        request_id=_text(request_id) if request_id else None,
        stage=_text(context.get("stage")),
        source_ip=_text(mapping(context.get("identity")).get("sourceIp")),
        header_bytes=header_bytes(event),
    )


def _text(value: Any) -> str:
    text = value[:_MAX_FACT_CHARS] if isinstance(value, str) else ""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
