"""Sends a signed request and reports what became of it."""

# ruff: noqa: PLC0415 - HTTP is loaded when a command runs, not for --help

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from signet.core.errors import KeyFileError
from signet.core.vocabulary import BindingType
from signet_client.cli.common import print_facts
from signet_client.cli.strangers import UNLIKE, is_page
from signet_client.reasons import advice
from signet_client.terminal import is_terminal, say, say_block, say_bytes

if TYPE_CHECKING:
    import httpx

    from signet_client.messages import Event

TIMEOUT_S = 30.0
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TOO_MANY, _UNAVAILABLE = 401, 403, 404, 429, 503
_SERVER_ERROR = 500
_MAX_REASON_CHARS = 300


@dataclass(slots=True)
class Log:
    """Collects the events of a handshake, and all answers to it."""

    events: list[Event] = field(default_factory=list)
    answers: list[httpx.Response] = field(default_factory=list)

    def note(self, event: Event) -> None:
        """Take one event; the observer of ``PCHAuth``."""
        self.events.append(event)

    def last(self, kind: type[Any]) -> Any:
        """Return the newest event of a kind, or None."""
        return next((event for event in reversed(self.events) if isinstance(event, kind)), None)


@dataclass(frozen=True, slots=True)
class Tls:
    """How the client takes part in the TLS connection.

    Attributes:
        binding: channel binding type.
        certificate: client certificate file (PEM), or None.
        certificate_key: its private key's file, or None if it is in the same.
    """

    binding: str = "none"
    certificate: Path | None = None
    certificate_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a signed request.

    Attributes:
        response: the server's last answer, read.
        error: decision code it named, or None.
        wanted: channel binding that the challenge asked for, or None without a challenge.
        budget: bytes of header values that the challenge allows, or None without a challenge.
        proof_bytes: bytes of header values the proof added.
        bundle_bytes: bytes of the bundle that was posted apart, or None if everything was inline.
        requests: requests sent, challenges included.
        elapsed_ms: for all of them.
    """

    response: httpx.Response
    error: str | None
    wanted: str | None
    budget: int | None
    proof_bytes: int
    bundle_bytes: int | None
    requests: int
    elapsed_ms: float

    @property
    def ok(self) -> bool:
        """Whether the request was let through and answered well; a web page without a proof is neither."""
        return self.response.is_success and not self._is_strange

    @property
    def _is_strange(self) -> bool:
        """Whether something else than an API that Signet guards answered: it asked for no proof."""
        status = self.response.status_code
        page = is_page(self.response) and status < _SERVER_ERROR and status != _TOO_MANY
        return (
            (page or status == _NOT_FOUND)
            and not self.proof_bytes
            and not self.response.has_redirect_location
        )

    @property
    def decision(self) -> str | None:
        """``allow``, ``deny`` or ``shed`` as far as the status tells; None if it tells nothing.

        A gateway may answer 500 before or after its authorizer, and any status if it asks for no proof.
        """
        status = self.response.status_code
        if self._has_no_route:
            return None
        if status in {_UNAUTHORIZED, _FORBIDDEN}:
            return "deny"
        if status in {_TOO_MANY, _UNAVAILABLE}:
            return "shed"
        return "allow" if self.proof_bytes and status < _SERVER_ERROR else None

    @property
    def sentence(self) -> str:
        """Why the request was not answered well, and what to do."""
        status = self.response.status_code
        if self.error is not None:
            return f"refused with {status} {self.error}: {advice(self.error)}"
        if self.response.has_redirect_location:
            return (
                f"redirected with {status} to {self.response.headers['location']}, which was not followed: "
                "a proof is for one address; call that one if it is the one you mean"
            )
        if self._is_strange:
            what = "with a web page " if is_page(self.response) else ""
            return f"{UNLIKE} {status} {what}before any proof was asked for; check host, stage and path"
        if self._has_no_route:
            return f"answered with {status}: the API has no such path, or not for this method; check the URL"
        return self._sentence_of_a_gateway()

    def _sentence_of_a_gateway(self) -> str:
        status = self.response.status_code
        said = f"the server says: {self._said()}" if self._said() else "the server does not say why"
        if self.decision == "deny":
            return f"refused with {status}; {said}{self._hint}; the receipt of this decision names the reason"
        if self.decision == "shed":
            after = self.response.headers.get("retry-after")
            when = f"try again after {after} s" if after else "try again later"
            return f"not answered ({status}), the server sheds load or cannot record decisions; {when}"
        return f"{'let through, but ' if self.decision else ''}answered with {status}; {said}"

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON."""
        return {
            "ok": self.ok,
            "status": self.response.status_code,
            "decision": self.decision,
            "error": self.error,
            "message": None if self.ok else self.sentence,
            "retry_after": self.response.headers.get("retry-after"),
            "request_id": self.response.headers.get("x-amzn-requestid"),
            "requests": self.requests,
            "proof_bytes": self.proof_bytes,
            "bundle_bytes": self.bundle_bytes,
            "elapsed_ms": round(self.elapsed_ms, 1),
            "body": self._body(),
        }

    def show(self, facts: dict[str, str]) -> None:
        """Print the report for people, the body last."""
        request = self.response.request
        print_facts(
            [
                ("request", f"{request.method} {request.url}"),
                ("answer", f"{self.response.status_code} {self.response.reason_phrase}".strip()),
                ("decision", f"{self.decision or 'not known'}{f' ({self.error})' if self.error else ''}"),
                ("key", f"{facts['keyid']} ({facts['alg']})"),
                ("binding", facts["binding"]),
                (
                    "proof",
                    self._layout,
                ),
                ("took", f"{self.elapsed_ms:.0f} ms in {self.requests} requests"),
            ]
        )
        if self.response.content:
            say()
            self._show_body()

    def _show_body(self) -> None:
        """Print the content: set for reading on a terminal, byte for byte into a pipe or a file."""
        body = self._body() if is_terminal() else None
        if body is None or isinstance(body, str):
            say_bytes(self.response.content)
        else:
            say_block(json.dumps(body, indent=2, ensure_ascii=False))

    @property
    def _layout(self) -> str:
        if not self.proof_bytes:
            return "not asked for"
        apart = f", {self.bundle_bytes} bytes in a bundle" if self.bundle_bytes is not None else ""
        return f"{self.proof_bytes} bytes of header fields{apart}"

    @property
    def _has_no_route(self) -> bool:
        # What API Gateway says, before any authorizer, where no method of the API fits.
        return self.response.status_code == _FORBIDDEN and self._said() == "Missing Authentication Token"

    @property
    def _hint(self) -> str:
        if self.wanted not in {None, "none"}:
            return f"; the route wants binding {self.wanted}, which was not given"
        if self.budget is not None and self.proof_bytes > self.budget:
            return f"; the proof adds {self.proof_bytes} bytes of header fields, the budget is {self.budget}"
        return ""

    def _body(self) -> Any:
        try:
            return self.response.json()
        except (ValueError, RecursionError):
            return self.response.text

    def _said(self) -> str:
        body = self._body()
        if isinstance(body, dict):
            body = body.get("message") or body.get("Message") or body.get("error") or ""
        return " ".join(str(body).split())[:_MAX_REASON_CHARS]


def send(
    auth: httpx.Auth,
    log: Log,
    *,
    method: str,
    url: str,
    body: bytes | None,
    headers: dict[str, str],
    insecure: bool,
    tls: Tls | None = None,
) -> Report:
    """Send one request, with the handshake it takes.

    Raises:
        UsageError, NotFoundError, KeyFileError: see ``PCHAuth``.
        httpx.HTTPError: the server cannot be reached.
    """
    from signet_client.messages import Answered, ChallengeTaken, EvidencePosted, RequestSigned
    from signet_client.web import make_client

    started = time.perf_counter()
    answers = len(log.answers)
    with make_client(
        **_connecting(tls or Tls(), insecure=insecure),
        timeout=TIMEOUT_S,
        follow_redirects=False,
        event_hooks={"response": [log.answers.append]},
    ) as client:
        response = client.request(method, url, content=body, headers=headers, auth=auth)
    answered, signed, taken = log.last(Answered), log.last(RequestSigned), log.last(ChallengeTaken)
    posted = log.last(EvidencePosted)
    return Report(
        response=response,
        error=answered.error if answered else None,
        wanted=taken.challenge.binding if taken else None,
        budget=taken.challenge.header_budget if taken else None,
        proof_bytes=sum(map(len, signed.signed.fields.values())) if signed else 0,
        bundle_bytes=posted.size if posted else None,
        requests=len(log.answers) - answers,
        elapsed_ms=(time.perf_counter() - started) * 1000,
    )


def _connecting(tls: Tls, *, insecure: bool) -> dict[str, Any]:
    """Return the options of ``httpx.Client`` that make its connections."""
    import ssl

    import httpx

    from signet_client.web import environment_explained

    if tls.binding == BindingType.TLS_EXPORTER:
        from signet_client.transport import ExporterTransport

        return {"transport": ExporterTransport(verify=not insecure)}
    if tls.certificate is None:
        return {"verify": not insecure}
    with environment_explained():
        context = httpx.create_ssl_context(verify=not insecure)
    try:
        context.load_cert_chain(tls.certificate, tls.certificate_key)
    except ssl.SSLError as error:
        raise KeyFileError(
            f"{tls.certificate} and its private key cannot be used: {error.reason}; give --cert-key"
        ) from error
    return {"verify": context}
