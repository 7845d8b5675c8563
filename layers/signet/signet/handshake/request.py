"""What API Gateway says about a request, brought into one strict form.

``read_event`` never fails: whatever can be said about a request goes on record, however broken it
is. ``Request.from_event`` is strict: it refuses what has two readings.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from signet.errors import Denied
from signet.handshake.target import canonical_query, check_authority, check_path, parse_query
from signet.records import record

_MAX_FACT_CHARS = 1024
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Fields whose meaning decides: they come once, or not at all.
SINGLE_FIELDS = frozenset(
    {
        "host",
        "signature",
        "signature-input",
        "content-digest",
        "content-length",
        "pch-channel-binding",
        "pch-evidence",
        "pch-evidence-digest",
        "pch-nonce",
        "pch-proof",
        "signet-edge",
    }
)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Site:
    """Where the API can be addressed.

    Attributes:
        authorities: accepted ``host[:port]``, lower case; ``default`` stands for the API's own
            ``<api id>.execute-api.<region>.amazonaws.com``.
        base_path: what the client's path has in front of the path API Gateway reports; ``{api_id}`` is
            filled in. Empty on AWS, where the stage or base-path mapping is in the reported path already.
        region: AWS region, for the default authority.
        edge_base_path: what an edge puts in front of the client's path on the way to API Gateway: the stage,
            behind ``base_path``; ``{api_id}`` is filled in.
    """

    authorities: frozenset[str]
    base_path: str
    region: str
    edge_base_path: str = ""

    def accepts(self, authority: str, api_id: str) -> bool:
        """Tell whether requests for this authority are meant for this API."""
        own = f"{api_id}.execute-api.{self.region}.amazonaws.com"
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
        path: canonical path as the client addressed it.
        query: query with its ``?``, as the client signed it: canonical, or as the edge attests it.
        headers: lower-case names; values as received.
        route: ``METHOD /resource`` as declared in the API, such as ``GET /protected/{item}``.
        api_path: path without stage or base path, for route patterns; without a slash at its end, which
            API Gateway overlooks.
        has_content: whether a body comes with the request, as far as its header fields say.
        repeated: names of the header fields that came in more than one line.
    """

    method: str
    authority: str
    path: str
    query: str
    headers: Mapping[str, str]
    route: str
    api_path: str
    has_content: bool
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
            methods = {context["httpMethod"], event["httpMethod"]}
            api_id, reported, api_path = context["apiId"], reported_path(event), event["path"]
            if fields.refusal is not None:
                raise fields.refusal
            headers = fields.values
            authority = check_authority(attested.authority if attested else headers.get("host", ""))
            query = canonical_query(_query_of(event))
            resource = event["resource"]
            if not isinstance(api_id, str) or not isinstance(resource, str):
                raise TypeError("an API has an id, and a resource a name")  # noqa: TRY301 - as if it were missing
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise Denied("the gateway's event lacks what a request has") from error
        # The key's routes are held against the one path, the signature against the other.
        if reported is None or not isinstance(api_path, str) or not reported.endswith(api_path):
            raise Denied("the gateway's event does not say one path")
        if len(methods) != 1 or not methods <= _METHODS:
            raise Denied("the method is not one this API serves")
        (method,) = methods
        if not site.accepts(authority, api_id):
            raise Denied("the authority is not one this API answers to")
        path = site.client_path(reported, api_id)
        if attested is not None:
            _check_routed(attested, site.routed_path(attested.path, api_id), path, query)
            path, query = attested.path, attested.query
        return cls(
            method=method,
            authority=authority,
            path=check_path(path),
            query=query,
            headers=headers,
            route=f"{method} {resource}",
            api_path=api_path.removesuffix("/") or "/",
            has_content=headers.get("content-length", "0") != "0" or "transfer-encoding" in headers,
            repeated=fields.repeated,
        )


def attestation_invalid() -> Denied:
    """Return the one refusal for whatever is wrong with an edge's word."""
    return Denied("the edge attestation is not valid", code="edge_attestation_invalid")


def _check_routed(attested: Attestation, expected_path: str, path: str, query: str) -> None:
    """Check that what API Gateway routed is what the edge received: what is signed is what is routed."""
    check_path(attested.path)  # one spelling here too: a gateway may or may not decode what is escaped
    meant = canonical_query(parse_query(attested.query.removeprefix("?")))
    if path != expected_path or query != meant:
        raise attestation_invalid()


def read_fields(event: Mapping[str, Any]) -> Fields:
    """Read the header fields of an event; never fails."""
    try:
        multi = event.get("multiValueHeaders")
        merged = _merge_headers(event.get("headers") or {}, multi)
        return Fields(
            merged, None, frozenset(name.lower() for name, values in (multi or {}).items() if len(values) > 1)
        )
    except Denied as refusal:
        return Fields({}, refusal)
    except (LookupError, TypeError, AttributeError, ValueError):
        return Fields({}, Denied("the gateway's event lacks what a request has"))


def read_event(event: Mapping[str, Any], fields: Fields) -> EventFacts:
    """Gather what an event says, without judging it."""
    context = _mapping(event.get("requestContext"))
    headers: Mapping[str, Any] = fields.values
    if fields.refusal is not None:
        headers = {str(k).lower(): v for k, v in _mapping(event.get("headers")).items()}
    request_id = context.get("requestId")
    return EventFacts(
        method=_text(context.get("httpMethod")),
        authority=_text(headers.get("host")),
        path=_text(reported_path(event)),
        request_id=_text(request_id) if request_id else None,
        stage=_text(context.get("stage")),
        source_ip=_text(_mapping(context.get("identity")).get("sourceIp")),
        header_bytes=header_bytes(event),
    )


def reported_path(event: Mapping[str, Any]) -> str | None:
    """Return the path as API Gateway reports it, stage or base-path mapping in front; None without one.

    AWS always says it (``requestContext.path``). An emulator that leaves it out of authorizer events
    serves the API under its stage, so there it is put together. ``sam local`` serves the API at the root
    and gives the resource in its place: ``/protected/{item}``, which no path that is canonical can be.
    """
    context = _mapping(event.get("requestContext"))
    stage, path = context.get("stage"), event.get("path")
    if "path" in context:
        reported = context["path"]
        if isinstance(reported, str) and "{" in reported and reported == event.get("resource"):
            reported = path
        return reported if isinstance(reported, str) else None
    return f"/{stage}{path}" if isinstance(stage, str) and isinstance(path, str) else None


def header_bytes(event: Mapping[str, Any]) -> int:
    """Return the total size of all header values in bytes (UTF-8), which is what API Gateway limits.

    Counted are the values of every field line, those that the gateway added included; names, separators
    and the request line are not.
    """
    multi = event.get("multiValueHeaders")
    found = _mapping(multi).values() if multi else [[*_mapping(event.get("headers")).values()]]
    lists = [values for values in found if isinstance(values, list)]
    try:
        joined = "".join(chain.from_iterable(lists))
    except TypeError:  # no event of API Gateway's; what there is of text counts
        joined = "".join(text for text in chain.from_iterable(lists) if isinstance(text, str))
    return len(joined) if joined.isascii() else len(joined.encode(errors="surrogatepass"))


def received_body(event: Mapping[str, Any]) -> bytes:
    """Return the content of a proxy event as the gateway received it, base64 of the event undone.

    Any transfer coding (chunks) is gone by then; a content coding (``Content-Encoding``) is not.

    Raises:
        Denied: ``malformed``: the event's base64 or text is broken.
    """
    body = event.get("body")
    if body is None:
        return b""
    try:
        return base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else bytes(body.encode())
    except (ValueError, TypeError, AttributeError) as error:
        raise Denied("the body is neither text nor base64") from error


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    text = value[:_MAX_FACT_CHARS] if isinstance(value, str) else ""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _query_of(event: Mapping[str, Any]) -> list[tuple[str, Sequence[str]]]:
    multi = event.get("multiValueQueryStringParameters")
    single = event.get("queryStringParameters")
    if multi is None:
        return [(name, [value]) for name, value in (single or {}).items()]
    if (
        single is not None
        and {n: v[-1] for n, v in multi.items()} != single
        and ({n: v[0] for n, v in multi.items()} != single)
    ):
        raise Denied("the gateway's two query maps disagree")
    return list(multi.items())


def _merge_headers(single: Mapping[str, str], multi: Mapping[str, Sequence[str]] | None) -> dict[str, str]:
    """Merge the gateway's two header maps case-insensitively; refuse what they tell differently."""
    merged: dict[str, str] = {}
    lists: Mapping[str, Sequence[str]] = multi if multi is not None else {n: [v] for n, v in single.items()}
    for name, values in lists.items():
        lowered = name.lower()
        if lowered in merged or not values or lowered.startswith("@"):
            raise Denied("a header field comes in two spellings of its name, or under no field's name")
        if len(values) > 1 and lowered in SINGLE_FIELDS:
            raise Denied(f"the {lowered} field comes more than once")
        merged[lowered] = joined = ", ".join(values)
        if multi is not None:
            # AWS reports the last value in the single map; emulators report all of them, joined.
            reported = single.get(name)
            if reported != joined and reported not in (values[-1], ",".join(values)):
                raise Denied("the gateway's two header maps disagree")
    if len(single) != len(lists):
        raise Denied("the gateway's two header maps disagree")
    return merged
