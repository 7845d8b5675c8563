"""The KMS adapter: exactly these API calls, and signatures that every verifier accepts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signet.aws.kms import MAX_RAW_BYTES, KmsKeys
from signet.core.errors import LogError, UnavailableError
from signet.log.keys import Algorithm, PublicKey, SecretKeyStore, generate_private_set
from tests.fakes.secrets import MemorySecretStore

PREFIX = "signet/test"
PRIVATE = generate_private_set()
KMS_NAMES = {
    Algorithm.ED25519: ("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"),
    Algorithm.ML_DSA_65: ("ML_DSA_65", "ML_DSA_SHAKE_256"),
    Algorithm.ML_DSA_44: ("ML_DSA_44", "ML_DSA_SHAKE_256"),
}
KEY_ID = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"


@pytest.fixture
def kms() -> Iterator[Stubber]:
    client = boto3.client(
        "kms", region_name="eu-central-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    with Stubber(client) as stub:
        yield stub
        stub.assert_no_pending_responses()


def keys(kms: Stubber) -> KmsKeys:
    return KmsKeys(kms.client, PREFIX)


def name(alg: Algorithm, n: int = 0) -> str:
    return f"{PREFIX}/log-keys/{n}-{alg}"


def absent(kms: Stubber, alg: Algorithm) -> None:
    kms.add_client_error(
        "get_public_key", "NotFoundException", expected_params={"KeyId": f"alias/{name(alg)}"}
    )


def present(kms: Stubber, alg: Algorithm, **changes: Any) -> None:
    der = PRIVATE[alg].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    answer = {
        "KeyId": KEY_ID,
        "PublicKey": der,
        "KeySpec": KMS_NAMES[alg][0],
        "KeyUsage": "SIGN_VERIFY",
        "SigningAlgorithms": [KMS_NAMES[alg][1]],
    }
    kms.add_response("get_public_key", {**answer, **changes}, {"KeyId": f"alias/{name(alg)}"})


def created(kms: Stubber, alg: Algorithm) -> None:
    kms.add_response(
        "create_key",
        {"KeyMetadata": {"KeyId": KEY_ID, "CreationDate": datetime(2026, 11, 23, tzinfo=UTC)}},
        {
            "KeySpec": KMS_NAMES[alg][0],
            "KeyUsage": "SIGN_VERIFY",
            "Description": f"Signet log key {name(alg)}",
            "Tags": [{"TagKey": "signet:log", "TagValue": PREFIX}],
        },
    )


def alias(alg: Algorithm) -> dict[str, str]:
    return {"AliasName": f"alias/{name(alg)}", "TargetKeyId": KEY_ID}


def signed(kms: Stubber, alg: Algorithm, signature: bytes, message: bytes) -> None:
    asked = {
        "KeyId": f"alias/{name(alg)}",
        "Message": message,
        "MessageType": "RAW",
        "SigningAlgorithm": KMS_NAMES[alg][1],
    }
    kms.add_response("sign", {"KeyId": KEY_ID, "Signature": signature}, asked)


def raw(alg: Algorithm) -> bytes:
    return PRIVATE[alg].public_key().public_bytes_raw()


@pytest.mark.parametrize("alg", list(Algorithm))
def test_a_key_is_made_once_and_found_by_its_alias(kms: Stubber, alg: Algorithm) -> None:
    absent(kms, alg)
    created(kms, alg)
    kms.add_response("create_alias", {}, alias(alg))
    present(kms, alg)
    present(kms, alg)
    assert keys(kms).public_key(name(alg), alg) == raw(alg)
    assert keys(kms).public_key(name(alg), alg) == raw(alg)


def test_the_loser_of_a_race_for_an_alias_takes_the_winners_key(kms: Stubber) -> None:
    alg = Algorithm.ML_DSA_65
    absent(kms, alg)
    created(kms, alg)
    kms.add_client_error("create_alias", "AlreadyExistsException", expected_params=alias(alg))
    present(kms, alg)
    assert keys(kms).public_key(name(alg), alg) == raw(alg)


def test_a_key_that_does_not_show_yet_is_waited_for(kms: Stubber) -> None:
    alg = Algorithm.ED25519
    absent(kms, alg)
    created(kms, alg)
    kms.add_response("create_alias", {}, alias(alg))
    absent(kms, alg)
    with pytest.raises(UnavailableError):
        keys(kms).public_key(name(alg), alg)


@pytest.mark.parametrize(
    "changes", [{"KeySpec": "RSA_2048"}, {"KeyUsage": "ENCRYPT_DECRYPT"}, {"PublicKey": b"\x30\x00"}], ids=str
)
def test_a_key_of_another_kind_is_refused(kms: Stubber, changes: dict[str, Any]) -> None:
    present(kms, Algorithm.ML_DSA_44, **changes)
    with pytest.raises(LogError) as caught:
        keys(kms).public_key(name(Algorithm.ML_DSA_44), Algorithm.ML_DSA_44)
    assert caught.value.code == "wrong_key"


@pytest.mark.parametrize("operation", ["get_public_key", "sign"])
def test_a_service_that_refuses_is_unavailable(kms: Stubber, operation: str) -> None:
    kms.add_client_error(operation, "KMSInternalException")
    alg = Algorithm.ED25519
    call = {
        "sign": lambda: keys(kms).sign(name(alg), alg, b"m"),
        "get_public_key": lambda: keys(kms).public_key(name(alg), alg),
    }[operation]
    with pytest.raises(UnavailableError):
        call()


@pytest.mark.parametrize("alg", list(Algorithm))
def test_a_message_of_4096_bytes_goes_to_the_service_as_it_is(kms: Stubber, alg: Algorithm) -> None:
    message = bytes(MAX_RAW_BYTES)
    signed(kms, alg, b"a signature", message)
    assert keys(kms).sign(name(alg), alg, message) == b"a signature"


@pytest.mark.parametrize("alg", list(Algorithm))
def test_a_longer_message_is_refused_before_anything_is_asked(kms: Stubber, alg: Algorithm) -> None:
    with pytest.raises(LogError, match="4096") as caught:
        keys(kms).sign(name(alg), alg, bytes(MAX_RAW_BYTES + 1))
    assert caught.value.code == "message_too_long"


def test_a_new_set_is_made_key_by_key_and_signs_by_alias(kms: Stubber) -> None:
    """Every call of a set's life, in order; its public keys are asked for once."""
    for alg in Algorithm:
        absent(kms, alg)
        created(kms, alg)
        kms.add_response("create_alias", {}, alias(alg))
        present(kms, alg)
    secrets = MemorySecretStore()
    store = SecretKeyStore(secrets, PREFIX, keys(kms))
    public = tuple(PublicKey(alg, raw(alg)) for alg in Algorithm)
    assert store.public_keys(0) == public
    again = SecretKeyStore(secrets, PREFIX, keys(kms))
    assert again.public_keys(0) == public
    for alg in Algorithm:
        signed(kms, alg, PRIVATE[alg].sign(b"m"), b"m")
        PublicKey(alg, raw(alg)).verify(again.sign(0, alg, b"m"), b"m")
