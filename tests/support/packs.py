"""A log in memory, closed day by day, and packs of it: for tests of packs and of what reads them.

It is made from the log's own parts (chain, tiles, heads, checkpoint), without its stores and faults.
"""

from __future__ import annotations

import hashlib
import io
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey

from signet.core.canonical import canonicalize, parse
from signet.core.decision import Reason
from signet.core.instants import day_start_ms, uuid7
from signet.core.vocabulary import BreakerLevel, BreakerState
from signet.log.emitters import EmitterAccount, summarize
from signet.log.keys import Algorithm, LocalSigner, Signer, generate_private_set
from signet.log.note import sign_checkpoint
from signet.log.rotation import rotation_receipt
from signet.log.signing import PrivateKey
from signet.log.sth import SignedTreeHead, TreeHead, sign_sth
from signet.log.summaries import ChainSummary
from signet.log.tiles import TileBuilder
from signet.pack.build import PackPlan, build_pack, plan_pack
from signet.policy.bundle import policy_bundle_sha256
from signet.receipts.chain import chain_of, empty_head, extend
from signet.receipts.model import BreakerFacts, DecisionRecord, Emitter, PolicyFacts, RequestFacts
from signet.receipts.reading import Receipt, read_receipt
from tests.fakes.objects import MemoryObjectStore
from tests.fakes.records import verified

FIRST_DAY = date(2026, 11, 23)
POLICY = {"pch.rego": b"package pch\n", "data.json": b"{}\n"}
_OPEN = BreakerFacts(BreakerState.OPEN, BreakerLevel.SHED)
_REASONS = (Reason.OK, Reason.OK, Reason.NONCE_REPLAYED, Reason.CHALLENGE_REQUIRED, Reason.BREAKER_OPEN)


def decision(seed: random.Random, number: int, at_ms: int, emitter: str = "e" * 32) -> DecisionRecord:
    """One decision, all of it drawn from the seed; every third path needs escaping."""
    odd = '/ü"\\' if number % 3 == 2 else ""
    bundle, path = bytes.fromhex(policy_bundle_sha256(POLICY)), f"/protected/{number}" + odd
    made = DecisionRecord(
        id=uuid7(at_ms, seed.randbytes(10)),
        decided_at_ms=at_ms,
        reason=_REASONS[number % len(_REASONS)],
        emitter=Emitter(emitter, number),
        authorizer_us=400 + number,
        request=RequestFacts(method="GET", path=path),
        policy=PolicyFacts(bundle_sha256=bundle),
    )
    if made.reason is Reason.CHALLENGE_REQUIRED:
        return made
    made = replace(made, **verified(made.id, bundle=bundle, path=path))
    return replace(made, breaker=_OPEN) if made.reason is Reason.BREAKER_OPEN else made


class Decided(Protocol):
    """A decision, or what says that it is one."""

    @property
    def emitter(self) -> Emitter: ...

    def encode(self) -> bytes: ...


@dataclass
class PackLog:
    """A log of one or more chains; ``store`` holds what the bucket would."""

    chains: int = 1
    signer: Signer = field(default_factory=lambda: LocalSigner("example.com/log", generate_private_set()))
    store: MemoryObjectStore = field(default_factory=MemoryObjectStore)
    seed: random.Random = field(default_factory=lambda: random.Random(20261123))
    heads: list[SignedTreeHead] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.chain_heads = [empty_head(number) for number in range(self.chains)]
        self.builder = TileBuilder()
        self.numbers = 0
        self.policy_sha256 = policy_bundle_sha256(POLICY)
        self.announced: list[Receipt] = []
        bundle = policy_bundle_sha256(POLICY)
        for name, body in POLICY.items():
            self.store.put(f"policy/{bundle}/{name}", body)
        self.store.put("keys.json", self.signer.keys.encode())
        self._put_sets()

    def _put_sets(self) -> None:
        """Store each key set by itself, as the log's writer does."""
        for value in parse(self.keys())["sets"]:
            self.store.put(f"keys/{value['n']}.json", canonicalize(value))

    def keys(self) -> bytes:
        """``keys.json`` as it stands."""
        return self.signer.keys.encode()

    @property
    def log_id(self) -> str:
        return self.signer.keys.log_id

    def decide(self, count: int, day: date, *, skip: Sequence[int] = ()) -> list[DecisionRecord]:
        """Decisions of a day, numbered on from the last; the numbers in ``skip`` get lost."""
        start = self.numbers
        self.numbers += count + len(skip)
        at = day_start_ms(day)
        return [
            decision(self.seed, number, at + number)
            for number in range(start, self.numbers)
            if number - start not in skip
        ]

    def rotate(self) -> None:
        """Begin a new key set with the next leaf; its ``key.rotated`` leaf is recorded with the next close.

        Called twice before a close, the second set begins one leaf after the first.
        """
        day = self.heads[-1].date + timedelta(days=1) if self.heads else FIRST_DAY
        following = self.signer.next_set(self.builder.size + 1 + len(self.announced))
        self.signer = self.signer.knowing(self.signer.keys.with_set(following))
        self.announced.append(rotation_receipt(self.signer.keys, day_start_ms(day) + len(self.announced)))

    def receipt(self, message: bytes) -> Receipt:
        """A decision as the sink takes it."""
        return read_receipt(message, chained=False)

    def close(
        self,
        decisions: Sequence[Decided],
        day: date | None = None,
        *,
        others: Sequence[Receipt] = (),
        signed_ms: int | None = None,
    ) -> SignedTreeHead:
        """Record decisions, then receipts of other types, on the next day (or the first) and close it.

        All is recorded an hour after the day's start; the head is signed a day later, or at ``signed_ms``.
        """
        previous = self.heads[-1] if self.heads else None
        day = day or (previous.date + timedelta(days=1) if previous else FIRST_DAY)
        recorded_at = day_start_ms(day) + 3_600_000
        firsts = [head.next_seq for head in self.chain_heads]
        decided = [self.receipt(item.encode()) for item in decisions]
        receipts = [*self.announced, *decided, *others]
        self.announced = []
        self.store.put("keys.json", self.keys())
        self._put_sets()
        leaves: list[bytes] = []
        for number in range(self.chains):
            mine = [receipt for receipt in receipts if chain_of(receipt.id, self.chains) == number]
            self.chain_heads[number], linked = extend(self.chain_heads[number], mine, recorded_at)
            leaves += [data for _, data in linked]
        for path, tile in [*self.builder.append(leaves), *self.builder.partial_tiles()]:
            self.store.put(path, tile)
        numbers: dict[str, list[int]] = defaultdict(list)
        for item in decisions:
            numbers[item.emitter.id].append(item.emitter.n)
        for other in others:
            if other.emitter is not None:
                numbers[other.emitter[0]].append(other.emitter[1])
        emitters, accounts = summarize({name: EmitterAccount.of(ns) for name, ns in numbers.items()})
        if emitters.key is not None:
            self.store.put(emitters.key, accounts)
        head = self.sign(
            TreeHead(
                log_id=self.log_id,
                date=day,
                final=True,
                tree_size=self.builder.size,
                root_hash=self.builder.root(),
                timestamp=recorded_at + 86_400_000 if signed_ms is None else signed_ms,
                first_leaf=previous.tree_size if previous else 0,
                prev_sth_sha256=hashlib.sha256(previous.raw).hexdigest() if previous else None,
                chains=tuple(
                    ChainSummary(head.chain_id, first, head.next_seq, head.head)
                    for head, first in zip(self.chain_heads, firsts, strict=True)
                ),
                emitters=emitters,
                policy_bundle_sha256=self.policy_sha256,
            )
        )
        self.heads.append(head)
        self.store.put(f"sth/{day}.json", head.raw)
        self.store.put("sth/latest.json", head.raw)
        checkpoint = self.sign_checkpoint(head)
        self.store.put("checkpoint", checkpoint)
        self.store.put(f"sth/{day}.checkpoint", checkpoint)
        return head

    def sign(self, head: TreeHead) -> SignedTreeHead:
        """Sign a head by the keys of its tree size."""
        return sign_sth(head, self.signer)

    def sign_checkpoint(self, head: TreeHead) -> bytes:
        """The checkpoint of a head's tree."""
        return sign_checkpoint(head.tree_size, head.root_hash, head.timestamp // 1000, self.signer)

    def keep(self, decision: DecisionRecord, evidence: bytes) -> DecisionRecord:
        """The decision, allowed, with evidence on record, and the evidence kept beside the log."""
        digest = hashlib.sha256(evidence)
        self.store.put(f"evidence/{digest.hexdigest()}", evidence)
        bundle = decision.policy.bundle_sha256
        made = replace(
            decision, **verified(decision.id, bundle=bundle), reason=Reason.OK, breaker=BreakerFacts()
        )
        return replace(made, proof=replace(made.proof, evidence_sha256=digest.digest()))

    def plan(self, day: date, *, evidence: bool = False) -> PackPlan:
        today = self.heads[-1].date + timedelta(days=1)
        return plan_pack(self.store, day.isoformat(), today=today, evidence=evidence)

    def pack(self, day: date | None = None, *, evidence: bool = False) -> bytes:
        """The pack of a closed day (by default the newest)."""
        out = io.BytesIO()
        plan = self.plan(day or self.heads[-1].date, evidence=evidence)
        build_pack(self.store, plan, spool=io.BytesIO(), out=out)
        return out.getvalue()


def seeded_private_set(seed: int) -> dict[Algorithm, PrivateKey]:
    """Private keys that are the same in every run: for tests only, obviously."""
    draw = random.Random(seed)
    return {
        Algorithm.ED25519: Ed25519PrivateKey.from_private_bytes(draw.randbytes(32)),
        Algorithm.ML_DSA_65: MLDSA65PrivateKey.from_seed_bytes(draw.randbytes(32)),
        Algorithm.ML_DSA_44: MLDSA44PrivateKey.from_seed_bytes(draw.randbytes(32)),
    }


def log_with_rotations(*counts: int, chains: int = 1) -> PackLog:
    """A log with one closed day per count, each day but the first with a key set of its own.

    Day k (from 0) is signed by set k; the set's leaf comes on top of the day's count.
    """
    log = PackLog(chains=chains)
    for number, count in enumerate(counts):
        day = FIRST_DAY + timedelta(days=number)
        if number:
            log.rotate()
        log.close(log.decide(count, day), day)
    return log


def log_with_days(*counts: int, chains: int = 1, keys_seed: int | None = None) -> PackLog:
    """A log with one closed day per count; its keys are drawn anew, or from a seed."""
    private = generate_private_set() if keys_seed is None else seeded_private_set(keys_seed)
    log = PackLog(chains=chains, signer=LocalSigner("example.com/log", private))
    for number, count in enumerate(counts):
        day = FIRST_DAY + timedelta(days=number)
        log.close(log.decide(count, day), day)
    return log
