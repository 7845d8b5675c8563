"""Checks of single members of a pack, once keys, head and receipts are known."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from signet.core.errors import PackError, SignetError
from signet.core.verification import Notice
from signet.log.keys import LogKeys
from signet.log.merkle import verify_inclusion
from signet.log.note import log_verifier_keys, parse_note, verify_checkpoint
from signet.log.sth import TreeHead
from signet.pack import layout
from signet.pack.day import DayReader
from signet.pack.members import Members, hashes_of, parse_json


def check_inclusion(members: Members, head: TreeHead, day: DayReader) -> None:
    """Check the proof of each receipt of a small day; a large day has none."""
    if day.count > layout.MAX_INCLUSION_PROOFS:
        if layout.INCLUSION in members.names:
            raise PackError("is for small days only", file=layout.INCLUSION, code="manifest_members")
        return
    lines = numbered_lines(members, layout.INCLUSION)
    for index, (receipt_id, leaf) in enumerate(day.leaves, head.first_leaf):
        number, line = next(lines, (0, b""))
        if not number:
            raise PackError("has fewer proofs than receipts", file=layout.INCLUSION, code="bad_proof")
        value = parse_json(layout.INCLUSION, line, line=number)
        try:
            fixed = {"id": receipt_id, "leaf_index": index}
            proof = hashes_of(layout.INCLUSION, value, fixed, "proof")
            verify_inclusion(leaf, index, head.tree_size, proof, head.root_hash)
        except SignetError as error:
            reason = error.reason if isinstance(error, PackError) else str(error)
            raise PackError(reason, file=layout.INCLUSION, line=number, code="bad_proof") from error
    for number, _line in lines:
        raise PackError("has more proofs than receipts", file=layout.INCLUSION, line=number, code="bad_proof")


def check_checkpoint(members: Members, keys: LogKeys, head: TreeHead) -> None:
    """Check the C2SP checkpoint: the head's own tree, and the log's two signatures in their places."""
    data = members.read(layout.CHECKPOINT)
    checkpoint = verify_checkpoint(data, keys)
    signers = [(key.name, key.key_id) for key in log_verifier_keys(keys, checkpoint.tree_size)]
    if [(line.name, line.key_id) for line in parse_note(data).signatures] != signers:
        raise PackError("has other signatures than the log's", file=layout.CHECKPOINT, code="bad_note")
    if (checkpoint.tree_size, checkpoint.root_hash) != (head.tree_size, head.root_hash):
        raise PackError("is not of the tree of sth.json", file=layout.CHECKPOINT, code="wrong_root")


def check_policy(members: Members, head: TreeHead, day: DayReader) -> list[Notice]:
    """Check that the policy files have the hash they are filed under, and that a receipt or head names it.

    Returns:
        A notice, if files of named policies are not in the pack.
    """
    named = day.policies | {head.policy_bundle_sha256}
    bundles: dict[str, Any] = {}
    for member in members.policies:
        bundle, file = layout.policy_file(member) or ("", "")
        if bundle not in named:
            raise PackError("is a policy that nothing here names", file=member, code="policy_unnamed")
        digest = bundles.setdefault(bundle, hashlib.sha256())
        digest.update(b"%b\x00%d\x00" % (file.encode(), members.size(member)))
        for chunk in members.chunks(member):
            digest.update(chunk)
    for bundle, digest in bundles.items():
        if digest.hexdigest() != bundle:
            raise PackError("has not its hash", file=f"policy/{bundle}", code="policy_hash")
    absent = sorted(named - bundles.keys())
    if not absent:
        return []
    # One notice for all: a writer of the log can name as many policies as there are receipts.
    text = f"the files of {len(absent)} policies that are named are not in the pack (the first: {absent[0]})"
    return [Notice("policy_absent", text)]


def numbered_lines(members: Members, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a member, numbered from 1."""
    number = 0
    for lines in members.line_batches(name):
        for line in lines:
            number += 1
            yield number, line
