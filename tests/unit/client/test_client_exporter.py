"""Requests are bound to the very TLS connection they go out on, through httpx and through requests."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest
import requests
from anyio.from_thread import start_blocking_portal
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL

from signet.core.errors import KeyFileError, UsageError
from signet.crypto import suites
from signet_client import AsyncExporterTransport, ExporterAdapter, ExporterTransport, PCHAuth
from tests.support.pch_server import running
from tests.support.tls_server import Authority, TlsServer, serving

KEY = suites.get("ed25519").generate()
KEYS = {"ed25519": KEY}
LARGE = {"sbom": ["a" * 100] * 120}  # 12 KB


class Session(Protocol):
    """One client: ``get`` returns the status; ``broken`` is what a failed TLS handshake raises."""

    broken: type[Exception]

    def get(self, url: str, **options: Any) -> int: ...


class _Httpx:
    broken = httpx.ConnectError

    def __init__(self, verify: bool | str, **options: Any) -> None:
        self._client = httpx.Client(transport=ExporterTransport(verify=verify), auth=_auth(**options))

    def get(self, url: str, **options: Any) -> int:
        return self._client.request(options.pop("method", "GET"), url, **options).status_code

    def close(self) -> None:
        self._client.close()


class _Async:
    """httpx's asynchronous client on a loop in a thread of its own, so that threads may call it too."""

    broken = httpx.ConnectError

    def __init__(self, verify: bool | str, **options: Any) -> None:
        self._portal_manager = start_blocking_portal()
        self._portal = self._portal_manager.__enter__()
        transport = AsyncExporterTransport(verify=verify)
        self._client = httpx.AsyncClient(transport=transport, auth=_auth(**options))

    def get(self, url: str, **options: Any) -> int:
        call = partial(self._client.request, options.pop("method", "GET"), url, **options)
        return self._portal.call(call).status_code

    def close(self) -> None:
        self._portal.call(self._client.aclose)
        self._portal_manager.__exit__(None, None, None)


class _Requests:
    broken = requests.exceptions.SSLError

    def __init__(self, verify: bool | str, **options: Any) -> None:
        self._session = requests.Session()
        self._session.mount("https://", ExporterAdapter())
        self._verify, self._auth = verify, _auth(**options)

    def get(self, url: str, **options: Any) -> int:
        options["allow_redirects"] = options.pop("follow_redirects", False)
        if "content" in options:
            options["data"] = options.pop("content")
        method = options.pop("method", "GET")
        answer = self._session.request(method, url, auth=self._auth, verify=self._verify, **options)
        return answer.status_code

    def close(self) -> None:
        self._session.close()


def _auth(**options: Any) -> PCHAuth:
    return PCHAuth(KEY, "ed25519", **({"binding": "tls-exporter"} | options))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(authority: Authority) -> Iterator[TlsServer]:
    with serving(KEYS, authority.issue("localhost")) as one:
        yield one


@pytest.fixture(params=[_Httpx, _Async, _Requests], ids=["httpx", "httpx async", "requests"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., Session]]:
    """Open a client that trusts what it is given; further options are those of ``PCHAuth``."""
    with contextlib.ExitStack() as stack:
        yield lambda verify, **options: stack.enter_context(
            contextlib.closing(request.param(verify, **options))
        )


@pytest.fixture
def session(connect: Callable[..., Session], authority: Authority) -> Session:
    return connect(str(authority.file))


def test_one_connection_is_reused_and_each_request_bound_to_it(server: TlsServer, session: Session):
    assert [session.get(server.url) for _ in range(3)] == [200] * 3
    assert server.bound == [0, 0, 0]
    assert len(server.exporters) == 1


def test_content_is_sent_bound(server: TlsServer, session: Session):
    assert session.get(server.url, method="POST", content=b'{"a":1}') == 200
    assert server.pch.seen[-1].body == b'{"a":1}'
    assert {'"content-digest"', '"pch-channel-binding"'} <= set(server.pch.seen[-1].covered)


def _seen(server: TlsServer) -> list[tuple[str, str]]:
    return [(seen.method, seen.target) for seen in server.pch.seen]


def test_evidence_too_large_goes_apart_and_the_signature_stays_with_its_connection(
    server: TlsServer, connect: Callable[..., Session], authority: Authority
):
    session = connect(str(authority.file), evidence=LARGE)
    assert session.get(server.url) == 200
    assert _seen(server) == [("GET", "/protected"), ("POST", "/pch/evidence"), ("GET", "/protected")]
    final = server.pch.seen[-1]
    assert {"signature", "pch-proof"} <= set(final.headers)
    assert "pch-evidence" not in final.headers
    assert {'"pch-channel-binding"', '"pch-evidence-digest"'} <= set(final.covered)
    assert list(server.pch.bundles.values()) == [{"evidence": LARGE}]
    assert server.bound == [0]


@pytest.mark.parametrize("budget", [8192, 200])
def test_detached_mode_keeps_a_late_signature_inline_whatever_the_budget(
    server: TlsServer, connect: Callable[..., Session], authority: Authority, budget: int
):
    server.pch.behaviour.announced = server.pch.behaviour.budget = budget
    session = connect(str(authority.file), evidence={"build": 42}, mode="detached")
    assert session.get(server.url) == (200 if budget == 8192 else 401)
    assert {"signature", "pch-evidence-digest", "pch-proof"} <= set(server.pch.seen[-1].headers)
    assert list(server.pch.bundles.values()) == [{"evidence": {"build": 42}}]


def test_over_an_unannounced_budget_the_evidence_goes_apart_once(
    server: TlsServer, connect: Callable[..., Session], authority: Authority
):
    server.pch.behaviour.budget = 4096
    session = connect(str(authority.file), evidence={"sbom": "a" * 4000})
    assert session.get(server.url) == 200
    signed = [set(seen.headers) for seen in server.pch.seen if seen.signed]
    assert ["pch-evidence" in fields for fields in signed] == [True, False]


def test_a_bundle_is_posted_anew_and_the_request_bound_anew_where_each_connection_is_new(
    server: TlsServer, connect: Callable[..., Session], authority: Authority
):
    server.hang_up = "announced"
    server.pch.behaviour.fail_signed = ["nonce_expired"]
    session = connect(str(authority.file), evidence=LARGE)
    assert session.get(server.url) == 200
    assert [target for _, target in _seen(server)].count("/pch/evidence") == 2
    assert len(set(server.bound)) == 2


def test_nothing_to_detach_is_said_at_once():
    with pytest.raises(UsageError, match="only evidence can be detached"):
        _auth(mode="detached")


@pytest.mark.parametrize("how", ["announced", "silent"])
def test_every_new_connection_is_bound_anew(server: TlsServer, session: Session, how: str):
    server.hang_up = how
    assert [session.get(server.url) for _ in range(3)] == [200] * 3
    assert len(server.bound) == len(set(server.bound)) == 3
    assert len(set(server.exporters)) == len(server.exporters)


def test_a_connection_lost_while_idle_is_replaced_and_bound_anew(server: TlsServer, session: Session):
    assert session.get(server.url) == 200
    server.drop_connections()
    assert session.get(server.url) == 200
    assert server.bound == [0, 1]


def test_a_retried_request_is_signed_for_the_connection_it_is_retried_on(server: TlsServer, session: Session):
    server.hang_up = "announced"
    server.pch.behaviour.fail_signed = ["nonce_expired"]
    assert session.get(server.url) == 200
    assert len(set(server.bound)) == 2


def test_threads_sign_each_for_their_own_connection(server: TlsServer, session: Session):
    assert session.get(server.url) == 200
    with ThreadPoolExecutor(6) as pool:
        statuses = list(pool.map(lambda _: session.get(server.url), range(30)))
    assert statuses == [200] * 30
    assert len(server.bound) == 31


def test_server_name_and_protocol_are_sent(server: TlsServer, session: Session):
    session.get(server.url)
    assert server.server_names == [b"localhost"]
    assert set(server.protocols) == {b"http/1.1"}


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")  # what is asked for
def test_certificate_of_another_host_is_refused(
    authority: Authority, session: Session, connect: Callable[..., Session]
):
    with serving(KEYS, authority.issue("example.com", "xlocalhost", "localhost.example.com")) as other:
        with pytest.raises(session.broken, match=r"(?i)localhost"):
            session.get(other.url)
        assert other.pch.seen == []
        assert connect(False).get(other.url) == 200


def test_what_openssl_refuses_is_said_without_its_frames(server: TlsServer):
    with (
        pytest.raises(httpx.ConnectError, match=r"\ATLS failed: certificate verify failed\Z"),
        httpx.Client(transport=ExporterTransport()) as client,
    ):
        client.get(server.url)


def test_certificate_of_an_unknown_authority_is_refused(server: TlsServer, connect: Callable[..., Session]):
    unknowing = connect(True)
    with pytest.raises(unknowing.broken, match="certificate verify failed"):
        unknowing.get(server.url)
    assert server.pch.seen == []


def test_address_is_checked_against_addresses(authority: Authority, session: Session):
    with serving(KEYS, authority.issue("localhost")) as named:
        with pytest.raises(session.broken, match="127"):
            session.get(named.url.replace("localhost", "127.0.0.1"))
        assert named.pch.seen == []
    with serving(KEYS, authority.issue("127.0.0.1")) as addressed:
        addressed.pch.origin = addressed.pch.origin.replace("localhost", "127.0.0.1")
        assert session.get(addressed.url) == 200


def test_tls_1_2_is_refused(authority: Authority, session: Session):
    with serving(KEYS, authority.issue("localhost"), SSL.TLS1_2_VERSION) as old:
        with pytest.raises(session.broken):
            session.get(old.url)
        assert old.pch.seen == []


def test_redirect_to_another_origin_takes_no_proof_along(
    server: TlsServer, authority: Authority, session: Session
):
    assert session.get(server.url) == 200
    with serving(KEYS, authority.issue("localhost")) as other:
        server.pch.behaviour.redirects["/protected"] = other.url
        session.get(server.url, follow_redirects=True)
        assert [seen.signed for seen in other.pch.seen] == [False]
        assert "pch-channel-binding" not in other.pch.seen[0].headers


def test_a_relayed_proof_is_refused(server: TlsServer, session: Session):
    """The server refuses what is bound to another connection: the tests above can fail."""
    assert session.get(server.url) == 200
    proof = {n: v for n, v in server.pch.seen[-1].headers.items() if n.startswith(("signature", "pch-"))}
    with httpx.Client(transport=ExporterTransport(verify=False)) as client:
        answer = client.get(server.url, headers=proof)
    assert 'error="binding_mismatch"' in answer.headers["www-authenticate"]


def test_client_that_cannot_bind_is_said_so(server: TlsServer, authority: Authority):
    with pytest.raises(UsageError, match="ExporterTransport"):
        requests.get(server.url, auth=_auth(), verify=str(authority.file), timeout=5)
    with running(KEYS) as plain:
        with httpx.Client(auth=_auth()) as client, pytest.raises(UsageError, match="ExporterTransport"):
            client.get(f"{plain.origin}/protected")
        assert not any(seen.signed for seen in [*plain.seen, *server.pch.seen])


def test_plain_http_cannot_be_bound():
    with (
        httpx.Client(transport=ExporterTransport(), auth=_auth()) as client,
        pytest.raises(httpx.UnsupportedProtocol, match="https"),
    ):
        client.get("http://localhost:9/protected")


def test_async_client_that_cannot_bind_is_said_so(server: TlsServer):
    async def call() -> None:
        async with httpx.AsyncClient(auth=_auth(), verify=False) as client:
            await client.get(server.url)

    with pytest.raises(UsageError, match="AsyncExporterTransport"):
        asyncio.run(call())
    assert not any(seen.signed for seen in server.pch.seen)


def test_async_client_needs_https():
    async def call() -> None:
        async with httpx.AsyncClient(transport=AsyncExporterTransport(), auth=_auth()) as client:
            await client.get("http://localhost:9/protected")

    with pytest.raises(httpx.UnsupportedProtocol, match="https"):
        asyncio.run(call())


@pytest.mark.long
def test_a_hundred_tasks_sign_each_for_their_own_connection(server: TlsServer, authority: Authority):
    async def call() -> list[int]:
        transport = AsyncExporterTransport(verify=str(authority.file))
        async with httpx.AsyncClient(transport=transport, auth=_auth(), timeout=30) as client:
            answers = await asyncio.gather(*(client.get(server.url) for _ in range(100)))
            return [answer.status_code for answer in answers]

    assert asyncio.run(call()) == [200] * 100
    assert len(server.bound) == 100


def test_a_server_that_hangs_up_or_says_no_tls_is_no_connection(authority: Authority):
    async def call(port: int) -> None:
        transport = AsyncExporterTransport(verify=str(authority.file))
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get(f"https://localhost:{port}/")

    for greeting in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"):
        with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
            pool.submit(_greet, listener, greeting)
            with pytest.raises(httpx.ConnectError):
                asyncio.run(call(listener.getsockname()[1]))


def test_an_async_request_that_is_given_up_frees_its_place(authority: Authority):
    async def call(port: int) -> None:
        transport = AsyncExporterTransport(verify=str(authority.file))
        async with httpx.AsyncClient(transport=transport, timeout=30) as client:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.get(f"https://localhost:{port}/"), 0.2)
            assert transport._pool.connections == []
            with pytest.raises(httpx.ConnectTimeout):
                await client.get(f"https://localhost:{port}/", timeout=0.2)

    with socket.create_server(("127.0.0.1", 0), backlog=8) as silent:
        asyncio.run(call(silent.getsockname()[1]))


def _greet(listener: socket.socket, greeting: bytes) -> None:
    sock, _ = listener.accept()
    with sock:
        sock.recv(65_536)
        sock.sendall(greeting)


def test_client_certificate_is_bound_by_its_digest(authority: Authority, tmp_path: Path):
    certificate, _ = authority.issue("caller")
    der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)
    with running(KEYS) as plain:
        auth = _auth(binding="tls-client-cert", certificate=certificate)
        assert httpx.get(f"{plain.origin}/protected", auth=auth).status_code == 200
        value = base64.b64encode(hashlib.sha256(der).digest()).decode()
        assert plain.seen[-1].covered['"pch-channel-binding"'] == f"tls-client-cert=:{value}:"
        assert "pch-channel-binding" not in plain.seen[0].headers


def test_certificate_options_that_make_no_sense_are_refused(tmp_path: Path):
    (tmp_path / "empty.pem").touch()
    for options in ({"binding": "tls-client-cert"}, {"certificate": "x.pem"}, {"binding": "token"}):
        with pytest.raises(UsageError, match=r"binding"):
            _auth(**options)
    with pytest.raises(KeyFileError, match="PEM"):
        _auth(binding="tls-client-cert", certificate=tmp_path / "empty.pem")
    with pytest.raises(KeyFileError, match="cannot read"):
        _auth(binding="tls-client-cert", certificate=tmp_path / "none.pem")
