"""A small fixed world for handshake tests: one clock, one secret, some clients, real gateway events.

Requests are signed with ``http-message-signatures``, not with the code under test: every request that
the verifier accepts is thereby a differential test of its own signature base.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import hmac
import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import rfc8785
from http_message_signatures import HTTPMessageSigner, HTTPSignatureAlgorithm, HTTPSignatureKeyResolver

from signet.breaker.asked import Breaker, FixedBreaker
from signet.breaker.pool import OneBreaker
from signet.core.apis import OWN_API, Api
from signet.core.client import Client
from signet.core.ports import ApiRegistry
from signet.core.vocabulary import BreakerLevel, PayloadKind
from signet.crypto import suites
from signet.gateway import registered
from signet.gateway.model import Decoder, Event, InboundRequest
from signet.gateway.rest_v1 import decode
from signet.handshake.authorizer import Authorizer
from signet.handshake.challenge import NonceKeys, NonceScope, derive_key, issue_nonce
from signet.handshake.edge import EdgeKeys
from signet.handshake.emitter import EmitterCounter
from signet.handshake.issuer import ChallengeIssuer, Limits
from signet.handshake.request import Site
from signet.handshake.verifier import RequestVerifier
from signet.policy.bundle import read_folder
from signet.policy.engine import PolicyEngine
from tests.fakes.bundles import MemoryBundles

ROOT = Path(__file__).resolve().parents[2]
NOW_MS = 1_795_392_000_000  # 2026-11-23T00:00:00Z
SECRET = b"a test deployment's secret, used nowhere else"
AUTHORITY = "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
EDGE_AUTHORITY = "api.example.com"
EDGE_KEYS = {kid: hashlib.sha256(f"key {kid} of a test edge".encode()).digest() for kid in ("e1", "e2")}
EXPORTER = hashlib.sha256(b"the caller's connection").digest()
OWN = Api(OWN_API, "a1b2c3d4e5", "", PayloadKind.REST_V1, "", frozenset({"default", EDGE_AUTHORITY}))
COVERED = ("@method", "@authority", "@path", "@query")

# In the shape AWS gives the events of REQUEST authorizers: events/README.md has the sources.
REAL_EVENT: dict[str, Any] = {
    "type": "REQUEST",
    "methodArn": "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/prod/GET/protected",
    "resource": "/protected",
    "path": "/protected",
    "httpMethod": "GET",
    "headers": {},
    "multiValueHeaders": {},
    "queryStringParameters": {},
    "multiValueQueryStringParameters": {},
    "pathParameters": {},
    "stageVariables": {},
    "requestContext": {
        "resourceId": "x7k2p9",
        "resourcePath": "/protected",
        "httpMethod": "GET",
        "extendedRequestId": "UxyzABCdoAMEfQg=",
        "requestTime": "23/Nov/2026:00:00:00 +0000",
        "path": "/prod/protected",
        "accountId": "123456789012",
        "protocol": "HTTP/1.1",
        "stage": "prod",
        "domainPrefix": "a1b2c3d4e5",
        "requestTimeEpoch": NOW_MS,
        "requestId": "5c8f4f9e-3f34-4c6e-9f2b-2f8c1c0e7a11",
        "identity": {
            "cognitoIdentityPoolId": None,
            "accountId": None,
            "cognitoIdentityId": None,
            "caller": None,
            "sourceIp": "203.0.113.7",
            "principalOrgId": None,
            "accessKey": None,
            "cognitoAuthenticationType": None,
            "cognitoAuthenticationProvider": None,
            "userArn": None,
            "userAgent": "test",
            "user": None,
        },
        "domainName": AUTHORITY,
        "deploymentId": "d3p10y",
        "apiId": "a1b2c3d4e5",
    },
}
# What the gateway adds to what a client sent.
ADDED_FIELDS = {
    "X-Amzn-Trace-Id": "Root=1-6b038500-0123456789abcdef01234567",
    "X-Forwarded-For": "203.0.113.7",
    "X-Forwarded-Port": "443",
    "X-Forwarded-Proto": "https",
}


#: URL of Signet's own API.
OWN_URL = "https://s1gn3t.execute-api.eu-central-1.amazonaws.com/prod"


@dataclass(frozen=True)
class FixedApis:
    """A registry that never changes."""

    apis: tuple[Api, ...] = (OWN,)

    def find(self, api_id: str, stage: str) -> Api | None:
        return next((api for api in self.apis if api.api_id == api_id and api.stage in ("", stage)), None)

    def named(self, name: str) -> Api | None:
        return next((api for api in self.apis if api.name == name), None)

    def names(self) -> tuple[str, ...]:
        return tuple(api.name for api in self.apis)


def own(event: Event, *authorities: str) -> InboundRequest:
    """Read an event of Signet's own API, which answers under these names too, as REST APIs send them."""
    return registered.decode(event, replace(OWN, authorities=OWN.authorities.union(authorities)))


def policy_files(overlay: str = "development") -> dict[str, bytes]:
    """The policy in force where no edge stands in front; with overlay "" the one that ships."""
    return read_folder(ROOT / "policy", overlay)


def algorithm(private: suites.PrivateKey, name: str | None = None) -> type[HTTPSignatureAlgorithm]:
    """Plug one of our suites into http-message-signatures."""

    class Plugged(HTTPSignatureAlgorithm):
        algorithm_id = name or private.alg

        def __init__(self, public_key: object = None, private_key: object = None) -> None:
            pass

        def sign(self, message: bytes) -> bytes:
            return private.sign(message)

    return Plugged


class AnyKey(HTTPSignatureKeyResolver):
    """The plugged algorithm holds its key itself."""

    def resolve_private_key(self, key_id: str) -> object:
        return key_id

    def resolve_public_key(self, key_id: str) -> object:
        return key_id


@dataclass
class Message:
    method: str
    url: str
    headers: dict[str, str]


@dataclass
class MemoryNonces:
    spent: dict[bytes, int] = field(default_factory=dict)

    def spend(self, nonce_sha256: bytes, *, expires_at: int) -> bool:
        if nonce_sha256 in self.spent:
            return False
        self.spent[nonce_sha256] = expires_at
        return True


@dataclass
class MemoryClients:
    entries: dict[str, Client]
    reads: int = 0

    def get(self, keyid: str) -> Client | None:
        self.reads += 1
        return self.entries.get(keyid)


@cache
def _compiled(minimum_binding: str | None) -> PolicyEngine:
    """Return the policy; with a binding, one that demands it on every route. Shared: compiling takes long."""
    files = policy_files()
    if minimum_binding is not None:
        document = json.loads(files["config.json"])
        for route in document["config"]["routes"].values():
            route["minimum_binding"] = minimum_binding
        files["config.json"] = json.dumps(document).encode()
    return PolicyEngine(files)


class World:
    """Everything a verifier needs, with a key of every suite registered as ``caller-<n>``."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.keys = {alg: suites.get(alg).generate() for alg in suites.NAMES}
        self.keyids = {alg: f"caller-{n}" for n, alg in enumerate(suites.NAMES, 1)}
        self.nonces = MemoryNonces()
        self.bundles = MemoryBundles()
        self.level = BreakerLevel.FULL
        self.breaker: Breaker | None = None
        self.clients = MemoryClients(
            {
                self.keyids[alg]: Client(self.keyids[alg], alg, key.public_key_bytes)
                for alg, key in self.keys.items()
            }
        )
        self.minimum_binding: str | None = None
        self.decode: Decoder = decode
        self.api = OWN
        self._random = itertools.count(1)
        # Of its own: stored events hold these nonces, and what is judged in between must not change them.
        self._nonces = itertools.count(1)
        self._attested: dict[str, dict[str, Any]] = {}

    def require(self, binding: str) -> None:
        """Put a policy in force that demands this binding on every route."""
        assert not {"policy", "verifier"} & self.__dict__.keys(), "the policy is in use already"
        self.minimum_binding = binding

    def require_nothing(self) -> None:
        """Put the policy in force that demands no binding, also after ``require``."""
        self.minimum_binding = None
        self.__dict__.pop("policy", None)
        self.__dict__.pop("verifier", None)

    def register(self, keyid: str, alg: str = "ed25519", **changes: Any) -> None:
        """Register the suite's key under one more name."""
        self.clients.entries[keyid] = Client(keyid, alg, self.keys[alg].public_key_bytes, **changes)

    def random(self, size: int) -> bytes:
        return hashlib.shake_128(next(self._random).to_bytes(8)).digest(size)

    @cached_property
    def policy(self) -> PolicyEngine:
        return _compiled(self.minimum_binding)

    @cached_property
    def verifier(self) -> RequestVerifier:
        return RequestVerifier(
            issuer=ChallengeIssuer(
                site=Site("", "eu-central-1", "/prod"),
                limits=Limits(),
                nonce_keys=NonceKeys.from_secrets([SECRET]),
                policy=self.policy,
                breakers=OneBreaker(self.breaker or FixedBreaker(self.level)),
                random=self.random,
                edge_keys=EdgeKeys(EDGE_KEYS),
                own_url=lambda: OWN_URL,
            ),
            address_key=derive_key(SECRET, "address"),
            caller_key=derive_key(SECRET, "caller"),
            clients=self.clients,
            nonces=self.nonces,
            bundles=self.bundles,
        )

    def nonce(
        self, *, authority: str = AUTHORITY, bound: str | None = None, issued_ms: int | None = None
    ) -> str:
        scope = NonceScope(
            authority, bound or self.minimum_binding or "none", self.policy.epoch, self.api.name
        )
        keys = NonceKeys.from_secrets([SECRET])
        now_ms = self.now_ms if issued_ms is None else issued_ms
        drawn = hashlib.shake_128(b"nonce" + next(self._nonces).to_bytes(8)).digest(16)
        return issue_nonce(keys, scope, now_ms=now_ms, random=drawn)

    def event(
        self,
        method: str = "GET",
        path: str = "/protected",
        query: Mapping[str, list[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        resource: str | None = None,
    ) -> dict[str, Any]:
        """Return an unsigned event as API Gateway sends it to a REQUEST authorizer.

        ``path`` is the API's own; ``tests.support.shapes`` makes other shapes of the same request.
        """
        event = copy.deepcopy(REAL_EVENT)
        event["httpMethod"] = event["requestContext"]["httpMethod"] = method
        event["path"] = path
        event["requestContext"]["path"] = f"/prod{path}"
        event["resource"] = event["requestContext"]["resourcePath"] = resource or path
        event["methodArn"] = event["methodArn"].replace("/GET/protected", f"/{method}{path}")
        event["pathParameters"] = path_parameters(event["resource"], path)
        event["multiValueQueryStringParameters"] = dict(query or {})
        event["queryStringParameters"] = {n: v[-1] for n, v in (query or {}).items()}
        for name, value in {
            "Host": AUTHORITY,
            "Accept": "*/*",
            "User-Agent": "test",
            **ADDED_FIELDS,
            **(headers or {}),
        }.items():
            set_header(event, name, value)
        return event

    def edge_event(
        self,
        method: str = "GET",
        target: str = "/protected",
        *,
        resource: str | None = None,
        headers: Mapping[str, str] | None = None,
        **attested: Any,
    ) -> dict[str, Any]:
        """Return an unsigned event as it arrives from behind an edge that received ``target``.

        ``attested`` changes what the edge says (see ``attestation``).
        """
        path, _, query = target.partition("?")
        event = self.event(method, path, parse_qs(query, keep_blank_values=True), headers, resource)
        event["requestContext"]["identity"]["sourceIp"] = "10.0.0.5"  # the edge's own address
        attested = {"method": method, "target": target} | attested
        said = self.attestation(**attested)
        self._attested[said] = attested
        set_header(event, "Signet-Edge", said)
        return event

    def attestation(
        self,
        *,
        method: str = "GET",
        target: str = "/protected",
        exporter: bytes = EXPORTER,
        authority: str = EDGE_AUTHORITY,
        src: str = "198.51.100.9",
        kid: str = "e1",
        key: bytes | None = None,
        ts: int | None = None,
        version: int = 2,
        signature_input: str | None = None,
    ) -> str:
        """Return a ``Signet-Edge`` value, written down independently of the code under test."""
        seconds = self.now_ms // 1000 if ts is None else ts
        bound, path = (base64.b64encode(raw).decode() for raw in (exporter, target.encode("latin-1")))
        proof = "none" if signature_input is None else digest(signature_input.encode())[9:-1]
        told = [f"signet-edge-v{version}", kid, str(seconds), bound, method, authority, path, src]
        message = "\n".join(told if version == 1 else [*told, proof])
        mac = hmac.digest(EDGE_KEYS[kid] if key is None else key, message.encode(), "sha256")
        return (
            f'v={version}, kid="{kid}", ts={seconds}, exporter=:{bound}:, authority="{authority}", '
            f'target=:{path}:, src="{src}", mac=:{base64.b64encode(mac).decode()}:'
        )

    def sign(
        self,
        event: dict[str, Any],
        alg: str = "ed25519",
        *,
        keyid: str | None = None,
        nonce: str | None = None,
        created_ms: int | None = None,
        lives_s: int = 60,
        covered: tuple[str, ...] | None = None,
        label: str = "pch",
        tag: str = "pch-lite",
        named: str | None = None,
        key: suites.PrivateKey | None = None,
        url: str | None = None,
    ) -> dict[str, Any]:
        """Sign an event's request in place, as a client would have, and return it."""
        context = event["requestContext"]
        headers = {n.lower(): v[-1] for n, v in event["multiValueHeaders"].items()}
        query = "&".join(
            f"{n}={v}" for n, vs in sorted(event["multiValueQueryStringParameters"].items()) for v in vs
        )
        url = url or f"https://{headers['host']}{context['path']}" + (f"?{query}" if query else "")
        message = Message(context["httpMethod"], url, headers)
        if covered is None:
            extra = (
                *("content-digest", "content-type", "content-encoding", "pch-channel-binding"),
                *("pch-evidence", "pch-evidence-digest"),
            )
            covered = COVERED + tuple(name for name in extra if name in headers)
        created = (self.now_ms if created_ms is None else created_ms) // 1000
        signer = HTTPMessageSigner(
            signature_algorithm=algorithm(key or self.keys[alg], named), key_resolver=AnyKey()
        )
        signer.sign(
            message,
            key_id=keyid or self.keyids[alg],
            created=datetime.fromtimestamp(created, UTC),
            expires=datetime.fromtimestamp(created + lives_s, UTC),
            nonce=nonce or self.nonce(authority=urlsplit(url).netloc),
            label=label,
            tag=tag,
            covered_component_ids=covered,
            use_existing_digest="content-digest" in headers,
        )
        for name in ("Signature-Input", "Signature"):
            set_header(event, name, message.headers[name])
        if (
            headers.get("signet-edge") in self._attested
        ):  # an edge sees the request after its client signed it
            self.attest(event)
        return event

    def attest(self, event: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """Attest an event of ``edge_event`` anew, as it stands now; ``changes`` as for ``attestation``."""
        attested = self._attested[event["headers"]["Signet-Edge"]]
        proof = {"signature_input": event["headers"].get("Signature-Input")}
        said = self.attestation(**proof | attested | changes)
        self._attested[said] = attested
        set_header(event, "Signet-Edge", said)
        return event

    def detach(
        self,
        event: dict[str, Any],
        evidence: bytes | None = None,
        *,
        signature: bool = True,
        stored: Callable[[bytes], bytes] = lambda bundle: bundle,
        lives_s: int = 300,
    ) -> dict[str, Any]:
        """Move a signed event's signature, and evidence, into a stored bundle, as a client would have.

        ``stored`` changes the bundle before it is stored under the digest of what it has become.
        """
        members: dict[str, Any] = {} if evidence is None else {"evidence": json.loads(evidence)}
        if signature:
            members["signature"] = event["headers"]["Signature"].removeprefix("pch=:").removesuffix(":")
            drop_header(event, "Signature")
        bundle = stored(rfc8785.dumps(members))
        self.bundles.put(hashlib.sha256(bundle).digest(), bundle, expires_at=self.now_ms // 1000 + lives_s)
        set_header(event, "PCH-Proof", digest(bundle))
        return event

    def decoded(self, event: Event) -> InboundRequest:
        """Read an event as one of the world's API, in the payload that the world speaks."""
        return replace(self.decode(event), api=self.api)

    def reason(self, event: dict[str, Any], *, now_ms: int | None = None) -> str:
        """What the verifier decides."""
        return self.verifier.judge(
            self.decoded(event), now_ms=self.now_ms if now_ms is None else now_ms
        ).reason.value


def authorizer_of(
    world: World,
    sent: list[bytes],
    apis: ApiRegistry | None = None,
    beside: list[tuple[bytes, bytes | None]] | None = None,
) -> Authorizer:
    """Return an authorizer over the world; the messages that it queues go to the end of ``sent``.

    To the end of ``beside`` go the same with their transcripts.
    """

    class Queue:
        def send(
            self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None
        ) -> None:
            sent.append(message)
            if beside is not None:
                beside.append((message, transcript))

    counter = EmitterCounter(world.random)
    return Authorizer(world.verifier, Queue(), counter, world.random, lambda: 0, apis or FixedApis())


def issuing(verifier: RequestVerifier, **changes: Any) -> RequestVerifier:
    """Return the verifier with an issuer that differs in this."""
    return replace(verifier, issuer=replace(verifier.issuer, **changes))


def path_parameters(resource: str, path: str) -> dict[str, str]:
    """What fills a resource's parameters in, as API Gateway tells it: escapes kept, no slash at the end."""
    names, values = resource.split("/")[1:], path.removesuffix("/").split("/")[1:]
    found = {}
    for number, name in enumerate(names[: len(values)]):
        if name.endswith("+}"):
            found[name[1:-2]] = "/".join(values[number:])
        elif name.startswith("{"):
            found[name[1:-1]] = values[number]
    return found


def drop_header(event: dict[str, Any], name: str) -> None:
    """Remove a header field from both of the event's maps."""
    for key in [k for k in event["multiValueHeaders"] if k.lower() == name.lower()]:
        del event["multiValueHeaders"][key], event["headers"][key]


def set_header(event: dict[str, Any], name: str, value: str) -> None:
    """Replace a header field in both of the event's maps."""
    drop_header(event, name)
    event["headers"][name] = value
    event["multiValueHeaders"][name] = [value]


def edit_header(event: dict[str, Any], name: str, edit: Callable[[str], str]) -> dict[str, Any]:
    """Change a header field's value in both maps and return the event."""
    set_header(event, name, edit(event["headers"][name]))
    return event


def digest(body: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


def digest_of(field: str) -> bytes:
    """The 32 bytes in a digest field."""
    return base64.b64decode(field.removeprefix("sha-256=:").removesuffix(":"))
