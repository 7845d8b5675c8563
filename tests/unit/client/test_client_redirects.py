"""A proof stays where it belongs, on every redirect: two servers note what reaches them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from signet.core.errors import NotFoundError, UsageError
from signet.crypto import suites
from signet_client import AsyncExporterTransport, ExporterAdapter, ExporterTransport, PCHAuth
from signet_client.answers import moved
from signet_client.messages import Answer
from signet_client.signing import PROOF_FIELDS, Plain
from tests.support.pch_server import NO_AUTHORITIES, PchServer, Seen, running
from tests.support.tls_server import Authority, serving

KEY = suites.get("ed25519").generate()
REDIRECTS = (301, 302, 303, 307, 308)

Send = Callable[..., int]


@pytest.fixture
def server() -> Iterator[PchServer]:
    with running({"caller": KEY}) as running_server:
        yield running_server


@pytest.fixture
def other() -> Iterator[PchServer]:
    with running({"caller": KEY}) as running_server:
        yield running_server


def _httpx(auth: PCHAuth, method: str, url: str, body: Any = None) -> int:
    with httpx.Client(auth=auth, follow_redirects=True, verify=NO_AUTHORITIES) as client:
        return client.request(method, url, content=body).status_code


def _async(auth: PCHAuth, method: str, url: str, body: Any = None) -> int:
    async def run() -> int:
        async with httpx.AsyncClient(auth=auth, follow_redirects=True, verify=NO_AUTHORITIES) as client:
            return (await client.request(method, url, content=body)).status_code

    return asyncio.run(run())


def _requests(auth: PCHAuth, method: str, url: str, body: Any = None) -> int:
    with requests.Session() as session:
        return session.request(method, url, data=body, auth=auth).status_code


@pytest.fixture(params=[_httpx, _async, _requests], ids=["httpx", "async", "requests"])
def send(request: pytest.FixtureRequest) -> Send:
    function: Send = request.param
    return function


def _auth(server: PchServer, **options: Any) -> PCHAuth:
    return PCHAuth(KEY, "caller", challenge_url=f"{server.origin}/pch/challenge", **options)


def _redirect(server: PchServer, path: str, to: str, status: int = 307) -> None:
    server.behaviour.answers[path] = (status, {"Location": to}, b"")


def _proof_in(seen: Seen) -> set[str]:
    return (PROOF_FIELDS | {"pch-nonce"}) & seen.headers.keys()


@pytest.mark.parametrize("status", REDIRECTS)
def test_an_unspent_proof_never_goes_to_another_origin(
    server: PchServer, other: PchServer, send: Send, status: int
):
    _redirect(server, "/protected", f"{other.origin}/protected", status)
    auth = _auth(server, evidence={"secret": 1}, mode="inline")
    assert send(auth, "POST", f"{server.origin}/protected", b"content") == 401
    assert server.seen[-1].signed
    assert [_proof_in(seen) for seen in other.seen] == [set()]
    assert "content-digest" not in other.seen[0].headers


@pytest.mark.parametrize("status", REDIRECTS)
def test_a_redirect_on_the_same_origin_is_not_signed(server: PchServer, send: Send, status: int):
    _redirect(server, "/protected/old", "/protected/new", status)
    with pytest.raises(
        UsageError, match=r"redirects POST \S+/protected/old to \w+ \S+/protected/new, which asks"
    ):
        send(_auth(server), "POST", f"{server.origin}/protected/old", b"x")
    assert [seen.signed for seen in server.seen if seen.target == "/protected/new"] == [False]
    assert not _proof_in(server.seen[-1])


def test_a_redirect_of_the_unsigned_request_is_not_signed_either(server: PchServer, send: Send):
    _redirect(server, "/old", "/protected/new")
    with pytest.raises(UsageError, match="call that address"):
        send(PCHAuth(KEY, "caller"), "POST", f"{server.origin}/old", b"x")
    assert not any(seen.signed for seen in server.seen)


def test_a_redirect_to_what_needs_no_proof_is_followed(server: PchServer, send: Send):
    _redirect(server, "/protected", "/public")
    server.behaviour.answers["/public"] = (200, {}, b"")
    assert send(_auth(server), "GET", f"{server.origin}/protected") == 200
    assert server.targets[-2:] == ["GET /protected signed", "GET /public"]


def test_a_proof_that_was_refused_is_taken_off_as_well(server: PchServer, other: PchServer, send: Send):
    """What goes out first is signed with a nonce kept from before."""
    auth = PCHAuth(KEY, "caller")
    server.behaviour.fail_signed = ["policy_denied"]
    assert send(auth, "GET", f"{server.origin}/protected") == 401
    _redirect(server, "/protected", f"{other.origin}/protected")
    assert send(auth, "GET", f"{server.origin}/protected") == 401
    assert server.targets[-1] == "GET /protected signed"
    assert [_proof_in(seen) for seen in other.seen] == [set()]


def test_a_challenge_is_fetched_from_no_redirect(server: PchServer, other: PchServer, send: Send):
    _redirect(server, "/pch/challenge", f"{other.origin}/pch/challenge?target=/protected")
    server.behaviour.refusal = "bare"
    with pytest.raises((UsageError, NotFoundError), match="challenge"):
        send(_auth(server), "GET", f"{server.origin}/protected")
    assert other.seen == []


def test_a_challenge_is_fetched_from_no_redirect_on_its_own_origin(server: PchServer, send: Send):
    _redirect(server, "/pch/challenge", "/elsewhere")
    server.behaviour.refusal = "bare"
    with pytest.raises((UsageError, NotFoundError), match="challenge"):
        send(_auth(server), "GET", f"{server.origin}/protected")
    assert not any(seen.target.startswith("/elsewhere") for seen in server.seen)


@pytest.mark.parametrize("status", REDIRECTS)
def test_evidence_is_posted_to_no_redirect(server: PchServer, other: PchServer, send: Send, status: int):
    _redirect(server, "/pch/evidence", f"{other.origin}/pch/evidence", status)
    auth = _auth(server, evidence={"secret": 1}, mode="detached")
    with pytest.raises(UsageError, match=r"redirect|did not take the evidence"):
        send(auth, "GET", f"{server.origin}/protected")
    assert other.seen == []


@pytest.mark.parametrize("follow", [True, False])
def test_the_next_request_holds_no_proof(server: PchServer, other: PchServer, follow: bool):
    _redirect(server, "/protected", f"{other.origin}/protected")
    with httpx.Client(auth=_auth(server), verify=NO_AUTHORITIES) as client:
        answer = client.get(f"{server.origin}/protected")
        assert answer.status_code == 307
        assert answer.next_request is not None
        client.send(answer.next_request, auth=None, follow_redirects=follow)
    with requests.Session() as session:
        response = session.get(f"{server.origin}/protected", auth=_auth(server), allow_redirects=False)
        assert response.next is not None
        session.send(response.next, allow_redirects=follow)
    assert [_proof_in(seen) for seen in other.seen] == [set(), set()]


def test_a_proof_over_the_exporter_is_not_taken_along(
    other: PchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Also where the redirect leads to another transport, which knows nothing of proofs."""
    for name in ("NO_PROXY", "no_proxy"):  # httpx takes what they name out of the mounts
        monkeypatch.delenv(name, raising=False)
    authority = Authority(tmp_path)
    with serving({"caller": KEY}, authority.issue("localhost")) as tls:
        origin = tls.url.rpartition("/")[0]
        _redirect(tls.pch, "/protected", f"{other.origin}/protected")
        auth = PCHAuth(KEY, "caller", binding="tls-exporter", challenge_url=f"{origin}/pch/challenge")
        trusted = str(authority.file)
        mounts = {"https://": ExporterTransport(verify=trusted)}
        with httpx.Client(auth=auth, mounts=mounts, follow_redirects=True, verify=NO_AUTHORITIES) as client:
            assert client.get(tls.url).status_code == 401

        async def run() -> int:
            found = {"https://": AsyncExporterTransport(verify=trusted)}
            async with httpx.AsyncClient(
                auth=auth, mounts=found, follow_redirects=True, verify=NO_AUTHORITIES
            ) as client:
                return (await client.get(tls.url)).status_code

        assert asyncio.run(run()) == 401
        with requests.Session() as session:
            session.mount("https://", ExporterAdapter())
            assert session.get(tls.url, auth=auth, verify=trusted).status_code == 401
        assert sum(seen.signed for seen in tls.pch.seen) == 3
    assert [_proof_in(seen) for seen in other.seen] == [set()] * 3


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize(
    "make", [lambda folder: (folder / "f").open("rb"), lambda _folder: io.BytesIO(b"content")]
)
def test_requests_sends_a_file_again_where_a_redirect_leads(
    server: PchServer, other: PchServer, tmp_path: Path, status: int, make: Callable[[Path], Any]
):
    (tmp_path / "f").write_bytes(b"content")
    other.behaviour.answers["/open"] = (200, {}, b"")
    _redirect(server, "/protected", f"{other.origin}/open", status)
    with make(tmp_path) as body:
        assert _requests(_auth(server), "POST", f"{server.origin}/protected", body) == 200
    assert (other.seen[0].method, other.seen[0].body) == ("POST", b"content")


def test_requests_measures_and_keeps_its_answers_in_order(server: PchServer):
    server.behaviour.behind["/orders"] = (200, {"Set-Cookie": "a=b"}, b"{}")
    with requests.Session() as session:
        answer = session.get(f"{server.origin}/orders?b=2&a=1", auth=_auth(server))
        assert answer.elapsed.total_seconds() > 0
        assert [past.status_code for past in answer.history] == [200]
        assert answer.request.url == f"{server.origin}/orders?a=1&b=2"
        assert answer.request.method == "GET"
        assert session.cookies.get_dict() == {"a": "b"}
    assert len(server.seen) == 2


def test_requests_shows_the_caller_s_hooks_the_last_answer_only(server: PchServer):
    seen: list[int] = []

    def note(response: requests.Response, **_: Any) -> None:
        seen.append(response.status_code)
        response.raise_for_status()

    with requests.Session() as session:
        session.hooks["response"].append(note)
        for _ in range(2):
            assert session.get(f"{server.origin}/protected", auth=PCHAuth(KEY, "caller")).ok
    assert seen == [200, 200]


def test_a_prepared_request_may_be_sent_twice(server: PchServer):
    with requests.Session() as session:
        for auth in (_auth(server), PCHAuth(KEY, "caller")):
            request = requests.Request("POST", f"{server.origin}/protected", data=b"x", auth=auth)
            prepared = session.prepare_request(request)
            assert [session.send(prepared).status_code for _ in range(3)] == [200] * 3


def test_an_adapter_that_repeats_refusals_is_named(server: PchServer):
    with requests.Session() as session:
        session.mount("http://", HTTPAdapter(max_retries=Retry(2, status_forcelist=[401, 403, 503])))
        with pytest.raises(UsageError, match="answered with 401 and 403"):
            session.get(f"{server.origin}/protected", auth=_auth(server))
        session.mount("http://", HTTPAdapter(max_retries=Retry(2, status_forcelist=[500, 503])))
        assert session.get(f"{server.origin}/protected", auth=_auth(server)).ok


@pytest.mark.parametrize(
    ("sent", "answered", "expected"),
    [
        ("http://a", "http://a/", False),
        ("http://a/", "http://a", False),
        ("http://a", "http://a?x=1", True),
        ("http://a/?x=1", "http://a?x=1", False),
        ("http://a/b", "http://a", True),
        ("http://a/b", "http://a/b/", True),
    ],
)
def test_an_address_without_a_path_is_the_one_with_an_empty_path(sent: str, answered: str, expected: bool):
    answer = Answer(200, [], Plain("GET", answered, {}, b""))
    assert moved(Plain("GET", sent, {}, b""), answer) is expected
    assert moved(Plain("POST", sent, {}, b""), answer)


def test_an_address_without_a_path_is_called(server: PchServer, send: Send):
    server.behaviour.behind["/"] = (200, {}, b"")
    assert send(PCHAuth(KEY, "caller"), "GET", server.origin) == 200
    assert server.targets[-1] == "GET / signed"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_digest_that_the_caller_brings_is_made_right(server: PchServer, method: str):
    """Without content it is the digest of nothing; a wrong one is replaced, and the new one covered."""
    wrong = {"Content-Digest": "sha-256=:AAAA:"}
    nothing = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
    url = f"{server.origin}/protected"
    with httpx.Client(auth=_auth(server), verify=NO_AUTHORITIES) as client:
        assert client.request(method, url, headers=wrong).status_code == 200
    with requests.Session() as session:
        assert session.request(method, url, headers=wrong, auth=_auth(server)).status_code == 200
    signed = [seen for seen in server.seen if seen.signed]
    assert [seen.headers["content-digest"] for seen in signed] == [nothing] * 2
    assert all('"content-digest"' in seen.covered for seen in signed)
