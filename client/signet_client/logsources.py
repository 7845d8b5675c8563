"""Where ``signet audit`` reads a log from: a folder, a web server, or the deployed stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from signet.audit.live import LiveState
from signet.audit.source import LogSource
from signet.core.errors import NotFoundError, UnavailableError, UsageError
from signet.log import object_keys

if TYPE_CHECKING:
    import httpx

#: 256 entries of 65,535 bytes and their lengths: nothing in a log is larger, but for emitters' accounts.
_MAX_OBJECT_BYTES: Final = 256 * (65_535 + 2)
#: Accounts of as many emitters as a day has receipts (3.6 million, the most in a pack), some 100 bytes each.
_MAX_ACCOUNTS_BYTES: Final = 384 << 20
_TIMEOUT_S: Final = 30.0
_TRIES: Final = 3


@contextmanager
def open_source(log: str) -> Iterator[LogSource]:
    """Open a folder or an ``http(s)`` URL.

    Raises:
        NotFoundError: there is no such folder.
        UsageError: a URL of another scheme.
    """
    if "://" not in log:
        yield _folder(Path(log))
        return
    if not log.startswith(("https://", "http://")):
        raise UsageError(f"{log!r} is neither a folder nor an http(s) URL; give one of these")
    import httpx  # noqa: PLC0415 - loaded when the command runs

    from signet_client.web import environment_explained, make_client  # noqa: PLC0415

    with environment_explained():
        transport = httpx.HTTPTransport(retries=_TRIES)
    staying = {"request": [_staying_at(httpx.URL(log))]}
    with make_client(
        timeout=_TIMEOUT_S, transport=transport, follow_redirects=True, event_hooks=staying
    ) as client:
        yield LogSource(get=lambda key: _fetch(client, f"{log.rstrip('/')}/{key}", _limit(key)))


def _staying_at(log: httpx.URL) -> Callable[[httpx.Request], None]:
    """Return a check of each request: a log that redirects into the auditor's own network is not followed."""

    def check(request: httpx.Request) -> None:
        url = request.url
        if url.host != log.host or (url.scheme, url.port) not in {(log.scheme, log.port), ("https", None)}:
            raise UnavailableError(
                f"the log redirects to {url.scheme}://{url.netloc.decode()}, which was not followed; "
                "give that URL if it is the log's"
            )

    return check


@contextmanager
def open_stack(name: str) -> Iterator[tuple[LogSource, LiveState]]:
    """Open the log of a deployed stack, with its lock register and chains.

    Raises:
        NotFoundError, UsageError, UnavailableError: see ``read_stack``.
    """
    from signet.aws.chains import DynamoChainStore  # noqa: PLC0415 - loaded when the command runs
    from signet.aws.lock import DynamoLockStore  # noqa: PLC0415
    from signet.aws.objects import S3ObjectStore  # noqa: PLC0415
    from signet.policy.register import REGISTER as POLICY_REGISTER  # noqa: PLC0415
    from signet_client.stack import aws, read_stack  # noqa: PLC0415

    stack = read_stack(name)
    objects = S3ObjectStore(aws("s3"), stack.output("LogBucket"))
    dynamodb = aws("dynamodb")
    yield (
        LogSource(get=objects.get, keys=objects.list, open=objects.opened),
        LiveState(
            register=DynamoLockStore(dynamodb, stack.output("LogTable")).read,
            chains=DynamoChainStore(dynamodb, stack.output("ReceiptsTable")),
            policy=DynamoLockStore(dynamodb, stack.output("LogTable"), POLICY_REGISTER).read,
        ),
    )


def _limit(key: str) -> int:
    return _MAX_ACCOUNTS_BYTES if key.startswith(object_keys.EMITTERS) else _MAX_OBJECT_BYTES


def _folder(root: Path) -> LogSource:
    if not root.is_dir():
        raise NotFoundError(f"there is no folder {root}; give a log's folder or its URL")

    def get(key: str) -> bytes | None:
        path = root / key
        # What is larger than anything in a log is read as far as it takes to see that it is wrong.
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(_limit(key) + 1)

    def keys(prefix: str) -> Iterator[str]:
        found = (root / prefix).rglob("*")
        yield from sorted(str(path.relative_to(root).as_posix()) for path in found if path.is_file())

    def opened(key: str) -> BinaryIO:
        try:
            return (root / key).open("rb")
        except FileNotFoundError as error:
            raise NotFoundError(f"there is no {key} in {root}") from error

    return LogSource(get=get, keys=keys, open=opened)


def _fetch(client: httpx.Client, url: str, limit: int) -> bytes | None:
    """Return what a URL holds, ``limit`` bytes at most; None where the server says that there is nothing.

    Raises:
        UnavailableError: it cannot be reached, answers otherwise, or with too much.
    """
    import httpx  # noqa: PLC0415 - loaded when the command runs

    try:
        with client.stream("GET", url) as response:
            if response.status_code in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
                return None
            if response.status_code != httpx.codes.OK:
                raise UnavailableError(
                    f"{url} is answered with {response.status_code}; is this the log's URL?"
                )
            return _bounded(response, url, limit)
    except httpx.HTTPError as error:
        raise UnavailableError(f"{url} cannot be read ({type(error).__name__}); try again") from error


def _bounded(response: httpx.Response, url: str, limit: int) -> bytes:
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > limit:
            raise UnavailableError(f"{url} is larger than anything in a log; is this the log's URL?")
    return bytes(body)
