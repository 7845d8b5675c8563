"""The files of a policy and the digest by which receipts, heads and packs name them.

    bundle_sha256 = SHA-256 over, for each file in name order: name ‖ 0x00 ‖ decimal length ‖ 0x00 ‖ bytes

The deployed files come with the code, as package ``signet_policy`` beside it in a layer. A folder in it is an
overlay: its files take the place of those of the same name, where a deployment asks for it by name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from importlib import import_module, resources
from importlib.resources.abc import Traversable
from typing import Final

from signet.core.errors import PolicyError

_PACKAGE: Final = "signet_policy"
_SUFFIXES: Final = (".rego", ".json")
_TESTS: Final = ("_test.rego", "_cases.json")
#: Names of a policy's files: those of members of a pack, and without what ends a name in the digest.
FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.(?:rego|json)")
_OVERLAY_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
#: No file of a policy or of its tests is larger; the check says how large a bundle may be.
_MOST_READ: Final = 16 * 1024 * 1024
#: Environment variable that names the overlay in force; empty for none.
OVERLAY_VARIABLE: Final = "SIGNET_POLICY_OVERLAY"


def policy_bundle_sha256(files: Mapping[str, bytes]) -> str:
    """Return the hex digest that names a set of policy files (name → bytes)."""
    digest = hashlib.sha256()
    for name in sorted(files):
        body = files[name]
        digest.update(b"%b\x00%d\x00%b" % (name.encode(), len(body), body))
    return digest.hexdigest()


def load_deployed(overlay: str = "") -> dict[str, bytes]:
    """Return the deployed policy files by name, names sorted (see ``read_folder``).

    Args:
        overlay: name of the folder whose files take precedence; empty for none.

    Raises:
        PolicyError: no policy is deployed beside this code, or no such overlay.
    """
    try:
        import_module(_PACKAGE)
    except ImportError as error:
        raise PolicyError(
            f"no policy is deployed: put the .rego files into the package {_PACKAGE}", code="policy_missing"
        ) from error
    return read_folder(resources.files(_PACKAGE), overlay)


def read_folder(folder: Traversable, overlay: str = "") -> dict[str, bytes]:
    """Return the policy files of a folder by name, names sorted; its tests are left out (``read_tests``).

    Args:
        folder: such as a ``Path``.
        overlay: folder in it whose files take the place of those of the same name; empty for none.

    Raises:
        PolicyError: code ``policy_missing``: there is no .rego file, or no such overlay;
            ``policy_file_name``: a file's name is no UTF-8, so it has no digest. A file is too large to read.
    """
    files = _files_of(folder)
    if not any(name.endswith(".rego") for name in files):
        raise PolicyError(f"{folder} holds no .rego file, so no policy", code="policy_missing")
    if overlay:
        over = folder / overlay
        if _OVERLAY_NAME.fullmatch(overlay) is None or not over.is_dir():
            raise PolicyError(f"{folder} has no overlay {overlay!r}", code="policy_missing")
        files |= _files_of(over)
    return dict(sorted(files.items()))


def read_tests(folder: Traversable, overlay: str = "") -> dict[str, bytes]:
    """Return the tests of a policy (``*_test.rego``, ``*_cases.json``) by name, names sorted; no part of it.

    Those in the folder are about the policy as it stands there. With an overlay it is another one: then the
    tests are those in the overlay's folder.

    Raises:
        PolicyError: code ``policy_file_name``: a file's name is no UTF-8. A file is too large to read.
    """
    return dict(sorted(_files_of(folder / overlay if overlay else folder, tests=True).items()))


def _files_of(folder: Traversable, *, tests: bool = False) -> dict[str, bytes]:
    files = {}
    for entry in folder.iterdir():
        name = entry.name
        if entry.is_file() and name.endswith(_SUFFIXES) and name.endswith(_TESTS) == tests:
            if any("\ud800" <= character <= "\udfff" for character in name):
                raise PolicyError(
                    f"{folder} holds a file whose name is no UTF-8: rename {name!r}", code="policy_file_name"
                )
            files[name] = _read(folder, entry)
    return files


def _read(folder: Traversable, entry: Traversable) -> bytes:
    with entry.open("rb") as file:
        content: bytes = file.read(_MOST_READ + 1)
    if len(content) > _MOST_READ:
        raise PolicyError(f"{folder} holds {entry.name!r}, which is too large for a policy's file")
    return content
