"""Everything about the log's signing keys under one name: public sets, and the hands that sign with them."""

from __future__ import annotations

from signet.log.keysets import (
    HEAD_ALGORITHMS,
    Algorithm,
    Endorsement,
    KeySet,
    LogKeys,
    PublicKey,
    endorsement_message,
    parse_keys,
    read_key_set,
)
from signet.log.signing import (
    KeyStore,
    LocalSigner,
    SecretKeyStore,
    Signer,
    encode_private_set,
    generate_private_set,
    parse_private_set,
)

__all__ = [
    "HEAD_ALGORITHMS",
    "Algorithm",
    "Endorsement",
    "KeySet",
    "KeyStore",
    "LocalSigner",
    "LogKeys",
    "PublicKey",
    "SecretKeyStore",
    "Signer",
    "encode_private_set",
    "endorsement_message",
    "generate_private_set",
    "parse_keys",
    "parse_private_set",
    "read_key_set",
]
