"""Log keys in the KMS of the embedded stack: Ed25519, made once, found by alias, endorsing each other."""

from __future__ import annotations

import uuid

import pytest

from local.stack import Stack
from signet.aws.kms import MAX_RAW_BYTES, KmsKeys
from signet.core.errors import LogError
from signet.log.keys import Algorithm, PublicKey, SecretKeyStore, Signer, parse_keys
from tests.fakes.kms import MemoryKms
from tests.fakes.secrets import MemorySecretStore

pytestmark = pytest.mark.integration


def test_an_ed25519_key_is_made_once_and_signs_what_verifiers_accept(stack: Stack) -> None:
    prefix = f"signet/{uuid.uuid4()}"
    name, alg = f"{prefix}/log-keys/0-ed25519", Algorithm.ED25519
    keys = KmsKeys(stack.client("kms"), prefix)
    public = PublicKey(alg, keys.public_key(name, alg))
    assert KmsKeys(stack.client("kms"), prefix).public_key(name, alg) == public.public_key
    for message in (b"m", bytes(MAX_RAW_BYTES)):
        public.verify(keys.sign(name, alg, message), message)
    with pytest.raises(LogError) as caught:
        keys.sign(name, alg, bytes(MAX_RAW_BYTES + 1))
    assert caught.value.code == "message_too_long"
    with pytest.raises(LogError) as caught:
        keys.public_key(name, Algorithm.ML_DSA_65)
    assert caught.value.code == "wrong_key"


class Ed25519InTheStack:
    """The stack's KMS for Ed25519; what it does not know, ML-DSA, in memory."""

    def __init__(self, stack: Stack, prefix: str) -> None:
        self._stack = KmsKeys(stack.client("kms"), prefix)
        self._memory = KmsKeys(MemoryKms(), prefix)

    def public_key(self, name: str, alg: str) -> bytes:
        return self._for(alg).public_key(name, alg)

    def sign(self, name: str, alg: str, message: bytes) -> bytes:
        return self._for(alg).sign(name, alg, message)

    def _for(self, alg: str) -> KmsKeys:
        return self._stack if alg == Algorithm.ED25519 else self._memory


def test_key_sets_in_kms_endorse_each_other(stack: Stack) -> None:
    prefix = f"signet/{uuid.uuid4()}"
    service = Ed25519InTheStack(stack, prefix)
    signer = Signer.genesis(SecretKeyStore(MemorySecretStore(), prefix, service), "log.example")
    for size in (1, 2**53 - 1):
        signer = signer.knowing(signer.keys.with_set(signer.next_set(size)))
    found = parse_keys(signer.keys.encode())
    assert [keys.key(Algorithm.ED25519).public_key for keys in found.sets] == [
        KmsKeys(stack.client("kms"), prefix).public_key(f"{prefix}/log-keys/{n}-ed25519", Algorithm.ED25519)
        for n in range(3)
    ]


def test_the_key_of_an_alias_stands_whoever_makes_another(stack: Stack) -> None:
    prefix = f"signet/{uuid.uuid4()}"
    name, alg = f"{prefix}/log-keys/0-ed25519", Algorithm.ED25519
    first = KmsKeys(stack.client("kms"), prefix)
    public_key = first.public_key(name, alg)
    first._create(name, alg)  # as a second writer does that saw no alias yet
    assert first.public_key(name, alg) == public_key
    aliases = stack.client("kms").list_aliases()["Aliases"]
    assert [a["AliasName"] for a in aliases if prefix in a["AliasName"]] == [f"alias/{name}"]
