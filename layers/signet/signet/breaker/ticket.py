"""The ticket: lets a backend report the outcome of one request from anywhere, once.

    v1.<name>/<generation>/<objective_ms>/<caller>.<receipt id>.<expiry>.<MAC>

    <name>/…/<caller>                   the outcome token (``snapshot.OutcomeToken``)
    <receipt id>                        of the decision that admitted the request
    <expiry>                            Unix seconds; the ticket counts before it
    <MAC>                               first 16 bytes of HMAC-SHA-256 over all before the last ".", base64url

It is as good as its secrecy: who holds one can report one outcome, true or false, of one request. Backends
get it in the authorizer's context; no answer to a caller has it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from signet.breaker.snapshot import OutcomeToken
from signet.core.encoding import encode_base64url

#: For how long a ticket counts, seconds.
LIFETIME_S: Final = 900
#: What the key that makes tickets is derived for (``signet.handshake.challenge.derive_key``).
PURPOSE: Final = "outcome-ticket"

_FORM = re.compile(r"v1\.([a-z0-9/-]{5,64})\.([0-9a-f-]{36})\.([1-9][0-9]{0,11})\.([A-Za-z0-9_-]{22})")
_MAC_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket that was read.

    Attributes:
        token: what the outcome counts towards.
        receipt_id: names the request; one outcome of it counts.
        expires_at: Unix seconds.
    """

    token: OutcomeToken
    receipt_id: str
    expires_at: int


def issue_ticket(key: bytes, token: str, receipt_id: str, *, now_s: int) -> str:
    """Return the ticket of an admitted request.

    Args:
        key: 32 bytes, derived for ``PURPOSE``.
        token: the outcome token's text.
        receipt_id: of the decision, a UUID.
        now_s: Unix seconds.
    """
    said = f"v1.{token}.{receipt_id}.{now_s + LIFETIME_S}"
    return f"{said}.{_mac(key, said)}"


def read_ticket(keys: Sequence[bytes], text: object, *, now_s: int) -> Ticket | None:
    """Return a ticket that one of the keys made and that counts now, else None."""
    form = _FORM.fullmatch(text) if isinstance(text, str) else None
    if form is None:
        return None
    said = form[0].rpartition(".")[0]
    # The MAC is compared as text: of several spellings of 16 bytes in base64 one counts.
    if not any(hmac.compare_digest(_mac(key, said), form[4]) for key in keys):
        return None
    token, expires_at = OutcomeToken.parse(form[1]), int(form[3])
    if token is None or now_s >= expires_at:
        return None
    return Ticket(token, form[2], expires_at)


def token_of(text: object) -> OutcomeToken | None:
    """Return the outcome token of a ticket, without a look at its MAC: for one that a gateway handed over."""
    form = _FORM.fullmatch(text) if isinstance(text, str) else None
    return None if form is None else OutcomeToken.parse(form[1])


def _mac(key: bytes, said: str) -> str:
    return encode_base64url(hmac.digest(key, said.encode(), hashlib.sha256)[:_MAC_BYTES])
