"""The breaker on the deployed stack: one fault, one cycle; and twenty processes on one state.

``STACK_ORDER`` in tests/conftest.py places it late: other tests count decisions and need a healthy backend.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from local.fault import CYCLE, FaultSession, moves, states
from local.stack import Stack
from signet.aws.breaker import DynamoBreakerStore
from signet.aws.chains import DynamoChainStore
from signet.aws.faults import DynamoFaultStore
from signet.breaker.accumulators import OutcomeAccumulator, Sums
from signet.breaker.config import BreakerConfig
from signet.breaker.machine import initial
from signet.breaker.snapshot import encode, sums_item
from signet.core.ports import StoredBreaker
from signet.crypto.keyfiles import load_private
from signet_client.signing import Signer
from tests.support.waiting import until

pytestmark = pytest.mark.integration

SIGNET = str(Path(sys.executable).parent / "signet")
CONFIG = BreakerConfig()
PROCESSES = 20
ADDITIONS = 10
MOVES = 5
NOW_MS = 1_795_392_000_000


@pytest.fixture(scope="module")
def client(stack: Stack) -> Callable[[str], Any]:
    return lambda service: _client(service, stack.endpoint_url)


def _client(service: str, endpoint_url: str) -> Any:
    make: Any = boto3.client
    return make(
        service,
        endpoint_url=endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture(scope="module")
def signet(stack: Stack) -> Callable[..., str]:
    def run(*arguments: str) -> str:
        environment = {**os.environ, **stack.env}
        done = subprocess.run(
            [SIGNET, *arguments], capture_output=True, text=True, env=environment, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def receipts(client: Callable[[str], Any], stack: Stack) -> list[dict[str, Any]]:
    """All transitions in the chain, once the queue is empty."""
    sqs = client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def empty() -> bool:
        answer = sqs.get_queue_attributes(QueueUrl=stack.outputs["ReceiptQueueUrl"], AttributeNames=names)
        return not any(map(int, answer["Attributes"].values()))

    until(empty, seconds=90)
    chain = DynamoChainStore(client("dynamodb"), stack.outputs["ReceiptsTable"])
    return [dict(move) for move in moves(map(json.loads, chain.read(0, start_seq=0)))]


@pytest.mark.timeout(600)
def test_one_fault_is_one_cycle_and_the_receipts_tell_the_story_of_the_table(
    stack: Stack, client: Callable[[str], Any], signet: Callable[..., str], tmp_path: Path
) -> None:
    key = tmp_path / "breaker.pem"
    signet("keygen", "--alg", "ed25519", "-o", str(key))
    signet("clients", "add", "--key", f"{key}.pub", "--keyid", "breaker-caller", "--role", "caller")
    before = receipts(client, stack)
    session = FaultSession(
        stack.outputs,
        Signer(load_private(key.read_bytes(), "ed25519"), "breaker-caller"),
        DynamoBreakerStore(client("dynamodb"), stack.outputs["BreakersTable"]),
        DynamoFaultStore(client("dynamodb"), stack.outputs["BreakersTable"]).order,
        print,
    )
    seen = session.run()
    made = receipts(client, stack)[len(before) :]
    assert states(made) == CYCLE
    assert tuple(state for state, _ in itertools.groupby(state for _version, state in seen)) == CYCLE
    in_table = dict(seen)
    assert all(in_table.get(r["breaker"]["version"], r["to"]["state"]) == r["to"]["state"] for r in made)
    [trip] = [receipt for receipt in made if receipt["cause"] == "tripped"]
    assert trip["figures"]["bad_share_lower_ppm"] > 300_000
    assert json.loads(signet("fault", "--error-rate", "0.5", "--for", "0", "--json"))["error_rate"] == 0.5
    shown = json.loads(signet("breaker", "show", "--json"))
    assert (shown["state"], shown["unsent_receipts"]) == ("closed", 0)
    assert session.statuses.keys() <= {httpx.codes.OK, 500, 503}


def _hammer(endpoint_url: str, table: str, number: int, results: Any) -> None:
    """Add outcomes and fight for transitions; report what was added and which transitions were won."""
    store = DynamoBreakerStore(_client("dynamodb", endpoint_url), table)
    won = []
    for turn in range(ADDITIONS):
        accumulator = OutcomeAccumulator(CONFIG.estimator)
        _report(accumulator, number, turn)
        for key, sums in accumulator.drain().items():
            store.add(sums_item("hammered", key), sums.to_increments(), expires_at=NOW_MS // 1000)
        if turn < MOVES:
            version = turn + 1
            state = encode(replace(initial(NOW_MS), version=version, generation=number))
            deadline = time.monotonic() + 60
            while not (stored := store.read("hammered")[0]) or stored.version < version:
                assert time.monotonic() < deadline
                if store.move(
                    StoredBreaker("hammered", version, state, (f"{version} by {number}".encode(),))
                ):
                    won.append(version)
    results.put((number, won))


def test_twenty_processes_on_one_state_lose_no_sum_and_win_each_transition_once(
    stack: Stack, client: Callable[[str], Any]
) -> None:
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    table = stack.outputs["BreakersTable"]
    processes = [
        context.Process(target=_hammer, args=(stack.endpoint_url, table, number, results))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    reported = [results.get(timeout=200) for _ in processes]
    for process in processes:
        process.join(timeout=30)
        assert process.exitcode == 0
    winners = sorted((version, number) for number, won in reported for version in won)
    assert [version for version, _ in winners] == list(range(1, MOVES + 1))
    store = DynamoBreakerStore(client("dynamodb"), table)
    expected = _added_up()
    stored, found = store.read("hammered", list(expected))
    assert stored is not None
    assert stored.unsent == (f"{MOVES} by {winners[-1][1]}".encode(),)
    for sums, item in zip(expected.values(), found, strict=True):
        assert item.keys() == sums.to_increments().keys()
        assert astuple(Sums.from_attributes(item)) == pytest.approx(astuple(sums), rel=1e-12, abs=0)


def _added_up() -> dict[str, Sums]:
    """What one process would have added that reports everything and flushes once: floats, never cut."""
    whole = OutcomeAccumulator(CONFIG.estimator)
    for number, turn in itertools.product(range(PROCESSES), range(ADDITIONS)):
        _report(whole, number, turn)
    return {sums_item("hammered", key): sums for key, sums in whole.drain().items()}


def _report(accumulator: OutcomeAccumulator, number: int, turn: int) -> None:
    at_ms = NOW_MS + 37 * number + 911 * turn
    accumulator.add(3, at_ms, latency_ms=number + turn / 7, error=turn % 3 == 0, slow=turn % 2 == 0)
