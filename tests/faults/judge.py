"""After a fault and what follows by itself: is everything on record, once, in one history that verifies?"""

from __future__ import annotations

import io
import json
from collections import Counter

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import FakeKey, s3_backends

from signet.audit.live import LiveState
from signet.audit.log import audit_log
from signet.audit.source import LogSource
from signet.aws import session
from signet.aws.chains import DynamoChainStore
from signet.aws.lock import DynamoLockStore
from signet.core.instants import utc_day
from signet.log.emitters import read_accounts
from signet.log.keys import LogKeys, parse_keys
from signet.log.merkle import CompactRange, leaf_hashes
from signet.log.note import verify_checkpoint
from signet.log.register import parse_register
from signet.log.sth import SignedTreeHead, check_successor, verify_sth
from signet.log.tiles import TileReader
from signet.pack.build import build_pack, plan_pack
from signet.pack.verify import verify_pack
from signet.receipts.chain import advance, empty_head
from signet.receipts.model import read_receipt
from signet.receipts.shape import ROTATION_TYPE
from tests.fakes import receipts_table
from tests.fakes.objects import MemoryObjectStore
from tests.faults.deployment import BUCKET, LOG_TABLE, LogDeployment

_MOVING = frozenset({"checkpoint", "keys.json", "sth/latest.json"})


class Violation(Exception):  # noqa: N818 - a verdict
    """A promise is broken; the message says which."""


def check(*, holds: bool, promise: str) -> None:
    """Raise unless a promise holds."""
    if not holds:
        raise Violation(promise)


def judge(world: LogDeployment) -> None:
    """Check a settled world against everything the log promises.

    Raises:
        Violation: a promise is broken.
        SignetError: something does not verify.
    """
    check(holds=world.waiting() == 0, promise="every receipt leaves the queue")
    check(holds=world.dead() == world.poison, promise="the dead-letter queue holds what is no receipt, alone")
    chained = _chained(world)
    check(holds=Counter(chained) == Counter(world.sent), promise="every receipt is in its chain, once")
    versions = _versions()
    objects = MemoryObjectStore()
    objects.objects = {key: bodies[-1] for key, bodies in versions.items()}
    for sha256, content in world.evidence.items():
        check(holds=objects.get(f"evidence/{sha256}") == content, promise="evidence is kept")
    keys = _judge_keys(world, versions)
    leaves = _newest_tree(objects, keys)
    check(holds=Counter(_ids(leaves)) == Counter(world.sent), promise="every receipt is in the tree, once")
    announced = [leaf["set"] for leaf in map(json.loads, leaves) if leaf["type"] == ROTATION_TYPE]
    begun = [keys.set_object(found.n) for found in keys.sets[1:]]
    check(holds=announced == begun, promise="each new key set has its leaf, once")
    check(holds=not list(objects.list("staging/")), promise="nothing is left in staging")
    _judge_versions(versions, keys, leaves)
    _judge_days(objects, versions, keys, leaves)
    _judge_packs(world, objects, keys, leaves)
    chains = DynamoChainStore(session.dynamodb(), receipts_table.NAME)
    live = LiveState(DynamoLockStore(session.dynamodb(), LOG_TABLE).read, chains)
    audit = audit_log(LogSource(objects.get, objects.list), log_id=keys.log_id, live=live)
    check(holds=audit.good, promise=f"an audit finds nothing: {audit.failures}")


def _judge_keys(world: LogDeployment, versions: dict[str, list[bytes]]) -> LogKeys:
    """Check that no two sets ever had one number, and that those asked for came; return the newest keys."""
    published = [parse_keys(body) for body in versions["keys.json"]]
    keys = published[-1]
    for earlier in published:
        check(
            holds=earlier.log_id == keys.log_id and earlier.sets == keys.sets[: len(earlier.sets)],
            promise="all keys ever published are a beginning of the newest",
        )
    check(holds=keys.sets[-1].n >= world.wanted_set, promise="the key set that was asked for is in force")
    return keys


def _ids(receipts: list[bytes]) -> list[str]:
    """Return the ids of what was sent: the log's writer itself records rotations."""
    found = map(json.loads, receipts)
    return [receipt["id"] for receipt in found if receipt["type"] != ROTATION_TYPE]


def _chained(world: LogDeployment) -> list[str]:
    """Return the ids of what was sent, from all chains, every link checked."""
    store = DynamoChainStore(session.dynamodb(), receipts_table.NAME)
    found = []
    for chain_id in range(world.chains):
        head = empty_head(chain_id)
        for data in store.read(chain_id, start_seq=0):
            receipt = read_receipt(data, chained=True)
            head = advance(head, receipt, chains=world.chains)
            found.append(data)
        newest = store.head(chain_id)
        check(
            holds=(head.next_seq, head.head) == (newest.next_seq, newest.head),
            promise="a chain leads to its head",
        )
    return _ids(found)


def _newest_tree(objects: MemoryObjectStore, keys: LogKeys) -> list[bytes]:
    """Check register, latest head, checkpoint and all tiles against each other; return the leaves."""
    raw = DynamoLockStore(session.dynamodb(), LOG_TABLE).read()
    check(holds=raw is not None, promise="the register holds a head")
    head = parse_register(raw or b"", keys).head
    check(holds=objects.get("sth/latest.json") == head.raw, promise="the register's head is published")
    checkpoint = verify_checkpoint(objects.get("checkpoint") or b"", keys)
    check(
        holds=(checkpoint.tree_size, checkpoint.root_hash) == (head.tree_size, head.root_hash),
        promise="the checkpoint is of the newest tree",
    )
    reader = TileReader(objects.get, head.tree_size, root=head.root_hash)
    leaves = list(reader.entries(0, head.tree_size))
    check(holds=_root(leaves) == head.root_hash, promise="the leaves lead to the root")
    builder = TileReader(objects.get, 0).builder()
    for path, tile in [*builder.append(leaves), *builder.partial_tiles()]:
        check(holds=objects.get(path) == tile, promise=f"{path} follows from the leaves")
    return leaves


def _judge_versions(versions: dict[str, list[bytes]], keys: LogKeys, leaves: list[bytes]) -> None:
    """Check that no two histories were ever published, and that what is written once was."""
    for key, bodies in versions.items():
        if key not in _MOVING and not key.startswith("staging/"):
            check(holds=len(bodies) == 1, promise=f"{key} is written once")
    heads = [verify_sth(body, keys) for body in versions["sth/latest.json"]]
    checkpoints = [verify_checkpoint(body, keys) for body in versions["checkpoint"]]
    for published in (*heads, *checkpoints):
        check(
            holds=published.root_hash == _root(leaves[: published.tree_size]),
            promise="every tree ever published is a beginning of the newest one",
        )
    for head in heads:
        # A head names its own accounts: they are there, and are what it says, however late they are read.
        accounts = read_accounts(lambda key: versions.get(key, [None])[-1], head.emitters)
        own = map(json.loads, leaves[head.first_leaf : head.tree_size])
        emitters = {receipt["emitter"]["id"] for receipt in own if "emitter" in receipt}
        check(
            holds=accounts.keys() == emitters, promise="the accounts of every head ever published are there"
        )
    stamps = [head.timestamp for head in {head.raw: head for head in heads}.values()]
    check(holds=len(stamps) == len(set(stamps)), promise="no two heads have one time")


def _judge_days(
    objects: MemoryObjectStore, versions: dict[str, list[bytes]], keys: LogKeys, leaves: list[bytes]
) -> None:
    previous: SignedTreeHead | None = None
    for key in sorted(key for key in versions if key.startswith("sth/2") and key.endswith(".json")):
        head = verify_sth(versions[key][0], keys)
        check(
            holds=key == f"sth/{head.date}.json" and head.final, promise="a day's head is final and its own"
        )
        check_successor(previous, head)
        previous = head
        closing = verify_checkpoint(objects.get(f"sth/{head.date}.checkpoint") or b"", keys)
        root = _root(leaves[: head.tree_size])
        check(holds=head.root_hash == closing.root_hash == root, promise="a day's head is of the one tree")
        own = [json.loads(leaf) for leaf in leaves[head.first_leaf : head.tree_size]]
        days = {receipt["chain"]["recorded_at"][:10] for receipt in own}
        check(holds=days <= {str(head.date)}, promise="a day holds what was recorded on it")
        check(
            holds=head.emitters.decisions == sum("emitter" in receipt for receipt in own),
            promise="a day's head counts its emitters' receipts",
        )
    check(holds=previous is not None, promise="days are closed")


def _judge_packs(
    world: LogDeployment, objects: MemoryObjectStore, keys: LogKeys, leaves: list[bytes]
) -> None:
    """Check that the packs of all closed days verify, and hold every receipt that is in one."""
    packed = 0
    for key in list(objects.list("sth/2")):
        if not key.endswith(".json"):
            continue
        date = key.removeprefix("sth/").removesuffix(".json")
        pack = io.BytesIO()
        plan = plan_pack(objects, date, today=utc_day(world.now_ms))
        build_pack(objects, plan, spool=io.BytesIO(), out=pack)
        report = verify_pack(pack, log_id=keys.log_id)
        check(holds=not report.failures, promise=f"the pack of {date} verifies: {report.failures}")
        head = verify_sth(objects.get(key) or b"", keys)
        packed += len(_ids(leaves[head.first_leaf : head.tree_size]))
    check(holds=packed == len(world.sent), promise="every receipt is in a day's pack")


def _root(leaves: list[bytes]) -> bytes:
    tree = CompactRange()
    tree.extend(leaf_hashes(leaves))
    return tree.root()


def _versions() -> dict[str, list[bytes]]:
    """Return all that was ever stored in the bucket and not deleted since, by key, oldest first.

    From moto's own memory: through its API a hundred reads would take longer than all else in a case.
    """
    stored = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].buckets[BUCKET].keys
    found = {
        key: [version for version in versions if isinstance(version, FakeKey)]
        for key, versions in stored.lists()
    }
    deleted = {key for key, versions in stored.lists() if not isinstance(versions[-1], FakeKey)}
    return {key: [one.value for one in found[key]] for key in found if key not in deleted}
