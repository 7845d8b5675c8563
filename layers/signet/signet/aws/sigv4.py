"""Signature Version 4 of a request to a service that speaks JSON: one path, no query, a small body.

Source: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html. A test holds
the header to botocore's own signer, byte for byte.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Credentials of a role; the secret and the token appear in no ``repr``.

    Attributes:
        access_key: id of the key.
        secret_key: what signs.
        token: of the session, or None for a user's own key.
    """

    access_key: str
    secret_key: str
    token: str | None

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r})"


class Signer:
    """Signs for one service and region; the key of a day is derived once.

    The bodies are hashed whole. Safe for threads: what is kept is replaced as one value.
    """

    def __init__(self, service: str, region: str) -> None:
        """Take the service's name in credential scopes, such as ``dynamodb``, and the region."""
        self._service = service
        self._region = region
        self._key: tuple[tuple[str, str], bytes] = (("", ""), b"")

    def sign(
        self, headers: Mapping[str, str], body: bytes, credentials: Credentials, now_s: float
    ) -> dict[str, str]:
        """Return the headers to send: those given, and the three or two that the signature adds.

        Args:
            headers: names in lower case, ``host`` among them; all of them are signed.
            body: as it will be sent.
            credentials: whose key signs.
            now_s: Unix time.
        """
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
        signed = {**headers, "x-amz-date": stamp}
        if credentials.token is not None:
            signed["x-amz-security-token"] = credentials.token
        names = sorted(signed)
        lines = "".join(f"{name}:{signed[name]}\n" for name in names)
        listed = ";".join(names)
        canonical = f"POST\n/\n\n{lines}\n{listed}\n{hashlib.sha256(body).hexdigest()}"
        day = stamp[:8]
        scope = f"{day}/{self._region}/{self._service}/aws4_request"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{digest}"
        signature = hmac.digest(self._key_of(day, credentials.secret_key), text.encode(), "sha256").hex()
        signed["authorization"] = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, SignedHeaders={listed}, "
            f"Signature={signature}"
        )
        return signed

    def _key_of(self, day: str, secret_key: str) -> bytes:
        made_of, key = self._key
        if made_of != (day, secret_key):
            key = f"AWS4{secret_key}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = (day, secret_key), key
        return key
