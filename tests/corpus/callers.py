"""What callers signed: packs with transcripts, good ones and those of an operator or a courier who lies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from signet.core.canonical import canonicalize, parse
from signet.core.encoding import encode_base64
from signet.core.instants import uuid7
from signet.crypto import suites
from signet.log.keys import LocalSigner
from signet.receipts.chain import extend
from signet.receipts.reading import read_receipt
from signet.receipts.transcripts import decode_transcripts, encode_transcripts
from tests.corpus.case import Case
from tests.corpus.logkeys import BAD_KEYS
from tests.corpus.world import PRIVATE, facts_of
from tests.support.edwards import BASE, MIXED_ORDER, encoded
from tests.support.forgery import Files, remade, unzip
from tests.support.transcribed import TranscribedLog

GROUP = "callers"
#: Changes the receipt of a decision and its transcript before the log signs them.
Change = Callable[[dict[str, Any], dict[str, Any]], None]
#: Of nothing.
DIGEST = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"


def new_log(**how: Any) -> TranscribedLog:
    return TranscribedLog(signer=LocalSigner("example.com/log", PRIVATE), **how)


@cache
def log() -> TranscribedLog:
    """A request of every suite, one with content, one without signature."""
    made = new_log()
    world = made.world
    for alg in suites.NAMES:
        made.ask(world.sign(world.event("GET", query={"a": ["1", "2"]}), alg))
    posted = world.event("POST", headers={"Content-Type": "application/json", "Content-Digest": DIGEST})
    made.ask(world.sign(posted))
    made.ask(world.event())
    made.close()
    return made


def good_cases() -> Iterator[Case]:
    """Packs with transcripts, with and without keys, and with what is left of them."""
    made = log()
    data = made.pack()
    yield _good("with-transcripts-and-keys", data, made, made.callers())
    yield _good("with-transcripts-and-one-key", data, made, made.callers("caller-2"))
    yield _good("with-transcripts-and-no-keys", data, made, None)
    late = new_log(delay_ms=16 * 60 * 1000)
    late.ask(late.world.sign(late.world.event()))
    late.close()
    yield _good("with-a-late-record", late.pack(), late, late.callers())
    for name, change in TRUE.items():
        asked = forged(change)
        yield _good(f"with-{name}", asked.pack(), asked, None)
    yield _good("with-objects-that-take-turns", (turns := taking_turns(4)).pack(), turns, turns.callers())
    gone = erased()
    yield _good("with-all-transcripts-erased", gone.pack(transcripts=False), gone, gone.callers())
    junk = forged(_refused_with(b"{\xff\xed\xa0\x80\r}}"))
    yield _good("with-a-refusals-transcript-of-any-bytes", junk.pack(), junk, junk.callers())
    yield _good("with-a-transcript-dropped", remade(_dropped(unzip(data))), made, made.callers())


def _good(name: str, data: bytes, made: TranscribedLog, callers: bytes | None) -> Case:
    facts = facts_of(data, made.log_id, callers)
    return Case(f"callers-{name}", GROUP, data, made.log_id, facts=facts, callers=callers)


def cases() -> Iterator[Case]:
    """Yield every bad pack."""
    for name, (code, change) in FORGERIES.items():
        made = forged(change)
        yield Case(
            f"callers-{name}",
            GROUP,
            made.pack(),
            made.log_id,
            code,
            "receipts.jsonl",
            1,
            callers=made.callers(),
        )
    made = log()
    files = unzip(made.pack())
    place = _place(files)
    named = [line["proof"]["keyid"] for line in made.receipts()]
    first = named.index("caller-1") + 1
    other = made.callers().replace(b'"caller-1"', b'"caller-9"').replace(b'"caller-2"', b'"caller-1"')
    yield Case(
        "callers-another-key",
        GROUP,
        made.pack(),
        made.log_id,
        "caller_signature",
        "receipts.jsonl",
        first,
        callers=other,
    )

    def case(name: str, changed: bytes, code: str, member: str, line: int | None = None) -> Case:
        data = remade({**files, place: changed})
        return Case(f"callers-{name}", GROUP, data, made.log_id, code, member, line, callers=made.callers())

    turns = taking_turns(5)
    yield Case(
        "callers-objects-that-take-too-many-turns",
        GROUP,
        turns.pack(),
        turns.log_id,
        "transcripts_apart",
        "transcripts/" + "0" * 32,
        callers=turns.callers(),
    )
    body = files[place]
    held = decode_transcripts(body)
    stranger = encode_transcripts(held | {"019b0000-0000-7000-8000-000000000000": b"{}"})
    yield case(
        "a-transcript-changed", body.replace(b"GET", b"PUT", 1), "transcript_hash", "receipts.jsonl", 1
    )
    long = encode_transcripts(
        held | {"019b0000-0000-7000-8000-000000000000": b'{"a":"%b"}' % (b"a" * 65_529)}
    )
    yield case("a-transcript-too-long", long, "bad_transcripts", place)
    yield case("a-transcript-of-no-receipt", stranger, "transcript_unnamed", place)
    yield case("a-transcript-without-its-end", body[:-1], "bad_transcripts", place)
    yield case("a-transcript-twice", body + body.split(b"\n")[-2] + b"\n", "bad_transcripts", place)
    yield case("no-transcripts-at-all", b"", "bad_transcripts", place)
    yield case("a-line-that-is-none", b"{}\n" + body, "bad_transcripts", place)
    moved = {("transcripts/" + "0" * 32) if name == place else name: data for name, data in files.items()}
    yield Case(
        "callers-transcripts-under-another-name",
        GROUP,
        remade(moved),
        made.log_id,
        "transcript_unnamed",
        "transcripts/" + "0" * 32,
        callers=made.callers(),
    )
    old = parse(files["manifest.json"])
    del old["needs"]
    old_form = {**files, "manifest.json": canonicalize({**old, "v": 1})}
    yield Case(
        "callers-transcripts-in-a-pack-of-version-1",
        GROUP,
        remade(old_form),
        made.log_id,
        "manifest_members",
        place,
    )


def _place(files: Mapping[str, bytes]) -> str:
    [name] = [name for name in files if name.startswith("transcripts/")]
    return name


def _dropped(files: Files) -> Files:
    held = decode_transcripts(files[_place(files)])
    return {**files, _place(files): encode_transcripts(dict(list(held.items())[1:]))}


def forged(change: Change) -> TranscribedLog:
    """A log whose operator changed one decision and its transcript before signing."""
    made = new_log()
    world = made.world
    made.ask(world.sign(world.event("GET", query={"a": ["1"]})))
    body, transcript = made.sent.pop()
    receipt, said = parse(body), parse(transcript or b"")
    change(receipt, said)
    encoded = said.pop(_BYTES, None) or canonicalize(said)
    receipt["transcript_sha256"] = hashlib.sha256(encoded).hexdigest()
    made.sent.append((canonicalize(receipt), encoded))
    made.close()
    return made


def taking_turns(times: int) -> TranscribedLog:
    """A log of an operator who names two objects in turn: a reader of one at a time reads each so often."""
    made = new_log()
    kept: dict[str, dict[str, bytes]] = {"0" * 32: {}, "1" * 32: {}}
    names = list(kept)
    receipts = []
    for n in range(2 * times):
        made.ask(made.world.sign(made.world.event("GET", query={"n": [str(n)]})))
        body, transcript = made.sent.pop()
        receipts.append(read_receipt(body, chained=False))
        kept[names[n % 2]][receipts[-1].id] = transcript or b""
    place = {receipt_id: name for name, held in kept.items() for receipt_id in held}
    head = made.chains.head(0)
    made.chains.append(head, *extend(head, receipts, made.world.now_ms + 500, place))
    made.transcripts.kept |= {name: encode_transcripts(held) for name, held in kept.items()}
    made.close()
    return made


def erased() -> TranscribedLog:
    """A log of two allowed requests; the transcript of the first was erased."""
    made = new_log()
    for n in "12":
        made.ask(made.world.sign(made.world.event("GET", query={"n": [n]})))
    first = parse(made.sent[0][0])
    receipt = {
        "v": 2,
        "type": "transcript.erased",
        "id": uuid7(made.world.now_ms, bytes(10)),
        "decided_at": first["decided_at"],
        "receipts": [first["id"]],
        "cause": "demand",
        "signature": None,
    }
    made.sent.append((canonicalize(receipt), None))
    made.close()
    return made


def _refused_with(transcript: bytes) -> Change:
    """A refusal that could not say what it refused."""

    def change(receipt: dict[str, Any], said: dict[str, Any]) -> None:
        receipt |= {"decision": "shed", "reason": "internal_error", "covered": None}
        said[_BYTES] = transcript

    return change


def _put(part: int, *path: str, value: Any) -> Change:
    def change(*parts: dict[str, Any]) -> None:
        target = parts[part]
        for name in path[:-1]:
            target = target[name]
        target[path[-1]] = value

    return change


def _rewritten(old: str, new: str) -> Change:
    def change(_receipt: dict[str, Any], said: dict[str, Any]) -> None:
        assert old in said["base"]
        said["base"] = said["base"].replace(old, new)

    return change


def _asked(route: str, path: str, parameters: dict[str, str]) -> Change:
    def change(receipt: dict[str, Any], said: dict[str, Any]) -> None:
        receipt["route"] = said["input"]["route"] = route
        said["input"] |= {"path": path, "path_parameters": parameters}

    return change


def _addressed(path: str, asked: Change) -> Change:
    """The path as it was signed."""

    def change(receipt: dict[str, Any], said: dict[str, Any]) -> None:
        asked(receipt, said)
        receipt["request"]["path"] = path
        said["base"] = said["base"].replace('"@path": /prod/protected', f'"@path": {path}')

    return change


def _spelled(old: bytes, new: bytes) -> Change:
    """Bytes of a transcript that canonical JSON has in another form, or not at all."""

    def change(_receipt: dict[str, Any], said: dict[str, Any]) -> None:
        encoded = canonicalize(dict(said))
        assert encoded.count(old) == 1
        said[_BYTES] = encoded.replace(old, new)

    return change


#: Place of a transcript's bytes, where they are not canonical.
_BYTES = "bytes"
#: What is as true as what the authorizer wrote.
TRUE: Mapping[str, Change] = {
    "a-route-without-a-path": _asked("GET $default", "/protected", {}),
    "a-path-that-ends-with-a-slash": _addressed(
        "/prod/protected/", _asked("GET /protected", "/protected", {})
    ),
    "a-stage-without-a-slash": _addressed("/prod", _asked("GET /", "/", {})),
    "a-name-that-comes-twice": _addressed("/prod/a/b", _asked("GET /{x}/{x}", "/a/b", {"x": "b"})),
    "a-greedy-parameter": _addressed(
        "/prod/a/b/c", _asked("GET /{a}/{b+}", "/a/b/c", {"a": "a", "b": "b/c"})
    ),
    "a-segment-that-is-escaped": _addressed("/prod/a%20b", _asked("GET /a b", "/a%20b", {})),
    "strange-names-of-parameters": _addressed(
        "/prod/a/b/c", _asked("GET /{__proto__}/{9}/{10}", "/a/b/c", {"10": "c", "9": "b", "__proto__": "a"})
    ),
    "strange-signs-in-the-question": _put(
        1, "input", "query", value={"$&": "\r\u2028\u007f\u0000$1{x}\U0001f600"}
    ),
}
_DIFFERS, _MALFORMED, _SIGNATURE = "transcript_differs", "transcript_malformed", "caller_signature"
_BOUND = {"type": "tls-exporter", "value_sha256": "0" * 64}
#: What an operator who holds the log's keys may try, and the code with which it is refused.
FORGERIES: dict[str, tuple[str, Change]] = {
    "another-method": (_DIFFERS, _put(0, "request", "method", value="DELETE")),
    "another-path": (_DIFFERS, _put(0, "request", "path", value="/prod/protected/8")),
    "another-authority": (_DIFFERS, _put(0, "request", "authority", value="other.example")),
    "another-query": (_DIFFERS, _put(0, "request", "query_sha256", value="0" * 64)),
    "a-digest-that-was-not-signed": (_DIFFERS, _put(0, "request", "content_digest", value=DIGEST)),
    "another-nonce": (_DIFFERS, _put(0, "proof", "nonce_sha256", value="0" * 64)),
    "another-caller": (_DIFFERS, _put(0, "proof", "keyid", value="caller-2")),
    "a-binding-that-was-not-signed": (_DIFFERS, _put(0, "proof", "binding", value=_BOUND)),
    "evidence-that-was-not-signed": (_DIFFERS, _put(0, "proof", "evidence_sha256", value="0" * 64)),
    "another-route": (_DIFFERS, _put(0, "route", value="GET /admin")),
    "another-api": (_DIFFERS, _put(0, "api", "name", value="billing")),
    "a-base-for-another-method": (_DIFFERS, _rewritten('"@method": GET', '"@method": PUT')),
    "a-base-with-another-component": (_DIFFERS, _rewritten('"@authority"', '"@authoritx"')),
    "a-base-with-one-parameter-more": (_DIFFERS, _rewritten(';tag="pch-lite"', ';tag="pch-lite";x="1"')),
    "a-base-with-another-tag": (_DIFFERS, _rewritten(';tag="pch-lite"', ';tag="other"')),
    "another-salt": (_DIFFERS, _put(1, "salt", value="AAAAAAAAAAAAAAAAAAAAAA==")),
    "another-question": (_DIFFERS, _put(1, "input", "header_bytes", value=1)),
    "another-principal": (_DIFFERS, _put(1, "input", "principal", "keyid", value="caller-2")),
    "another-path-in-the-question": (_DIFFERS, _put(1, "input", "path", value="/admin")),
    "parameters-that-are-none": (_DIFFERS, _put(1, "input", "path_parameters", value=None)),
    "a-truth-for-a-number": (_DIFFERS, _put(1, "input", "header_bytes", value=True)),
    "no-question": (_DIFFERS, _put(1, "input", value=None)),
    "a-parameter-that-names-another": (
        _DIFFERS,
        _asked("GET /{a}", "/protected", {"a": "{b}", "b": "protected"}),
    ),
    "a-parameter-that-no-route-has": (_DIFFERS, _put(1, "input", "path_parameters", value={"a": "b"})),
    "a-parameter-of-another-value": (_DIFFERS, _asked("GET /{a}", "/protected", {"a": "admin"})),
    "a-parameter-of-two-segments": (_DIFFERS, _asked("GET /{a}", "/prod/protected", {"a": "prod/protected"})),
    "a-member-name-that-is-not-ascii": (
        _MALFORMED,
        _spelled(b'"path_parameters":{}', '"path_parameters":{"\u00e9":"x"}'.encode()),
    ),
    "a-question-nested-too-deeply": (
        _MALFORMED,
        _spelled(b'"api":', b'"a":%b%b,"api":' % (b"[" * 31, b"]" * 31)),
    ),
    "a-fraction-in-the-question": (_MALFORMED, _spelled(b'"header_bytes":', b'"header_bytes":1.0,"x":')),
    "an-exponent-in-the-question": (_MALFORMED, _spelled(b'"header_bytes":', b'"header_bytes":1E2,"x":')),
    "minus-zero-in-the-question": (_MALFORMED, _spelled(b'"header_bytes":', b'"a":-0,"header_bytes":')),
    "a-number-too-large": (_MALFORMED, _spelled(b'"header_bytes":', b'"a":9007199254740992,"header_bytes":')),
    "a-member-twice": (_MALFORMED, _spelled(b'"api":', b'"api":"x","api":')),
    "half-a-pair": (_MALFORMED, _spelled(b'"api":', b'"a":"\\ud800","api":')),
    "no-base": (_DIFFERS, _put(1, "base", value="")),
    "a-base-that-is-no-text": (_MALFORMED, _put(1, "base", value=None)),
    "a-base-that-is-not-ascii": (_MALFORMED, _rewritten("@method", "@m\u00e9thod")),
    "a-member-more": (_MALFORMED, _put(1, "more", value=1)),
    "no-signature": (_MALFORMED, _put(1, "signature", value="")),
    "a-signature-that-is-none": (_SIGNATURE, _put(1, "signature", value="QUFB" * 21 + "QQ==")),
}


def _key(alg: str, raw: bytes, keyid: str = "a") -> bytes:
    return json.dumps([{"keyid": keyid, "alg": alg, "public_key": encode_base64(raw)}]).encode()


_FIELD = 2**255 - 19
_GOOD = encoded(BASE)
#: ML-DSA-65 keys differ in all bytes; a vector t1 that is not zero makes one that may be registered.
_LATTICE = b"\1" * 1952
#: Files of callers' keys that all verifiers take: what the others are next to.
CALLERS = (
    _key("ed25519", _GOOD),
    _key("ml-dsa-65", _LATTICE),
    _key("ed25519+ml-dsa-65", _LATTICE + _GOOD),
)
#: Files of callers' keys that no verifier takes: of another form, or with a key that no caller may have.
NO_CALLERS = (
    *(b"", b"{}", b'""', b"null", b"[1]", b"[[]]", b"\xff", b'[{"keyid":"a"}]'),
    b'[{"keyid":"a","alg":["ed25519"],"public_key":""}]',
    _key("x", bytes(32)),
    _key("ed25519", _GOOD, keyid="a b"),
    _key("ed25519", _GOOD, keyid="a\n"),
    _key("ed25519", _GOOD).replace(b"=", b""),
    _key("ed25519", _GOOD + bytes(1)),
    *(_key("ed25519", key) for key in BAD_KEYS.values()),
    *(_key("ed25519", key) for key in MIXED_ORDER.values()),
    _key("ed25519", (_FIELD + 3).to_bytes(32, "little")),
    _key("ed25519", b"\2" + bytes(31)),
    _key("ecdsa-p256-sha256", b"\4" + bytes(64)),
    _key("ecdsa-p256-sha256", b"\2" + b"\1" * 32),
    _key("ml-dsa-65", _LATTICE[1:]),
    _key("ml-dsa-65", _LATTICE[:32] + bytes(1920)),
    _key("ml-dsa-44", _LATTICE[:1312]),
    _key("ed25519+ml-dsa-65", _LATTICE),
    _key("ed25519+ml-dsa-65", _LATTICE + bytes(32)),
    _key("ed25519+ml-dsa-65", _LATTICE + MIXED_ORDER[8]),
    _key("ed25519+ml-dsa-65", _LATTICE[:32] + bytes(1920) + _GOOD),
    _key("ecdsa-p256+ml-dsa-65", _LATTICE + b"\4" + bytes(64)),
)
