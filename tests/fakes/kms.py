"""A KMS client in memory that holds the log to KMS's rules: kinds of keys, aliases, 4,096 bytes."""

from __future__ import annotations

import uuid
from typing import Any, NoReturn

from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA65PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_MAKERS: dict[str, Any] = {
    "ECC_NIST_EDWARDS25519": Ed25519PrivateKey.generate,
    "ML_DSA_65": MLDSA65PrivateKey.generate,
    "ML_DSA_44": MLDSA44PrivateKey.generate,
}
#: By key: with ``RAW`` messages. KMS knows more; the log does not ask for it.
_SIGNING = {
    "ECC_NIST_EDWARDS25519": "ED25519_SHA_512",
    "ML_DSA_65": "ML_DSA_SHAKE_256",
    "ML_DSA_44": "ML_DSA_SHAKE_256",
}


class MemoryKms:
    """Keys by id, in ``keys``, and the ids that aliases point to, in ``aliases``."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, Any]] = {}
        self.aliases: dict[str, str] = {}

    def create_key(self, *, KeySpec: str, KeyUsage: str, Description: str, Tags: Any) -> Any:  # noqa: N803 - KMS's names
        assert KeyUsage == "SIGN_VERIFY"
        assert Description
        assert [tag["TagKey"] for tag in Tags] == ["signet:log"]
        key_id = str(uuid.uuid4())
        self.keys[key_id] = (KeySpec, _MAKERS[KeySpec]())
        return {"KeyMetadata": {"KeyId": key_id}}

    def create_alias(self, *, AliasName: str, TargetKeyId: str) -> None:  # noqa: N803 - KMS's names
        if AliasName in self.aliases:
            _refuse("AlreadyExistsException", "CreateAlias")
        self.aliases[AliasName] = TargetKeyId

    def get_public_key(self, *, KeyId: str) -> Any:  # noqa: N803 - KMS's name
        spec, private = self._find(KeyId, "GetPublicKey")
        der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return {"KeySpec": spec, "KeyUsage": "SIGN_VERIFY", "PublicKey": der}

    def sign(self, *, KeyId: str, Message: bytes, MessageType: str, SigningAlgorithm: str) -> Any:  # noqa: N803 - KMS's names
        spec, private = self._find(KeyId, "Sign")
        if MessageType != "RAW" or SigningAlgorithm != _SIGNING[spec] or not 1 <= len(Message) <= 4096:
            _refuse("ValidationException", "Sign")
        return {"Signature": private.sign(Message)}

    def _find(self, alias: str, operation: str) -> tuple[str, Any]:
        if alias not in self.aliases:
            _refuse("NotFoundException", operation)
        return self.keys[self.aliases[alias]]


def _refuse(code: str, operation: str) -> NoReturn:
    raise ClientError({"Error": {"Code": code, "Message": "refused"}}, operation)
