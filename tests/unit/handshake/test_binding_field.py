"""``PCH-Channel-Binding``: one member, one form."""

import base64

import pytest

from signet.core.errors import Denied
from signet.handshake.binding import parse_binding

_BOUND = base64.b64encode(bytes(range(32))).decode()


def test_a_binding_is_one_member_of_32_bytes() -> None:
    assert _parts(None) == ("none", None)
    assert _parts(f"tls-exporter=:{_BOUND}:") == ("tls-exporter", bytes(range(32)))
    assert _parts(f"tls-client-cert=:{_BOUND}:") == ("tls-client-cert", bytes(range(32)))


def _parts(field: str | None) -> tuple[str, bytes | None]:
    found = parse_binding(field)
    return found.type, found.value


@pytest.mark.parametrize(
    "field",
    [
        "",
        f"tls-client-cert=:{_BOUND}:, tls-exporter=:{_BOUND}:",
        f"tls-exporter=:{_BOUND}:, other=1",
        f"tls-exporter=:{_BOUND}:;p",
        f'tls-exporter="{_BOUND}"',
        f"tls-exporter=(:{_BOUND}:)",
        "tls-exporter",
        "tls-exporter=::",
        f"tls-exporter=:{base64.b64encode(bytes(31)).decode()}:",
        f"tls-exporter=:{base64.b64encode(bytes(33)).decode()}:",
        f"none=:{_BOUND}:",
        f"tls-unique=:{_BOUND}:",
    ],
)
def test_any_other_binding_is_malformed(field: str) -> None:
    with pytest.raises(Denied) as refused:
        parse_binding(field)
    assert refused.value.code == "malformed"
