"""From queue messages to chained receipts: the sink's work, over its port.

A message ends in one of three ways. It is in the chain (appended now, or a duplicate of what is there): the
queue may forget it. It is poison, no receipt at all or one with another's evidence: it fails for itself and
never holds up the others. Or it could not be appended for now: it fails, and the queue delivers it again.
Delivering a message twice, or crashing anywhere, changes nothing: an id enters a chain once, and evidence and
transcripts are stored, once, before their receipts enter the chain: what the log names can be shown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from signet.core.errors import CanonicalError, MisconfiguredError, SignetError, UnavailableError
from signet.core.ports import ChainStore, EvidenceStore, TranscriptStore
from signet.receipts.chain import chain_of, extend
from signet.receipts.reading import Receipt, read_receipt
from signet.receipts.retry import AT_ONCE, RetryPolicy
from signet.receipts.shape import WRITERS_OWN
from signet.receipts.transcripts import (
    LINE_BYTES,
    MAX_TRANSCRIPT_BYTES,
    MAX_TRANSCRIPTS_BYTES,
    encode_transcripts,
    named_transcript,
    transcripts_name,
)
from signet.receipts.versions import VERSIONS

#: Failures that this invocation meets again at every try: a later one may do better, after a person's work.
_HOPELESS = frozenset({"clock_wrong", MisconfiguredError.code})


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a batch: the queue's id of it, its body, and what came along."""

    message_id: str
    body: str
    evidence: bytes | None = None
    transcript: bytes | None = None


@dataclass(slots=True)
class SinkResult:
    """What became of a batch.

    Attributes:
        appended: receipts that entered a chain.
        duplicates: messages whose receipt was in its chain, or earlier in the batch.
        evidence: messages whose evidence is stored.
        transcripts: receipts that entered a chain with the name of the object that holds their transcript.
        poison: messages that are no receipt, or bring what their receipt does not name.
        retries: appends that were tried again.
        failures: by message id, the error of every message that the queue must keep.
        receipt_ids: by message id, the receipt of every message that holds one.
    """

    appended: int = 0
    duplicates: int = 0
    evidence: int = 0
    transcripts: int = 0
    poison: int = 0
    retries: int = 0
    failures: dict[str, SignetError] = field(default_factory=dict)
    receipt_ids: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sink:
    """Appends batches to the chains.

    Attributes:
        store: the chains.
        chains: how many there are.
        now_ms: the clock, Unix milliseconds.
        evidence: where evidence is kept.
        transcripts: where transcripts are kept.
        versions: those of the receipt that enter the chains; a message of another is poison.
    """

    store: ChainStore
    chains: int
    now_ms: Callable[[], int]
    evidence: EvidenceStore
    transcripts: TranscriptStore
    versions: frozenset[int] = frozenset(VERSIONS)

    def record(self, messages: Iterable[Message], retry: RetryPolicy = AT_ONCE) -> SinkResult:
        """Append a batch, and say what became of it.

        Args:
            messages: the batch.
            retry: how to pause before another try, and until when to try.

        Raises:
            LogError: stored chains contradict themselves; nothing of the batch can be settled.
        """
        result = SinkResult()
        receipts_of: dict[int, list[Receipt]] = {}  # by chain
        seen: set[str] = set()
        read = _read(messages, result, self.versions)
        transcripts: dict[str, bytes] = {}  # by receipt id
        for message, receipt in self._keep_evidence(read, result, retry):
            if receipt.id in seen:
                # Its transcript is not taken: it was held to this one, and the first enters the chain.
                result.duplicates += 1
                continue
            seen.add(receipt.id)
            if message.transcript is not None:
                transcripts[receipt.id] = message.transcript
            receipts_of.setdefault(chain_of(receipt.id, self.chains), []).append(receipt)
        failed: dict[str, SignetError] = {}  # by receipt id
        for chain_id, receipts in sorted(receipts_of.items()):
            # By time, which ids begin with: neighbours are indexed together, and deflate together.
            for piece in self._pieces(sorted(receipts, key=lambda receipt: receipt.id), transcripts):
                failed |= self._append(chain_id, piece, transcripts, result, retry)
        for message_id, receipt_id in result.receipt_ids.items():
            if receipt_id in failed:
                result.failures[message_id] = failed[receipt_id]
        return result

    def _keep_evidence(
        self, read: Sequence[tuple[Message, Receipt]], result: SinkResult, retry: RetryPolicy
    ) -> Iterator[tuple[Message, Receipt]]:
        """Store the batch's evidence; yield the messages whose evidence, if any, is stored."""
        found = {m.message_id: (_sha256(m.evidence), m.evidence) for m, _ in read if m.evidence is not None}
        lost = self._keep(dict(found.values()), result, retry)
        for message, receipt in read:
            sha256, _ = found.get(message.message_id, (None, b""))
            if sha256 is not None and sha256 in lost:
                result.failures[message.message_id] = lost[sha256]
                continue
            result.evidence += sha256 is not None
            yield message, receipt

    def _keep(
        self, evidence: Mapping[str, bytes], result: SinkResult, retry: RetryPolicy
    ) -> Mapping[str, UnavailableError]:
        """Store evidence by its digest; return why, by digest, of what could not be stored."""
        lost: dict[str, UnavailableError] = {}
        left: Mapping[str, bytes] = evidence
        for number in retry.tries() if evidence else ():
            result.retries += number > 0
            found = self.evidence.keep(left)
            lost = {sha256: error for sha256, error in lost.items() if sha256 not in left} | dict(found)
            left = {s: evidence[s] for s, error in sorted(found.items()) if error.code not in _HOPELESS}
            if not left:
                break
        return lost

    def _pieces(
        self, receipts: Iterable[Receipt], transcripts: Mapping[str, bytes]
    ) -> Iterator[list[Receipt]]:
        """Cut receipts into pieces that one append takes, judged by their size once linked.

        The transcripts of a piece fit into one object.
        """
        piece: list[Receipt] = []
        size = beside = 0
        for receipt in receipts:
            added = len(receipt.encoded) + receipt.table.chain_bytes
            more = len(transcripts.get(receipt.id, b"")) + LINE_BYTES
            if (
                len(piece) == self.store.max_append_receipts
                or size + added > self.store.max_append_bytes
                or beside + more > MAX_TRANSCRIPTS_BYTES
            ):
                yield piece
                piece, size, beside = [], 0, 0
            piece.append(receipt)
            size += added
            beside += more
        if piece:
            yield piece

    def _append(
        self,
        chain_id: int,
        piece: Sequence[Receipt],
        transcripts: Mapping[str, bytes],
        result: SinkResult,
        retry: RetryPolicy,
    ) -> dict[str, SignetError]:
        """Append one piece; after a lost race or an unknown outcome read the head and try again.

        Returns:
            By receipt id, the error of what could not be appended.
        """
        error = UnavailableError("the chain's head kept moving", code="head_moved")
        left = list(piece)
        kept: Mapping[str, str] | None = None
        for number in retry.tries():
            result.retries += number > 0
            try:
                if kept is None:
                    kept = self._keep_transcripts(left, transcripts)
                head = self.store.head(chain_id)
                new_head, linked = extend(head, left, self.now_ms(), kept)
                outcome = self.store.append(head, new_head, linked)
            except UnavailableError as unavailable:
                error = unavailable
                if error.code in _HOPELESS:
                    break
                continue
            if outcome.appended:
                result.appended += len(left)
                result.transcripts += len(kept)
                return {}
            result.duplicates += len(outcome.duplicates)
            left = [receipt for receipt in left if receipt.id not in outcome.duplicates]
            if outcome.duplicates:
                kept = None  # their transcripts have a place: the one that their receipts name
            if not left:
                return {}
        return dict.fromkeys([receipt.id for receipt in left], error)

    def _keep_transcripts(
        self, receipts: Iterable[Receipt], transcripts: Mapping[str, bytes]
    ) -> Mapping[str, str]:
        """Store the transcripts of one append as one object; return its name by receipt id."""
        held = {
            receipt.id: transcripts[receipt.id]
            for receipt in receipts
            if receipt.id in transcripts and receipt.table.names_transcripts
        }
        if not held:
            return {}
        name = transcripts_name(held)
        self.transcripts.keep(name, encode_transcripts(held))
        return dict.fromkeys(held, name)


def _read(
    messages: Iterable[Message], result: SinkResult, versions: frozenset[int]
) -> list[tuple[Message, Receipt]]:
    """Read the receipts of a batch; note what is poison, and the id of every receipt."""
    found = []
    for message in messages:
        try:
            # Half surrogate pairs go through to the parser, which refuses them.
            receipt = read_receipt(message.body.encode(errors="surrogatepass"), chained=False)
            _check_kind(receipt, versions)
            _check_evidence(receipt, message.evidence)
            _check_transcript(receipt, message.transcript)
        except CanonicalError as error:
            result.poison += 1
            result.failures[message.message_id] = error
            continue
        result.receipt_ids[message.message_id] = receipt.id
        found.append((message, receipt))
    return found


def _check_kind(receipt: Receipt, versions: frozenset[int]) -> None:
    if receipt.table.version not in versions:
        raise CanonicalError(
            f"receipts of version {receipt.table.version} are not taken here", code="bad_receipt"
        )
    # A rotation that the log's keys did not make would spoil the day it is recorded in for every verifier; a
    # change of format, all days after it.
    if receipt.type in WRITERS_OWN:
        raise CanonicalError(f"a {receipt.type} is recorded by the log's own writer", code="bad_receipt")


def _check_evidence(receipt: Receipt, evidence: bytes | None) -> None:
    if evidence is None:
        return
    named = receipt.members.get("proof", {}).get("evidence_sha256")
    if named != _sha256(evidence):
        raise CanonicalError("the evidence is not what its receipt names", code="bad_evidence")


def _check_transcript(receipt: Receipt, transcript: bytes | None) -> None:
    if transcript is None:
        return  # of an authorizer from before transcripts were kept: the log says that there is none
    if len(transcript) > MAX_TRANSCRIPT_BYTES or named_transcript(receipt) != _sha256(transcript):
        raise CanonicalError("the transcript is not what its receipt names", code="bad_transcript")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
