"""RFC 9421's examples: the signature base is rebuilt from the message, then checked by our suites.

Of the RFC's algorithms two are suites here. For the others (RSA, HMAC) the rebuilt base is compared
with the printed one and the signature is left alone.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import http_sf
import pytest
from http_message_signatures import (
    HTTPMessageVerifier,
    HTTPSignatureAlgorithm,
    HTTPSignatureKeyResolver,
    InvalidSignature,
)

from signet.core.errors import SignatureError
from signet.core.vocabulary import ALWAYS_COVERED
from signet.crypto import suites
from signet.handshake.proof import _signature_base
from signet.handshake.request import Request as ReceivedRequest

OURS = {"test-key-ed25519": "ed25519", "test-key-ecc-p256": "ecdsa-p256-sha256"}
MEMBERS = {"keyid", "label", "message_block", "message_matches_base", "signature_b64", "signature_params",
           "source_line", "verified"}  # fmt: skip
OPTIONAL = {"algorithm", "base_line", "signature_base", "n_candidate_bases"}


class Fields:
    """Header fields in wire order, duplicates kept."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs

    def items(self) -> list[tuple[str, str]]:
        return self.pairs


@dataclass
class Request:
    method: str
    url: str
    headers: Fields


@dataclass
class Response:
    status_code: int
    headers: Fields
    request: Request


@dataclass
class Recorder(HTTPSignatureAlgorithm):
    """Keeps the base it is given and verifies it with a suite where there is one."""

    public_key: tuple[str | None, bytes]
    bases: ClassVar[list[bytes]] = []

    def verify(self, signature: bytes, message: bytes) -> None:
        self.bases.append(message)
        alg, public_key = self.public_key
        if alg is not None:
            suites.get(alg).verify(public_key, message, signature)


@dataclass
class Keys(HTTPSignatureKeyResolver):
    jwks: dict[str, Any] = field(repr=False)

    def resolve_public_key(self, key_id: str) -> tuple[str | None, bytes]:
        alg, jwk = OURS.get(key_id), self.jwks[key_id]
        if alg is None:
            return None, b""
        point = unpad(jwk["x"]) if alg == "ed25519" else b"\x04" + unpad(jwk["x"]) + unpad(jwk["y"])
        return alg, point


class Verifier(HTTPMessageVerifier):
    def validate_created_and_expires(self, sig_input: Any, max_age: Any = None) -> None:
        """The examples are from 2021: their times are no part of what is tested."""


def unpad(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def fields_of(lines: list[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (line.partition(": ") for line in lines)]


def only(label: str, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Keep one signature: which one is asked for is told by label, not by the tag the RFC omits."""
    kept = []
    for name, value in pairs:
        if name in {"Signature-Input", "Signature"}:
            member = next(part for part in value.split(", ") if part.startswith(f"{label}="))
            kept.append((name, member))
        else:
            kept.append((name, value))
    return kept


def request_of(lines: list[str], label: str | None = None) -> Request:
    method, target, _version = lines[0].split(" ")
    pairs = fields_of(lines[1:])
    host = dict(pairs)["Host"]
    return Request(method, f"https://{host}{target}", Fields(only(label, pairs) if label else pairs))


def head(text: str) -> list[str]:
    return text.partition("\n\n")[0].split("\n")


def message_of(vector: dict[str, Any], file: dict[str, Any]) -> Request | Response:
    lines = head(vector["message_block"])
    if lines[0].startswith("Signature-Input"):  # appendix B.2 prints only what signing adds
        whole = file["test_response" if "@status" in vector["signature_params"] else "test_request"]
        lines = head(whole) + lines
    if lines[0].startswith("HTTP/"):
        pairs = Fields(only(vector["label"], fields_of(lines[1:])))
        return Response(int(lines[0].split(" ")[1]), pairs, request_of(head(file["test_request"])))
    return request_of(lines, vector["label"])


def with_printed_digest(message: Request | Response, vector: dict[str, Any]) -> Request | Response:
    """Appendix B.2's response shows another digest than the base printed for it (B.2.4): take the base's."""
    printed = dict(fields_of(vector["signature_base"].split("\n")))['"content-digest"']
    pairs = [
        (name, printed if name == "Content-Digest" else value) for name, value in message.headers.items()
    ]
    assert pairs != message.headers.items()
    return replace(message, headers=Fields(pairs))


def rebuild(message: Request | Response, vector: dict[str, Any], file: dict[str, Any]) -> bytes:
    """Return the base built from the message; raises unless the suite verifies the signature over it."""
    name = vector.get("algorithm", "unnamed")
    algorithm = type("Named", (Recorder,), {"algorithm_id": name, "bases": []})
    Verifier(signature_algorithm=algorithm, key_resolver=Keys(file["keys"])).verify(message, max_age=None)
    (base,) = algorithm.bases  # type: ignore[attr-defined]
    return base


@pytest.fixture
def file(vectors: Path) -> dict[str, Any]:
    return json.loads((vectors / "rfc9421" / "rfc9421_vectors.json").read_bytes())


def vectors_with(file: dict[str, Any], *, printed: bool) -> Iterator[dict[str, Any]]:
    for vector in file["vectors"]:
        assert set(vector) - OPTIONAL == MEMBERS
        if ("signature_base" in vector) == printed:
            yield vector


def test_rebuilt_bases_equal_the_printed_ones_and_verify_under_our_suites(file: dict[str, Any]) -> None:
    verified = []
    for vector in vectors_with(file, printed=True):
        if not vector["message_matches_base"]:
            continue
        message = message_of(vector, file)
        if vector["label"] == "sig-b24":
            message = with_printed_digest(message, vector)
        base = rebuild(message, vector, file)
        assert base.decode() == vector["signature_base"], vector["source_line"]
        verified.append(vector["keyid"])
    assert {verified.count(keyid) > 1 for keyid in OURS} == {True}


def test_messages_the_rfc_breaks_on_purpose_are_refused(file: dict[str, Any]) -> None:
    broken = [v for v in vectors_with(file, printed=True) if not v["message_matches_base"]]
    assert broken
    for vector in broken:
        with pytest.raises(InvalidSignature) as refusal:
            rebuild(message_of(vector, file), vector, file)
        assert isinstance(refusal.value.__cause__, SignatureError)


def test_examples_without_a_printed_base_verify_for_the_authority_the_client_addressed(
    file: dict[str, Any],
) -> None:
    """A proxy rewrites Host: only with the authority it attests does the client's signature hold."""
    rewritten = 0
    for vector in vectors_with(file, printed=False):
        if vector["keyid"] not in OURS:
            continue
        message = message_of(vector, file)
        fields = dict(message.headers.items())
        if "Forwarded" in fields:
            with pytest.raises(InvalidSignature):
                rebuild(message, vector, file)
            message.url = message.url.replace(fields["Host"], "example.com")
            rewritten += 1
        rebuild(message, vector, file)
    assert rewritten


def test_our_suites_verify_every_printed_base_of_theirs_and_no_other(file: dict[str, Any]) -> None:
    keys = Keys(file["keys"])
    for vector in vectors_with(file, printed=True):
        alg, public_key = keys.resolve_public_key(vector["keyid"])
        if alg is None:
            continue
        assert vector["algorithm"] == alg
        base, signature = vector["signature_base"].encode(), base64.b64decode(vector["signature_b64"])
        suites.get(alg).verify(public_key, base, signature)
        for wrong in (base + b"\n", base[:-1], base.replace(b"\n", b"\r\n", 1)):
            with pytest.raises(SignatureError):
                suites.get(alg).verify(public_key, wrong, signature)


def test_the_bases_the_handshake_builds_are_the_printed_ones(file: dict[str, Any]) -> None:
    """The handshake joins its base itself; every example it has the components for must come out."""
    built = []
    for vector in vectors_with(file, printed=True):
        ((members, _parameters),) = http_sf.parse(vector["signature_params"].encode(), tltype="list")
        names = [name for name, parameters in members if not parameters]
        derived = {name for name in names if name.startswith("@")}
        if (
            len(names) < len(members)
            or not derived <= set(ALWAYS_COVERED)
            or not vector["message_matches_base"]
        ):
            continue
        message = message_of(vector, file)
        base = _signature_base(names, vector["signature_params"], as_received(message))
        assert base.decode() == vector["signature_base"], vector["source_line"]
        built.append(vector["label"])
    assert len(built) > 6
    assert {"sig-b23", "sig-b26", "ttrp", "transform"} <= set(built)


def as_received(message: Request | Response) -> ReceivedRequest:
    assert isinstance(message, Request)
    headers: dict[str, str] = {}
    for name, value in message.headers.items():
        earlier = headers.get(name.lower())
        headers[name.lower()] = value if earlier is None else f"{earlier}, {value}"
    url = urlsplit(message.url)
    return ReceivedRequest(
        method=message.method,
        authority=url.netloc,
        path=url.path,
        query=f"?{url.query}",
        headers=headers,
        api="signet",
        route=f"{message.method} {url.path}",
        route_key=f"{message.method} {url.path}",
        path_parameters=(),
        api_path=url.path,
        needs_digest=message.method == "POST",
    )
