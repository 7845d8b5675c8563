"""Signs a request: HTTP Message Signatures (RFC 9421) in the PCH-Lite profile (protocol sections 1 and 3)."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from http_message_signatures import HTTPMessageSigner, HTTPSignatureAlgorithm
from http_message_signatures.exceptions import HTTPMessageSignaturesException

from signet.core.canonical import canonicalize
from signet.core.errors import CanonicalError, Denied, UsageError
from signet.core.target import check_authority
from signet.core.vocabulary import ALWAYS_COVERED, CONTENT_METHODS
from signet.crypto.suites import PrivateKey
from signet.handshake.digest import content_digest
from signet.handshake.proof import COVERED_IF_SENT, LABEL, TAG
from signet.policy.requirements import component_trouble

#: Seconds a signature is good for: enough for a slow network. A challenge may allow less (``max-age``).
LIFETIME_S = 60

#: What a signed request carries on top of its own fields, in lower case; another origin must not see them.
PROOF_FIELDS = frozenset(
    {
        "signature",
        "signature-input",
        "pch-channel-binding",
        "pch-evidence",
        "pch-evidence-digest",
        "pch-proof",
    }
)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and the name it is registered under.

    Attributes:
        key: the private key; it never leaves this object.
        keyid: key id at the server.
    """

    key: PrivateKey
    keyid: str


@dataclass(frozen=True, slots=True)
class Plain:
    """What a signature covers of a request, for every HTTP library.

    Attributes:
        method: upper case.
        url: canonical (``signet_client.addresses.canonical_url``).
        headers: the request's own fields; names in lower case.
        body: content as it goes over the wire; empty if there is none.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """The outcome of signing.

    Attributes:
        fields: header fields to set on the request.
        base: the signature base (RFC 9421 section 2.5): exactly what was signed.
    """

    fields: Mapping[str, str]
    base: bytes


@dataclass(slots=True)
class _Message:
    """The library's idea of a request."""

    method: str
    url: str
    headers: dict[str, str]


@cache
def _algorithm(name: str) -> type[HTTPSignatureAlgorithm]:
    """Return a class that carries the suite's name; signing itself happens between prepare and apply."""
    return type("SuiteAlgorithm", (HTTPSignatureAlgorithm,), {"algorithm_id": name})


def check_cover(names: Collection[str]) -> tuple[str, ...]:
    """Return names of components in lower case, each once.

    Raises:
        UsageError: one is no name of a header field, or of one that no signature of this profile covers.
    """
    if isinstance(names, str):
        raise UsageError(f"cover is a list of names, not one text; write cover=[{names!r}]")
    found = tuple(dict.fromkeys(str(name).lower() for name in names))
    for name in found:
        if trouble := component_trouble(name):
            raise UsageError(f"this cannot be covered: {trouble}")
    return found


def evidence_field(content: bytes) -> str:
    """Return ``PCH-Evidence`` for canonical JSON: a structured byte sequence (RFC 9651 section 3.3.5)."""
    return f":{base64.b64encode(content).decode()}:"


def canonical_evidence(evidence: Mapping[str, Any]) -> bytes:
    """Return a JSON object in its canonical form, the one that is signed.

    Raises:
        UsageError: it is not an object of the canonical subset (RFC 8785 without floats).
    """
    try:
        return canonicalize(dict(evidence))
    except CanonicalError as error:
        raise UsageError(f"the evidence cannot be signed: {error}") from error
    except RecursionError as error:
        raise UsageError("the evidence cannot be signed: it is nested too deeply") from error


def binding_field(kind: str, value: bytes) -> str:
    """Return ``PCH-Channel-Binding`` for a binding type and its 32 bytes."""
    return f"{kind}=:{base64.b64encode(value).decode()}:"


def sign(
    request: Plain,
    signer: Signer,
    *,
    nonce: str,
    now: int,
    lifetime_s: int = LIFETIME_S,
    cover: Collection[str] = (),
    evidence: str | None = None,
    evidence_digest: str | None = None,
    binding: str | None = None,
) -> Signed:
    """Sign a request once.

    Args:
        request: what is to be sent.
        signer: the caller's key.
        nonce: from a fresh challenge; each is good for one request.
        now: Unix seconds.
        lifetime_s: for how many seconds the signature shall be good.
        cover: further components to cover, of what the request has: names in lower case. Where it names
            ``content-digest``, a request without content has one too.
        evidence: ``PCH-Evidence`` field value, or None.
        evidence_digest: ``PCH-Evidence-Digest`` field value, for evidence that travels apart, or None.
        binding: ``PCH-Channel-Binding`` field value, or None.

    Raises:
        UsageError: a covered field or the key id holds what cannot be signed.
    """
    added: dict[str, str] = {}
    method = request.method.upper()
    demanded = bool(request.body) or method in CONTENT_METHODS
    if demanded or "content-digest" in {*request.headers, *cover}:
        added["Content-Digest"] = content_digest(request.body)
    if evidence is not None:
        added["PCH-Evidence"] = evidence
    if evidence_digest is not None:
        added["PCH-Evidence-Digest"] = evidence_digest
    if binding is not None:
        added["PCH-Channel-Binding"] = binding
    names = {name.lower() for name in added}
    headers = {name: value for name, value in request.headers.items() if name not in names} | added
    message = _Message(method, _addressed(request), headers)
    present = {name.lower() for name in headers}
    wanted = dict.fromkeys(("content-digest", *COVERED_IF_SENT, *cover))
    covered = (*ALWAYS_COVERED, *(name for name in wanted if name in present))
    library = HTTPMessageSigner(signature_algorithm=_algorithm(signer.key.alg))
    try:
        prepared = library.prepare(
            message,
            key_id=signer.keyid,
            created=datetime.fromtimestamp(now, UTC),
            expires=datetime.fromtimestamp(now + lifetime_s, UTC),
            nonce=nonce,
            label=LABEL,
            tag=TAG,
            covered_component_ids=covered,
            use_existing_digest="content-digest" in present,
        )
        library.apply(message, prepared, signer.key.sign(prepared.signature_base))
    except (HTTPMessageSignaturesException, ValueError) as error:
        raise UsageError(f"this request cannot be signed: {error}") from error
    proof = {name: message.headers[name] for name in ("Signature-Input", "Signature")}
    return Signed(added | proof, prepared.signature_base)


def _addressed(request: Plain) -> str:
    """Return the URL under the authority that the Host field names: that is what the server will see."""
    host = request.headers.get("host")
    parts = urlsplit(request.url)
    if host is None or host == parts.netloc:
        return request.url
    try:
        return parts._replace(netloc=check_authority(host)).geturl()
    except Denied as error:
        raise UsageError(f"the Host field {host!r} cannot be signed: {error}") from error
