"""What every edge promises, asked of both over real TLS: what it attests, what it strips, what it refuses."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import time

import h11
import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded
from OpenSSL import SSL

from signet.handshake.edge import EdgeKeys, verify_attestation
from tests.edge.client import Answer, Client, connected
from tests.edge.conftest import KEY, KID, UPSTREAM_HOST

ATTESTED = re.compile(
    r'v=2, kid="(?P<kid>[^"]+)", ts=(?P<ts>\d+), '
    r"exporter=:(?P<exporter>[^:]+):, "
    r'authority="(?P<authority>[^"]+)", target=:(?P<target>[^:]+):, src="(?P<src>[^"]+)", '
    r"mac=:(?P<mac>[^:]+):"
)
FORGED = ["signet-edge", "Signet-Edge", "signet_edge", "SIGNET_EDGE", "signet-edge_x", "signet_edge-2"]


def attested(answer: Answer, method: str = "GET", proof: str | None = None) -> dict[str, str]:
    """Return the members of the one attestation; its MAC holds here and at the authorizer."""
    [value] = answer.received("signet-edge")
    match = ATTESTED.fullmatch(value)
    assert match, value
    said = match.groupdict()
    named = "none" if proof is None else base64.b64encode(hashlib.sha256(proof.encode()).digest()).decode()
    lines = ["signet-edge-v2", said["kid"], said["ts"], said["exporter"], method]
    message = "\n".join([*lines, said["authority"], said["target"], said["src"], named]).encode()
    assert base64.b64decode(said["mac"]) == hmac.digest(KEY, message, "sha256")
    now_ms = time.time_ns() // 1_000_000
    read = verify_attestation(
        value, method=method, signature_input=proof, keys=EdgeKeys({KID: KEY}), now_ms=now_ms
    )
    assert read.exporter == base64.b64decode(said["exporter"])
    assert abs(int(said["ts"]) - now_ms // 1000) <= 5
    return said


def exporter_in(answer: Answer, method: str = "GET") -> bytes:
    return base64.b64decode(attested(answer, method)["exporter"])


# --- what is attested


@pytest.mark.parametrize("suite", [b"TLS_AES_128_GCM_SHA256", b"TLS_CHACHA20_POLY1305_SHA256"])
def test_the_exporter_is_the_clients_own_on_every_connection(edge, suite):
    seen = set()
    for _ in range(10):
        with connected(edge.port, ciphersuites=suite) as client:
            assert exporter_in(client.request()) == client.exporter
            seen.add(client.exporter)
    assert len(seen) == 10


def test_requests_of_one_connection_share_its_exporter_and_each_has_its_attestation(edge):
    with connected(edge.port) as client:
        for n in range(10):
            answer = client.request("POST", f"/item/{n}", body=b"x" * n)
            said = attested(answer, "POST")
            assert base64.b64decode(said["exporter"]) == client.exporter
            assert base64.b64decode(said["target"]) == f"/item/{n}".encode()


def test_a_resumed_session_has_an_exporter_of_its_own(edge):
    with connected(edge.port) as first:
        assert exporter_in(first.request()) == first.exporter
    with connected(edge.port, resume=first) as second:
        assert second.resumed
        assert exporter_in(second.request()) == second.exporter != first.exporter


@pytest.mark.parametrize(
    "target",
    ["/protected?b=1&a=%2F+x&a=", "/protected?", "/protected", "/a%2Fb/../c//d;e=f?g;h", "/" + "p" * 4000],
)
def test_target_and_authority_are_attested_byte_for_byte_and_sent_on_under_the_base_path(edge, target):
    with connected(edge.port) as client:
        answer = client.request(target=target, host="API.Example.com:8443")
    said = attested(answer)
    assert (base64.b64decode(said["target"]).decode(), said["authority"]) == (target, "API.Example.com:8443")
    assert (answer.told["target"], answer.received("host")) == (f"/prod{target}", [UPSTREAM_HOST])


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_method_and_address_are_attested(edge, method):
    with connected(edge.port) as client:
        answer = client.request(method, headers=[("X-Forwarded-For", "192.0.2.1")])
    assert (attested(answer, method)["src"], answer.told["method"]) == ("127.0.0.1", method)


@pytest.mark.parametrize("value", ['pch=("@method" "@path");created=1;keyid="c,1;2"', "x", "a, b", ""])
def test_the_proof_that_goes_along_is_attested(edge, value):
    with connected(edge.port) as client:
        answer = client.request(headers=[("Signature-Input", value)])
        attested(answer, proof=value)
        assert answer.received("signature-input") == [value]
        attested(client.request())


def test_the_proof_is_attested_without_the_blanks_around_it(edge):
    with connected(edge.port) as client:
        client.tls.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nSIGNATURE-INPUT: \t pch=()  \r\n\r\n")
        client.http.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
        client.http.send(h11.EndOfMessage())
        answer = client.answer()
    attested(answer, proof="pch=()")
    assert answer.received("signature-input") == ["pch=()"]


def test_a_proof_that_a_client_takes_away_on_the_way_is_not_attested(edge):
    """Connection may name any field; whether it goes on or not, the attestation says the same."""
    with connected(edge.port) as client:
        answer = client.request(headers=[("Connection", "signature-input"), ("Signature-Input", "pch=()")])
    proofs = answer.received("signature-input")
    attested(answer, proof=proofs[0] if proofs else None)


def test_two_proofs_are_refused(edge, upstream):
    before = upstream.requests
    with connected(edge.port) as client:
        sent = [("Signature-Input", "pch=()"), ("signature-input", "pch=()")]
        assert client.request(headers=sent).status == 400
    assert upstream.requests == before


# --- what is stripped


@pytest.mark.parametrize("name", FORGED)
def test_forged_copies_do_not_arrive(edge, name):
    with connected(edge.port) as client:
        answer = client.request(headers=[(name, "v=2, forged"), (name, "again")])
    assert exporter_in(answer) == client.exporter
    assert "forged" not in str(answer.told)
    assert not [key for key, _ in answer.told["headers"] if re.match("signet[-_]edge.", key)]


@pytest.mark.parametrize(
    "name",
    [
        "X-Amzn-Mtls-Clientcert",
        "x_amzn_mtls_clientcert_leaf",
        "Client-Cert",
        "Client-Cert-Chain",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "x_forwarded_for",
        "Forwarded",
    ],
)
def test_what_only_a_gateway_may_say_does_not_arrive(edge, name):
    with connected(edge.port) as client:
        answer = client.request(headers=[(name, "forged"), ("X-Kept", "yes")])
    assert "forged" not in str(answer.told)
    assert answer.received("x-kept") == ["yes"]


@pytest.mark.parametrize(
    "fields",
    [
        [("Connection", "signet-edge, keep-alive")],
        [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk")],
        [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="),
            ("Sec-WebSocket-Version", "13"),
        ],
        [("TE", "trailers"), ("Trailer", "Signet-Edge"), ("Proxy-Connection", "x"), ("Keep-Alive", "x")],
        [("HTTP2-Settings", "AAMAAABk"), ("Upgrade", "h2c")],
    ],
)
def test_what_is_of_one_hop_ends_here_and_cannot_take_the_attestation_away(edge, fields):
    with connected(edge.port) as client:
        answer = client.request(headers=fields)
    assert exporter_in(answer) == client.exporter
    for name in ("upgrade", "http2-settings", "te", "trailer", "proxy-connection", "keep-alive"):
        assert answer.received(name) == []
    assert answer.received("connection") in ([], ["close"], ["keep-alive"])


def test_a_forgery_folded_into_another_field_is_no_field(edge):
    with connected(edge.port) as client:
        head = "GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n Signet-Edge: forged\r\n\r\n"
        client.tls.sendall(head.encode())
        client.http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        answer = client.answer()
    assert answer.status == 400 or len(answer.received("signet-edge")) == 1
    assert answer.status == 400 or "forged" not in answer.received("signet-edge")[0]


def test_signed_fields_arrive_unchanged(edge):
    sent = [
        ("Signature-Input", 'pch=("@method");created=1;keyid="caller-1"'),
        ("Signature", "pch=:AAAA:"),
        ("PCH-Channel-Binding", "tls-exporter=:AAAA:"),
        ("Content-Digest", "sha-256=:AAAA:"),
    ]
    with connected(edge.port) as client:
        answer = client.request(headers=sent)
    for name, value in sent:
        assert answer.received(name.lower()) == [value]


# --- what is refused


def test_tls_1_2_is_refused(edge):
    with pytest.raises(SSL.Error):
        Client(edge.port, version=SSL.TLS1_2_VERSION)


def test_sha_384_is_refused_where_the_derivation_is_for_sha_256(haproxy):
    with pytest.raises(SSL.Error):
        Client(haproxy.port, ciphersuites=b"TLS_AES_256_GCM_SHA384")


@pytest.mark.parametrize("host", ['a"b', "a b", "a,b", "a;b", "a\\b", "x@y"])
def test_a_host_that_is_no_plain_name_is_refused(edge, upstream, host):
    before = upstream.requests
    with connected(edge.port) as client:
        client.tls.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        client.http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        assert client.answer().status == 400
    assert upstream.requests == before


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET https://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nSignet-Edge : forged\r\n\r\n",
        "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        "nonsense\r\n\r\n",
    ],
)
def test_a_request_with_two_readings_or_none_goes_nowhere(edge, upstream, head):
    before = upstream.requests
    with connected(edge.port) as client:
        client.tls.sendall(head.encode("latin-1"))
        client.http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        assert client.answer().status == 400
    assert upstream.requests == before


def test_two_ways_of_telling_the_length_smuggle_nothing(edge, upstream):
    smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    before = upstream.requests
    with connected(edge.port) as client:
        head = (
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        client.tls.sendall((head + smuggled).encode())
        client.http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        first = client.answer()
    if first.status == 200:  # taken as chunked, with nothing left over for another reader
        assert first.received("content-length") == []
    assert upstream.requests - before <= 1


def test_headers_that_are_too_large_are_refused(edge, upstream):
    before = upstream.requests
    with connected(edge.port) as client:
        head = "".join(f"X-{n}: {'a' * 1000}\r\n" for n in range(40))
        client.tls.sendall(f"GET / HTTP/1.1\r\nHost: a\r\n{head}\r\n".encode())
        client.http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
        assert client.answer().status in {400, 431}
    assert upstream.requests == before


def test_a_body_that_api_gateway_would_not_take_is_refused_at_once(edge, upstream):
    before = upstream.requests
    with connected(edge.port) as client:
        length = ("Content-Length", str(10_485_761))
        client.send(h11.Request(method="POST", target="/", headers=[("Host", "a"), length]))
        assert client.answer().status == 413
    assert upstream.requests == before


# --- bodies


def test_a_body_goes_up_while_it_is_still_being_sent(edge, upstream):
    with connected(edge.port) as client:
        headers = [("Host", "a"), ("Transfer-Encoding", "chunked")]
        client.send(h11.Request(method="POST", target="/steps/up", headers=headers))
        client.send(h11.Data(data=b"first"))
        assert upstream.seen.wait(20)
        upstream.go_on.set()
        client.send(h11.Data(data=b" second"))
        client.send(h11.EndOfMessage())
        assert client.answer().told["body"] == "first second"


def test_an_answer_comes_down_while_it_is_still_being_made(edge, upstream):
    with connected(edge.port) as client:
        client.send(h11.Request(method="GET", target="/steps/down", headers=[("Host", "a")]))
        client.send(h11.EndOfMessage())
        assert client.event().status_code == 200
        assert bytes(client.event().data) == b"one"
        upstream.go_on.set()
        assert bytes(client.event().data) == b"two"


def test_a_large_body_arrives_whole(edge):
    with connected(edge.port) as client:
        answer = client.request("POST", body=b"0123456789" * 500_000)
    assert answer.told["body_bytes"] == 5_000_000


def test_the_connection_is_kept_after_bodies_and_bodiless_answers(edge):
    with connected(edge.port) as client:
        head = client.request("HEAD", "/x")
        assert (head.status, head.body) == (200, b"")
        assert client.request("POST", "/y", body=b"body").told["body"] == "body"
        assert exporter_in(client.request(target="/z")) == client.exporter


def test_a_client_that_waits_to_be_told_to_go_on_is_told(edge):
    with connected(edge.port) as client:
        headers = [("Host", "a"), ("Content-Length", "4"), ("Expect", "100-continue")]
        client.send(h11.Request(method="POST", target="/", headers=headers))
        assert client.event().status_code == 100
        client.send(h11.Data(data=b"body"))
        client.send(h11.EndOfMessage())
        assert client.answer().told["body"] == "body"


def test_an_answer_before_the_end_of_the_request_gets_through(edge):
    with connected(edge.port) as client:
        headers = [("Host", "a"), ("Transfer-Encoding", "chunked")]
        client.send(h11.Request(method="POST", target="/early", headers=headers))
        client.send(h11.Data(data=b"first"))
        answer = client.answer()
    assert (answer.status, answer.body) == (403, b"enough")


def test_an_upstream_that_hangs_up_is_502(edge):
    with connected(edge.port) as client:
        assert client.request(target="/hang-up").status == 502


def test_an_answer_that_breaks_off_does_not_pass_for_whole(edge):
    with connected(edge.port) as client:
        client.send(h11.Request(method="GET", target="/break-off", headers=[("Host", "a")]))
        client.send(h11.EndOfMessage())
        with pytest.raises((SSL.Error, h11.RemoteProtocolError)):
            client.answer()


# --- HTTP/2, which HAProxy speaks


def test_the_exporter_is_the_clients_own_over_http_2(haproxy):
    with connected(haproxy.port, alpn=[b"h2"]) as client:
        assert client.tls.get_alpn_proto_negotiated() == b"h2"
        http = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        http.initiate_connection()
        for path in ("/one?b=1&a=2", "/two"):
            answer = _over_http_2(client, http, path)
            said = attested(answer)
            assert base64.b64decode(said["exporter"]) == client.exporter
            assert (base64.b64decode(said["target"]).decode(), said["authority"]) == (path, "api.example.com")


def _over_http_2(client: Client, http: H2Connection, path: str) -> Answer:
    stream = http.get_next_available_stream_id()
    headers = [(":method", "GET"), (":scheme", "https"), (":authority", "api.example.com"), (":path", path)]
    http.send_headers(stream, [*headers, ("signet-edge", "forged")], end_stream=True)
    status, body, ended = 0, b"", False
    while not ended:
        client.tls.sendall(http.data_to_send())
        for event in http.receive_data(client.receive()):
            if isinstance(event, ResponseReceived):
                status = int(dict(event.headers)[":status"])
            elif isinstance(event, DataReceived):
                body += event.data
            ended = ended or isinstance(event, StreamEnded)
    return Answer(status, [], body)
