"""What an ``Exchange`` wants sent, is told in return, and reports to an observer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from signet.handshake.challenge import Challenge
from signet_client.signing import Plain, Signed

#: Where a challenge travels; API Gateway renames the first in what an integration answers.
CHALLENGE_FIELDS = ("www-authenticate", "x-amzn-remapped-www-authenticate")


#: Where the nonce for the next request travels, in answers to requests that were let through.
NEXT_NONCE_FIELD = "signet-nonce"
#: Takes the URL about to be sent and the exporter of the connection it goes out on; returns the fields to
#: set, none of them if that URL is not the one to be proven (a redirect the library follows by itself).
Prove: TypeAlias = Callable[[str, bytes], Mapping[str, str]]
#: Under this name a request takes its ``Prove`` along: an extension in httpx, an attribute in requests.
PROVE = "signet_prove"


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Send the caller's request, with these fields on top (none of them: unsigned).

    With ``prove`` the fields are not known before the connection is: the sender calls it for them.
    """

    request: Plain
    fields: Mapping[str, str]
    prove: Prove | None = None


@dataclass(frozen=True, slots=True)
class FetchChallenge:
    """GET this URL; its answer's body is needed too."""

    url: str


@dataclass(frozen=True, slots=True)
class PostEvidence:
    """POST a bundle to this URL with the nonce of the challenge; its answer's body is needed too."""

    url: str
    bundle: bytes
    nonce: str

    @property
    def fields(self) -> dict[str, str]:
        """Header fields of the request."""
        return {"Content-Type": "application/json", "PCH-Nonce": f'"{self.nonce}"'}


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait so many seconds, then go on with the answer there was."""

    seconds: float


Step: TypeAlias = SendRequest | FetchChallenge | PostEvidence | Wait


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: HTTP status.
        challenges: values of the ``CHALLENGE_FIELDS``.
        request: the request that was answered; not the one sent, if the library followed redirects.
        body: content, where a challenge was fetched or a bundle posted; else empty.
        date: value of the Date field, or None.
        retry_after: value of the Retry-After field, or None.
        next_nonce: the nonce in the Signet-Nonce field of the answer to the caller's request, or None.
    """

    status: int
    challenges: Sequence[str]
    request: Plain
    body: bytes = b""
    date: str | None = None
    retry_after: str | None = None
    next_nonce: str | None = None


@dataclass(frozen=True, slots=True)
class ChallengeTaken:
    """A challenge was received and its nonce will be used. ``url``: where it came from."""

    url: str
    challenge: Challenge


@dataclass(frozen=True, slots=True)
class RequestSigned:
    """A request is about to be sent with a proof."""

    request: Plain
    signed: Signed


@dataclass(frozen=True, slots=True)
class Answered:
    """The server answered. ``error``: decision code named in the answer, or None."""

    url: str
    status: int
    error: str | None


@dataclass(frozen=True, slots=True)
class EvidencePosted:
    """A bundle was posted. ``size``: its bytes; ``status``: what the server answered."""

    url: str
    size: int
    status: int


Event: TypeAlias = ChallengeTaken | RequestSigned | EvidencePosted | Answered
Observer: TypeAlias = Callable[[Event], None]
