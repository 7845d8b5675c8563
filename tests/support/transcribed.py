"""A log whose decisions an authorizer made of signed requests, with the transcripts that its sink kept."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from signet.core.encoding import encode_base64
from signet.core.instants import day_start_ms, utc_millis
from signet.core.instants import parse_date as day_of
from signet.log.keys import LocalSigner, generate_private_set
from signet.log.sequencer import Sequencer
from signet.pack.build import build_pack, plan_pack
from signet.receipts.sink import Message, Sink
from tests.fakes.chains import MemoryChainStore
from tests.fakes.evidence import MemoryEvidenceStore, MemoryTranscriptStore
from tests.fakes.lock import MemoryLockStore
from tests.fakes.objects import MemoryObjectStore
from tests.support.packs import POLICY
from tests.support.world import World, authorizer_of


@dataclass
class TranscribedLog:
    """Authorizer, sink, sequencer and stores in memory; one day."""

    world: World = field(default_factory=World)
    delay_ms: int = 500
    policy: Mapping[str, bytes] = field(default_factory=lambda: POLICY)
    signer: LocalSigner = field(default_factory=lambda: LocalSigner("log.example", generate_private_set()))

    def __post_init__(self) -> None:
        self.sent: list[tuple[bytes, bytes | None]] = []
        self.authorizer = authorizer_of(self.world, [], beside=self.sent)
        self.chains = MemoryChainStore()
        self.transcripts = MemoryTranscriptStore()
        self.objects = MemoryObjectStore()
        now = lambda: self.world.now_ms + self.delay_ms  # noqa: E731 - the sink's clock
        self.sink = Sink(self.chains, 1, now, MemoryEvidenceStore(), self.transcripts)

    @property
    def log_id(self) -> str:
        return self.signer.keys.log_id

    @property
    def day(self) -> str:
        return utc_millis(self.world.now_ms)[:10]

    def ask(self, event: dict[str, Any]) -> str:
        """Let the authorizer decide on an event."""
        return self.authorizer.authorize(event, now_ms=self.world.now_ms).decision.reason.value

    def record(self) -> None:
        """Let the sink append what was decided."""
        batch = [
            Message(str(number), body.decode(), transcript=transcript)
            for number, (body, transcript) in enumerate(self.sent)
        ]
        result = self.sink.record(batch)
        assert result.failures == {}, result.failures
        self.sent.clear()

    def close(self) -> None:
        """Record what waits, integrate it and close the day."""
        self.record()
        sequencer = Sequencer(
            objects=self.objects,
            lock=MemoryLockStore(),
            chains=self.chains,
            signer=self.signer,
            chain_count=1,
            policy=self.policy,
        )
        day = day_of(self.day)
        sequencer.integrate(max(self.world.now_ms + 60_000, day_start_ms(day)), day)

    def kept(self) -> MemoryObjectStore:
        """The bucket of the transcripts."""
        bucket = MemoryObjectStore()
        for name, content in self.transcripts.kept.items():
            bucket.put(f"transcripts/{name}", content)
        return bucket

    def pack(self, *, transcripts: bool = True) -> bytes:
        out = io.BytesIO()
        plan = plan_pack(self.objects, self.day, today=day_of(self.day), transcripts=transcripts)
        build_pack(self.objects, plan, spool=io.BytesIO(), out=out, transcripts=self.kept())
        return out.getvalue()

    def callers(self, *keyids: str) -> bytes:
        """A file of callers' keys, of all or of these."""
        entries = self.world.clients.entries
        rows = [
            {
                "keyid": keyid,
                "alg": entries[keyid].alg,
                "public_key": encode_base64(entries[keyid].public_key),
            }
            for keyid in keyids or entries
        ]
        return json.dumps(rows).encode()

    def receipts(self) -> Iterator[dict[str, Any]]:
        for line in self.chains.receipts.get(0, []):
            yield json.loads(line)
