"""The proof in a request: parsed so strictly that one value has one encoding (docs/protocol.md).

``http_sf`` parses ``Signature-Input`` (RFC 9651); what it then serialises must equal the bytes received. One
pattern reads the usual form instead, inside what ``http_sf`` reads alike (a property test holds it there).
After that, a covered component is one of a small closed form and the signature base (RFC 9421
section 2.5) is a few joined lines, built over the received bytes: nothing is re-serialised to verify.
docs/adr/0003 says why the base is not built by a library here, and which test holds the two together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from typing import Any, NoReturn

from signet.core.canonical import parse as parse_canonical
from signet.core.client import KEYID
from signet.core.decision import Reason
from signet.core.encoding import decode_base64
from signet.core.errors import CanonicalError, Denied, SignetError
from signet.core.records import record
from signet.core.vocabulary import ALWAYS_COVERED, FIELD_NAME
from signet.handshake.digest import DIGEST_BYTES, parse_content_digest
from signet.handshake.evidence import parse_digest_field
from signet.handshake.request import Request

LABEL = "pch"
TAG = "pch-lite"
PARAMETERS = {"created": int, "expires": int, "nonce": str, "keyid": str, "alg": str, "tag": str}
# A body means another thing under another type or coding, so neither goes unsigned. API Gateway takes a
# missing type for "application/json" when it chooses a template (its developer guide, "Method request
# behavior for payloads without mapping templates"); no public event shows that it adds the field. Should it
# do so, the request is refused.
CONTENT_FIELDS = ("content-type", "content-encoding")
COVERED_IF_SENT = (*CONTENT_FIELDS, "pch-channel-binding", "pch-evidence", "pch-evidence-digest")
PROOF_FIELDS = ("signature", "signature-input", "pch-proof")

_SORT = "; is its query sent in canonical form, with its names sorted (docs/protocol.md, Target)?"
_MAX_COMPONENTS = 32
# Visible ASCII, space and inner tabs: everything else could end a line of the signature base.
_FIELD_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?")
# The usual Signature-Input: plain names, positive integers, strings without escapes. Each of these is its own
# canonical encoding, and no separator can stand inside a value.
_USUAL_INPUT = re.compile(
    rf'{LABEL}=\((?P<components>"[@a-z0-9-]+"(?: "[@a-z0-9-]+")*)\)'
    r'(?P<parameters>(?:;[a-z]+=(?:[1-9][0-9]{0,14}|"[A-Za-z0-9._:+/=@-]*"))+)'
)
_USUAL_PARAMETER = re.compile(r';([a-z]+)=(?:([0-9]+)|"([^"]*)")')


@record
class Proof:
    """A parsed proof; nothing in it is verified yet.

    Attributes:
        keyid, alg, nonce: parameters as signed.
        created, expires: Unix seconds.
        components: names of what is covered, in their order.
        base: the signature base, the bytes that were signed.
        signature: raw signature bytes; None while it is in the bundle.
        content_digest: value of the covered Content-Digest field, or None.
        evidence: the evidence, canonical JSON; None if there is none, or while it is in the bundle.
        evidence_sha256: SHA-256 of the evidence's canonical JSON as signed, hex, or None.
        bundle_sha256: SHA-256 of the bundle that holds the rest (``signet.handshake.detached``), or None.
        advice: what to look at first if the signature does not verify, a part of a sentence, or nothing.
    """

    keyid: str
    alg: str
    nonce: str
    created: int
    expires: int
    components: tuple[str, ...]
    base: bytes
    signature: bytes | None
    content_digest: str | None
    evidence: bytes | None
    evidence_sha256: str | None
    bundle_sha256: bytes | None
    advice: str = ""


def has_proof(request: Request) -> bool:
    """Tell whether the request brings any part of a proof."""
    return not request.headers.keys().isdisjoint(PROOF_FIELDS)


def parse_proof(request: Request, required: Collection[str] = (), read: Collection[str] = ()) -> Proof:
    """Parse the request's proof.

    Args:
        request: what is asked for.
        required: components that have to be covered beside those that always are, so have to be sent.
        read: names of fields whose values policy decides by, covered or not.

    Raises:
        Denied: ``malformed``, ``component_missing``, ``digest_missing`` or ``evidence_missing``.
    """
    headers = request.headers
    bundle_sha256 = parse_digest_field(headers["pch-proof"]) if "pch-proof" in headers else None
    if "signature-input" not in headers or ("signature" not in headers and bundle_sha256 is None):
        _malformed("Signature-Input comes with Signature, or with PCH-Proof in its place")
    components, parameters, inner_list = _parse_input(headers["signature-input"])
    signature = _parse_signature(headers["signature"]) if "signature" in headers else None
    _check_coverage(components, request, required)
    _check_read(request, read)
    if parameters["tag"] != TAG:
        _malformed(f"the signature's tag is not {TAG!r}")
    if not KEYID.fullmatch(parameters["keyid"]):
        _malformed("the key id holds characters no key id has")
    evidence, evidence_sha256 = _evidence(headers)
    return Proof(
        keyid=parameters["keyid"],
        alg=parameters["alg"],
        nonce=parameters["nonce"],
        created=parameters["created"],
        expires=parameters["expires"],
        components=tuple(components),
        base=_signature_base(components, inner_list, request),
        signature=signature,
        content_digest=_content_digest(components, request),
        evidence=evidence,
        evidence_sha256=evidence_sha256,
        bundle_sha256=bundle_sha256,
        advice=_SORT if request.query_rebuilt else "",
    )


def _malformed(message: str) -> NoReturn:
    raise Denied(Reason.MALFORMED, message)


def parse_field(value: str) -> dict[str, Any]:
    """Parse a structured dictionary field in its one canonical encoding.

    Raises:
        Denied: ``malformed``.
    """

    def refuse_duplicate(key: str, _context: str) -> NoReturn:
        _malformed(f"{key!r} comes twice in one field")

    import http_sf  # noqa: PLC0415 - slow to load, and only edges' requests need it usually

    try:
        parsed = http_sf.parse(value.encode("ascii"), tltype="dictionary", on_duplicate_key=refuse_duplicate)
        canonical = http_sf.ser(parsed) if parsed else ""
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError) as error:
        raise Denied(Reason.MALFORMED, "a structured field does not parse") from error
    if canonical != value or not isinstance(parsed, dict):
        _malformed("a structured field is not in its canonical encoding")
    return parsed


def _usual_input(value: str) -> tuple[list[str], dict[str, Any]] | None:
    """Read components and parameters of the usual form at a tenth of the cost; None for any other."""
    match = _USUAL_INPUT.fullmatch(value)
    if match is None:
        return None
    components = match["components"][1:-1].split('" "')
    items = _USUAL_PARAMETER.findall(match["parameters"])
    parameters = {name: int(number) if number else text for name, number, text in items}
    return (components, parameters) if len(parameters) == len(items) else None


def _any_input(value: str) -> tuple[list[str], dict[str, Any]]:
    """Read components and parameters of any canonical form."""
    labels = parse_field(value)
    if list(labels) != [LABEL]:
        _malformed(f"exactly one signature is expected, labelled {LABEL!r}")
    member, parameters = labels[LABEL]
    if not isinstance(member, list):
        _malformed("the covered components are not a list")
    components = []
    for name, component_parameters in member:
        if type(name) is not str or component_parameters:
            _malformed("a covered component is not a plain name")
        components.append(name)
    return components, parameters


def _parse_input(value: str) -> tuple[list[str], dict[str, Any], str]:
    components, parameters = _usual_input(value) or _any_input(value)
    if len(components) > _MAX_COMPONENTS:
        _malformed("the covered components are not a short list")
    if len(set(components)) != len(components):
        _malformed("a component is covered twice")
    kinds = list(map(type, map(parameters.get, PARAMETERS)))
    if len(parameters) != len(PARAMETERS) or kinds != list(PARAMETERS.values()):
        _refuse_parameters(parameters)
    return components, parameters, value[len(LABEL) + 1 :]


def _refuse_parameters(parameters: Mapping[str, Any]) -> NoReturn:
    if missing := PARAMETERS.keys() - parameters.keys():
        raise Denied(Reason.COMPONENT_MISSING, f"the signature lacks {', '.join(sorted(missing))}")
    if parameters.keys() != PARAMETERS.keys():
        _malformed("the signature has parameters this profile does not know")
    _malformed("a parameter has the wrong type")


def _parse_signature(value: str) -> bytes:
    label, _, item = value.partition("=")
    if label != LABEL or not _is_enclosed(item):
        _malformed(f"Signature does not hold exactly one byte sequence labelled {LABEL!r}")
    return _decoded(item[1:-1])


def _is_enclosed(item: str) -> bool:
    """Tell whether this may be a byte sequence; what is between its colons, ``_decoded`` decides."""
    return len(item) > 1 and item[0] == item[-1] == ":"


def _decoded(text: str) -> bytes:
    """Decode padded standard base64 with zero pad bits, and nothing else.

    Raises:
        Denied: ``malformed``.
    """
    try:
        return decode_base64(text)
    except ValueError as error:
        raise Denied(Reason.MALFORMED, f"a byte sequence is {error}") from error


def _check_coverage(components: list[str], request: Request, required: Collection[str]) -> None:
    covered = set(components)
    for name in covered.difference(ALWAYS_COVERED):
        if name.startswith("@"):
            _malformed(f"{name} cannot be rebuilt exactly here")
        elif not FIELD_NAME.fullmatch(name):
            _malformed("a covered component has no valid name")
        elif name not in request.headers:
            _malformed(f"{name} is covered but was not received")
    if missing := {*ALWAYS_COVERED, *(request.headers.keys() & COVERED_IF_SENT)} - covered:
        raise Denied(Reason.COMPONENT_MISSING, f"the signature does not cover {', '.join(sorted(missing))}")
    if request.needs_digest or "content-digest" in request.headers:
        if "content-digest" not in request.headers:
            raise Denied(
                Reason.DIGEST_MISSING,
                f"this {request.method} needs a Content-Digest; without content, that of nothing",
            )
        if "content-digest" not in covered:
            raise Denied(Reason.DIGEST_MISSING, "the signature does not cover content-digest")
    _check_required(covered, request, required)


def _check_required(covered: set[str], request: Request, required: Collection[str]) -> None:
    """Check that what the route demands is signed; what was not sent cannot be."""
    missing = sorted(set(required) - covered)
    if missing:
        unsent = [name for name in missing if name[0] != "@" and name not in request.headers]
        sent = f"; the request has no {', '.join(unsent)}: send it" if unsent else ""
        raise Denied(
            Reason.COMPONENT_MISSING, f"this route demands a signature that covers {', '.join(missing)}{sent}"
        )
    # A backend reads one line of a field, perhaps another one than the caller's server would.
    if twice := sorted(request.repeated.intersection((*required, *CONTENT_FIELDS))):
        _malformed(f"{', '.join(twice)} comes more than once")


def _check_read(request: Request, read: Collection[str]) -> None:
    """Check that a field that policy decides by has one value, of characters that can be signed."""
    if twice := sorted(request.repeated.intersection(read)):
        _malformed(f"{', '.join(twice)} comes more than once")
    for name in read:
        if not _FIELD_VALUE.fullmatch(request.headers.get(name, "")):
            _malformed(f"{name} holds a character that cannot be signed")


def _signature_base(components: list[str], inner_list: str, request: Request) -> bytes:
    derived = {  # each of a request's own few characters already
        "@method": request.method,
        "@authority": request.authority,
        "@path": request.path,
        "@query": request.query,
    }
    lines = []
    for name in components:
        value = derived.get(name)
        if value is None:
            value = request.headers[name]
            if not _FIELD_VALUE.fullmatch(value):
                _malformed(f"{name} holds a character that cannot be signed")
        lines.append(f'"{name}": {value}\n')
    return f'{"".join(lines)}"@signature-params": {inner_list}'.encode("ascii")


def _content_digest(components: list[str], request: Request) -> str | None:
    if "content-digest" not in components:
        return None
    field = request.headers["content-digest"]
    try:
        digests = parse_content_digest(field)
    except SignetError as error:
        raise Denied(Reason.MALFORMED, str(error)) from error
    for name, encoded in digests.items():
        if len(_decoded(encoded)) != DIGEST_BYTES[name]:
            _malformed("a digest has the wrong length")
    return field


def _evidence(headers: Mapping[str, str]) -> tuple[bytes | None, str | None]:
    """Return inline evidence and its digest, or the digest alone of evidence that is in a bundle."""
    if "pch-evidence-digest" in headers:
        if "pch-evidence" in headers:
            _malformed("PCH-Evidence-Digest is for evidence that is not in the header")
        digest = parse_digest_field(headers["pch-evidence-digest"])
        if "pch-proof" not in headers:
            raise Denied(Reason.EVIDENCE_MISSING, "PCH-Proof does not say where the evidence is")
        return None, digest.hex()
    if "pch-evidence" not in headers:
        return None, None
    item = headers["pch-evidence"]
    if not _is_enclosed(item):
        _malformed("PCH-Evidence is not a byte sequence")
    raw = _decoded(item[1:-1])
    try:
        if not isinstance(parse_canonical(raw), dict):
            _malformed("the evidence is not a JSON object")
    except CanonicalError as error:
        raise Denied(Reason.MALFORMED, "the evidence is not canonical JSON") from error
    return raw, hashlib.sha256(raw).hexdigest()
