"""PCHAuth against a real server, through httpx, httpx's async client and requests."""

from __future__ import annotations

import array
import asyncio
import io
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import requests

from signet.core.clocks import Elapsed
from signet.core.errors import KeyFileError, NotFoundError, UsageError
from signet.crypto import keyfiles, suites
from signet.handshake.challenge import Challenge
from signet_client import PCHAuth
from signet_client.messages import Answered, ChallengeTaken, Event, RequestSigned
from signet_client.nonces import NoncesAtHand
from tests.support.pch_server import NO_AUTHORITIES, PchServer, running

KEYS = {alg: suites.get(alg).generate() for alg in suites.NAMES}
KEY = KEYS["ed25519"]

Answer = tuple[int, bytes, dict[str, str]]
Send = Callable[..., Answer]


@pytest.fixture
def server() -> Iterator[PchServer]:
    with running(dict(KEYS)) as running_server:
        yield running_server


@pytest.fixture
def other() -> Iterator[PchServer]:
    with running(dict(KEYS)) as running_server:
        yield running_server


def _httpx(auth: PCHAuth, method: str, url: str, *, body: object = None, follow: bool = False) -> Answer:
    with httpx.Client(auth=auth, follow_redirects=follow, verify=NO_AUTHORITIES) as client:
        response = client.request(method, url, content=body)  # type: ignore[arg-type]
        return response.status_code, response.content, dict(response.headers)


def _async(auth: PCHAuth, method: str, url: str, *, body: object = None, follow: bool = False) -> Answer:
    async def run() -> Answer:
        async with httpx.AsyncClient(auth=auth, follow_redirects=follow, verify=NO_AUTHORITIES) as client:
            response = await client.request(method, url, content=body)  # type: ignore[arg-type]
            return response.status_code, response.content, dict(response.headers)

    return asyncio.run(run())


def _requests(auth: PCHAuth, method: str, url: str, *, body: object = None, follow: bool = False) -> Answer:
    with requests.Session() as session:
        response = session.request(method, url, data=body, auth=auth, allow_redirects=follow)  # type: ignore[arg-type]
        return response.status_code, response.content, {k.lower(): v for k, v in response.headers.items()}


@pytest.fixture(params=[_httpx, _async, _requests], ids=["httpx", "async", "requests"])
def send(request: pytest.FixtureRequest) -> Send:
    function: Send = request.param
    return function


def _auth(**options: object) -> PCHAuth:
    return PCHAuth(KEY, "ed25519", **options)  # type: ignore[arg-type]


def test_challenge_in_the_401_is_answered(server: PchServer, send: Send):
    status, body, _ = send(_auth(), "GET", f"{server.origin}/protected?b&a=x y")
    assert (status, body) == (200, b'{"caller": "ed25519", "received_bytes": 0}')
    assert server.targets == ["GET /protected?a=x%20y&b=", "GET /protected?a=x%20y&b= signed"]
    assert server.seen[1].covered['"@query"'] == "?a=x%20y&b="


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("status=open&limit=5", "limit=5&status=open"),
        ("b=2&b=1&a", "a=&b=2&b=1"),
        ("tag=a+(b)*&%c3%a4=~&a5='", "%C3%A4=~&a5=%27&tag=a%20%28b%29%2A"),
        ("a%3Ab=/?:@!$,&a5=1&a-b=2", "a%3Ab=%2F%3F%3A%40%21%24%2C&a-b=2&a5=1"),
    ],
)
def test_the_query_goes_out_in_the_spelling_that_is_signed(
    server: PchServer, send: Send, query: str, sent: str
):
    assert send(_auth(), "GET", f"{server.origin}/protected/a.b~c!$'()*+,=:@-_?{query}")[0] == 200
    assert server.targets[-1] == f"GET /protected/a.b~c!$'()*+,=:@-_?{sent} signed"
    assert server.seen[-1].covered['"@query"'] == f"?{sent}"


@pytest.mark.parametrize("field", ["WWW-Authenticate", "x-amzn-Remapped-WWW-Authenticate", None])
def test_bare_403_sends_the_client_along_the_parents(server: PchServer, send: Send, field: str | None):
    server.behaviour.refusal, server.behaviour.stage = "bare", "/_aws/api/dev"
    server.behaviour.challenge_field = field
    status, _, _ = send(_auth(), "GET", f"{server.origin}/_aws/api/dev/protected/a")
    assert status == 200
    assert server.targets == [
        "GET /_aws/api/dev/protected/a",
        "GET /_aws/api/dev/protected/pch/challenge?count=16&target=%2F_aws%2Fapi%2Fdev%2Fprotected%2Fa",
        "GET /_aws/api/dev/pch/challenge?count=16&target=%2F_aws%2Fapi%2Fdev%2Fprotected%2Fa",
        "GET /_aws/api/dev/protected/a signed",
    ]


def test_challenge_uri_of_a_static_401_is_followed(server: PchServer, send: Send):
    server.behaviour.refusal, server.behaviour.challenge_uri = "named", "/pch/challenge"
    assert send(_auth(), "GET", f"{server.origin}/protected/deep/path")[0] == 200
    assert [t.partition("?")[0] for t in server.targets[:2]] == [
        "GET /protected/deep/path",
        "GET /pch/challenge",
    ]


def test_challenge_uri_on_another_origin_is_ignored(server: PchServer, other: PchServer, send: Send):
    server.behaviour.refusal = "named"
    server.behaviour.challenge_uri = f"{other.origin}/pch/challenge"
    assert send(_auth(), "GET", f"{server.origin}/protected")[0] == 200
    assert other.seen == []


@pytest.mark.parametrize("size", [0, 100], ids=["no content", "content"])
def test_place_once_found_spares_the_unsigned_request(server: PchServer, send: Send, size: int):
    server.behaviour.refusal = "bare"
    auth = _auth()
    for _ in range(2):
        assert send(auth, "POST", f"{server.origin}/protected", body=b"x" * size or None)[0] == 200
    assert [(seen.method, len(seen.body), seen.signed) for seen in server.seen] == [
        ("POST", size, False),
        ("GET", 0, False),
        ("POST", size, True),
        ("GET", 0, False),
        ("POST", size, True),
    ]


def test_large_content_goes_over_the_wire_once(server: PchServer, send: Send):
    large = b"x" * 65_536
    auth = _auth()
    for _ in range(2):
        assert send(auth, "POST", f"{server.origin}/protected/deep", body=large)[0] == 200
    assert [(seen.method, len(seen.body), seen.signed) for seen in server.seen] == [
        ("GET", 0, False),  # /protected/pch/challenge, which this server guards, too
        ("GET", 0, False),
        ("POST", len(large), True),
        ("GET", 0, False),
        ("POST", len(large), True),
    ]


def test_a_server_without_challenges_is_asked_around_once(server: PchServer, send: Send):
    server.behaviour.answers["/open/deep"] = (200, {}, b"")
    server.behaviour.challenge_status = 404
    auth = _auth()
    for _ in range(2):
        assert send(auth, "POST", f"{server.origin}/open/deep", body=b"x" * 65_536)[0] == 200
    assert [seen.method for seen in server.seen] == ["GET", "GET", "POST", "POST"]


def test_explicit_challenge_url_is_used_at_once(server: PchServer, send: Send):
    auth = _auth(challenge_url=f"{server.origin}/pch/challenge")
    assert send(auth, "GET", f"{server.origin}/protected")[0] == 200
    assert server.targets == ["GET /pch/challenge?count=16&target=%2Fprotected", "GET /protected signed"]


def test_suggested_place_that_does_not_exist_is_tried_once(server: PchServer):
    server.behaviour.challenge_uri = "/elsewhere/pch/challenge"
    auth = _auth()
    for _ in range(3):
        assert _httpx(auth, "GET", f"{server.origin}/protected")[0] == 200
    assert sum("elsewhere" in target for target in server.targets) == 1


@pytest.mark.parametrize("alg", suites.NAMES)
def test_every_suite_is_accepted(server: PchServer, alg: str):
    assert _httpx(PCHAuth(KEYS[alg], alg), "GET", f"{server.origin}/protected")[0] == 200
    assert server.seen[-1].parameters["alg"] == alg


def _chunks() -> Iterator[bytes]:
    yield b"one"
    yield b"two"


def _words() -> Iterator[str]:
    yield "one"
    yield "two"


def test_content_is_sent_whole_and_its_digest_signed(server: PchServer, send: Send):
    status, body, _ = send(_auth(), "POST", f"{server.origin}/protected", body=b'{"a":1}')
    assert (status, body) == (200, b'{"caller": "ed25519", "received_bytes": 7}')
    assert '"content-digest"' in server.seen[-1].covered


@pytest.mark.parametrize("make", [_chunks, lambda: io.BytesIO(b"onetwo"), lambda: "onetwo"])
@pytest.mark.parametrize("library", [_httpx, _requests])
def test_streams_files_and_text_are_read_before_signing(
    server: PchServer, library: Send, make: Callable[[], object]
):
    assert library(_auth(), "POST", f"{server.origin}/protected", body=make())[0] == 200
    assert server.seen[-1].body == b"onetwo"
    assert "transfer-encoding" not in server.seen[-1].headers


@pytest.mark.parametrize(
    "make",
    [
        _words,
        lambda: memoryview(b"onetwo"),
        lambda: bytearray(b"onetwo"),
        lambda: array.array("B", b"onetwo"),
        lambda: io.StringIO("onetwo"),
        lambda: iter([memoryview(b"one"), "two"]),
    ],
)
def test_requests_content_of_any_kind_is_read_before_signing(server: PchServer, make: Callable[[], object]):
    assert _requests(_auth(), "POST", f"{server.origin}/protected", body=make())[0] == 200
    assert server.seen[-1].body == b"onetwo"


@pytest.mark.parametrize("library", [_httpx, _async, _requests])
def test_content_that_cannot_be_sent_is_one_sentence(server: PchServer, library: Send):
    async def numbers() -> AsyncIterator[int]:
        yield 1

    body = numbers() if library is _async else iter([1, 2])
    with pytest.raises(UsageError, match=r"cannot be signed|can be signed"):
        library(_auth(), "POST", f"{server.origin}/protected", body=body)
    assert server.seen == []


def test_evidence_travels_signed(server: PchServer, send: Send):
    assert send(_auth(evidence={"ticket": "A-1"}), "GET", f"{server.origin}/protected")[0] == 200
    assert '"pch-evidence"' in server.seen[-1].covered
    assert "pch-evidence" not in server.seen[0].headers


@pytest.mark.parametrize("code", ["nonce_expired", "nonce_invalid", "nonce_replayed"])
def test_nonce_trouble_is_retried_exactly_once(server: PchServer, send: Send, code: str):
    server.behaviour.fail_signed = [code]
    assert send(_auth(), "GET", f"{server.origin}/protected")[0] == 200
    server.seen.clear()
    server.behaviour.fail_signed = [code] * 5
    status, _, headers = send(_auth(), "GET", f"{server.origin}/protected")
    assert status == 401
    assert f'error="{code}"' in headers["www-authenticate"]
    assert sum(seen.signed for seen in server.seen) == 2


def test_other_refusals_are_final_and_leave_their_nonce_for_the_next_request(server: PchServer, send: Send):
    auth = _auth()
    server.behaviour.fail_signed = ["policy_denied"]
    assert send(auth, "GET", f"{server.origin}/protected")[0] == 401
    assert server.targets == ["GET /protected", "GET /protected signed"]
    assert send(auth, "GET", f"{server.origin}/protected")[0] == 200
    assert server.targets[2:] == ["GET /protected signed"]


def test_where_refusals_carry_challenges_one_without_is_the_backend_s(server: PchServer, send: Send):
    auth = _auth()
    server.behaviour.fail_signed = ["policy_denied"]
    send(auth, "GET", f"{server.origin}/protected")
    server.seen.clear()
    server.behaviour.behind["/protected"] = (403, {}, b"not yours")
    assert send(auth, "GET", f"{server.origin}/protected")[:2] == (403, b"not yours")
    assert server.targets == ["GET /protected signed"]


def test_many_threads_never_share_a_nonce(server: PchServer):
    auth = _auth(challenge_url=f"{server.origin}/pch/challenge")
    with httpx.Client(auth=auth, verify=NO_AUTHORITIES) as client, ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: client.get(f"{server.origin}/protected").status_code, range(40)))
    assert statuses == [200] * 40
    assert len(server.spent) == 40


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that were waited for, without waiting; jitter is at its middle."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("time.sleep", waited.append)
    monkeypatch.setattr("signet_client.auth.anyio.sleep", sleep)
    monkeypatch.setattr("signet_client.auth.random.random", lambda: 0.5)
    return waited


@pytest.mark.parametrize("shed", [429, 503])
def test_shedding_is_waited_for_once(server: PchServer, send: Send, slept: list[float], shed: int):
    server.behaviour.answers["/protected"] = (shed, {"Retry-After": "4"}, b"")
    status, _, headers = send(_auth(), "GET", f"{server.origin}/protected")
    assert (status, headers["retry-after"], len(server.seen), slept) == (shed, "4", 2, [6.0])


def test_request_shed_when_signed_is_signed_anew(server: PchServer, send: Send, slept: list[float]):
    server.behaviour.shed_signed = 1
    assert send(_auth(), "GET", f"{server.origin}/protected")[0] == 200
    first, second = (seen.headers["signature"] for seen in server.seen if seen.signed)
    assert first != second
    assert slept == [1.5]


@pytest.mark.parametrize(
    ("method", "fields"),
    [
        ("GET", {"Retry-After": "11"}),
        ("GET", {"Retry-After": "Mon, 23 Nov 2026 00:00:00 GMT"}),
        ("GET", {"Retry-After": "-1"}),
        ("GET", {}),
        ("POST", {"Retry-After": "1"}),
    ],
    ids=["too long", "a date", "no number", "unsaid", "not repeatable"],
)
def test_other_shedding_is_handed_on_unchanged(
    server: PchServer, send: Send, slept: list[float], method: str, fields: dict[str, str]
):
    server.behaviour.answers["/protected"] = (503, fields, b"")
    assert send(_auth(), method, f"{server.origin}/protected")[0] == 503
    assert (len(server.seen), slept) == (1, [])


def test_waiting_can_be_turned_off(server: PchServer, send: Send, slept: list[float]):
    server.behaviour.answers["/protected"] = (503, {"Retry-After": "1"}, b"")
    send(_auth(max_wait_s=0), "GET", f"{server.origin}/protected")
    assert slept == []


@pytest.mark.parametrize("off_by", [-3600, 3600])
def test_clock_of_the_server_is_learned_from_its_refusal(server: PchServer, send: Send, off_by: int):
    server.behaviour.window_s = 30
    auth = _auth(unix_clock=lambda: time.time() + off_by)
    assert send(auth, "GET", f"{server.origin}/protected")[0] == 200
    assert sum(seen.signed for seen in server.seen) == 2
    server.seen.clear()
    assert send(auth, "GET", f"{server.origin}/protected")[0] == 200
    assert sum(seen.signed for seen in server.seen) == 1


def test_clock_is_learned_once_per_request_and_then_the_refusal_stands(server: PchServer, send: Send):
    server.behaviour.fail_signed = ["created_out_of_window"] * 5
    status, _, headers = send(_auth(), "GET", f"{server.origin}/protected")
    assert (status, sum(seen.signed for seen in server.seen)) == (401, 2)
    assert 'error="created_out_of_window"' in headers["www-authenticate"]


def test_clock_of_another_day_is_not_believed(server: PchServer, send: Send):
    server.behaviour.window_s = 30
    auth = _auth(unix_clock=lambda: time.time() - 3 * 86_400)
    assert send(auth, "GET", f"{server.origin}/protected")[0] == 401
    assert sum(seen.signed for seen in server.seen) == 1


def test_shedding_at_the_challenge_is_the_answer(server: PchServer, send: Send, slept: list[float]):
    server.behaviour.refusal, server.behaviour.challenge_status = "bare", 503
    status, _, headers = send(_auth(), "GET", f"{server.origin}/protected")
    assert (status, headers["retry-after"], len(slept)) == (503, "7", 1)
    assert not any(seen.signed for seen in server.seen)


def test_server_without_a_challenge_is_said_so(server: PchServer, send: Send):
    server.behaviour.refusal, server.behaviour.challenge_status = "bare", 404
    with pytest.raises(NotFoundError, match="no challenge was found"):
        send(_auth(), "GET", f"{server.origin}/protected")


def test_redirect_to_another_origin_is_never_signed_for_it(server: PchServer, other: PchServer, send: Send):
    server.behaviour.redirects["/protected"] = f"{other.origin}/protected"
    status, _, _ = send(_auth(), "GET", f"{server.origin}/protected", follow=True)
    assert status == 401
    assert other.targets == ["GET /protected"]


def test_requests_takes_the_proof_off_before_a_redirect(server: PchServer, other: PchServer):
    auth = _auth(evidence={"secret": 1})
    server.behaviour.fail_signed = ["policy_denied"]
    _requests(auth, "GET", f"{server.origin}/protected")
    server.behaviour.redirects["/protected"] = f"{other.origin}/protected"
    _requests(auth, "GET", f"{server.origin}/protected", follow=True)
    assert server.targets[-1] == "GET /protected signed"
    assert other.targets == ["GET /protected"]
    assert "pch-evidence" not in other.seen[0].headers


@pytest.mark.parametrize("path", ["/a%2fb", "/a;b", "/a//b", "/protected?a=1&b=2&a=3"])
def test_urls_without_a_canonical_form_are_refused_before_anything_is_sent(
    server: PchServer, send: Send, path: str
):
    with pytest.raises(UsageError, match="cannot sign"):
        send(_auth(), "GET", server.origin + path)
    assert server.seen == []


def test_events_tell_what_happened_in_order(server: PchServer):
    events: list[Event] = []
    _httpx(_auth(observer=events.append), "GET", f"{server.origin}/protected")
    assert [type(event) for event in events] == [Answered, ChallengeTaken, RequestSigned, Answered]
    assert (events[0].status, events[0].error) == (401, "challenge_required")
    assert events[2].signed.base.startswith(b'"@method": GET\n')


def test_clock_is_the_one_given(server: PchServer):
    auth = PCHAuth(KEY, "ed25519", unix_clock=lambda: 1_000_000.9)
    assert _httpx(auth, "GET", f"{server.origin}/protected")[0] == 401
    assert ";created=1000000;" in server.seen[-1].headers["signature-input"]


@pytest.mark.parametrize("ending", ["", "\0"])
@pytest.mark.parametrize("form", ["pem", "jwk", "base64"])
def test_a_key_given_in_place_of_its_path_is_not_shown(form: str, ending: str):
    pem = keyfiles.dump_private(suites.get("ed25519").generate()).decode()
    secret = pem.splitlines()[1]
    given = {"pem": pem, "jwk": f'{{"kty": "OKP", "d": "{secret}"}}', "base64": secret}[form]
    with pytest.raises(KeyFileError, match="path of its file") as caught:
        PCHAuth(given + ending)
    shown = "".join(traceback.format_exception(caught.value))
    assert secret[-20:] not in shown


def test_key_files_are_read_and_checked(tmp_path):
    path = tmp_path / "key.pem"
    path.write_bytes(keyfiles.dump_private(KEY))
    assert PCHAuth(path, "ed25519", alg="ed25519")
    with pytest.raises(KeyFileError, match="ml-dsa-65"):
        PCHAuth(str(path), "ed25519", alg="ml-dsa-65")
    with pytest.raises(UsageError, match="ed25519"):
        PCHAuth(KEY, "ed25519", alg="ml-dsa-65")
    with pytest.raises(KeyFileError, match="cannot read"):
        PCHAuth(tmp_path / "none.pem", "ed25519")


@pytest.mark.parametrize(
    "body", [b'{"nonce": "n", "header_budget": 1e999}', b"[" * 100_000, b'{"nonce": 1}', b"null", b"\xff"]
)
def test_garbage_for_a_challenge_is_no_challenge(server: PchServer, send: Send, body: bytes):
    server.behaviour.refusal = "bare"
    server.behaviour.answers["/pch/challenge"] = (200, {}, body)
    with pytest.raises(NotFoundError):
        send(_auth(), "GET", f"{server.origin}/protected")


def test_challenge_uri_that_is_no_address_is_passed_over():
    def answer(request: httpx.Request) -> httpx.Response:
        broken = {"WWW-Authenticate": 'PCH challenge-uri="https://[::1"'}
        return httpx.Response(401, headers=broken) if request.url.path == "/p" else httpx.Response(404)

    client = httpx.Client(auth=_auth(), transport=httpx.MockTransport(answer))
    with client, pytest.raises(NotFoundError):
        client.get("https://api.example/p")


def _covered(server: PchServer) -> set[str]:
    return {name.strip('"') for name in server.seen[-1].covered}


def _with_fields(
    auth: PCHAuth, url: str, fields: dict[str, str], method: str = "POST", body: bytes = b"{}"
) -> int:
    with httpx.Client(auth=auth, verify=NO_AUTHORITIES) as client:
        return client.request(method, url, headers=fields, content=body).status_code


def test_type_and_coding_of_the_content_are_signed_whenever_they_are_sent(server: PchServer):
    fields = {"Content-Type": "application/json", "Content-Encoding": "identity", "If-Match": '"7"'}
    assert _with_fields(_auth(), f"{server.origin}/protected", fields) == 200
    assert {"content-type", "content-encoding", "content-digest"} <= _covered(server)
    assert "if-match" not in _covered(server)
    with requests.Session() as session:
        answer = session.post(f"{server.origin}/protected", data={"a": "b"}, auth=_auth())
    assert answer.status_code == 200
    assert server.seen[-1].covered['"content-type"'] == "application/x-www-form-urlencoded"


def test_what_the_caller_names_is_signed_where_a_request_has_it(server: PchServer):
    auth = _auth(cover=("Idempotency-Key", "if-match"))
    assert _with_fields(auth, f"{server.origin}/protected", {"Idempotency-Key": "k1"}) == 200
    assert server.seen[-1].covered['"idempotency-key"'] == "k1"
    assert "if-match" not in _covered(server)


def test_what_the_challenge_asks_for_is_signed_and_a_digest_made_for_it(server: PchServer, send: Send):
    server.behaviour.components = "idempotency-key content-digest accept"
    assert send(_auth(), "GET", f"{server.origin}/protected")[0] == 200
    assert {"content-digest", "accept"} <= _covered(server)
    assert "idempotency-key" not in _covered(server)
    assert server.seen[-1].headers["content-digest"].startswith("sha-256=:47DEQpj8HBSa+/TImW+5JCeu")


def test_a_refusal_that_names_more_to_cover_is_answered_once(server: PchServer, send: Send):
    server.behaviour.demanded = "accept"
    assert send(_auth(), "GET", f"{server.origin}/protected")[0] == 200
    assert [seen.signed for seen in server.seen] == [False, True, True]
    assert "accept" in _covered(server)


def test_what_a_request_does_not_have_is_not_tried_again(server: PchServer, send: Send):
    server.behaviour.demanded = "idempotency-key"
    assert send(_auth(), "GET", f"{server.origin}/protected")[0] == 401
    assert [seen.signed for seen in server.seen] == [False, True]


@pytest.mark.parametrize(
    "names", ["if-match", ["@status"], ["Signature"], ["a b"], [""], ["x-forwarded-for"]]
)
def test_what_no_signature_can_cover_is_refused_at_once(names: object):
    with pytest.raises(UsageError, match="cover"):
        _auth(cover=names)


@pytest.mark.parametrize(("max_age", "lives"), [(10, 10), (59, 59), (60, 60), (300, 60), (None, 60)])
def test_a_signature_lives_no_longer_than_the_challenge_says(
    server: PchServer, send: Send, max_age: int | None, lives: int
):
    server.behaviour.max_age, server.behaviour.window_s = max_age, 5
    assert send(_auth(), "GET", f"{server.origin}/protected")[0] == 200
    parameters = server.seen[-1].parameters
    assert parameters["expires"] - parameters["created"] == lives


def test_a_challenge_found_as_json_says_the_same(server: PchServer):
    server.behaviour.refusal, server.behaviour.challenge_field = "bare", None
    server.behaviour.max_age, server.behaviour.components = 10, "accept"
    assert _httpx(_auth(), "GET", f"{server.origin}/protected")[0] == 200
    assert "accept" in _covered(server)


@pytest.mark.parametrize(("max_age", "fresh_s"), [(10, 8), (300, 240), (None, 240)])
def test_a_nonce_at_hand_is_used_while_it_is_fresh_by_two_clocks(max_age: int | None, fresh_s: int):
    challenge = Challenge("r", "n", (), "none", 0, "", "", "challenge_required", max_age=max_age)
    wall = [1_790_000_000.0]
    passed = Elapsed(monotonic=lambda: 5.0, wall=lambda: wall[0])  # a laptop that sleeps
    at_hand = NoncesAtHand()
    for seconds, expected in ((fresh_s, challenge), (fresh_s + 1, None)):
        at_hand.keep("https://h.example/a", challenge, passed())
        wall[0] += seconds
        assert at_hand.take("https://h.example/a", passed()) is expected
    at_hand.keep("https://h.example/a", challenge, passed())
    wall[0] -= 1
    assert at_hand.take("https://h.example/a", passed()) is None
