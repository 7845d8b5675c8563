"""The receipts of an API that is added or removed: version 2, a draft (docs/formats.md, "Other types").

The id of a receipt is drawn before it is sent, and kept with the registration: if a step fails in between,
what is sent again is the same receipt, and the chain takes an id once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from signet.core.apis import Api
from signet.core.canonical import canonicalize
from signet.core.instants import MS_PER_DAY, utc_millis, uuid7_millis
from signet.core.vocabulary import PayloadKind
from signet.receipts.reading import read_receipt
from signet.receipts.shape import ADDED_TYPE, REMOVED_TYPE

#: For how long a receipt may be sent again, milliseconds. The sink knows an id for 30 days from its record
#: on, and a message may take 28: what is sent again any later could get into the log twice.
SENT_AGAIN_MS: Final = MS_PER_DAY
#: How long each kind of gateway waits for its authorizer (docs.aws.amazon.com, "Quotas for configuring and
#: running a REST API": integration timeout; "… an HTTP API": authorizer timeout).
_TIME_LIMIT_MS: Final[Mapping[PayloadKind, int]] = {
    PayloadKind.REST_V1: 29_000,
    PayloadKind.HTTP_V1: 10_000,
    PayloadKind.HTTP_V2: 10_000,
}


def added(api: Api, receipt_id: str) -> bytes:
    """Return the ``api.added`` receipt of a registration, as its message; it says the time that its id says.

    Args:
        api: what is registered.
        receipt_id: UUID of version 7.

    Raises:
        CanonicalError: a member cannot stand in a receipt.
    """
    return _encode(ADDED_TYPE, api, receipt_id)


def removed(api: Api, receipt_id: str) -> bytes:
    """Return the ``api.removed`` receipt; as ``added``."""
    return _encode(REMOVED_TYPE, api, receipt_id)


def may_be_sent(receipt_id: str, now_ms: int) -> bool:
    """Tell whether a receipt that was sent before, or not, may be sent now; else it needs another id."""
    return now_ms - uuid7_millis(receipt_id) < SENT_AGAIN_MS


def _encode(kind: str, api: Api, receipt_id: str) -> bytes:
    encoded = canonicalize(
        {
            "v": 2,
            "type": kind,
            "id": receipt_id,
            "decided_at": utc_millis(uuid7_millis(receipt_id)),
            "name": api.name,
            "api": {"id": api.api_id, "stage": api.stage, "kind": api.kind.value},
            "authorities": sorted(api.authorities),
            "base_paths": sorted(api.base_paths),
            "resources": [],  # a registration does not say them: the policy does
            "time_limit_ms": _TIME_LIMIT_MS[api.kind],
        }
    )
    read_receipt(encoded, chained=False)
    return encoded
