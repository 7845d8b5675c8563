"""Figure 0: what Lambda bills for one allowed decision: the whole handler, with its calls over sockets.

The handler runs in a process of its own, as built for Lambda: fresh events, each with a nonce of its own. A
second process stands in for AWS and answers at once; its CPU time is not counted.
"""

from __future__ import annotations

import base64
import gc
import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

from bench.authorizer import bare_verification
from bench.figures import Figure, Section, ratio
from bench.settings import authorizer_settings
from bench.timing import MeasurementError, Report

LIMIT: Final = 9.0
IMPORT_LIMIT: Final = 0.4
_ROOT: Final = Path(__file__).resolve().parents[1]
_SUITES: Final = ("ed25519", "ecdsa-p256-sha256", "ml-dsa-65")
_WARM: Final = 20  # decisions that are not counted
_TITLE: Final = "0. Authorizer, whole handler: own CPU time of an allowed decision, calls over sockets"
_NOTE: Final = (
    "Handler, log line, metrics, and both calls of a decision (the spent nonce, the receipt) to a local "
    "endpoint in another process, without TLS. 'botocore' is the same handler with botocore's client."
)


def measure(report: Report, *, quick: bool) -> Section:
    """Run the handler with each client in a process of its own, in turns."""
    rounds, requests = (2, 60) if quick else (5, 200)
    taken: dict[str, list[dict[str, Any]]] = {"direct": [], "botocore": []}
    for number in range(rounds):
        for client, runs in taken.items():
            report(f"whole handler {number + 1} of {rounds}: {client}")
            runs.append(_child(client, requests))
    figures: list[Figure] = []
    for alg in _SUITES:
        own = {c: statistics.median(run[alg]["own"] for run in runs) for c, runs in taken.items()}
        bare = statistics.median(run[alg]["bare"] for runs in taken.values() for run in runs)
        for client, microseconds in own.items():
            beside = f"{microseconds:.0f} µs beside {bare:.0f} µs bare verification"
            limit = LIMIT if client == "direct" and alg != "ml-dsa-65" else None
            name = alg if client == "direct" else f"· {alg}, botocore"
            figures.append(ratio(name, microseconds, bare, limit=limit, beside=beside))
    report("import of the handler")
    times = {
        name: statistics.median(_import_ms(code) for _ in range(3 + 2 * rounds))
        for name, code in _IMPORTS.items()
    }
    own_ms, peer_ms = times["authorizer"], times["peer"]
    beside = f"{own_ms:.0f} ms beside {peer_ms:.0f} ms of CPU"
    figures.append(
        ratio("import, to boto3 + cryptography", own_ms, peer_ms, limit=IMPORT_LIMIT, beside=beside)
    )
    return Section(_TITLE, figures, [_NOTE])


_IMPORTS: Final = {
    "authorizer": "import authorizer_handler",
    "peer": "import boto3, cryptography.hazmat.primitives.asymmetric.ed25519",
}


def _import_ms(code: str) -> float:
    timed = f"import time; t = time.process_time()\n{code}\nprint((time.process_time() - t) * 1e3)"
    return float(_python(["-c", timed], "direct"))


def _child(client: str, requests: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_python(["-m", "bench.handler", str(requests)], client))
    return found


def _python(arguments: list[str], client: str) -> str:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(
            str(_ROOT / place) for place in ("", "layers/signet", "functions/authorizer")
        ),
        "SIGNET_AWS_CLIENT": client,
        "AWS_LAMBDA_FUNCTION_NAME": "authorizer",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "t" * 1000,  # about as long as a role's
        "POWERTOOLS_TRACE_DISABLED": "true",
        "POWERTOOLS_METRICS_NAMESPACE": "Signet",
        "POWERTOOLS_SERVICE_NAME": "authorizer",
    }
    done = subprocess.run(  # noqa: S603 - this module
        [sys.executable, *arguments], cwd=_ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MeasurementError(f"the handler did not run: {done.stderr[-800:]}")
    return done.stdout.strip().splitlines()[-1]


# In the process of the handler


class _Aws(BaseHTTPRequestHandler):
    """Answers by the operation's name, at once."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    clients: dict[str, Any]

    def do_POST(self) -> None:
        """Answer."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        answer: dict[str, Any] = {}
        if operation == "SendMessage":
            answer = {"MessageId": "00000000-0000-0000-0000-000000000000", "MD5OfMessageBody": "0" * 32}
        elif operation == "GetSecretValue":
            answer = {"SecretString": self.clients["secret"], "CreatedDate": 1.7e9}
        elif operation == "BatchGetItem":
            answer = {"Responses": {}}
        elif operation == "GetItem" and asked["TableName"] == "clients":
            answer = {"Item": self.clients[asked["Key"]["keyid"]["S"]]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("x-amzn-RequestId", "0" * 52)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_arguments: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@contextmanager
def _aws(clients: dict[str, Any]) -> Iterator[str]:
    """Run the stand-in in another process; gives its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Aws", (_Aws,), {"clients": clients}))
    child = os.fork()
    if child == 0:
        try:
            server.serve_forever()
        finally:
            os._exit(0)
    server.socket.close()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        os.kill(child, 15)
        os.waitpid(child, 0)


def _run(requests: int) -> dict[str, Any]:
    """Decide on fresh events; return medians in microseconds by suite."""
    from tests.support.world import SECRET, World, own  # noqa: PLC0415 - not in the process that reports

    world = World()
    world.now_ms = time.time_ns() // 1_000_000
    clients: dict[str, Any] = {"secret": SECRET.decode()}
    for alg in _SUITES:
        clients[world.keyids[alg]] = {
            "keyid": {"S": world.keyids[alg]},
            "alg": {"S": alg},
            "public_key": {"B": base64.b64encode(world.keys[alg].public_key_bytes).decode()},
            "status": {"S": "active"},
            "roles": {"L": [{"S": "caller"}]},
            "routes": {"L": []},
        }
    with tempfile.TemporaryDirectory() as place, _aws(clients) as endpoint:
        shutil.copytree(_ROOT / "policy", Path(place) / "signet_policy")
        (Path(place) / "signet_policy" / "__init__.py").touch()
        sys.path.append(place)
        handler = _handler(endpoint)
        found: dict[str, Any] = {}
        for alg in _SUITES:
            found[alg] = _timed(world, own, alg, requests, handler)
    return found


def _handler(endpoint: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    os.environ |= {
        "AWS_ENDPOINT_URL": endpoint,
        "SIGNET_POLICY_OVERLAY": "development",
        **authorizer_settings(endpoint),
    }
    module = importlib.import_module("authorizer_handler")
    from tests.support.deployment import context  # noqa: PLC0415 - not in the process that reports

    where = context("authorizer")
    return lambda event: module.handler(event, where)


def _timed(
    world: Any,
    own: Callable[..., Any],
    alg: str,
    requests: int,
    handler: Callable[[dict[str, Any]], dict[str, Any]],
) -> dict[str, float]:
    from signet.handshake.proof import parse_proof  # noqa: PLC0415 - as above
    from signet.handshake.request import Request  # noqa: PLC0415

    events = [world.sign(world.event(), alg) for _ in range(requests + _WARM)]
    site = world.verifier.issuer.site
    owns, bares = [], []
    gc.collect()
    for number, event in enumerate(events):
        verify = bare_verification(world.keys[alg], parse_proof(Request.read(own(event), site)))
        started = time.thread_time_ns()
        answer = handler(event)
        taken = time.thread_time_ns() - started
        if answer["context"]["reason"] != "ok":
            raise MeasurementError(f"a good request was refused: {answer['context']}")
        started = time.thread_time_ns()
        verify()
        bare = time.thread_time_ns() - started
        if number >= _WARM:
            owns.append(taken / 1e3)
            bares.append(bare / 1e3)
    return {"own": statistics.median(owns), "bare": statistics.median(bares)}


if __name__ == "__main__":
    measured = _run(int(sys.argv[1]))
    sys.stdout.write("\n" + json.dumps(measured) + "\n")
