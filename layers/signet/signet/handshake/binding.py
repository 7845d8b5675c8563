"""Channel binding: what the caller signed about its connection, held against what was observed.

A binding that is presented is always checked, whether the route requires one or not; one that cannot be
observed is refused, never ignored.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from signet.core.decision import Reason
from signet.core.errors import Denied
from signet.core.records import record
from signet.core.vocabulary import BINDING_TYPES, NO_BINDING, BindingType, bindings_at_least
from signet.handshake.proof import parse_field

VALUE_BYTES = 32
_EXPORTER = BindingType.TLS_EXPORTER.value
_CLIENT_CERT = BindingType.TLS_CLIENT_CERT.value


@record
class Binding:
    """A presented binding: its type, and its 32 bytes or None."""

    type: str = NO_BINDING
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
        if (
            name in BINDING_TYPES[1:]
            and type(value) is bytes
            and len(value) == VALUE_BYTES
            and not parameters
        ):
            return Binding(name, value)
    raise Denied(Reason.MALFORMED, "PCH-Channel-Binding does not hold exactly one known binding of 32 bytes")


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
        if NO_BINDING not in bindings_at_least(required):
            raise Denied(Reason.BINDING_MISSING, f"this route requires the channel binding {required}")
        return
    if required == _CLIENT_CERT and presented.type != required:
        raise Denied(Reason.BINDING_TOO_WEAK, f"this route requires the channel binding {required}")
    if required == _EXPORTER and required not in observed:
        # Equal strength or not: this route is to be reached through the edge.
        raise Denied(Reason.BINDING_MISSING, f"this route requires the channel binding {required}")
    if presented.type not in observed:
        raise Denied(Reason.BINDING_MISSING, "the channel binding cannot be observed on this path")
    if not hmac.compare_digest(presented.value, observed[presented.type]):
        raise Denied(Reason.BINDING_MISMATCH, "the channel binding is not this connection's")
