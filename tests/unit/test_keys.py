"""Log keys: what keys.json and the secret must say, and that two first runs end with one key set."""

from __future__ import annotations

import hashlib
import json

import pytest

from signet.errors import KeyFileError, SignatureError
from signet.log.keys import (
    Algorithm,
    LocalSigner,
    SecretKeyStore,
    Signer,
    encode_private_set,
    generate_private_set,
    parse_keys,
    parse_private_set,
)
from signet.receipts.canonical import canonicalize
from tests.fakes.secrets import MemorySecretStore

ORIGIN = "log.example/signet"
PRIVATE = generate_private_set()
SIGNER = LocalSigner(ORIGIN, PRIVATE)
KEYS = SIGNER.keys


def test_keys_json_is_what_the_format_page_says() -> None:
    value = json.loads(KEYS.encode())
    assert value.keys() == {"v", "origin", "log_id", "sets"}
    (keys,) = value["sets"]
    assert [key["alg"] for key in keys["keys"]] == ["ed25519", "ml-dsa-65", "ml-dsa-44"]
    assert (keys["n"], keys["from_tree_size"], keys["endorsement"]) == (0, 0, None)
    for public, item in zip(KEYS.sets[0].keys, keys["keys"], strict=True):
        digest = hashlib.sha256(f"{item['alg']}\n".encode() + public.public_key)
        assert item["keyid"] == digest.hexdigest()[:32]
    pinned = b"signet-log-v1\n" + canonicalize({"origin": ORIGIN, "keys": keys["keys"]})
    assert value["log_id"] == hashlib.sha256(pinned).hexdigest()


def test_keys_json_round_trips() -> None:
    assert parse_keys(KEYS.encode()) == KEYS


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(v=2),
        lambda v: v.update(v=True),
        lambda v: v.update(origin="another"),
        lambda v: v.update(origin=7),
        lambda v: v.update(log_id="0" * 64),
        lambda v: v.update(more=1),
        lambda v: v.pop("origin"),
        lambda v: v["sets"].append(v["sets"][0]),
        lambda v: v["sets"].clear(),
        lambda v: v["sets"][0].update(from_tree_size=1),
        lambda v: v["sets"][0].update(from_tree_size=False),
        lambda v: v["sets"][0].update(endorsement={}),
        lambda v: v["sets"][0]["keys"].reverse(),
        lambda v: v["sets"][0]["keys"].pop(),
        lambda v: v["sets"][0]["keys"][0].update(keyid="0" * 32),
        lambda v: v["sets"][0]["keys"][0].update(public_key="AAAA"),
        lambda v: v["sets"][0]["keys"][0].update(alg="rsa"),
        lambda v: v.update(sets=3),
    ],
)
def test_a_key_file_that_says_anything_else_is_refused(change) -> None:
    value = json.loads(KEYS.encode())
    change(value)
    with pytest.raises(KeyFileError):
        parse_keys(canonicalize(value))


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'"x"', b"\xff", b"{}"])
def test_bytes_that_are_no_key_file_are_refused(data: bytes) -> None:
    with pytest.raises(KeyFileError):
        parse_keys(data)
    with pytest.raises(KeyFileError):
        parse_private_set(data)
    with pytest.raises(KeyFileError):
        parse_keys(KEYS.encode() + b"\n")


@pytest.mark.parametrize("alg", list(Algorithm))
def test_signatures_verify_and_no_other_ones_do(alg: Algorithm) -> None:
    key = KEYS.sets[0].key(alg)
    signature = SIGNER.sign(alg, b"message")
    key.verify(signature, b"message")
    for bad, message in (
        (signature, b"Message"),
        (signature[:-1], b"message"),
        (signature + b"\x00", b"message"),
        (b"", b"message"),
        (bytes([signature[0] ^ 1]) + signature[1:], b"message"),
    ):
        with pytest.raises(SignatureError):
            key.verify(bad, message)


def test_the_secret_round_trips_and_is_refused_with_keys_in_the_wrong_place() -> None:
    secret = encode_private_set(PRIVATE)
    assert LocalSigner(ORIGIN, parse_private_set(secret)).keys == KEYS
    for change in (
        lambda v: v["keys"].reverse(),
        lambda v: v["keys"].pop(),
        lambda v: v.update(n=1),
        lambda v: v["keys"][0].update(private_key=v["keys"][1]["private_key"]),
        lambda v: v["keys"][0].update(private_key="none"),
    ):
        value = json.loads(secret)
        change(value)
        with pytest.raises(KeyFileError) as caught:
            parse_private_set(canonicalize(value))
        assert "PRIVATE" not in str(caught.value)


def genesis(secrets: MemorySecretStore, origin: str = ORIGIN) -> Signer:
    return Signer.genesis(SecretKeyStore(secrets, "signet/dev"), origin)


def test_the_first_run_creates_the_keys_and_later_ones_read_them() -> None:
    secrets = MemorySecretStore()
    first = genesis(secrets)
    assert set(secrets.values) == {"signet/dev/log-keys/0"}
    assert genesis(secrets).keys == first.keys
    assert genesis(secrets, "another").keys.log_id != first.keys.log_id


def test_the_loser_of_two_first_runs_takes_the_winners_keys() -> None:
    class LosesTheRace(MemorySecretStore):
        def create(self, name: str, value: bytes) -> bool:
            super().create(name, encode_private_set(PRIVATE))
            return super().create(name, value)

    assert genesis(LosesTheRace()).keys == KEYS
