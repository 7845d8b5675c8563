"""What callers signed is on record, and a verifier with their keys counts what they really signed."""

from __future__ import annotations

import io
import json

import pytest

from signet.core.canonical import canonicalize, parse
from signet.core.encoding import encode_base64
from signet.core.errors import KeyFileError
from signet.crypto import suites
from signet.pack.callers import parse_callers
from signet.pack.report import PackReport
from signet.pack.verify import verify_pack
from tests.corpus.callers import CALLERS, NO_CALLERS
from tests.support.edwards import MIXED_ORDER
from tests.support.forgery import checker, run_checker, unzip
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


def test_a_path_with_a_slash_at_its_end_is_proven_as_it_was_signed() -> None:
    made = TranscribedLog()
    made.ask(made.world.sign(made.world.event("GET", "/protected/", resource="/protected")))
    made.close()
    assert proven(verified(made.pack(), made, made.callers())) == {"proven": 1}


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


def test_an_invented_allow_without_a_transcript_is_not_proven() -> None:
    made = TranscribedLog()
    world = made.world
    made.ask(world.sign(world.event()))
    made.sent[0] = made.sent[0][0], None
    made.close()
    assert proven(verified(made.pack(), made, made.callers())) == {"no_transcript": 1}


@pytest.mark.parametrize("data", NO_CALLERS, ids=range(len(NO_CALLERS)))
def test_what_is_no_file_of_callers_keys_is_refused(data: bytes) -> None:
    with pytest.raises(KeyFileError):
        parse_callers(data)
    with pytest.raises((ValueError, KeyError, TypeError)):
        checker().read_callers(data)


@pytest.mark.parametrize("data", CALLERS, ids=range(len(CALLERS)))
def test_what_these_files_are_next_to_is_taken(data: bytes) -> None:
    assert parse_callers(data).keys() == checker().read_callers(data).keys() == {"a"}


def test_a_refused_key_is_named_with_its_fault() -> None:
    [row] = json.loads(CALLERS[0])
    rows = [row, {**row, "keyid": "b", "public_key": encode_base64(MIXED_ORDER[8])}]
    with pytest.raises(KeyFileError, match=r"entry 2 holds a key that no caller may have: .* mixed order"):
        parse_callers(json.dumps(rows).encode())


def test_a_key_id_stands_once(log: TranscribedLog) -> None:
    rows = json.loads(log.callers())
    with pytest.raises(KeyFileError, match="earlier"):
        parse_callers(json.dumps([rows[0], rows[0]]).encode())
    with pytest.raises(ValueError, match="twice"):
        checker().read_callers(json.dumps([rows[0], rows[0]]).encode())


def test_a_signature_with_a_zero_more_is_none() -> None:
    key = suites.get("ecdsa-p256-sha256").generate()
    signature = key.sign(b"base")
    caller = checker().Caller(key.alg, key.public_key_bytes)
    assert caller.signed(b"base", signature, classical=False)
    assert not caller.signed(b"base", signature[:32] + b"\0" + signature[32:], classical=False)


def test_of_two_receipts_with_one_id_the_first_has_its_own_transcript() -> None:
    made = TranscribedLog()
    for n in "ab":
        made.ask(made.world.sign(made.world.event("GET", query={"n": [n]})))
    (first, signed), (second, other) = made.sent
    one, two = parse(first), parse(second)
    made.sent[1] = canonicalize(two | {"id": one["id"], "emitter": one["emitter"]}), other
    made.close()
    [kept] = made.transcripts.kept.values()
    assert signed is not None
    assert signed in kept
    assert proven(verified(made.pack(), made, made.callers())) == {"proven": 1}
