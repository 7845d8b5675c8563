"""Events of registered APIs, each decoded as the payload that its registration says. Nothing is sniffed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from signet.core.apis import Api
from signet.core.decision import Reason
from signet.core.errors import Denied
from signet.core.vocabulary import PayloadKind
from signet.gateway import http_v1, http_v2, rest_v1
from signet.gateway.model import Decoder, Event, InboundRequest, mapping, text

_DECODERS: Final[Mapping[PayloadKind, Decoder]] = {
    PayloadKind.REST_V1: rest_v1.decode,
    PayloadKind.HTTP_V1: http_v1.decode,
    PayloadKind.HTTP_V2: http_v2.decode,
}


def api_of(event: Event) -> tuple[str, str]:
    """Return id and stage of the API that an event says it is from; empty for what it does not say."""
    context = mapping(mapping(event).get("requestContext"))
    return text(context.get("apiId")), text(context.get("stage"))


def decode(event: Event, api: Api) -> InboundRequest:
    """Read an event of a registered API; never raises but for what ends the process."""
    inbound = _DECODERS[api.kind](event)
    object.__setattr__(inbound, "api", api)  # as replace() does, without a copy: it was made a moment ago
    return inbound


def decode_unknown(event: Event, refusal: BaseException) -> InboundRequest:
    """Read what a refusal's receipt and its answer tell of an event whose registration is not known.

    The payload is guessed, since no registration says it. The request is refused in any case; an answer in
    the shape of another payload is an error to the gateway, which then lets nothing through.
    """
    kind = PayloadKind.HTTP_V2 if mapping(event).get("version") == http_v2.VERSION else PayloadKind.REST_V1
    return replace(_DECODERS[kind](event), refusal=refusal)


def unknown_api() -> Denied:
    """Return the refusal of an event from an API, or a stage of it, that is not registered."""
    return Denied(
        Reason.UNKNOWN_API, "this API, or this stage of it, is not registered; add it with signet apis add"
    )
