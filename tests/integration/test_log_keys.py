"""Log keys in the KMS of the embedded stack: Ed25519, made once and found by alias."""

from __future__ import annotations

import uuid
from typing import Any

import boto3
import pytest

from local.stack import Stack
from signet.aws.kms import MAX_RAW_BYTES, KmsKeys
from signet.errors import LogError
from signet.log.keys import Algorithm, PublicKey

pytestmark = pytest.mark.integration


def kms(stack: Stack) -> Any:
    return boto3.client(
        "kms",
        endpoint_url=stack.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_an_ed25519_key_is_made_once_and_signs_what_verifiers_accept(stack: Stack) -> None:
    prefix = f"signet/{uuid.uuid4()}"
    name, alg = f"{prefix}/log-keys/0-ed25519", Algorithm.ED25519
    keys = KmsKeys(kms(stack), prefix)
    public = PublicKey(alg, keys.public_key(name, alg))
    assert KmsKeys(kms(stack), prefix).public_key(name, alg) == public.public_key
    for message in (b"m", bytes(MAX_RAW_BYTES)):
        public.verify(keys.sign(name, alg, message), message)
    with pytest.raises(LogError) as caught:
        keys.sign(name, alg, bytes(MAX_RAW_BYTES + 1))
    assert caught.value.code == "message_too_long"
    with pytest.raises(LogError) as caught:
        keys.public_key(name, Algorithm.ML_DSA_65)
    assert caught.value.code == "wrong_key"


def test_the_key_of_an_alias_stands_whoever_makes_another(stack: Stack) -> None:
    prefix = f"signet/{uuid.uuid4()}"
    name, alg = f"{prefix}/log-keys/0-ed25519", Algorithm.ED25519
    first = KmsKeys(kms(stack), prefix)
    public_key = first.public_key(name, alg)
    first._create(name, alg)  # as a second writer does that saw no alias yet
    assert first.public_key(name, alg) == public_key
    aliases = kms(stack).list_aliases()["Aliases"]
    assert [a["AliasName"] for a in aliases if prefix in a["AliasName"]] == [f"alias/{name}"]
