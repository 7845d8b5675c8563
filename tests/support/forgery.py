"""Both verifiers of packs, and the tools of a forger: taking packs apart and putting them together."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import signet.pack.resources
from signet.core.canonical import canonicalize, parse
from signet.core.encoding import encode_base64
from signet.log.keys import Algorithm
from signet.log.signing import PrivateKey
from signet.pack import layout
from signet.pack.callers import parse_callers
from signet.pack.report import PackReport
from signet.pack.verify import verify_pack
from signet.pack.zipwriter import Member, deflate, write_zip
from tests.support.packs import PackLog

CHECKER = Path(signet.pack.resources.__file__).with_name("verify.py")
Files = dict[str, bytes]


@cache
def checker() -> ModuleType:
    """The single-file checker, loaded from its path as an auditor would run it."""
    spec = importlib.util.spec_from_file_location("pack_checker", CHECKER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_checker(
    data: bytes, log_id: str | None, date: str | None = None, callers: bytes | None = None
) -> tuple[int, str]:
    """Exit code and output of the single-file checker; ``date`` is the day that was asked for."""
    keys = None if callers is None else checker().read_callers(callers)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = checker().verify(io.BytesIO(data), log_id, date, keys)
    return code, printed.getvalue()


def library(
    data: bytes, log_id: str | None = None, date: str | None = None, callers: bytes | None = None
) -> PackReport:
    keys = None if callers is None else parse_callers(callers)
    return verify_pack(io.BytesIO(data), log_id=log_id, date=date, callers=keys)


def assert_good(data: bytes, log: PackLog) -> PackReport:
    report = library(data, log.log_id)
    assert report.failures == ()
    code, printed = run_checker(data, log.log_id)
    assert code == 0, printed
    return report


def assert_refused(data: bytes, code: str, log_id: str | None = None) -> PackReport:
    """Both verifiers refuse, the library with this code first."""
    report = library(data, log_id)
    assert not report.good
    exit_code, printed = run_checker(data, log_id)
    assert exit_code == 1, printed
    assert "FAILED" in printed
    assert report.failures[0].code == code, report.failures
    assert report.failures[0].where in printed
    return report


def unzip(data: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def rezip(files: Files) -> bytes:
    """Zip members in the order given, the manifest as it is."""
    parts: list[tuple[Member, io.BytesIO]] = []
    for name, body in files.items():
        spool = io.BytesIO()
        parts.append((deflate(name, (body,), spool), spool))
        spool.seek(0)
    out = io.BytesIO()
    write_zip(iter(parts), out)
    return out.getvalue()


def remade(files: Files) -> bytes:
    """Zip members with a manifest that fits them: what a forger would do first."""
    manifest = parse(files[layout.MANIFEST])
    manifest["files"] = [
        {"name": name, "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)}
        for name, body in files.items()
        if name != layout.MANIFEST
    ]
    return rezip({**files, layout.MANIFEST: canonicalize(manifest)})


def edit(files: Files, name: str, change: Callable[[Any], Any]) -> Files:
    """The files with one JSON member changed in place, canonical again."""
    value = parse(files[name])
    change(value)
    return {**files, name: canonicalize(value)}


def signed_as_it_is(value: Mapping[str, Any], private: Mapping[Algorithm, PrivateKey]) -> bytes:
    """A head signed without any look at what it says: what only a log that lies can make."""
    unsigned = {name: member for name, member in value.items() if name != "signatures"}
    message = b"signet-sth-v1\n" + canonicalize(unsigned)
    signatures = signatures_over(message, private)
    return canonicalize({**unsigned, "signatures": signatures})


def signatures_over(message: bytes, private: Mapping[Algorithm, PrivateKey]) -> list[dict[str, str]]:
    """Ed25519 and ML-DSA-65 over one message, as heads and endorsements hold them."""
    return [
        {"alg": alg.value, "keyid": keyid(alg, private), "sig": encode_base64(private[alg].sign(message))}
        for alg in (Algorithm.ED25519, Algorithm.ML_DSA_65)
    ]


def keyid(alg: Algorithm, private: Mapping[Algorithm, PrivateKey]) -> str:
    return keyid_of(alg, private[alg].public_key().public_bytes_raw())


def keyid_of(alg: Algorithm, public_key: bytes) -> str:
    """The key id of any bytes, also of those that no log may have for a key."""
    return hashlib.sha256(alg.encode() + b"\n" + public_key).hexdigest()[:32]
