"""Figure 14: what callers' own proofs cost: verifying them, judging again, keeping them."""

from __future__ import annotations

import io
import json
import time
from base64 import b64decode
from collections.abc import Callable
from itertools import islice
from typing import Final

from bench.figures import TIMES, Figure, Section
from bench.timing import Report
from signet.crypto import suites
from signet.pack.callers import parse_callers
from signet.pack.rejudge import Rejudge
from signet.pack.verify import verify_pack
from signet.policy.engine import PolicyEngine
from signet.receipts.transcripts import decode_transcripts
from tests.support.transcribed import TranscribedLog
from tests.support.world import policy_files

VERIFY_LIMIT: Final = 1.2
REMEMBERED_LIMIT: Final = 5_000.0
EVALUATED_LIMIT: Final = 1_700.0
PRICE_LIMIT: Final = 0.60
#: List price of one S3 PUT in us-east-1, US dollars (https://aws.amazon.com/s3/pricing/).
_PUT_USD: Final = 0.005 / 1000
_BATCH: Final = 20
_ALG: Final = "ed25519"
_ROUNDS: Final = 3
_NOTE: Final = (
    "A day of Ed25519 requests on one route. The pack without transcripts and the bare signatures are "
    "measured in the same run; building the day is not counted."
)


def measure(report: Report, *, quick: bool) -> Section:
    """Make a day of signed requests, and read its pack in several ways."""
    count = 1_000 if quick else 4_000
    report(f"callers' proofs: a day of {count} signed requests")
    log = TranscribedLog(policy=policy_files())
    for _ in range(count):
        log.ask(log.world.sign(log.world.event(), _ALG))
    log.close()
    plain, full = log.pack(transcripts=False), log.pack()
    keys = parse_callers(log.callers())
    report("callers' proofs: reading the pack")
    without = _least(lambda: verify_pack(io.BytesIO(plain), log_id=log.log_id))
    held = _least(lambda: verify_pack(io.BytesIO(full), log_id=log.log_id))
    proven = _least(lambda: verify_pack(io.BytesIO(full), log_id=log.log_id, callers=keys))
    judged = _least(lambda: verify_pack(io.BytesIO(full), log_id=log.log_id, rejudge=Rejudge))
    transcripts = [
        json.loads(transcript)
        for content in log.transcripts.kept.values()
        for transcript in decode_transcripts(content).values()
    ]
    bare = _bare(log, [(said["base"].encode(), b64decode(said["signature"])) for said in transcripts])
    engine = PolicyEngine(policy_files())
    asked = [said["input"] for said in islice(transcripts, 500)]
    evaluated = _least(lambda: [engine.decide(one) for one in asked]) / len(asked)
    stored = sum(map(len, log.transcripts.kept.values())) / count
    puts = 1_000_000 / _BATCH * _PUT_USD
    mine, bare_us, without_us = (seconds / count * 1e6 for seconds in (proven, bare, without))
    figures = [
        Figure(
            "pack with transcripts and keys, to without them and bare signatures",
            proven / (without + bare),
            TIMES,
            VERIFY_LIMIT,
            f"{mine:.0f} µs a receipt beside {without_us:.0f} + {bare_us:.0f}",
        ),
        Figure("… of it holding transcripts to receipts", (held - without) / count * 1e6, "µs"),
        Figure(
            "judged again, equal inputs remembered",
            count / max(judged - held, 1e-6),
            "/s",
            REMEMBERED_LIMIT,
            at_least=True,
        ),
        Figure("judged again, evaluated each time", 1 / evaluated, "/s", EVALUATED_LIMIT, at_least=True),
        Figure("bytes of a stored transcript", stored, "B"),
        Figure(
            "bytes of a pack for each receipt, with transcripts",
            len(full) / count,
            "B",
            beside=f"{len(plain) / count:.0f} B without",
        ),
        Figure(
            f"US dollars per million, {_BATCH} receipts a batch",
            puts,
            "$",
            PRICE_LIMIT,
            "S3 PUTs, list price",
        ),
    ]
    return Section("14. callers' proofs", figures, [_NOTE])


def _bare(log: TranscribedLog, signed: list[tuple[bytes, bytes]]) -> float:
    suite, key = suites.get(_ALG), log.world.keys[_ALG].public_key_bytes

    def verify() -> None:
        for base, signature in signed:
            suite.verify(key, base, signature)

    return _least(verify)


def _least(run: Callable[[], object]) -> float:
    """Return the least CPU seconds of some rounds."""
    found = []
    for _ in range(_ROUNDS):
        started = time.process_time()
        run()
        found.append(time.process_time() - started)
    return min(found)
