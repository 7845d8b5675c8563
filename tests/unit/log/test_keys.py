"""Log keys: what keys.json and the secret must say, and that two first runs end with one key set."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signet.core.canonical import canonicalize
from signet.core.errors import KeyFileError, SignatureError
from signet.log.keys import (
    Algorithm,
    LocalSigner,
    PublicKey,
    SecretKeyStore,
    Signer,
    encode_private_set,
    endorsement_message,
    generate_private_set,
    parse_keys,
    parse_private_set,
)
from signet.log.signing import MemoryKeyStore, encode_public_set, parse_public_set
from tests.corpus.logkeys import BAD_KEYS, ORDER_8, P
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


@pytest.mark.parametrize("name", BAD_KEYS)
def test_keys_under_which_anybody_signs_are_no_keys_of_a_log(name: str) -> None:
    public = [*KEYS.sets[0].keys]
    with pytest.raises(KeyFileError, match="small order, or not in its one encoding"):
        PublicKey(Algorithm.ED25519, BAD_KEYS[name])
    secret = json.loads(encode_public_set(public))
    secret["keys"][0]["public_key"] = base64.b64encode(BAD_KEYS[name]).decode()
    with pytest.raises(KeyFileError):  # what the log's writer adopts from a key service
        parse_public_set(canonicalize(secret))


def test_there_are_eight_points_of_small_order_and_the_key_of_any_log_is_none() -> None:
    """The y of a point P decides whether 8 P = 0: doubled three times by the curve's own formula."""
    p, d = P, -121665 * pow(121666, -1, P) % P
    for y in (0, 1, p - 1, ORDER_8, p - ORDER_8):
        x2 = (y * y - 1) * pow(d * y * y + 1, -1, p) % p
        for _ in range(3):
            y2, twice = y * y % p, pow(1 + d * x2 * y * y, -1, p)
            y, x2 = (y2 + x2) * pow(1 - d * x2 * y2, -1, p) % p, 4 * x2 * y2 * twice * twice % p  # noqa: PLW2901
        assert (x2, y) == (0, 1)
    for _ in range(200):
        made = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
        PublicKey(Algorithm.ED25519, made)


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


def rotated(count: int) -> Signer:
    """A log's signer after some rotations, each beginning ten leaves after the one before."""
    signer = Signer.genesis(MemoryKeyStore(), ORIGIN)
    for number in range(1, count + 1):
        signer = signer.knowing(signer.keys.with_set(signer.next_set(10 * number)))
    return signer


ROTATED = rotated(2)
OTHER = rotated(2)


def test_sets_that_follow_each_other_round_trip_and_keep_the_log_id() -> None:
    keys = ROTATED.keys
    assert parse_keys(keys.encode()) == keys
    assert {keys.up_to(size).log_id for size in (0, 10, 99)} == {keys.log_id}
    assert [keys.for_tree_size(size).n for size in (0, 9, 10, 19, 20, 10**9)] == [0, 0, 1, 1, 2, 2]
    assert [len(keys.up_to(size).sets) for size in (0, 9, 10, 20)] == [1, 1, 2, 3]


def test_an_endorsement_is_four_signatures_over_what_the_format_page_says() -> None:
    value = json.loads(ROTATED.keys.encode())
    before, after = value["sets"][1:]
    digest = {n: hashlib.sha256(canonicalize(v["keys"])).hexdigest() for n, v in ((1, before), (2, after))}
    message = (
        f'signet-key-endorsement-v1\n{{"from_tree_size":20,"log_id":"{value["log_id"]}",'
        f'"next":{{"keys_sha256":"{digest[2]}","n":2}},"previous":{{"keys_sha256":"{digest[1]}","n":1}}}}'
    ).encode()
    for side, signers in (("previous", 1), ("next", 2)):
        signatures = after["endorsement"][side]
        assert [item["alg"] for item in signatures] == ["ed25519", "ml-dsa-65"]
        for item in signatures:
            key = ROTATED.keys.sets[signers].key(Algorithm(item["alg"]))
            assert item["keyid"] == key.keyid
            key.verify(base64.b64decode(item["sig"]), message)


def test_what_an_endorsement_signs_stays_short_whatever_it_says() -> None:
    """The figures of the format page and of ADR 12."""
    before, after = ROTATED.keys.sets[1:]
    for number, size in ((8, 318), (2**53 - 1, 363)):
        numbered = replace(after, n=number, from_tree_size=number)
        assert len(endorsement_message("f" * 64, replace(before, n=number - 1), numbered)) == size


def endorsement(value, n=2):
    return value["sets"][n]["endorsement"]


def swap(one, other, name):
    one[name], other[name] = other[name], one[name]


def unendorsed(value) -> None:
    foreign = json.loads(OTHER.keys.encode())["sets"][2]
    value["sets"][2] = {**foreign, "endorsement": {**foreign["endorsement"]}}
    endorsement(value)["previous"] = [
        {**item, "keyid": key["keyid"]}
        for item, key in zip(endorsement(value)["previous"], value["sets"][1]["keys"], strict=False)
    ]


def reused(value) -> None:
    value["sets"][2]["keys"][0] = value["sets"][1]["keys"][0]
    endorsement(value)["next"][0]["keyid"] = value["sets"][1]["keys"][0]["keyid"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda v: v["sets"][2].update(endorsement=None), "endorsement_missing"),
        (lambda v: endorsement(v).pop("previous"), "endorsement_missing"),
        (lambda v: endorsement(v)["previous"].pop(), "endorsement_missing"),
        (lambda v: endorsement(v)["next"].pop(0), "endorsement_missing"),
        (lambda v: endorsement(v)["next"].reverse(), "endorsement_misplaced"),
        (lambda v: endorsement(v).update(next=endorsement(v)["previous"]), "endorsement_misplaced"),
        (lambda v: endorsement(v)["next"].append(endorsement(v)["next"][0]), "endorsement_misplaced"),
        (lambda v: swap(endorsement(v)["next"][0], endorsement(v)["previous"][0], "sig"), "bad_endorsement"),
        (lambda v: swap(endorsement(v)["next"][1], endorsement(v)["previous"][1], "sig"), "bad_endorsement"),
        (
            lambda v: swap(endorsement(v, 1)["next"][0], endorsement(v)["previous"][0], "sig"),
            "bad_endorsement",
        ),
        (unendorsed, "bad_endorsement"),
        (lambda v: v["sets"][2].update(from_tree_size=21), "bad_endorsement"),
        (lambda v: v["sets"][2].update(from_tree_size=10), "key_interval"),
        (lambda v: v["sets"][2].update(from_tree_size=5), "key_interval"),
        (lambda v: v["sets"][1].update(from_tree_size=0), "key_interval"),
        (lambda v: v["sets"][0].update(from_tree_size=1), "key_interval"),
        (reused, "key_reused"),
        (lambda v: v["sets"].pop(1), "endorsement_misplaced"),
        (lambda v: v["sets"][2].update(n=3), "key_set_order"),
        (lambda v: v["sets"][0].update(endorsement=endorsement(v)), "key_set_order"),
        (lambda v: v["sets"][2].update(more=1), "bad_key_file"),
        (lambda v: endorsement(v).update(more=1), "bad_key_file"),
        (lambda v: endorsement(v)["next"][0].update(more=1), "bad_key_file"),
        (lambda v: v["sets"][2].update(from_tree_size="20"), "bad_key_file"),
        (lambda v: v["sets"][1].update(n=True), "bad_key_file"),
        (lambda v: endorsement(v)["next"][0].update(sig="!"), "bad_key_file"),
    ],
)
def test_every_way_to_forge_a_succession_is_refused_by_its_code(change, code) -> None:
    value = json.loads(ROTATED.keys.encode())
    change(value)
    with pytest.raises(KeyFileError) as caught:
        parse_keys(canonicalize(value))
    assert caught.value.code == code


def test_a_store_that_signs_with_other_keys_than_it_shows_is_found_out() -> None:
    class Liar(MemoryKeyStore):
        def sign(self, n: int, alg: Algorithm, message: bytes) -> bytes:
            return super().sign(0, alg, message)

    signer = Signer.genesis(Liar(), ORIGIN)
    with pytest.raises(KeyFileError) as caught:
        signer.next_set(1)
    assert caught.value.code == "bad_endorsement"


def test_sets_are_secrets_of_their_own_that_are_never_written_twice() -> None:
    secrets = MemorySecretStore()
    signer = genesis(secrets)
    following = signer.next_set(7)
    assert set(secrets.values) == {"signet/dev/log-keys/0", "signet/dev/log-keys/1"}
    again = genesis(secrets)
    assert again.next_set(9).keys == following.keys
    with pytest.raises(KeyFileError):
        parse_private_set(secrets.values["signet/dev/log-keys/1"], 2)
