"""Figure 5: the Merkle log in memory, from receipts to tiles and a signed head, beside plain hashing."""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import time
from collections.abc import Sequence

from bench.figures import Figure, Section, ratio
from bench.receipts import DAY_MS, batches
from bench.timing import MeasurementError, Report, in_subprocess, peak_rss_mib
from signet.log.emitters import NO_EMITTERS
from signet.log.keys import LocalSigner, Signer, generate_private_set
from signet.log.note import sign_checkpoint
from signet.log.sth import TreeHead, sign_sth
from signet.log.summaries import ChainSummary
from signet.log.tiles import TileBuilder

LIMIT_RATIO = 1.5
LIMIT_MIB = 300.0
_CHUNK = 1 << 13  # a perfect subtree, so that plain hashing needs no memory either


def measure(report: Report, *, quick: bool) -> Section:
    """Measure in a process of its own."""
    leaves = 100_000 if quick else 1_000_000
    report(f"Merkle tree, tiles, tree head: {leaves:,} leaves")
    found = in_subprocess("bench.merkle", "--leaves", str(leaves))
    beside = f"{found['log_s']:.2f} s beside {found['peer_s']:.2f} s"
    return Section(
        f"5. Merkle tree, tiles and signed head of {leaves:,} receipts",
        [
            ratio(
                "to plain hashlib over the same leaves",
                found["log_s"],
                found["peer_s"],
                limit=LIMIT_RATIO,
                beside=beside,
            ),
            Figure("peak memory", found["peak_mib"], "MiB", LIMIT_MIB, "whole process"),
        ],
        ["The peer hashes the same leaves and nodes with hashlib and keeps nothing: no tile, no head."],
    )


def main() -> None:
    """Print {"log_s", "peer_s", "peak_mib"}."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--leaves", type=int, required=True)
    count = arguments.parse_args().leaves
    builder, signer = TileBuilder(), LocalSigner("example.com/log", generate_private_set())
    subtrees: list[bytes] = []
    own = peer = tile_bytes = 0
    for leaves in batches(count, _CHUNK):
        started = time.process_time_ns()
        for _path, tile in builder.append(leaves):
            tile_bytes += len(tile)
        turn = time.process_time_ns()
        subtrees.append(plain_root(leaves))
        own, peer = own + turn - started, peer + time.process_time_ns() - turn
    started = time.process_time_ns()
    tile_bytes += sum(len(tile) for _path, tile in builder.partial_tiles())
    root = builder.root()
    _sign(signer, count, root)
    turn = time.process_time_ns()
    plain = fold(subtrees)
    own, peer = own + turn - started, peer + time.process_time_ns() - turn
    if plain != root:
        raise MeasurementError("plain hashing leads to another root")
    print(json.dumps({"log_s": own / 1e9, "peer_s": peer / 1e9, "peak_mib": peak_rss_mib()}))  # noqa: T201 - its answer


def plain_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over some leaves, with hashlib and lists alone (RFC 9162 section 2.1.1)."""
    sha256 = hashlib.sha256
    return fold([sha256(b"\x00" + leaf).digest() for leaf in leaves])


def fold(level: list[bytes]) -> bytes:
    """Return the root over nodes of one level; a last one without neighbour moves up as it is."""
    sha256 = hashlib.sha256
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [
            sha256(b"\x01" + left + right).digest()
            for left, right in zip(level[::2], level[1::2], strict=False)
        ]
        level += odd
    return level[0]


def _sign(signer: Signer, size: int, root: bytes) -> None:
    head = TreeHead(
        log_id=signer.keys.log_id,
        date=dt.datetime.fromtimestamp(DAY_MS / 1000, dt.UTC).date(),
        final=True,
        tree_size=size,
        root_hash=root,
        timestamp=DAY_MS,
        first_leaf=0,
        prev_sth_sha256=None,
        chains=(ChainSummary(0, 0, size, root),),  # any 32 bytes serve
        emitters=NO_EMITTERS,
        policy_bundle_sha256="00" * 32,
    )
    sign_sth(head, signer)
    sign_checkpoint(size, root, DAY_MS // 1000, signer)


if __name__ == "__main__":
    main()
