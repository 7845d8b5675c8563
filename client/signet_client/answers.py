"""What an answer tells the client: a challenge, why it was refused, the server's clock, when to come back."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from signet.core.errors import Denied, UsageError
from signet.handshake.challenge import Challenge
from signet_client.addresses import origin
from signet_client.messages import Answer
from signet_client.signing import Plain
from signet_client.sources import BATCH

#: Try again later: the caller calls too often, or the server has too much to do.
SHED = frozenset({429, 503})
REFUSALS = frozenset({401, 403})  # emulators answer 403 where AWS maps the refusal to 401
#: Methods of requests that may be sent twice (RFC 9110 section 9.2.2).
REPEATABLE = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})
#: A server's clock is believed up to this far from the caller's own: beyond it, something else is wrong.
MAX_SKEW_S = 86_400

_SECONDS = re.compile(r"[0-9]{1,6}")
_CODE = re.compile(r"[a-z_]{1,40}")
_NONCE = re.compile(r"[A-Za-z0-9_-]{1,128}")
_CHALLENGE_URI = re.compile(r'\bchallenge-uri="([^"\x00-\x20\x7f]{1,2048})"')


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait for a server that sheds load, or finds that the caller calls too often.

    Attributes:
        max_wait_s: longest time worth waiting; a server that names a longer one is not tried again.
        jitter: random number from 0 to 1, so that those shed together do not come back together.
    """

    max_wait_s: float
    jitter: Callable[[], float]

    def pause(self, method: str, answer: Answer) -> float | None:
        """Return how many seconds to wait before another try, or None if there shall be none."""
        if answer.status not in SHED or method not in REPEATABLE:
            return None
        named = _SECONDS.fullmatch(answer.retry_after or "")
        if named is None or int(named[0]) > self.max_wait_s:
            return None
        # Later than asked, never earlier; at most twice the time, or a second more if that is longer.
        return int(named[0]) + self.jitter() * max(1, int(named[0]))


def refused_here(answer: Answer, request: Plain) -> bool:
    """Tell whether the origin that the caller addressed refuses; another origin's word counts nothing.

    Raises:
        UsageError: it refuses what a redirect led to, which the caller did not ask to have signed.
    """
    if answer.status not in REFUSALS or origin(answer.request.url) != origin(request.url):
        return False
    if moved(request, answer):
        raise UsageError(
            f"the server redirects {request.method} {request.url} to {answer.request.method} "
            f"{answer.request.url}, which asks for a proof; a redirect is not signed by itself: "
            "call that address if it is the one you mean"
        )
    return True


def moved(request: Plain, answer: Answer) -> bool:
    """Tell whether another request was answered than the one sent: the library followed a redirect."""
    sent, answered = urlsplit(request.url), urlsplit(answer.request.url)
    there = (answer.request.method.upper(), answered.path or "/", answered.query)
    return there != (request.method.upper(), sent.path or "/", sent.query)


def challenge_in(answer: Answer) -> Challenge | None:
    """Return the complete challenge in an answer's header fields, or None."""
    for value in answer.challenges:
        try:
            return Challenge.from_header(value)
        except Denied:
            continue
    return None


def let_through(answer: Answer) -> bool:
    """Tell whether an answer is the backend's: it brings the next nonce, and asks for nothing."""
    return answer.next_nonce is not None and challenge_in(answer) is None


def error_of(answer: Answer) -> str | None:
    """Return the decision code that a refusal names, or None."""
    challenge = challenge_in(answer) if answer.status in REFUSALS else None
    return challenge.error if challenge else None


def skew_of(refusal: Answer, now: float) -> int | None:
    """Return how many seconds the server's clock is ahead, if that is why it refused; None otherwise.

    Args:
        refusal: the answer, with its Date field.
        now: Unix seconds by our own clock.
    """
    if error_of(refusal) != "created_out_of_window" or refusal.date is None:
        return None
    try:
        skew = int(parsedate_to_datetime(refusal.date).timestamp() - now)
    except (ValueError, OverflowError):
        return None
    return skew if abs(skew) <= MAX_SKEW_S else None


def named_location(answer: Answer) -> str | None:
    """Return the challenge-uri that an answer names, or None."""
    found = (_CHALLENGE_URI.search(value) for value in answer.challenges)
    return next((match[1] for match in found if match), None)


def next_nonce_in(value: str | None) -> str | None:
    """Return the nonce in a ``Signet-Nonce`` field; None without one, or if it is none or several."""
    return value if value is not None and _NONCE.fullmatch(value) else None


def json_error_in(body: bytes) -> str | None:
    """Return the code of ``{"error": code}``; None without one."""
    try:
        code = json.loads(body)["error"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def nonces_in(body: bytes) -> set[str]:
    """Return the nonces that the challenge endpoint's JSON body holds, at most as many as a batch has."""
    try:
        found = json.loads(body)["nonces"]
        return {nonce for nonce in found[:BATCH] if isinstance(nonce, str) and _NONCE.fullmatch(nonce)}
    except (ValueError, TypeError, KeyError, RecursionError):
        return set()


def challenge_from_json(body: bytes) -> Challenge | None:
    """Read the challenge endpoint's JSON body, for gateways that lose its header field."""
    try:
        found = {str(name).replace("-", "_"): value for name, value in json.loads(body).items()}
        algs, nonce = found.get("algs", ()), found["nonce"]
        if not isinstance(nonce, str):
            return None
        return Challenge(
            realm=str(found.get("realm", "")),
            nonce=nonce,
            algs=tuple(algs.split() if isinstance(algs, str) else map(str, algs)),
            binding=str(found.get("binding", "none")),
            header_budget=int(found.get("header_budget", 0)),
            challenge_uri=str(found.get("challenge_uri", "")),
            evidence_uri=str(found.get("evidence_uri", "")),
            error=str(found.get("error", "challenge_required")),
            components=tuple(map(str, found.get("components") or ())),
            max_age=int(found["max_age"]) if found.get("max_age") else None,
        )
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return None
