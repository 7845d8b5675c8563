"""The ML-DSA provider that a deployment chooses; liboqs is looked for before its wrapper is imported.

Without the shared library ``import oqs`` (liboqs-python) clones and builds liboqs, or ends the
process. So it is imported only after the library was found where the wrapper will find it, and
loaded: one for another processor is as bad as none.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from signet.core.errors import UsageError
from signet.crypto.mldsa_provider import (
    CRYPTOGRAPHY,
    PUBLIC_KEY_SIZE,
    SIGNATURE_SIZE,
    LiboqsMlDsa,
    MlDsaProvider,
)

VARIABLE = "SIGNET_MLDSA_PROVIDER"
NAMES = ("cryptography", "liboqs")

_LAYER_PREFIX = "/opt"  # where Lambda unpacks layers
_PREFIX_VARIABLE = "OQS_INSTALL_PATH"  # read by the wrapper as well
_ALGORITHM = "ML-DSA-65"


def provider_name(env: Mapping[str, str]) -> str:
    """Return the provider that the environment chooses, ``cryptography`` if it chooses none.

    Raises:
        UsageError: there is no provider of that name.
    """
    name = env.get(VARIABLE, NAMES[0])
    if name not in NAMES:
        raise UsageError(f'{VARIABLE} is "{name}": set it to {" or ".join(NAMES)}.')
    return name


def load_provider(name: str) -> MlDsaProvider:
    """Return the provider of that name; for liboqs the library is found and loaded now.

    Raises:
        UsageError: liboqs is chosen, but the library or its wrapper is absent or lacks ML-DSA-65.
    """
    return _load_liboqs() if name == "liboqs" else CRYPTOGRAPHY


def library_prefix(env: Mapping[str, str]) -> str:
    """Return the value of OQS_INSTALL_PATH with which the wrapper finds a library that loads.

    Looked for in the wrapper's order: the system linker, then ``lib`` and ``lib64`` below the
    prefix, which is OQS_INSTALL_PATH or else a Lambda layer's /opt.

    Raises:
        UsageError: there is none; says where it was looked for.
    """
    prefixes = [p for p in (env.get(_PREFIX_VARIABLE), _LAYER_PREFIX) if p]
    from ctypes.util import find_library  # noqa: PLC0415 - brings subprocess, for one provider of two

    system = find_library("oqs")
    if system and _loads(system):
        return prefixes[0]
    folders = [Path(prefix, folder) for prefix in prefixes for folder in ("lib", "lib64")]
    for folder in folders:
        if _loads(str(folder.absolute() / "liboqs.so")):
            return str(folder.parent)
    places = ", ".join(map(str, folders))
    raise UsageError(
        f"{VARIABLE}=liboqs, but no liboqs.so that loads is in {places} or known to the system linker: "
        f"install liboqs (on Lambda as a layer), point {_PREFIX_VARIABLE} at its prefix, "
        f"or set {VARIABLE}=cryptography."
    )


def _loads(library: str) -> bool:
    import ctypes  # noqa: PLC0415 - as above

    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def _load_liboqs() -> MlDsaProvider:
    prefix = library_prefix(os.environ)
    if importlib.util.find_spec("oqs") is None:
        raise UsageError(
            f"{VARIABLE}=liboqs, and liboqs is here, but its Python wrapper is not: "
            f"install liboqs-python beside it, or set {VARIABLE}=cryptography."
        )
    os.environ[_PREFIX_VARIABLE] = prefix  # the wrapper takes it from nowhere else
    # On import the wrapper hangs a handler for standard output on its logger, and greets.
    logging.getLogger("oqs.oqs").disabled = True
    try:
        return _verifying(importlib.import_module("oqs"))
    except (AttributeError, ImportError, NameError, OSError, RuntimeError, SystemExit) as error:
        # ctypes looks functions up by name: the wrapper's when it is imported, others when they are called.
        raise _unfit(f"does not fit its Python wrapper ({type(error).__name__}: {error})") from error


def _verifying(oqs: Any) -> LiboqsMlDsa:
    """Return what verifies with a wrapper, after it has verified once: by then every function was found."""
    unsupported = getattr(oqs, "MechanismNotSupportedError", ())
    try:
        signature = oqs.Signature(_ALGORITHM)
    except unsupported as error:
        raise _unfit("was built without it") from error
    if not getattr(signature, "sig_with_ctx_support", False):  # old wrappers know no contexts
        raise _unfit("knows it without context strings, which composites need")
    if signature.verify_with_ctx_str(b"", bytes(SIGNATURE_SIZE), b"signet", bytes(PUBLIC_KEY_SIZE)):
        raise _unfit("takes a signature of zeros for a good one")
    return LiboqsMlDsa(signature)


def _unfit(what: str) -> UsageError:
    return UsageError(
        f"{VARIABLE}=liboqs, but this liboqs cannot verify {_ALGORITHM}, it {what}: "
        f"install liboqs 0.12 or later, or set {VARIABLE}=cryptography."
    )
