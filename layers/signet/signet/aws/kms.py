"""Signing keys in AWS KMS: made once, found by alias, never taken out.

KMS signs messages of at most 4,096 bytes. What a log signs stays below: an endorsement names keys by digest,
and a tree head grows with the number of chains only, so ``MAX_CHAINS`` bounds it. (ML-DSA could sign more
through ``EXTERNAL_MU``; Ed25519 hashes the message twice and has no such way, and
``ED25519_PH_SHA_512`` is another scheme, which no verifier of a tree head knows.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from signet.aws.permanent import SIGNING_KEY
from signet.aws.session import error_code, translate_errors
from signet.core.errors import LogError, UnavailableError
from signet.log.keysets import Algorithm

#: Longest message that KMS signs as it is.
MAX_RAW_BYTES: Final = 4096

#: Most chains with which a tree head of the largest numbers has at most ``MAX_RAW_BYTES`` to sign.
MAX_CHAINS: Final = 27


@dataclass(frozen=True, slots=True)
class _Spec:
    """KMS's names of an algorithm: the key's, and the signature's."""

    key: str
    signing: str


_SPECS: Final[Mapping[str, _Spec]] = {
    Algorithm.ED25519: _Spec("ECC_NIST_EDWARDS25519", "ED25519_SHA_512"),
    Algorithm.ML_DSA_65: _Spec("ML_DSA_65", "ML_DSA_SHAKE_256"),
    Algorithm.ML_DSA_44: _Spec("ML_DSA_44", "ML_DSA_SHAKE_256"),
}


@dataclass(frozen=True, slots=True)
class KmsKeys:
    """Implements ``signet.core.ports.KeyService``; the key ``name`` is the one ``alias/<name>`` points to.

    An alias is taken once: of two who make a key the one whose alias stands wins and both use that key. The
    other's key is left behind, without an alias and without use.

    Attributes:
        client: of KMS.
        owner: value of the tag ``signet:log`` that every key made here carries; permissions hang on it.
    """

    client: Any  # mypy_boto3_kms is not among the stubs in use
    owner: str

    def public_key(self, name: str, alg: str) -> bytes:
        """Return the raw public key of this name, made if there is none.

        Raises:
            LogError: code ``wrong_key``: the name belongs to a key of another kind.
            UnavailableError: KMS cannot be reached, or does not show a new key yet; calling again is safe.
        """
        found = self._read(name, alg)
        if found is None:
            self._create(name, alg)
            found = self._read(name, alg)
        if found is None:
            raise UnavailableError(f"the key {name} was created but cannot be read yet: run again")
        return found

    def sign(self, name: str, alg: str, message: bytes) -> bytes:
        """Return a signature.

        Raises:
            LogError: code ``message_too_long``: more than 4,096 bytes. Nothing was signed.
            UnavailableError: KMS cannot be reached, or has no such key.
        """
        if len(message) > MAX_RAW_BYTES:
            raise LogError(
                f"KMS signs at most {MAX_RAW_BYTES} bytes, and these are {len(message)}",
                code="message_too_long",
            )
        with translate_errors(f"sign with the key {name}", SIGNING_KEY):
            answer = self.client.sign(
                KeyId=f"alias/{name}",
                Message=message,
                MessageType="RAW",
                SigningAlgorithm=_SPECS[alg].signing,
            )
        signature: bytes = answer["Signature"]
        return signature

    def _read(self, name: str, alg: str) -> bytes | None:
        with translate_errors(f"read the public key {name}", SIGNING_KEY):
            try:
                found = self.client.get_public_key(KeyId=f"alias/{name}")
            except ClientError as error:
                if error_code(error) == "NotFoundException":
                    return None
                raise
        if found["KeySpec"] != _SPECS[alg].key or found["KeyUsage"] != "SIGN_VERIFY":
            raise LogError(f"the key {name} is no signing key for {alg}", code="wrong_key")
        return _raw(found["PublicKey"])

    def _create(self, name: str, alg: str) -> None:
        with translate_errors(f"create the key {name}", SIGNING_KEY):
            made = self.client.create_key(
                KeySpec=_SPECS[alg].key,
                KeyUsage="SIGN_VERIFY",
                Description=f"Signet log key {name}",
                Tags=[{"TagKey": "signet:log", "TagValue": self.owner}],
            )
            try:
                self.client.create_alias(AliasName=f"alias/{name}", TargetKeyId=made["KeyMetadata"]["KeyId"])
            except ClientError as error:
                if error_code(error) != "AlreadyExistsException":
                    raise


def _raw(der: bytes) -> bytes:
    try:
        return load_der_public_key(der).public_bytes(Encoding.Raw, PublicFormat.Raw)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise LogError("KMS answered with a public key that cannot be read", code="wrong_key") from error
