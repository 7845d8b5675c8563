"""The guard for Lambda functions: the body is held to the digest that was signed.

    from signet.backend import guarded

    @guarded
    def handler(event, context): ...

An authorizer never sees a body; it makes sure that a digest of it is signed and hands that on. Only the
function that receives the body can compare. Without this (or its like) the body is NOT verified.

Nothing here needs AWS's libraries: events are dictionaries as API Gateway's proxy integration sends them.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from signet.backend.answers import told
from signet.core.errors import SignetError
from signet.gateway import proxy
from signet.handshake.digest import check_content_digest

# As some servers spell it, too. The authorizer's word is in the event's context, never in a field.
_OWN_FIELD = re.compile(r"signet[-_].*", re.IGNORECASE | re.DOTALL)

Answer: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[dict[str, Any], Any], Answer]


def guarded(handler: Handler) -> Handler:
    """Wrap a handler of proxy events so that it sees verified requests only.

    Events of REST APIs, and of HTTP APIs in payload 1.0 and 2.0.

    Refused with 400 and ``{"error", "message"}``, before the handler runs: a body that is not the signed one,
    a body without a signed digest, a signed digest without its body. Refused with 403: an event that did
    not come through the authorizer. See ``verified_body`` for what counts as the body.

    The handler sees no ``Signet-`` header field. The edge's attestation (``Signet-Edge``) is meant for the
    authorizer alone: a backend that logs it or passes it on would let others use it while it is good. Any
    other field of that kind could come from a stranger.

    The answer tells the caller its next nonce and its receipt (``answers.told``), if it is an object with a
    ``statusCode``.
    """

    @functools.wraps(handler)
    def verified(event: dict[str, Any], context: Any) -> Answer:
        facts: Mapping[str, Any] = {}
        try:
            facts = _granted(event)
            verified_body(event)
        except SignetError as error:
            status = 403 if error.code == "not_authorized" else 400
            return _telling(facts, _refusal(status, error))
        return _telling(facts, handler(proxy.without_field(event, _OWN_FIELD), context))

    return verified


def verified_body(event: Mapping[str, Any]) -> bytes:
    """Return the body of a proxy event, verified; empty if there is none and none was signed.

    The digest is over the bytes as API Gateway received them: chunks joined, base64 of the event undone,
    a ``Content-Encoding`` left as it is. Where the gateway itself changes the bytes (it decompresses
    if compression is switched on, and replaces what is no UTF-8 unless the media type is declared binary)
    the digest does not match, and the request is refused.

    Raises:
        SignetError: ``not_authorized`` without the authorizer's context, ``malformed`` for a body that
            cannot be read, ``digest_mismatch`` for any other than the signed one.
    """
    granted = _granted(event)
    body = proxy.received_body(event)
    field = granted.get("content_digest")
    if field is None:
        if body:
            raise SignetError("a body needs a signed Content-Digest", code="digest_mismatch")
        return body
    if not isinstance(field, str):
        raise SignetError("the signed Content-Digest is not text", code="digest_mismatch")
    check_content_digest(field, body)
    return body


def _granted(event: Mapping[str, Any]) -> Mapping[str, Any]:
    granted = proxy.granted(event)
    if not granted.get("keyid") or not granted.get("receipt_id"):
        raise SignetError("this function answers only behind Signet's authorizer", code="not_authorized")
    return granted


def _telling(facts: Mapping[str, Any], answer: Answer) -> Answer:
    """Return a proxy answer with what the caller is told; any other answer as it is."""
    if not isinstance(answer, dict) or "statusCode" not in answer:
        return answer
    return proxy.with_answer_fields(answer, told(facts, proxy.answer_lines(answer)))


def _refusal(status: int, error: SignetError) -> Answer:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
        "body": json.dumps({"error": error.code, "message": str(error)}),
    }
