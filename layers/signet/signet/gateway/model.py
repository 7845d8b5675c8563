"""What a gateway says about a request, in one form for every payload."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

from signet.core.decision import Reason
from signet.core.errors import Denied
from signet.core.records import record

_T = TypeVar("_T")

#: An event as Lambda hands it over: parsed JSON, of any shape.
Event: TypeAlias = Mapping[str, Any]

#: Fields whose meaning decides: they come once, or not at all.
SINGLE_FIELDS: Final = frozenset(
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


class PayloadKind(StrEnum):
    """Which kind of API sent an event, and in which version of its payload."""

    REST_V1 = "rest-1.0"
    HTTP_V1 = "http-1.0"
    HTTP_V2 = "http-2.0"


@record
class InboundRequest:
    """What an event says of a request; nothing in it is verified.

    An event that has no reading, or two, still tells some facts for the record: they stand here beside the
    refusal. Text that is told as something else than text is empty.

    Attributes:
        kind: payload it was decoded from.
        method: as told.
        authority: value of the ``Host`` field.
        shown_path: path as the client addressed it, stage or base-path mapping in front, as the gateway
            shows it.
        path: ``shown_path``, spelled as the client spelled it, canonical. Empty if the path has no reading;
            then ``own_path`` and ``resource`` are empty too.
        shown_prefix: if the path has no reading, what ``shown_path`` has in front of the path that is told
            beside it; mostly the stage. Empty unless it is canonical.
        own_path: the API's own path: its resource, filled in; no stage, no mapping, no slash at its end.
        resource: path that the API declares for it, such as ``/orders/{id}``, or ``$default``.
        path_decoded: the gateway shows decoded paths, and ``path`` was spelled anew.
        headers: fields by name in lower case, values as received, those of one name joined as the gateway
            does or as RFC 9421 section 2.1 says; empty if the fields have no reading.
        unmerged: if the fields have no reading, all distinct values that are told under each name.
        repeated: names of the fields that came in more than one line, or perhaps did.
        header_bytes: total size of all field values in bytes (UTF-8), which is what API Gateway limits.
            Counted are the values of every line, those that the gateway added included; names, separators
            and the request line are not.
        query: each name once, decoded, with its values in their order; names in no order.
        source_ip: address of the connection's other end.
        client_cert_pem: certificate of a caller who came over mutual TLS; None without one.
        request_id: the gateway's id of the request; None if it tells none.
        api_id: the API.
        stage: the stage.
        arn: name of the method or route that an answer is about.
        refusal: why this is no request with one reading; None if it is one. A ``Denied`` is the caller's or
            the gateway's doing, anything else is a fault in here.
    """

    kind: PayloadKind
    method: str = ""
    authority: str = ""
    shown_path: str = ""
    shown_prefix: str = ""
    path: str = ""
    own_path: str = ""
    resource: str = ""
    path_decoded: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    unmerged: Mapping[str, frozenset[str]] = field(default_factory=dict)
    repeated: frozenset[str] = frozenset()
    header_bytes: int = 0
    query: Sequence[tuple[str, Sequence[str]]] = ()
    source_ip: str = ""
    client_cert_pem: str | None = None
    request_id: str | None = None
    api_id: str = ""
    stage: str = ""
    arn: str = ""
    refusal: BaseException | None = None

    def values_of(self, name: str) -> frozenset[str]:
        """Return every distinct value told under a field's name: at most one if the fields have a reading."""
        if name in self.headers:
            return frozenset((self.headers[name],))
        return self.unmerged.get(name, frozenset())

    def prefix_of(self, addressed: str) -> str:
        """Return what stands before the API's own path in what a client addressed: stage or mapping.

        Args:
            addressed: a path whose end is ``own_path``.
        """
        path, own = addressed.removesuffix("/"), self.own_path.removesuffix("/")
        return path.removesuffix(own) if path.endswith(own) else ""


#: Reads events of one kind of payload; never raises but for what ends the process.
Decoder: TypeAlias = Callable[[Event], InboundRequest]


def reading(read: Callable[[Event], _T], event: Event) -> _T | Denied:
    """Return what is read of an event, or why it cannot be."""
    try:
        return read(event)
    except Denied as refusal:
        return refusal
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        found = Denied(Reason.MALFORMED, "the gateway's event lacks what a request has")
        found.__cause__ = error
        return found


def first_refusal(*read: object) -> Denied | None:
    """Return the first of these that is a refusal."""
    for found in read:
        if isinstance(found, Denied):
            return found
    return None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return the value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def text(value: Any) -> str:
    """Return the value if it is text, else nothing."""
    return value if isinstance(value, str) else ""
