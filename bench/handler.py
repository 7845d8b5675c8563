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
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.alone import PLACE, Alone, first_decision, instructions
from bench.authorizer import bare_verification
from bench.figures import Figure, Section, ratio
from bench.settings import authorizer_settings
from bench.standin import aws, last_line, python
from bench.timing import ROOT, MeasurementError, Report

LIMIT: Final = 9.0
IMPORT_LIMIT: Final = 0.4
_SUITES: Final = ("ed25519", "ecdsa-p256-sha256", "ml-dsa-65")
_WARM: Final = 20  # decisions that are not counted
_TITLE: Final = "0. Authorizer, whole handler: own CPU time of an allowed decision, calls over sockets"
_NOTE: Final = (
    "Handler, log line, metrics, and both calls of a decision (the spent nonce, the receipt) to a local "
    "endpoint in another process, without TLS. 'botocore' is the same handler with botocore's client. Peers "
    "make the same two calls, by Signet's client and by boto3's; DPoP has two signatures, and its bare "
    "verification is of both. The least of the rounds."
)


def measure(report: Report, *, quick: bool) -> Section:
    """Run the handler and its peers with each client in processes of their own, in turns."""
    rounds, requests = (2, 60) if quick else (5, 200)
    figures = decisions(_times(report, rounds, requests))
    report("import of the handler")
    starts = 3 + 2 * rounds
    times = {name: min(_import_ms(code) for _ in range(starts)) for name, code in _IMPORTS.items()}
    own_ms, peer_ms = times["authorizer"], times["peer"]
    beside = f"{own_ms:.0f} ms beside {peer_ms:.0f} ms of CPU"
    figures.append(
        ratio("import, to boto3 + cryptography", own_ms, peer_ms, limit=IMPORT_LIMIT, beside=beside)
    )
    with prepared() as (world, variables):
        alone = Alone(world, variables)
        figures.append(first_decision(report, alone, rounds=starts))
        counted, notes = instructions(report, alone, decisions=10 if quick else 40)
    return Section(_TITLE, [*counted, *figures], [_NOTE, *notes])


# Each decides in a process of its own.
PROCESSES: Final = {"handler": "bench.handler", "peers": "bench.peers"}
_CLIENTS: Final = ("direct", "botocore")
_IMPORTS: Final = {
    "authorizer": "import authorizer_handler",
    "peer": "import boto3, cryptography.hazmat.primitives.asymmetric.ed25519",
}

# By process, client, and what decides: its least microseconds ("own"), and those of bare verification.
Times = dict[tuple[str, str], dict[str, dict[str, float]]]


def _times(report: Report, rounds: int, requests: int) -> Times:
    """Run all in turns; the least of each, because other work on the machine only adds to it."""
    least: Times = {}
    for number in range(rounds):
        for process, module in PROCESSES.items():
            for client in _CLIENTS:
                report(f"{process} {number + 1} of {rounds}: {client}")
                found = json.loads(last_line(python(["-m", module, str(requests)], client)))
                before = least.setdefault((process, client), found)
                for name, times in found.items():
                    before[name] = {key: min(value, before[name][key]) for key, value in times.items()}
    return least


def decisions(times: Times) -> list[Figure]:
    """Return Signet's figures and then its peers', each with its client first and botocore second."""
    figures: list[Figure] = []
    for process in PROCESSES:
        for name, first in times[process, "direct"].items():
            bare = min(first["bare"], times[process, "botocore"][name]["bare"])
            for client in _CLIENTS:
                own = times[process, client][name]["own"]
                beside = f"{own:.0f} µs beside {bare:.0f} µs bare verification"
                judged = process == "handler" and client == "direct" and name != "ml-dsa-65"
                what = ("" if process == "handler" else "peer: ") + name
                what = what if client == "direct" else f"· {what}, botocore"
                figures.append(ratio(what, own, bare, limit=LIMIT if judged else None, beside=beside))
    return figures


def _import_ms(code: str) -> float:
    timed = f"import time; t = time.process_time()\n{code}\nprint((time.process_time() - t) * 1e3)"
    return float(last_line(python(["-c", timed], "direct")))


@contextmanager
def prepared() -> Iterator[tuple[Any, dict[str, str]]]:
    """Give a world that signs events, and the variables of a handler that lets them through.

    What stands in for AWS runs meanwhile; the policy's layer is in the folder that ``PLACE`` names.
    """
    from tests.support.world import SECRET, World  # noqa: PLC0415 - not in the process that reports

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
    with tempfile.TemporaryDirectory() as place, aws(clients) as endpoint:
        shutil.copytree(ROOT / "policy", Path(place) / "signet_policy")
        (Path(place) / "signet_policy" / "__init__.py").touch()
        yield (
            world,
            {
                "AWS_ENDPOINT_URL": endpoint,
                "SIGNET_POLICY_OVERLAY": "development",
                PLACE: place,
                **authorizer_settings(endpoint),
            },
        )


# In the process of the handler


def _run(requests: int) -> dict[str, Any]:
    """Decide on fresh events; return medians in microseconds by suite."""
    from tests.support.world import own  # noqa: PLC0415 - not in the process that reports

    with prepared() as (world, variables):
        os.environ |= variables
        sys.path.append(variables[PLACE])
        module = importlib.import_module("authorizer_handler")
        from tests.support.deployment import context  # noqa: PLC0415 - not in the process that reports

        where = context("authorizer")

        def handler(event: dict[str, Any]) -> dict[str, Any]:
            answer: dict[str, Any] = module.handler(event, where)
            return answer

        return {alg: _timed(world, own, alg, requests, handler) for alg in _SUITES}


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
