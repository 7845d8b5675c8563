"""The policy files in force and the digest by which receipts, heads and packs name them.

    bundle_sha256 = SHA-256 over, for each file in name order: name ‖ 0x00 ‖ decimal length ‖ 0x00 ‖ bytes

The deployed files come with the code, as package ``signet_policy`` beside it in a layer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from importlib import import_module, resources
from typing import Final

from signet.errors import PolicyError

_PACKAGE: Final = "signet_policy"
_SUFFIXES: Final = (".rego", ".json")


def policy_bundle_sha256(files: Mapping[str, bytes]) -> str:
    """Return the hex digest that names a set of policy files (name → bytes)."""
    digest = hashlib.sha256()
    for name in sorted(files):
        body = files[name]
        digest.update(b"%b\x00%d\x00%b" % (name.encode(), len(body), body))
    return digest.hexdigest()


def load_deployed() -> Mapping[str, bytes]:
    """Return the deployed policy files by name, names sorted; tests (``*_test.rego``) are left out.

    Raises:
        PolicyError: no policy is deployed beside this code.
    """
    try:
        import_module(_PACKAGE)
    except ImportError as error:
        raise PolicyError(
            f"no policy is deployed: put the .rego files into the package {_PACKAGE}", code="policy_missing"
        ) from error
    files = {
        entry.name: entry.read_bytes()
        for entry in resources.files(_PACKAGE).iterdir()
        if entry.is_file() and entry.name.endswith(_SUFFIXES) and not entry.name.endswith("_test.rego")
    }
    if not any(name.endswith(".rego") for name in files):
        raise PolicyError(
            f"the deployed package {_PACKAGE} holds no .rego file: deploy the policy again",
            code="policy_missing",
        )
    return dict(sorted(files.items()))
