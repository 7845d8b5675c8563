"""The sequencer: one history through every fault, beside other runs, and however often it is run."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import pytest

from signet.core.decision import Reason
from signet.core.errors import LogError, NotFoundError, UnavailableError, UsageError
from signet.core.instants import uuid7
from signet.log.emitters import EmitterAccount, read_accounts, summarize
from signet.log.keys import LocalSigner, generate_private_set
from signet.log.merkle import CompactRange, leaf_hashes
from signet.log.note import verify_checkpoint
from signet.log.publish import Publisher
from signet.log.register import parse_register
from signet.log.sequencer import Outcome, Sequencer
from signet.log.sth import SignedTreeHead, check_successor, verify_sth
from signet.log.tiles import TileReader
from signet.policy.bundle import policy_bundle_sha256
from signet.receipts.chain import chain_of, extend
from signet.receipts.model import DecisionRecord, Emitter, read_receipt
from tests.fakes.chains import MemoryChainStore
from tests.fakes.lock import MemoryLockStore
from tests.fakes.objects import MemoryObjectStore
from tests.fakes.records import verified

PRIVATE = generate_private_set()
SIGNER = LocalSigner("log.example", PRIVATE)
POLICY = {"main.rego": b"package main\n"}
POLICY_SHA256 = policy_bundle_sha256(POLICY)
EMITTER = "ab" * 16
HOUR = 3_600_000
DAY = 24 * HOUR
D1, D2, D3, D4 = (date(2026, 11, day) for day in (23, 24, 25, 26))
T0 = int(datetime(2026, 11, 23, 8, tzinfo=UTC).timestamp() * 1000)


@dataclass
class LogOnFakes:
    """A log on fakes, and a sink that appends numbered receipts."""

    chain_count: int = 1
    objects: Any = field(default_factory=MemoryObjectStore)
    lock: Any = field(default_factory=MemoryLockStore)
    chains: Any = field(default_factory=MemoryChainStore)
    appended: int = 0

    def sequencer(self, **changes: Any) -> Sequencer:
        settings = {
            "objects": self.objects,
            "lock": self.lock,
            "chains": self.chains,
            "signer": SIGNER,
            "chain_count": self.chain_count,
            "policy": POLICY,
        }
        return Sequencer(**{**settings, **changes})

    def append(self, count: int, now_ms: int, emitter: Callable[[int], str] = lambda _n: EMITTER) -> None:
        for _ in range(count):
            n, self.appended = self.appended, self.appended + 1
            receipt_id = uuid7(now_ms, n.to_bytes(10, "big"))
            record = DecisionRecord(
                id=receipt_id,
                decided_at_ms=now_ms,
                reason=Reason.OK,
                emitter=Emitter(emitter(n), n),
                authorizer_us=1,
                **verified(n),
            )
            head = self.chains.head(chain_of(receipt_id, self.chain_count))
            new_head, linked = extend(head, [read_receipt(record.encode(), chained=False)], now_ms)
            assert self.chains.append(head, new_head, linked).appended

    def run(self, now_ms: int, close: date | None = None, **changes: Any) -> Outcome:
        return self.sequencer(**changes).integrate(now_ms, close)

    def heads(self) -> dict[str, SignedTreeHead]:
        return {
            key: verify_sth(self.objects.objects[key], SIGNER.keys)
            for key in self.objects.list("sth/2")
            if key.endswith(".json")
        }


def audit(world: LogOnFakes) -> list[bytes]:
    """Check everything the log holds against itself; return its leaves."""
    objects = world.objects.objects
    latest = verify_sth(objects["sth/latest.json"], SIGNER.keys)
    register = parse_register(world.lock.value, SIGNER.keys)
    assert register.head.raw == latest.raw
    checkpoint = verify_checkpoint(objects["checkpoint"], SIGNER.keys)
    assert (checkpoint.tree_size, checkpoint.root_hash) == (latest.tree_size, latest.root_hash)
    assert objects["keys.json"] == SIGNER.keys.encode()
    assert objects[f"policy/{latest.policy_bundle_sha256}/main.rego"]
    assert list(world.objects.list("staging/")) == []
    reader = TileReader(objects.get, latest.tree_size, root=latest.root_hash)
    leaves = list(reader.entries(0, latest.tree_size))
    audit_days(world, leaves)
    return leaves


def audit_days(world: LogOnFakes, leaves: list[bytes]) -> None:
    previous: SignedTreeHead | None = None
    for key, head in world.heads().items():
        assert key == f"sth/{head.date}.json"
        closing = verify_checkpoint(world.objects.objects[f"sth/{head.date}.checkpoint"], SIGNER.keys)
        assert (closing.tree_size, closing.root_hash) == (head.tree_size, head.root_hash)
        check_successor(previous, head)
        previous = head
        tree = CompactRange()
        tree.extend(leaf_hashes(leaves[: head.tree_size]))
        assert tree.root() == head.root_hash
        own = [json.loads(leaf) for leaf in leaves[head.first_leaf : head.tree_size]]
        assert all(receipt["chain"]["recorded_at"].startswith(str(head.date)) for receipt in own)
        numbers_of = defaultdict(list)
        for receipt in own:
            numbers_of[receipt["emitter"]["id"]].append(receipt["emitter"]["n"])
        accounts = {emitter: EmitterAccount.of(numbers) for emitter, numbers in numbers_of.items()}
        assert head.emitters == summarize(accounts)[0]
        assert read_accounts(world.objects.get, head.emitters) == accounts
        for chain in head.chains:
            seqs = [r["chain"]["seq"] for r in own if r["chain"]["id"] == chain.id]
            assert seqs == list(range(chain.first_seq, chain.next_seq))


def numbers(leaves: list[bytes]) -> list[int]:
    return [json.loads(leaf)["emitter"]["n"] for leaf in leaves]


def test_the_first_run_makes_a_log_even_without_receipts() -> None:
    world = LogOnFakes()
    outcome = world.run(T0)
    assert (outcome.head.tree_size, outcome.head.final, outcome.head.date) == (0, False, D1)
    assert (outcome.closed, outcome.integrated) == ((), 0)
    assert audit(world) == []


def test_runs_integrate_what_is_new_and_change_nothing_without_news() -> None:
    world = LogOnFakes()
    world.append(3, T0)
    first = world.run(T0)
    assert (first.integrated, first.head.tree_size) == (3, 3)
    assert world.run(T0 + HOUR).head.raw == first.head.raw
    world.append(300, T0 + HOUR)
    assert world.run(T0 + 2 * HOUR).integrated == 300
    assert numbers(audit(world)) == list(range(303))


def test_a_day_that_is_over_is_closed_with_exactly_its_receipts() -> None:
    world = LogOnFakes()
    world.append(2, T0)
    world.run(T0)
    world.append(3, T0 + HOUR)
    world.append(4, T0 + DAY)
    outcome = world.run(T0 + DAY)
    assert (outcome.closed, outcome.integrated) == ((D1,), 7)
    assert (outcome.head.date, outcome.head.final, outcome.head.first_leaf) == (D2, False, 5)
    closed = world.heads()["sth/2026-11-23.json"]
    assert (closed.tree_size, closed.prev_sth_sha256) == (5, None)
    assert numbers(audit(world)) == list(range(9))


def test_days_that_nobody_closed_and_days_without_receipts_get_heads_too() -> None:
    world = LogOnFakes()
    world.append(1, T0)
    outcome = world.run(T0 + 3 * DAY)
    assert outcome.closed == (D1, D2, D3)
    assert [head.tree_size for head in world.heads().values()] == [1, 1, 1]
    assert outcome.head.date == D3  # the open day has no receipts yet
    world.append(1, T0 + 3 * DAY)
    assert world.run(T0 + 3 * DAY).head.date == D4
    audit(world)


def test_a_day_closed_early_sends_later_receipts_to_the_next_day() -> None:
    world = LogOnFakes()
    world.append(2, T0)
    outcome = world.run(T0, close=D1)
    assert (outcome.closed, outcome.head.final, outcome.head.tree_size) == ((D1,), True, 2)
    world.append(2, T0 + HOUR)
    outcome = world.run(T0 + HOUR)
    assert (outcome.head.date, outcome.head.final, outcome.head.first_leaf) == (D2, False, 2)
    recorded = [json.loads(leaf)["chain"]["recorded_at"] for leaf in audit(world)]
    assert recorded[2:] == ["2026-11-24T00:00:00.000Z"] * 2
    assert world.run(T0 + 2 * DAY).closed == (D2,)
    audit(world)


def test_closing_a_closed_day_again_returns_its_head() -> None:
    world = LogOnFakes()
    world.append(1, T0)
    closed = world.run(T0, close=D1).head
    world.append(1, T0 + DAY)
    again = world.run(T0 + DAY, close=D1)
    assert (again.head.raw, again.closed, again.integrated) == (closed.raw, (), 1)
    assert world.run(T0 + 3 * DAY, close=D1).head.raw == closed.raw


def test_days_outside_the_log_cannot_be_closed() -> None:
    world = LogOnFakes()
    with pytest.raises(UsageError):
        world.run(T0, close=D2)
    with pytest.raises(NotFoundError):
        world.run(T0, close=date(2026, 11, 22))
    audit(world)


def test_the_log_begins_on_the_day_of_the_first_receipt() -> None:
    world = LogOnFakes(chain_count=3)
    world.append(20, T0)
    assert world.run(T0 + DAY).closed == (D1,)
    assert list(world.heads()) == ["sth/2026-11-23.json"]


def test_a_receipt_with_a_lagging_clock_cannot_enter_a_closed_day() -> None:
    world = LogOnFakes(chain_count=2)
    world.run(T0)
    world.run(T0 + DAY)
    world.append(10, T0)  # the sink's clock is a day behind
    world.run(T0 + DAY)
    assert all(b'"recorded_at":"2026-11-24T00:00:00.000Z"' in leaf for leaf in audit(world))


def test_a_clock_that_goes_back_does_no_harm() -> None:
    world = LogOnFakes()
    world.append(1, T0 + DAY)
    head = world.run(T0 + DAY).head
    world.append(1, T0)
    later = world.run(T0).head
    assert later.timestamp > head.timestamp
    audit(world)


class WatchedLock(MemoryLockStore):
    """A register that remembers every head it held."""

    def __init__(self) -> None:
        super().__init__()
        self.heads: list[SignedTreeHead] = []

    def compare_and_swap(self, old: bytes | None, new: bytes) -> bool:
        self.heads.append(parse_register(new, SIGNER.keys).head)
        return super().compare_and_swap(old, new)


def test_a_backlog_is_taken_in_bounded_steps_with_chains_in_id_order() -> None:
    world = LogOnFakes(chain_count=3, lock=WatchedLock())
    world.append(50, T0)
    world.append(10, T0 + DAY)
    outcome = world.run(T0 + DAY, max_step_receipts=20)
    assert (outcome.integrated, outcome.closed) == (60, (D1,))
    sizes = [head.tree_size for head in world.lock.heads]
    assert all(after - before <= 20 for before, after in zip([0, *sizes], sizes, strict=False))
    leaves = audit(world)
    for start, end in zip([0, *sizes], sizes, strict=False):
        chains = [json.loads(leaf)["chain"]["id"] for leaf in leaves[start:end]]
        assert chains == sorted(chains)
    by_bytes = LogOnFakes()
    by_bytes.append(5, T0)
    assert by_bytes.run(T0, max_step_bytes=1).integrated == 5
    audit(by_bytes)


def test_a_backlog_in_several_chains_leaves_few_gaps_in_the_heads_on_the_way() -> None:
    world = LogOnFakes(chain_count=4, lock=WatchedLock())
    world.append(2000, T0)
    world.run(T0, max_step_receipts=200)
    heads = [read_accounts(world.objects.get, head.emitters) for head in world.lock.heads]
    gaps = [len(accounts[EMITTER].gaps) for accounts in heads]
    assert max(gaps) < 200
    assert gaps[-1] == 0
    audit(world)


def test_heads_and_register_do_not_grow_with_emitters_and_gaps() -> None:
    """Bursts of anonymous requests make emitters, as many as a caller likes."""
    few, many = LogOnFakes(lock=WatchedLock()), LogOnFakes(lock=WatchedLock())
    few.append(400, T0)
    many.append(400, T0, lambda n: f"{n % 200:032x}")  # 200 emitters, each with a gap of 199
    for world in (few, many):
        world.run(T0, max_step_receipts=100)
    sizes = [len(world.lock.value) for world in (few, many)]
    assert abs(sizes[0] - sizes[1]) < 20  # digits of the totals
    newest = many.lock.heads[-1].emitters
    assert (newest.count, newest.decisions, newest.missing) == (200, 400, 200 * 199)
    audit(many)


def test_accounts_go_on_from_run_to_run_and_begin_anew_with_the_day() -> None:
    world = LogOnFakes()
    for hour in range(3):
        world.append(2, T0 + hour * HOUR, lambda n: f"{n % 3:032x}")
        world.run(T0 + hour * HOUR)
    world.append(1, T0 + DAY, lambda _n: EMITTER)
    newest = world.run(T0 + DAY).head.emitters
    closed = world.heads()["sth/2026-11-23.json"].emitters
    assert (closed.count, closed.decisions, closed.missing) == (3, 6, 6)
    assert read_accounts(world.objects.get, newest) == {EMITTER: EmitterAccount(1, 6, 6)}
    audit(world)


def test_an_empty_day_has_no_accounts_and_a_head_without_news_shares_those_before() -> None:
    world = LogOnFakes()
    world.append(2, T0)
    open_day = world.run(T0).head
    world.run(T0 + 2 * DAY)
    closed, empty = world.heads().values()
    assert closed.emitters == open_day.emitters
    assert empty.emitters.key is None
    assert list(world.objects.list("emitters/")) == [closed.emitters.key]
    audit(world)


@pytest.mark.parametrize("damage", [None, b"{}", b"flipped"])
def test_accounts_that_are_not_those_of_the_newest_head_are_not_continued(damage: bytes | None) -> None:
    world = LogOnFakes()
    world.append(3, T0)
    key = str(world.run(T0).head.emitters.key)
    world.append(1, T0)
    before, lock = dict(world.objects.objects), world.lock.value
    if damage is None:
        del world.objects.objects[key]
    else:
        world.objects.objects[key] = damage
    with pytest.raises(LogError) as caught:
        world.run(T0)
    assert caught.value.code == "bad_accounts"
    assert world.lock.value == lock
    world.objects.objects = before
    assert world.run(T0).integrated == 1
    audit(world)


def test_a_head_whose_accounts_are_gone_is_not_published() -> None:
    world = LogOnFakes()
    world.append(1, T0)
    older = world.run(T0).head.raw
    world.append(1, T0)
    newest = world.run(T0).head
    world.objects.objects["sth/latest.json"] = older
    del world.objects.objects[str(newest.emitters.key)]
    with pytest.raises(LogError) as caught:
        world.run(T0)
    assert caught.value.code == "bad_accounts"


def test_parallel_uploads_write_the_same_log() -> None:
    world = LogOnFakes()
    world.append(600, T0)
    world.run(T0, threads=4)
    assert len(audit(world)) == 600


def test_a_new_policy_is_published_before_the_head_that_names_it() -> None:
    world = LogOnFakes()
    world.run(T0)
    world.append(1, T0)
    head = world.run(T0, policy={"main.rego": b"package other\n"}).head
    assert head.policy_bundle_sha256 != POLICY_SHA256
    assert world.objects.objects[f"policy/{head.policy_bundle_sha256}/main.rego"] == b"package other\n"
    audit(world)


class Killed(BaseException):
    """The process ends here: no handler of the code under test sees it."""


class Fault:
    """Stops the process before or after the k-th call of any port, or lets that call fail."""

    def __init__(self, at: int, *, takes_effect: bool, error: type[BaseException]) -> None:
        self.at = at
        self.takes_effect = takes_effect
        self.error = error
        self.calls: list[str] = []

    def wrap(self, port: Any) -> Any:
        return _Faulty(port, self)

    def call(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.calls.append(name)
        hit = len(self.calls) - 1 == self.at
        if hit and not self.takes_effect:
            raise self.error(name)
        result = method(*args, **kwargs)
        if isinstance(result, Iterator):
            result = iter(list(result))
        if hit:
            raise self.error(name)
        return result


class _Faulty:
    def __init__(self, port: Any, fault: Fault) -> None:
        self._port = port
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not callable(found):
            return found
        return lambda *args, **kwargs: self._fault.call(name, found, *args, **kwargs)


@cache
def _prepared() -> LogOnFakes:
    """A log whose next receipts fill up its first tile, so that the story crosses into the second."""
    world = LogOnFakes()
    world.append(253, T0)
    world.run(T0)
    return world


def prepared() -> LogOnFakes:
    world = LogOnFakes(appended=_prepared().appended)
    world.objects.objects = dict(_prepared().objects.objects)
    world.lock.value = _prepared().lock.value
    for name in ("receipts", "_heads", "_ids"):
        setattr(world.chains, name, deepcopy(getattr(_prepared().chains, name)))
    return world


def story(world: LogOnFakes, run: Callable[[int, date | None], object]) -> None:
    """Three days: one closed early, one without a run of its own, one open; a tile fills on the way."""
    world.append(2, T0 + HOUR)
    run(T0 + HOUR, D1)
    world.append(2, T0 + DAY)
    world.append(3, T0 + 2 * DAY)
    run(T0 + 2 * DAY, None)


def history(world: LogOnFakes) -> list[tuple[str, int, bytes]]:
    return [(key, head.tree_size, head.root_hash) for key, head in world.heads().items()]


def quiet_story() -> tuple[LogOnFakes, list[str]]:
    """The story without faults: what must come out, and every call to a port it takes."""
    world, fault = prepared(), Fault(-1, takes_effect=True, error=Killed)
    story(world, lambda now, close: run_with(world, fault, now, close))
    return world, fault.calls


def run_with(world: LogOnFakes, fault: Fault, now_ms: int, close: date | None) -> Outcome:
    return world.run(
        now_ms,
        close,
        objects=fault.wrap(world.objects),
        lock=fault.wrap(world.lock),
        chains=fault.wrap(world.chains),
    )


@pytest.mark.long
@pytest.mark.parametrize("error", [Killed, UnavailableError])
@pytest.mark.parametrize("takes_effect", [False, True])
def test_a_fault_at_any_call_ends_in_the_same_history(
    error: type[BaseException], *, takes_effect: bool
) -> None:
    quiet, calls = quiet_story()
    expected, leaves = history(quiet), audit(quiet)
    assert Counter(calls)["compare_and_swap"] == 3
    for at, name in enumerate(calls):
        world, fault = prepared(), Fault(at, takes_effect=takes_effect, error=error)
        failures: list[BaseException] = []

        def run(
            now: int,
            close: date | None,
            world: LogOnFakes = world,
            fault: Fault = fault,
            failures: Any = failures,
        ) -> None:
            try:
                run_with(world, fault, now, close)
            except (Killed, UnavailableError) as failure:
                failures.append(failure)
                run_with(world, fault, now, close)

        story(world, run)
        assert len(failures) == 1, f"call {at} ({name}) was not reached"
        assert history(world) == expected
        assert audit(world) == leaves


class Interleaved(Fault):
    """Lets a whole other run happen just before the k-th call."""

    def __init__(self, at: int, world: LogOnFakes) -> None:
        super().__init__(at, takes_effect=True, error=Killed)
        self.world = world
        self.now_ms = T0
        self.close: date | None = None

    def call(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if len(self.calls) == self.at:
            self.at = -1
            self.world.run(self.now_ms, self.close)
        return super().call(name, method, *args, **kwargs)


@pytest.mark.long
def test_two_runs_that_interleave_at_any_call_make_one_history() -> None:
    quiet, calls = quiet_story()
    expected, leaves = history(quiet), audit(quiet)
    for at in range(len(calls)):
        world = prepared()
        fault = Interleaved(at, world)

        def run(now: int, close: date | None, world: LogOnFakes = world, fault: Interleaved = fault) -> None:
            fault.now_ms, fault.close = now, close
            run_with(world, fault, now, close)

        story(world, run)
        assert fault.at == -1, f"call {at} ({calls[at]}) was not reached"
        world.run(T0 + 2 * DAY)  # what a slow run put back the next one repairs
        assert history(world) == expected
        assert audit(world) == leaves


def test_two_first_runs_that_interleave_at_any_call_make_one_log() -> None:
    def first_run(fault: Fault, world: LogOnFakes) -> Outcome:
        world.append(3, T0)
        return run_with(world, fault, T0, None)

    quiet, counted = LogOnFakes(), Fault(-1, takes_effect=True, error=Killed)
    expected = first_run(counted, quiet).head
    for at in range(len(counted.calls)):
        world = LogOnFakes()
        fault = Interleaved(at, world)
        head = first_run(fault, world).head
        assert fault.at == -1
        assert (head.tree_size, head.root_hash) == (expected.tree_size, expected.root_hash)
        world.run(T0)
        assert audit(world) == audit(quiet)


def test_a_run_that_only_begins_leaves_the_bundle_of_another_alone() -> None:
    class Rival(Fault):
        """Begins just before the register moves; the process ends just after."""

        def call(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if name == "compare_and_swap":
                Publisher(world.objects, world.lock, SIGNER.keys).recover()
                method(*args, **kwargs)
                raise Killed
            return super().call(name, method, *args, **kwargs)

    world = prepared()
    world.append(5, T0)
    with pytest.raises(Killed):
        run_with(world, Rival(-1, takes_effect=True, error=Killed), T0, None)
    assert world.run(T0).head.tree_size == 258
    assert numbers(audit(world)) == list(range(258))


def test_a_bit_flipped_in_the_staged_bundle_is_noticed_before_anything_is_signed() -> None:
    class Flips(MemoryObjectStore):
        bit = 0

        def get(self, key: str) -> bytes | None:
            body = super().get(key)
            if body is None or not key.startswith("staging/"):
                return body
            at, bit = divmod(self.bit % (len(body) * 8), 8)
            changed = bytearray(body)
            changed[at] ^= 1 << bit
            return bytes(changed)

    world = LogOnFakes(objects=Flips())
    world.append(3, T0)
    for bit in range(0, 8 * 3000, 97):
        world.objects.bit = bit
        with pytest.raises(LogError):
            world.run(T0)
        assert world.lock.value is None
        assert "sth/latest.json" not in world.objects.objects
    healed = MemoryObjectStore()
    healed.objects = world.objects.objects
    world.objects = healed
    assert world.run(T0).integrated == 3
    audit(world)


def test_a_bit_flipped_in_any_stored_object_is_refused_or_harmless() -> None:
    quiet = prepared()
    quiet.append(5, T0)
    before = dict(quiet.objects.objects)
    lock = quiet.lock.value
    expected = quiet.run(T0).head
    refused = []
    for key, body in before.items():
        world = LogOnFakes(lock=MemoryLockStore(), chains=quiet.chains)
        world.lock.value = lock
        flipped = bytearray(body)
        flipped[len(body) // 2] ^= 4
        damaged = {**before, key: bytes(flipped)}
        world.objects.objects = dict(damaged)
        try:
            head = world.run(T0).head
        except LogError:
            refused.append(key)
            assert world.lock.value == lock
            assert world.objects.objects == damaged
        else:  # the run had no need of it: the audit is what finds it
            assert (head.tree_size, head.root_hash) == (expected.tree_size, expected.root_hash)
    assert {"sth/latest.json", "tile/0/000.p/253", "tile/entries/000.p/253"} <= set(refused)


def test_a_bit_flipped_in_a_receipt_never_reaches_the_tree() -> None:
    for seq in range(4):
        world = LogOnFakes()
        world.append(4, T0)
        receipts = world.chains.receipts[0]
        changed = receipts[seq].replace(b'"authorizer_us":1', b'"authorizer_us":2')
        assert changed != receipts[seq]
        receipts[seq] = changed
        with pytest.raises(LogError):
            world.run(T0)
        assert world.lock.value is None


def test_receipts_that_were_lost_or_reordered_are_refused() -> None:
    for damage in (
        lambda receipts: receipts.pop(),
        lambda receipts: receipts.pop(1),
        lambda receipts: receipts.reverse(),
        lambda receipts: receipts.__setitem__(1, b"{}"),
    ):
        world = LogOnFakes()
        world.append(4, T0)
        damage(world.chains.receipts[0])
        with pytest.raises(LogError):
            world.run(T0)
        assert world.lock.value is None


def test_a_chain_that_was_set_back_is_refused() -> None:
    world = LogOnFakes()
    world.append(4, T0)
    world.run(T0)
    lock = world.lock.value
    world.chains = MemoryChainStore()
    with pytest.raises(LogError) as caught:
        world.run(T0)
    assert caught.value.code == "chain_behind_log"
    assert world.lock.value == lock


def test_a_store_ahead_of_the_register_is_refused() -> None:
    world = LogOnFakes()
    world.append(1, T0)
    world.run(T0)
    older = world.lock.value
    world.append(1, T0)
    world.run(T0)
    for value in (older, None):
        world.lock.value = value
        with pytest.raises(LogError) as caught:
            world.run(T0)
        assert caught.value.code == "store_ahead"


def test_a_register_that_was_tampered_with_is_refused() -> None:
    world = LogOnFakes()
    world.append(1, T0)
    world.run(T0)
    good = world.lock.value
    for bad in (
        b"",
        b"{}",
        b"[]",
        good[:-1],
        good.replace(b'"v":1', b'"v":2'),
        good.replace(b'"staging"', b'"more"'),
    ):
        world.lock.value = bad
        with pytest.raises(LogError):
            world.run(T0)
        assert world.lock.value == bad


def test_a_tile_that_differs_is_never_replaced() -> None:
    world = LogOnFakes()
    world.append(1, T0)
    world.objects.objects["tile/0/000.p/1"] = bytes(32)
    with pytest.raises(LogError) as caught:
        world.run(T0)
    assert caught.value.code == "object_differs"
    assert world.objects.objects["tile/0/000.p/1"] == bytes(32)


def test_an_older_head_put_over_the_newest_by_a_slow_run_is_repaired() -> None:
    world = LogOnFakes()
    world.append(1, T0)
    older = world.run(T0).head.raw
    world.append(1, T0)
    newest = world.run(T0).head.raw
    world.objects.objects["sth/latest.json"] = older
    assert world.run(T0).head.raw == newest
    audit(world)


def test_a_head_whose_tiles_are_gone_is_not_published() -> None:
    world = LogOnFakes()
    world.append(1, T0)
    older = world.run(T0).head.raw
    world.append(1, T0)
    world.run(T0)
    world.objects.objects["sth/latest.json"] = older
    del world.objects.objects["tile/0/000.p/2"]
    with pytest.raises(LogError):
        world.run(T0)


def test_other_keys_or_another_number_of_chains_are_refused() -> None:
    world = LogOnFakes()
    world.run(T0)
    with pytest.raises(LogError):
        world.run(T0, signer=LocalSigner("log.example", generate_private_set()))
    with pytest.raises(LogError):
        world.run(T0, chain_count=2)


def test_runs_that_always_lose_give_up_without_signing_two_histories() -> None:
    class AlwaysLate(MemoryLockStore):
        def compare_and_swap(self, old: bytes | None, new: bytes) -> bool:
            return False

    with pytest.raises(UnavailableError):
        LogOnFakes(lock=AlwaysLate()).run(T0)


def test_a_chain_that_never_stands_still_is_not_fenced_for_ever() -> None:
    class Busy(MemoryChainStore):
        def fence(self, head: Any, *, not_before_ms: int) -> bool:
            return False

    with pytest.raises(UnavailableError):
        LogOnFakes(chains=Busy()).run(T0)


def test_the_chain_head_in_the_tree_head_is_the_hash_of_the_last_receipt() -> None:
    world = LogOnFakes()
    world.append(2, T0)
    (chain,) = world.run(T0).head.chains
    leaves = audit(world)
    assert chain.head == hashlib.sha256(leaves[-1]).digest()
    assert (
        json.loads(leaves[1])["chain"]["prev"]
        == base64.b64encode(hashlib.sha256(leaves[0]).digest()).decode()
    )


@pytest.mark.parametrize("late_reads", [1, 1_000])
def test_receipts_that_are_seen_a_moment_after_their_head_are_no_contradiction(late_reads: int) -> None:
    class Late(MemoryChainStore):
        """Shows the last receipt later than the head, or never."""

        reads = 0

        def read(self, chain_id: int, *, start_seq: int) -> Iterator[bytes]:
            self.reads += 1
            seen = list(super().read(chain_id, start_seq=start_seq))
            yield from seen[:-1] if self.reads <= late_reads else seen

    world = LogOnFakes()
    world.append(2, T0)
    world.run(T0)
    late = Late()
    late.__dict__ |= world.chains.__dict__
    world.chains = late
    world.append(3, T0)
    if late_reads == 1:
        assert world.run(T0).integrated == 3
        assert numbers(audit(world)) == [0, 1, 2, 3, 4]
    else:
        with pytest.raises(LogError) as caught:
            world.run(T0)
        assert caught.value.code == "chain_broken"
