"""Channel binding: what the caller signed about its connection, held against what was observed.

Strength: tls-exporter = tls-client-cert > none. A binding that is presented is always checked, whether
the route requires one or not; one that cannot be observed is refused, never ignored.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from signet.errors import Denied
from signet.handshake.proof import parse_field
from signet.records import record

NONE = "none"
TYPES = (NONE, "tls-exporter", "tls-client-cert")
VALUE_BYTES = 32
_STRENGTH = {NONE: 0, "tls-exporter": 1, "tls-client-cert": 1}
_AT_LEAST = {
    required: tuple(name for name in TYPES if _STRENGTH[name] >= strength)
    for required, strength in _STRENGTH.items()
}


@record
class Binding:
    """A presented binding: its type, and its 32 bytes or None."""

    type: str = NONE
    value: bytes | None = None


def parse_binding(field: str | None) -> Binding:
    """Parse the ``PCH-Channel-Binding`` field: a dictionary of one member, a byte sequence of 32 bytes.

    Raises:
        Denied: ``malformed``.
    """
    if field is None:
        return Binding()
    members = parse_field(field)
    if len(members) == 1:
        [(name, (value, parameters))] = members.items()
        if name in TYPES[1:] and type(value) is bytes and len(value) == VALUE_BYTES and not parameters:
            return Binding(name, value)
    raise Denied("PCH-Channel-Binding does not hold exactly one known binding of 32 bytes")


def check_binding(presented: Binding, *, required: str, observed: Mapping[str, bytes]) -> None:
    """Hold a presented binding against what the route requires and what was observed.

    Args:
        presented: what the caller signed.
        required: weakest type the route accepts.
        observed: binding values of this connection, by type, from a trusted source.

    Raises:
        Denied: ``binding_missing``, ``binding_too_weak`` or ``binding_mismatch``.
    """
    if presented.value is None:
        if _STRENGTH[required] > 0:
            raise Denied(f"this route requires the channel binding {required}", code="binding_missing")
        return
    if required == "tls-client-cert" and presented.type != required:
        raise Denied("this route requires the channel binding tls-client-cert", code="binding_too_weak")
    if required == "tls-exporter" and required not in observed:
        # Equal strength or not: this route is to be reached through the edge.
        raise Denied("this route requires the channel binding tls-exporter", code="binding_missing")
    if presented.type not in observed:
        raise Denied("the channel binding cannot be observed on this path", code="binding_missing")
    if not hmac.compare_digest(presented.value, observed[presented.type]):
        raise Denied("the channel binding is not this connection's", code="binding_mismatch")


def at_least(required: str) -> tuple[str, ...]:
    """Return the types whose strength reaches that of ``required``."""
    return _AT_LEAST[required]
