"""What a REST API answers in the authorizer's place. HTTP APIs have no gateway responses.

Types and what makes them: docs.aws.amazon.com/apigateway/latest/developerguide/
supported-gateway-response-types.html. They hold for a whole API.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from signet_client.doctor.checks.guarding import signets
from signet_client.doctor.facts import PREFLIGHT, Api, Deployment, Finding

DENIED: Final = "ACCESS_DENIED"
#: Type → what its callers then see, and the seconds after which the template has them come back.
_FAILURES: Final = {
    "AUTHORIZER_FAILURE": ("a failure of the authorizer is a bare 500, and clients do not come back", 2),
    "AUTHORIZER_CONFIGURATION_ERROR": (
        "what the breaker sheds is a bare 500, and clients do not come back",
        20,
    ),
}
_CHALLENGE: Final = "www-authenticate"
_ORIGIN: Final = "access-control-allow-origin"
_EXPOSED: Final = "access-control-expose-headers"
_CHALLENGE_LINE: Final = "WWW-Authenticate: context.authorizer.challenge"


def check(deployment: Deployment) -> Iterator[Finding]:
    """Find responses that are missing, or that keep the challenge from callers."""
    for api in deployment.apis:
        if api.kind == "rest" and api.responses is not None and signets(api, deployment):
            yield from _denied(api, api.responses)
            yield from _failures(api, api.responses)
            yield from _unauthorized(api, api.responses)
            if any(method.verb == PREFLIGHT for method in api.methods or ()):
                yield from _cors(api, api.responses)


def _denied(api: Api, responses: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    fields = responses.get(DENIED)
    where = f"{api}, gateway response {DENIED}"
    if fields is None:
        yield Finding(
            "no_denied_response",
            where,
            "there is none: who is refused gets a bare 403, without a challenge and without the reason",
            f"{DENIED}: {{StatusCode: 401, ResponseParameters: {{Headers: {{{_CHALLENGE_LINE}}}}}}}",
        )
    elif "context.authorizer." not in fields.get(_CHALLENGE, ""):
        yield Finding(
            "no_challenge",
            where,
            "WWW-Authenticate does not come from the authorizer: who is refused gets no challenge to answer",
            f"{_CHALLENGE_LINE} under its ResponseParameters, Headers",
        )


def _failures(api: Api, responses: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    for name, (sentence, seconds) in _FAILURES.items():
        if name not in responses:
            yield Finding(
                "no_failure_response",
                f"{api}, gateway response {name}",
                f"there is none: {sentence}",
                f"{name}: {{StatusCode: 503, ResponseParameters: {{Headers: "
                f"{{Retry-After: \"'{seconds}'\"}}}}}}",
            )


def _unauthorized(api: Api, responses: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    # Signet's authorizer never causes UNAUTHORIZED where no identity source is listed; others do.
    fields = responses.get("UNAUTHORIZED", {})
    if not api.own and "PCH" in fields.get(_CHALLENGE, ""):
        yield Finding(
            "unauthorized_overridden",
            f"{api}, gateway response UNAUTHORIZED",
            "it carries Signet's challenge, also for methods that other authorizers guard: their callers are "
            "asked for the wrong proof",
            "UNAUTHORIZED left out of this API's GatewayResponses",
        )


def _cors(api: Api, responses: Mapping[str, Mapping[str, str]]) -> Iterator[Finding]:
    """Demand what lets a script read a refusal (fetch.spec.whatwg.org, "CORS protocol")."""
    for name in (DENIED, *_FAILURES):
        fields = responses.get(name)
        if fields is None:
            continue  # which is a finding of its own
        missing = [] if _ORIGIN in fields else ["Access-Control-Allow-Origin: \"'*'\""]
        exposed = fields.get(_EXPOSED, "").lower()
        if name == DENIED and not (_CHALLENGE in exposed or exposed.strip("'\"") == "*"):
            missing.append(
                "Access-Control-Expose-Headers: \"'WWW-Authenticate,Signet-Nonce,Signet-Receipt'\""
            )
        if missing:
            yield Finding(
                "cors_on_response",
                f"{api}, gateway response {name}",
                "the API answers preflight requests, so it is for browsers; no script can read this answer",
                f"{'; '.join(missing)} under its ResponseParameters, Headers",
            )
