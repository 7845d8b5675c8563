"""What the functions of the handshake read from their environment: typed, and nothing silently empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from signet.aws.liboqs import provider_name
from signet.core.errors import UsageError
from signet.core.vocabulary import BreakerLevel
from signet.handshake.issuer import Limits
from signet.handshake.request import Site
from signet.policy.bundle import OVERLAY_VARIABLE

_MOST: Final = 86_400


@dataclass(frozen=True, slots=True)
class HandshakeSettings:
    """What authorizer and challenge endpoint read from their environment, both of them.

    Attributes:
        site: where the API answers.
        limits: of time and size.
        secret_arn: deployment secret.
        log_table: table of the register that says which policy is in force.
        log_bucket: bucket of pushed policies.
        bundles_table: bundles of detached proofs.
        breakers_table: state and statistics of the breaker.
        backend_servers: how many requests the backend serves at once; None if that is not said.
        edge_secret_arn: secret with the edges' keys; None without edges.
        edge_accept_v1: attestations of version 1 count too.
        policy_overlay: overlay of the deployed policy; empty for the policy as it ships.
        policy_refresh_s: for how long a policy is in force before the register is asked again.
    """

    site: Site
    limits: Limits
    secret_arn: str
    log_table: str
    log_bucket: str
    bundles_table: str
    breakers_table: str
    backend_servers: int | None
    edge_secret_arn: str | None
    edge_accept_v1: bool
    policy_overlay: str
    policy_refresh_s: int

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> HandshakeSettings:
        """Parse the environment.

        Raises:
            UsageError: a variable is missing, empty or no number.
        """
        with _told():
            return cls(**_common(env))


@dataclass(frozen=True, slots=True)
class AuthorizerSettings(HandshakeSettings):
    """What only the authorizer reads from its environment.

    Attributes:
        clients_table: registered callers.
        nonces_table: spent nonces.
        queue_url: queue of receipts.
        mldsa_provider: who verifies ML-DSA.
    """

    clients_table: str
    nonces_table: str
    queue_url: str
    mldsa_provider: str

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> AuthorizerSettings:
        """Parse the environment.

        Raises:
            UsageError: a variable is missing, empty or no number, or the ML-DSA provider is unknown.
        """
        with _told():
            return cls(
                **_common(env),
                clients_table=_required(env, "SIGNET_CLIENTS_TABLE"),
                nonces_table=_required(env, "SIGNET_NONCES_TABLE"),
                queue_url=_required(env, "SIGNET_RECEIPT_QUEUE_URL"),
                mldsa_provider=provider_name(env),
            )


def _common(env: Mapping[str, str]) -> dict[str, Any]:
    return {
        "site": Site(
            authorities=_authorities(env),
            base_path=env.get("SIGNET_BASE_PATH", ""),
            region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION", "us-east-1"),
            edge_base_path=env.get("SIGNET_EDGE_BASE_PATH", ""),
            url_suffix=env.get("SIGNET_URL_SUFFIX") or "amazonaws.com",
        ),
        "limits": Limits(
            realm=_required(env, "SIGNET_REALM"),
            nonce_lifetime_ms=_number(env, "SIGNET_NONCE_LIFETIME_S", None, least=1) * 1000,
            skew_ms=_number(env, "SIGNET_CLOCK_SKEW_S", "30", least=0) * 1000,
            header_budget=_number(env, "SIGNET_HEADER_BUDGET", None, least=1),
            level=_level(env.get("SIGNET_LEVEL", "full")),
        ),
        "secret_arn": _required(env, "SIGNET_HANDSHAKE_SECRET_ARN"),
        "log_table": _required(env, "SIGNET_LOG_TABLE"),
        "log_bucket": _required(env, "SIGNET_LOG_BUCKET"),
        "bundles_table": _required(env, "SIGNET_BUNDLES_TABLE"),
        "breakers_table": _required(env, "SIGNET_BREAKERS_TABLE"),
        "backend_servers": _number(env, "SIGNET_BACKEND_SERVERS", "0", least=0) or None,
        "edge_secret_arn": env.get("SIGNET_EDGE_SECRET_ARN") or None,
        "edge_accept_v1": _flag(env, "SIGNET_EDGE_ACCEPT_V1"),
        "policy_overlay": env.get(OVERLAY_VARIABLE, ""),
        "policy_refresh_s": _number(env, "SIGNET_POLICY_REFRESH_S", "60", least=0),
    }


@contextmanager
def _told() -> Iterator[None]:
    """Turn what is wrong with a variable into a sentence."""
    try:
        yield
    except (KeyError, ValueError) as error:
        raise UsageError(f"the function's environment lacks or garbles {error}") from error


def _required(env: Mapping[str, str], name: str) -> str:
    """Return a variable that is set and not empty."""
    value = env.get(name)
    if not value:
        raise KeyError(name)
    return value


def _authorities(env: Mapping[str, str]) -> frozenset[str]:
    """Return the names under which the API answers, in lower case: one or more."""
    found = frozenset(
        filter(None, (name.strip() for name in env.get("SIGNET_AUTHORITIES", "").lower().split(",")))
    )
    if not found:
        raise KeyError("SIGNET_AUTHORITIES")
    return found


def _number(env: Mapping[str, str], name: str, default: str | None, *, least: int) -> int:
    """Parse a decimal number up to a day of seconds (or as many bytes)."""
    text = _required(env, name) if default is None else env.get(name) or default
    if not (text.isascii() and text.isdecimal() and least <= int(text) <= _MOST):
        raise ValueError(f"{name}, which is a number from {least} to {_MOST}")
    return int(text)


def _flag(env: Mapping[str, str], name: str) -> bool:
    """Parse a switch that is off unless it says otherwise."""
    text = env.get(name, "false")
    if text not in {"true", "false"}:
        raise ValueError(f"{name}, which is true or false")
    return text == "true"


def _level(text: str) -> BreakerLevel:
    """Parse the rung that a setting forces; the further ones are the breaker's to take."""
    if text not in {BreakerLevel.FULL.value, BreakerLevel.RELAX.value}:
        raise ValueError("SIGNET_LEVEL, which is full or relax")
    return BreakerLevel(text)
