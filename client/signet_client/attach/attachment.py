"""What all snippets are made of: the registered API, and what the deployed stack says of itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from signet.core.apis import Api
from signet.core.errors import UsageError
from signet.core.vocabulary import PayloadKind
from signet_client.sources import DISCOVERY_PATH

#: Header fields of a proof, which a browser asks about before it sends them.
PREFLIGHT_FIELDS: Final = (
    "Signature",
    "Signature-Input",
    "Content-Digest",
    "PCH-Proof",
    "PCH-Evidence",
    "PCH-Evidence-Digest",
    "PCH-Channel-Binding",
)


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """What a REST API answers in the authorizer's place.

    Attributes:
        status: HTTP status.
        headers: name → where API Gateway takes the value from: a quoted literal, or ``context.authorizer.…``.
        body: template of the JSON that is answered.
    """

    status: int
    headers: Mapping[str, str]
    body: str


_READABLE: Final = {
    "Access-Control-Allow-Origin": "'*'",
    "Access-Control-Expose-Headers": "'WWW-Authenticate,Signet-Nonce,Signet-Receipt'",
}

#: Never UNAUTHORIZED: it is answered where an identity source is missing, so by other authorizers of the API.
#: Types: docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
GATEWAY_RESPONSES: Final[Mapping[str, GatewayResponse]] = {
    "ACCESS_DENIED": GatewayResponse(
        401,
        {"WWW-Authenticate": "context.authorizer.challenge", "Cache-Control": "'no-store'", **_READABLE},
        '{"error":"$context.authorizer.reason"}',
    ),
    "AUTHORIZER_FAILURE": GatewayResponse(
        503, {"Retry-After": "'2'", "Cache-Control": "'no-store'", **_READABLE}, '{"error":"unavailable"}'
    ),
    "AUTHORIZER_CONFIGURATION_ERROR": GatewayResponse(
        503,
        {"Retry-After": "'20'", "Cache-Control": "'no-store'", **_READABLE},
        '{"error":"shed_or_unreachable"}',
    ),
}


@dataclass(frozen=True, slots=True)
class Attachment:
    """One API and the Signet that it is put behind.

    Attributes:
        api: as registered.
        stack: name of Signet's stack.
        authorizer_arn: its output AuthorizerArn, an alias.
        challenge_url: its output ChallengeUrl.
        resource: what the API's own template calls the API.
    """

    api: Api
    stack: str
    authorizer_arn: str
    challenge_url: str
    resource: str

    @property
    def rest(self) -> bool:
        """Whether it is a REST API; else it is an HTTP API."""
        return self.api.kind is PayloadKind.REST_V1

    @property
    def foreign(self) -> bool:
        """Whether it is in another account than Signet: no exports are read there, no permission is made."""
        return self.api.account != self.authorizer_arn.split(":")[4]

    @property
    def payload(self) -> str:
        """The version of the payload that the registration says; of an HTTP API."""
        return "1.0" if self.api.kind is PayloadKind.HTTP_V1 else "2.0"

    @property
    def simple(self) -> bool:
        """Whether the authorizer answers yes or no instead of a policy."""
        return self.api.kind is PayloadKind.HTTP_V2

    @property
    def function(self) -> str:
        """The ARN of the function, without the alias."""
        return self.authorizer_arn.rpartition(":")[0]

    @property
    def alias(self) -> str:
        """The alias."""
        return self.authorizer_arn.rpartition(":")[2]

    @property
    def invocation_uri(self) -> str:
        """What an authorizer is named by (docs.aws.amazon.com/apigateway/latest/api/API_Authorizer.html)."""
        _, partition, _, region, *_ = self.authorizer_arn.split(":")
        path = f"path/2015-03-31/functions/{self.authorizer_arn}/invocations"
        return f"arn:{partition}:apigateway:{region}:lambda:{path}"

    @property
    def discovery(self) -> str:
        """The document by which clients that look for it (``discover=True``) find the challenges; JSON."""
        return json.dumps({"challenge_uri": self.challenge_url, "api": self.api.name})

    def remarks(self, mark: str, tool: str) -> str:
        """Return what stands above every snippet, as comments.

        Args:
            mark: what begins a comment.
            tool: as ``--print`` names it.
        """
        kind = "REST API" if self.rest else f"HTTP API, payload {self.payload}"
        lines = [
            f'Puts the API "{self.api.name}" ({kind}) behind the Signet of stack {self.stack}.',
            f"Made by: signet attach --print {tool} --api {self.api.name}",
            "",
            "A method has one authorizer. This one replaces a Cognito, JWT, IAM or Lambda authorizer of it.",
            'If callers go on to send a token, list "authorization" in required_components of the route, so',
            "that it is signed, and check the token in the backend.",
            "OPTIONS stays without an authorizer: browsers sign no preflight. Scripts need to be allowed:",
            f"{', '.join(PREFLIGHT_FIELDS)}.",
        ]
        if self.rest:
            lines += [
                "The gateway responses hold for the whole API, also where other authorizers guard. Name your",
                "own origin in place of '*' if only its scripts may read them.",
                "A refusal brings a challenge. Further ones are here, for clients that are told so:",
                f"{self.challenge_url}?api={self.api.name}",
            ]
        else:
            lines += [
                "An HTTP API has no gateway responses: a refusal is a bare 403, a failure or what the",
                "breaker sheds a bare 500. Callers get their challenges here:",
                f"{self.challenge_url}?api={self.api.name}",
            ]
        lines += [
            f"Clients can find them by themselves if GET {DISCOVERY_PATH} answers this as application/json,",
            "at the root of the API's own name and without an authorizer:",
            self.discovery,
        ]
        if self.foreign:
            lines += [
                f"The API is in account {self.api.account}, Signet in another one. The permission to invoke",
                "the authorizer is made there, by signet apis add.",
            ]
        return "".join(f"{mark} {line}".rstrip() + "\n" for line in lines)


def check_resource(name: str) -> str:
    """Return what a template calls an API, unchanged.

    Raises:
        UsageError: no template can call it so.
    """
    if not (name.isascii() and name.isidentifier()):
        raise UsageError(f"--resource {name!r} is no name of a resource; it has letters and digits")
    return name
