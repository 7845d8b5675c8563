"""Packs of a log that the real sequencer wrote, in many small runs: both verifiers accept each day's."""

from __future__ import annotations

import dataclasses
import io
import random
import time
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import pytest

from signet.audit.log import audit_log
from signet.audit.source import LogSource
from signet.core.instants import day_start_ms
from signet.log.keys import LocalSigner, generate_private_set
from signet.log.sequencer import Sequencer
from signet.pack.build import build_pack, plan_pack
from signet.policy.bundle import policy_bundle_sha256
from signet.policy.push import push
from signet.receipts.chain import chain_of, extend
from signet.receipts.model import PolicyFacts
from signet.receipts.reading import read_receipt
from tests.fakes.chains import MemoryChainStore
from tests.fakes.lock import MemoryLockStore
from tests.fakes.objects import MemoryObjectStore
from tests.support.forgery import assert_good
from tests.support.packs import FIRST_DAY, POLICY, PackLog, decision
from tests.support.world import policy_files

HOUR_MS = 3_600_000


class RealLog:
    """Chains, sequencer and bucket in memory."""

    def __init__(self, chains: int) -> None:
        self.log = PackLog(signer=LocalSigner("log.example", generate_private_set()))
        self.objects = MemoryObjectStore()
        self.chains = MemoryChainStore()
        self.count = chains
        self.seed = random.Random(7)
        self.number = 0
        self.sequencer = Sequencer(
            objects=self.objects,
            lock=MemoryLockStore(),
            chains=self.chains,
            signer=self.log.signer,
            chain_count=chains,
            policy=POLICY,
        )

    def record(self, count: int, now_ms: int, policy: Mapping[str, bytes] = POLICY) -> None:
        for _ in range(count):
            made = decision(self.seed, self.number, now_ms)
            facts = PolicyFacts(bytes.fromhex(policy_bundle_sha256(policy)), made.policy.action)
            made = dataclasses.replace(made, policy=facts)
            self.number += 1
            self.append(made.encode(), now_ms)

    def append(self, message: bytes, now_ms: int) -> None:
        receipt = read_receipt(message, chained=False)
        self.append_to(chain_of(receipt.id, self.count), [message], now_ms)

    def append_to(self, chain: int, messages: Sequence[bytes], now_ms: int) -> None:
        head = self.chains.head(chain)
        new_head, linked = extend(head, [read_receipt(data, chained=False) for data in messages], now_ms)
        assert self.chains.append(head, new_head, linked).appended

    def pack(self, day: date, today: date) -> bytes:
        out = io.BytesIO()
        build_pack(
            self.objects, plan_pack(self.objects, day.isoformat(), today=today), spool=io.BytesIO(), out=out
        )
        return out.getvalue()


@pytest.mark.parametrize("chains", [1, 3])
def test_packs_of_a_log_in_daily_use_verify(chains: int) -> None:
    real = RealLog(chains)
    start = day_start_ms(FIRST_DAY)
    for hour, count in [(8, 3), (9, 260), (10, 1), (30, 5), (31, 0), (80, 7)]:
        real.record(count, start + hour * HOUR_MS)
        real.sequencer.integrate(start + hour * HOUR_MS + 60_000)
    last = FIRST_DAY + timedelta(days=3)
    real.sequencer.integrate(start + 81 * HOUR_MS, last)
    expected = [264, 5, 0, 7]
    for number, count in enumerate(expected):
        data = real.pack(FIRST_DAY + timedelta(days=number), last)
        report = assert_good(data, real.log)
        assert (report.receipts, report.heads) == (count, number + 1)
        assert report.gaps == ()
        assert data == real.pack(FIRST_DAY + timedelta(days=number), last)


def test_a_day_closed_before_it_is_over_has_a_pack_and_later_receipts_are_the_next_days() -> None:
    real = RealLog(1)
    noon = day_start_ms(FIRST_DAY) + 12 * HOUR_MS
    real.record(4, noon)
    real.sequencer.integrate(noon + 1000, FIRST_DAY)
    assert assert_good(real.pack(FIRST_DAY, FIRST_DAY), real.log).receipts == 4
    head = real.chains.head(0)
    assert head.not_before_ms == day_start_ms(FIRST_DAY + timedelta(days=1))
    real.record(2, noon + 2000)
    tomorrow = FIRST_DAY + timedelta(days=1)
    real.sequencer.integrate(noon + 24 * HOUR_MS, tomorrow)
    assert assert_good(real.pack(tomorrow, tomorrow), real.log).receipts == 2


@pytest.mark.long
def test_fifty_thousand_emitters_are_one_more_day() -> None:
    """What a stranger's bursts come to: heads as small as ever, and every reader gets through."""
    real = RealLog(1)
    noon = day_start_ms(FIRST_DAY) + 12 * HOUR_MS
    real.record(2, noon)
    quiet = real.sequencer.integrate(noon).head
    started = time.process_time()
    storm = [(n, 0) for n in range(50_000)] + [(n, 2) for n in range(0, 50_000, 10)]
    made = [decision(real.seed, n, noon + n, f"{emitter:032x}").encode() for emitter, n in storm]
    most = real.chains.max_append_receipts
    for at in range(0, len(made), most):
        real.append_to(0, made[at : at + most], noon)
    outcome = real.sequencer.integrate(noon + 1000, FIRST_DAY)
    head = outcome.head
    assert (outcome.integrated, head.emitters.count, head.emitters.missing) == (55_000, 50_001, 5_000)
    assert abs(len(head.raw) - len(quiet.raw)) < 100
    audit = audit_log(LogSource(real.objects.get, real.objects.list), log_id=head.log_id)
    assert audit.good, audit.failures
    report = assert_good(real.pack(FIRST_DAY, FIRST_DAY), real.log)
    assert len(report.gaps) == 5_000
    assert audit.gaps == report.gaps
    assert time.process_time() - started < 120


def test_a_pack_holds_every_policy_that_decided_on_its_day_pushed_ones_too() -> None:
    real = RealLog(1)
    noon = day_start_ms(FIRST_DAY) + 12 * HOUR_MS
    real.record(2, noon)
    pushed = policy_files("")

    class Queue:
        def send(
            self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None
        ) -> None:
            real.append(message, noon)

    push(pushed, register=MemoryLockStore(), objects=real.objects, queue=Queue(), now_ms=noon)
    real.record(2, noon + 1000, pushed)
    real.sequencer.integrate(noon + 2000, FIRST_DAY)
    data = real.pack(FIRST_DAY, FIRST_DAY)
    assert assert_good(data, real.log).receipts == 5
    with zipfile.ZipFile(io.BytesIO(data)) as pack:
        found = {name.split("/")[1] for name in pack.namelist() if name.startswith("policy/")}
        assert found == {policy_bundle_sha256(POLICY), policy_bundle_sha256(pushed)}
        for name, body in pushed.items():
            assert pack.read(f"policy/{policy_bundle_sha256(pushed)}/{name}") == body
