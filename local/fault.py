"""A fault session: steady load, an ordered fault, and what the breaker makes of it, for demo and tests.

The fault is ended as soon as the breaker has opened, as an operator's rollback would; from then on the
breaker has to find its own way back.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from signet.breaker.fault import Fault
from signet.breaker.snapshot import DEFAULT_NAME, decode
from signet.core.ports import BreakerStore
from signet_client.signing import Plain, Signer, sign

#: Reasons of decisions for the backend's sake.
SHED_REASONS = ("breaker_open", "half_open_full")
#: The one way through that a fault may take.
CYCLE = ("closed", "open", "half_open", "closed")
LATENCY_MS = 600
_CALLERS = 6
_CALLS_PER_S = 12.0
_NONCES_READY = 40
_PATIENCE_S = 1.0
_WARM_CALLS = 6 * _CALLERS
_STEADY_S = 2.0
_AFTER_S = 2.0
_FAULT_S = 60
_LONGEST_S = 90.0


@dataclass(slots=True)
class FaultSession:
    """One session.

    Attributes:
        outputs: the stack's outputs.
        signer: a registered caller.
        store: the breakers' table.
        order: orders a fault, as ``signet fault`` does.
        say: takes lines of progress.
        fault: what goes wrong; when it ends is the session's.
        statuses: answers by status, counted as they come.
    """

    outputs: Mapping[str, str]
    signer: Signer
    store: BreakerStore
    order: Callable[[Fault], None]
    say: Callable[[str], None]
    fault: Fault = field(default_factory=lambda: Fault(LATENCY_MS, 0, 0))
    statuses: Counter[int] = field(default_factory=Counter)
    _warm: threading.Event = field(default_factory=threading.Event, init=False)
    _counting: threading.Lock = field(default_factory=threading.Lock, init=False)

    def run(self) -> list[tuple[int, str]]:
        """Hold the session; return (version, state) of every state that the table was seen in.

        Raises:
            TimeoutError: the breaker did not get through it.
        """
        seen: list[tuple[int, str]] = []
        with self._load():
            # As fast as it goes, until all environments have started: what is steady can become slow.
            self._watch(seen, until=lambda _: self.statuses[200] >= _WARM_CALLS, what="answering")
            self._warm.set()
            self._watch(seen, seconds=_STEADY_S)
            self.order(replace(self.fault, until_ms=_now_ms() + _FAULT_S * 1000))
            self.say(_told(self.fault))
            opened_s = self._await(seen, "open")
            self.order_end()
            self.say(f"open after {opened_s:.1f} s; the fault is over, and requests are shed")
            waited_s = self._await(seen, "half_open")
            self.say(f"half open {waited_s:.1f} s later: a few probes pass, then more")
            closed_s = self._await(seen, "closed")
            self.say(f"closed {closed_s:.1f} s after that")
            self._watch(seen, seconds=_AFTER_S)
        return seen

    def order_end(self) -> None:
        """End the fault, as an operator's rollback would."""
        self.order(Fault(0, 0, _now_ms()))

    def _await(self, seen: list[tuple[int, str]], state: str) -> float:
        return self._watch(seen, until=lambda found: found == state, what=state.replace("_", " "))

    def _watch(
        self,
        seen: list[tuple[int, str]],
        *,
        until: Callable[[str], bool] | None = None,
        what: str = "",
        seconds: float = _LONGEST_S,
    ) -> float:
        """Follow the state table, for so long or until its state will do; return the seconds that passed."""
        started = time.monotonic()
        while (passed := time.monotonic() - started) < seconds:
            stored, _ = self.store.read(DEFAULT_NAME)
            if stored is not None:
                record = decode(stored.state)
                if not seen or seen[-1][0] != record.version:
                    seen.append((record.version, record.state.value))
                if until and until(record.state.value):
                    return passed
            time.sleep(0.2)  # an observer's sampling; what it misses is in the receipts
        if until:
            raise TimeoutError(f"the breaker was not {what} within {seconds:.0f} s")
        return seconds

    @contextmanager
    def _load(self) -> Iterator[None]:
        """Send requests at a steady pace until the block ends."""
        stop = threading.Event()
        nonces: queue.Queue[str] = queue.Queue(_NONCES_READY)
        with httpx.Client(timeout=60) as client, ThreadPoolExecutor(_CALLERS + 1) as pool:
            running = [pool.submit(self._fetch, client, nonces, stop)]
            running += [pool.submit(self._call, client, nonces, stop) for _ in range(_CALLERS)]
            try:
                yield
            finally:
                stop.set()
        for each in running:
            each.result()

    def _fetch(self, client: httpx.Client, nonces: queue.Queue[str], stop: threading.Event) -> None:
        """Keep nonces ready: one fetcher, so that the emulator starts one environment for all of them."""
        while not stop.is_set():
            nonce = client.get(self.outputs["ChallengeUrl"]).json()["nonce"]
            with suppress(queue.Full):
                nonces.put(nonce, timeout=_PATIENCE_S)

    def _call(self, client: httpx.Client, nonces: queue.Queue[str], stop: threading.Event) -> None:
        url, due = self.outputs["ProtectedUrl"], time.monotonic()
        while not stop.wait(max(0.0, due - time.monotonic())):
            with suppress(queue.Empty):
                nonce = nonces.get(timeout=_PATIENCE_S)
                signed = sign(Plain("GET", url, {}, b""), self.signer, nonce=nonce, now=int(time.time()))
                answer = client.get(url, headers=dict(signed.fields))
                with self._counting:
                    self.statuses[answer.status_code] += 1
                if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
                    with suppress(queue.Full):
                        nonces.put_nowait(nonce)  # a shed caller keeps the nonce
            pause_s = _CALLERS / _CALLS_PER_S if self._warm.is_set() else 0.0
            due = max(due + pause_s, time.monotonic())  # a slow answer is not caught up with


def moves(receipts: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the breaker's transitions among receipts, in order."""
    found = [receipt for receipt in receipts if receipt["type"] == "breaker.transition"]
    return sorted(found, key=lambda receipt: receipt["breaker"]["version"])


def states(transitions: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the states that a breaker went through, from its receipts in order."""
    path = [receipt["from"]["state"] for receipt in transitions[:1]]
    path += [receipt["to"]["state"] for receipt in transitions]
    return tuple(state for state, _ in itertools.groupby(path))


def _told(fault: Fault) -> str:
    if fault.latency_ms:
        return f"every answer now takes {fault.latency_ms} ms longer"
    return f"{fault.error_ppm / 10_000:.0f} % of the answers are errors now"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
