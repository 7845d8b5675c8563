"""A log whose keys rotate, made from docs/formats.md by itself, so that it can also lie about rotations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from typing import Any

from signet.core.canonical import canonicalize, parse
from signet.core.encoding import encode_base64
from signet.log.keys import Algorithm, LocalSigner, PublicKey
from signet.log.note import (
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
    checkpoint_text,
    encode_note,
    subtree_message,
)
from signet.log.signing import PrivateKey
from signet.log.sth import SignedTreeHead, TreeHead, _head_object
from signet.pack.build import PackPlan
from signet.receipts.reading import Receipt, read_receipt
from tests.support.forgery import keyid, signatures_over, signed_as_it_is
from tests.support.packs import FIRST_DAY, PackLog, seeded_private_set

Private = Mapping[Algorithm, PrivateKey]
Set = dict[str, Any]
ORIGIN = "example.com/log"
ENDORSEMENT_PREFIX = b"signet-key-endorsement-v1\n"


def key_list(private: Private) -> list[dict[str, str]]:
    """The public keys of a set, as ``keys.json`` lists them."""
    return [
        {
            "alg": alg.value,
            "keyid": keyid(alg, private),
            "public_key": encode_base64(private[alg].public_key().public_bytes_raw()),
        }
        for alg in Algorithm
    ]


def named(value: Set) -> dict[str, Any]:
    """How an endorsement names a set."""
    return {"n": value["n"], "keys_sha256": hashlib.sha256(canonicalize(value["keys"])).hexdigest()}


def step(log_id: str, value: Set, before: Set) -> dict[str, Any]:
    """What the four signatures of an endorsement cover, after its prefix."""
    return {
        "log_id": log_id,
        "from_tree_size": value["from_tree_size"],
        "previous": named(before),
        "next": named(value),
    }


def endorse(log_id: str, value: Set, before: Set, old: Private, new: Private) -> None:
    """Give a set its endorsement: old keys sign new, and new sign that they follow old."""
    endorse_step(value, step(log_id, value, before), old, new)


def endorse_step(
    value: Set, told: object, old: Private, new: Private, prefix: bytes = ENDORSEMENT_PREFIX
) -> None:
    """Give a set four good signatures over the bytes that they are to cover."""
    message = prefix + canonicalize(told)
    value["endorsement"] = {
        "previous": signatures_over(message, old),
        "next": signatures_over(message, new),
    }


@dataclass
class RotatedLog(PackLog):
    """Starts with the keys of ``seeds[0]``; each rotation takes the next.

    Attributes:
        seeds: of the key sets.
        by_set: which set signs the head of a day, where it is not the right one.
    """

    seeds: Sequence[int] = (1, 2, 3)
    by_set: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.private = [seeded_private_set(seed) for seed in self.seeds]
        self.sets: list[Set] = [
            {"n": 0, "from_tree_size": 0, "keys": key_list(self.private[0]), "endorsement": None}
        ]
        super().__post_init__()

    def keys(self) -> bytes:
        """``keys.json`` as it stands."""
        return canonicalize({"v": 1, "origin": ORIGIN, "log_id": self.log_id, "sets": self.sets})

    def rotate_from(self, from_tree_size: int, change: Callable[[Set], object] | None = None) -> Receipt:
        """Add the next key set, endorsed after ``change`` had its way with it; return its leaf."""
        number = len(self.sets)
        value = {"n": number, "from_tree_size": from_tree_size, "keys": key_list(self.private[number])}
        if change is not None:
            change(value)
        endorse(self.log_id, value, self.sets[-1], self.private[number - 1], self.private[number])
        self.sets.append(value)
        return leaf(value, number)

    def sign(self, head: TreeHead) -> SignedTreeHead:
        private = self.private[self._signing(head)]
        raw = signed_as_it_is(_head_object(head), private)
        return SignedTreeHead(**{item.name: getattr(head, item.name) for item in fields(TreeHead)}, raw=raw)

    def sign_checkpoint(self, head: TreeHead) -> bytes:
        return checkpoint(head.tree_size, head.root_hash, self.private[self._signing(head)])

    def plan(self, day: date, *, evidence: bool = False) -> PackPlan:
        """What a pack is made of, without the builder's look at who signed the head."""
        raw = self.store.objects[f"sth/{day}.json"]
        size = parse(raw)["tree_size"]
        sets = [value for value in self.sets if value["from_tree_size"] <= size]
        keys = canonicalize({**parse(self.keys()), "sets": sets})
        return PackPlan(day.isoformat(), raw, keys, self.store.objects[f"sth/{day}.checkpoint"], evidence)

    def day(self, number: int) -> date:
        return FIRST_DAY + timedelta(days=number)

    def record(self, count: int, *others: Receipt) -> None:
        """Record decisions and other receipts on the next day, and close it."""
        self.close(self.decide(count, self.day(len(self.heads))), others=others)

    def _signing(self, head: TreeHead) -> int:
        right = max(value["n"] for value in self.sets if value["from_tree_size"] <= head.tree_size)
        return self.by_set.get(head.date.isoformat(), right)


def leaf(value: Any, number: int, **changes: Any) -> Receipt:
    """The receipt of a rotation, as it is handed to the chain."""
    members = {
        "v": 1,
        "type": "key.rotated",
        "id": f"019c0000-0000-7000-8000-{number:012x}",
        "decided_at": "2026-11-24T00:00:00.000Z",
        "set": value,
        **changes,
    }
    return read_receipt(canonicalize(members), chained=False)


def checkpoint(size: int, root: bytes, private: Private) -> bytes:
    """A checkpoint signed by one set's keys."""
    tree = Checkpoint(ORIGIN, size, root)
    text = checkpoint_text(tree)
    message = subtree_message(ORIGIN, tree, 1)
    signed = {
        Algorithm.ED25519: private[Algorithm.ED25519].sign(text.encode()),
        Algorithm.ML_DSA_44: (1).to_bytes(8, "big") + private[Algorithm.ML_DSA_44].sign(message),
    }
    lines = []
    for alg, signature in signed.items():
        public = PublicKey(alg, private[alg].public_key().public_bytes_raw())
        lines.append(NoteSignature(ORIGIN, VerifierKey(ORIGIN, public).key_id, signature))
    return encode_note(Note(text, tuple(lines)))


def started(**changes: Any) -> RotatedLog:
    """A log that has not recorded anything yet."""
    # Of this signer only the log's id is used.
    return RotatedLog(signer=LocalSigner(ORIGIN, seeded_private_set(1)), **changes)
