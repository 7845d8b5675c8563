"""The edges as programs: they start with all they need or not at all, and stop without breaking off."""

from __future__ import annotations

import base64
import signal
import socket
import subprocess

import h11
import pytest
from OpenSSL import SSL

from signet_edge.settings import Settings, SettingsError
from tests.edge.client import connected
from tests.edge.conftest import COMMANDS, KEY, KINDS, command, environment, require, running
from tests.support.world import ROOT

NEEDED = ["SIGNET_EDGE_KEY_B64", "SIGNET_EDGE_KID", "SIGNET_EDGE_UPSTREAM_HOST"]


def started(kind, variables):
    require(kind)
    line, env = command(kind, variables)
    return subprocess.run(line, env=env, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NEEDED)
def test_an_edge_does_not_start_without_what_it_signs_with(kind, name, certificate):
    ended = started(kind, environment(certificate, 1, **{name: ""}))
    assert ended.returncode != 0
    assert f"{name} is missing" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_length_signs_nothing(kind, size, certificate, upstream):
    variables = environment(certificate, upstream.port) | {
        "SIGNET_EDGE_KEY_B64": base64.b64encode(bytes(size)).decode() or "="
    }
    before = upstream.requests
    if kind == "python":
        assert "SIGNET_EDGE_KEY_B64 is not the base64 of 32 bytes" in started(kind, variables).stderr
    else:
        with running(kind, variables) as edge, connected(edge.port) as client:
            assert client.request().status == 500
    assert upstream.requests == before


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_lets_the_request_under_way_end_and_takes_no_other(kind, certificate, upstream):
    with running(kind, environment(certificate, upstream.port)) as edge:
        with connected(edge.port) as client, connected(edge.port) as idle:
            idle.request()
            client.send(h11.Request(method="GET", target="/steps/wait", headers=[("Host", "a")]))
            client.send(h11.EndOfMessage())
            assert upstream.seen.wait(20)
            # HAProxy's orderly stop has a signal of its own; a container has to be told (STOPSIGNAL).
            edge.process.send_signal(signal.SIGTERM if kind == "python" else signal.SIGUSR1)
            upstream.go_on.set()
            assert client.answer().status == 200
        assert edge.process.wait(20) == 0
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", edge.port), timeout=5)


@pytest.mark.parametrize("kind", KINDS)
def test_without_an_upstream_the_answer_is_a_gateway_error(kind, certificate):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with running(kind, environment(certificate, port)) as edge, connected(edge.port) as client:
        assert client.request().status in {502, 503}


@pytest.mark.parametrize("kind", KINDS)
def test_an_upstream_without_tls_is_not_spoken_to_unless_that_was_said(kind, certificate, upstream):
    before = upstream.requests
    variables = environment(certificate, upstream.port, SIGNET_EDGE_UPSTREAM_TLS="")
    with running(kind, variables) as edge, connected(edge.port) as client:
        assert client.request().status in {502, 503}
    assert upstream.requests == before


@pytest.mark.parametrize("kind", KINDS)
def test_an_upstream_whose_certificate_is_for_another_name_is_not_spoken_to(kind, certificate, upstream):
    """The edge in front of an edge: its certificate says localhost."""
    with running("python", environment(certificate, upstream.port)) as inner:
        trusting = {"SIGNET_EDGE_UPSTREAM_TLS": "on", "SIGNET_EDGE_UPSTREAM_CA": str(certificate)}
        right = environment(certificate, inner.port, SIGNET_EDGE_UPSTREAM_HOST="localhost", **trusting)
        with running(kind, right) as edge, connected(edge.port) as client:
            assert client.request().status == 200
        before = upstream.requests
        with (
            running(kind, environment(certificate, inner.port, **trusting)) as edge,
            connected(edge.port) as client,
        ):
            assert client.request().status in {502, 503}
        assert upstream.requests == before


def test_a_container_gets_its_certificate_as_a_variable(certificate, upstream, tmp_path, monkeypatch):
    monkeypatch.setitem(COMMANDS, "haproxy", ["/bin/sh", str(ROOT / "edge" / "start.sh")])
    variables = environment(certificate, upstream.port, SIGNET_EDGE_CERT="") | {
        "SIGNET_EDGE_CERT_PEM": certificate.read_text(),
        "SIGNET_EDGE_CONFIG": str(ROOT / "edge" / "haproxy.cfg"),
        "TMPDIR": str(tmp_path),
    }
    with running("haproxy", variables) as edge, connected(edge.port) as client:
        assert client.request().status == 200
    assert (tmp_path / "edge.pem").stat().st_mode & 0o777 == 0o600


def test_noise_on_the_port_does_no_harm(certificate, upstream):
    with running("python", environment(certificate, upstream.port)) as edge:
        for noise in (b"", b"GET / HTTP/1.1\r\n\r\n", bytes(range(256)) * 8):
            with socket.create_connection(("127.0.0.1", edge.port)) as stranger:
                stranger.sendall(noise)
        with connected(edge.port) as client:
            assert client.request().status == 200


def test_a_body_without_a_length_is_counted(certificate, upstream):
    with running("python", environment(certificate, upstream.port)) as edge, connected(edge.port) as client:
        headers = [("Host", "a"), ("Transfer-Encoding", "chunked")]
        client.send(h11.Request(method="POST", target="/", headers=headers))
        try:
            for _ in range(11):
                client.send(h11.Data(data=bytes(1_048_576)))
        except SSL.Error:
            pytest.fail("the edge closed before it answered")
        assert client.answer().status == 413


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SIGNET_EDGE_KEY_B64", "c2hvcnQ="),
        ("SIGNET_EDGE_KEY_B64", "*" * 44),
        ("SIGNET_EDGE_KEY_B64", f"{'A' * 42}B="),  # the authorizer refuses another spelling of a key
        ("SIGNET_EDGE_KID", 'e"1'),
        ("SIGNET_EDGE_UPSTREAM", "gateway"),
        ("SIGNET_EDGE_UPSTREAM", "gateway:70000"),
        ("SIGNET_EDGE_UPSTREAM_PREFIX", "prod"),
        ("SIGNET_EDGE_UPSTREAM_PREFIX", "/prod/"),
        ("SIGNET_EDGE_UPSTREAM_TLS", "maybe"),
    ],
)
def test_a_setting_that_cannot_be_meant_is_named(certificate, name, value):
    with pytest.raises(SettingsError, match=name):
        Settings.from_environment(environment(certificate, 1) | {name: value})


def test_settings_do_not_show_the_key(certificate):
    settings = Settings.from_environment(environment(certificate, 1))
    assert settings.key == KEY
    assert repr(KEY)[2:-1] not in repr(settings)


@pytest.mark.parametrize("name", ["SIGNET_EDGE_CERT", "SIGNET_EDGE_UPSTREAM_CA"])
def test_a_file_that_is_not_there_is_named(name, certificate, tmp_path):
    variables = environment(certificate, 1, SIGNET_EDGE_UPSTREAM_TLS="on") | {
        name: str(tmp_path / "none.pem")
    }
    ended = started("python", variables)
    assert (ended.returncode, "Traceback" in ended.stderr) == (2, False)
    assert f"{name}=" in ended.stderr
