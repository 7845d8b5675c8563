"""Downloads a file whole or not at all: to a neighbour first, checked, then under its name.

A connection that is cut is taken up where it ended, and so is a download that a former run left unfinished:
the neighbour's name holds the promised hash, and the hash decides in the end.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import httpx

from signet.core.errors import PackError, UnavailableError, UsageError
from signet_client.files import writing
from signet_client.terminal import animates, bar
from signet_client.web import make_client

_TIMEOUT = httpx.Timeout(30.0)
_CHUNK_BYTES = 1 << 16
#: Connections in a row that may end without a single byte.
_FRUITLESS_TRIES = 3
_CONTENT_RANGE = re.compile(r"bytes ([0-9]+)-[0-9]+/(?:[0-9]+|\*)")


class _Advance(Protocol):
    def __call__(self, completed: int) -> None: ...


@dataclass(slots=True)
class _Part:
    """What is there of a file: its bytes on disk, their number and hash."""

    file: BinaryIO
    received: int = 0
    digest: Any = field(default_factory=hashlib.sha256)
    etag: str | None = None

    def take_stock(self) -> None:
        """Read what a former run left."""
        while chunk := self.file.read(_CHUNK_BYTES):
            self.digest.update(chunk)
            self.received += len(chunk)

    def append(self, chunk: bytes) -> None:
        self.file.write(chunk)
        self.digest.update(chunk)
        self.received += len(chunk)

    def restart(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.received, self.digest = 0, hashlib.sha256()


def download(
    url: str,
    path: Path,
    *,
    sha256: str,
    size: int,
    insecure: bool = False,
    accept: Callable[[BinaryIO], None] | None = None,
) -> int:
    """Fetch ``url`` (without any proof: a presigned URL is its own) into ``path``; return the bytes.

    Args:
        url: http or https.
        path: where the file goes; replaced in one step once everything is there and checked.
        sha256: hex digest that the content must have.
        size: bytes that the content must have.
        insecure: do not check the TLS certificate.
        accept: looks at what came, and raises what is then raised here if it is not to be kept.

    Raises:
        UsageError: the folder does not exist.
        UnavailableError: the server does not hand the file out.
        PackError: the content is not what was promised; nothing is kept.
        httpx.HTTPError: the connection fails again and again; what came is kept for the next run.
    """
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}; make it first")
    neighbour = path.with_name(f".{path.name}.{sha256[:16]}.part")
    keep = False
    try:
        with writing(neighbour), _opened(neighbour) as file, _progress(path.name, size) as advance:
            part = _Part(file)
            part.take_stock()
            try:
                _complete(part, url, size, advance, verify=not insecure)
            except httpx.HTTPError:
                keep = part.received > 0
                raise
            if (part.received, part.digest.hexdigest()) != (size, sha256):
                raise PackError(
                    "what was downloaded does not have the promised SHA-256; ask again", file=path.name
                )
            if accept is not None:
                accept(part.file)
        neighbour.replace(path)
    finally:
        if not keep:
            neighbour.unlink(missing_ok=True)
    return size


def _opened(path: Path) -> BinaryIO:
    """Open for reading and writing; a link of that name is not written through."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    return os.fdopen(descriptor, "r+b")


def _complete(part: _Part, url: str, size: int, advance: _Advance, *, verify: bool) -> None:
    """Fetch what is missing, over as many connections as it takes."""
    fruitless = 0
    while part.received < size:
        before = part.received
        try:
            _fetch(part, url, size, advance, verify=verify)
        except httpx.TransportError:
            fruitless = 0 if part.received > before else fruitless + 1
            if fruitless == _FRUITLESS_TRIES:
                raise
        else:
            return
    advance(part.received)


def _fetch(part: _Part, url: str, size: int, advance: _Advance, *, verify: bool) -> None:
    """Fetch the rest over one connection."""
    headers = {"range": f"bytes={part.received}-"} if part.received else {}
    if part.received and part.etag is not None:
        headers["if-match"] = part.etag  # of the object that the first bytes are of
    with (
        make_client(timeout=_TIMEOUT, verify=verify) as client,
        client.stream("GET", url, headers=headers) as response,
    ):
        if not response.is_success:
            raise UnavailableError(
                f"the download was answered with {response.status_code}; its URL may have expired: "
                "ask for the pack again"
            )
        part.etag = response.headers.get("etag")
        if not _continues(response, part.received):
            part.restart()
        for chunk in response.iter_raw():  # as it comes: a cut loses nothing that arrived
            if part.received + len(chunk) > size:
                raise PackError("the download is longer than promised; ask again", file="download")
            part.append(chunk)
            advance(part.received)


def _continues(response: httpx.Response, received: int) -> bool:
    """Tell whether the answer begins where we are; a server may send everything again."""
    if response.status_code != HTTPStatus.PARTIAL_CONTENT:
        return received == 0
    found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    if found is None or int(found[1]) != received:
        raise UnavailableError("the server sent another part of the file than was asked for; try again")
    return True


@contextmanager
def _progress(name: str, size: int) -> Iterator[_Advance]:
    if not animates():
        yield lambda completed: None  # noqa: ARG005 - a pipe wants no bar
        return
    from rich.progress import BarColumn, DownloadColumn, TransferSpeedColumn  # noqa: PLC0415 - only there

    shown, task = bar(name, BarColumn(), DownloadColumn(), TransferSpeedColumn(), transient=False)
    with shown:
        yield lambda completed: shown.update(task, completed=completed, total=size)
