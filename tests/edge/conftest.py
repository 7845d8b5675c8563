"""Both edges as processes, in front of one upstream."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.edge.upstream import Upstream
from tests.support.world import ROOT

KID = "e1"
KEY = hashlib.sha256(b"the key of an edge under test").digest()
UPSTREAM_HOST = "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
COMMANDS = {
    "haproxy": ["haproxy", "-db", "-f", str(ROOT / "edge" / "haproxy.cfg")],
    "python": [sys.executable, "-m", "signet_edge"],
}


@dataclass(frozen=True)
class Edge:
    kind: str
    port: int
    process: subprocess.Popen[bytes]


def require(kind: str) -> None:
    if kind == "haproxy" and shutil.which("haproxy") is None:
        pytest.skip("haproxy is not installed: apt-get install haproxy")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost with its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("edge") / "localhost.pem"
    path.write_bytes(made.public_bytes(pem) + secret)
    return path


@pytest.fixture(scope="session")
def serving() -> Iterator[Upstream]:
    with Upstream() as upstream:
        thread = threading.Thread(target=upstream.serve_forever, daemon=True)
        thread.start()
        yield upstream
        upstream.shutdown()
        thread.join()


@pytest.fixture
def upstream(serving: Upstream) -> Upstream:
    """The upstream, with no step taken yet."""
    serving.seen.clear()
    serving.go_on.clear()
    return serving


def environment(certificate: Path, upstream_port: int, **changes: str) -> dict[str, str]:
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "edge"),
        "SIGNET_EDGE_BIND": "127.0.0.1:0",
        "SIGNET_EDGE_CERT": str(certificate),
        "SIGNET_EDGE_KID": KID,
        "SIGNET_EDGE_KEY_B64": base64.b64encode(KEY).decode(),
        "SIGNET_EDGE_UPSTREAM": f"127.0.0.1:{upstream_port}",
        "SIGNET_EDGE_UPSTREAM_HOST": UPSTREAM_HOST,
        "SIGNET_EDGE_UPSTREAM_PREFIX": "/prod",
        "SIGNET_EDGE_UPSTREAM_TLS": "off",
    } | changes
    return {name: value for name, value in variables.items() if value}


@contextmanager
def running(kind: str, variables: dict[str, str]) -> Iterator[Edge]:
    """Run an edge on a listening socket that is handed to it, so that no client comes too early."""
    require(kind)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        descriptor = listener.fileno()
        process = subprocess.Popen(
            COMMANDS[kind],
            env=variables | {"SIGNET_EDGE_BIND": f"fd@{descriptor}"},
            pass_fds=(descriptor,),
            cwd=ROOT,
        )
        port = listener.getsockname()[1]
    try:
        yield Edge(kind, port, process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module", params=list(COMMANDS))
def edge(request: pytest.FixtureRequest, certificate: Path, serving: Upstream) -> Iterator[Edge]:
    """Each of the two edges in turn."""
    with running(request.param, environment(certificate, serving.port)) as started:
        yield started


@pytest.fixture(scope="module")
def haproxy(certificate: Path, serving: Upstream) -> Iterator[Edge]:
    with running("haproxy", environment(certificate, serving.port)) as started:
        yield started
