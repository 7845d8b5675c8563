"""What answered, where it was not Signet: one sentence that says so, and what to do next.

API Gateway's own words, without gateway responses in their place (docs.aws.amazon.com/apigateway/latest/
developerguide/supported-gateway-response-types.html, …/http-api-lambda-authorizer.html):

- an HTTP API answers ``{"message":"Forbidden"}`` (403) where its authorizer denies and ``{"message":
  "Unauthorized"}`` (401) where an identity source is missing. A REST API says the same of an API key that is
  missing, so the sentence names what both lack;
- a REST API answers 403 with "… not authorized to access this resource …" where its authorizer denies, and
  "Missing Authentication Token" where it has no such method.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from signet.core.errors import NotFoundError, UnavailableError
from signet_client.cli.explaining import NO_ANSWER, NO_CHALLENGE, explain

if TYPE_CHECKING:
    import httpx

UNLIKE: Final = "this does not answer like an API that Signet guards:"
_REFUSALS: Final = frozenset({401, 403})
_HTTP_API: Final = {(401, "unauthorized"), (403, "forbidden")}
_NO_ROUTE: Final = "missing authentication token"
_DENIED: Final = "not authorized to access this resource"
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,30}")
#: An answer that is larger than this is no gateway's own.
_MAX_CHARS: Final = 4096


@contextmanager
def strangers_told(answers: Sequence[httpx.Response], challenge_url: str | None) -> Iterator[None]:
    """Say of a refusal without a challenge what it is.

    Args:
        answers: all answers so far, the first one to the caller's own request.
        challenge_url: where a challenge was looked for, as the caller said; None if he did not.

    Raises:
        NotFoundError: code ``no_challenge``; what answers is not guarded by Signet.
    """
    try:
        yield
    except NotFoundError as error:
        refusal = next((one for one in answers if one.status_code in _REFUSALS and one.is_closed), None)
        if error.code != NO_CHALLENGE or refusal is None:
            raise
        raise NotFoundError(unlike(refusal, challenge_url), code=NO_CHALLENGE) from error


@contextmanager
def silence_told() -> Iterator[None]:
    """Tell an API where nothing answers from a way to it that cannot be used.

    Raises:
        UnavailableError: code ``no_answer``; nothing listens there.
    """
    import httpx  # noqa: PLC0415 - loaded when the command runs

    from signet_client.web import proxy_variable  # noqa: PLC0415

    try:
        yield
    except httpx.ConnectError as error:
        told = explain(error)
        on_the_way = "CERTIFICATE" in str(error).upper() or proxy_variable(error.request.url)
        if told is None or on_the_way:
            raise
        raise UnavailableError(told[0], code=NO_ANSWER) from error


def unlike(response: httpx.Response, challenge_url: str | None) -> str:
    """Say what a refusal without a challenge is, and what to do next.

    Args:
        response: the refusal, read: 401 or 403.
        challenge_url: where a challenge was looked for, as the caller said; None if he did not.
    """
    return f"{UNLIKE} {response.status_code}{_what_answered(response, _message(response), challenge_url)}"


def _what_answered(response: httpx.Response, said: str, challenge_url: str | None) -> str:
    if is_page(response):
        return " with a web page and no challenge; check the URL, and what stands in front of the API"
    if said == _NO_ROUTE:
        return ", since the API has no such path, or not for this method; check the URL and -X"
    if challenge_url is not None:
        return (
            f", and {challenge_url} hands out no challenge; give the ChallengeUrl of the stack's outputs, as "
            "the API's own host serves it"
        )
    return _without_a_place(response, said)


def _without_a_place(response: httpx.Response, said: str) -> str:
    if (response.status_code, said) in _HTTP_API:
        named = said.capitalize()
        return f" {named}, without a challenge: the API has no gateway responses; pass --challenge-url"
    if _DENIED in said:
        return (
            ", without a challenge: the API's ACCESS_DENIED gateway response does not bring it; "
            "signet doctor prints what mends it, until then pass --challenge-url"
        )
    if scheme := _other_scheme(response):
        return (
            f", and it asks for {scheme}, not for PCH: something else guards this address; check the URL, or "
            "attach Signet's authorizer to the API"
        )
    return " without a challenge, and none was found beside it; check the URL, or pass --challenge-url"


def is_page(response: httpx.Response) -> bool:
    """Tell whether an answer is a web page."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in {"text/html", "application/xhtml+xml"}


def _message(response: httpx.Response) -> str:
    """Return what a gateway's own answer says, in lower case; empty if it is none."""
    if len(response.content) > _MAX_CHARS:
        return ""
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return ""
    said = (body.get("message") or body.get("Message")) if isinstance(body, dict) else None
    return said.strip().lower() if isinstance(said, str) else ""


def _other_scheme(response: httpx.Response) -> str:
    """Return which authentication an answer asks for (RFC 9110, section 11.6.1), if it is not ours."""
    found = _SCHEME.match(response.headers.get("www-authenticate", ""))
    return "" if found is None or found[0].upper() == "PCH" else found[0]
