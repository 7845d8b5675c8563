"""Check a Signet compliance pack with this one file.

    python3 verify.py [PACK.zip] [--log-id HEX] [--date YYYY-MM-DD] [--callers KEYS.json]

Needs Python 3.11 or newer and `cryptography` 50 or newer; no network, and nothing else of Signet.
PACK.zip is pack.zip in the current directory if not given. Exit code: 0 the pack is good, 1 it is not,
2 the checker was used wrongly or cannot run here.

Every check prints a line. A failure reads `file:line: reason`; a remark is no failure, but to be known.
--log-id is the identity of the log as you know it from elsewhere: without it a pack made from scratch by
another person would also pass. --date is the day you asked for. --callers is a file of the callers' public
keys, as you got them from the callers: what is allowed counts as proven if its caller signed it.

The copy of this file inside a pack is not signed: the maker of the pack can have changed it. Run a
copy from Signet's source or release, whose SHA-256 you know from elsewhere.

The formats are described in Signet's docs/formats.md; this file was written from that page alone.
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import functools
import hashlib
import itertools
import json
import operator
import re
import struct
import sys
import zlib
from array import array
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple, NoReturn, TextIO

LINE_LIMIT = 65_535  # bytes of a receipt
MEMBER_LIMIT = 8 * 1024 * 1024  # bytes of a member that is held in memory
COUNT_LIMIT = 65_534  # members, with the manifest
DEPTH_LIMIT = 32  # arrays and objects within each other
INCLUSION_LIMIT = 10_000  # receipts up to which a pack carries inclusion proofs
END_RECORD = 22  # bytes of a zip's end-of-directory record
ENTRY = 46  # bytes of a directory entry before its name
COMMENT_LIMIT = 65_535  # bytes that another zip may have after its end record
LOOSE_LIMIT = 64 * 1024 * 1024  # bytes of another zip's directory that are looked at
NAME_LIMIT = 64  # characters of an API's name that are kept
SHOWN_LIMIT = 1_000  # characters of a line, and lines of gaps, that are printed
MAX_INTEGER = (1 << 53) - 1
INTEGER_DIGITS = 17  # characters of -(2^53 - 1)
CHECKPOINT_LINES = 7  # origin, size, root, blank, two signatures, and nothing after the last newline
ZERO_HASH = base64.b64encode(bytes(32)).decode()
EMPTY_ROOT = hashlib.sha256(b"").digest()
NO_ACCOUNTS = hashlib.sha256(b"{}").hexdigest()
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - all times here are UTC
DAY_MS = 86_400_000
LATEST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z
CLOCKS_APART_MS = 300_000  # by how much two clocks may differ
NEWEST_PACK = 2  # version of a pack that this checker knows
NEWEST = 2  # version of a receipt that this checker knows
MOST_SKEW = 300  # seconds by which a proof may be used too early or too late
CUT = 256  # bytes to which a path is cut that no signature vouches for
UNDER_WAY_MS = DAY_MS  # how long a decision may be on its way to the log
LATE_MS = 900_000  # after this time on the way a signed request is no proof of when it was made
TRANSCRIPT_LIMIT = 65_536  # bytes of a transcript
READS_LIMIT = 4  # how often an object of transcripts is read: steps of a log may cut it
CALLERS_LIMIT = 64 * 1024 * 1024  # bytes of a file of callers' keys


class Bad(Exception):  # noqa: N818 - a verdict
    """The pack fails a check."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")


class Twice(Bad):
    """Two members of the zip are one file."""


class OtherLog(Bad):
    """The pack is of another log than the one asked for."""


class CannotCheck(Exception):  # noqa: N818 - a state of this machine
    """The check cannot run here; nothing is said about the pack."""


# --- Output -------------------------------------------------------------------------------------


def say(line: str = "", file: TextIO | None = None) -> None:
    """Print one line; nothing else here prints.

    What a pack says may come from its forger. So every character that is not printable ASCII is escaped:
    else a name with control characters could clear the screen and write a verdict of its own.
    """
    cut = line if len(line) <= SHOWN_LIMIT else line[:SHOWN_LIMIT] + " [cut]"
    print(re.sub(r"[^ -~]", _escaped, cut), file=file)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    if character.isascii():
        return f"\\x{ord(character):02x}"
    return character.encode("ascii", "backslashreplace").decode()


# --- The zip ------------------------------------------------------------------------------------


class Member(NamedTuple):
    """One member: name, CRC-32, compressed and plain size, offset of its compressed bytes."""

    name: str
    crc: int
    packed: int
    size: int
    offset: int


class Pack:
    """A zip of exactly one shape: members back to back, then the directory, then the end record.

    All of a header but name, CRC, sizes and offset is fixed, so headers are rebuilt and compared
    byte by byte: no flags, extra fields, comments, data descriptors, ZIP64, gaps or overlaps.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read the directory and compare all headers; reads no member."""
        self.file = file
        self.members: dict[str, Member] = {}
        self.sha256: dict[str, str] = {}  # by the manifest, once it is read
        self.matched: set[str] = set()  # members that were read to their end
        end = file.seek(0, 2)
        count, directory_size, directory_at = self._end_record(end)
        directory = self._bytes(directory_at, directory_size)
        expected_at = at = 0
        for _ in range(count):
            member, at = self._entry(directory, at, expected_at)
            if member.name in self.members:
                raise Twice(member.name, "is in the zip twice")
            self.members[member.name] = member
            expected_at = member.offset + member.packed
            if expected_at > directory_at:
                raise Bad(member.name, "reaches beyond the members of the zip")
        if at != len(directory) or expected_at != directory_at:
            raise Bad("zip", "has bytes that belong to no member")
        check_collisions(list(self.members))

    def _bytes(self, at: int, count: int) -> bytes:
        self.file.seek(at)
        data = self.file.read(count)
        if len(data) != count:
            raise Bad("zip", "is truncated")
        return data

    def _end_record(self, end: int) -> tuple[int, int, int]:
        if end < END_RECORD:
            raise Bad("zip", "is not a zip file")
        record = self._bytes(end - END_RECORD, END_RECORD)
        count, size, at = struct.unpack("<HLL", record[10:20])
        if record != struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, size, at, 0):
            raise Bad(
                "zip", "does not end with a plain end-of-directory record (truncated, or bytes follow it)"
            )
        if at + size != end - END_RECORD:
            raise Bad("zip", "has bytes between its directory and its end")
        if count > COUNT_LIMIT:
            raise Bad("zip", f"has more than {COUNT_LIMIT} members")
        if size > count * ENTRY + MEMBER_LIMIT:  # the manifest lists all names and is held to that limit
            raise Bad("zip", f"has names of more than {MEMBER_LIMIT} bytes")
        return count, size, at

    def _entry(self, directory: bytes, at: int, expected_at: int) -> tuple[Member, int]:
        """Read one directory entry; the member must start at expected_at."""
        if len(directory) < at + ENTRY:
            raise Bad("zip", "has a truncated directory")
        crc, packed, size, name_length = struct.unpack_from("<LLLH", directory, at + 16)
        raw = directory[at + ENTRY : at + ENTRY + name_length]
        name = raw.decode("ascii", "replace")
        if not re.fullmatch(rb"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*", raw):
            raise Bad("zip", f"has a member with an unsafe name: {name!r}")
        fields = (20, 0, 8, 0, 33, crc, packed, size, name_length, 0)
        central = struct.pack("<4sH5H3L2H", b"PK\1\2", 3 << 8 | 20, *fields)
        central += struct.pack("<3H2L", 0, 0, 0, 0o100644 << 16, expected_at) + raw
        local = struct.pack("<4s5H3L2H", b"PK\3\4", *fields) + raw
        if directory[at : at + len(central)] != central or self._bytes(expected_at, len(local)) != local:
            raise Bad(name, "has a zip header that no pack has")
        return Member(name, crc, packed, size, expected_at + len(local)), at + len(central)

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member's plain bytes, never more than its header says; at their end check all hashes."""
        if name not in self.members:
            raise Bad(name, "is missing")
        member = self.members[name]
        digest = hashlib.sha256()
        unpack = zlib.decompressobj(-15)
        at, left, crc, size = member.offset, member.packed, 0, 0
        while not unpack.eof:
            data = unpack.unconsumed_tail
            if not data and left:
                data = self._bytes(at, min(left, 1 << 16))
                at, left = at + len(data), left - len(data)
            try:
                plain = unpack.decompress(data, 1 << 18)
            except zlib.error:
                raise Bad(name, "has damaged compressed data") from None
            if not (data or plain or unpack.eof):
                raise Bad(name, "has truncated compressed data")
            size += len(plain)
            crc = zlib.crc32(plain, crc)
            digest.update(plain)
            if size > member.size:
                raise Bad(name, "expands beyond the size in its header")
            yield plain
        if left or unpack.unused_data or size != member.size or crc != member.crc:
            raise Bad(name, "does not have the size or checksum of its header")
        if self.sha256.get(name, digest.hexdigest()) != digest.hexdigest():
            raise Bad(name, "does not have the hash in the manifest")
        self.matched.add(name)

    def read(self, name: str) -> bytes:
        """Return a small member whole."""
        if name in self.members and self.members[name].size > MEMBER_LIMIT:
            raise Bad(name, f"is larger than {MEMBER_LIMIT} bytes")
        return b"".join(self.chunks(name))

    def lines(self, name: str) -> Iterator[tuple[str, bytes]]:
        """Yield ("name:number", line without its newline)."""
        rest, number = b"", 0
        for chunk in self.chunks(name):
            *complete, rest = (rest + chunk).split(b"\n")
            for line in complete:
                number += 1
                yield f"{name}:{number}", line
            if len(rest) > LINE_LIMIT:
                raise Bad(f"{name}:{number + 1}", f"is longer than {LINE_LIMIT} bytes")
        if rest:
            raise Bad(f"{name}:{number + 1}", "does not end with a newline")


def check_collisions(names: list[str]) -> None:
    """Check that no two names are one file when unpacked: where `a` is `A`, and `a` hides `a/b`."""
    # "/" is made the smallest character, so that what lies in a folder sorts right behind the folder's name.
    folded = sorted((name.lower().replace("/", "\0"), place) for place, name in enumerate(names))
    later = len(names)
    parents: list[tuple[str, int]] = []  # of the name at hand: itself and its folders, with their first place
    for name, place in folded:
        while parents and name != parents[-1][0] and not name.startswith(parents[-1][0] + "\0"):
            parents.pop()
        first = parents[-1][1] if parents else place
        if parents:
            later = min(later, max(first, place))
        parents.append((name, min(first, place)))
    if later < len(names):
        raise Twice(names[later], "and a member before it are one file when the zip is unpacked")


def kind_of(file: BinaryIO) -> str:
    """Tell what a file is whose zip has not the form of a pack.

    not_a_pack does not begin as a zip does. cut_short does, but no end record reaches to the end of the file.
    packed_anew is a zip that other programs read: with a manifest, no name twice, and none that leads out of
    the folder it is unpacked to. Everything else is an attempt at a pack.
    """
    end = file.seek(0, 2)
    file.seek(0)
    if file.read(4) != b"PK\3\4":
        return "not_a_pack"
    tail_at = max(0, end - END_RECORD - COMMENT_LIMIT)
    file.seek(tail_at)
    tail = file.read()
    starts = [found.start() for found in re.finditer(b"PK\5\6", tail)]
    comments = {at: len(tail) - at - END_RECORD for at in starts}  # bytes after each, if it is an end record
    ends = [
        at
        for at, left in comments.items()
        if left >= 0 and tail[at + 20 : at + 22] == struct.pack("<H", left)
    ]
    if not ends:
        return "cut_short"
    count, size, directory_at = struct.unpack_from("<HLL", tail, ends[-1] + 10)
    if size > LOOSE_LIMIT or directory_at + size > tail_at + ends[-1]:
        return "pack"
    file.seek(directory_at)
    names = loose_names(file.read(size), count)
    manifests = [name for name in names if f"/{name}".endswith("/manifest.json")]
    leads_out = any(name.startswith("/") or "\\" in name or ".." in name.split("/") for name in names)
    return "packed_anew" if manifests and len(set(names)) == len(names) and not leads_out else "pack"


def loose_names(directory: bytes, count: int) -> list[str]:
    """Return the names in a directory such as any zip may have; none if it is not one."""
    names, at = [], 0
    for _ in range(count):
        if directory[at : at + 4] != b"PK\1\2" or len(directory) < at + ENTRY:
            return []
        name, extra, comment = struct.unpack_from("<3H", directory, at + 28)
        names.append(directory[at + ENTRY : at + ENTRY + name].decode("latin-1"))
        at += ENTRY + name + extra + comment
    return names if at == len(directory) else []


# --- JSON in one form, and the shapes of objects ------------------------------------------------


def _integer(text: str) -> int:
    if len(text) > INTEGER_DIGITS or abs(int(text)) > MAX_INTEGER:
        raise ValueError("an integer of 2^53 or more")
    return int(text)


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"the number {text[:20]}, which is not an integer")


_decode = json.JSONDecoder(parse_int=_integer, parse_float=_no_float, parse_constant=_no_float).decode
_decode_known = json.JSONDecoder().decode  # of text whose form is known to have nothing that is refused
_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def canonical(value: Any) -> bytes:
    """Return RFC 8785 bytes; the values here have ASCII keys and no floats, which makes it this easy."""
    return _encode(value).encode()


def parse(where: str, data: bytes) -> Any:
    """Return the value of canonical JSON bytes."""
    try:
        value = _decode(data.decode())
        same = canonical(value) == data
    except (ValueError, RecursionError) as error:
        raise Bad(where, f"is not JSON of the canonical subset ({str(error)[:80]})") from None
    if not same:
        raise Bad(where, "is not in canonical form (RFC 8785)")
    return value


def free_form(where: str, value: Any, depth: int = 0) -> None:
    """Check what no shape describes: ASCII member names, which canonical() relies on, and the depth."""
    if type(value) not in (dict, list):
        return
    if depth == DEPTH_LIMIT:
        raise Bad(where, f"is nested deeper than {DEPTH_LIMIT}")
    for inner in value.values() if type(value) is dict else value:
        free_form(where, inner, depth + 1)
    if type(value) is dict and not all(name.isascii() for name in value):
        raise Bad(where, "has a member name that is not ASCII")


@functools.lru_cache(maxsize=4096)
def milliseconds(time: str) -> int:
    """Return the Unix time in milliseconds of a time as receipts have it."""
    return (dt.datetime.fromisoformat(time[:-1]) - EPOCH) // dt.timedelta(milliseconds=1)


def start_of(day: str) -> int:
    """Return the first instant of a day, YYYY-MM-DD."""
    return milliseconds(f"{day}T00:00:00.000Z")


def instant(milliseconds: int) -> str:
    """Return such a time, of 0 to LATEST_MS."""
    return (EPOCH + dt.timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds") + "Z"


class Value(NamedTuple):
    """What may stand in a place that is neither array nor object.

    holds decides. form is a regular expression of the canonical text of the usual values among
    them, in plain ASCII: a value that matches it holds, but not the other way round.
    """

    holds: Callable[[Any], bool]
    form: str = ""


Shape = Any  # a dict of member → Shape, a [Shape] for arrays, or a Value


def conform(where: str, value: Any, shape: Shape, path: str = "value") -> None:
    """Check a value against a shape: objects have exactly the members named."""
    if type(shape) is Value:
        if not shape.holds(value):
            raise Bad(where, f"{path} cannot be {str(value)[:80]!r}")
    elif type(shape) is dict:
        if type(value) is not dict or value.keys() != shape.keys():
            have = sorted(value) if type(value) is dict else type(value).__name__
            raise Bad(where, f"{path} must have the members {sorted(shape)}, has {str(have)[:200]}")
        for name, inner in shape.items():
            conform(where, value[name], inner, f"{path}.{name}")
    elif type(value) is not list:
        raise Bad(where, f"{path} must be an array")
    else:
        for item in value:
            conform(where, item, shape[0], f"{path}[]")


def one_of(*values: Any) -> Value:
    """Exactly one of the values (True is not 1)."""
    types, allowed = {type(value) for value in values}, frozenset(values)
    form = "|".join(re.escape(json.dumps(value)) for value in values)
    return Value(lambda value: type(value) in types and value in allowed, f"(?:{form})")


def or_null(shape: Value) -> Value:
    """Null is allowed too."""
    return Value(lambda value: value is None or shape.holds(value), f"(?:null|{shape.form})")


def pattern(expression: str) -> Value:
    """A string that matches as a whole."""
    match = re.compile(expression, re.ASCII).fullmatch
    return Value(lambda value: type(value) is str and match(value) is not None, f'"(?:{expression})"')


def b64(length: int, form: str = "") -> Value:
    """Standard base64, in its one spelling, of so many bytes."""

    def check(value: Any) -> bool:
        try:
            data = base64.b64decode(value, validate=True) if type(value) is str else b""
        except ValueError:
            return False
        return len(data) == length and base64.b64encode(data).decode() == value

    return Value(check, form)


def array_of(item: Value, least: int = 0) -> Value:
    """An array of such values, at least so many."""
    return Value(
        lambda value: type(value) is list and len(value) >= least and all(map(item.holds, value)),
        rf"\[(?:{item.form}(?:,{item.form})*)?\]",
    )


def map_of(name: str, item: Value) -> Value:
    """An object of any members whose names match as a whole; each has such a value."""
    match = re.compile(name, re.ASCII).fullmatch
    return Value(
        lambda value: type(value) is dict and all(match(key) and item.holds(value[key]) for key in value)
    )


@functools.lru_cache(maxsize=4096)
def real_date(value: str) -> bool:
    """Tell whether YYYY-MM-DD is in the calendar."""
    try:
        return value >= "1970" and dt.date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


text = Value(lambda value: type(value) is str, r'"[ !#-\[\]-~]*"')
quoted = Value(lambda value: type(value) is str, r'"(?:[ !#-\[\]-~]|\\")*"')  # usually with such marks
integer = Value(lambda value: type(value) is int, "(?:0|-?[1-9][0-9]{0,14})")
count = Value(lambda value: type(value) is int and value >= 0, "(?:0|[1-9][0-9]{0,14})")
ordinal = Value(lambda value: type(value) is int and value >= 1, "(?:[1-9][0-9]{0,14})")
hash64 = b64(32, '"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="')
hex64 = pattern("[0-9a-f]{64}")
hex32 = pattern("[0-9a-f]{32}")
bytes64 = pattern(
    "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)".replace(
        "(", "(?:"
    )
)
uuid7 = pattern("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
day = Value(lambda value: type(value) is str and real_date(value))
_clock = pattern(r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z".replace("(", "(?:"))
time = Value(lambda value: _clock.holds(value) and real_date(value[:10]), _clock.form)

REASONS = {
    "allow": "ok ok_classical_fallback",
    "challenge": "challenge_required",
    "deny": "malformed component_missing created_out_of_window nonce_invalid nonce_expired nonce_replayed"
    " unknown_key key_revoked key_not_yet_valid key_expired key_not_allowed alg_not_allowed alg_mismatch"
    " bad_signature binding_missing binding_mismatch binding_too_weak edge_attestation_invalid"
    " digest_missing evidence_missing evidence_mismatch header_budget_exceeded no_rule policy_denied",
    "shed": "breaker_open half_open_full receipt_queue_unavailable store_unavailable internal_error",
}
REASONS_2 = REASONS | {
    "deny": f"{REASONS['deny']} unknown_api",
    "shed": f"{REASONS['shed']} rate_limited caller_shed concurrency_limited",
}
DECISION_OF = {reason: decision for decision, reasons in REASONS_2.items() for reason in reasons.split()}
OTHER_TYPES = {"key.rotated", "breaker.transition", "policy.changed"}
AFTER_POLICY = {  # refusals of a request that was found good, and allowed by policy, before
    *("breaker_open", "half_open_full", "nonce_replayed"),
    *("rate_limited", "caller_shed", "concurrency_limited"),
}
UNTRANSCRIBED = {"challenge_required", "bad_signature", "nonce_replayed"}
SUITES = {"ed25519", "ecdsa-p256-sha256", "ml-dsa-65", "ed25519+ml-dsa-65", "ecdsa-p256+ml-dsa-65"}
SUITES_2 = SUITES
API_KINDS = ("rest", "http-1.0", "http-2.0")

CHAIN_SHAPE = {"id": count, "seq": count, "prev": hash64, "recorded_at": time}
COMMON_SHAPE: dict[str, Any] = {
    "v": one_of(1),
    "type": text,
    "id": uuid7,
    "decided_at": time,
    "chain": CHAIN_SHAPE,
}
DECISION_SHAPE: dict[str, Any] = COMMON_SHAPE | {
    "type": one_of("pch.decision"),
    "decision": one_of(*REASONS),
    "reason": one_of(*" ".join(REASONS.values()).split()),
    "request": {
        "method": or_null(text),
        "authority": or_null(text),
        "path": or_null(text),
        "query_sha256": or_null(hex64),
        "content_digest": or_null(text),
        "request_id": or_null(text),
        "stage": or_null(text),
        "source_ip_hash": or_null(hex64),
    },
    "proof": {
        "keyid": or_null(text),
        "alg": or_null(text),
        "mode": one_of("inline", "detached", None),
        "nonce_sha256": or_null(hex64),
        "created": or_null(integer),
        "header_bytes": or_null(count),
        "evidence_sha256": or_null(hex64),
        "binding": {
            "type": one_of("none", "tls-exporter", "tls-client-cert"),
            "value_sha256": or_null(hex64),
        },
    },
    "policy": {"bundle_sha256": or_null(hex64), "action": one_of("allow", "deny", None)},
    "breaker": {
        "state": one_of("closed", "open", "half_open", None),
        "level": one_of("full", "relax", "classical", "shed", None),
        "latency_ewma_us": or_null(count),
        "error_ewma_ppm": or_null(count),
        "rho_ppm": or_null(count),
        "kingman_wq_us": or_null(count),
        "header_budget": or_null(count),
    },
    "emitter": {"id": hex32, "n": count},
    "authorizer_us": count,
}
ROTATION_SHAPE = COMMON_SHAPE | {"set": Value(lambda _value: True)}
# Version 2, a draft: all types of receipts are closed.
LINK_SHAPE = {"chain": CHAIN_SHAPE | {"transcripts": or_null(hex32)}}
COMMON_2_SHAPE: dict[str, Any] = COMMON_SHAPE | {"v": one_of(2)} | LINK_SHAPE
registration = or_null(uuid7)
DECISION_2_SHAPE: dict[str, Any] = (
    DECISION_SHAPE
    | COMMON_2_SHAPE
    | {
        "type": one_of("pch.decision"),
        "reason": one_of(*DECISION_OF),
        "api": {
            "name": or_null(text),
            "id": or_null(text),
            "stage": or_null(text),
            "kind": one_of(*API_KINDS, None),
            "registration": registration,
        },
        "route": or_null(text),
        "request": {name: shape for name, shape in DECISION_SHAPE["request"].items() if name != "stage"}
        | {"path_sha256": or_null(hex64)},
        "covered": or_null(array_of(quoted)),
        "proof": DECISION_SHAPE["proof"] | {"expires": or_null(integer)},
        "client": or_null(
            Value(
                lambda value: (
                    type(value) is dict
                    and value.keys() == {"registration"}
                    and registration.holds(value["registration"])
                ),
                rf'\{{"registration":{registration.form}\}}',
            )
        ),
        "transcript_sha256": or_null(hex64),
        "policy": DECISION_SHAPE["policy"] | {"version": or_null(count), "input": or_null(count)},
        "breaker": DECISION_SHAPE["breaker"]
        | {
            "name": or_null(text),
            "admission": one_of("normal", "probe", "fail_open", None),
            "limit": or_null(count),
        },
        "emitter": DECISION_SHAPE["emitter"] | {"folded": count},
    }
)
_validity = {"from": or_null(count), "until": or_null(count)}
_place = {
    "state": one_of("closed", "open", "half_open"),
    "level": one_of("full", "relax", "classical", "shed"),
}
_api: dict[str, Any] = {
    "name": text,
    "api": {"id": text, "stage": text, "kind": one_of(*API_KINDS)},
    "authorities": array_of(text),
    "base_paths": array_of(text),
    "resources": array_of(text),
    "time_limit_ms": count,
}
_emitter = {"id": hex32, "n": count}
_key: dict[str, Any] = {"keyid": text, "alg": one_of(*SUITES_2), "public_key": bytes64, "valid": _validity}
# What a summary may count: all refusals but that which comes after a verified signature and spends a nonce.
SUMMARISED = [reason for reason, made in DECISION_OF.items() if made != "allow" and reason != "policy_denied"]
EVENT_2_SHAPES: dict[str, dict[str, Any]] = {
    kind: COMMON_2_SHAPE | {"type": one_of(kind)} | members
    for kind, members in {
        "client.registered": _key
        | {
            "roles": array_of(text, 1),
            "labels": map_of("[a-z][a-z0-9_.-]{0,62}", text),
            "routes": array_of(text),
            "signature": or_null(bytes64),
        },
        "client.revoked": {
            "keyid": text,
            "registration": registration,
            "cause": text,
            "signature": or_null(bytes64),
        },
        "api.added": _api,
        "api.removed": _api,
        "policy.deployed": {
            "bundle_sha256": hex64,
            "input": ordinal,
            "interpreter": {"name": text, "version": text},
        },
        "promise.key": _key,
        "head.signed": {
            "date": day,
            "final": one_of(False, True),  # noqa: FBT003 - the values themselves
            "tree_size": count,
            "sth_sha256": hex64,
        },
        "transcript.erased": {
            "receipts": array_of(uuid7, 1),
            "cause": one_of("demand", "retention"),
            "signature": or_null(bytes64),
        },
        "emitter.ended": {"emitter": _emitter, "folded": count},
        "format.changed": {"format": one_of("receipt"), "from": one_of(1), "to": one_of(2)},
        "refusals.summary": {
            "emitter": _emitter,
            "counts": map_of("|".join(SUMMARISED), ordinal),
            "first": time,
            "last": time,
        },
        "breaker.transition": {
            "breaker": {"name": text, "version": ordinal},
            "from": _place,
            "to": _place,
            "cause": one_of(
                *("tripped", "interval_over", "probes_failed", "recovered", "rung_up", "rung_down"),
                *("silent", "futile"),
            ),
            "policy": {"bundle_sha256": or_null(hex64)},
            "figures": map_of("[a-z][a-z0-9_]*_(?:ppm|us|ms|milli)", integer),
        },
        "key.rotated": {"set": Value(lambda value: type(value) is dict)},
        "policy.changed": {"change": {"n": ordinal, "from": or_null(hex64), "to": hex64, "pushed_at": time}},
    }.items()
}
SIGNATURES_SHAPE = [{"alg": text, "keyid": text, "sig": text}]
HEAD_SHAPE = {
    "v": one_of(1),
    "log_id": hex64,
    "date": day,
    "final": one_of(True),  # noqa: FBT003 - the value a final head has
    "tree_size": count,
    "root_hash": hash64,
    "timestamp": Value(lambda value: type(value) is int and 0 <= value <= LATEST_MS),
    "first_leaf": count,
    "prev_sth_sha256": or_null(hex64),
    "chains": [{"id": count, "first_seq": count, "next_seq": count, "head": hash64}],
    "emitters": {"count": count, "decisions": count, "missing": count, "sha256": hex64},
    "policy_bundle_sha256": hex64,
    "signatures": SIGNATURES_SHAPE,
}
KEY_BYTES = {"ed25519": (32, 64), "ml-dsa-65": (1952, 3309), "ml-dsa-44": (1312, 2420)}
KEYS_SHAPE = {
    "v": one_of(1),
    "origin": pattern(r"[!-*,-~]{1,255}"),  # no space and no plus: C2SP signed-note key names
    "log_id": hex64,
    "sets": [
        {
            "n": count,
            "from_tree_size": count,
            "keys": [{"alg": one_of(*KEY_BYTES), "keyid": hex32, "public_key": text}],
            "endorsement": Value(lambda value: value is None or type(value) is dict),
        }
    ],
}
ENDORSEMENT_SHAPE = {"previous": SIGNATURES_SHAPE, "next": SIGNATURES_SHAPE}
MANIFEST_SHAPE = {
    "v": one_of(1),
    "format": one_of("signet-pack"),
    "date": day,
    "log_id": hex64,
    "files": [{"name": text, "sha256": hex64, "size": count}],
}
MANIFEST_2_SHAPE = MANIFEST_SHAPE | {"v": one_of(2), "needs": one_of(2)}


# --- The usual receipt, without parsing it ------------------------------------------------------
#
# Decoding a line, encoding it again and walking through its members takes most of the time of a large
# pack. So the shape of a decision is written as one regular expression over canonical bytes: members in
# their order, nothing between them. What it matches is canonical and has the shape; everything else
# (a path with an umlaut, a forgery) goes through parse() and conform(), which also know the reason.


class Facts(NamedTuple):
    """What is checked of a decision beyond its shape; the members of USED, in that order."""

    level: str | None = None
    state: str | None = None
    chain: int = 0
    prev: str = ""
    recorded_at: str = ""
    seq: int = 0
    decided_at: str = ""
    decision: str = ""
    emitter: str = ""
    n: int = 0
    id: str = ""
    action: str | None = None
    bundle: str | None = None
    alg: str | None = None
    binding: str = ""
    binding_sha256: str | None = None
    created: int | None = None
    evidence: str | None = None
    header_bytes: int | None = None
    keyid: str | None = None
    mode: str | None = None
    nonce: str | None = None
    reason: str = ""
    authority: str | None = None
    method: str | None = None
    path: str | None = None
    query: str | None = None
    admission: str | None = None
    api_id: str | None = None
    api_kind: str | None = None
    api: str | None = None
    registration: str | None = None
    api_stage: str | None = None
    client: Any = None
    covered: Any = None
    folded: int = 0
    expires: int | None = None
    path_sha256: str | None = None
    route: str | None = None
    transcript: str | None = None
    v: int = 1


USED = (  # in the order in which they stand in canonical bytes
    *("breaker.level", "breaker.state"),
    *("chain.id", "chain.prev", "chain.recorded_at", "chain.seq", "decided_at", "decision"),
    *("emitter.id", "emitter.n", "id", "policy.action", "policy.bundle_sha256"),
    *("proof.alg", "proof.binding.type", "proof.binding.value_sha256", "proof.created"),
    *("proof.evidence_sha256", "proof.header_bytes", "proof.keyid", "proof.mode", "proof.nonce_sha256"),
    *("reason", "request.authority", "request.method", "request.path", "request.query_sha256"),
)
USED_2 = (  # of version 2 besides, in the order of Facts
    *(
        "breaker.admission",
        "api.id",
        "api.kind",
        "api.name",
        "api.registration",
        "api.stage",
        "client",
        "covered",
        "emitter.folded",
        "proof.expires",
        "request.path_sha256",
    ),
    *("route", "transcript_sha256", "v"),
)


def form_of(shape: Shape, used: tuple[str, ...], path: str = "") -> str:
    """Return the regular expression of a shape's canonical text, with a group for each member of used."""
    if type(shape) is dict:
        inner = (
            f'"{name}":' + form_of(shape[name], used, f"{path}.{name}".lstrip(".")) for name in sorted(shape)
        )
        return r"\{" + ",".join(inner) + r"\}"
    return f"({shape.form})" if path in used else shape.form


def order_of(shape: Shape, used: tuple[str, ...], path: str = "") -> list[int]:
    """Return the places in used of the members of a shape, in the order of canonical text."""
    if type(shape) is not dict:
        return [used.index(path)] if path in used else []
    inner = (order_of(shape[name], used, f"{path}.{name}".lstrip(".")) for name in sorted(shape))
    return list(itertools.chain(*inner))


_usual = re.compile(form_of(DECISION_SHAPE, USED), re.ASCII).fullmatch
_usual_2 = re.compile(form_of(DECISION_2_SHAPE, USED + USED_2), re.ASCII).fullmatch
_order_2 = order_of(DECISION_2_SHAPE, USED + USED_2)
_places_2 = [_order_2.index(place) for place in range(len(USED + USED_2))]


def read_decision(where: str, line: bytes) -> Facts | None:
    """Return what is needed of a decision; None if the line is not in the usual form."""
    text = line.decode("latin-1")  # where this is not ASCII, it does not match
    second = text.endswith('"v":2}')
    found = (_usual_2 if second else _usual)(text)
    if found is None:
        return None
    values = _decode_known(f"[{','.join(found.groups())}]")
    facts = Facts(*(values[place] for place in _places_2) if second else values)
    if not real_date(facts.decided_at[:10]) or not real_date(facts.recorded_at[:10]):
        raise Bad(where, "names a day that no calendar has")
    return facts


def parse_decision(where: str, receipt: Any) -> Facts:
    """Return the same of a decision that was parsed."""
    second = type(receipt.get("v")) is int and receipt["v"] == NEWEST
    conform(where, receipt, DECISION_2_SHAPE if second else DECISION_SHAPE)
    used = USED + USED_2 if second else USED
    return Facts(*(functools.reduce(operator.getitem, path.split("."), receipt) for path in used))


def contradiction(facts: Facts) -> str | None:  # noqa: PLR0911 - one for each rule
    """Return why no authorizer can have made such a decision; None if one can."""
    reason, allowed = facts.reason, facts.decision == "allow"
    if (facts.binding == "none") is not (facts.binding_sha256 is None):
        return "proof.binding has a type without a value, or a value without a type"
    if allowed or reason in AFTER_POLICY:
        proof = (facts.keyid, facts.alg, facts.mode, facts.nonce, facts.created, facts.header_bytes)
        request = (facts.method, facts.authority, facts.path, facts.bundle, *whole_besides(facts))
        suites = SUITES if facts.v == 1 else SUITES_2
        if None in proof or None in request or facts.created < 0 or facts.alg not in suites:  # type: ignore[operator]
            return f"the reason {reason} comes after a whole proof, which is not here"
        if facts.action != "allow":
            return f"the reason {reason} comes after policy allowed it, which it did not"
    if allowed and facts.level == "shed":
        return "nothing is allowed while the level is shed"
    if reason == "policy_denied" and facts.action == "allow":
        return "policy cannot have denied what it allowed"
    if reason == "breaker_open" and facts.state != "open":
        return "the reason is breaker_open, and the breaker was not open"
    if reason == "half_open_full" and facts.state == "open":
        return "the reason is half_open_full, and the breaker was open"
    if reason == "ok_classical_fallback" and (facts.level != "classical" or "+" not in (facts.alg or "")):
        return "the reason ok_classical_fallback needs the level classical and a hybrid algorithm"
    return contradiction_2(facts) if facts.v != 1 else None


def whole_besides(facts: Facts) -> tuple[Any, ...]:
    """Return what else of a whole proof its version demands not to be null."""
    if facts.v == 1:
        return (facts.query,)
    return (facts.expires, facts.covered, facts.api, facts.route, facts.client)


def contradiction_2(facts: Facts) -> str | None:
    """Return the same for the rules of version 2 alone."""
    reason, allowed = facts.reason, facts.decision == "allow"
    verified = allowed or reason in AFTER_POLICY
    if allowed and facts.transcript is None:
        return "what is allowed has a transcript, which is not named"
    if reason == "unknown_api" and facts.api is not None:
        return "the reason is unknown_api, and the name of the API is known"
    if facts.transcript is not None and reason in UNTRANSCRIBED:
        return f"the reason {reason} leaves no transcript, but one is named"
    if (facts.transcript is None) is not (facts.query is None):
        return "transcript_sha256 and request.query_sha256 are null only together"
    if facts.admission == "probe" and facts.state != "half_open":
        return "a probe is admitted only while the breaker is half open"
    return wrong_times(facts, verified, allowed) or wrong_path(facts, verified)


def wrong_times(facts: Facts, verified: bool, allowed: bool) -> str | None:  # noqa: FBT001 - by place
    """Return why no verified request has these times; None if one can."""
    begins, ends = facts.created, facts.expires
    if not verified or begins is None or ends is None:
        return None
    if begins >= ends:
        return f"the reason {facts.reason} comes after a proof that ends before it begins"
    decided = milliseconds(facts.decided_at) // 1000
    if allowed and not begins - MOST_SKEW <= decided <= ends + MOST_SKEW:
        return "was allowed outside the time for which its proof is valid"
    return None


def wrong_path(facts: Facts, verified: bool) -> str | None:  # noqa: FBT001 - by place
    """Return why no authorizer cuts a path so; None if one does."""
    whole = verified or facts.transcript is not None
    size = len((facts.path or "").encode())
    if facts.path_sha256 is not None and (whole or not CUT - 3 <= size <= CUT):
        return "has the hash of a path that was not cut"
    if not whole and size > CUT:
        return f"has more than {CUT} bytes of a path that no signature vouches for"
    return None


# --- Signatures ---------------------------------------------------------------------------------


def load_verifiers() -> dict[str, Callable[[bytes], Any]]:
    """Return, by algorithm, what makes a public key object of raw bytes."""
    advice = "this checker needs the Python package cryptography 50 or newer: pip install 'cryptography>=50'"
    try:
        # Imported late, so that a missing package is a sentence and not a traceback.
        from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa  # noqa: PLC0415

        mldsa.MLDSA65PublicKey.from_public_bytes(bytes(KEY_BYTES["ml-dsa-65"][0]))
    except ImportError as error:
        raise CannotCheck(f"{advice} ({error})") from None
    except Exception as error:  # noqa: BLE001 - a backend without ML-DSA may raise any error
        raise CannotCheck(f"{advice} (ML-DSA does not work here: {type(error).__name__})") from None
    return {
        "ed25519": ed25519.Ed25519PublicKey.from_public_bytes,
        "ml-dsa-65": mldsa.MLDSA65PublicKey.from_public_bytes,
        "ml-dsa-44": mldsa.MLDSA44PublicKey.from_public_bytes,
    }


P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493  # order of Ed25519's base point
Y8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826  # of points of order 8
SMALL_ORDER = {0, 1, P - 1, Y8, P - Y8}  # y of the eight points of small order


def one_spelling_of_a_key(raw: bytes) -> bool:
    """Tell whether an Ed25519 public key is canonical and has not a small order.

    For a key of small order a stranger makes signatures that some libraries take and others refuse.
    """
    y = int.from_bytes(raw, "little") & ~(1 << 255)  # the top bit is the sign of x
    return y < P and y not in SMALL_ORDER


def has_order_l(raw: bytes) -> bool:
    """Tell whether L times the point of an Ed25519 public key is the neutral one; y is not 1 or -1.

    The ladder of RFC 7748, section 5, on u = (1 + y)/(1 - y); the neutral point has no z. What is no point
    of the curve is one of its twist, whose order L does not divide: it is found out, too.
    """
    y = int.from_bytes(raw, "little") & ~(1 << 255)
    u = (1 + y) * pow(1 - y, -1, P) % P
    one, two = (1, 0), (u, 1)  # multiples of the point, each as x and z; two is one more than one
    for bit in map(int, f"{L:b}"):
        (x2, z2), (x3, z3) = (two, one) if bit else (one, two)
        plus, minus = pow(x2 + z2, 2, P), pow(x2 - z2, 2, P)
        da, cb = (x3 - z3) * (x2 + z2), (x3 + z3) * (x2 - z2)
        double = plus * minus % P, (plus - minus) * (plus + 121665 * (plus - minus)) % P
        total = pow(da + cb, 2, P), u * pow(da - cb, 2, P) % P
        one, two = (total, double) if bit else (double, total)
    return one[1] == 0


class KeySet(NamedTuple):
    """One key set: where it begins, and by algorithm key id, raw key and verifying object."""

    from_tree_size: int
    ids: dict[str, str]
    raw: dict[str, bytes]
    objects: dict[str, Any]

    def verify(self, where: str, alg: str, signature: bytes, message: bytes) -> None:
        """Check one signature."""
        if len(signature) != KEY_BYTES[alg][1]:
            raise Bad(where, f"the {alg} signature has a wrong length")
        try:
            self.objects[alg].verify(signature, message)
        except Exception:  # noqa: BLE001 - any error of the library: the signature did not verify
            raise Bad(where, f"the {alg} signature is wrong") from None

    def verify_both(self, where: str, signatures: Any, message: bytes) -> None:
        """Check an Ed25519 and an ML-DSA-65 signature over one message; one alone is worth nothing."""
        if [signature["alg"] for signature in signatures] != ["ed25519", "ml-dsa-65"]:
            raise Bad(where, "must carry an ed25519 and an ml-dsa-65 signature, in this order")
        for signature in signatures:
            alg = signature["alg"]
            if signature["keyid"] != self.ids[alg]:
                raise Bad(where, f"is not signed by the {alg} key that is in force")
            if not b64(KEY_BYTES[alg][1]).holds(signature["sig"]):
                raise Bad(where, f"the {alg} signature has a wrong length or encoding")
            self.verify(where, alg, base64.b64decode(signature["sig"]), message)


class Keys(NamedTuple):
    """All keys of the log: its name, its id, its key sets, and these as keys.json lists them."""

    origin: str
    log_id: str
    sets: list[KeySet]
    listed: list[Any]

    def at(self, tree_size: int) -> KeySet:
        """Return the set that signs heads of this size."""
        return [keys for keys in self.sets if keys.from_tree_size <= tree_size][-1]


def check_keys(pack: Pack, manifest: Any, pinned: str | None) -> Keys:
    """Check keys.json: that its log_id is the one pinned, and that each set is endorsed by the one before."""
    where = "keys.json"
    value = parse(where, pack.read(where))
    conform(where, value, KEYS_SHAPE)
    sets = value["sets"]
    genesis = sets[0] if sets else {"n": None}
    if genesis["n"] != 0 or genesis["from_tree_size"] != 0 or genesis["endorsement"] is not None:
        raise Bad(where, "the first key set must have n 0, from_tree_size 0 and no endorsement")
    named = canonical({"origin": value["origin"], "keys": genesis["keys"]})
    log_id = hashlib.sha256(b"signet-log-v1\n" + named).hexdigest()
    if value["log_id"] != log_id:
        raise Bad(where, "log_id is not the hash of the first key set")
    if manifest["log_id"] != log_id:
        raise Bad("manifest.json", "log_id is not that of keys.json")
    if pinned is not None and pinned != log_id:
        raise OtherLog(where, f"this is the log {log_id}, not the one given by --log-id")
    keys = Keys(value["origin"], log_id, [], sets)
    for number, listed in enumerate(sets):
        if listed["n"] != number:
            raise Bad(where, f"key set {number} is numbered {listed['n']}")
        keys.sets.append(load_keys(where, listed))
        if number:
            check_endorsement(where, keys, number)
    return keys


def load_keys(where: str, listed: Any) -> KeySet:
    """Check each public key of a set and its keyid."""
    if [key["alg"] for key in listed["keys"]] != list(KEY_BYTES):
        raise Bad(where, f"key set {listed['n']} must hold {', '.join(KEY_BYTES)}, in this order")
    make = load_verifiers()
    keys = KeySet(listed["from_tree_size"], {}, {}, {})
    for key in listed["keys"]:
        alg = key["alg"]
        if not b64(KEY_BYTES[alg][0]).holds(key["public_key"]):
            raise Bad(where, f"the {alg} public key is not base64 of {KEY_BYTES[alg][0]} bytes")
        raw = base64.b64decode(key["public_key"])
        if key["keyid"] != hashlib.sha256(alg.encode() + b"\n" + raw).hexdigest()[:32]:
            raise Bad(where, f"the {alg} keyid is not the hash of its key")
        if alg == "ed25519" and not one_spelling_of_a_key(raw):
            raise Bad(where, "the ed25519 public key is of small order, or not in its one encoding")
        keys.ids[alg], keys.raw[alg] = key["keyid"], raw
        try:
            keys.objects[alg] = make[alg](raw)
        except Exception:  # noqa: BLE001 - a key the library cannot load is a bad key
            raise Bad(where, f"the {alg} public key is not valid") from None
    return keys


def check_endorsement(where: str, keys: Keys, number: int) -> None:
    """Check that key set number follows the one before: the keys of both say so, of all algorithms."""
    before, this, listed = keys.sets[number - 1], keys.sets[number], keys.listed[number]
    if this.from_tree_size <= before.from_tree_size:
        raise Bad(where, f"key set {number} does not begin after the one before")
    if any(key in earlier.raw.values() for earlier in keys.sets[:number] for key in this.raw.values()):
        raise Bad(where, f"key set {number} holds a key of an earlier set")
    if listed["endorsement"] is None:
        raise Bad(where, f"key set {number} has no endorsement")
    conform(where, listed["endorsement"], ENDORSEMENT_SHAPE, f"the endorsement of key set {number}")
    step: dict[str, Any] = {"log_id": keys.log_id, "from_tree_size": this.from_tree_size}
    for side, n in (("previous", number - 1), ("next", number)):
        digest = hashlib.sha256(canonical(keys.listed[n]["keys"])).hexdigest()
        step[side] = {"n": n, "keys_sha256": digest}
    message = b"signet-key-endorsement-v1\n" + canonical(step)
    before.verify_both(where, listed["endorsement"]["previous"], message)
    this.verify_both(where, listed["endorsement"]["next"], message)


# --- Manifest and members -----------------------------------------------------------------------


def check_manifest(pack: Pack) -> Any:
    """Check manifest.json against the zip: names, order and sizes; hashes while members are read."""
    where = "manifest.json"
    manifest = parse(where, pack.read(where))
    needs = manifest.get("needs") if type(manifest) is dict else None
    if type(needs) is int and needs > NEWEST_PACK:
        raise Bad(where, f"needs a checker of version {needs}, which is newer than this one")
    second = type(manifest) is dict and manifest.get("v") == NEWEST_PACK
    conform(where, manifest, MANIFEST_2_SHAPE if second else MANIFEST_SHAPE)
    names = [entry["name"] for entry in manifest["files"]]
    check_names(manifest["date"], names, list(pack.members), transcripts=second)
    for entry in manifest["files"]:
        name = entry["name"]
        streamed = name.endswith(".jsonl") or name.startswith("policy/")
        if entry["size"] > MEMBER_LIMIT and not streamed:
            raise Bad(name, f"is larger than {MEMBER_LIMIT} bytes")
        if pack.members[name].size != entry["size"]:
            raise Bad(name, "does not have the size in the manifest")
        pack.sha256[name] = entry["sha256"]
    return manifest


def check_rest(pack: Pack) -> None:
    """Check the hashes of the members that no other check has read."""
    for name in pack.members.keys() - pack.matched:
        for _chunk in pack.chunks(name):
            pass


def check_names(date: str, listed: list[str], zipped: list[str], *, transcripts: bool) -> None:
    """Check that manifest and zip hold the members of a pack, in order, and no others."""
    heads = [name for name in listed if re.fullmatch(r"sth/\d{4}-\d\d-\d\d\.json", name, re.ASCII)]
    if max(heads, default="") > f"sth/{date}.json":
        raise Bad("manifest.json", f"has the date {date}, but the newest head is {max(heads)}")
    expected = expected_names(date, heads, listed, transcripts=transcripts)
    wanted, named, held = set(expected), set(listed), set(zipped)
    for names, reason in (
        (wanted - named, "is missing"),
        (named - wanted, "is listed in the manifest, but has no place in a pack"),
        (named - held, "is listed in the manifest, but is not in the zip"),
        (held - named - {"manifest.json"}, "is in the zip, but not in the manifest"),
    ):
        if names:
            raise Bad(min(names), reason)
    if ["manifest.json", *listed] != zipped:
        raise Bad("manifest.json", "lists a member twice, or not in the order of the zip")
    for name, other in zip(listed, expected, strict=True):
        if name != other:
            raise Bad(name, "is not in its place in a pack")


def expected_names(date: str, heads: list[str], names: list[str], *, transcripts: bool) -> list[str]:
    """Return the members a pack of this date must have, given its heads and the optional ones among names."""
    heads = sorted(heads)
    policy = sorted(name for name in names if re.fullmatch(r"policy/[0-9a-f]{64}/.+", name))
    evidence = sorted(name for name in names if re.fullmatch(r"evidence/[0-9a-f]{64}", name))
    signed = sorted(name for name in names if transcripts and re.fullmatch(r"transcripts/[0-9a-f]{32}", name))
    inclusion = ["proofs/inclusion.jsonl"] if "proofs/inclusion.jsonl" in names else []
    if not heads or heads[-1] != f"sth/{date}.json":
        heads = [f"sth/{date}.json"]
    return [
        *("receipts.jsonl", "sth.json", *heads),
        *("proofs/range.json", "proofs/consistency.json", *inclusion),
        *("keys.json", "checkpoint", *policy, *evidence, *signed, "VERIFY.md", "verify.py"),
    ]


# --- Tree heads ---------------------------------------------------------------------------------


def check_heads(pack: Pack, manifest: Any, keys: Keys) -> tuple[Any, Any, list[tuple[int, bytes]]]:
    """Check every head and the chain they form.

    Return the head of the day, the one before or None, and (size, root) of the trees of all.
    """
    before: Any = None
    previous: Any = None
    digest: str | None = None
    trees: list[tuple[int, bytes]] = []
    data = b""
    for name in [name for name in pack.members if name.startswith("sth/")]:
        data = pack.read(name)
        head = parse(name, data)
        conform(name, head, HEAD_SHAPE)
        if name != f"sth/{head['date']}.json":
            raise Bad(name, f"is the head of another day, {head['date']}")
        check_head(name, head, keys)
        follow(name, head, previous, digest)
        trees.append((head["tree_size"], base64.b64decode(head["root_hash"])))
        before, previous, digest = previous, head, hashlib.sha256(data).hexdigest()
    if pack.read("sth.json") != data:
        raise Bad("sth.json", f"is not the same as sth/{manifest['date']}.json")
    if keys.sets[-1].from_tree_size > previous["tree_size"]:
        raise Bad("keys.json", "has a key set that begins beyond the day's tree")
    return previous, before, trees


def check_head(where: str, head: Any, keys: Keys) -> None:
    """Check one head by itself: identity, sizes, both signatures."""
    if head["log_id"] != keys.log_id:
        raise Bad(where, "is the head of another log")
    if head["tree_size"] < head["first_leaf"]:
        raise Bad(where, "first_leaf is beyond tree_size")
    chains = head["chains"]
    if [chain["id"] for chain in chains] != list(range(len(chains))) or not chains:
        raise Bad(where, "chains must be numbered 0, 1, 2 and so on")
    if sum(chain["next_seq"] for chain in chains) != head["tree_size"]:
        raise Bad(where, "the chains do not hold as many receipts as the tree")
    if sum(chain["first_seq"] for chain in chains) != head["first_leaf"]:
        raise Bad(where, "the chains do not start where the day starts")
    check_totals(where, head["emitters"], head["tree_size"] - head["first_leaf"])
    if head["tree_size"] == 0 and base64.b64decode(head["root_hash"]) != EMPTY_ROOT:
        raise Bad(where, "the root of the empty tree is wrong")
    unsigned = {name: value for name, value in head.items() if name != "signatures"}
    message = b"signet-sth-v1\n" + canonical(unsigned)
    keys.at(head["tree_size"]).verify_both(where, head["signatures"], message)


def check_totals(where: str, emitters: Any, receipts: int) -> None:
    """Check that a day with so many receipts may have such emitters."""
    if emitters["decisions"] > receipts:
        raise Bad(where, "emitters counts more decisions than the day has receipts")
    if emitters["count"] > emitters["decisions"]:
        raise Bad(where, "emitters counts more emitters than decisions")
    if emitters["count"] == emitters["decisions"] and emitters["missing"]:
        raise Bad(where, "emitters has gaps, but no emitter has two decisions for one to lie between")
    none = {"count": 0, "decisions": 0, "missing": 0, "sha256": NO_ACCOUNTS}
    if emitters != none and any(emitters[name] == none[name] for name in ("count", "decisions", "sha256")):
        raise Bad(where, "emitters says both that there are some and that there are none")


def follow(where: str, head: Any, previous: Any, digest: str | None) -> None:
    """Check that a head follows the previous final one (None: that it is the first)."""
    if head["prev_sth_sha256"] != digest:
        raise Bad(where, "prev_sth_sha256 is not the hash of the previous day's head")
    if head["first_leaf"] != (previous["tree_size"] if previous else 0):
        raise Bad(where, "first_leaf is not the previous day's tree_size")
    follow_chains(where, head, previous)
    if previous is None:
        return
    tomorrow = dt.date.fromisoformat(previous["date"]) + dt.timedelta(days=1)
    if head["date"] != tomorrow.isoformat():
        raise Bad(where, f"does not follow {previous['date']}: a day is missing")
    if head["timestamp"] < previous["timestamp"]:
        raise Bad(where, "was signed before the previous day's head")
    if head["tree_size"] == previous["tree_size"] and head["root_hash"] != previous["root_hash"]:
        raise Bad(where, "has the previous day's tree_size and another root")


def follow_chains(where: str, head: Any, previous: Any) -> None:
    """Check that every chain goes on where the previous final head left it."""
    old = {chain["id"]: chain for chain in previous["chains"]} if previous else {}
    if previous and len(old) != len(head["chains"]):
        raise Bad(where, "has other chains than the day before")
    for chain in head["chains"]:
        last = old.get(chain["id"], {"next_seq": 0, "head": ZERO_HASH})
        if chain["first_seq"] != last["next_seq"] or chain["next_seq"] < chain["first_seq"]:
            raise Bad(where, f"chain {chain['id']} does not continue the previous day")
        if chain["next_seq"] == chain["first_seq"] and chain["head"] != last["head"]:
            raise Bad(where, f"chain {chain['id']} has a new head without new receipts")


# --- Receipts -----------------------------------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
    """RFC 9162 section 2.1.1."""
    return hashlib.sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162 section 2.1.1."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """A tree that grows by leaves and remembers the roots of its perfect subtrees only."""

    def __init__(self, size: int, roots: list[bytes]) -> None:
        """Start with a tree of size leaves, given as perfect subtrees, largest first."""
        self.stack = roots
        self.widths = [1 << bit for bit in range(size.bit_length() - 1, -1, -1) if size >> bit & 1]

    def add(self, leaf: bytes) -> None:
        """Append a leaf hash."""
        width = 1
        while self.widths and self.widths[-1] == width:
            leaf = node_hash(self.stack.pop(), leaf)
            width += self.widths.pop()
        self.stack.append(leaf)
        self.widths.append(width)

    def root(self) -> bytes:
        """Return the root over all leaves so far."""
        if not self.stack:
            return EMPTY_ROOT
        return functools.reduce(lambda right, left: node_hash(left, right), reversed(self.stack))


class Noted:
    """How many receipts something was found in, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first = ""

    def add(self, where: str) -> None:
        """Take in the next one."""
        self.first = self.first or where
        self.count += 1


class Day:
    """What the day's receipts add up to."""

    def __init__(self, head: Any, before: Any, keys: Keys, tree: Tree, evidence: set[str]) -> None:
        """Start where the previous final head ended."""
        heads = {chain["id"]: chain["head"] for chain in before["chains"]} if before else {}
        self.date: str = head["date"]
        self.tree = tree
        self.count = 0
        self.seqs = [chain["first_seq"] for chain in head["chains"]]
        self.prevs = [heads.get(chain["id"], ZERO_HASH) for chain in head["chains"]]
        self.times = [""] * len(self.seqs)
        self.ids: set[int] = set()
        self.leaves: list[tuple[str, bytes]] = []  # for the inclusion proofs, while they are due
        # Of each emitter its numbers, and the lines they are in.
        self.emitters: dict[str, tuple[array[int], array[int]]] = defaultdict(
            lambda: (array("Q"), array("I"))
        )
        self.summaries = 0
        self.summarised: dict[str, int] = {}  # refusals in summaries, by reason
        # Of each emitter: smallest and largest number of a decision with what it had folded; in summaries.
        self.folded: dict[str, list[Any]] = defaultdict(lambda: [None, None, 0])
        self.nonces: set[int] = set()  # of what was allowed
        self.bundles = defaultdict(Noted, {head["policy_bundle_sha256"]: Noted()})  # and what names each
        self.announced: set[str] = {head["policy_bundle_sha256"]}
        self.apart = Noted()
        self.decisions: dict[str, int] = {}
        self.allowed: dict[int, int] = defaultdict(int)  # by version of the receipt
        self.apis: dict[str, dict[str, int]] = {}  # the same by API, of those that name theirs
        self.registered: dict[str, tuple[Any, ...]] = {}  # what each api.added of the day says, by its id
        self.called: dict[tuple[Any, ...], str] = {}  # what decisions say of their API, and the first of each
        self.erased = False  # whether a receipt says that transcripts were
        self.unnamed = evidence  # digests of the pack's evidence that no receipt has named yet
        # The key sets that begin in this day, each of which has one leaf; what has had its leaf is taken out.
        self.rotations = [
            item for item in keys.listed if head["first_leaf"] < item["from_tree_size"] <= head["tree_size"]
        ]

    def add(self, where: str, line: bytes) -> None:
        """Check the next receipt and take it in."""
        if len(line) > LINE_LIMIT:
            raise Bad(where, f"is longer than {LINE_LIMIT} bytes")
        facts = read_decision(where, line) or self._parsed(where, parse(where, line))
        self._link(where, facts, line)
        self.count += 1
        leaf = leaf_hash(line)
        self.tree.add(leaf)
        if self.count <= INCLUSION_LIMIT:
            self.leaves.append((facts.id, leaf))
        if facts.emitter:
            numbers, lines = self.emitters[facts.emitter]
            numbers.append(facts.n)
            lines.append(self.count)
        if facts.reason:
            self._account(where, facts)
            self._compare_times(where, facts)

    def _parsed(self, where: str, receipt: Any) -> Facts:
        """Check a receipt that is not in the usual form; of other types than decisions reason is empty."""
        kind, v = (receipt.get("type"), receipt.get("v")) if type(receipt) is dict else (None, None)
        if type(v) is int and v > NEWEST:
            raise Bad(where, f"is of version {v}, which this checker does not know: a newer one is needed")
        if kind == "pch.decision":
            return parse_decision(where, receipt)
        second = type(v) is int and v == NEWEST
        if type(kind) is not str or kind not in (EVENT_2_SHAPES if second else OTHER_TYPES):
            raise Bad(where, f"has an unknown type: {str(kind)[:40]!r}")
        if second:
            conform(where, receipt, EVENT_2_SHAPES[kind])
        else:
            conform(where, {name: receipt.get(name) for name in COMMON_SHAPE}, COMMON_SHAPE)
        free_form(where, receipt)
        if kind == "key.rotated":
            self._rotated(where, receipt)
        if kind == "api.added":
            api = receipt["api"]
            self.registered[receipt["id"]] = (receipt["name"], api["id"], api["stage"], api["kind"])
        self.erased |= kind == "transcript.erased"
        if second and kind == "refusals.summary":
            self.summaries += 1
            for reason, number in receipt["counts"].items():
                self.summarised[reason] = self.summarised.get(reason, 0) + number
                self.folded[receipt["emitter"]["id"]][2] += number
        change = receipt.get("change") if kind == "policy.changed" else None
        if type(change) is dict:
            self.announced |= {change[end] for end in ("from", "to") if hex64.holds(change.get(end))}
        link = {name: receipt["chain"][name] for name in ("seq", "prev", "recorded_at")}
        numbered = second and kind in ("refusals.summary", "emitter.ended")
        emitter = {"emitter": receipt["emitter"]["id"], "n": receipt["emitter"]["n"]} if numbered else {}
        return Facts(chain=receipt["chain"]["id"], id=receipt["id"], **link, **emitter)

    def _rotated(self, where: str, receipt: Any) -> None:
        """Check that the leaf of a rotation says what keys.json says, in the day in which it took place."""
        if receipt["v"] == 1:
            conform(where, receipt, ROTATION_SHAPE)
        said = canonical(receipt["set"])
        left = [item for item in self.rotations if canonical(item) != said]
        if len(left) == len(self.rotations):
            raise Bad(where, "is not the one leaf of a key set of keys.json that begins in this day")
        self.rotations = left

    def _account(self, where: str, facts: Facts) -> None:
        """Count a decision, and hold its members against each other."""
        if DECISION_OF[facts.reason] != facts.decision:
            raise Bad(where, f"the reason {facts.reason} does not belong to the decision {facts.decision}")
        if (reason := contradiction(facts)) is not None:
            raise Bad(where, reason)
        if facts.decision == "allow" and facts.nonce is not None:
            nonce = int(facts.nonce, 16)
            if nonce in self.nonces:
                raise Bad(where, "allows a nonce that an earlier receipt has allowed")
            self.nonces.add(nonce)
        self.allowed[facts.v] += facts.decision == "allow"
        self.decisions[facts.reason] = self.decisions.get(facts.reason, 0) + 1
        if facts.v != 1:
            api = "an API that is not known" if facts.api is None else f"API {facts.api[:NAME_LIMIT]}"
            counted = self.apis.setdefault(api, {})
            counted[facts.reason] = counted.get(facts.reason, 0) + 1
        if facts.registration is not None:
            said = (facts.api, facts.api_id, facts.api_stage, facts.api_kind)
            self.called.setdefault((facts.registration, *said), where)
        if facts.v != 1:
            known, now = self.folded[facts.emitter], (facts.n, facts.folded)
            known[0], known[1] = min(known[0] or now, now), max(known[1] or now, now)
        if facts.bundle is not None:
            self.bundles[facts.bundle].add(where)
        self.unnamed.discard(facts.evidence or "")

    def _compare_times(self, where: str, facts: Facts) -> None:
        """Note a decision that was recorded before it was made, or long after."""
        decided, recorded = facts.decided_at, facts.recorded_at
        if decided[:10] == recorded[:10] and decided <= recorded:
            return  # what nearly all are
        if not -CLOCKS_APART_MS <= milliseconds(recorded) - milliseconds(decided) <= UNDER_WAY_MS:
            self.apart.add(where)

    def _link(self, where: str, facts: Facts, line: bytes) -> None:
        """Check the chain link against the very bytes that are the leaves."""
        number = int(facts.id.replace("-", ""), 16)
        if number in self.ids:
            raise Bad(where, "has the id of an earlier receipt")
        self.ids.add(number)
        chain = int.from_bytes(hashlib.sha256(facts.id.encode()).digest()[:8], "big") % len(self.seqs)
        if facts.chain != chain:
            raise Bad(where, f"is in chain {facts.chain}, but its id belongs to chain {chain}")
        if facts.seq != self.seqs[chain]:
            raise Bad(where, f"has seq {facts.seq}, but chain {chain} continues with {self.seqs[chain]}")
        if facts.prev != self.prevs[chain]:
            raise Bad(where, "prev is not the hash of the receipt before it in its chain")
        if facts.recorded_at[:10] != self.date:
            raise Bad(where, f"was recorded at {facts.recorded_at}, outside the day")
        if facts.recorded_at < self.times[chain]:
            raise Bad(where, "was recorded before the receipt before it in its chain")
        self.seqs[chain] += 1
        self.prevs[chain] = base64.b64encode(hashlib.sha256(line).digest()).decode()
        self.times[chain] = facts.recorded_at


def start_tree(pack: Pack, head: Any, before: Any) -> Tree:
    """Check proofs/range.json; the subtrees in it must be those of the previous head's tree."""
    where = "proofs/range.json"
    value = parse(where, pack.read(where))
    shape = {"v": one_of(1), "first_leaf": count, "tree_size": count, "left": [hash64]}
    conform(where, value, shape)
    if (value["first_leaf"], value["tree_size"]) != (head["first_leaf"], head["tree_size"]):
        raise Bad(where, "is not for the leaves of sth.json")
    if len(value["left"]) != head["first_leaf"].bit_count():
        raise Bad(where, "has a wrong number of hashes")
    tree = Tree(head["first_leaf"], [base64.b64decode(item) for item in value["left"]])
    if before and tree.root() != base64.b64decode(before["root_hash"]):
        raise Bad(where, "does not lead to the root of the previous day's head")
    return tree


def check_receipts(pack: Pack, head: Any, before: Any, keys: Keys) -> Day:
    """Check every receipt, and that chains and tree end as the head says."""
    evidence = {name[9:] for name in pack.members if name.startswith("evidence/")}
    day_of_receipts = Day(head, before, keys, start_tree(pack, head, before), evidence)
    for where, line in pack.lines("receipts.jsonl"):
        day_of_receipts.add(where, line)
    held = head["tree_size"] - head["first_leaf"]
    if day_of_receipts.count != held:
        raise Bad("receipts.jsonl", f"holds {day_of_receipts.count} receipts, the head of the day {held}")
    for chain in head["chains"]:
        number = chain["id"]
        if (chain["next_seq"], chain["head"]) != (
            day_of_receipts.seqs[number],
            day_of_receipts.prevs[number],
        ):
            raise Bad("receipts.jsonl", f"chain {number} does not end where sth.json says")
    if day_of_receipts.tree.root() != base64.b64decode(head["root_hash"]):
        raise Bad("receipts.jsonl", "the receipts do not lead to the root of sth.json")
    if day_of_receipts.rotations:
        number = day_of_receipts.rotations[0]["n"]
        raise Bad("receipts.jsonl", f"key set {number} begins in this day, but no receipt records it")
    return day_of_receipts


# --- Proofs -------------------------------------------------------------------------------------


def split(size: int) -> int:
    """Return the largest power of two below size (RFC 9162 section 2.1.1)."""
    return 1 << (size - 1).bit_length() - 1


def root_by_inclusion(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes | None:
    """Return the root that PATH (RFC 9162 section 2.1.3.1) leads to, or None if it does not fit."""
    if size == 1:
        return None if proof else leaf
    if not proof:
        return None
    left = split(size)
    if index < left:
        below = root_by_inclusion(leaf, index, left, proof[:-1])
        return below and node_hash(below, proof[-1])
    below = root_by_inclusion(leaf, index - left, size - left, proof[:-1])
    return below and node_hash(proof[-1], below)


def roots_by_consistency(size1: int, size2: int, proof: list[bytes], known: bytes | None) -> list[bytes]:
    """Return both roots that SUBPROOF (RFC 9162 section 2.1.4.1) leads to; empty if it does not fit.

    known is the first root while the subtree is still the whole first tree (the RFC's b).
    """
    if size1 == size2:
        if known is not None:
            return [] if proof else [known, known]
        return proof * 2 if len(proof) == 1 else []
    if not proof:
        return []
    left, side = split(size2), proof[-1]
    if size1 <= left:
        roots = roots_by_consistency(size1, left, proof[:-1], known)
        return roots and [roots[0], node_hash(roots[1], side)]
    roots = roots_by_consistency(size1 - left, size2 - left, proof[:-1], None)
    return [node_hash(side, root) for root in roots]


def check_consistency(pack: Pack, trees: list[tuple[int, bytes]]) -> None:
    """Check proofs/consistency.json: the tree of each final head is a prefix of the next one's."""
    where = "proofs/consistency.json"
    value = parse(where, pack.read(where))
    conform(where, value, {"v": one_of(1), "proofs": [{"size1": count, "size2": count, "proof": [hash64]}]})
    steps = list(itertools.pairwise(trees))
    if [(item["size1"], item["size2"]) for item in value["proofs"]] != [(a[0], b[0]) for a, b in steps]:
        raise Bad(where, "does not go from each head to the next")
    for item, ((size1, root1), (size2, root2)) in zip(value["proofs"], steps, strict=True):
        proof = [base64.b64decode(text) for text in item["proof"]]
        if size1 in (0, size2):
            if proof:
                raise Bad(where, f"must prove nothing from {size1} to {size2} leaves")
        elif roots_by_consistency(size1, size2, proof, root1) != [root1, root2]:
            raise Bad(where, f"does not prove that the tree of {size1} is a prefix of that of {size2} leaves")


def check_inclusion(pack: Pack, head: Any, receipts: Day) -> None:
    """Check proofs/inclusion.jsonl: one proof per receipt, in leaf order, for small days only."""
    where = name = "proofs/inclusion.jsonl"
    if receipts.count > INCLUSION_LIMIT:
        if name in pack.members:
            raise Bad(name, f"must not be there for more than {INCLUSION_LIMIT} receipts")
        return
    size, root, index = head["tree_size"], base64.b64decode(head["root_hash"]), head["first_leaf"]
    leaves = iter(receipts.leaves)
    for where, line in pack.lines(name):
        value = parse(where, line)
        conform(where, value, {"id": text, "leaf_index": count, "proof": [hash64]})
        expected = next(leaves, None)
        if expected is None or (value["id"], value["leaf_index"]) != (expected[0], index):
            raise Bad(where, "is not the proof of the receipt in its place")
        proof = [base64.b64decode(item) for item in value["proof"]]
        if root_by_inclusion(expected[1], index, size, proof) != root:
            raise Bad(where, "does not lead to the root of sth.json")
        index += 1
    if index != size:
        raise Bad(name, f"has {index - head['first_leaf']} proofs for {receipts.count} receipts")


# --- Checkpoint, emitters, policy ---------------------------------------------------------------


def check_checkpoint(pack: Pack, head: Any, keys: Keys) -> None:
    """Check that the C2SP checkpoint is of the head's tree, and both its signatures."""
    where = "checkpoint"
    try:
        lines = pack.read(where).decode().split("\n")
    except UnicodeDecodeError:
        raise Bad(where, "is not UTF-8") from None
    form = len(lines) == CHECKPOINT_LINES and lines[0] == keys.origin and lines[3] == lines[6] == ""
    if not form:
        raise Bad(where, "is not a checkpoint of this log with two signatures")
    size, root = head["tree_size"], base64.b64decode(head["root_hash"])
    if (lines[1], lines[2]) != (str(size), head["root_hash"]):
        raise Bad(where, "is not of the tree of sth.json")
    note = "\n".join(lines[:3]) + "\n"
    name, signing = keys.origin.encode(), keys.at(size)
    signed = note_signature(lines[4], keys.origin, signing, "ed25519")
    signing.verify("checkpoint:5", "ed25519", signed, note.encode())
    signed = note_signature(lines[5], keys.origin, signing, "ml-dsa-44")
    stamp, signature = signed[:8], signed[8:]
    if stamp[0] >> 7:
        raise Bad("checkpoint:6", "names a time that is out of range")
    message = b"subtree/v1\n\0" + bytes([len(name)]) + name + stamp
    message += bytes([len(name)]) + name + struct.pack(">QQ", 0, size) + root
    signing.verify("checkpoint:6", "ml-dsa-44", signature, message)


def note_signature(line: str, origin: str, keys: KeySet, alg: str) -> bytes:
    """Return the bytes after the key id of one signature line of a C2SP signed note."""
    kind, extra = {"ed25519": (b"\x01", 0), "ml-dsa-44": (b"\x06", 8)}[alg]  # type; bytes of its time
    where = f"checkpoint:{5 if alg == 'ed25519' else 6}"
    prefix = f"\N{EM DASH} {origin} "
    blob = line.removeprefix(prefix)
    if not line.startswith(prefix) or not b64(4 + extra + KEY_BYTES[alg][1]).holds(blob):
        raise Bad(where, f"is not an {alg} signature line of this log")
    key_id = hashlib.sha256(origin.encode() + b"\n" + kind + keys.raw[alg]).digest()[:4]
    data = base64.b64decode(blob)
    if data[:4] != key_id:
        raise Bad(where, f"names another key than the {alg} key that is in force")
    return data[4:]


def check_day(head: Any, asked: str) -> None:
    """Check that the pack is of the day that was asked for; the day is what the signed head says."""
    if head["date"] != asked:
        raise Bad("sth.json", f"is the head of {head['date']}, not of {asked}, the day given by --date")


def check_emitters(head: Any, receipts: Day) -> list[tuple[str, int, int]]:
    """Recompute the accounts that sth.json names from the receipts; return their gaps."""
    accounts = {}
    decisions = missing = 0
    notes: list[tuple[str, int, int]] = []
    for emitter, (numbers, _lines) in sorted(receipts.emitters.items()):
        ordered = sorted(numbers)
        gaps = [[a + 1, b - 1] for a, b in itertools.pairwise(ordered) if b - a > 1]
        accounts[emitter] = {"count": len(ordered), "first": ordered[0], "last": ordered[-1], "gaps": gaps}
        decisions += len(ordered)
        missing += sum(b - a + 1 for a, b in gaps)
        notes += [(emitter, a, b) for a, b in gaps]
    found = {
        "count": len(accounts),
        "decisions": decisions,
        "missing": min(missing, MAX_INTEGER),
        "sha256": hashlib.sha256(canonical(accounts)).hexdigest(),
    }
    for name, value in found.items():
        if head["emitters"][name] != value:
            raise Bad("sth.json", f"emitters.{name} is not what the receipts add up to")
    return notes


def check_policy(pack: Pack, receipts: Day) -> list[str]:
    """Check the policy files against the hash they are filed under; return the bundles without files."""
    bundles: dict[str, Any] = {}
    for name in (name for name in pack.members if name.startswith("policy/")):
        _, digest, file = name.split("/", 2)
        if digest not in receipts.bundles:
            raise Bad(name, "belongs to a policy that nothing in this pack names")
        bundle = bundles.setdefault(digest, hashlib.sha256())
        bundle.update(file.encode() + b"\0" + str(pack.members[name].size).encode() + b"\0")
        for chunk in pack.chunks(name):
            bundle.update(chunk)
    for digest, bundle in bundles.items():
        if bundle.hexdigest() != digest:
            raise Bad(f"policy/{digest}", "the files do not have the hash they are filed under")
    return sorted(receipts.bundles.keys() - bundles.keys())


def check_registrations(receipts: Day) -> None:
    """Check that a decision's registration, if it is a receipt of this day, is of the API it says."""
    for (registration, *said), where in receipts.called.items():
        known = receipts.registered.get(registration)
        if known is None and int(registration.replace("-", ""), 16) in receipts.ids:
            raise Bad(where, "names as registration of its API a receipt that is no api.added")
        if known is not None and known != tuple(said):
            raise Bad(where, "names a registration of another API than its own")


def check_evidence(pack: Pack, receipts: Day) -> None:
    """Check that evidence has the hash it is named by, and that a receipt of the day names it."""
    for name in (name for name in pack.members if name.startswith("evidence/")):
        if pack.sha256[name] != name[9:]:  # to which the bytes are held when they are read
            raise Bad(name, "does not have the hash it is named by")
        if name[9:] in receipts.unnamed:
            raise Bad(name, "is evidence that no receipt of the day names")


# --- What callers signed ------------------------------------------------------------------------

CURVE_KEY = 65  # bytes of a P-256 public key, uncompressed
UNCOMPRESSED = 4  # its first byte
keyid_text = pattern(r"[A-Za-z0-9._:+/=@-]{1,128}")
COMPOSITES = {
    "ed25519+ml-dsa-65": ("ed25519", b"COMPSIG-MLDSA65-Ed25519-SHA512"),
    "ecdsa-p256+ml-dsa-65": ("ecdsa-p256", b"COMPSIG-MLDSA65-ECDSA-P256-SHA512"),
}
PARAMETER = re.compile(r';(created|expires)=([0-9]+)|;(nonce|keyid|alg|tag)="([^"\\]*)"')


class Caller(NamedTuple):
    """A caller's public key: name of its suite, and raw bytes."""

    alg: str
    raw: bytes

    def signed(self, base: bytes, signature: bytes, *, classical: bool) -> bool:
        """Tell whether this caller signed a base; classical: of two signatures only the second counts."""
        if self.alg not in COMPOSITES:
            return one_signature(self.alg, self.raw, base, signature)
        second, label = COMPOSITES[self.alg]
        context = b"signet-pch-v1" + hashlib.sha256(self.raw).digest()
        domain = b"CompositeAlgorithmSignatures2025" + label
        message = domain + bytes([len(context)]) + context + hashlib.sha512(base).digest()
        key_at, signature_at = KEY_BYTES["ml-dsa-65"]
        half = one_signature(second, self.raw[key_at:], message, signature[signature_at:])
        if classical:
            return half
        first = self.raw[:key_at], message, signature[:signature_at]
        return half and one_signature("ml-dsa-65", *first, context=label)


def one_signature(alg: str, raw: bytes, message: bytes, signature: bytes, context: bytes = b"") -> bool:
    """Tell whether one signature of one algorithm verifies; every error of the library says no."""
    try:
        if alg not in ("ed25519", "ml-dsa-65"):
            verify_on_curve(alg, raw, message, signature)
            return True
        fits = len(signature) == KEY_BYTES[alg][1] and (alg != "ed25519" or one_spelling_of_a_key(raw))
        key = load_verifiers()[alg](raw)
        key.verify(signature, message, *((context,) if context else ()))
    except Exception:  # noqa: BLE001 - any error of the library: it does not verify
        return False
    return fits


def verify_on_curve(alg: str, raw: bytes, message: bytes, signature: bytes) -> None:
    """Raise unless an ECDSA signature on P-256 verifies; of its own suite it is r and s, else DER."""
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415 - as in load_verifiers
    from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415

    if len(raw) != CURVE_KEY or alg not in ("ecdsa-p256", "ecdsa-p256-sha256"):
        raise ValueError("no key of this suite")
    if alg == "ecdsa-p256-sha256":
        half = CURVE_KEY // 2
        if len(signature) != 2 * half:
            raise ValueError("no signature of this suite")
        pair = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
        signature = utils.encode_dss_signature(*pair)
    elif utils.encode_dss_signature(*utils.decode_dss_signature(signature)) != signature:
        raise ValueError("another encoding")
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    key.verify(signature, message, ec.ECDSA(hashes.SHA256()))


def read_callers(data: bytes) -> dict[str, Caller]:
    """Return the keys in a file of callers' keys, by key id; raises an error of many kinds if it is none."""
    found: dict[str, Caller] = {}
    rows = json.loads(data)
    if type(rows) is not list:
        raise ValueError("not an array")
    for row in rows:
        keyid, alg, raw = row["keyid"], row["alg"], row["public_key"]
        if not keyid_text.holds(keyid) or keyid in found or alg not in SUITES or not bytes64.holds(raw):
            raise ValueError("an entry that is none, or a key id that is there twice")
        found[keyid] = Caller(alg, base64.b64decode(raw))
        check_key(*found[keyid])
    return found


def check_key(alg: str, raw: bytes) -> None:
    """Raise ValueError for a key that no caller may have: malformed, or one a stranger can sign for."""
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - as in load_verifiers

    if alg in COMPOSITES:
        at = KEY_BYTES["ml-dsa-65"][0]
        check_key("ml-dsa-65", raw[:at])
        check_key(COMPOSITES[alg][0], raw[at:])
    elif alg in KEY_BYTES:
        if len(raw) != KEY_BYTES[alg][0]:
            raise ValueError("another length")
        if alg == "ed25519" and not (one_spelling_of_a_key(raw) and has_order_l(raw)):
            raise ValueError("no point, or one of small or mixed order")
        if alg == "ml-dsa-65" and not any(raw[32:]):
            raise ValueError("its vector t1 is zero")
    elif len(raw) != CURVE_KEY or raw[0] != UNCOMPRESSED:
        raise ValueError("another form")
    else:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)


def check_callers(pack: Pack, receipts: Day, callers: dict[str, Caller]) -> dict[str, int]:
    """Hold each transcript to its receipt, and its signature to the caller's key; count what is allowed."""
    names = {name[12:] for name in pack.members if name.startswith("transcripts/")}
    if not names and not receipts.erased:
        return {"no_commitment": receipts.allowed[1], "no_transcript": receipts.allowed[2]}
    signed = Signed(pack, names, callers)
    for where, line in pack.lines("receipts.jsonl"):
        signed.add(where, _decode_known(line.decode()))
    for name in sorted(names):
        if signed.left.get(name) != 0:
            raise Bad(f"transcripts/{name}", "holds transcripts of receipts that do not name it")
    gone = len(signed.without & signed.erased)
    signed.counts["no_commitment"] = receipts.allowed[1]
    signed.counts["erased"] = gone
    signed.counts["no_transcript"] -= gone
    return signed.counts


class Signed:
    """What callers signed, receipt by receipt."""

    def __init__(self, pack: Pack, names: set[str], callers: dict[str, Caller]) -> None:
        self.pack = pack
        self.names = names
        self.callers = callers
        self.left: dict[str, int] = {}  # transcripts of each object that no receipt has named yet
        self.reads: dict[str, int] = defaultdict(int)  # of each object
        self.held: tuple[str, dict[str, bytes]] = ("", {})  # the object at hand
        self.counts: dict[str, int] = defaultdict(int)
        self.without: set[str] = set()
        self.erased: set[str] = set()

    def add(self, where: str, receipt: Any) -> None:
        """Take the next receipt, which was checked before."""
        if receipt["type"] == "transcript.erased" and receipt["v"] != 1:
            self.erased.update(receipt["receipts"])
        if receipt["type"] != "pch.decision" or receipt["v"] == 1 or receipt["transcript_sha256"] is None:
            return
        transcript = self.find(receipt["chain"]["transcripts"], receipt["id"])
        found = "no_transcript" if transcript is None else judge(where, transcript, receipt, self.callers)
        if receipt["decision"] == "allow":
            self.counts[found] += 1
            if transcript is None:
                self.without.add(receipt["id"])

    def find(self, name: str | None, receipt: str) -> bytes | None:
        """Take a receipt's transcript out of its object, if it is there."""
        if name is None or name not in self.names or self.left.get(name) == 0:
            return None
        if name != self.held[0]:
            self.reads[name] += 1
            if self.reads[name] > READS_LIMIT:
                raise Bad(f"transcripts/{name}", "is named by receipts that lie too far apart")
            self.held = name, transcripts_of(self.pack, f"transcripts/{name}")
            self.left.setdefault(name, len(self.held[1]))
        found = self.held[1].pop(receipt, None)
        self.left[name] -= found is not None
        return found


def transcripts_of(pack: Pack, name: str) -> dict[str, bytes]:
    """Return the transcripts in one object, by the receipt's id."""
    found: dict[str, bytes] = {}
    last = ""
    data = pack.read(name)
    if not data.endswith(b"\n"):
        raise Bad(name, "does not end with a newline")
    for line in data.split(b"\n")[:-1]:
        key = line[7:43].decode("ascii", "replace")
        start = f'{{"id":"{key}","transcript":{{'.encode()
        if not re.fullmatch("[0-9a-f-]{36}", key) or not line.startswith(start) or line[-2:] != b"}}":
            raise Bad(name, "has a line that is no transcript")
        if len(line) - len(start) > TRANSCRIPT_LIMIT:
            raise Bad(name, f"has a transcript of more than {TRANSCRIPT_LIMIT} bytes")
        if key <= last:
            raise Bad(name, "has its lines out of order")
        found[key] = line[len(start) - 1 : -1]
        last = key
    return found


def judge(where: str, transcript: bytes, receipt: Any, callers: dict[str, Caller]) -> str:
    """Hold one transcript to its receipt; return what it counts as."""
    if hashlib.sha256(transcript).hexdigest() != receipt["transcript_sha256"]:
        raise Bad(where, "its transcript does not have the hash that it names")
    if receipt["covered"] is None:  # a refusal that could not say what it refused: there is nothing to hold
        return "no_transcript"
    value = parse(where, transcript)
    free_form(where, value)
    shape = {"base": text, "signature": bytes64, "salt": bytes64}
    if type(value) is not dict or value.keys() != {*shape, "input"}:
        raise Bad(where, "its transcript has other members than a transcript has")
    for member, inner in shape.items():
        conform(where, value[member], inner, f"transcript.{member}")
    if not value["base"].isascii():
        raise Bad(where, "its transcript has a base that is not ASCII")
    salt = base64.b64decode(value["salt"])
    signed, last = lines_of_base(where, value["base"], receipt["covered"])
    parameters = parameters_of(where, last, receipt["covered"])
    for what, said, wanted in said_twice(where, receipt, signed, parameters, salt, value["input"]):
        if type(said) is not type(wanted) or said != wanted:
            raise Bad(where, f"its transcript says something else than the receipt: {what}")
    caller = callers.get(receipt["proof"]["keyid"])
    if caller is None:
        return "unknown_key"
    classical = receipt["reason"] == "ok_classical_fallback"
    signature = base64.b64decode(value["signature"])
    if caller.alg != parameters["alg"] or not caller.signed(
        value["base"].encode(), signature, classical=classical
    ):
        raise Bad(where, "was not signed by the caller that it names")
    late = milliseconds(receipt["chain"]["recorded_at"]) - milliseconds(receipt["decided_at"])
    return "late" if late > LATE_MS else "proven"


def lines_of_base(where: str, base: str, covered: Any) -> tuple[dict[str, str], str]:
    """Return what each component says in a signature base, and its last line."""
    *lines, last = base.split("\n")
    signed: dict[str, str] = {}
    for name, line in zip(covered or (), lines, strict=False):
        if line.startswith(f"{name}: "):
            signed[name[1:-1]] = line[len(name) + 2 :]
    always = {"@method", "@authority", "@path", "@query"}
    if (
        not covered
        or len(signed) != len(covered)
        or len(lines) != len(covered)
        or not always <= signed.keys()
    ):
        raise Bad(where, "its transcript says something else than the receipt: covered")
    return signed, last


def parameters_of(where: str, last: str, covered: list[str]) -> dict[str, str]:
    """Return the parameters of a signature: six, each once, and nothing else in that line."""
    start = f'"@signature-params": ({" ".join(covered)})'
    rest = last[len(start) :]
    found = PARAMETER.findall(rest)
    parameters = {number or string: digits or letters for number, digits, string, letters in found}
    again = "".join(
        f";{number}={digits}" if number else f';{string}="{letters}"'
        for number, digits, string, letters in found
    )
    if not last.startswith(start) or again != rest or len(found) != 6 or len(parameters) != 6:  # noqa: PLR2004
        raise Bad(where, "its transcript says something else than the receipt: parameters")
    return parameters


def byte_sequence(where: str, item: str) -> bytes:
    """Return the bytes of a structured field's byte sequence, :base64:, in its one spelling."""
    try:
        raw = base64.b64decode(item[1:-1], validate=True)
    except ValueError:
        raw = b""
    if item != f":{base64.b64encode(raw).decode()}:":
        raise Bad(where, "its transcript says something else than the receipt: a field that was signed")
    return raw


def said_twice(  # noqa: PLR0917 - all that is compared
    where: str, receipt: Any, signed: dict[str, str], parameters: dict[str, str], salt: bytes, asked: Any
) -> Iterator[tuple[str, Any, Any]]:
    """Yield what transcript and receipt both say: what it is, and each one's word."""
    request, proof, binding = receipt["request"], receipt["proof"], receipt["proof"]["binding"]
    for name in ("method", "authority", "path"):
        yield f"request.{name}", signed[f"@{name}"], request[name]
    nonce = parameters["nonce"].encode()
    yield "salt", hashlib.sha256(b"signet-query-salt-v2\n" + nonce).digest()[:16], salt
    query = hashlib.sha256(salt + signed["@query"].encode()).hexdigest()
    yield "request.query_sha256", query, request["query_sha256"]
    yield "request.content_digest", signed.get("content-digest"), request["content_digest"]
    field = signed.get("pch-channel-binding")
    kind = "none" if field is None else field.partition("=")[0]
    value = None
    if field is not None:
        value = hashlib.sha256(byte_sequence(where, field.partition("=")[2])).hexdigest()
    yield "proof.binding", (kind, value), (binding["type"], binding["value_sha256"])
    evidence = None
    if "pch-evidence" in signed:
        evidence = hashlib.sha256(byte_sequence(where, signed["pch-evidence"])).hexdigest()
    if "pch-evidence-digest" in signed:
        evidence = byte_sequence(where, signed["pch-evidence-digest"].removeprefix("sha-256=")).hex()
    yield "proof.evidence_sha256", evidence, proof["evidence_sha256"]
    for name in ("keyid", "alg"):
        yield f"proof.{name}", parameters[name], proof[name]
    for name in ("created", "expires"):
        yield f"proof.{name}", parameters[name], str(proof[name])
    yield "proof.nonce_sha256", hashlib.sha256(nonce).hexdigest(), proof["nonce_sha256"]
    yield "tag", parameters["tag"], "pch-lite"
    yield from asked_and_recorded(receipt, asked)


def asked_and_recorded(receipt: Any, asked: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield what the policy's input and the receipt both say."""
    request, proof = receipt["request"], receipt["proof"]

    def told(*path: str) -> Any:
        value = asked
        for name in path:
            value = value.get(name) if type(value) is dict else None
        return value

    for name, wanted in (
        (("api",), receipt["api"]["name"]),
        (("route",), receipt["route"]),
        (("method",), request["method"]),
        (("principal", "keyid"), proof["keyid"]),
        (("algorithm",), proof["alg"]),
        (("binding", "type"), proof["binding"]["type"]),
        (("header_bytes",), proof["header_bytes"]),
        (("evidence", "sha256"), proof["evidence_sha256"]),
    ):
        yield f"input.{'.'.join(name)}", told(*name), wanted
    if told("time", "unix") is not None:
        yield "input.time.unix", told("time", "unix"), milliseconds(receipt["decided_at"]) // 1000
    path = told("path")
    ends = type(path) is str and request["path"].removesuffix("/").endswith(path.removesuffix("/"))
    yield "input.path", ends, True
    method, _, resource = receipt["route"].partition(" ")
    yield "route", method, request["method"]
    yield "input.path_parameters", told("path_parameters"), parameters_in(resource, path)


def parameters_in(resource: str, path: str) -> dict[str, str] | None:
    """Return the path parameters of a path, given the resource it was routed to; None if it is of another."""
    if resource == "$default":
        return {}
    names = resource.split("/")
    values = path.split("/", len(names) - 1 if resource.endswith("+}") else -1)
    found = {}
    for name, value in zip(names, values, strict=False):
        if name.startswith("{"):
            found[name[1:-1].removesuffix("+")] = value
        elif name != value and "%" not in value:
            return None
    return found if len(names) == len(values) else None


# --- Remarks ------------------------------------------------------------------------------------


def remark(code: str, sentence: str) -> None:
    """Print what is no failure, but improbable, or to be known."""
    say(f"remark {code}: {sentence}")


def make_remarks(head: Any, receipts: Day, absent: list[str], pinned: str | None) -> None:
    """Print all remarks on a good pack."""
    remark_on_times(head, receipts)
    strange = [named for digest, named in receipts.bundles.items() if digest not in receipts.announced]
    if strange:
        remark(
            "policy_unannounced",
            f"{sum(named.count for named in strange)} decisions (first {strange[0].first}) name a policy that"
            " is not the head's, and no receipt of the day announces it (one of an earlier day may)",
        )
    remark_on_summaries(receipts)
    again = numbers_used_again(receipts)
    if again:
        remark(
            "emitter_number_twice",
            f"{len(again)} decisions (first receipts.jsonl:{min(again)}) have a number that their emitter had"
            " used before",
        )
    if absent:
        remark(
            "policy_absent",
            f"the files of {len(absent)} policies that are named are not in this pack (first {absent[0]})",
        )
    if pinned is None:
        remark(
            "log_id_not_pinned",
            "without --log-id this shows only that the pack agrees with itself. Get the id of the log from"
            " its operator by another way and run again with --log-id",
        )
    remark(
        "checker_unsigned",
        "VERIFY.md and verify.py in a pack are signed by nothing: trust a copy whose SHA-256 you know from"
        " elsewhere",
    )


def remark_on_summaries(receipts: Day) -> None:
    """Print how many refusals were counted together, and what is odd about what emitters say of that."""
    grown = [(last[1] - first[1], told) for first, last, told in receipts.folded.values() if first]
    hidden = sum(max(0, more - told) for more, told in grown)
    if receipts.summaries or hidden:
        remark(
            "refusals_summarised",
            f"{sum(receipts.summarised.values())} refusals are counted in {receipts.summaries} summaries and"
            f" have no receipt each; at least {hidden} more are in summaries that this pack has not (lost, or"
            " of another day)",
        )
    falling = sum(more < 0 for more, _ in grown)
    if falling:
        remark(
            "folded_decreases",
            f"{falling} emitters say later that they counted fewer refusals together than before, which is"
            " wrong",
        )


def remark_on_times(head: Any, receipts: Day) -> None:
    """Print what is improbable about the day's times."""
    if receipts.apart.count:
        remark(
            "times_far_apart",
            f"{receipts.apart.count} decisions (first {receipts.apart.first}) were made more than 5 minutes"
            " after they were recorded, or more than 24 hours before",
        )
    start, signed = start_of(head["date"]), head["timestamp"]
    last = max(receipts.times)  # in one form, so the greatest is the latest; empty in a day without receipts
    if signed < start:
        remark("head_time", f"the head was signed at {instant(signed)}, before its day began")
    elif last and signed < milliseconds(last) - CLOCKS_APART_MS:
        remark(
            "head_time",
            f"the head was signed at {instant(signed)}, more than 5 minutes before its last receipt was"
            f" recorded, at {last}",
        )
    if signed < start + DAY_MS:
        at = instant(signed)[11:19] if signed >= start else instant(signed)
        remark(
            "closed_early",
            f"closed at {at} UTC, before the day was over: what was decided later that day is in the next"
            " day's pack",
        )


def numbers_used_again(receipts: Day) -> list[int]:
    """Return the lines of the decisions whose number an earlier line of their emitter has."""
    again = []
    for numbers, lines in receipts.emitters.values():
        doubled = {a for a, b in itertools.pairwise(sorted(numbers)) if a == b}
        seen: set[int] = set()
        for number, line in zip(numbers, lines, strict=True) if doubled else ():
            if number in seen:
                again.append(line)
            elif number in doubled:
                seen.add(number)
    return again


# --- The run ------------------------------------------------------------------------------------

NO_PACK = {  # what a file is that has not the form of a pack; what to do about it
    "not_a_pack": (
        "NOT A PACK: this file does not begin as a pack does.",
        "It may be an error page, an answer in JSON, a pack in another wrapping, or an unpacked folder.",
        "Get the file pack.zip itself, as it was served, and check that.",
    ),
    "cut_short": (
        "CUT SHORT: this file begins like a pack, but its end is missing.",
        "The download was cut, or is not over. Get the pack again; nothing was checked.",
    ),
    "packed_anew": (
        "PACKED ANEW: this is a zip with a manifest, but not the file that the log made.",
        "A tool has packed or changed it. Ask for the original file; nothing in this one was checked.",
    ),
}
SIGNED = {  # what is said of what was allowed
    "proven": "proven: signed by the caller",
    "late": "signed by the caller, but recorded late",
    "unknown_key": "signed by a key that --callers does not give",
    "erased": "its transcript was erased, as the log says",
    "no_transcript": "without a transcript in this pack",
    "no_commitment": "of version 1: no signature is on record",
}
NOT_PROVEN = "that callers really made the calls that are not proven: who called is the operator's word"
NOT_SHOWN = (
    "decisions that were lost before they reached the log, beyond the gaps reported",
    "that the policy answers as recorded: it was not judged again",
    "that others were shown the same log: compare heads with them",
)


class Run:
    """Runs checks in order, prints each, and goes on after a failure where that makes sense."""

    def __init__(self) -> None:
        self.failures: list[Exception] = []

    def check(self, title: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the check returns; FAILED if it failed, or if what it needs failed before."""
        if any(argument is FAILED for argument in arguments):
            say(f"  skipped  {title}: a check before it failed")
            return FAILED
        try:
            result = function(*arguments)
        except Bad as error:
            self._failed(title, error, str(error))
            return FAILED
        except (CannotCheck, OSError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - fail closed: hostile bytes must not become a traceback
            self._failed(title, error, f"the pack is malformed ({type(error).__name__})")
            return FAILED
        say(f"  ok       {title}")
        return result

    def _failed(self, title: str, error: Exception, reason: str) -> None:
        self.failures.append(error)
        say(f"  FAILED   {title}")
        say(f"           {reason}")


FAILED: Any = object()


def verify(
    file: BinaryIO,
    pinned: str | None,
    asked: str | None = None,
    callers: dict[str, Caller] | None = None,
) -> int:
    """Run all checks on an open pack, print the verdict, return the exit code.

    pinned is the log's id, asked the day, and callers the callers' keys, if they are known from elsewhere.
    """
    run = Run()
    pack = run.check("the zip has the one allowed form", Pack, file)
    manifest = run.check("the manifest names every member", check_manifest, pack)
    formless = not pack.members if pack is not FAILED else not isinstance(run.failures[0], Twice)
    if formless and (kind := kind_of(file)) in NO_PACK:
        return no_pack(kind)
    keys = run.check("the keys are those of the log", check_keys, pack, manifest, pinned)
    heads = run.check("the tree heads form a chain, each signed twice", check_heads, pack, manifest, keys)
    head, before, trees = heads if heads is not FAILED else (FAILED, FAILED, FAILED)
    if asked is not None:
        run.check("the day is the one asked for", check_day, head, asked)
    receipts = run.check(
        "the receipts, their chain and their tree agree", check_receipts, pack, head, before, keys
    )
    run.check("decisions agree with the registrations of the day", check_registrations, receipts)
    signed = run.check(
        "transcripts are what the callers signed", check_callers, pack, receipts, callers or {}
    )
    run.check("each day's tree is a prefix of the next", check_consistency, pack, trees)
    run.check("the inclusion proofs lead to the root", check_inclusion, pack, head, receipts)
    run.check("the checkpoint is the head's, signed twice", check_checkpoint, pack, head, keys)
    gaps = run.check("the emitters' accounts match the receipts", check_emitters, head, receipts)
    absent = run.check("the policy files have their hash", check_policy, pack, receipts)
    run.check("evidence has its hash and is named by a receipt", check_evidence, pack, receipts)
    if not run.failures:  # else members were left half read, and what is to be said of them is said
        run.check("every member has its hash", check_rest, pack)
    say()
    if any(isinstance(error, OtherLog) for error in run.failures):
        say("BAD: this is another log: nothing else was checked.")
    elif run.failures:
        say("BAD: this pack does not prove what it claims.")
    else:
        report(head, keys, receipts, gaps, signed)
        make_remarks(head, receipts, absent, pinned)
    return 1 if run.failures else 0


def no_pack(kind: str) -> int:
    """Say what a file is that is no pack, and what to do; return the exit code."""
    say()
    for line in NO_PACK[kind]:
        say(line)
    return 1


def report(
    head: Any, keys: Keys, receipts: Day, gaps: list[tuple[str, int, int]], signed: dict[str, int]
) -> None:
    """Print the verdict on a good pack: what it shows, and what it does not."""
    date = head["date"]
    say(f"GOOD: {receipts.count} receipts of {date}, log {keys.log_id}")
    for reason, number in sorted(receipts.decisions.items()):
        say(f"  {number:>9}  {DECISION_OF[reason]} {reason}")
    for reason, number in sorted(receipts.summarised.items()):
        say(f"  {number:>9}  {DECISION_OF[reason]} {reason}, in summaries")
    for api, counted in sorted(receipts.apis.items())[:SHOWN_LIMIT]:
        say(f"  {api}: {', '.join(f'{number} {reason}' for reason, number in sorted(counted.items()))}")
    if len(receipts.apis) > SHOWN_LIMIT:
        say(f"  and {len(receipts.apis) - SHOWN_LIMIT} more APIs")
    for found in filter(signed.get, SIGNED):
        say(f"  {signed[found]:>9}  allowed, {SIGNED[found]}")
    late = head["timestamp"] - start_of(date) - DAY_MS
    apart = f"{dt.timedelta(seconds=abs(late) // 1000)} {'before' if late < 0 else 'after'}"
    say(f"The head of {date} was signed at {instant(head['timestamp'])}, {apart} the end of that day (UTC).")
    say(f"Shown: here is every decision that the log recorded on {date}, unchanged and in order; each day's")
    say("tree continues the one before; the log's keys have signed it all.")
    say("Not shown by this pack:")
    all_proven = 0 < signed.get("proven", 0) == sum(signed.values())
    for line in NOT_SHOWN if all_proven else (NOT_PROVEN, *NOT_SHOWN):
        say(f"  - {line}")
    for emitter, first, last in gaps[:SHOWN_LIMIT]:
        say(f"FINDING: emitter {emitter}: decisions {first} to {last} are not among the day's receipts")
    if len(gaps) > SHOWN_LIMIT:
        say(f"and {len(gaps) - SHOWN_LIMIT} more gaps")
    if gaps:
        say("A gap means that a decision was lost before it reached the log, or is in a neighbouring day.")


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are escaped: a hostile file's name may be an argument."""

    def error(self, message: str) -> NoReturn:
        """Print the usage and what is wrong."""
        say(self.format_usage().rstrip(), sys.stderr)
        say(f"verify.py: {message}", sys.stderr)
        sys.exit(2)


def callers_given(parser: Parser, path: str | None) -> dict[str, Caller]:
    """Read the file of callers' keys, if one was given."""
    if path is None:
        return {}
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - as in main
            return read_callers(file.read(CALLERS_LIMIT))
    except OSError as error:
        parser.error(f"cannot read {path}: {error.strerror}")
    except (ValueError, KeyError, TypeError, RecursionError):
        parser.error(
            "--callers is no JSON array of objects with keyid, alg and public_key, each keyid once and each "
            "key one that a caller may have"
        )


def main() -> int:
    """Parse the command line and run."""
    parser = Parser(prog="verify.py", description="Check a Signet compliance pack, offline.")
    parser.add_argument("pack", nargs="?", default="pack.zip", help="the pack (default: pack.zip)")
    parser.add_argument("--log-id", metavar="HEX", help="64 hex digits that identify the log")
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="the day that the pack must be of")
    parser.add_argument("--callers", metavar="FILE", help="the callers' public keys, got from the callers")
    arguments = parser.parse_args()
    if arguments.log_id is not None and not hex64.holds(arguments.log_id):
        parser.error("--log-id must be 64 lower-case hex digits")
    if arguments.date is not None and not day.holds(arguments.date):
        parser.error("--date must be a day, YYYY-MM-DD")
    try:
        with open(arguments.pack, "rb") as file:  # noqa: PTH123 - one import less to read about
            return verify(file, arguments.log_id, arguments.date, callers_given(parser, arguments.callers))
    except IsADirectoryError:
        return no_pack("not_a_pack")
    except OSError as error:
        say(f"verify.py: cannot read {arguments.pack}: {error.strerror}", sys.stderr)
    except MemoryError:
        say("verify.py: this machine has not enough memory for this pack", sys.stderr)
    except CannotCheck as error:
        say(f"verify.py: {error}", sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
