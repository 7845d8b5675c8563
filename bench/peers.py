"""Figure 0, the peers: authorizers as their libraries' users would write them, with Signet's two calls.

Each verifies, checks what its format lets it check, spends the identifier of its proof in DynamoDB, puts a
record into SQS, and prints a line. Keys are loaded; a warm environment would remember them.
"""

from __future__ import annotations

import base64
import copy
import gc
import hashlib
import json
import os
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from http_message_signatures import HTTPMessageSigner, HTTPMessageVerifier, MappingKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256, ED25519
from jwt.algorithms import ECAlgorithm
from jwt.utils import raw_to_der_signature

from bench.standin import aws
from bench.timing import ROOT, MeasurementError

_WARM: Final = 20  # decisions that are not counted
_AUDIENCE: Final = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/prod/protected"
EVENT: Final = "events/authorizer/no_proof.json"
_COVERED: Final = ("@method", "@authority", "@path", "@query")

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Peer:
    """An authorizer to compare with.

    Attributes:
        signed: makes fields of a fresh request, and the bare verification of all its signatures.
        check: returns caller and identifier of a request's proof, or raises.
    """

    signed: Callable[[Event], tuple[dict[str, str], Callable[[], None]]]
    check: Callable[[Event], tuple[str, str]]


def peers() -> dict[str, Peer]:
    """Return the peers by name, each with keys of its own."""
    p256, edwards = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    return {
        "PyJWT, ES256": _bearer("ES256", p256),
        "PyJWT, EdDSA": _bearer("EdDSA", edwards),
        "DPoP on PyJWT, ES256 (token and proof)": _dpop(p256, ec.generate_private_key(ec.SECP256R1())),
        "http-message-signatures, ed25519": _messages(ED25519, edwards),
        "http-message-signatures, ecdsa-p256-sha256": _messages(ECDSA_P256_SHA256, p256),
    }


# What is written around PyJWT


def _bearer(alg: str, key: Any) -> Peer:
    keys = {"key-1": key.public_key()}

    def signed(_event: Event) -> tuple[dict[str, str], Callable[[], None]]:
        token = jwt.encode(_claims(), key, alg, headers={"kid": "key-1"})
        return {"Authorization": f"Bearer {token}"}, _bare(token, key)

    def check(event: Event) -> tuple[str, str]:
        token = event["headers"]["Authorization"].removeprefix("Bearer ")
        claims = _decoded(token, keys[jwt.get_unverified_header(token)["kid"]], alg)
        return claims["sub"], claims["jti"]

    return Peer(signed, check)


def _dpop(issuer: ec.EllipticCurvePrivateKey, caller: ec.EllipticCurvePrivateKey) -> Peer:
    """Return an authorizer of sender-constrained tokens, by the checks of RFC 9449, section 4.3."""
    keys = {"key-1": issuer.public_key()}
    public: dict[str, Any] = ECAlgorithm.to_jwk(caller.public_key(), as_dict=True)
    shown = {name: public[name] for name in ("crv", "kty", "x", "y")}

    def signed(_event: Event) -> tuple[dict[str, str], Callable[[], None]]:
        claims = _claims() | {"cnf": {"jkt": _thumbprint(shown)}}
        token = jwt.encode(claims, issuer, "ES256", headers={"kid": "key-1"})
        said = {"jti": str(uuid.uuid4()), "htm": "GET", "htu": _AUDIENCE, "iat": int(time.time())}
        proof = jwt.encode(
            said | {"ath": _hash(token)}, caller, "ES256", headers={"typ": "dpop+jwt", "jwk": shown}
        )
        first, second = _bare(token, issuer), _bare(proof, caller)

        def both() -> None:
            first()
            second()

        return {"Authorization": f"DPoP {token}", "DPoP": proof}, both

    def check(event: Event) -> tuple[str, str]:
        headers = event["headers"]
        token, proof = headers["Authorization"].removeprefix("DPoP "), headers["DPoP"]
        claims = _decoded(token, keys[jwt.get_unverified_header(token)["kid"]], "ES256")
        header = jwt.get_unverified_header(proof)
        said = jwt.decode(
            proof,
            jwt.PyJWK(header["jwk"], "ES256"),
            ["ES256"],
            options={"require": ["jti", "htm", "htu", "iat", "ath"]},
        )
        asked = (event["httpMethod"], f"https://{headers['Host']}{event['requestContext']['path']}")
        fresh = abs(time.time() - said["iat"]) <= 60  # noqa: PLR2004 - seconds
        bound = _thumbprint(header["jwk"]) == claims["cnf"]["jkt"] and said["ath"] == _hash(token)
        if header["typ"] != "dpop+jwt" or (said["htm"], said["htu"]) != asked or not (fresh and bound):
            raise PermissionError("the proof is not of this request")
        return claims["sub"], said["jti"]

    return Peer(signed, check)


def _claims() -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": "https://issuer.example",
        "sub": "caller-1",
        "aud": _AUDIENCE,
        "iat": now,
        "exp": now + 60,
        "jti": str(uuid.uuid4()),
    }


def _decoded(token: str, key: Any, alg: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(
        token,
        key,
        [alg],
        audience=_AUDIENCE,
        issuer="https://issuer.example",
        options={"require": ["iss", "sub", "aud", "iat", "exp", "jti"]},
    )
    return found


def _hash(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _thumbprint(jwk: dict[str, str]) -> str:
    """Return a key's thumbprint (RFC 7638)."""
    members = {name: jwk[name] for name in ("crv", "kty", "x", "y")}
    return _hash(json.dumps(members, separators=(",", ":"), sort_keys=True))


def _bare(token: str, private: Any) -> Callable[[], None]:
    message, _, encoded = token.rpartition(".")
    return _verification(
        private, message.encode(), base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    )


def _verification(private: Any, message: bytes, signature: bytes) -> Callable[[], None]:
    key = private.public_key()
    if isinstance(key, ed25519.Ed25519PublicKey):
        return lambda: key.verify(signature, message)
    der, hashed = raw_to_der_signature(signature, key.curve), ec.ECDSA(SHA256())
    return lambda: key.verify(der, message, hashed)


# What is written around http-message-signatures


def _messages(algorithm: Any, key: Any) -> Peer:
    keys = MappingKeyResolver(public_keys={"key-1": key.public_key()}, private_keys={"key-1": key})
    signer = HTTPMessageSigner(signature_algorithm=algorithm, key_resolver=keys)
    verifier = HTTPMessageVerifier(signature_algorithm=algorithm, key_resolver=keys)

    def signed(event: Event) -> tuple[dict[str, str], Callable[[], None]]:
        message = _message(event)
        now = datetime.now(UTC)
        prepared = signer.prepare(
            message,
            key_id="key-1",
            created=now,
            expires=now + timedelta(seconds=60),
            nonce=str(uuid.uuid4()),
            tag="example",
            covered_component_ids=_COVERED,
        )
        signature = algorithm(private_key=key).sign(prepared.signature_base)
        signer.apply(message, prepared, signature)
        fields = {n: message.headers[n] for n in ("Signature-Input", "Signature")}
        return fields, _verification(key, prepared.signature_base, signature)

    def check(event: Event) -> tuple[str, str]:
        [found] = verifier.verify(
            _message(event),
            max_age=timedelta(seconds=60),
            expect_tag="example",
            require_components=_COVERED,
        )
        if found.nonce is None:
            raise PermissionError("no nonce")
        return str(found.parameters["keyid"]), found.nonce

    return Peer(signed, check)


def _message(event: Event) -> SimpleNamespace:
    context = event["requestContext"]
    url = f"https://{event['headers']['Host']}{context['path']}"
    headers = {name: ", ".join(values) for name, values in event["multiValueHeaders"].items()}
    return SimpleNamespace(method=event["httpMethod"], url=url, headers=headers)


# The two calls, and the measurement


def _authorizer(peer: Peer, dynamodb: Any, sqs: Any, queue: str) -> Callable[[Event], dict[str, Any]]:
    def authorize(event: Event) -> dict[str, Any]:
        caller, identifier = peer.check(event)
        now = int(time.time())
        nonce = hashlib.sha256(identifier.encode()).hexdigest()
        dynamodb.put_item(
            TableName="nonces",
            Item={"nonce": {"S": nonce}, "expires_at": {"N": str(now + 120)}},
            ConditionExpression="attribute_not_exists(nonce)",
        )
        told = {
            "id": str(uuid.uuid4()),
            "at": now,
            "decision": "allow",
            "caller": caller,
            "nonce": nonce,
            "method": event["httpMethod"],
            "path": event["requestContext"]["path"],
        }
        sqs.send_message(QueueUrl=queue, MessageBody=json.dumps(told))
        sys.stdout.write(json.dumps(told | {"level": "INFO"}) + "\n")
        allowed = {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": event["methodArn"]}
        document = {"Version": "2012-10-17", "Statement": [allowed]}
        return {"principalId": caller, "policyDocument": document, "context": {"caller": caller}}

    return authorize


def _clients() -> tuple[Any, Any]:
    if os.environ["SIGNET_AWS_CLIENT"] == "direct":
        from signet.aws import session  # noqa: PLC0415 - only where it is measured

        return session.hot("dynamodb"), session.hot("sqs")
    import boto3  # noqa: PLC0415 - only where it is measured

    return boto3.client("dynamodb"), boto3.client("sqs")


def run(requests: int) -> dict[str, dict[str, float]]:
    """Return medians in microseconds by peer: ``own`` and ``bare`` (all its signatures, nothing else)."""
    template = json.loads((ROOT / EVENT).read_text())
    with aws({}) as endpoint:
        os.environ["AWS_ENDPOINT_URL"] = endpoint
        clients = _clients()
        return {
            name: _timed(peer, _authorizer(peer, *clients, f"{endpoint}/receipts"), template, requests)
            for name, peer in peers().items()
        }


def _timed(
    peer: Peer, authorize: Callable[[Event], dict[str, Any]], template: Event, requests: int
) -> dict[str, float]:
    prepared = []
    for _ in range(requests + _WARM):
        event = copy.deepcopy(template)
        fields, bare = peer.signed(event)
        event["headers"] |= fields
        event["multiValueHeaders"] |= {name: [value] for name, value in fields.items()}
        prepared.append((event, bare))
    owns, bares = [], []
    gc.collect()
    for event, bare in prepared:
        started = time.thread_time_ns()
        answer = authorize(event)
        between = time.thread_time_ns()
        bare()
        owns.append((between - started) / 1e3)
        bares.append((time.thread_time_ns() - between) / 1e3)
        if answer["principalId"] not in {"caller-1", "key-1"}:
            raise MeasurementError(f"another caller: {answer}")
    return {"own": statistics.median(owns[_WARM:]), "bare": statistics.median(bares[_WARM:])}


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(run(int(sys.argv[1]))) + "\n")
