"""Words and bounds that several packages share: each stands here once.

Decisions with their reasons (``decision``) and the record of a client (``client``) have modules of their own.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

#: What a REST API's method can be, beside ``ANY``:
#: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-method-settings-method-request.html
METHOD_NAMES: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
METHODS: Final = frozenset(METHOD_NAMES)
#: Methods whose requests have content by nature (RFC 9110 section 9.3): no event shows whether one has.
CONTENT_METHODS: Final = frozenset({"POST", "PUT", "PATCH"})
#: Parts per million: shares in stored records and policies are whole numbers.
PPM: Final = 1_000_000
#: Components that every signature covers (docs/protocol.md).
ALWAYS_COVERED: Final = ("@method", "@authority", "@path", "@query")
#: Header fields whose values let their holder in: they are on no record, and no rule reads them.
SECRET_FIELDS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key"})
#: What the name of a header field looks like, in lower case.
FIELD_NAME: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]{1,64}")


class PayloadKind(StrEnum):
    """Which kind of API sends an event, and in which version of its payload; as on record."""

    REST_V1 = "rest"
    HTTP_V1 = "http-1.0"
    HTTP_V2 = "http-2.0"


class Role(StrEnum):
    """Roles that the shipped policy names: a caller of protected routes, an auditor who may fetch packs.

    A client may have others: words that another policy names (``signet.core.client.ROLE``).
    """

    CALLER = "caller"
    AUDITOR = "auditor"


class ProofMode(StrEnum):
    """How the signature reached the authorizer."""

    INLINE = "inline"
    DETACHED = "detached"


class BindingType(StrEnum):
    """What the proof is bound to."""

    NONE = "none"
    TLS_EXPORTER = "tls-exporter"
    TLS_CLIENT_CERT = "tls-client-cert"


class PolicyAction(StrEnum):
    """What the policy answered."""

    ALLOW = "allow"
    DENY = "deny"


class BreakerState(StrEnum):
    """States of the breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerLevel(StrEnum):
    """Rungs of the ladder, least first."""

    FULL = "full"
    RELAX = "relax"
    CLASSICAL = "classical"
    SHED = "shed"


class Admission(StrEnum):
    """Why a breaker lets a request through."""

    NORMAL = "normal"
    PROBE = "probe"
    FAIL_OPEN = "fail_open"


#: Types of channel bindings as they stand in fields and policies; the first is the absence of one.
BINDING_TYPES: Final = tuple(kind.value for kind in BindingType)
NO_BINDING: Final = BindingType.NONE.value
_AT_LEAST: Final = {
    required: BINDING_TYPES if required == NO_BINDING else BINDING_TYPES[1:] for required in BINDING_TYPES
}


def bindings_at_least(required: str) -> tuple[str, ...]:
    """Return the types of channel bindings whose strength reaches that of ``required``.

    Strength: ``tls-exporter`` = ``tls-client-cert`` > ``none``.
    """
    return _AT_LEAST[required]


_TOO_MANY_REQUESTS: Final = 429
_CLIENT_ERROR: Final = 400
_SERVER_ERROR: Final = 500


def is_failure(status: int) -> bool | None:
    """Tell whether a backend's answer with this status counts as an error of it; None if it says nothing.

    429 is overload (RFC 6585 section 4). Any other 4xx is the caller's doing: taken for health it would let
    callers hide an outage behind requests that fail at once, taken for illness it would let them make one.
    """
    if status >= _SERVER_ERROR or status == _TOO_MANY_REQUESTS:
        return True
    return None if status >= _CLIENT_ERROR else False
