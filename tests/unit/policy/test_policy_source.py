"""A pushed policy takes over when all of it is here and good; until then the one before stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from signet.core.decision import Reason
from signet.core.errors import LogError, PolicyError, SignetError, UnavailableError, UsageError
from signet.policy.bundle import policy_bundle_sha256
from signet.policy.check import check
from signet.policy.finding import Finding
from signet.policy.push import push
from signet.policy.register import MAX_HISTORY, Pushed, object_key
from signet.policy.source import PolicyInForce
from signet.receipts.model import read_receipt
from tests.fakes.lock import MemoryLockStore
from tests.fakes.objects import MemoryObjectStore
from tests.support.policies import MISTAKES, config
from tests.support.world import NOW_MS, World, policy_files
from tests.support.world import own as decode

DEPLOYED = policy_files()
STRICT = policy_files("")
DEPLOYED_SHA256, STRICT_SHA256 = policy_bundle_sha256(DEPLOYED), policy_bundle_sha256(STRICT)
REFRESH_S = 60
TWICE = Pushed.after(Pushed.after(None, STRICT, now_ms=NOW_MS), DEPLOYED, now_ms=NOW_MS)
DAY_MS = 86_400_000
FINDINGS: dict[str, tuple[Finding, ...]] = {}


def checked_once(files: Mapping[str, bytes]) -> tuple[Finding, ...]:
    """Check each policy once: what the check finds is another test's matter."""
    digest = policy_bundle_sha256(files)
    if digest not in FINDINGS:
        FINDINGS[digest] = check(files)
    return FINDINGS[digest]


class Queue:
    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.down = False

    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        if self.down:
            raise UnavailableError("could not enqueue the receipt: timeout")
        self.sent.append(message)


class Registers(MemoryLockStore):
    """Counts reads; may be out of reach."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.down = False

    def read(self) -> bytes | None:
        self.reads += 1
        if self.down:
            raise UnavailableError("could not read the register policy: timeout")
        return super().read()


class Site:
    """A log bucket, a register, a queue, and one environment that looks at them."""

    def __init__(self) -> None:
        self.objects = MemoryObjectStore()
        self.register = Registers()
        self.queue = Queue()
        self.now_s = 1000.0
        self.clock: Callable[[], float] = lambda: self.now_s
        self.reported: list[SignetError] = []
        self.source = self.environment()

    def environment(self) -> PolicyInForce:
        return PolicyInForce(
            DEPLOYED,
            self.register,
            lambda: self.objects,
            clock=self.clock,
            refresh_s=REFRESH_S,
            report=self.reported.append,
        )

    def push(self, files: dict[str, bytes], now_ms: int = NOW_MS, *, above: int = 0) -> Pushed:
        done = push(
            files,
            register=self.register,
            objects=self.objects,
            queue=self.queue,
            now_ms=now_ms,
            above=above,
            check=checked_once,
        )
        return done.pushed

    def in_force(self) -> str:
        self.now_s += REFRESH_S
        return self.source.current().bundle_sha256

    def corrupt(self, pushed: Pushed, name: str = "config.json", body: bytes | None = b"{}") -> None:
        key = object_key(pushed.version.bundle_sha256, name)
        if body is None:
            self.objects.delete(key)
        else:
            self.objects.put(key, body)


def test_without_a_push_the_deployed_policy_decides() -> None:
    site = Site()
    assert site.in_force() == DEPLOYED_SHA256
    assert site.objects.objects == {}


def test_a_pushed_policy_takes_over_within_the_refresh_time_and_rolls_back() -> None:
    site = Site()
    before = site.source.current()
    site.push(STRICT)
    site.now_s += REFRESH_S - 1
    assert site.source.current() is before
    site.now_s += 1
    assert site.source.current().bundle_sha256 == STRICT_SHA256
    assert site.push(DEPLOYED).version.n == 2
    assert site.in_force() == DEPLOYED_SHA256
    assert site.reported == []


def test_the_register_is_read_once_per_refresh_time_and_compiled_only_when_it_moved() -> None:
    site = Site()
    site.push(STRICT)
    site.register.reads = 0
    engines = {id(site.source.current()) for _ in range(100)}
    assert site.register.reads == 1
    site.now_s += REFRESH_S
    engines |= {id(site.source.current())}
    assert (site.register.reads, len(engines)) == (2, 1)


@pytest.mark.parametrize(
    "fault", ["register_down", "register_garbled", "file_lost", "file_changed", "mistake"]
)
def test_what_cannot_be_loaded_leaves_the_last_good_policy_in_force(fault: str) -> None:
    site = Site()
    site.push(STRICT)
    assert site.in_force() == STRICT_SHA256
    _break(site, fault)
    assert site.in_force() == STRICT_SHA256
    [reported] = site.reported
    assert reported.code in {"store_unavailable", "bad_register", "policy_error"}
    assert site.source.current().bundle_sha256 == STRICT_SHA256
    assert len(site.reported) == 1  # and is not tried again at once


@pytest.mark.parametrize(
    "fault", ["register_down", "register_garbled", "file_lost", "file_changed", "mistake"]
)
def test_an_environment_without_a_last_good_policy_refuses(fault: str) -> None:
    site = Site()
    _break(site, fault)
    fresh = site.environment()
    with pytest.raises((PolicyError, UnavailableError)):
        fresh.current()
    site.register.down = False
    first = Pushed.after(None, DEPLOYED, now_ms=NOW_MS)
    site.register.value = Pushed.after(first, DEPLOYED, now_ms=NOW_MS).encode()
    assert fresh.current().bundle_sha256 == DEPLOYED_SHA256  # tried again by the next request


@pytest.mark.parametrize("back", ["emptied", "an older version", "another of the same number"])
def test_an_environment_that_saw_a_version_takes_none_from_before(back: str) -> None:
    """An attacker who puts an old register back loosens nothing where a newer one was seen."""
    site = Site()
    site.push(DEPLOYED)
    old = site.register.value
    site.push(STRICT)
    assert site.in_force() == STRICT_SHA256
    first = Pushed.decode(old or b"")
    other = Pushed.after(first, DEPLOYED, now_ms=NOW_MS)
    site.register.value = {"emptied": None, "an older version": old}.get(back, other.encode())
    assert site.in_force() == STRICT_SHA256
    [reported] = site.reported
    assert reported.code == "policy_went_back"
    assert "with --above 2" in str(reported)
    site.register.value = Pushed.after(other, DEPLOYED, now_ms=NOW_MS + 1).encode()
    assert site.in_force() == DEPLOYED_SHA256


@pytest.mark.parametrize("emptied", [True, False])
def test_one_push_takes_environments_beyond_a_register_that_went_back(*, emptied: bool) -> None:
    """Also where what came back is what shall be in force: pushed as it is, it would keep its number."""
    site = Site()
    site.push(DEPLOYED)
    old = site.register.value
    site.push(STRICT)
    site.push(DEPLOYED)
    site.push(STRICT)
    assert site.in_force() == STRICT_SHA256
    site.register.value = None if emptied else old
    site.queue.sent.clear()
    pushed = site.push(DEPLOYED, above=4)
    assert pushed.version.n == 5
    assert Pushed.decode(site.register.value or b"") == pushed
    told = [read_receipt(message, chained=False).members["change"]["n"] for message in site.queue.sent]
    assert told == ([5] if emptied else [1, 5])
    assert site.in_force() == DEPLOYED_SHA256
    assert site.reported == []
    site.queue.sent.clear()
    assert site.push(DEPLOYED, above=4) == pushed
    assert site.queue.sent == [pushed.receipt()]


def test_a_receipt_is_sent_again_only_while_the_sink_is_sure_to_know_it() -> None:
    """It forgets an id after 30 days, and an audit finds what the log then has twice."""
    site = Site()
    first = site.push(STRICT)
    assert site.push(STRICT, NOW_MS + DAY_MS - 1) == first
    assert site.queue.sent == [first.receipt()] * 2
    assert site.push(STRICT, NOW_MS + DAY_MS) == first
    assert len(site.queue.sent) == 2
    second = site.push(STRICT, NOW_MS + DAY_MS, above=1)
    assert second.version.n == 2
    assert site.queue.sent[2:] == [second.receipt()]


def test_an_environment_that_could_not_load_what_it_saw_refuses_what_was_before() -> None:
    site = Site()
    site.push(DEPLOYED)
    old = site.register.value
    site.corrupt(site.push(STRICT))
    fresh = site.environment()
    with pytest.raises(PolicyError, match="do not have its hash"):
        fresh.current()
    site.register.value = old
    with pytest.raises(PolicyError, match="went back"):
        fresh.current()


def _break(site: Site, fault: str) -> None:
    """Break what the next refresh finds; a new version is in force that cannot be loaded."""
    if fault == "register_down":
        site.register.down = True
    elif fault == "register_garbled":
        site.register.value = b'{"v":1}'
    elif fault == "mistake":  # what a check of another version let pass, or a writer wrote past it
        files = MISTAKES["allow_all"].files()
        value = site.register.value
        before = None if value is None else Pushed.decode(value)
        pushed = Pushed.after(before, files, now_ms=NOW_MS)
        for name, body in files.items():
            site.objects.put(object_key(pushed.version.bundle_sha256, name), body)
        site.register.value = pushed.encode()
    else:
        files = policy_files("")
        config(lambda c: c.update(latency_objective_ms=700))(files)
        site.corrupt(site.push(files), body=None if fault == "file_lost" else b"{}")


@pytest.mark.parametrize(
    ("fault", "reason"), [("register_down", Reason.STORE_UNAVAILABLE), ("file_lost", Reason.POLICY_DENIED)]
)
def test_the_guard_refuses_without_a_policy_and_the_receipt_names_none(fault: str, reason: Reason) -> None:
    world, site = World(), Site()
    event = world.sign(world.event())
    _break(site, fault)
    world.__dict__["policy"] = site.environment()
    decision = world.verifier.judge(decode(event), now_ms=NOW_MS)
    assert decision.reason is reason
    assert decision.context.policy.bundle_sha256 is None


def test_receipts_name_the_policy_that_decided_and_challenges_survive_the_swap() -> None:
    world, site = World(), Site()
    world.__dict__["policy"] = site.source
    first, second = world.sign(world.event()), world.sign(world.event())
    before = world.verifier.judge(decode(first), now_ms=NOW_MS)
    files = policy_files()
    config(lambda c: c.update(latency_objective_ms=700))(files)
    site.push(files)
    site.now_s += REFRESH_S
    after = world.verifier.judge(decode(second), now_ms=NOW_MS)
    assert (before.reason, after.reason) == (Reason.OK, Reason.OK)
    assert before.context.policy.bundle_sha256 == bytes.fromhex(DEPLOYED_SHA256)
    assert after.context.policy.bundle_sha256 == bytes.fromhex(policy_bundle_sha256(files))


def test_push_stores_files_then_moves_the_register_then_leaves_a_receipt() -> None:
    site = Site()
    pushed = site.push(STRICT)
    for name, body in STRICT.items():
        assert site.objects.get(f"policy/{STRICT_SHA256}/{name}") == body
    assert site.register.value == pushed.encode()
    [message] = site.queue.sent
    receipt = read_receipt(message, chained=False)
    assert receipt.type == "policy.changed"
    assert receipt.members["change"] == {
        "n": 1,
        "from": None,
        "to": STRICT_SHA256,
        "pushed_at": "2026-11-23T00:00:00.000Z",
    }


def test_a_second_push_names_what_it_replaces() -> None:
    site = Site()
    site.push(STRICT)
    site.push(DEPLOYED, NOW_MS - 5)  # a clock that is behind
    change = json.loads(site.queue.sent[1])["change"]
    assert (change["n"], change["from"], change["to"]) == (2, STRICT_SHA256, DEPLOYED_SHA256)
    assert change["pushed_at"] == "2026-11-23T00:00:00.000Z"


def test_pushing_again_what_is_in_force_sends_the_same_receipt_again() -> None:
    site = Site()
    site.queue.down = True
    with pytest.raises(UnavailableError):
        site.push(STRICT)
    site.queue.down = False
    again = site.push(STRICT, NOW_MS + 5000)
    site.push(STRICT, NOW_MS + 9000)
    assert again.version.n == 1
    assert len(set(site.queue.sent)) == 1
    assert len(site.queue.sent) == 2


def test_each_version_has_a_receipt_of_its_own() -> None:
    site = Site()
    for files in (STRICT, DEPLOYED, STRICT, DEPLOYED):
        site.push(files)
    assert len({json.loads(message)["id"] for message in site.queue.sent}) == 4


@pytest.mark.parametrize("name", ["syntax_error", "allow_all", "closes_above_where_it_opens"])
def test_a_policy_with_a_mistake_is_not_pushed(name: str) -> None:
    site = Site()
    with pytest.raises(PolicyError, match="nothing was pushed") as refused:
        site.push(MISTAKES[name].files())
    assert refused.value.code == "policy_findings"
    assert (site.register.value, site.objects.objects, site.queue.sent) == (None, {}, [])


def test_of_two_pushes_at_once_one_wins_and_the_other_is_told() -> None:
    site = Site()
    compare_and_swap = site.register.compare_and_swap

    def raced(old: bytes | None, new: bytes) -> bool:
        site.register.value = Pushed.after(None, DEPLOYED, now_ms=NOW_MS).encode()
        return compare_and_swap(old, new)

    site.register.compare_and_swap = raced  # type: ignore[method-assign]
    with pytest.raises(UsageError, match="another push"):
        site.push(STRICT)
    assert site.queue.sent == []


def test_a_move_whose_answer_was_lost_counts_as_made() -> None:
    site = Site()
    compare_and_swap = site.register.compare_and_swap
    site.register.compare_and_swap = lambda old, new: not compare_and_swap(old, new)  # type: ignore[method-assign]
    assert site.push(STRICT).version.n == 1
    assert len(site.queue.sent) == 1


def test_other_bytes_under_a_policys_hash_stop_the_push() -> None:
    site = Site()
    site.objects.put(object_key(STRICT_SHA256, "config.json"), b"{}")
    with pytest.raises(LogError, match="other bytes"):
        site.push(STRICT)
    assert site.register.value is None


def test_the_register_remembers_what_was_before_up_to_a_bound() -> None:
    pushed = None
    for n in range(MAX_HISTORY + 5):
        pushed = Pushed.after(pushed, (STRICT, DEPLOYED)[n % 2], now_ms=NOW_MS + n)
    assert pushed is not None
    assert [version.n for version in pushed.history] == list(range(MAX_HISTORY + 4, 4, -1))
    assert Pushed.decode(pushed.encode()) == pushed


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[]",
        b"{}",
        b'{"v":2}',
        Pushed.after(None, STRICT, now_ms=NOW_MS).encode().replace(b'"v":1', b'"v":2'),
        Pushed.after(None, STRICT, now_ms=NOW_MS).encode().replace(b'"n":1', b'"n":1,"x":1'),
        Pushed.after(None, STRICT, now_ms=NOW_MS).encode().replace(b'"n":1', b'"n":0'),
        Pushed.after(None, STRICT, now_ms=NOW_MS).encode().replace(b'"n":1', b'"n":true'),
        Pushed.after(None, STRICT, now_ms=NOW_MS).encode().replace(b'"n":1', b'"n":"1"'),
        TWICE.encode().replace(b'"n":2', b'"n":1'),
        Pushed.after(None, STRICT, now_ms=NOW_MS).encode().replace(STRICT_SHA256.encode(), b"../../keys"),
        Pushed.after(None, STRICT, now_ms=NOW_MS).encode().replace(b"signet.rego", b"../signet.rego"),
        Pushed.after(None, STRICT, now_ms=NOW_MS).encode().replace(b"config.json", b"signet.rego"),
    ],
)
def test_a_register_with_anything_else_is_refused(value: bytes) -> None:
    with pytest.raises(PolicyError) as refused:
        Pushed.decode(value)
    assert refused.value.code == "bad_register"


def test_no_other_files_pass_for_a_policy_under_its_hash() -> None:
    """What stands before a file's bytes in the digest can stand in a name: the data would be gone."""
    site = Site()
    site.push(STRICT)
    data, rules = STRICT["config.json"], STRICT["signet.rego"]
    swallowed = f"config.json\0{len(data)}\0{data.decode()}signet.rego"
    assert policy_bundle_sha256({swallowed: rules}) == STRICT_SHA256
    site.objects.put(object_key(STRICT_SHA256, swallowed), rules)
    pushed = Pushed.after(None, STRICT, now_ms=NOW_MS)
    site.register.value = replace(pushed, files=(swallowed,)).encode()
    with pytest.raises(PolicyError, match="holds no policy"):
        site.environment().current()


def test_an_engine_knows_the_number_of_the_version_that_it_is_in_force_as() -> None:
    site = Site()
    before = site.source.current()
    assert before.version == 0
    site.push(STRICT)
    site.push(DEPLOYED)  # back before the next look: the same files, as another version
    site.in_force()
    assert (site.source.current(), before.version) == (before, 2)
    site.push(STRICT)
    site.in_force()
    assert site.source.current().version == 3
    site.register.down = True
    site.in_force()
    assert site.source.current().version == 3
