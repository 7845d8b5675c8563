"""Two backends, one driven down by errors, by latency, and silent: its breaker alone moves, once each time.

Two routes of Signet's own API call two backends by name; a fault strikes one of them.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.fault import CYCLE, FaultSession, moves, states
from local.stack import Stack
from local.tools import ROOT, base_env
from signet.aws.breaker import DynamoBreakerStore
from signet.aws.chains import DynamoChainStore
from signet.aws.faults import DynamoFaultStore
from signet.breaker.fault import Fault
from signet.breaker.snapshot import DEFAULT_NAME, decode
from signet.crypto.keyfiles import load_private
from signet_client import PCHAuth
from signet_client.signing import Signer
from tests.support.waiting import until

pytestmark = pytest.mark.integration

SIGNET = Path(sys.executable).parent / "signet"
OTHER = "steady"
KEYID = "two-backends"
MOST_LOST = 0.01


def signet(stack: Stack, *arguments: str) -> Any:
    done = subprocess.run(
        [SIGNET, *arguments], env={**base_env(), **stack.env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def push(stack: Stack, folder: Path) -> None:
    pushed = json.loads(signet(stack, "policy", "push", str(folder), "--overlay", "development", "--json"))
    time.sleep(pushed["effective_within_s"] + 0.5)  # what passes is the time itself: nothing tells its end


@pytest.fixture(scope="module")
def key(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A caller, and a policy by which one of two routes calls another backend."""
    folder = tmp_path_factory.mktemp("two")
    path = folder / "caller.pem"
    signet(stack, "keygen", "--alg", "ed25519", "-o", str(path))
    signet(stack, "clients", "add", "--key", f"{path}.pub", "--keyid", KEYID, "--role", "caller")
    shutil.copytree(ROOT / "policy", folder / "policy")
    for file in (folder / "policy").rglob("*.json"):
        said = json.loads(file.read_text())
        routes = said.get("config", {}).get("routes", {})
        if "GET /protected/{item}" in routes:
            routes["GET /protected/{item}"]["backend"] = OTHER
            file.write_text(json.dumps(said))
    push(stack, folder / "policy")
    try:
        yield path
    finally:
        push(stack, ROOT / "policy")


@pytest.fixture(scope="module")
def dynamodb(stack: Stack) -> Any:
    return stack.client("dynamodb")


@dataclass
class Neighbour:
    """Calls the other backend at a steady pace until the block ends, and counts its answers."""

    stack: Stack
    key: Path
    statuses: Counter[int] = field(default_factory=Counter)

    @contextmanager
    def calling(self) -> Iterator[None]:
        stop = threading.Event()
        thread = threading.Thread(target=self._call, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def _call(self, stop: threading.Event) -> None:
        auth = PCHAuth(
            load_private(self.key.read_bytes(), "ed25519"),
            KEYID,
            challenge_url=self.stack.outputs["ChallengeUrl"],
        )
        with httpx.Client(timeout=60, auth=auth) as client:
            while not stop.wait(0.25):
                self.statuses[client.get(f"{self.stack.outputs['ProtectedUrl']}/7").status_code] += 1

    @property
    def lost(self) -> float:
        return 1 - self.statuses[200] / max(1, self.statuses.total())


def recorded(stack: Stack, dynamodb: Any) -> list[dict[str, Any]]:
    """All transitions in the chain, once the queue is empty."""
    sqs = stack.client("sqs")
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def empty() -> bool:
        answer = sqs.get_queue_attributes(QueueUrl=stack.outputs["ReceiptQueueUrl"], AttributeNames=names)
        return not any(map(int, answer["Attributes"].values()))

    until(empty, seconds=90)
    chain = DynamoChainStore(dynamodb, stack.outputs["ReceiptsTable"])
    return [dict(move) for move in moves(map(json.loads, chain.read(0, start_seq=0)))]


class SilentSession(FaultSession):
    """A session whose backend reports nothing any more once its breaker has opened."""

    def order_end(self) -> None:
        """See ``FaultSession``."""
        self.order(Fault(0, 0, time.time_ns() // 1_000_000 + 60_000, DEFAULT_NAME, silent=True))


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("fault", "session_of", "last"),
    [
        (Fault(0, 1_000_000, 0, DEFAULT_NAME), FaultSession, "recovered"),
        (Fault(600, 0, 0, DEFAULT_NAME), FaultSession, "recovered"),
        (Fault(0, 1_000_000, 0, DEFAULT_NAME), SilentSession, "silent"),
    ],
    ids=["errors", "latency", "silent"],
)
def test_one_backend_fails_and_the_other_ones_callers_lose_nothing(
    stack: Stack,
    key: Path,
    dynamodb: Any,
    fault: Fault,
    session_of: Callable[..., FaultSession],
    last: str,
) -> None:
    before = recorded(stack, dynamodb)
    store = DynamoBreakerStore(dynamodb, stack.outputs["BreakersTable"])
    faults = DynamoFaultStore(dynamodb, stack.outputs["BreakersTable"])
    session = session_of(
        stack.outputs,
        Signer(load_private(key.read_bytes(), "ed25519"), KEYID),
        store,
        faults.order,
        print,
        fault,
    )
    neighbour = Neighbour(stack, key)
    try:
        with neighbour.calling():
            session.run()
    finally:
        faults.order(Fault(0, 0, time.time_ns() // 1_000_000))
    made = [move for move in recorded(stack, dynamodb) if move not in before]
    assert {move["breaker"]["name"] for move in made} == {DEFAULT_NAME}
    assert states(made) == CYCLE
    [closed] = [move for move in made if move["from"]["state"] == "half_open" != move["to"]["state"]]
    assert (closed["to"]["state"], closed["cause"]) == ("closed", last), made
    assert neighbour.statuses.total() > 20
    assert neighbour.lost <= MOST_LOST, neighbour.statuses
    stored, _ = store.read(OTHER)
    assert stored is None or decode(stored.state).state.value == "closed"
