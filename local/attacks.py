"""Attacks on the handshake, for demo and integration tests: each is refused, for its own reason."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx

from signet.crypto import suites
from signet.handshake.proof import LABEL
from signet_client.signing import Plain, Signer, binding_field, sign

Outcome = tuple[int, list[str]]
Attack = Callable[["Attacker"], Outcome]


@dataclass
class Attacker:
    """An attacker with network access, some keys, and copies of other callers' requests.

    Attributes:
        client: HTTP client, which trusts the edge's certificate if an edge is attacked.
        outputs: the stack's outputs.
        signers: registered keys by suite name, and ``mallory``, whose key was revoked.
        edge_url: where the TLS edge answers; empty if attacks on the binding are left out.
    """

    client: httpx.Client
    outputs: Mapping[str, str]
    signers: Mapping[str, Signer]
    edge_url: str = ""

    def nonce(self) -> str:
        """Fetch a fresh nonce."""
        answer: str = self.client.get(self.outputs["ChallengeUrl"]).json()["nonce"]
        return answer

    def bound_elsewhere(self, url: str, challenge_url: str) -> dict[str, str]:
        """Return the header fields of a good request that is bound to a connection other than ours."""
        nonce = self.client.get(challenge_url).json()["nonce"]
        signed = sign(
            Plain("GET", url, {}, b""),
            self.signers["ed25519"],
            nonce=nonce,
            now=int(time.time()),
            binding=binding_field("tls-exporter", os.urandom(32)),
        )
        return dict(signed.fields)

    def proof(
        self,
        method: str,
        url: str,
        alg: str,
        *,
        body: bytes = b"",
        nonce: str = "",
        keyid: str = "",
        key: str = "",
    ) -> dict[str, str]:
        """Return the header fields of a signed request."""
        signer = self.signers[key or alg]
        signer = Signer(signer.key, keyid or signer.keyid)
        signed = sign(Plain(method, url, {}, body), signer, nonce=nonce or self.nonce(), now=int(time.time()))
        return dict(signed.fields)

    def send(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> int:
        """Send a request as it is, and return the status."""
        return self.client.request(method, url, headers=dict(headers), content=body).status_code

    @property
    def url(self) -> str:
        """The protected resource."""
        return self.outputs["ProtectedUrl"]


def _replay(a: Attacker) -> Outcome:
    proof = a.proof("GET", a.url, "ed25519")
    a.send("GET", a.url, proof)
    return a.send("GET", a.url, proof), ["ok", "nonce_replayed"]


def _path(a: Attacker) -> Outcome:
    return a.send("GET", f"{a.url}/7", a.proof("GET", a.url, "ed25519")), ["bad_signature"]


def _method(a: Attacker) -> Outcome:
    return a.send("DELETE", a.url, a.proof("GET", a.url, "ecdsa-p256-sha256")), ["bad_signature"]


def _query(a: Attacker) -> Outcome:
    return a.send("GET", f"{a.url}?admin=1", a.proof("GET", a.url, "ml-dsa-65")), ["bad_signature"]


def _flipped(a: Attacker) -> Outcome:
    proof = a.proof("GET", a.url, "ed25519+ml-dsa-65")
    at = 100
    proof["Signature"] = (
        proof["Signature"][:at]
        + ("A" if proof["Signature"][at] != "A" else "B")
        + proof["Signature"][at + 1 :]
    )
    return a.send("GET", a.url, proof), ["bad_signature"]


def _half(a: Attacker) -> Outcome:
    hybrid = a.signers["ed25519+ml-dsa-65"].keyid
    return a.send("GET", a.url, a.proof("GET", a.url, "ed25519", keyid=hybrid)), ["alg_mismatch"]


def _impersonated(a: Attacker) -> Outcome:
    proof = a.proof("GET", a.url, "ed25519", key="mallory", keyid=a.signers["ed25519"].keyid)
    return a.send("GET", a.url, proof), ["bad_signature"]


def _stranger(a: Attacker) -> Outcome:
    key = suites.get("ed25519").generate()
    signed = sign(
        Plain("GET", a.url, {}, b""), Signer(key, "stranger"), nonce=a.nonce(), now=int(time.time())
    )
    return a.send("GET", a.url, signed.fields), ["unknown_key"]


def _revoked(a: Attacker) -> Outcome:
    return a.send("GET", a.url, a.proof("GET", a.url, "ed25519", key="mallory")), ["key_revoked"]


def _forged_nonce(a: Attacker) -> Outcome:
    nonce = a.nonce()
    forged = nonce[:20] + ("A" if nonce[20] != "A" else "B") + nonce[21:]
    return a.send("GET", a.url, a.proof("GET", a.url, "ed25519", nonce=forged)), ["nonce_invalid"]


def _old(a: Attacker) -> Outcome:
    signer = a.signers["ed25519"]
    signed = sign(Plain("GET", a.url, {}, b""), signer, nonce=a.nonce(), now=int(time.time()) - 3600)
    return a.send("GET", a.url, signed.fields), ["created_out_of_window"]


def _double_base64(a: Attacker) -> Outcome:
    proof = a.proof("GET", a.url, "ed25519")
    proof["Signature"] = proof["Signature"].replace("==:", ":")
    return a.send("GET", a.url, proof), ["malformed"]


def _fat(a: Attacker) -> Outcome:
    proof = a.proof("GET", a.url, "ed25519")
    return a.send("GET", a.url, {**proof, "X-Padding": "x" * 8200}), ["header_budget_exceeded"]


def _unsigned_body(a: Attacker) -> Outcome:
    # The client signs a digest with each POST: so this is a proof of a GET, signed again as one of a POST.
    signer = a.signers["ed25519"]
    signed = sign(Plain("GET", a.url, {}, b""), signer, nonce=a.nonce(), now=int(time.time()))
    signature = signer.key.sign(signed.base.replace(b'"@method": GET', b'"@method": POST'))
    proof = {**signed.fields, "Signature": f"{LABEL}=:{base64.b64encode(signature).decode()}:"}
    return a.send("POST", a.url, proof, b"pay 1"), ["digest_missing"]


def _swapped_body(a: Attacker) -> Outcome:
    # The authorizer cannot see a body: it lets the signed digest through, and the backend refuses.
    proof = a.proof("POST", a.url, "ed25519", body=b"pay 1")
    return a.send("POST", a.url, proof, b"pay 9"), ["ok"]


def _pack_as_caller(a: Attacker) -> Outcome:
    body = b'{"date":"2026-01-01"}'
    proof = a.proof("POST", a.outputs["PackUrl"], "ed25519", body=body)
    return a.send("POST", a.outputs["PackUrl"], proof, body), ["policy_denied"]


ATTACKS: Mapping[str, Attack] = {
    "a recorded request sent again": _replay,
    "a signature moved to another path": _path,
    "GET turned into DELETE": _method,
    "a query parameter added": _query,
    "one character of a hybrid signature changed": _flipped,
    "half of a hybrid key used alone": _half,
    "another caller's name with one's own key": _impersonated,
    "a stranger's key": _stranger,
    "a revoked key": _revoked,
    "a forged nonce": _forged_nonce,
    "a signature of an hour ago": _old,
    "the same signature in another encoding": _double_base64,
    "10 KB of headers": _fat,
    "a body that is not signed for": _unsigned_body,
    "a body changed after signing": _swapped_body,
    "a caller who asks for the compliance pack": _pack_as_caller,
}


def _other_connection(a: Attacker) -> Outcome:
    url = f"{a.edge_url}/protected"
    proof = a.bound_elsewhere(url, f"{a.edge_url}/pch/challenge")
    return a.send("GET", url, proof), ["binding_mismatch"]


def _around_the_edge(a: Attacker) -> Outcome:
    return a.send("GET", a.url, a.bound_elsewhere(a.url, a.outputs["ChallengeUrl"])), ["binding_missing"]


def _forged_attestation(a: Attacker) -> Outcome:
    proof = a.proof("GET", a.url, "ed25519")
    return a.send("GET", a.url, {**proof, "Signet-Edge": 'v=2, kid="e1"'}), ["edge_attestation_invalid"]


BINDING_ATTACKS: Mapping[str, Attack] = {
    "a request bound to another TLS connection": _other_connection,
    "a bound request sent around the edge": _around_the_edge,
    "a made-up edge attestation": _forged_attestation,
}
