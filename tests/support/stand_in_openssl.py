"""What an openssl answers that knows the algorithms it is told to: a stand-in for the program.

Without a library of Signet's: it is also asked in a process that has imported none.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key


def answer(words: Sequence[str], knows: Sequence[str]) -> tuple[int, str]:
    """Return exit code and output for the words after the program's name, as far as VERIFY.md uses them."""
    if words[0] == "list":
        return 0, "".join(f"  {{ 1.2.3, {name} }} @ default\n" for name in knows)
    assert {"pkeyutl", "-verify", "-pubin", "-rawin"} <= set(words), words
    given = dict(pairwise(words))
    key, message, signature = (Path(given[name]).read_bytes() for name in ("-inkey", "-in", "-sigfile"))
    loaded = load_der_public_key(key)
    assert isinstance(loaded, Ed25519PublicKey | MLDSA65PublicKey)
    try:
        loaded.verify(signature, message)
    except InvalidSignature:
        return 1, "Signature Verification Failure\n"
    return 0, "Signature Verified Successfully\n"
