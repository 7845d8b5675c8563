"""What guards of backends that are reached over a network share: who may come in, and with which body."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote

from signet.backend.answers import told, with_fields
from signet.backend.outcomes import OutcomeSender, Watch
from signet.core.errors import Denied, SignetError, UsageError
from signet.core.target import canonical_query, parse_query
from signet.handshake.assertion import Assertion, read_keys, verify_assertion
from signet.handshake.digest import check_content_digest

#: Longest body that is read without another word of the operator: what a REST API passes on.
MAX_BODY: Final = 10 * 1024 * 1024
#: Of so many assertions a process remembers that it served them; the longest unused is forgotten first.
REMEMBERED: Final = 65_536
#: Fields that only Signet may send; servers spell them with ``_`` too.
OWN_FIELD: Final = re.compile(r"signet[-_].*", re.IGNORECASE | re.DOTALL)

_PLAIN = {
    "api": "signet-api",
    "route": "signet-route",
    "keyid": "signet-keyid",
    "receipt_id": "signet-receipt-id",
    "content_digest": "signet-content-digest",
    "ticket": "signet-ticket",
    "nonce": "signet-nonce",
}
# Escaped, these are in no path that the authorizer accepts: core/target.py says why.
_SECOND_READING = re.compile(r"%(?:2f|5c|25|3b|3f|23)", re.IGNORECASE)
_STATUS = {"not_authorized": 403, "body_too_large": 413}


@dataclass(frozen=True, slots=True)
class Target:
    """What a server says that it received.

    Attributes:
        method: in upper case.
        path: with its percent escapes, or decoded where the server keeps nothing else.
        query: raw, without ``?``.
        path_decoded: ``path`` is decoded.
    """

    method: str
    path: str
    query: str
    path_decoded: bool = False


def _now() -> float:
    return datetime.now(UTC).timestamp()


class NetworkGuard:
    """Decides on requests; the same for every kind of server. Safe to share between threads.

    Attributes:
        max_body: bytes of the longest body that is read.
        outcomes: reports outcomes; None where none are reported.
    """

    def __init__(
        self,
        assertion_keys: Sequence[str] = (),
        *,
        api: str | None = None,
        private_network: bool = False,
        base_path: str = "",
        max_body: int = MAX_BODY,
        once: bool = True,
        outcomes_url: str | None = None,
        clock: Callable[[], float] = _now,
    ) -> None:
        """Set up.

        Args:
            assertion_keys: public keys of the authorizer in base64; two during a rotation.
            api: name of the API that this server answers for, as registered. With keys it has to be said: one
                key signs for all APIs, and an assertion for another API must open nothing here.
            private_network: without keys: believe plain ``Signet-`` fields, because nothing but the gateway
                reaches this server.
            base_path: what stands before the API's own path in the path that this server receives.
            max_body: see ``NetworkGuard``.
            once: each assertion is served once by this process.
            outcomes_url: where outcomes are reported: the stack's output ``OutcomesUrl``.
            clock: returns Unix seconds.

        Raises:
            UsageError: neither keys nor ``private_network``, both, keys without ``api``, or a setting that
                cannot work.
        """
        if bool(assertion_keys) == bool(private_network):
            raise UsageError(
                "give the authorizer's assertion keys, or private_network=True where nothing but the gateway "
                "can reach this server; one of the two"
            )
        if assertion_keys and not api:
            raise UsageError(
                'say which API this server answers for: api="orders", its name in signet apis list'
            )
        if base_path and (not base_path.startswith("/") or base_path.endswith("/")):
            raise UsageError('base_path begins with "/" and does not end with it')
        self._keys = read_keys(assertion_keys) if assertion_keys else ()
        self._api = api
        self._base_path = base_path
        self._clock = clock
        self._served: OrderedDict[str, None] | None = OrderedDict() if once else None
        self._lock = threading.Lock()
        self.max_body = max_body
        self.outcomes = None if outcomes_url is None else OutcomeSender(outcomes_url)

    def watch(self, facts: Mapping[str, Any]) -> Watch:
        """Start to follow a request that the application is about to get."""
        return Watch(self.outcomes, facts["ticket"])

    def admit(self, target: Target, fields: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """Return the facts of a request whose head is the one that was let through.

        Args:
            target: what was received.
            fields: every header line, names in lower case.

        Raises:
            SignetError: ``not_authorized``.
        """
        own: dict[str, list[str]] = {}
        for name, value in fields:
            own.setdefault(name, []).append(value)
        if not self._keys:
            return _plain(own)
        values = own.get("signet-assertion", [])
        if len(values) != 1:
            raise _refused("this server answers only requests with one Signet-Assertion")
        assertion = verify_assertion(values[0], self._keys, self._clock())
        self._compare(assertion, target)
        return asdict(assertion)

    def check_body(self, facts: Mapping[str, Any], body: bytes) -> None:
        """Hold the whole body to the digest; then the assertion is used up.

        Raises:
            SignetError: ``digest_mismatch``; ``not_authorized`` for an assertion that was served before.
        """
        field = facts["content_digest"]
        if field is not None:
            check_content_digest(field, body)
        elif body:
            raise SignetError("a body needs a signed Content-Digest", code="digest_mismatch")
        if self._keys and self._served is not None:
            with self._lock:
                if facts["receipt_id"] in self._served:
                    raise _refused("this assertion was served before")
                self._served[facts["receipt_id"]] = None
                if len(self._served) > REMEMBERED:
                    self._served.popitem(last=False)

    def check_length(self, length: int) -> None:
        """Raise ``SignetError`` (``body_too_large``) for a body beyond the bound."""
        if length > self.max_body:
            raise SignetError(f"the body has more than {self.max_body} bytes", code="body_too_large")

    def _compare(self, assertion: Assertion, target: Target) -> None:
        if assertion.api != self._api:
            raise _refused("the assertion is for another API")
        if assertion.method != target.method:
            raise _refused("the assertion is for another method")
        received = target.path
        if not target.path_decoded:
            if _SECOND_READING.search(received):
                raise _refused("the path escapes a character that no signed path has")
            received = unquote(received, errors="replace")
        if received != self._base_path + assertion.path:
            raise _refused(
                "the assertion is for another path; if this server gets the API's paths with a stage or a "
                "mapping in front, set base_path to it"
            )
        if not _same_query(assertion.query_sha256, target.query):
            raise _refused("the assertion is for another query")


def refusal(
    error: SignetError, facts: Mapping[str, Any] | None = None
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return status, header fields and body that tell a caller why.

    Args:
        error: why.
        facts: of a request whose head was the one that was let through: its nonce is spent, so its caller
            is told the next one. Not where the request was served before: that answer told it.
    """
    body = json.dumps({"error": error.code, "message": str(error)}).encode()
    fields = [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("content-length", str(len(body))),
    ]
    if facts is not None and error.code != "not_authorized":
        fields = with_fields(fields, told(facts, fields))
    return _STATUS.get(error.code, 400), fields, body


def _plain(own: Mapping[str, list[str]]) -> dict[str, Any]:
    if any(len(own.get(field, [])) > 1 for field in _PLAIN.values()):
        raise _refused("a Signet- field is there twice")
    facts = {name: (own.get(field) or [""])[0] or None for name, field in _PLAIN.items()}
    # A server that takes "Signet_Keyid" for "Signet-Keyid" joins the two, and one is the caller's own.
    if any("," in (facts[name] or "") for name in ("keyid", "receipt_id", "ticket", "nonce")):
        raise _refused("a Signet- field holds two values")
    if not facts["keyid"] or not facts["receipt_id"]:
        raise _refused("this server answers only behind Signet's authorizer")
    return facts


def _same_query(signed: str | None, raw: str) -> bool:
    """Compare as received, and spelled canonically: gateways decode a query and spell it anew."""
    if signed is None:
        return not raw
    readings = [f"?{raw}"]
    with contextlib.suppress(Denied):  # no canonical spelling: then only the very bytes count
        readings.append(canonical_query(parse_query(raw)))
    return signed in {hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest() for text in readings}


def _refused(why: str) -> SignetError:
    return SignetError(why, code="not_authorized")
