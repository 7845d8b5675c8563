"""Figure 3: the authorizer's cold start under AWS's own runtime emulator, as built."""

from __future__ import annotations

import json
import os
import re
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from bench.figures import Figure, Section, ratio
from bench.settings import authorizer_settings
from bench.timing import MeasurementError, Report
from local.build import build
from local.errors import StackError
from local.tools import base_env, runtime_emulator, runtime_python
from tests.support.world import SECRET, World

LIMIT_MS = 350.0
LIMIT_RATIO = 1.3
_WAIT_S = 60
_INIT = re.compile(r"INIT REPORT\(durationMs: ([0-9.]+)\)")
_INVOKED = re.compile(r"INVOKE RTDONE\(.*duration: ([0-9.]+)ms\)")

_PEER = """\
import boto3
import cryptography.hazmat.primitives.asymmetric.ed25519


def handler(_event, _context):
    return {}
"""


class _Aws(BaseHTTPRequestHandler):
    """Answers the authorizer's calls; what AWS takes for them is not our figure."""

    def do_POST(self) -> None:
        """Answer by the operation's name."""
        self.rfile.read(int(self.headers["Content-Length"]))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        status = 200
        answer: dict[str, Any] = {"MessageId": "m", "MD5OfMessageBody": ""}
        if operation == "GetSecretValue":
            answer = {"SecretString": SECRET.decode(), "CreatedDate": 1.7e9}
        elif operation in {"GetItem", "UpdateItem"}:
            answer = {}
        elif operation == "BatchGetItem":
            answer = {"Responses": {}}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_arguments: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def _aws() -> Iterator[str]:
    """Run a stand-in for the AWS endpoint; gives its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Aws)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Function:
    """A built function: its folder and handler, and the event of its first invocation."""

    folder: Path
    handler: str
    event: dict[str, Any]


def cold_start(
    emulator: Path, python: Path, function: Function, env: Mapping[str, str]
) -> tuple[float, float]:
    """Start a function once and invoke it once.

    Returns:
        Milliseconds of init (process start to the first request for an event) and of the first
        invocation, both as the emulator reports them.

    Raises:
        MeasurementError: the function did not come up or did not answer.
    """
    port = _free_port()
    command: list[str | Path] = [emulator, "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    command += [
        "--runtime-api-address",
        f"127.0.0.1:{_free_port()}",
        python,
        "-m",
        "awslambdaric",
        function.handler,
    ]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(  # noqa: S603 - AWS's emulator and our function
            command,
            cwd=function.folder,
            env={**env, "LAMBDA_TASK_ROOT": str(function.folder)},
            stdout=log,
            stderr=log,
        )
        try:
            _await_port(port, process)
            connection = HTTPConnection("127.0.0.1", port, timeout=_WAIT_S)
            connection.request(
                "POST", "/2015-03-31/functions/function/invocations", json.dumps(function.event)
            )
            answer = connection.getresponse().read()
            connection.close()
        finally:
            process.terminate()
            process.wait(_WAIT_S)
        log.seek(0)
        said = log.read()
    init, invoked = _INIT.search(said), _INVOKED.search(said)
    if init is None or invoked is None or b"errorType" in answer:
        raise MeasurementError(f"{function.handler} did not start: {answer[-300:]!r}\n{said[-1500:]}")
    return float(init[1]), float(invoked[1])


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _WAIT_S
    while process.poll() is None and time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise MeasurementError("the runtime emulator did not start")


def measure(report: Report, *, quick: bool) -> Section:
    """Measure the authorizer and its peer in turns, after one run of each that does not count."""
    title = "3. Cold start of the authorizer, init phase under the Lambda runtime emulator"
    rounds = 3 if quick else 9
    try:
        built = build(report).parent
        emulator, python = runtime_emulator(report), runtime_python(report)
    except StackError as error:
        return Section(title, notes=[f"not measured: {error}"])
    with tempfile.TemporaryDirectory() as scratch, _aws() as endpoint:
        peer = Path(scratch)
        (peer / "peer.py").write_text(_PEER)
        env = environment_of(built, endpoint)
        event = World().event()
        own = Function(built / "AuthorizerFunction", "authorizer_handler.handler", event)
        bare = Function(peer, "peer.handler", {})
        taken: dict[str, list[tuple[float, float]]] = {"own": [], "peer": []}
        for number in range(rounds + 1):
            report(f"cold start {number} of {rounds}")
            started = {
                "own": cold_start(emulator, python, own, env),
                "peer": cold_start(emulator, python, bare, env),
            }
            for name, times in started.items():
                if number:
                    taken[name].append(times)
    return Section(title, _figures(taken), [_NOTE])


_NOTE = (
    "The peer is a function that imports boto3 and cryptography and nothing else. The first answer adds "
    "what is made on first use: connections to three services, the secret, the compiled policy."
)


def _figures(taken: Mapping[str, list[tuple[float, float]]]) -> list[Figure]:
    init = {name: statistics.median([times[0] for times in runs]) for name, runs in taken.items()}
    answer = statistics.median([sum(times) for times in taken["own"]])
    beside = f"{init['own']:.0f} ms beside {init['peer']:.0f} ms"
    return [
        Figure("init", init["own"], "ms", LIMIT_MS, "median; absolute, so it depends on the machine"),
        ratio(
            "init, to importing boto3 + cryptography",
            init["own"],
            init["peer"],
            limit=LIMIT_RATIO,
            beside=beside,
        ),
        Figure("init and first answer", answer, "ms", None, "a request without proof: challenged, on record"),
    ]


def environment_of(built: Path, endpoint: str) -> dict[str, str]:
    """Return what Lambda and the template give the authorizer."""
    layers = os.pathsep.join(str(built / layer / "python") for layer in ("SignetLayer", "PolicyLayer"))
    # On AWS there is neither, and either would bring botocore's client in place of Signet's.
    there = {
        name: value
        for name, value in base_env().items()
        if name != "AWS_CONFIG_FILE" and not name.lower().endswith("_proxy")
    }
    return there | {
        "HOME": os.devnull,  # no file of the user's instead
        "PYTHONPATH": layers,
        "AWS_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_LAMBDA_FUNCTION_NAME": "authorizer",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "POWERTOOLS_TRACE_DISABLED": "false",  # as on AWS
        "POWERTOOLS_METRICS_NAMESPACE": "Signet",
        "POWERTOOLS_SERVICE_NAME": "authorizer",
        **authorizer_settings(endpoint),
    }
