"""A client moves bulk out of its header fields by itself, when it has to and not before."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from typer.testing import CliRunner

from signet.core.errors import UsageError
from signet.crypto import keyfiles, suites
from signet.handshake.challenge import Challenge
from signet_client import PCHAuth
from signet_client.cli import app
from signet_client.messages import EvidencePosted
from signet_client.placement import RESERVE, Form, ProofPlacement, header_bytes
from signet_client.signing import Plain, Signer
from tests.support.cases import CERTIFICATE
from tests.support.pch_server import NO_AUTHORITIES, PchServer, running

KEYS = {alg: suites.get(alg).generate() for alg in ("ed25519", "ml-dsa-65")}
SMALL = {"build": 42}
LARGE = {"sbom": ["a" * 100] * 120}  # 12 KB
Send = Callable[..., int]


@pytest.fixture
def server() -> Iterator[PchServer]:
    with running(dict(KEYS)) as running_server:
        yield running_server


def _httpx(auth: PCHAuth, url: str, **options: Any) -> int:
    with httpx.Client(auth=auth, verify=NO_AUTHORITIES) as client:
        return client.request("POST", url, **options).status_code


def _async(auth: PCHAuth, url: str, **options: Any) -> int:
    async def run() -> int:
        async with httpx.AsyncClient(auth=auth, verify=NO_AUTHORITIES) as client:
            return (await client.request("POST", url, **options)).status_code

    return asyncio.run(run())


def _requests(auth: PCHAuth, url: str, **options: Any) -> int:
    data = options.pop("content", None)
    with requests.Session() as session:
        return session.request("POST", url, auth=auth, data=data, **options).status_code


@pytest.fixture(params=[_httpx, _async, _requests], ids=["httpx", "async", "requests"])
def send(request: pytest.FixtureRequest) -> Send:
    function: Send = request.param
    return function


def _auth(alg: str = "ml-dsa-65", **options: Any) -> PCHAuth:
    return PCHAuth(KEYS[alg], alg, **options)


def _layout(server: PchServer) -> list[tuple[str, bool, bool, bool]]:
    """Of every signed request: path, signature inline, evidence inline, bundle named."""
    return [
        (s.target, "signature" in s.headers, "pch-evidence" in s.headers, "pch-proof" in s.headers)
        for s in server.seen
        if s.signed
    ]


def test_twelve_kilobytes_of_evidence_under_ml_dsa_pass_by_themselves(server: PchServer, send: Send):
    assert send(_auth(evidence=LARGE), f"{server.origin}/protected", content=b"hello") == 200
    assert [s.target for s in server.seen] == ["/protected", "/pch/evidence", "/protected"]
    assert server.seen[1].headers["content-type"] == "application/json"
    final = server.seen[-1]
    assert final.covered['"pch-evidence-digest"'] == final.headers["pch-evidence-digest"]
    assert sum(map(len, final.headers.values())) < 6_000
    assert final.body == b"hello"
    [bundle] = server.bundles.values()
    assert bundle == {"evidence": LARGE}  # the signature alone fits


def test_what_fits_stays_inline(server: PchServer, send: Send):
    assert send(_auth(evidence=SMALL), f"{server.origin}/protected") == 200
    assert _layout(server) == [("/protected", True, True, False)]


@pytest.mark.parametrize(
    ("alg", "evidence", "layout"),
    [
        ("ed25519", None, (True, False, False)),
        ("ed25519", SMALL, (True, True, False)),
        ("ed25519", LARGE, (True, False, True)),
        ("ml-dsa-65", None, (False, False, True)),
        ("ml-dsa-65", LARGE, (False, False, True)),
    ],
)
def test_low_budget_moves_no_more_than_it_has_to(
    server: PchServer, send: Send, alg: str, evidence: Any, layout: tuple[bool, bool, bool]
):
    server.behaviour.announced = server.behaviour.budget = 2048
    assert send(_auth(alg, evidence=evidence), f"{server.origin}/protected") == 200
    assert _layout(server) == [("/protected", *layout)]


def test_client_over_an_unannounced_budget_relaxes_once(server: PchServer, send: Send):
    server.behaviour.budget = 2048
    assert send(_auth(evidence=SMALL), f"{server.origin}/protected") == 200
    assert _layout(server) == [("/protected", True, True, False), ("/protected", False, False, True)]


def test_client_that_cannot_get_smaller_gives_up(server: PchServer, send: Send):
    server.behaviour.budget = 100
    assert send(_auth(evidence=SMALL), f"{server.origin}/protected") == 401
    assert len(_layout(server)) == 2
    server.seen.clear()
    assert send(_auth(evidence=SMALL, mode="inline"), f"{server.origin}/protected") == 401
    assert [layout[1:] for layout in _layout(server)] == [(True, True, False)]


@pytest.mark.parametrize(
    ("mode", "layout"), [("inline", (True, True, False)), ("detached", (False, False, True))]
)
def test_mode_is_obeyed(server: PchServer, send: Send, mode: str, layout: tuple[bool, bool, bool]):
    assert send(_auth(evidence=SMALL, mode=mode), f"{server.origin}/protected") == 200
    assert _layout(server) == [("/protected", *layout)]


def test_one_client_relaxes_again_and_again(server: PchServer, send: Send):
    auth = _auth(evidence=LARGE)
    for _ in range(3):
        assert send(auth, f"{server.origin}/protected") == 200
    assert len(server.spent) == 3


def test_nonce_kept_from_a_refusal_is_good_for_a_bundle_too(server: PchServer, send: Send):
    auth = _auth(evidence=LARGE)
    server.behaviour.fail_signed = ["policy_denied"]
    assert send(auth, f"{server.origin}/protected") == 401
    assert send(auth, f"{server.origin}/protected") == 200


def test_nonce_that_expired_at_the_evidence_endpoint_is_replaced_once(server: PchServer, send: Send):
    server.behaviour.evidence_answers = [401]
    assert send(_auth(evidence=LARGE), f"{server.origin}/protected") == 200
    server.behaviour.evidence_answers = [401, 401, 401]
    assert send(_auth(evidence=LARGE), f"{server.origin}/protected") == 401
    assert server.behaviour.evidence_answers == [401]


@pytest.mark.parametrize("status", [429, 503])
def test_shedding_at_the_evidence_endpoint_is_the_answer(server: PchServer, send: Send, status: int):
    server.behaviour.evidence_answers = [status]
    assert send(_auth(evidence=LARGE), f"{server.origin}/protected") == status
    assert [s.target for s in server.seen][-1] == "/pch/evidence"


@pytest.mark.parametrize("status", [400, 404, 413, 500])
def test_server_that_does_not_take_evidence_is_said_so(server: PchServer, send: Send, status: int):
    server.behaviour.evidence_answers = [status]
    with pytest.raises(UsageError, match=f"did not take the evidence \\({status}\\)"):
        send(_auth(evidence=LARGE), f"{server.origin}/protected")


@pytest.mark.parametrize("uri", ["", "https://evil.example.com/pch/evidence", "//evil.example.com/x"])
def test_evidence_goes_to_no_other_origin(server: PchServer, send: Send, uri: str):
    server.behaviour.evidence_uri = uri
    with pytest.raises(UsageError, match="does not say where evidence goes"):
        send(_auth(evidence=LARGE), f"{server.origin}/protected")


def test_evidence_beyond_a_bundle_is_refused_before_it_is_sent(server: PchServer, send: Send):
    with pytest.raises(UsageError, match="send less evidence"):
        send(_auth(evidence={"a": "a" * 65_536}), f"{server.origin}/protected")
    assert not any(s.signed for s in server.seen)


def test_callers_credentials_do_not_travel_with_the_bundle(server: PchServer):
    with httpx.Client(auth=_auth(evidence=LARGE), headers={"X-Api-Key": "k"}, cookies={"c": "1"}) as client:
        assert client.get(f"{server.origin}/protected").status_code == 200
    post = next(s for s in server.seen if s.target == "/pch/evidence")
    assert {"x-api-key", "cookie", "authorization"}.isdisjoint(post.headers)


def test_unknown_mode_is_refused():
    with pytest.raises(UsageError, match="no mode 'loud'"):
        _auth(mode="loud")


def challenge(**changes: Any) -> Challenge:
    usual: dict[str, Any] = {"nonce": "n", "header_budget": 0, "error": "challenge_required"}
    named = ("realm", "binding", "challenge_uri", "evidence_uri")
    return Challenge(**dict.fromkeys(named, ""), algs=(), **usual | changes)


def test_budget_is_exact_to_the_byte():
    placement = ProofPlacement(Signer(KEYS["ed25519"], "ed25519"), b'{"a":"' + b"a" * 200 + b'"}')
    request = Plain("GET", "https://api.example.com/x", {"host": "api.example.com", "accept": "*/*"}, b"")

    def form(budget: int) -> Form:
        return placement.prepare(request, challenge(header_budget=budget), now=0).form

    fields = placement.prepare(request, challenge(), now=0).signed.fields
    needed = header_bytes(request, fields) + RESERVE
    assert header_bytes(request, fields) == len("api.example.com*/*") + sum(map(len, fields.values()))
    assert (form(needed), form(needed - 1)) == (Form.INLINE, Form.EVIDENCE_APART)
    assert (form(0), form(1)) == (Form.INLINE, Form.DETACHED)


def test_observer_hears_of_the_bundle(server: PchServer):
    events: list[Any] = []
    _httpx(_auth(evidence=LARGE, observer=events.append), f"{server.origin}/protected")
    [posted] = [e for e in events if isinstance(e, EvidencePosted)]
    assert (posted.url, posted.status) == (f"{server.origin}/pch/evidence", 201)
    assert posted.size > 12_000


@pytest.mark.parametrize("mode", ["auto", "detached"])
def test_call_puts_evidence_on_record_whatever_its_size(server: PchServer, tmp_path: Path, mode: str):
    key, evidence = tmp_path / "key.pem", tmp_path / "evidence.json"
    key.write_bytes(keyfiles.dump_private(KEYS["ml-dsa-65"]))
    evidence.write_text(json.dumps(LARGE))
    arguments = [
        "call", f"{server.origin}/protected", "--key", key, "--keyid", "ml-dsa-65",
        "--evidence", evidence, "--mode", mode,
    ]  # fmt: skip
    told = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["bundle_bytes"] > 12_000
    shown = CliRunner().invoke(app, list(map(str, arguments)))
    assert "bytes in a bundle" in shown.stdout


def test_a_certificates_binding_is_signed_whichever_way_the_proof_travels(server: PchServer, tmp_path: Path):
    certificate = tmp_path / "caller.pem"
    certificate.write_text(CERTIFICATE)
    auth = _auth(binding="tls-client-cert", certificate=certificate, evidence=LARGE, mode="detached")
    assert _httpx(auth, f"{server.origin}/protected") == 200
    assert _layout(server) == [("/protected", False, False, True)]
    assert {'"pch-channel-binding"', '"pch-evidence-digest"'} <= set(server.seen[-1].covered)


def test_the_servers_clock_is_used_for_detached_proofs_too(server: PchServer, send: Send):
    server.behaviour.window_s = 30
    auth = _auth(evidence=LARGE, mode="detached", unix_clock=lambda: time.time() - 3600)
    assert send(auth, f"{server.origin}/protected") == 200
    assert [entry[1:] for entry in _layout(server)] == [(False, False, True)] * 2
    assert send(auth, f"{server.origin}/protected") == 200
    assert len(_layout(server)) == 3
