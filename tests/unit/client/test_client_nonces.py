"""Nonces at hand: batches, and the next one with each answer; and challenges that come from elsewhere."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import requests

from signet.core.errors import NotFoundError, UsageError
from signet.crypto import suites
from signet.handshake.challenge import Challenge
from signet_client import PCHAuth
from signet_client.addresses import MAX_LABELS, Labels
from signet_client.answers import next_nonce_in, nonces_in
from signet_client.nonces import MAX_NONCES_OF_AN_API, TOLD_S, NoncePool
from signet_client.sources import Source, source_in
from tests.support.pch_server import NO_AUTHORITIES, PchServer, running

KEY = suites.get("ed25519").generate()
#: A session: sends so many requests, to paths that differ, and returns the statuses.
Session = Callable[[PCHAuth, str, int], list[int]]
PLACE = (("https", "api.example.com"), "")
OFFER = Challenge("signet", "n0", ("ed25519",), "none", 8192, "/c", "/e", "challenge_required", (), 100)


@pytest.fixture
def server() -> Iterator[PchServer]:
    with running({"me": KEY}) as started:
        yield started


@pytest.fixture
def elsewhere() -> Iterator[PchServer]:
    """The Signet that guards an API of another origin."""
    with running({}) as started:
        started.behaviour.batches = True
        yield started


def _httpx(auth: PCHAuth, url: str, calls: int) -> list[int]:
    with httpx.Client(auth=auth, verify=NO_AUTHORITIES) as client:
        return [client.get(f"{url}/{n}").status_code for n in range(calls)]


def _async(auth: PCHAuth, url: str, calls: int) -> list[int]:
    async def run() -> list[int]:
        async with httpx.AsyncClient(auth=auth, verify=NO_AUTHORITIES) as client:
            return [(await client.get(f"{url}/{n}")).status_code for n in range(calls)]

    return asyncio.run(run())


def _requests(auth: PCHAuth, url: str, calls: int) -> list[int]:
    with requests.Session() as session:
        return [session.get(f"{url}/{n}", auth=auth).status_code for n in range(calls)]


@pytest.fixture(params=[_httpx, _async, _requests], ids=["httpx", "async", "requests"])
def session(request: pytest.FixtureRequest) -> Session:
    chosen: Session = request.param
    return chosen


def _auth(**options: Any) -> PCHAuth:
    return PCHAuth(KEY, "me", **options)


def _nonces(server: PchServer) -> list[str]:
    return [seen.parameters["nonce"] for seen in server.seen if seen.signed]


def test_an_answer_s_nonce_signs_the_next_request_on_whichever_path(
    server: PchServer, session: Session
) -> None:
    server.behaviour.next_nonce = True
    assert session(_auth(), f"{server.origin}/protected", 5) == [200] * 5
    assert [seen.signed for seen in server.seen] == [False, True, True, True, True, True]
    assert len(set(_nonces(server))) == 5


def test_a_batch_serves_requests_that_answer_without_the_next_nonce(
    server: PchServer, session: Session
) -> None:
    server.behaviour.batches, server.behaviour.refusal = True, "bare"
    assert session(_auth(challenge_url=f"{server.origin}/pch/challenge"), f"{server.origin}/protected", 20)
    assert [seen.signed for seen in server.seen].count(False) == 2  # 16 nonces each
    assert len(set(_nonces(server))) == 20


def test_threads_never_share_a_nonce(server: PchServer) -> None:
    server.behaviour.next_nonce = server.behaviour.batches = True
    auth = _auth(challenge_url=f"{server.origin}/pch/challenge")
    statuses: list[int] = []
    workers = [
        threading.Thread(target=lambda: statuses.extend(_httpx(auth, f"{server.origin}/protected", 10)))
        for _ in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert statuses == [200] * 80
    assert len(set(_nonces(server))) == len(_nonces(server)) == 80


def test_a_nonce_that_is_not_taken_costs_one_more_try_and_its_siblings_none(
    server: PchServer, session: Session
) -> None:
    server.behaviour.batches = True
    auth = _auth(challenge_url=f"{server.origin}/pch/challenge")
    assert session(auth, f"{server.origin}/protected", 1) == [200]
    server.behaviour.fail_signed = ["nonce_invalid"]  # a deployment with another policy
    assert session(auth, f"{server.origin}/protected", 2) == [200, 200]
    assert [seen.signed for seen in server.seen] == [False, True, True, True, False, True]
    assert server.behaviour.fail_signed == []


def _post(library: str, auth: PCHAuth, url: str, calls: int, method: str = "POST") -> list[int]:
    if library == "httpx":
        with httpx.Client(auth=auth, verify=NO_AUTHORITIES) as client:
            return [client.request(method, url).status_code for _ in range(calls)]
    with requests.Session() as plain:
        return [plain.request(method, url, auth=auth).status_code for _ in range(calls)]


@pytest.mark.parametrize("library", ["httpx", "requests"])
@pytest.mark.parametrize("fields", [{"Signet-Nonce": "nonce-{}"}, {}], ids=["next nonce", "none"])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [401, 403])
def test_a_backend_s_own_refusal_is_the_caller_s_answer(
    server: PchServer, library: str, fields: dict[str, str], method: str, status: int
) -> None:
    """It ran: the request must not come twice, and is no reason to look for challenges."""
    server.behaviour.next_nonce = True
    server.behaviour.challenge_status = 404
    auth = _auth()
    assert _post(library, auth, f"{server.origin}/protected", 1) == [200]
    server.seen.clear()
    for n in range(2):
        brought = {name: value.format(900 + n) for name, value in fields.items()}
        server.behaviour.behind[f"/protected/{n}"] = (status, brought, b"not yours")
        assert _post(library, auth, f"{server.origin}/protected/{n}", 1, method) == [status]
    assert sum(seen.signed for seen in server.seen) == 2
    if fields:
        assert [seen.signed for seen in server.seen] == [True, True]
        assert _nonces(server)[1] == "nonce-900"


@pytest.mark.parametrize("library", ["httpx", "requests"])
def test_a_bare_refusal_is_tried_again_only_if_the_request_may_come_twice(
    server: PchServer, elsewhere: PchServer, library: str
) -> None:
    server.behaviour.refusal = "bare"  # an HTTP API: this may be the nonce, or the backend
    auth = _auth(challenge_url=f"{elsewhere.origin}/pch/challenge", api="orders")
    url = f"{server.origin}/protected"
    assert _post(library, auth, url, 1) == [200]
    server.behaviour.fail_signed = ["nonce_invalid"]
    assert _post(library, auth, url, 2) == [403, 200]
    assert (len(server.seen), len(elsewhere.seen)) == (3, 2)  # the others of that batch are not tried
    server.behaviour.fail_signed = ["nonce_invalid"]
    assert _post(library, auth, url, 1, "GET") == [200]
    assert (len(server.seen), len(elsewhere.seen)) == (5, 3)
    server.behaviour.fail_signed = ["policy_denied"] * 2
    assert _post(library, auth, url, 1, "GET") == [403]
    assert server.behaviour.fail_signed == []


@pytest.mark.parametrize("value", ["", "a b", 'a"b', "a, b", "x" * 129, "ä", "nonce\u200b"])
def test_what_is_no_nonce_is_not_taken_for_one(value: str) -> None:
    assert next_nonce_in(value) is None
    assert nonces_in(json.dumps({"nonces": [value, 7, None, "good"]}).encode()) == {"good"}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"nonces": 7}', b'{"nonces": {"a": 1}}', b"\xff"])
def test_what_is_no_batch_is_none(body: bytes) -> None:
    assert nonces_in(body) == set()


def test_no_more_than_a_batch_is_believed() -> None:
    assert len(nonces_in(json.dumps({"nonces": [f"n{n}" for n in range(1000)]}).encode())) == 16


def test_a_nonce_that_came_behind_a_redirect_is_not_kept(server: PchServer, elsewhere: PchServer) -> None:
    for target in (f"{elsewhere.origin}/open", "/open"):
        server.behaviour.redirects = {"/protected/0": target}
        for one in (server, elsewhere):
            one.behaviour.answers["/open"] = (200, {"Signet-Nonce": "nonce-9999"}, b"")
        auth = _auth(challenge_url=f"{server.origin}/pch/challenge")
        with httpx.Client(auth=auth, follow_redirects=True, verify=NO_AUTHORITIES) as client:
            assert client.get(f"{server.origin}/protected/0").status_code == 200
            assert client.get(f"{server.origin}/protected/1").status_code == 200
        with requests.Session() as plain:
            assert plain.get(f"{server.origin}/protected/0", auth=auth).status_code == 200
            assert plain.get(f"{server.origin}/protected/1", auth=auth).status_code == 200
    assert not any("nonce-9999" in seen.headers.get("signature-input", "") for seen in server.seen)


def _pool(*nonces: str, since: float = 0.0) -> NoncePool:
    pool = NoncePool()
    pool.told(PLACE, since)
    pool.add(PLACE, (replace(OFFER, nonce=nonce) for nonce in nonces), since)
    return pool


def _taken(pool: NoncePool, now: float) -> str | None:
    found = pool.take(PLACE, now)
    return None if found is None else found.nonce


def test_a_nonce_at_hand_is_good_once_and_while_it_is_fresh() -> None:
    pool = _pool("a", "b", "c")
    assert [_taken(pool, 80.0), _taken(pool, 80.5), _taken(pool, 0.0)] == ["a", None, None]
    pool.add(PLACE, [replace(OFFER, nonce="d")], 80.0)
    assert _taken(pool, 100.0) == "d"


def test_what_came_with_a_challenge_is_not_believed_for_ever() -> None:
    pool = _pool("a")
    pool.add(PLACE, [replace(OFFER, nonce="b")], TOLD_S)
    assert _taken(pool, TOLD_S) == "b"  # "a" is stale
    pool.add(PLACE, [replace(OFFER, nonce="c")], TOLD_S)
    assert _taken(pool, TOLD_S + 1) is None
    assert _taken(_pool("a", since=TOLD_S), TOLD_S + 1) == "a"


def test_what_servers_send_does_not_grow_without_end() -> None:
    pool = NoncePool()
    for n in range(1000):
        pool.add(PLACE, [replace(OFFER, nonce=str(n))], 0.0)
        pool.add((("https", f"h{n}"), ""), [OFFER], 0.0)
        pool.told((("https", f"h{n}"), ""), 0.0)
    assert len(pool._kept) <= 256
    assert len(pool._told) <= 256
    pool = _pool(*map(str, range(1000)))
    assert _taken(pool, 1.0) == str(1000 - MAX_NONCES_OF_AN_API)


# Challenges from another origin.


def test_a_caller_s_own_challenge_url_may_be_on_another_origin(
    server: PchServer, elsewhere: PchServer, session: Session
) -> None:
    server.behaviour.refusal = "bare"  # an HTTP API
    auth = _auth(challenge_url=f"{elsewhere.origin}/pch/challenge", api="orders")
    assert session(auth, f"{server.origin}/protected", 18) == [200] * 18
    assert all(seen.signed for seen in server.seen)
    assert [parse_qs(urlsplit(seen.target).query) for seen in elsewhere.seen] == [
        {"api": ["orders"], "authority": [server.authority], "count": ["16"]}
    ] * 2
    assert not any(
        name.startswith(("cookie", "authorization", "sign")) for s in elsewhere.seen for name in s.headers
    )
    assert len(set(_nonces(server))) == 18


def test_evidence_goes_where_the_caller_s_challenges_come_from(
    server: PchServer, elsewhere: PchServer, session: Session
) -> None:
    server.behaviour.evidence_uri = "/stolen"
    server.bundles = elsewhere.bundles
    auth = _auth(
        challenge_url=f"{elsewhere.origin}/pch/challenge?api=orders", evidence={"a": 1}, mode="detached"
    )
    assert session(auth, f"{server.origin}/protected", 1) == [200]
    posted = elsewhere.seen[-1]
    assert (posted.method, urlsplit(posted.target).path) == ("POST", "/pch/evidence")
    assert parse_qs(urlsplit(posted.target).query) == {"api": ["orders"], "authority": [server.authority]}
    assert [seen.target for seen in server.seen] == ["/protected/0"]


def test_cookies_of_the_challenge_s_origin_are_none_of_the_api_s(
    server: PchServer, elsewhere: PchServer
) -> None:
    body = json.dumps({"nonce": "nonce-77", "algs": "ed25519"}).encode()
    elsewhere.behaviour.answers["/pch/challenge"] = (200, {"Set-Cookie": "planted=1"}, body)
    with requests.Session() as plain:
        auth = _auth(challenge_url=f"{elsewhere.origin}/pch/challenge")
        assert plain.get(f"{server.origin}/protected/0", auth=auth).status_code == 200
        assert [cookie.name for cookie in plain.cookies] == []


def test_an_unknown_api_is_said_before_anything_is_sent_to_it(
    server: PchServer, elsewhere: PchServer, session: Session
) -> None:
    said = json.dumps({"error": "unknown_api", "message": "\x1b[31m"}).encode()
    elsewhere.behaviour.answers["/pch/challenge"] = (404, {}, said)
    with pytest.raises(
        NotFoundError, match=r"\(api orders\) answers 404, unknown_api for localhost:"
    ) as caught:
        session(
            _auth(challenge_url=f"{elsewhere.origin}/pch/challenge", api="orders"),
            f"{server.origin}/protected",
            1,
        )
    assert (caught.value.code, "\x1b" in str(caught.value), server.seen) == ("no_challenge", False, [])


def test_a_refusal_without_a_challenge_says_what_is_missing(server: PchServer, session: Session) -> None:
    server.behaviour.refusal, server.behaviour.challenge_status = "bare", 404
    with pytest.raises(NotFoundError, match=r"challenge_url.*HTTP API") as caught:
        session(_auth(), f"{server.origin}/protected", 1)
    assert caught.value.code == "no_challenge"


@pytest.mark.parametrize(
    "options", [{"api": "orders"}, {"challenge_url": "https://s.example/pch/challenge", "api": "Or ders"}]
)
def test_an_api_s_name_without_a_place_or_that_is_none_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        _auth(**options)


def _says(server: PchServer, document: object, status: int = 200) -> None:
    server.behaviour.answers["/.well-known/pch"] = (status, {}, json.dumps(document).encode())


def test_an_api_says_where_its_challenges_come_from_if_it_is_asked(
    server: PchServer, elsewhere: PchServer, session: Session
) -> None:
    server.behaviour.refusal = "bare"
    _says(server, {"challenge_uri": f"{elsewhere.origin}/pch/challenge", "api": "orders"})
    assert session(_auth(discover=True), f"{server.origin}/protected", 18) == [200] * 18
    assert [seen.target for seen in server.seen if not seen.signed] == ["/.well-known/pch"]
    assert len(elsewhere.seen) == 2
    assert "api=orders" in elsewhere.seen[0].target


def test_it_is_not_asked_unless_the_caller_says_so(
    server: PchServer, elsewhere: PchServer, session: Session
) -> None:
    server.behaviour.challenge_uri = f"{elsewhere.origin}/pch/challenge"
    _says(server, {"challenge_uri": f"{elsewhere.origin}/pch/challenge"})
    assert session(_auth(), f"{server.origin}/protected", 2) == [200] * 2
    assert elsewhere.seen == []
    assert not any("well-known" in seen.target for seen in server.seen)


def test_without_the_document_the_client_goes_on_as_ever(server: PchServer, session: Session) -> None:
    _says(server, {"challenge_uri": "/pch/challenge"}, 404)
    assert session(_auth(discover=True), f"{server.origin}/protected", 3) == [200] * 3
    assert [seen.target for seen in server.seen].count("/.well-known/pch") == 1


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"challenge_uri": 7},
        {"challenge_uri": "http://signet.example.com/pch/challenge"},  # from https to http
        {"challenge_uri": "ftp://signet.example.com/"},
        {"challenge_uri": "https://user:pw@signet.example.com/pch/challenge"},
        {"challenge_uri": "https://signet.example.com/pch/challenge", "api": "Or ders"},
        {"challenge_uri": "https://signet.example.com/pch/challenge", "api": 7},
        {"challenge_uri": "https://signet.example.com/pch/challenge", "filler": "x" * 20_000},
    ],
)
def test_a_document_that_is_none_says_nothing(document: object) -> None:
    assert source_in(json.dumps(document).encode(), "https://api.example.com/orders") is None


def test_a_document_names_the_place_and_the_api() -> None:
    document = {"challenge_uri": "https://Signet.example.com/prod/pch/challenge", "api": "orders", "new": 1}
    url = "https://api.example.com/orders/7"
    source = source_in(json.dumps(document).encode(), url)
    assert source == Source("https://signet.example.com/prod/pch/challenge", "orders")
    asked = "https://signet.example.com/prod/pch/{}api=orders&authority=api.example.com{}"
    assert source.asks(url) == asked.format("challenge?", "&count=16")
    assert source.takes_evidence(url) == asked.format("evidence?", "")
    relative = source_in(b'{"challenge_uri": "/v1/pch/challenge"}', url)
    assert relative == Source("https://api.example.com/v1/pch/challenge")


def test_at_an_attached_api_the_session_goes_by_its_answers_and_asks_nowhere_else(
    server: PchServer, elsewhere: PchServer, session: Session
) -> None:
    """Its refusals name Signet's own API: another origin, which no answer sends a client to."""
    server.behaviour.challenge_uri = f"{elsewhere.origin}/prod/pch/challenge?api=orders"
    server.behaviour.next_nonce = True
    assert session(_auth(), f"{server.origin}/protected", 5) == [200] * 5
    assert [seen.signed for seen in server.seen] == [False, True, True, True, True, True]
    assert elsewhere.seen == []


def test_apis_on_one_origin_are_told_apart_by_what_their_refusals_name() -> None:
    labels, names = Labels(), ("orders", "billing")
    assert labels.find("https://api.example.com/v1/orders") is None
    labels.remember("https://api.example.com/v1/orders", names[0])
    assert labels.find("https://api.example.com/v1/orders/7") == names[0]  # nothing else is known there
    assert labels.find("https://other.example.com/v1/orders") is None
    labels.remember("https://api.example.com/pay/invoices", names[1])
    paths = ("v1/orders?limit=1", "pay/invoices", "v1/orders/7")
    assert [labels.find(f"https://api.example.com/{path}") for path in paths] == [*names, None]


def test_labels_are_remembered_within_a_bound() -> None:
    labels = Labels()
    for number in range(3 * MAX_LABELS):
        labels.remember(f"https://api.example.com/{number}", "orders")
        labels.remember(f"https://{number}.example.com/", "orders")
    assert len(labels._known) <= MAX_LABELS
    assert all(len(paths) <= MAX_LABELS for paths in labels._known.values())
