"""Counts the AWS calls a day of decisions makes, on real (in-process) storage; prints them with their units.

A program of its own: ``python -m bench.calls --decisions N …``.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import datetime as dt
import importlib
import io
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from bench.prices import total, units_of
from bench.receipts import DAY_MS, batches
from bench.timing import ROOT, MeasurementError
from signet.aws import session
from signet.aws.chains import DynamoChainStore
from signet.aws.evidence import S3EvidenceStore
from signet.aws.lock import DynamoLockStore
from signet.aws.objects import S3ObjectStore
from signet.aws.packs import S3PackObjects
from signet.aws.transcripts import S3TranscriptStore
from signet.core.instants import MS_PER_DAY
from signet.log.keys import LocalSigner, generate_private_set
from signet.log.sequencer import Sequencer
from signet.pack.store import PackStore
from signet.policy.bundle import load_deployed
from signet.receipts.sink import Message, Sink
from tests.support.deployment import REGION, Deployment, context, deployed

_WARM = 20
_BATCH = 980  # ten appends of the most receipts one takes; the template's batch is 1,000


@dataclass(slots=True)
class Recorder:
    """What was called since the last ``drain``."""

    calls: Counter[str] = field(default_factory=Counter)
    units: dict[str, float] = field(default_factory=dict)

    def watch(self, client: Any) -> None:
        """Count every call of a client once, also if botocore repeats it."""
        sent: list[bytes] = []
        client.meta.events.register("before-call", lambda params, **_: sent.append(_bytes(params["body"])))
        client.meta.events.register(
            "after-call", lambda model, parsed, **_: self._count(model, sent.pop(), parsed)
        )

    def drain(self) -> dict[str, Any]:
        """Return and forget."""
        taken = {"calls": dict(self.calls), "units": dict(self.units)}
        self.calls, self.units = Counter(), {}
        return taken

    def _count(self, model: Any, body: bytes, parsed: dict[str, Any]) -> None:
        service, operation = model.service_model.service_name, model.name
        dynamodb = service == "dynamodb"
        answer = json.loads(json.dumps(parsed, default=_base64)) if dynamodb else {}
        request = json.loads(body) if dynamodb else {}
        self.calls[f"{service}.{operation}"] += 1
        self.units = total(self.units, units_of(service, operation, request, answer, len(body)))


def _bytes(body: Any) -> bytes:
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    return b""  # a stream, of S3: charged by the call


def _base64(value: Any) -> str:
    return base64.b64encode(bytes(value)).decode()


def main() -> None:
    """Print for each size {part: {"calls", "units", "count", …}}."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--decisions", type=int, nargs="+", required=True)
    sizes = arguments.parse_args().decisions
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.syspath_prepend(str(ROOT / "functions" / "authorizer"))
        with deployed(Path(folder), patch) as deployment:
            recorder = Recorder()
            for client in (session.dynamodb(), session.sqs(), session.s3(), session.secretsmanager()):
                recorder.watch(client)
            authorizer = _authorizer(deployment, recorder)
            days = [{"authorizer": authorizer, **_log(recorder, size)} for size in sizes]
    print(json.dumps({"days": days}))  # noqa: T201 - its answer


def _authorizer(deployment: Deployment, recorder: Recorder) -> dict[str, Any]:
    """Let the real handler decide, warm; also what it prints, which CloudWatch charges by the byte."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):  # the logger keeps the stream it finds
        handler: Callable[..., dict[str, Any]] = importlib.import_module("authorizer_handler").handler
    world = deployment.world
    world.now_ms = time.time_ns() // 1_000_000
    for number in range(_WARM + 1):
        with contextlib.redirect_stdout(printed):
            answer = handler(world.sign(world.event()), context("authorizer"))
        if answer["context"]["reason"] != "ok":
            raise MeasurementError(f"a good request was refused: {answer['context']['reason']}")
        if number == 0:  # cold: secret, registry
            cold = recorder.drain()["calls"]
            printed.seek(0)
            printed.truncate()
    return {**recorder.drain(), "count": _WARM, "cold_calls": cold, "printed_bytes": len(printed.getvalue())}


def _log(recorder: Recorder, count: int) -> dict[str, Any]:
    """Sink, close and pack a day of ``count`` receipts."""
    receipts, lock, bucket = (f"{name}-{count}" for name in ("receipts", "lock", "log"))
    _create(receipts, lock, bucket)
    store = DynamoChainStore(session.dynamodb(), receipts)
    objects = S3ObjectStore(session.s3(), bucket)
    sink = Sink(store, 1, lambda: DAY_MS + 1, S3EvidenceStore(objects), S3TranscriptStore(objects))
    for batch in batches(count, _BATCH):
        if sink.record(Message(str(n), body.decode()) for n, body in enumerate(batch)).appended != len(batch):
            raise MeasurementError("the sink did not append a whole batch")
    parts = {"sink": {**recorder.drain(), "count": count}}
    sequencer = Sequencer(
        objects=objects,
        lock=DynamoLockStore(session.dynamodb(), lock),
        chains=store,
        signer=LocalSigner("example.com/log", generate_private_set()),
        chain_count=1,
        policy=load_deployed(),
    )
    day = dt.datetime.fromtimestamp(DAY_MS / 1000, dt.UTC).date()
    outcome = sequencer.integrate(DAY_MS + MS_PER_DAY, day)
    if outcome.integrated != count:
        raise MeasurementError(f"{outcome.integrated} of {count} receipts were integrated")
    parts["cron"] = {**recorder.drain(), "count": count}
    packs = PackStore(objects, S3PackObjects(session.s3(), session.s3(), bucket))
    packs.obtain(packs.plan(day.isoformat(), today=day + dt.timedelta(days=1)))
    parts["pack"] = {**recorder.drain(), "count": count}
    return parts


def _create(receipts: str, lock: str, bucket: str) -> None:
    s3: Any = boto3.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    client: Any = boto3.client("dynamodb")
    keys: dict[str, list[tuple[str, str, Any]]] = {
        receipts: [("pk", "S", "HASH"), ("sk", "N", "RANGE")],
        lock: [("pk", "S", "HASH")],
    }
    for name, parts in keys.items():
        client.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": part, "KeyType": kind} for part, _type, kind in parts],
            AttributeDefinitions=[
                {"AttributeName": part, "AttributeType": kind} for part, kind, _role in parts
            ],
        )


if __name__ == "__main__":
    main()
