"""The KMS adapter: exactly these API calls, and signatures that every verifier accepts."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signet.aws.kms import MAX_RAW_BYTES, KmsKeys, message_representative
from signet.errors import KeyFileError, LogError, UnavailableError
from signet.log.emitters import NO_EMITTERS
from signet.log.keys import (
    Algorithm,
    KeySet,
    LogKeys,
    PublicKey,
    SecretKeyStore,
    Signer,
    generate_private_set,
    parse_private_set,
)
from signet.log.merkle import EMPTY_ROOT
from signet.log.sth import TreeHead, sign_sth, verify_sth
from signet.log.summaries import ChainSummary
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


def signed(kms: Stubber, alg: Algorithm, signature: bytes, message: bytes, kind: str = "RAW") -> None:
    asked = {
        "KeyId": f"alias/{name(alg)}",
        "Message": message,
        "MessageType": kind,
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


@pytest.mark.parametrize("alg", [Algorithm.ML_DSA_65, Algorithm.ML_DSA_44])
def test_a_longer_message_goes_to_ml_dsa_as_its_representative(kms: Stubber, alg: Algorithm) -> None:
    message = bytes(MAX_RAW_BYTES + 1)
    present(kms, alg)
    mu = message_representative(raw(alg), message)
    signature = PRIVATE[alg].sign_mu(mu)  # type: ignore[union-attr] # both are ML-DSA keys
    signed(kms, alg, signature, mu, "EXTERNAL_MU")
    made = keys(kms).sign(name(alg), alg, message)
    PublicKey(alg, raw(alg)).verify(made, message)


def test_a_longer_message_is_refused_for_ed25519_before_anything_is_asked(kms: Stubber) -> None:
    with pytest.raises(LogError, match="4096") as caught:
        keys(kms).sign(name(Algorithm.ED25519), Algorithm.ED25519, bytes(MAX_RAW_BYTES + 1))
    assert caught.value.code == "message_too_long"


class LocalService:
    """A key service in memory."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}

    def public_key(self, name: str, alg: str) -> bytes:
        key = self.made.setdefault(name, generate_private_set([Algorithm(alg)])[Algorithm(alg)])
        return key.public_key().public_bytes_raw()

    def sign(self, name: str, alg: str, message: bytes) -> bytes:
        return self.made[name].sign(message)


def head(signer: Signer, size: int) -> TreeHead:
    return TreeHead(
        log_id=signer.keys.log_id,
        date=datetime(2026, 11, 23, tzinfo=UTC).date(),
        final=True,
        tree_size=size,
        root_hash=bytes(32) if size else EMPTY_ROOT,
        timestamp=1,
        first_leaf=0,
        prev_sth_sha256=None,
        chains=(ChainSummary(0, 0, size, bytes(32)),),
        emitters=NO_EMITTERS,
        policy_bundle_sha256="0" * 64,
    )


def test_a_set_has_its_ed25519_key_in_a_secret_and_the_others_in_the_service() -> None:
    secrets, service = MemorySecretStore(), LocalService()
    signer = Signer.genesis(SecretKeyStore(secrets, PREFIX, service), "log.example")
    assert list(parse_private_set(secrets.values[f"{PREFIX}/log-keys/0"])) == [Algorithm.ED25519]
    assert set(service.made) == {name(Algorithm.ML_DSA_65), name(Algorithm.ML_DSA_44)}
    signer.knowing(signer.keys.with_set(signer.next_set(1)))  # endorsements are longer than 4,096 bytes, too
    assert len(verify_sth(sign_sth(head(signer, 500), signer).raw, signer.keys).raw) > MAX_RAW_BYTES


def test_sets_stay_where_they_were_made_when_the_deployment_changes() -> None:
    secrets, service = MemorySecretStore(), LocalService()
    before = Signer.genesis(SecretKeyStore(secrets, PREFIX), "log.example")
    after = Signer.genesis(SecretKeyStore(secrets, PREFIX, service), "log.example")
    assert (after.keys, service.made) == (before.keys, {})
    rotated = after.knowing(after.keys.with_set(after.next_set(1)))
    assert len(service.made) == 2
    verify_sth(sign_sth(head(rotated, 0), rotated).raw, rotated.keys)
    verify_sth(sign_sth(head(rotated, 3), rotated).raw, rotated.keys)
    without_service = Signer(rotated.keys, SecretKeyStore(secrets, PREFIX))
    with pytest.raises(KeyFileError, match="KeyStore=kms"):
        sign_sth(head(without_service, 3), without_service)


def test_with_ed25519_in_the_service_no_rotation_could_be_endorsed() -> None:
    """Why the template keeps Ed25519 in a secret."""
    public = tuple(PublicKey(alg, raw(alg)) for alg in Algorithm)

    class OnlyKms:
        def public_keys(self, n: int) -> tuple[PublicKey, ...]:
            return public

        def sign(self, n: int, alg: Algorithm, message: bytes) -> bytes:
            if alg is Algorithm.ED25519 and len(message) > MAX_RAW_BYTES:
                raise LogError("too long", code="message_too_long")
            return PRIVATE[alg].sign(message)

    signer = Signer(LogKeys("log.example", (KeySet(0, 0, public),)), OnlyKms())
    sign_sth(head(signer, 38), signer)
    with pytest.raises(LogError) as caught:
        signer.next_set(1)
    assert caught.value.code == "message_too_long"
