"""The one place where an ``InboundRequest`` is built: from what a decoder read and what its payload tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, Final

from signet.core.errors import STOPS, Denied
from signet.gateway.maps import Fields, Query, told_host, unmerged_values
from signet.gateway.model import Decoder, Event, InboundRequest, PayloadKind, mapping, text
from signet.gateway.paths import Paths, shown_prefix

_NO_FIELDS: Final = Fields({}, frozenset())
_NO_PATHS: Final = Paths("", "", "")


def decoder(kind: PayloadKind) -> Callable[[Decoder], Decoder]:
    """Make a decoder of a function that may fail: then nothing is known but that it did."""

    def decorate(read: Decoder) -> Decoder:
        @wraps(read)
        def decode(event: Event) -> InboundRequest:
            try:
                return read(event)
            except STOPS:
                raise
            except BaseException as failure:  # noqa: BLE001 - any failure has to end in a recorded refusal
                return InboundRequest(kind, refusal=failure)

        return decode

    return decorate


def inbound_request(
    kind: PayloadKind,
    event: Event,
    context: Mapping[str, Any],
    *,
    fields: Fields | Denied,
    paths: Paths | Denied,
    query: Query | Denied,
    refusal: Denied | None,
    method: Any,
    shown: Any,
    beside: Any,
    path_decoded: bool,
    header_bytes: int,
    source_ip: Any,
    certified: Mapping[str, Any],
    arn: Any,
) -> InboundRequest:
    """Return the request: what has a reading, and of the rest what the event tells for the record.

    Args:
        kind: the payload's.
        event: as it came.
        context: its ``requestContext``, empty without one.
        fields: header fields, or why they have no reading.
        paths: where the request went, or why that has no reading.
        query: the query, or why it has no reading.
        refusal: the first of these refusals and of those of the decoder's own; None without any.
        method: as told.
        shown: path as the client addressed it, as told.
        beside: the path that is told beside it, without the stage.
        path_decoded: both are told decoded.
        header_bytes: see ``InboundRequest``.
        source_ip: as told.
        certified: holds ``clientCert``, if the caller has one.
        arn: as told.
    """
    request_id = context.get("requestId")
    pem = mapping(certified.get("clientCert")).get("clientCertPem")
    merged = _NO_FIELDS if isinstance(fields, Denied) else fields
    found = _NO_PATHS if isinstance(paths, Denied) else paths
    return InboundRequest(
        kind=kind,
        method=text(method),
        authority=text(merged.headers.get("host") if merged is fields else told_host(event)),
        shown_path=text(shown),
        shown_prefix="" if found is paths else shown_prefix(shown, beside),
        path=found.path,
        own_path=found.own_path,
        resource=found.resource,
        path_decoded=path_decoded,
        headers=merged.headers,
        unmerged={} if merged is fields else unmerged_values(event),
        repeated=merged.repeated,
        header_bytes=header_bytes,
        query=() if isinstance(query, Denied) else query,
        source_ip=text(source_ip),
        client_cert_pem=pem if isinstance(pem, str) else None,
        request_id=text(request_id) if request_id else None,
        api_id=text(context.get("apiId")),
        stage=text(context.get("stage")),
        arn=text(arn),
        refusal=refusal,
    )
