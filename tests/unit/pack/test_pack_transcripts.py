"""What callers signed is on record, and a verifier with their keys counts what they really signed."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from signet.core.canonical import canonicalize, parse
from signet.core.errors import KeyFileError
from signet.crypto import suites
from signet.pack.callers import parse_callers
from signet.pack.report import PackReport
from signet.pack.verify import verify_pack
from signet.receipts.transcripts import decode_transcripts, encode_transcripts
from tests.support.forgery import checker, remade, run_checker, unzip
from tests.support.transcribed import TranscribedLog
from tests.support.world import World


def verified(data: bytes, log: TranscribedLog, callers: bytes | None = None) -> PackReport:
    """The library's verdict, which has to be that of the single-file checker."""
    keys = None if callers is None else parse_callers(callers)
    report = verify_pack(io.BytesIO(data), log_id=log.log_id, callers=keys)
    code, printed = run_checker(data, log.log_id, callers=callers)
    assert (code == 0) == report.good, (report.failures, printed)
    for found, number in report.proven.items() if report.good else ():
        assert f"{number:>9}  allowed, {checker().SIGNED[found.value]}" in printed
    return report


def proven(report: PackReport) -> dict[str, int]:
    return {found.value: number for found, number in report.proven.items()}


def asked(log: TranscribedLog) -> None:
    """Requests of every suite, and what is refused."""
    world = log.world
    for alg in suites.NAMES:
        assert log.ask(world.sign(world.event("GET", query={"a": ["1", "2"]}), alg)) == "ok"
    posted = world.event("POST", headers={"Content-Type": "application/json", "Content-Digest": DIGEST})
    assert log.ask(world.sign(posted)) == "ok"
    log.ask(world.event())


DIGEST = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"


@pytest.fixture(scope="module")
def log() -> TranscribedLog:
    made = TranscribedLog()
    asked(made)
    made.close()
    return made


def test_allowed_requests_are_proven_under_their_callers_keys(log: TranscribedLog) -> None:
    report = verified(log.pack(), log, log.callers())
    assert report.failures == ()
    assert proven(report) == {"proven": len(suites.NAMES) + 1}
    assert "callers: what is on record is what they signed" in report.checks


def test_without_a_callers_key_nothing_of_that_caller_is_proven(log: TranscribedLog) -> None:
    assert proven(verified(log.pack(), log)) == {"unknown_key": len(suites.NAMES) + 1}
    some = verified(log.pack(), log, log.callers("caller-2"))
    assert (some.good, proven(some)) == (True, {"proven": 1, "unknown_key": len(suites.NAMES)})


def test_a_pack_without_transcripts_is_as_before_and_proves_no_call(log: TranscribedLog) -> None:
    data = log.pack(transcripts=False)
    report = verified(data, log, log.callers())
    assert (report.good, proven(report)) == (True, {"no_transcript": len(suites.NAMES) + 1})
    assert parse(unzip(data)["manifest.json"])["v"] == 1


def test_a_key_that_the_caller_does_not_have_is_found_out(log: TranscribedLog) -> None:
    rows = json.loads(log.callers())
    other = World().keys["ed25519"]
    assert other.public_key_bytes != log.world.keys["ed25519"].public_key_bytes
    rows[0] = {**rows[0], "public_key": json.loads(TranscribedLog().callers())[0]["public_key"]}
    report = verified(log.pack(), log, json.dumps(rows).encode())
    assert [failure.code for failure in report.failures] == ["caller_signature"]


def test_late_records_prove_the_caller_and_not_the_time() -> None:
    made = TranscribedLog(delay_ms=16 * 60 * 1000)
    asked(made)
    made.close()
    assert proven(verified(made.pack(), made, made.callers())) == {"late": len(suites.NAMES) + 1}


# --- an operator who holds the log's keys, and writes what never happened


def forged(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> PackReport:
    """The verdict on a day in which the operator changed one decision and its transcript before signing."""
    made = TranscribedLog()
    world = made.world
    assert made.ask(world.sign(world.event("GET", query={"a": ["1"]}))) == "ok"
    body, transcript = made.sent.pop()
    receipt, said = parse(body), parse(transcript or b"")
    change(receipt, said)
    encoded = canonicalize(said)
    receipt["transcript_sha256"] = hashlib.sha256(encoded).hexdigest()
    made.sent.append((canonicalize(receipt), encoded))
    made.close()
    return verified(made.pack(), made, made.callers())


def put(part: int, *path: str, value: Any) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(*parts: dict[str, Any]) -> None:
        target = parts[part]
        for name in path[:-1]:
            target = target[name]
        target[path[-1]] = value

    return change


def rewritten(old: str, new: str) -> Callable[[dict[str, Any], dict[str, Any]], None]:
    def change(_receipt: dict[str, Any], said: dict[str, Any]) -> None:
        assert old in said["base"]
        said["base"] = said["base"].replace(old, new)

    return change


FORGERIES = {
    "another method": put(0, "request", "method", value="DELETE"),
    "another path": put(0, "request", "path", value="/prod/protected/8"),
    "another authority": put(0, "request", "authority", value="other.example"),
    "another query": put(0, "request", "query_sha256", value="0" * 64),
    "a digest that was not signed": put(0, "request", "content_digest", value=DIGEST),
    "another time": put(0, "proof", "created", value=1_795_391_000),
    "another nonce": put(0, "proof", "nonce_sha256", value="0" * 64),
    "another caller": put(0, "proof", "keyid", value="caller-2"),
    "a binding that was not signed": put(
        0, "proof", "binding", value={"type": "tls-exporter", "value_sha256": "0" * 64}
    ),
    "evidence that was not signed": put(0, "proof", "evidence_sha256", value="0" * 64),
    "another route": put(0, "route", value="GET /admin"),
    "another API": put(0, "api", "name", value="billing"),
    "a base for another method": rewritten('"@method": GET', '"@method": PUT'),
    "a base with another component": rewritten('"@authority"', '"@authoritx"'),
    "a base with a parameter more": rewritten(';tag="pch-lite"', ';tag="pch-lite";x="1"'),
    "another tag": rewritten(';tag="pch-lite"', ';tag="other"'),
    "another salt": put(1, "salt", value="AAAAAAAAAAAAAAAAAAAAAA=="),
    "another question": put(1, "input", "header_bytes", value=1),
    "another principal": put(1, "input", "principal", "keyid", value="caller-2"),
    "another path in the question": put(1, "input", "path", value="/admin"),
    "a signature of another": put(1, "signature", value="QUFB" * 21 + "QQ=="),
    "no signature": put(1, "signature", value=""),
    "no base": put(1, "base", value=""),
    "no text": put(1, "base", value=None),
    "a member more": put(1, "more", value=1),
    "no question": put(1, "input", value=None),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_an_operator_cannot_have_an_invented_call_count_as_proven(name: str) -> None:
    report = forged(FORGERIES[name])
    assert not report.good or "proven" not in proven(report), proven(report)
    assert all(failure.code != "malformed" for failure in report.failures), report.failures


def test_an_invented_allow_without_a_transcript_is_not_proven() -> None:
    made = TranscribedLog()
    world = made.world
    made.ask(world.sign(world.event()))
    made.sent[0] = made.sent[0][0], None
    made.close()
    assert proven(verified(made.pack(), made, made.callers())) == {"no_transcript": 1}


def edited(log: TranscribedLog, change: Callable[[dict[str, bytes]], None]) -> PackReport:
    """The verdict on a pack of which a courier changed the transcripts."""
    files = unzip(log.pack())
    change(files)
    return verified(remade(files), log, log.callers())


def transcripts_in(files: dict[str, bytes]) -> str:
    [name] = [name for name in files if name.startswith("transcripts/")]
    return name


def test_a_dropped_transcript_proves_nothing_and_a_changed_one_is_found(log: TranscribedLog) -> None:
    def drop(files: dict[str, bytes]) -> None:
        name = transcripts_in(files)
        found = decode_transcripts(files[name])
        files[name] = encode_transcripts(dict(list(found.items())[1:]))

    report = edited(log, drop)
    assert (report.good, proven(report)) == (True, {"proven": len(suites.NAMES), "no_transcript": 1})

    def change(files: dict[str, bytes]) -> None:
        name = transcripts_in(files)
        files[name] = files[name].replace(b"GET", b"PUT", 1)

    assert [failure.code for failure in edited(log, change).failures] == ["transcript_hash"]

    def add(files: dict[str, bytes]) -> None:
        name = transcripts_in(files)
        found = decode_transcripts(files[name])
        files[name] = encode_transcripts(found | {"019b0000-0000-7000-8000-000000000000": b"{}"})

    assert [failure.code for failure in edited(log, add).failures] == ["transcript_unnamed"]

    def misname(files: dict[str, bytes]) -> None:
        renamed = [
            (("transcripts/" + "0" * 32) if "transcripts/" in name else name, files[name]) for name in files
        ]
        files.clear()
        files.update(renamed)

    assert [failure.code for failure in edited(log, misname).failures] == ["transcript_unnamed"]

    def damage(files: dict[str, bytes]) -> None:
        files[transcripts_in(files)] += b"x"

    assert [failure.code for failure in edited(log, damage).failures] == ["bad_transcripts"]


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"{}", b"[1]", b'[{"keyid":"a"}]', b'[{"keyid":"a","alg":"x","public_key":""}]', b"\xff"),
        b'[{"keyid":"a b","alg":"ed25519","public_key":"%b"}]' % (b"QUFB" * 11),
    ],
)
def test_what_is_no_file_of_callers_keys_is_refused(data: bytes) -> None:
    with pytest.raises(KeyFileError):
        parse_callers(data)


def test_a_key_id_stands_once(log: TranscribedLog) -> None:
    rows = json.loads(log.callers())
    with pytest.raises(KeyFileError, match="earlier"):
        parse_callers(json.dumps([rows[0], rows[0]]).encode())
