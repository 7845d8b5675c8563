r"""Signed tree heads: what ``sth.json`` says, signing it, checking it, and the rule of their chain.

Both signatures cover ``"signet-sth-v1\n"`` ‖ JCS of the object without ``signatures``. A verifier
demands both, and that the bytes are exactly those the format page describes.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any, Final, TypeVar

from signet.core.canonical import canonicalize, parse
from signet.core.encoding import decode_base64, encode_base64
from signet.core.errors import CanonicalError, LogError, SignatureError
from signet.core.instants import next_day, parse_date
from signet.log.emitters import EmitterTotals
from signet.log.keys import HEAD_ALGORITHMS, LogKeys, Signer
from signet.log.merkle import EMPTY_ROOT, HASH_BYTES
from signet.log.summaries import ChainSummary
from signet.receipts.chain import EMPTY_HEAD

_MESSAGE_PREFIX: Final = b"signet-sth-v1\n"
_SHA256_HEX: Final = re.compile(r"[0-9a-f]{64}")
#: Last millisecond of the year 9999: what is later, many programs cannot tell as a date.
MAX_TIMESTAMP: Final = 253_402_300_799_999
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class TreeHead:
    """What a tree head says; see the format page for each member.

    Attributes:
        log_id: hex, pins the log.
        date: UTC day.
        final: True if this head closes the day.
        tree_size: leaves in the tree.
        root_hash: 32 bytes.
        timestamp: Unix milliseconds.
        first_leaf: index of the day's first leaf.
        prev_sth_sha256: hex digest of the previous final head's bytes; None for the first day.
        chains: one summary per chain, in id order.
        emitters: totals over the day's decisions; they name the accounts.
        policy_bundle_sha256: hex.
    """

    log_id: str
    date: date
    final: bool
    tree_size: int
    root_hash: bytes
    timestamp: int
    first_leaf: int
    prev_sth_sha256: str | None
    chains: tuple[ChainSummary, ...]
    emitters: EmitterTotals
    policy_bundle_sha256: str


@dataclass(frozen=True, slots=True)
class SignedTreeHead(TreeHead):
    """A tree head whose signatures were checked, with the bytes it came from.

    Attributes:
        raw: the bytes of ``sth.json``.
    """

    raw: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """Hex digest of the bytes: what the next final head's ``prev_sth_sha256`` must be."""
        return hashlib.sha256(self.raw).hexdigest()


def sign_sth(head: TreeHead, signer: Signer) -> SignedTreeHead:
    """Sign a head and check the result as every verifier will.

    Raises:
        SignatureError: the signer's signature does not verify (a fault in the signer or in memory).
        LogError: the head says what no head may say.
    """
    value = _head_object(head)
    message = _MESSAGE_PREFIX + canonicalize(value)
    keys = signer.keys.for_tree_size(head.tree_size)
    value["signatures"] = [
        {
            "alg": alg.value,
            "keyid": keys.key(alg).keyid,
            "sig": encode_base64(signer.sign(alg, message, head.tree_size)),
        }
        for alg in HEAD_ALGORITHMS
    ]
    return verify_sth(canonicalize(value), signer.keys)


def verify_sth(data: bytes, keys: LogKeys) -> SignedTreeHead:
    """Check the bytes of an ``sth.json`` and return what they say.

    Raises:
        LogError: code ``bad_sth``: not canonical, not exactly the members of the format, values that no
            head may have, or another log's.
        SignatureError: one of the two signatures is missing, misplaced or does not verify.
    """
    try:
        value = parse(data)
        head = _read_head(value)
        signatures = value["signatures"]
        written = canonicalize({**_head_object(head), "signatures": signatures})
    except (CanonicalError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise _bad_sth("it is not a tree head in its one form") from error
    # What was read writes exactly these bytes: no member more, none in another place.
    if not hmac.compare_digest(written, data):
        raise _bad_sth("it has members that no tree head has")
    if head.log_id != keys.log_id:
        raise _bad_sth("it belongs to another log")
    _check_values(head)
    _verify_signatures(head, signatures, keys)
    return SignedTreeHead(**{item.name: getattr(head, item.name) for item in fields(TreeHead)}, raw=data)


def check_successor(
    previous: SignedTreeHead | None, following: SignedTreeHead, *, final: bool = True
) -> None:
    """Check that one head follows another in the chain of final heads.

    Args:
        previous: the final head of the day before; None if ``following`` is of the first day.
        following: the head to check.
        final: whether it has to be final; a head of an open day follows by the same rules.

    Raises:
        LogError: code ``broken_sth_chain``; the message says which rule is broken.
    """
    rules = [("it is not final", following.final or not final)]
    rules += _rules_of_first(following) if previous is None else _rules_after(previous, following)
    for fault, holds in rules:
        if not holds:
            raise LogError(
                f"the tree head of {following.date} does not follow: {fault}", code="broken_sth_chain"
            )


def _rules_of_first(head: TreeHead) -> list[tuple[str, bool]]:
    return [
        ("the first head names an earlier one", head.prev_sth_sha256 is None),
        ("the first head does not start at leaf 0", head.first_leaf == 0),
        ("the first head's chains do not start at 0", not any(chain.first_seq for chain in head.chains)),
        (
            "a chain without receipts has a head",
            all(chain.next_seq > 0 or chain.head == EMPTY_HEAD for chain in head.chains),
        ),
    ]


def _rules_after(previous: SignedTreeHead, head: TreeHead) -> list[tuple[str, bool]]:
    same_chains = [chain.id for chain in previous.chains] == [chain.id for chain in head.chains]
    pairs = list(zip(previous.chains, head.chains, strict=False))
    same_tree = head.tree_size == previous.tree_size
    return [
        ("its predecessor is not final", previous.final),
        ("prev_sth_sha256 is not the hash of the head before", head.prev_sth_sha256 == previous.sha256),
        ("a day is missing or comes twice", head.date == next_day(previous.date)),
        ("its time goes back", head.timestamp >= previous.timestamp),
        ("its leaves do not start where the day before ended", head.first_leaf == previous.tree_size),
        ("its tree is smaller", head.tree_size >= previous.tree_size),
        ("it has another root for the same size", not same_tree or head.root_hash == previous.root_hash),
        ("it has other chains", same_chains),
        (
            "a chain does not start where the day before ended",
            all(after.first_seq == before.next_seq for before, after in pairs),
        ),
        (
            "a chain has another head without new receipts",
            all(after.next_seq > before.next_seq or after.head == before.head for before, after in pairs),
        ),
    ]


def _check_values(head: TreeHead) -> None:
    """Check what must hold within one head."""
    digests = [head.policy_bundle_sha256, head.emitters.sha256]
    if head.prev_sth_sha256 is not None:
        digests.append(head.prev_sth_sha256)
    numbers = [head.timestamp, head.first_leaf]
    for chain in head.chains:
        numbers += [chain.first_seq, chain.next_seq - chain.first_seq]
    added = sum(chain.next_seq - chain.first_seq for chain in head.chains)
    consistent = (
        all(_SHA256_HEX.fullmatch(digest) for digest in digests)
        and all(number >= 0 for number in numbers)
        and head.timestamp <= MAX_TIMESTAMP
        and head.tree_size - head.first_leaf == added
        and sum(chain.next_seq for chain in head.chains) == head.tree_size
        and [chain.id for chain in head.chains] == list(range(len(head.chains)))
        and len(head.chains) > 0
        and (head.tree_size > 0 or head.root_hash == EMPTY_ROOT)
        and all(len(digest) == HASH_BYTES for digest in (head.root_hash, *(c.head for c in head.chains)))
        and head.emitters.is_consistent(added)
    )
    if not consistent:
        raise _bad_sth("its members contradict each other")


def _verify_signatures(head: TreeHead, signatures: Any, keys: LogKeys) -> None:
    if not isinstance(signatures, list) or len(signatures) != len(HEAD_ALGORITHMS):
        raise SignatureError("a tree head carries two signatures")
    message = _MESSAGE_PREFIX + canonicalize(_head_object(head))
    signing = keys.for_tree_size(head.tree_size)
    for alg, item in zip(HEAD_ALGORITHMS, signatures, strict=True):
        key = signing.key(alg)
        expected = {"alg": alg.value, "keyid": key.keyid}
        if not isinstance(item, dict) or {k: v for k, v in item.items() if k != "sig"} != expected:
            raise SignatureError(f"the tree head's {alg} signature is not in its place")
        try:
            signature = decode_base64(item["sig"])
        except (KeyError, TypeError, ValueError) as error:
            raise SignatureError(f"the tree head's {alg} signature is not base64") from error
        key.verify(signature, message)


def _head_object(head: TreeHead) -> dict[str, Any]:
    return {
        "v": 1,
        "log_id": head.log_id,
        "date": head.date.isoformat(),
        "final": head.final,
        "tree_size": head.tree_size,
        "root_hash": encode_base64(head.root_hash),
        "timestamp": head.timestamp,
        "first_leaf": head.first_leaf,
        "prev_sth_sha256": head.prev_sth_sha256,
        "chains": [
            {
                "id": chain.id,
                "first_seq": chain.first_seq,
                "next_seq": chain.next_seq,
                "head": encode_base64(chain.head),
            }
            for chain in head.chains
        ],
        "emitters": {
            "count": head.emitters.count,
            "decisions": head.emitters.decisions,
            "missing": head.emitters.missing,
            "sha256": head.emitters.sha256,
        },
        "policy_bundle_sha256": head.policy_bundle_sha256,
    }


def _read_head(value: Any) -> TreeHead:
    return TreeHead(
        log_id=_exact(str, value["log_id"]),
        date=parse_date(value["date"]),
        final=_exact(bool, value["final"]),
        tree_size=_exact(int, value["tree_size"]),
        root_hash=decode_base64(value["root_hash"]),
        timestamp=_exact(int, value["timestamp"]),
        first_leaf=_exact(int, value["first_leaf"]),
        prev_sth_sha256=None if value["prev_sth_sha256"] is None else _exact(str, value["prev_sth_sha256"]),
        chains=tuple(
            ChainSummary(
                _exact(int, item["id"]),
                _exact(int, item["first_seq"]),
                _exact(int, item["next_seq"]),
                decode_base64(item["head"]),
            )
            for item in value["chains"]
        ),
        emitters=EmitterTotals(
            _exact(int, value["emitters"]["count"]),
            _exact(int, value["emitters"]["decisions"]),
            _exact(int, value["emitters"]["missing"]),
            _exact(str, value["emitters"]["sha256"]),
        ),
        policy_bundle_sha256=_exact(str, value["policy_bundle_sha256"]),
    )


def _exact(kind: type[_T], value: object) -> _T:
    """Return the value if it is of exactly this type: to Python, true is also 1."""
    if type(value) is not kind:
        raise TypeError(f"not of type {kind.__name__}")
    return value


def _bad_sth(reason: str) -> LogError:
    return LogError(f"the tree head is refused: {reason}", code="bad_sth")
