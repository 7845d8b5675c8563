"""What the edge is told: the same variables as ``haproxy.cfg`` reads (edge/README.md)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

KEY_BYTES = 32
_KID = re.compile(r"[A-Za-z0-9._-]{1,32}")
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


class SettingsError(Exception):
    """A variable is missing or wrong; the message says what to set."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much.

    Attributes:
        handshake_s, header_s, idle_s, upstream_s: seconds for the TLS handshake, for a request's header, for
            the next request or piece of a body, and for the upstream to begin or continue its answer.
        drain_s: seconds that requests under way have to end after a stop.
        header_bytes: most bytes of a request line and header.
        body_bytes: most bytes of a request body; API Gateway takes no more.
        connections: most clients at once.
    """

    handshake_s: float = 10.0
    header_s: float = 10.0
    idle_s: float = 60.0
    upstream_s: float = 60.0
    drain_s: float = 40.0
    header_bytes: int = 24_576
    body_bytes: int = 10_485_760
    connections: int = 2_000


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the edge listens, what it signs with, where it sends requests.

    Attributes:
        bind: ``host:port``, or ``fd@<number>`` for a listening socket that was handed over.
        certificate: PEM file with certificate chain and private key.
        kid: name of the key, as in the authorizer's secret.
        key: MAC key, 32 bytes.
        upstream: ``host`` and port of API Gateway or an emulator.
        upstream_host: the upstream's own Host.
        upstream_prefix: what stands before the client's path upstream, such as ``/prod``.
        upstream_tls: False only for an emulator on this machine.
        upstream_ca: PEM file of the authorities to trust upstream; None for the system's.
        limits: time and size.
    """

    bind: str
    certificate: Path
    kid: str
    key: bytes = field(repr=False)
    upstream: tuple[str, int]
    upstream_host: str
    upstream_prefix: str = ""
    upstream_tls: bool = True
    upstream_ca: Path | None = None
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Settings:
        """Parse the environment.

        Raises:
            SettingsError: a variable is missing or wrong.
        """
        kid, prefix = _required(env, "SIGNET_EDGE_KID"), env.get("SIGNET_EDGE_UPSTREAM_PREFIX", "")
        if not _KID.fullmatch(kid):
            raise SettingsError("SIGNET_EDGE_KID may hold letters, digits, '.', '_' and '-' only.")
        if not _PREFIX.fullmatch(prefix):
            raise SettingsError("SIGNET_EDGE_UPSTREAM_PREFIX is a path without a final '/', such as /prod.")
        tls = env.get("SIGNET_EDGE_UPSTREAM_TLS") or "on"
        if tls not in {"on", "off"}:
            raise SettingsError("SIGNET_EDGE_UPSTREAM_TLS is on or off.")
        authorities = env.get("SIGNET_EDGE_UPSTREAM_CA")
        return cls(
            bind=_required(env, "SIGNET_EDGE_BIND"),
            certificate=Path(_required(env, "SIGNET_EDGE_CERT")),
            kid=kid,
            key=_key(_required(env, "SIGNET_EDGE_KEY_B64")),
            upstream=host_and_port(_required(env, "SIGNET_EDGE_UPSTREAM"), "SIGNET_EDGE_UPSTREAM"),
            upstream_host=_required(env, "SIGNET_EDGE_UPSTREAM_HOST"),
            upstream_prefix=prefix,
            upstream_tls=tls == "on",
            upstream_ca=Path(authorities) if authorities else None,
        )


def host_and_port(text: str, name: str) -> tuple[str, int]:
    """Split ``host:port``.

    Raises:
        SettingsError: it is not of that form; ``name`` tells which variable it came from.
    """
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 - the highest port
        raise SettingsError(f"{name} is of the form host:port.")
    return host, int(port)


def _required(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    if not value:
        raise SettingsError(f"{name} is missing; edge/README.md says what it holds.")
    return value


def _key(text: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    # One value, one encoding: the authorizer refuses a key whose pad bits are not zero.
    if len(key) != KEY_BYTES or base64.b64encode(key).decode() != text:
        raise SettingsError(
            "SIGNET_EDGE_KEY_B64 is not the base64 of 32 bytes; make one: openssl rand -base64 32"
        )
    return key
