"""The edges as processes, in front of one upstream."""

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
from pathlib import Path

import pytest

from local.certificate import self_signed
from tests.edge.upstream import Upstream
from tests.support.waiting import until
from tests.support.world import ROOT

KID = "e1"
KEY = hashlib.sha256(b"the key of an edge under test").digest()
UPSTREAM_HOST = "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
COMMANDS = {
    "haproxy": ["haproxy", "-db", "-f", str(ROOT / "edge" / "haproxy.cfg")],
    "python": [sys.executable, "-m", "signet_edge"],
}
#: Name of a built image (edge/Dockerfile); if it is set, the container is asked the same as the two others.
IMAGE = os.environ.get("SIGNET_EDGE_IMAGE")
KINDS = [*COMMANDS, *(["container"] if IMAGE else [])]
HAPROXY_KINDS = [kind for kind in KINDS if kind != "python"]
# As edge/template.yaml runs it, but on this machine's own network.
CONTAINED = ["docker", "run", "--rm", "--network=host", "--read-only", "--cap-drop=ALL"]


@dataclass(frozen=True)
class Edge:
    kind: str
    port: int
    process: subprocess.Popen[bytes]


def command(kind: str, variables: dict[str, str]) -> tuple[list[str], dict[str, str]]:
    """Return how an edge is started, and in which environment."""
    if kind != "container":
        return COMMANDS[kind], variables
    assert IMAGE
    inside = {name: value for name, value in variables.items() if name.startswith("SIGNET_EDGE_")}
    if certificate := inside.pop("SIGNET_EDGE_CERT", None):
        inside["SIGNET_EDGE_CERT_PEM"] = Path(certificate).read_text()
    authorities = inside.get("SIGNET_EDGE_UPSTREAM_CA")
    shared = [f"--volume={authorities}:{authorities}:ro"] if authorities else []
    named = [f"--env={name}" for name in inside]
    return [*CONTAINED, *shared, *named, IMAGE], inside | {"PATH": variables["PATH"]}


def require(kind: str) -> None:
    if kind == "haproxy" and shutil.which("haproxy") is None:
        pytest.skip("haproxy is not installed: apt-get install haproxy")


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for localhost with its key, in one PEM file."""
    path = tmp_path_factory.mktemp("edge") / "localhost.pem"
    path.write_bytes(b"".join(self_signed()))
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
    """Run an edge; no client comes too early."""
    require(kind)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        port, descriptor = listener.getsockname()[1], listener.fileno()
        if kind != "container":  # a container inherits no socket: it gets the address, once that is free
            process = _start(kind, variables | {"SIGNET_EDGE_BIND": f"fd@{descriptor}"}, descriptor)
    if kind == "container":
        process = _start(kind, variables | {"SIGNET_EDGE_BIND": f"127.0.0.1:{port}"})
    try:
        if kind == "container":
            until(lambda: _listening(port) or process.poll() is not None, seconds=30)
        yield Edge(kind, port, process)
    finally:
        # As the first process of a container HAProxy has only its orderly stop, which ends all within 40 s.
        process.send_signal(signal.SIGUSR1 if kind == "container" else signal.SIGTERM)
        try:
            process.wait(60 if kind == "container" else 20)
        finally:
            process.kill()
            process.wait()


def _start(kind: str, variables: dict[str, str], *descriptors: int) -> subprocess.Popen[bytes]:
    line, env = command(kind, variables)
    return subprocess.Popen(line, env=env, pass_fds=descriptors, cwd=ROOT)


def _listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="module", params=KINDS)
def edge(request: pytest.FixtureRequest, certificate: Path, serving: Upstream) -> Iterator[Edge]:
    """Each of the edges in turn."""
    with running(request.param, environment(certificate, serving.port)) as started:
        yield started


@pytest.fixture(scope="module", params=HAPROXY_KINDS)
def haproxy(request: pytest.FixtureRequest, certificate: Path, serving: Upstream) -> Iterator[Edge]:
    with running(request.param, environment(certificate, serving.port)) as started:
        yield started
