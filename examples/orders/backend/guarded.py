"""Lets the orders API see only what Signet's authorizer let in, with the body that was signed.

The authorizer never sees a body: only the function that receives it can compare it with the signed digest.
(`signet.backend.guarded` does the same, where the library is in a layer.)
"""

import base64
import hashlib
import hmac

import app

HASHES = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}


def handler(event, context):
    granted = event.get("requestContext", {}).get("authorizer") or {}
    if not granted.get("keyid") or not granted.get("receipt_id"):
        return app.answer(403, {"error": "not_authorized"})
    body = (event.get("body") or "").encode()
    if event.get("isBase64Encoded"):
        body = base64.b64decode(body)
    if not is_signed(body, granted.get("content_digest")):
        return app.answer(400, {"error": "digest_mismatch"})
    return app.handler({**event, "body": body.decode("utf-8", "replace"), "isBase64Encoded": False}, context)


def is_signed(body, field):
    """Tell whether a Content-Digest (`sha-256=:…:`, `sha-512=:…:`, or both) is the body's.

    Without one there may be no body.
    """
    if field is None:
        return not body
    for member in field.split(", "):
        name = member.partition("=")[0]
        if name not in HASHES:
            return False
        own = f"{name}=:{base64.b64encode(HASHES[name](body).digest()).decode()}:"
        if not hmac.compare_digest(member.encode(), own.encode()):
            return False
    return True
