"""What the functions of the handshake read from their environment: typed, and nothing silently empty."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from signet.aws.environment import choice, number, optional, required, switch, wrong
from signet.aws.liboqs import provider_name
from signet.core.vocabulary import BreakerLevel
from signet.handshake.issuer import Limits
from signet.handshake.request import Site
from signet.policy.bundle import OVERLAY_VARIABLE

#: As the template takes them (BackendServers).
_MOST_SERVERS: Final = 100_000
_PARAMETER: Final = "the name of the SSM parameter with the id of Signet's own API"
#: Rungs that a setting may force, the default first; the further ones are the breaker's to take.
_FORCED: Final = (BreakerLevel.FULL.value, BreakerLevel.RELAX.value)


@dataclass(frozen=True, slots=True)
class HandshakeSettings:
    """What authorizer and challenge endpoint read from their environment, both of them.

    Attributes:
        site: how the deployment's APIs are addressed.
        authorities: names under which Signet's own API answers.
        api_id: what the gateway calls Signet's own API; None where a parameter says it.
        api_parameter: name of the SSM parameter that says it; empty where ``api_id`` is set.
        apis_table: registered APIs.
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
    authorities: frozenset[str]
    api_id: str | None
    api_parameter: str
    apis_table: str
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
        return cls(**_common(env))


@dataclass(frozen=True, slots=True)
class AuthorizerSettings(HandshakeSettings):
    """What only the authorizer reads from its environment.

    Attributes:
        clients_table: registered callers.
        nonces_table: spent nonces.
        queue_url: queue of receipts.
        mldsa_provider: who verifies ML-DSA.
        own_url: URL of Signet's own API, with ``{api_id}`` in the place of its id.
        refusal_receipts_per_s: refused strangers with a receipt of their own, each second and environment.
    """

    clients_table: str
    nonces_table: str
    queue_url: str
    mldsa_provider: str
    own_url: str
    refusal_receipts_per_s: int

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> AuthorizerSettings:
        """Parse the environment.

        Raises:
            UsageError: a variable is missing, empty or no number, or the ML-DSA provider is unknown.
        """
        return cls(
            **_common(env),
            clients_table=required(env, "SIGNET_CLIENTS_TABLE", "the name of the clients table"),
            nonces_table=required(env, "SIGNET_NONCES_TABLE", "the name of the nonces table"),
            queue_url=required(env, "SIGNET_RECEIPT_QUEUE_URL", "the URL of the receipt queue"),
            mldsa_provider=provider_name(env),
            own_url=required(env, "SIGNET_OWN_URL", "the URL of Signet's own API, with {api_id} for its id"),
            refusal_receipts_per_s=number(env, "SIGNET_REFUSAL_RECEIPTS_PER_S", 10, least=1, most=1000),
        )


def _common(env: Mapping[str, str]) -> dict[str, Any]:
    api_id = optional(env, "SIGNET_API_ID")
    return {
        "authorities": _authorities(env),
        "api_id": api_id,
        "api_parameter": "" if api_id else required(env, "SIGNET_API_ID_PARAMETER", _PARAMETER),
        "apis_table": required(env, "SIGNET_APIS_TABLE", "the name of the APIs table"),
        "site": Site(
            base_path=env.get("SIGNET_BASE_PATH", ""),
            region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION", "us-east-1"),
            edge_base_path=env.get("SIGNET_EDGE_BASE_PATH", ""),
            url_suffix=env.get("SIGNET_URL_SUFFIX") or "amazonaws.com",
        ),
        "limits": Limits(
            realm=required(env, "SIGNET_REALM", "the realm named in the challenge"),
            nonce_lifetime_ms=number(env, "SIGNET_NONCE_LIFETIME_S", least=1) * 1000,
            skew_ms=number(env, "SIGNET_CLOCK_SKEW_S", 30, least=0) * 1000,
            header_budget=number(env, "SIGNET_HEADER_BUDGET", least=1),
            level=BreakerLevel(choice(env, "SIGNET_LEVEL", _FORCED)),
        ),
        "secret_arn": required(env, "SIGNET_HANDSHAKE_SECRET_ARN", "the ARN of the handshake secret"),
        "log_table": required(env, "SIGNET_LOG_TABLE", "the name of the log table"),
        "log_bucket": required(env, "SIGNET_LOG_BUCKET", "the name of the log bucket"),
        "bundles_table": required(env, "SIGNET_BUNDLES_TABLE", "the name of the bundles table"),
        "breakers_table": required(env, "SIGNET_BREAKERS_TABLE", "the name of the breakers table"),
        "backend_servers": number(env, "SIGNET_BACKEND_SERVERS", 0, least=0, most=_MOST_SERVERS) or None,
        "edge_secret_arn": optional(env, "SIGNET_EDGE_SECRET_ARN"),
        "edge_accept_v1": switch(env, "SIGNET_EDGE_ACCEPT_V1"),
        "policy_overlay": env.get(OVERLAY_VARIABLE, ""),
        "policy_refresh_s": number(env, "SIGNET_POLICY_REFRESH_S", 60, least=0),
    }


def _authorities(env: Mapping[str, str]) -> frozenset[str]:
    """Return the names under which the API answers, in lower case: one or more."""
    variable, what = "SIGNET_AUTHORITIES", "the names under which the API answers, with commas between them"
    names = required(env, variable, what).lower().split(",")
    found = frozenset(filter(None, (name.strip() for name in names)))
    if not found:
        raise wrong(variable, what)
    return found
