"""Reading a receipt from its bytes: one function for the sink and for verifiers.

Both read a million receipts at a time, so the usual receipt takes a short way: one pattern of its version
proves canonical form and shape together. Every other goes through the parser and the member checks, which
also give the reason of a refusal. What a version's receipts must look like, its table says (``versions``).
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Hashable, Mapping
from functools import lru_cache
from typing import Any, Final

from signet.core.canonical import canonicalize, parse
from signet.core.errors import CanonicalError
from signet.core.instants import parse_utc_millis
from signet.core.records import record
from signet.receipts.combinations import Facts
from signet.receipts.rules import BEFORE_CHAIN, refused
from signet.receipts.shape import DECISION_TYPE, MAX_RECEIPT_BYTES, NUMBERED
from signet.receipts.table import WORD_GROUPS, Table, decision_pattern
from signet.receipts.versions import VERSIONS, check_receipt, table_at_end, table_of

_LONGEST_MESSAGE: Final = max(table.message_bytes for table in VERSIONS.values())
_NULL: Final = b"null"
_FOLDED: Final = b'"emitter":{"folded":'
_MINUS: Final = ord("-")


@record
class ChainLink:
    """The member ``chain``.

    Attributes:
        chain_id: number of the chain.
        seq: place in it.
        prev: SHA-256 of the receipt before, 32 bytes.
        recorded_at_ms: Unix milliseconds.
    """

    chain_id: int
    seq: int
    prev: bytes
    recorded_at_ms: int


@record
class Receipt:
    """A receipt that was checked, with what chain and log need of it.

    Attributes:
        id: UUID of version 7.
        type: one of its version's.
        table: the version in which it is written.
        encoded: its canonical bytes, as received.
        emitter: emitter id and number of a ``pch.decision``, a summary of refusals or an emitter's end; None
            for other types.
        reason: why a ``pch.decision`` was taken; None for other types.
        decided_at_ms: Unix milliseconds, by the clock of what decided.
        nonce: hex SHA-256 of the nonce that an allowed request spent; None for every other receipt.
        policy_bundle: hex SHA-256 of the policy bundle named by a ``pch.decision``, or None.
        api: ``api.name`` of a ``pch.decision``, or None; version 1 has no such member.
        called: canonical bytes of the whole member ``api``; None without it.
        link: its place in the chain; None on its way to the sink.
        chain_offset: where in ``encoded`` the sink puts the member ``chain``; 0 if it is there.
    """

    id: str
    type: str
    table: Table
    encoded: bytes
    emitter: tuple[str, int] | None
    reason: str | None
    decided_at_ms: int
    nonce: str | None
    policy_bundle: str | None
    api: str | None
    called: bytes | None
    link: ChainLink | None
    chain_offset: int

    @property
    def members(self) -> dict[str, Any]:
        """All members, parsed anew at each access."""
        members: dict[str, Any] = parse(self.encoded)
        return members

    @property
    def folded(self) -> int | None:
        """How many refusals its environment says it had folded; None where it says nothing of that."""
        start = self.encoded.find(_FOLDED)
        if self.reason is None or start < 0:
            return None
        start += len(_FOLDED)
        return int(self.encoded[start : self.encoded.index(b",", start)])

    def named(self, member: bytes, digits: int) -> str | None:
        """Return the hex digits that a decision's receipt has under a name, found without parsing, or None.

        In canonical bytes a quotation mark within a string has a backslash before it. So the first occurrence
        is the member, if only one object of a decision has a member of that name.

        Args:
            member: its name.
            digits: how many there are.
        """
        if self.reason is None:  # no decision
            return None
        start = b'"%b":"' % member
        at = self.encoded.find(start)
        if at < 0:
            return None
        at += len(start)
        return self.encoded[at : at + digits].decode()


def read_receipt(data: bytes, *, chained: bool) -> Receipt:
    """Read and check a receipt.

    Args:
        data: the receipt's bytes.
        chained: True for a receipt out of the log, False for one on its way to the sink.

    Raises:
        CanonicalError: the bytes are too long (``receipt_too_long``), not canonical (``not_canonical``),
            or no receipt (``bad_receipt``).
    """
    _check_length(data, MAX_RECEIPT_BYTES if chained else _LONGEST_MESSAGE)
    table = table_at_end(data)
    if table is not None and (found := decision_pattern(table, chained=chained).fullmatch(data)) is not None:
        _check_length(data, MAX_RECEIPT_BYTES if chained else table.message_bytes)
        return _from_match(data, found, table, chained=chained)
    members = parse(data)
    check_receipt(members, chained=chained)
    table = table_of(members)
    _check_length(data, MAX_RECEIPT_BYTES if chained else table.message_bytes)
    return _from_members(data, members, table)


def _check_length(data: bytes, limit: int) -> None:
    if len(data) > limit:
        raise CanonicalError(f"a receipt is longer than {limit} bytes", code="receipt_too_long")


def check_message(data: bytes, table: Table) -> None:
    """Check a ``pch.decision`` before it goes to the sink; its writer cannot err in what no pattern says.

    That is: dates exist, and ``reason`` leads to ``decision``. (What cannot stand together, the writer checks
    by the values it writes.) What the pattern does not match is read as the sink will read it.

    Args:
        data: the canonical bytes.
        table: the version in which they are written.

    Raises:
        CanonicalError: as ``read_receipt``.
    """
    if len(data) > table.message_bytes or decision_pattern(table, chained=False).fullmatch(data) is None:
        read_receipt(data, chained=False)


def _from_match(data: bytes, found: re.Match[bytes], table: Table, *, chained: bool) -> Receipt:
    texts = found.group("id", "emitter_id", "decided_at", "decision", "reason")
    receipt_id, emitter_id, decided_at, decision, reason = [text[1:-1].decode() for text in texts]
    decided_at_ms = parse_utc_millis(decided_at)
    if table.decision_of[reason] != decision:
        raise refused("receipt.reason does not lead to receipt.decision")
    whole = found.group(*table.whole_groups)
    created, nonce, bundle = whole[:3]
    value, *words = found.group(*WORD_GROUPS)
    more = None if table.more_of is None else table.more_of(found.group(*table.more_groups), decided_at_ms)
    _check_words(table, more, reason, value != _NULL, _NULL not in whole and created[0] != _MINUS, *words)
    return Receipt(
        id=receipt_id,
        type=DECISION_TYPE,
        table=table,
        encoded=data,
        emitter=(emitter_id, int(found["emitter_n"])),
        reason=reason,
        decided_at_ms=decided_at_ms,
        nonce=_word(nonce) if reason in table.words.allowing else None,
        policy_bundle=_word(bundle),
        api=_word(found["api_name"]) if table.names_apis else None,
        called=found["api"] if table.names_apis else None,
        link=_link(*found.group("chain_id", "chain_seq", "chain_prev", "chain_recorded_at"))
        if chained
        else None,
        chain_offset=0 if chained else found.start(BEFORE_CHAIN),
    )


@lru_cache(maxsize=256)
def _check_words(table: Table, more: Hashable, reason: str, bound: bool, whole: bool, *words: bytes) -> None:  # noqa: FBT001 - by place: twice as fast
    """Check what cannot stand together; of millions of receipts there are some dozen combinations."""
    action, level, state, alg, binding = map(_word, words)
    table.check_facts(Facts(reason, action, level, state, alg, binding or "", bound, whole, more))


def _word(text: bytes) -> str | None:
    """Return what stands between the quotation marks; None for null."""
    return None if text == _NULL else text[1:-1].decode()


def _link(chain_id: bytes, seq: bytes, prev: bytes, recorded_at: bytes) -> ChainLink:
    return ChainLink(
        chain_id=int(chain_id),
        seq=int(seq),
        prev=a2b_base64(prev),
        recorded_at_ms=_recorded_at_ms(recorded_at),
    )


@lru_cache(maxsize=64)
def _recorded_at_ms(text: bytes) -> int:
    """Return the Unix milliseconds of a quoted time: all receipts of the sink's batch have one."""
    return parse_utc_millis(text[1:-1].decode())


def _from_members(data: bytes, members: Mapping[str, Any], table: Table) -> Receipt:
    is_decision = members["type"] == DECISION_TYPE
    is_numbered = is_decision or (members["type"] in NUMBERED and members["type"] in table.closed)
    allowing = is_decision and members["reason"] in table.words.allowing
    chain = members.get("chain")
    return Receipt(
        id=members["id"],
        type=members["type"],
        table=table,
        encoded=data,
        emitter=(members["emitter"]["id"], members["emitter"]["n"]) if is_numbered else None,
        reason=members["reason"] if is_decision else None,
        decided_at_ms=parse_utc_millis(members["decided_at"]),
        nonce=members["proof"]["nonce_sha256"] if allowing else None,
        policy_bundle=members["policy"]["bundle_sha256"] if is_decision else None,
        api=members["api"]["name"] if is_decision and "api" in members else None,
        called=canonicalize(members["api"]) if is_decision and "api" in members else None,
        link=None
        if chain is None
        else ChainLink(
            chain_id=chain["id"],
            seq=chain["seq"],
            prev=a2b_base64(chain["prev"]),
            recorded_at_ms=parse_utc_millis(chain["recorded_at"]),
        ),
        chain_offset=_offset_of_chain(members) if chain is None else 0,
    )


def _offset_of_chain(members: Mapping[str, Any]) -> int:
    """Return where the members whose keys sort before ``chain`` end in the canonical bytes."""
    before = canonicalize({name: value for name, value in members.items() if name < "chain"})
    return len(before) - 1  # without the closing brace
