"""Holds transcripts to their receipts: that the caller named signed this request, for this decision.

A transcript is what the caller signed (the signature base), the signature, and what the policy was asked. The
base is not believed: each of its lines has to say what the receipt says, and all together have to be the base
that these facts give. Then the signature is verified under a key that the auditor has from the caller.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NoReturn

from signet.core.canonical import parse
from signet.core.encoding import decode_base64
from signet.core.errors import CanonicalError, PackError, SignatureError
from signet.core.vocabulary import ALWAYS_COVERED
from signet.crypto import suites
from signet.log import object_keys
from signet.pack import layout
from signet.pack.asked import told_otherwise
from signet.pack.callers import CallerKey, Callers
from signet.receipts.reading import Receipt
from signet.receipts.shape import ERASED_TYPE
from signet.receipts.transcripts import decode_transcripts, named_transcript, query_salt, transcripts_of

#: Takes the members of a decision's receipt and what the policy was asked, once both agree.
Decided = Callable[[Mapping[str, Any], Any], None]

_MEMBERS: Final = {"base", "signature", "input", "salt"}
_USUAL: Final = re.compile(
    rb'\{"base":("(?:[ !#-\[\]-~]|\\["\\n])*+"),"input":(\{[ -~]*\}),'
    rb'"salt":"([A-Za-z0-9+/=]+)","signature":"([A-Za-z0-9+/=]+)"\}'
)
_MAX_INPUTS: Final = 4096
_PARAMETER: Final = re.compile(r';(?:(created|expires)=([0-9]+)|(nonce|keyid|alg|tag)="([^"\\]*)")')
_PARAMETERS: Final = frozenset({"created", "expires", "nonce", "keyid", "alg", "tag"})
_TAG: Final = "pch-lite"
#: How often an object is read: the sequencer's steps may cut the receipts of one append.
_MOST_READS: Final = 4
_CLASSICAL: Final = "ok_classical_fallback"
#: An allowed request that took longer into the log than this is no proof of when it was made.
MOST_DELAY_MS: Final = 15 * 60 * 1000
#: Derived components, and the member of ``request`` that says the same.
_SAID: Final = {"@method": "method", "@authority": "authority", "@path": "path"}


class Proven(StrEnum):
    """What a pack shows of an allowed request."""

    PROVEN = "proven"  # the caller signed it, under a key that the auditor has
    LATE = "late"  # the same, but it was recorded long after it was decided
    UNKNOWN_KEY = (
        "unknown_key"  # the receipt agrees with what was signed; the auditor has no key to verify it
    )
    ERASED = "erased"  # its transcript was erased, and the log says so
    NO_TRANSCRIPT = "no_transcript"  # the receipt names one, and it is not here: dropped, erased, or left out
    NO_COMMITMENT = "no_commitment"  # of version 1, which names none


class Judged(StrEnum):
    """What became of judging a decision again."""

    SAME = "same"
    POLICY_ABSENT = "policy_absent"  # its policy is not in the pack, not whole, or does not compile here


@dataclass(frozen=True, slots=True)
class Signed:
    """What a caller signed; everything but the signature has been held to the receipt.

    Attributes:
        keyid: of the key that signed.
        alg: name of its suite.
        base: the bytes that were signed.
        signature: raw.
        asked: what the policy was asked.
        classical: whether only the classical half of a hybrid was verified when it was decided.
    """

    keyid: str
    alg: str
    base: bytes
    signature: bytes
    asked: Any
    classical: bool

    def verify(self, key: CallerKey) -> None:
        """Verify the signature.

        Raises:
            SignatureError: it is not of this key.
        """
        if key.alg != self.alg:
            raise SignatureError(f"is of {self.alg}, and the caller's key is of {key.alg}")
        suite = suites.get(self.alg)
        if self.classical and isinstance(suite, suites.CompositeSuite):
            suite.verify_classical_half(key.public_key, self.base, self.signature)
        else:
            suite.verify(key.public_key, self.base, self.signature)


def read_transcript(transcript: bytes, receipt: Mapping[str, Any]) -> Signed:
    """Hold a transcript to the receipt of its decision.

    Args:
        transcript: its bytes.
        receipt: members of a whole ``pch.decision`` of version 2 that names one.

    Raises:
        PackError: ``transcript_malformed``, or ``transcript_differs``: it says something else than the
            receipt; the message says what.
    """
    try:
        value = _usual(transcript) or parse(transcript)
        if not isinstance(value, dict) or value.keys() != _MEMBERS or not isinstance(value["base"], str):
            _malformed()
        base = value["base"].encode("ascii")
        signature, salt = decode_base64(value["signature"]), decode_base64(value["salt"])
        if not signature or not salt:
            _malformed()
    except (CanonicalError, TypeError, ValueError) as error:
        raise _error("transcript_malformed", "its transcript has not the form of one") from error
    parameters = _hold_base(value["base"], salt, receipt)
    if (other := told_otherwise(value["input"], receipt)) is not None:
        _differs(other)
    classical = receipt["reason"] == _CLASSICAL
    return Signed(parameters["keyid"], parameters["alg"], base, signature, value["input"], classical)


def _usual(transcript: bytes) -> dict[str, Any] | None:
    """Read a transcript of the usual form at a third of the cost; None for any other.

    What the pattern matches is canonical but for ``input``, and of that a day has few different ones.
    """
    match = _USUAL.fullmatch(transcript)
    if match is None:
        return None
    base, asked, salt, signature = match.groups()
    return {
        "base": json.loads(base),
        "input": _input(asked),
        "salt": salt.decode(),
        "signature": signature.decode(),
    }


@lru_cache(maxsize=_MAX_INPUTS)
def _input(data: bytes) -> Any:
    return parse(b'{"input":%b}' % data)["input"]  # as deep as it lies in a transcript


def _hold_base(base: str, salt: bytes, receipt: Mapping[str, Any]) -> Mapping[str, str]:
    """Hold every line of the base to the receipt; return the signature's parameters."""
    request, proof = receipt["request"], receipt["proof"]
    values, last = _lines(base, receipt["covered"])
    parameters = _parameters(last, receipt["covered"])
    for name, member in _SAID.items():
        if values[name] != request[member]:
            _differs(f"request.{member}")
    nonce = parameters["nonce"].encode()
    if query_salt(parameters["nonce"]) != salt:
        _differs("salt")
    if hashlib.sha256(salt + values["@query"].encode()).hexdigest() != request["query_sha256"]:
        _differs("request.query_sha256")
    said = {
        "request.content_digest": (values.get("content-digest"), request["content_digest"]),
        "proof.keyid": (parameters["keyid"], proof["keyid"]),
        "proof.alg": (parameters["alg"], proof["alg"]),
        "proof.created": (parameters["created"], str(proof["created"])),
        "proof.expires": (parameters["expires"], str(proof["expires"])),
        "proof.nonce_sha256": (hashlib.sha256(nonce).hexdigest(), proof["nonce_sha256"]),
        "proof.binding": (_binding(values.get("pch-channel-binding")), _binding_of(proof["binding"])),
        "proof.evidence_sha256": (_evidence(values), proof["evidence_sha256"]),
        "tag": (parameters["tag"], _TAG),
    }
    for place, (signed, recorded) in said.items():
        if signed != recorded:
            _differs(place)
    return parameters


def _lines(base: str, covered: list[str] | None) -> tuple[dict[str, str], str]:
    """Return what each component says, and the last line; no value has a line feed (RFC 9421 section 2.1)."""
    lines = base.split("\n")
    if covered is None or len(lines) != len(covered) + 1 or len(set(covered)) != len(covered):
        _differs("covered")
    values: dict[str, str] = {}
    for name, line in zip(covered, lines, strict=False):
        start = f"{name}: "
        if not line.startswith(start):
            _differs("covered")
        values[name[1:-1]] = line[len(start) :]
    if not values.keys() >= set(ALWAYS_COVERED):
        _differs("covered")
    return values, lines[-1]


def _parameters(line: str, covered: list[str]) -> dict[str, str]:
    """Return the parameters in the last line of a base, each once, none left over."""
    start = f'"@signature-params": ({" ".join(covered)})'
    if not line.startswith(start):
        _differs("covered")
    rest = line[len(start) :]
    found: dict[str, str] = {}
    at = 0
    while (match := _PARAMETER.match(rest, at)) is not None:
        numbered, number, name, text = match.groups()
        if (numbered or name) in found:
            _differs("parameters")
        found[numbered or name] = text if number is None else number
        at = match.end()
    if at != len(rest) or found.keys() != _PARAMETERS:
        _differs("parameters")
    return found


def _binding(field: str | None) -> tuple[str, str | None]:
    """Return type and hash of the value in ``PCH-Channel-Binding``."""
    if field is None:
        return "none", None
    name, _, item = field.partition("=")
    return name, hashlib.sha256(_bytes_of(item)).hexdigest()


def _binding_of(binding: Mapping[str, Any]) -> tuple[str, str | None]:
    return binding["type"], binding["value_sha256"]


def _evidence(values: Mapping[str, str]) -> str | None:
    """Return the hex SHA-256 of the evidence that was signed, sent along or not."""
    if "pch-evidence-digest" in values:
        return _bytes_of(values["pch-evidence-digest"].removeprefix("sha-256=")).hex()
    if "pch-evidence" in values:
        return hashlib.sha256(_bytes_of(values["pch-evidence"])).hexdigest()
    return None


def _bytes_of(item: str) -> bytes:
    """Return the bytes of a structured field's byte sequence (RFC 9651), ``:base64:`` in its one spelling."""
    if len(item) < len("::") or item[0] != ":" or item[-1] != ":":
        _differs("a field that was signed")
    try:
        return decode_base64(item[1:-1])
    except ValueError:
        _differs("a field that was signed")


def _malformed() -> NoReturn:
    raise _error("transcript_malformed", "its transcript has not the form of one")


def _differs(what: str) -> NoReturn:
    raise _error("transcript_differs", f"its transcript says something else than the receipt: {what}")


def _error(code: str, reason: str) -> PackError:
    return PackError(reason, file=layout.RECEIPTS, code=code)


class CallersProofs:
    """Takes a day's receipts in their order, and counts which allowed requests their callers signed.

    Attributes:
        failure: the first contradiction; nothing is judged after it.
    """

    def __init__(
        self,
        read: Callable[[str], bytes | None],
        callers: Callers | None,
        decided: Decided | None = None,
    ) -> None:
        """Begin with nothing.

        Args:
            read: returns an object of transcripts by its name; None if there is none.
            callers: callers' keys.
            decided: takes each decision in turn; a ``PackError`` of it is a contradiction too.
        """
        self._decided = decided
        self._read = read
        self._callers = callers or {}
        self._held: tuple[str, dict[str, bytes]] = "", {}
        self._left: dict[str, int] = {}
        self._reads: Counter[str] = Counter()
        self._counts: Counter[Proven] = Counter()
        self._without: set[str] = set()
        self._erased: set[str] = set()
        self.failure: PackError | None = None

    def take(self, receipt: Receipt, line: int) -> None:
        """Hold one receipt to its transcript."""
        if receipt.type == ERASED_TYPE:
            self._erased.update(receipt.members["receipts"])
        if receipt.reason is None or self.failure is not None:
            return
        allowed = receipt.nonce is not None
        if not receipt.table.names_transcripts:
            self._counts[Proven.NO_COMMITMENT] += allowed
        elif named_transcript(receipt) is not None:
            try:
                found = self._judge(receipt)
            except PackError as error:
                place = line if error.file == layout.RECEIPTS else None
                self.failure = PackError(error.reason, file=error.file, line=place, code=error.code)
                return
            self._counts[found] += allowed
            if allowed and found is Proven.NO_TRANSCRIPT:
                self._without.add(receipt.id)

    def counts(self) -> dict[Proven, int]:
        """Return how many allowed requests are what; those of which there are none are left out."""
        erased = len(self._without & self._erased)
        counts = self._counts + Counter({Proven.ERASED: erased}) - Counter({Proven.NO_TRANSCRIPT: erased})
        return {found: counts[found] for found in Proven if counts[found]}

    def finish(self, names: Iterable[str]) -> None:
        """Check that every transcript belonged to a receipt.

        Args:
            names: of the objects at hand.

        Raises:
            PackError: what ``failure`` has; or ``transcript_unnamed``.
        """
        if self.failure is not None:
            raise self.failure
        for name in names:
            if self._left.get(name) != 0:
                reason = "holds transcripts of receipts that do not name it"
                raise PackError(reason, file=object_keys.transcripts(name), code="transcript_unnamed")

    def _judge(self, receipt: Receipt) -> Proven:
        transcript = self._find(receipt)
        if transcript is None:
            return Proven.NO_TRANSCRIPT
        if hashlib.sha256(transcript).hexdigest() != named_transcript(receipt):
            raise _error("transcript_hash", "its transcript has not the SHA-256 that it names")
        members = json.loads(receipt.encoded)  # canonical: it was read before
        if members["covered"] is None:  # a refusal that could not say what it refused: nothing to hold it to
            return Proven.NO_TRANSCRIPT
        signed = read_transcript(transcript, members)
        if self._decided is not None:
            self._decided(members, signed.asked)
        key = self._callers.get(signed.keyid)
        if key is None:
            return Proven.UNKNOWN_KEY
        try:
            signed.verify(key)
        except SignatureError as error:
            reason = f"was not signed by the caller it names: the signature {error}"
            raise _error("caller_signature", reason) from error
        if receipt.link is not None and receipt.link.recorded_at_ms - receipt.decided_at_ms > MOST_DELAY_MS:
            return Proven.LATE
        return Proven.PROVEN

    def _find(self, receipt: Receipt) -> bytes | None:
        name = transcripts_of(receipt)
        if name is None or self._left.get(name) == 0:
            return None
        if name != self._held[0]:
            loaded = self._load(name)
            self._left.setdefault(name, len(loaded))
            if not loaded:
                return None
            self._held = name, loaded
        found = self._held[1].pop(receipt.id, None)
        if found is not None:
            self._left[name] -= 1
        return found

    def _load(self, name: str) -> dict[str, bytes]:
        """Return the transcripts of an object by receipt id; none if there is no such object."""
        if self._reads[name] == _MOST_READS:
            reason = "is named by receipts that lie too far apart"
            raise PackError(reason, file=object_keys.transcripts(name), code="transcripts_apart")
        data = self._read(name)
        if data is None:
            return {}
        self._reads[name] += 1
        try:
            return decode_transcripts(data)
        except CanonicalError as error:
            raise PackError(str(error), file=object_keys.transcripts(name), code=error.code) from error
