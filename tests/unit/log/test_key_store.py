"""Where a log's key sets are kept: made once, found again, and what a key service has to be able to sign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from signet.aws.kms import MAX_CHAINS, MAX_RAW_BYTES, KmsKeys
from signet.core.canonical import canonicalize, parse
from signet.core.errors import KeyFileError, LogError, UnavailableError
from signet.log.emitters import NO_EMITTERS, EmitterTotals
from signet.log.keys import (
    Algorithm,
    LocalSigner,
    SecretKeyStore,
    Signer,
    encode_private_set,
    generate_private_set,
    parse_keys,
)
from signet.log.signing import MemoryKeyStore, parse_public_set
from signet.log.sth import MAX_TIMESTAMP, TreeHead, sign_sth, verify_sth
from signet.log.summaries import ChainSummary
from tests.fakes.kms import MemoryKms
from tests.fakes.secrets import MemorySecretStore
from tests.unit.log.test_rotation import Overtaken
from tests.unit.log.test_sequencer import Fault, Killed

PREFIX = "signet/test"
PRIVATE = generate_private_set()


def name(alg: Algorithm, n: int = 0) -> str:
    return f"{PREFIX}/log-keys/{n}-{alg}"


def largest_head(log_id: str, chains: int) -> TreeHead:
    """A head with as many digits as any head of so many chains."""
    largest = 2**53 - 1
    return TreeHead(
        log_id=log_id,
        date=date(9999, 12, 31),
        final=False,
        tree_size=largest,
        root_hash=bytes(32),
        timestamp=MAX_TIMESTAMP,
        first_leaf=largest,
        prev_sth_sha256="f" * 64,
        chains=tuple(ChainSummary(n, largest, largest, bytes(32)) for n in range(chains)),
        emitters=EmitterTotals(largest, largest, largest, "f" * 64),
        policy_bundle_sha256="f" * 64,
    )


def signed_bytes(head: TreeHead) -> int:
    """How many bytes a signer is handed for a head."""
    asked: list[bytes] = []

    class Records(MemoryKeyStore):
        def sign(self, n: int, alg: Algorithm, message: bytes) -> bytes:
            asked.append(message)
            return super().sign(n, alg, message)

    with pytest.raises(LogError, match="contradict"):  # the largest numbers cannot all be in one true head
        sign_sth(head, Signer.genesis(Records({0: PRIVATE}), "log.example"))
    return max(map(len, asked))


def test_with_as_many_chains_as_kms_may_have_every_head_fits() -> None:
    log_id = LocalSigner("log.example", PRIVATE).keys.log_id
    assert signed_bytes(largest_head(log_id, MAX_CHAINS)) <= MAX_RAW_BYTES - 200
    assert signed_bytes(largest_head(log_id, MAX_CHAINS + 3)) > MAX_RAW_BYTES


def test_a_log_of_as_many_chains_signs_and_rotates_in_kms() -> None:
    store = SecretKeyStore(MemorySecretStore(), PREFIX, KmsKeys(MemoryKms(), PREFIX))
    signer = Signer.genesis(store, "log.example")
    signer = signer.knowing(signer.keys.with_set(signer.next_set(2**53 - 1)))
    each = 2**53 // MAX_CHAINS - 1
    head = replace(
        largest_head(signer.keys.log_id, MAX_CHAINS),
        tree_size=each * MAX_CHAINS,
        first_leaf=0,
        chains=tuple(ChainSummary(n, 0, each, bytes(32)) for n in range(MAX_CHAINS)),
        emitters=NO_EMITTERS,
    )
    verify_sth(sign_sth(head, signer).raw, signer.keys)


def test_sets_stay_where_they_were_made_when_the_deployment_changes() -> None:
    secrets, client = MemorySecretStore(), MemoryKms()
    service = KmsKeys(client, PREFIX)
    before = Signer.genesis(SecretKeyStore(secrets, PREFIX), "log.example")
    after = Signer.genesis(SecretKeyStore(secrets, PREFIX, service), "log.example")
    assert (after.keys, client.keys) == (before.keys, {})
    rotated = after.knowing(after.keys.with_set(after.next_set(1)))
    assert set(client.aliases) == {f"alias/{name(alg, 1)}" for alg in Algorithm}
    assert b"private_key" in secrets.values[f"{PREFIX}/log-keys/0"]
    assert b"private_key" not in secrets.values[f"{PREFIX}/log-keys/1"]
    parse_keys(rotated.keys.encode())
    without_service = Signer(rotated.keys, SecretKeyStore(secrets, PREFIX))
    without_service.sign(Algorithm.ED25519, b"m", 0)
    with pytest.raises(KeyFileError, match="KeyStore=kms"):
        without_service.sign(Algorithm.ED25519, b"m", 1)
    with pytest.raises(KeyFileError, match="KeyStore=kms"):
        without_service.next_set(2)
    again = SecretKeyStore(secrets, PREFIX, service)
    assert again.public_keys(1) == rotated.keys.sets[1].keys


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["keys"].pop(),
        lambda v: v["keys"].reverse(),
        lambda v: v.update(n=1),
        lambda v: v.update(v=True),
        lambda v: v.update(more=1),
        lambda v: v.update(keys="kms"),
        lambda v: v["keys"][0].update(alg="ml-dsa-65"),
        lambda v: v["keys"][0].update(public_key=v["keys"][1]["public_key"]),
        lambda v: v["keys"][0].update(public_key="none"),
        lambda v: v["keys"].__setitem__(0, parse(encode_private_set(PRIVATE))["keys"][0]),
    ],
)
def test_a_secret_that_names_anything_but_a_whole_set_is_refused(change: Callable[[Any], object]) -> None:
    secrets = MemorySecretStore()
    service = KmsKeys(MemoryKms(), PREFIX)
    public = SecretKeyStore(secrets, PREFIX, service).public_keys(0)
    [(secret, good)] = secrets.values.items()
    assert parse_public_set(good) == public
    value = parse(good)
    change(value)
    secrets.values[secret] = canonicalize(value)
    with pytest.raises(KeyFileError):
        SecretKeyStore(secrets, PREFIX, service).public_keys(0)


def test_a_set_whose_alias_is_gone_is_missed_and_not_made_anew() -> None:
    secrets, client = MemorySecretStore(), MemoryKms()
    signer = Signer.genesis(SecretKeyStore(secrets, PREFIX, KmsKeys(client, PREFIX)), "log.example")
    client.aliases.clear()
    later = Signer.genesis(SecretKeyStore(secrets, PREFIX, KmsKeys(client, PREFIX)), "log.example")
    assert later.keys == signer.keys
    with pytest.raises(UnavailableError):
        later.sign(Algorithm.ED25519, b"m", 0)
    assert len(client.keys) == len(Algorithm)


def test_where_a_service_cannot_make_a_set_the_secret_decides_nothing() -> None:
    """So a deployment to a region whose KMS lacks a kind of key can be taken back."""

    class WithoutMlDsa44(MemoryKms):
        def create_key(self, **asked: Any) -> Any:
            if asked["KeySpec"] == "ML_DSA_44":
                raise ClientError({"Error": {"Code": "UnsupportedOperationException"}}, "CreateKey")
            return super().create_key(**asked)

    secrets = MemorySecretStore()
    with pytest.raises(UnavailableError):
        SecretKeyStore(secrets, PREFIX, KmsKeys(WithoutMlDsa44(), PREFIX)).public_keys(0)
    assert secrets.values == {}
    SecretKeyStore(secrets, PREFIX).public_keys(0)


def faulty(fault: Fault, secrets: MemorySecretStore, client: MemoryKms) -> SecretKeyStore:
    """A store in KMS that meets the fault at any call, of secrets or of KMS."""
    return SecretKeyStore(fault.wrap(secrets), PREFIX, KmsKeys(fault.wrap(client), PREFIX))


def calls_to_make_a_set() -> list[str]:
    quiet = Fault(-1, takes_effect=True, error=Killed)
    faulty(quiet, MemorySecretStore(), MemoryKms()).public_keys(1)
    made = {"get": 2, "create": 1, "create_key": 3, "create_alias": 3, "get_public_key": 6}
    assert Counter(quiet.calls) == made
    return quiet.calls


def assert_same_keys(one: SecretKeyStore, other: SecretKeyStore, where: str) -> None:
    """Both show one set, and the first, which reaches KMS, can sign with all of it."""
    public = one.public_keys(1)
    assert public == other.public_keys(1), where
    for key in public:
        key.verify(one.sign(1, key.alg, b"m"), b"m")


@pytest.mark.parametrize("next_in_kms", [True, False])
@pytest.mark.parametrize("takes_effect", [False, True])
def test_who_makes_a_set_may_be_killed_at_any_call(*, takes_effect: bool, next_in_kms: bool) -> None:
    for at, name in enumerate(calls_to_make_a_set()):
        if takes_effect and name.startswith("get"):
            continue  # the same as before the next call
        secrets, client = MemorySecretStore(), MemoryKms()
        with pytest.raises(Killed):
            faulty(Fault(at, takes_effect=takes_effect, error=Killed), secrets, client).public_keys(1)
        decided = dict(secrets.values)
        service = KmsKeys(client, PREFIX)
        if next_in_kms or not decided:
            SecretKeyStore(secrets, PREFIX, service if next_in_kms else None).public_keys(1)
        stores = [SecretKeyStore(secrets, PREFIX, service) for _ in range(2)]
        assert_same_keys(*stores, f"call {at} ({name})")
        assert secrets.values.items() >= decided.items()


@pytest.mark.parametrize("other_in_kms", [True, False])
def test_of_two_who_make_a_set_both_use_the_same(*, other_in_kms: bool) -> None:
    """The other one makes the whole set just before any call of the first."""
    calls = calls_to_make_a_set()
    for at, name in enumerate(calls):
        secrets, client = MemorySecretStore(), MemoryKms()
        other = SecretKeyStore(secrets, PREFIX, KmsKeys(client, PREFIX) if other_in_kms else None)
        overtaken = Overtaken(at, partial(other.public_keys, 1))
        assert_same_keys(faulty(overtaken, secrets, client), other, f"call {at} ({name})")
        assert (b"public_key" in secrets.values[f"{PREFIX}/log-keys/1"]) is (
            other_in_kms or at == len(calls) - 1
        )
