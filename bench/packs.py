"""Figure 6: building and verifying the pack of a large day, each in a process of its own."""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import hashlib
import io
import json
import re
import tempfile
import time
import types
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.figures import Figure, Section, ratio
from bench.receipts import DAY_MS, batches
from bench.timing import MeasurementError, Report, cpu_seconds, in_subprocess, peak_rss_mib
from signet.core.instants import MS_PER_DAY
from signet.log.emitters import EmitterAccount, summarize
from signet.log.keys import LocalSigner, generate_private_set
from signet.log.note import sign_checkpoint
from signet.log.sth import TreeHead, sign_sth
from signet.log.summaries import ChainSummary
from signet.log.tiles import TileBuilder
from signet.pack.build import build_pack, plan_pack
from signet.pack.verify import verify_pack
from signet.policy.bundle import policy_bundle_sha256
from signet.receipts.chain import empty_head, extend
from signet.receipts.reading import read_receipt

BUILD_LIMIT_S = 60.0
VERIFY_LIMIT_S = 30.0
VERIFY_LIMIT_RATIO = 3.0
LIMIT_MIB = 300.0
PROMISED = 1_000_000
_CHUNK = 4096
_MEBIBYTE = 1 << 20
_NONCE = re.compile(rb'"nonce_sha256":"[0-9a-f]{64}"')
_REQUEST = re.compile(rb'"request_id":"[^"]*"')
_DAY = dt.datetime.fromtimestamp(DAY_MS / 1000, dt.UTC).date()


class Folder:
    """Objects as files: a log of a million receipts does not fit into the memory that is measured."""

    def __init__(self, root: Path) -> None:
        """Keep objects under a folder."""
        self._root = root

    def get(self, key: str) -> bytes | None:
        """Return the object's bytes, or None."""
        path = self._root / key
        return path.read_bytes() if path.is_file() else None

    def put(self, key: str, body: bytes, *, content_type: str = "") -> None:  # noqa: ARG002 - the port's signature
        """Create or replace."""
        path = self._root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def put_once(self, key: str, body: bytes, *, content_type: str = "") -> bool:
        """Create if absent."""
        if (self._root / key).is_file():
            return False
        self.put(key, body, content_type=content_type)
        return True

    def delete(self, key: str) -> None:
        """Delete."""
        (self._root / key).unlink(missing_ok=True)

    def list(self, prefix: str) -> Iterator[str]:
        """Yield keys under a prefix that is a folder."""
        yield from sorted(
            str(path.relative_to(self._root)) for path in (self._root / prefix).rglob("*") if path.is_file()
        )


def measure(report: Report, *, quick: bool) -> Section:
    """Measure log, pack and verification one after the other."""
    count = 20_000 if quick else PROMISED
    with tempfile.TemporaryDirectory() as scratch:
        found: dict[str, dict[str, Any]] = {}
        for step in ("log", "build", "peer", "verify", "checker"):
            report(f"pack of {count:,} receipts: {step}")
            found[step] = in_subprocess("bench.packs", step, "--folder", scratch, "--receipts", str(count))
    return Section(f"6. Pack of {count:,} receipts", _figures(found, count), [_note(count)])


def _figures(found: dict[str, dict[str, Any]], count: int) -> list[Figure]:
    scale, peer = PROMISED / count, found["peer"]["peer_s"]
    figures: list[Figure] = []
    for step, limit in (("verify", VERIFY_LIMIT_S), ("checker", VERIFY_LIMIT_S)):
        name = "signet verify" if step == "verify" else "verify.py of the pack"
        took = found[step][f"{step}_s"]
        beside = f"{took:.2f} s beside {peer:.2f} s of reading, parsing and hashing each line once"
        figures += [
            ratio(name, took, peer, limit=VERIFY_LIMIT_RATIO, beside=beside),
            Figure(f"{name}, a million receipts", took * scale, "s", limit, _scaled(took, scale)),
        ]
    took = found["build"]["build_s"]
    figures.append(
        Figure("build, a million receipts", took * scale, "s", BUILD_LIMIT_S, _scaled(took, scale))
    )
    for step in ("build", "verify", "checker"):
        beside = f"whole process, {count:,} receipts"
        figures.append(Figure(f"peak memory, {step}", found[step]["peak_mib"], "MiB", LIMIT_MIB, beside))
    size = found["build"]["size_mib"]
    figures.append(
        Figure("the pack", size, "MiB", beside=f"of {found['build']['plain_mib']:.0f} MiB of receipts")
    )
    return figures


def _scaled(seconds: float, scale: float) -> str:
    return "measured" if scale == 1 else f"{seconds:.1f} s measured, times {scale:g}"


def _note(count: int) -> str:
    scaled = "" if count == PROMISED else "times for a million are scaled, not measured. "
    return f"Measured with {count:,} receipts; {scaled}CPU time; absolute, so it depends on the machine."


def main() -> None:
    """Run one step in a folder and print what it took."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("step", choices=sorted(_STEPS))
    arguments.add_argument("--folder", type=Path, required=True)
    arguments.add_argument("--receipts", type=int, required=True)
    given = arguments.parse_args()
    print(json.dumps(_STEPS[given.step](given.folder, given.receipts)))  # noqa: T201 - its answer


def _log(folder: Path, count: int) -> dict[str, Any]:
    """Write the log of one closed day."""
    started = time.process_time()
    store, builder, head = Folder(folder / "log"), TileBuilder(), empty_head(0)
    signer = LocalSigner("example.com/log", generate_private_set())
    policy = {"signet.rego": b"package signet\n"}
    emitters: dict[str, list[int]] = defaultdict(list)
    for messages in batches(count, _CHUNK):
        told_apart = [_told_apart(message, head.next_seq + n) for n, message in enumerate(messages)]
        receipts = [read_receipt(message, chained=False) for message in told_apart]
        head, linked = extend(head, receipts, DAY_MS + 1)
        for path, tile in builder.append([data for _id, data in linked]):
            store.put(path, tile)
        for receipt in receipts:
            if receipt.emitter is not None:
                emitters[receipt.emitter[0]].append(receipt.emitter[1])
    for path, tile in builder.partial_tiles():
        store.put(path, tile)
    if not emitters:
        raise MeasurementError("a day without receipts shows nothing")
    totals, accounts = summarize({name: EmitterAccount.of(numbers) for name, numbers in emitters.items()})
    tree = TreeHead(
        log_id=signer.keys.log_id,
        date=_DAY,
        final=True,
        tree_size=count,
        root_hash=builder.root(),
        timestamp=DAY_MS + MS_PER_DAY,
        first_leaf=0,
        prev_sth_sha256=None,
        chains=(ChainSummary(0, 0, count, head.head),),
        emitters=totals,
        policy_bundle_sha256=policy_bundle_sha256(policy),
    )
    signed = sign_sth(tree, signer)
    checkpoint = sign_checkpoint(count, builder.root(), tree.timestamp // 1000, signer)
    for key, body in {
        f"policy/{tree.policy_bundle_sha256}/signet.rego": policy["signet.rego"],
        f"sth/{_DAY}.json": signed.raw,
        "sth/latest.json": signed.raw,
        str(totals.key): accounts,
        "keys.json": signer.keys.encode(),
        f"sth/{_DAY}.checkpoint": checkpoint,
        "checkpoint": checkpoint,
    }.items():
        store.put(key, body)
    (folder / "log_id").write_text(signer.keys.log_id)
    return {"log_s": time.process_time() - started}


def _told_apart(message: bytes, number: int) -> bytes:
    """Give a message a nonce and a request id of its own: else a pack would deflate as none ever does."""
    nonce = hashlib.sha256(b"%d" % number).hexdigest().encode()
    message = _NONCE.sub(b'"nonce_sha256":"%b"' % nonce, message, count=1)
    return _REQUEST.sub(b'"request_id":"%b-%b"' % (nonce[:8], nonce[8:20]), message, count=1)


def _build(folder: Path, _count: int) -> dict[str, Any]:
    store = Folder(folder / "log")

    def build() -> None:
        plan = plan_pack(store, _DAY.isoformat(), today=_DAY + dt.timedelta(days=1))
        with tempfile.TemporaryFile(dir=folder) as spool, (folder / "pack.zip").open("wb") as out:
            build_pack(store, plan, spool=spool, out=out)

    taken = {"build_s": cpu_seconds(build), "peak_mib": peak_rss_mib()}
    with zipfile.ZipFile(folder / "pack.zip") as pack:
        plain = pack.getinfo("receipts.jsonl").file_size
    size = (folder / "pack.zip").stat().st_size
    return {**taken, "size_mib": size / _MEBIBYTE, "plain_mib": plain / _MEBIBYTE}


def _verify(folder: Path, count: int) -> dict[str, Any]:
    log_id = (folder / "log_id").read_text()

    def verify() -> None:
        with (folder / "pack.zip").open("rb") as file:
            found = verify_pack(file, log_id=log_id)
        if not found.good or found.receipts != count:
            raise MeasurementError(f"a good pack was refused: {found.failures}")

    return {"verify_s": cpu_seconds(verify), "peak_mib": peak_rss_mib()}


def _checker(folder: Path, count: int) -> dict[str, Any]:
    """Run the checker that is in the pack, as an auditor would."""
    with zipfile.ZipFile(folder / "pack.zip") as pack:
        source = pack.read("verify.py")
    module = types.ModuleType("pack_checker")
    exec(compile(source, "verify.py", "exec"), module.__dict__)  # noqa: S102 - it is the program measured
    log_id, printed = (folder / "log_id").read_text(), io.StringIO()

    def verify() -> None:
        with (folder / "pack.zip").open("rb") as file, contextlib.redirect_stdout(printed):
            code = module.verify(file, log_id)
        if code or f"GOOD: {count} receipts" not in printed.getvalue():
            raise MeasurementError(f"a good pack was refused: {printed.getvalue()}")

    return {"checker_s": cpu_seconds(verify), "peak_mib": peak_rss_mib()}


def _peer(folder: Path, _count: int) -> dict[str, Any]:
    """What any reader has to do at least."""
    return {"peer_s": cpu_seconds(lambda: _read_once(folder))}


def _read_once(folder: Path) -> None:
    with zipfile.ZipFile(folder / "pack.zip") as pack, pack.open("receipts.jsonl") as lines:
        for line in lines:
            json.loads(line)
            hashlib.sha256(line).digest()


_STEPS: dict[str, Callable[[Path, int], dict[str, Any]]] = {
    "log": _log,
    "build": _build,
    "peer": _peer,
    "verify": _verify,
    "checker": _checker,
}

if __name__ == "__main__":
    main()
