"""Rotating the log's keys: every head verifies from the first keys, through faults and other runs."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from typing import Any

import pytest

from signet.aws.kms import KmsKeys
from signet.core.canonical import canonicalize
from signet.core.errors import LogError, SignatureError, UnavailableError, UsageError
from signet.log import object_keys
from signet.log.keys import Algorithm, LogKeys, SecretKeyStore, Signer, parse_keys
from signet.log.merkle import CompactRange, leaf_hashes
from signet.log.note import verify_checkpoint
from signet.log.register import parse_register
from signet.log.rotation import begins_within, rotation_id
from signet.log.sequencer import Outcome
from signet.log.signing import MemoryKeyStore
from signet.log.sth import SignedTreeHead, TreeHead, check_successor, sign_sth, verify_sth
from signet.log.tiles import TileReader
from signet.pack.build import build_pack, plan_pack
from signet.pack.verify import verify_pack
from tests.fakes.kms import MemoryKms
from tests.fakes.lock import MemoryLockStore
from tests.fakes.secrets import MemorySecretStore
from tests.unit.log.test_sequencer import D1, D2, DAY, HOUR, T0, Fault, Killed, LogOnFakes

pytestmark = pytest.mark.long

ORIGIN = "log.example"
PREFIX = "signet/test"


class RecordingLock(MemoryLockStore):
    """A register that remembers every value it ever held."""

    def __init__(self) -> None:
        super().__init__()
        self.held: list[bytes] = []

    def compare_and_swap(self, old: bytes | None, new: bytes) -> bool:
        moved = super().compare_and_swap(old, new)
        if moved:
            self.held.append(new)
        return moved


@dataclass
class RotatingLog(LogOnFakes):
    """A log whose keys are in a secret store and rotate."""

    lock: Any = field(default_factory=RecordingLock)
    secrets: Any = field(default_factory=MemorySecretStore)
    kms: Any = None
    rotation_days: int | None = 1

    def run(self, now_ms: int, close: date | None = None, **changes: Any) -> Outcome:
        rotate_to = changes.pop("rotate_to", None)
        secrets, kms = changes.pop("secrets", self.secrets), changes.pop("kms", self.kms)
        service = None if kms is None else KmsKeys(kms, PREFIX)
        signer = Signer.genesis(SecretKeyStore(secrets, PREFIX, service), ORIGIN)
        settings = {"signer": signer, "rotation_days": self.rotation_days, **changes}
        return self.sequencer(**settings).integrate(now_ms, close, rotate_to=rotate_to)

    def run_with(self, fault: Fault, now_ms: int, close: date | None = None, **changes: Any) -> Outcome:
        names = ("objects", "lock", "chains", "secrets", *(() if self.kms is None else ("kms",)))
        ports = {name: fault.wrap(getattr(self, name)) for name in names}
        return self.run(now_ms, close, **ports, **changes)

    @property
    def keys(self) -> LogKeys:
        return parse_keys(self.objects.objects["keys.json"])

    @property
    def log_id(self) -> str:
        return Signer.genesis(SecretKeyStore(self.secrets, PREFIX), ORIGIN).keys.log_id

    def final_heads(self) -> list[SignedTreeHead]:
        keys, names = self.keys, [key for key in self.objects.list("sth/2") if key.endswith(".json")]
        return [verify_sth(self.objects.objects[key], keys) for key in names]

    def pack(self, day: date) -> bytes:
        out = io.BytesIO()
        plan = plan_pack(self.objects, day.isoformat(), today=day + timedelta(days=1))
        build_pack(self.objects, plan, spool=io.BytesIO(), out=out)
        return out.getvalue()


def announced(leaves: list[bytes]) -> list[dict[str, Any]]:
    found = (json.loads(leaf) for leaf in leaves)
    return [receipt["set"] for receipt in found if receipt["type"] == "key.rotated"]


def audit(world: RotatingLog) -> LogKeys:
    """Hold everything to everything: heads, keys, receipts, and all values the register ever had."""
    objects, keys = world.objects.objects, world.keys
    assert keys.log_id == world.log_id
    assert [objects[object_keys.key_set(k.n)] for k in keys.sets] == [
        canonicalize(keys.set_object(k.n)) for k in keys.sets
    ]
    register = parse_register(world.lock.value, keys)
    latest = verify_sth(objects["sth/latest.json"], keys)
    assert register.head.raw == latest.raw
    assert verify_checkpoint(objects["checkpoint"], keys).root_hash == latest.root_hash
    assert list(world.objects.list("staging/")) == []
    reader = TileReader(objects.get, latest.tree_size, root=latest.root_hash)
    leaves = list(reader.entries(0, latest.tree_size))
    audit_days(world, keys, latest, leaves)
    audit_register(world, keys, leaves)
    decisions = [json.loads(leaf)["emitter"]["n"] for leaf in leaves if b'"emitter"' in leaf]
    assert sorted(decisions) == list(range(world.appended))
    return keys


def audit_days(world: RotatingLog, keys: LogKeys, latest: SignedTreeHead, leaves: list[bytes]) -> None:
    previous: SignedTreeHead | None = None
    heads = world.final_heads()
    for head in heads:
        check_successor(previous, head)
        previous = head
    for head in [*heads, *([] if latest.final else [latest])]:
        own = leaves[head.first_leaf : head.tree_size]
        assert all(json.loads(leaf)["chain"]["recorded_at"].startswith(str(head.date)) for leaf in own)
        begun = begins_within(keys, head.first_leaf, head.tree_size)
        assert announced(own) == [keys.set_object(k.n) for k in begun]


def audit_register(world: RotatingLog, keys: LogKeys, leaves: list[bytes]) -> None:
    """No head was ever true that the final keys refuse, and none that another history needs."""
    for value in world.lock.held:
        head = verify_sth(json.loads(value)["sth"].encode(), keys)
        tree = CompactRange()
        tree.extend(leaf_hashes(leaves[: head.tree_size]))
        assert tree.root() == head.root_hash


@pytest.mark.parametrize("in_kms_from_day", [None, 0, 4])
def test_ten_days_of_daily_rotation_verify_from_the_first_keys(in_kms_from_day: int | None) -> None:
    world = RotatingLog(chain_count=2)
    for day in range(11):
        if day == in_kms_from_day:
            world.kms = MemoryKms()
        world.append(3, T0 + day * DAY)
        outcome = world.run(T0 + day * DAY + HOUR)
        assert outcome.rotated == ((day,) if day else ())
    keys = audit(world)
    assert [k.n for k in keys.sets] == list(range(11))
    heads = world.final_heads()
    assert len(heads) == 10
    for number, head in enumerate(heads):
        assert json.loads(head.raw)["signatures"][0]["keyid"] == keys.sets[number].keys[0].keyid
        report = verify_pack(io.BytesIO(world.pack(head.date)), log_id=world.log_id)
        assert (report.failures, report.key_sets) == ((), number + 1)

    sets_in_kms = 0 if in_kms_from_day is None else 11 - in_kms_from_day
    assert len(world.kms.keys if world.kms else ()) == sets_in_kms * len(Algorithm)


def test_keys_rotate_by_age_in_days_and_not_before() -> None:
    world = RotatingLog(rotation_days=3)
    rotated = [world.run(T0 + day * DAY).rotated for day in range(8)]
    assert rotated == [(), (), (), (1,), (), (), (2,), ()]
    assert RotatingLog(rotation_days=None).run(T0 + 900 * DAY).rotated == ()
    audit(world)


def test_a_schedule_that_is_a_little_early_does_not_put_a_rotation_off() -> None:
    world = RotatingLog()
    early = [world.run(T0 + day * DAY - day).rotated for day in range(4)]
    assert early == [(), (1,), (2,), (3,)]


def test_a_set_somebody_asks_for_begins_at_once_and_only_once() -> None:
    world = RotatingLog(rotation_days=None)
    world.append(2, T0)
    world.run(T0)
    outcome = world.run(T0 + HOUR, rotate_to=1)
    assert (outcome.rotated, outcome.head.tree_size) == ((1,), 3)
    assert world.run(T0 + HOUR, rotate_to=1).rotated == ()
    assert world.run(T0 + HOUR, rotate_to=2).rotated == (2,)
    assert [k.from_tree_size for k in audit(world).sets] == [0, 3, 4]
    for bad in (4, 99, -1):
        with pytest.raises(UsageError):
            world.run(T0 + HOUR, rotate_to=bad)


def test_the_first_run_can_rotate_too() -> None:
    world = RotatingLog()
    assert world.run(T0, rotate_to=1).rotated == (1,)
    assert [k.from_tree_size for k in audit(world).sets] == [0, 1]


def test_closing_a_day_early_moves_the_rotation_into_the_next() -> None:
    world = RotatingLog()
    world.append(2, T0)
    world.run(T0)
    world.append(1, T0 + DAY)
    outcome = world.run(T0 + DAY, close=D2)
    assert (outcome.closed, outcome.rotated) == ((D1, D2), (1,))
    assert outcome.register.head.date == D2 + timedelta(days=1)
    audit(world)


def test_an_empty_day_after_a_rotation_is_signed_by_the_keys_of_its_size() -> None:
    world = RotatingLog()
    for day in range(4):
        world.run(T0 + day * DAY)
    audit(world)


class SinkAhead(Fault):
    """Lets a sink whose clock is a day ahead append between announcement and receipt of a rotation."""

    world: RotatingLog

    def call(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = super().call(name, method, *args, **kwargs)
        if name == "compare_and_swap" and b'"rotation":{' in args[1]:
            self.world.append(2, T0 + DAY)
        return result


def test_a_rotation_whose_day_is_over_for_its_chain_waits_for_the_next_day() -> None:
    world = RotatingLog()
    world.append(2, T0)
    world.run(T0)
    fault = SinkAhead(-1, takes_effect=True, error=Killed)
    fault.world = world
    outcome = world.run_with(fault, T0 + HOUR, rotate_to=1)
    assert (outcome.rotated, outcome.head.tree_size) == ((), 2)
    assert outcome.register.rotation is not None
    outcome = world.run(T0 + DAY)
    assert outcome.rotated == (1,)
    assert [k.from_tree_size for k in audit(world).sets] == [0, 3]


@cache
def _begun() -> RotatingLog:
    world = RotatingLog(rotation_days=None)
    world.append(2, T0)
    world.run(T0)
    return world


def begun() -> RotatingLog:
    """A log of one day and two receipts, with a third waiting."""
    start = _begun()
    world = RotatingLog(rotation_days=None, appended=start.appended)
    world.objects.objects = dict(start.objects.objects)
    world.lock.value, world.lock.held = start.lock.value, list(start.lock.held)
    world.secrets.values = dict(start.secrets.values)
    world.chains = start.chains.copy()
    world.append(1, T0 + HOUR)
    return world


def story(world: RotatingLog, run: Callable[..., object]) -> None:
    """A rotation that is asked for, with receipts before and after it, and the close of its day."""
    run(T0 + HOUR, rotate_to=1)
    world.append(1, T0 + 2 * HOUR)
    world.append(1, T0 + DAY)
    run(T0 + DAY)


def begun_before_kms() -> RotatingLog:
    """The same, whose next key set goes to KMS."""
    world = begun()
    world.kms = MemoryKms()
    return world


def test_a_rotation_that_kms_cannot_make_goes_on_without_it() -> None:
    """A region whose KMS lacks a kind of key is found out by a rotation, and must not be a dead end."""

    class WithoutMlDsa(MemoryKms):
        def create_key(self, **asked: Any) -> Any:
            if asked["KeySpec"].startswith("ML_DSA"):
                raise UnavailableError("no such kind of key")
            return super().create_key(**asked)

    world = begun()
    world.kms = WithoutMlDsa()
    with pytest.raises(UnavailableError):
        world.run(T0 + HOUR, rotate_to=1)
    assert parse_register(world.lock.value, world.keys).rotation is not None
    world.kms = None
    assert world.run(T0 + 2 * HOUR).rotated == (1,)
    assert len(audit(world).sets) == 2


def quiet_calls(start: Callable[[], RotatingLog] = begun) -> list[str]:
    world, fault = start(), Fault(-1, takes_effect=True, error=Killed)
    story(world, lambda now, **asked: world.run_with(fault, now, **asked))
    assert len(audit(world).sets) == 2
    return fault.calls


@pytest.mark.parametrize(
    ("start", "error", "tries_again"),
    [
        (begun, Killed, True),
        pytest.param(begun, UnavailableError, True, marks=pytest.mark.sweep),
        pytest.param(begun, Killed, False, marks=pytest.mark.sweep),
        pytest.param(begun_before_kms, Killed, True, marks=pytest.mark.sweep),
    ],
    ids=["killed", "failed", "killed and left to the next day", "killed on the way to KMS"],
)
@pytest.mark.parametrize("takes_effect", [False, True])
def test_a_fault_at_any_call_of_a_rotation_ends_in_one_history(
    start: Callable[[], RotatingLog],
    error: type[BaseException],
    *,
    takes_effect: bool,
    tries_again: bool,
) -> None:
    calls = quiet_calls(start)
    assert Counter(calls)["create"] == 1
    assert Counter(calls)["append"] == 1
    for at, name in enumerate(calls):
        if takes_effect and name == "get_public_key":
            continue  # as before the next call; and one that finds no key fails by itself
        world, fault = start(), Fault(at, takes_effect=takes_effect, error=error)
        failures: list[BaseException] = []

        def run(
            now: int, world: Any = world, fault: Any = fault, failures: Any = failures, **asked: Any
        ) -> None:
            try:
                world.run_with(fault, now, **asked)
            except (Killed, UnavailableError) as failure:
                failures.append(failure)
                if tries_again:
                    world.run_with(fault, now, **asked)

        story(world, run)
        assert len(failures) == 1, f"call {at} ({name}) was not reached"
        world.run(T0 + 2 * DAY, rotate_to=1)
        assert len(audit(world).sets) == 2, f"call {at} ({name})"


class Overtaken(Fault):
    """Lets other runs happen just before the k-th call, while this one holds what it has read."""

    def __init__(self, at: int, others: Callable[[], object]) -> None:
        super().__init__(at, takes_effect=True, error=Killed)
        self.others = others

    def call(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if len(self.calls) == self.at:
            self.at = -1
            self.others()
        return super().call(name, method, *args, **kwargs)


def rotate_now(world: RotatingLog) -> None:
    world.run(T0 + HOUR, rotate_to=1)


def rotate_and_go_on(world: RotatingLog) -> None:
    rotate_now(world)
    world.append(1, T0 + 2 * HOUR)
    world.run(T0 + 2 * HOUR)


def go_on_for_days(world: RotatingLog) -> None:
    world.append(1, T0 + 2 * HOUR)
    for day in (1, 2):
        world.append(1, T0 + day * DAY)
        world.run(T0 + day * DAY)


@pytest.mark.parametrize("others", [rotate_now, rotate_and_go_on, go_on_for_days])
def test_a_rotation_overtaken_at_any_call_ends_in_one_history(
    others: Callable[[RotatingLog], None],
) -> None:
    counted, quiet = Fault(-1, takes_effect=True, error=Killed), begun()
    quiet.run_with(counted, T0 + HOUR, rotate_to=1)
    for at, name in enumerate(counted.calls):
        world = begun()
        fault = Overtaken(at, lambda world=world: others(world))
        world.run_with(fault, T0 + HOUR, rotate_to=1)
        assert fault.at == -1, f"call {at} ({name}) was not reached"
        world.run(T0 + 3 * DAY)
        assert len(audit(world).sets) == 2


def test_an_older_keys_json_put_over_the_newest_is_repaired_from_the_sets() -> None:
    world = begun()
    older = world.objects.objects["keys.json"]
    rotate_now(world)
    world.run(T0 + HOUR, rotate_to=2)
    newest = world.objects.objects["keys.json"]
    world.objects.objects["keys.json"] = older
    world.run(T0 + 2 * HOUR)
    assert world.objects.objects["keys.json"] == newest
    audit(world)


def test_keys_that_were_tampered_with_are_refused() -> None:
    world = begun()
    rotate_now(world)
    del world.objects.objects["keys.json"]
    good, register = dict(world.objects.objects), world.lock.value
    for key in ("keys/0.json", "keys/1.json"):
        for bad in (b"", b"{}", good[key].replace(b'"n":', b'"m":'), good["keys/0.json"].replace(b"A", b"B")):
            world.objects.objects = {**good, key: bad}
            with pytest.raises(LogError) as caught:
                world.run(T0 + 2 * HOUR)
            assert caught.value.code == "bad_keys"
            assert world.objects.objects == {**good, key: bad}
            assert world.lock.value == register


def test_a_stolen_old_set_cannot_sign_a_later_tree() -> None:
    world = begun()
    rotate_now(world)
    honest = world.run(T0 + HOUR).head
    stolen = Signer(world.keys.up_to(0), SecretKeyStore(world.secrets, PREFIX))
    told = {name: getattr(honest, name) for name in TreeHead.__dataclass_fields__}
    forged = sign_sth(TreeHead(**{**told, "root_hash": bytes(32)}), stolen)
    with pytest.raises(SignatureError):
        verify_sth(forged.raw, world.keys)
    assert verify_sth(honest.raw, world.keys).raw == honest.raw


def test_nobody_can_take_the_id_of_a_rotation_before_its_keys_are_known() -> None:
    """A receipt under that id would stop the log for ever, and senders choose the ids of what they send."""
    one, other = MemoryKeyStore().public_keys(1), MemoryKeyStore().public_keys(1)
    assert rotation_id("0" * 64, 1, one, T0) != rotation_id("0" * 64, 1, other, T0)
    assert rotation_id("0" * 64, 1, one, T0) == rotation_id("0" * 64, 1, one, T0)


def test_a_rotation_that_nobody_endorsed_is_never_taken_from_a_chain() -> None:
    world = begun()

    class Forges(Fault):
        """Replaces the rotation's receipt in the chain by one with another endorsement."""

        def call(self, name: str, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            if name == "append":
                (receipt_id, data), head = args[2][0], args[0]
                changed = json.loads(data)
                changed["set"]["endorsement"]["next"] = changed["set"]["endorsement"]["previous"]
                method(head, args[1], [(receipt_id, canonicalize(changed))])
                raise Killed
            return super().call(name, method, *args, **kwargs)

    with pytest.raises(Killed):
        world.run_with(Forges(-1, takes_effect=True, error=Killed), T0 + HOUR, rotate_to=1)
    before = world.lock.value
    with pytest.raises(LogError) as caught:
        world.run(T0 + HOUR)
    assert caught.value.code == "bad_keys"
    assert world.lock.value == before
