"""A process of its own for what is measured as Lambda runs it, and another that stands in for AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from bench.timing import ROOT, MeasurementError

_PLACES: Final = ("", "layers/signet", "functions/authorizer")


def python(
    arguments: Sequence[str],
    client: str,
    *,
    through: Sequence[str] = (),
    more: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Python as Lambda would run the authorizer.

    Args:
        arguments: of Python.
        client: of AWS: ``direct`` or ``botocore``.
        through: a program that runs it, with its options.
        more: variables of its environment beside those that Lambda sets.

    Raises:
        MeasurementError: it failed; holds the end of what it said.
    """
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(str(ROOT / place) for place in _PLACES),
        "PYTHONHASHSEED": "0",
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
        **(more or {}),
    }
    command = [*through, sys.executable, *arguments]
    done = subprocess.run(  # noqa: S603 - our own modules
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MeasurementError(f"{arguments[:3]} did not run: {done.stderr[-800:]}")
    return done


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line that a process printed; what comes before is the handler's log."""
    return done.stdout.strip().splitlines()[-1]


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
def aws(clients: dict[str, Any]) -> Iterator[str]:
    """Run the stand-in in another process; gives its URL.

    Args:
        clients: items of the clients table by ``keyid``, and the handshake's secret as ``secret``.
    """
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
