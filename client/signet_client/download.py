"""Downloads a file whole or not at all: to a neighbour first, checked, then under its name."""

from __future__ import annotations

import hashlib
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import httpx

from signet.errors import PackError, UnavailableError, UsageError

_TIMEOUT = httpx.Timeout(30.0)
_CHUNK_BYTES = 1 << 16


class _Advance(Protocol):
    def __call__(self, advance: int) -> None: ...


def download(url: str, path: Path, *, sha256: str, size: int | None = None, insecure: bool = False) -> int:
    """Fetch ``url`` (without any proof: a presigned URL is its own) into ``path``; return the bytes.

    Args:
        url: http or https.
        path: where the file goes; replaced in one step once everything is there and checked.
        sha256: hex digest that the content must have.
        size: bytes that the content must have, if it was said.
        insecure: do not check the TLS certificate.

    Raises:
        UsageError: the folder does not exist.
        UnavailableError: the server does not hand the file out.
        PackError: the content is not what was promised; nothing is kept.
        httpx.HTTPError: the connection fails; nothing is kept.
    """
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}; make it first")
    # A name that nobody can foresee, and "x": no file or link that is there already is written through.
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    digest, received = hashlib.sha256(), 0
    try:
        with (
            httpx.stream("GET", url, timeout=_TIMEOUT, verify=not insecure) as response,
            part.open("xb") as file,
            _progress(path.name, size) as advance,
        ):
            if not response.is_success:
                raise UnavailableError(
                    f"the download was answered with {response.status_code}; its URL may have expired: "
                    "ask for the pack again"
                )
            for chunk in response.iter_raw(_CHUNK_BYTES):
                received += len(chunk)
                if size is not None and received > size:
                    raise PackError("the download is longer than promised; ask again", file=path.name)
                file.write(chunk)
                digest.update(chunk)
                advance(len(chunk))
        if digest.hexdigest() != sha256:
            raise PackError(
                "what was downloaded does not have the promised SHA-256; ask again", file=path.name
            )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return received


@contextmanager
def _progress(name: str, size: int | None) -> Iterator[_Advance]:
    if not sys.stderr.isatty():
        yield lambda advance: None  # noqa: ARG005 - a pipe wants no bar
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(name, total=size)
        yield lambda advance: progress.advance(task, advance)
