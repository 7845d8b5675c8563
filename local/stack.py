"""One embedded stack: started, deployed, used, ended."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

import boto3

from local.command import end_group, tail
from local.deploy import deploy
from local.edge import Edge
from local.environment import NEUTRAL, isolate, no_proxy, shell_lines
from local.errors import StackError
from local.server import Server
from local.tools import HOME, ROOT, Report
from signet_client import terminal

DEFAULT_NAME = "signet"
_RESERVED = frozenset({"tools", "builds"})
_ANONYMOUS = "run-"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}\Z")
_END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Stack:
    """A running, deployed stack.

    Attributes:
        name: its name, also the CloudFormation stack's.
        endpoint_url: where every AWS service answers.
        pid: the emulator's process, leader of its group.
        edge_pid: the TLS edge's, likewise.
        outputs: the template's outputs, by name, and EdgeUrl.
        env: what a shell needs to use it (AWS_ENDPOINT_URL, credentials, region, SIGNET_STACK, SIGNET_URL,
            SIGNET_EDGE_URL, and in SIGNET_EDGE_CA a file with the edge's certificate).
    """

    name: str
    endpoint_url: str
    pid: int
    edge_pid: int
    outputs: Mapping[str, str]
    env: Mapping[str, str]

    def client(self, service: str) -> Any:
        """Return a client of one of its AWS services, as boto3 names them."""
        make: Any = boto3.client  # overloaded per service name; here it is a parameter
        return make(
            service,
            endpoint_url=self.endpoint_url,
            region_name=self.env["AWS_DEFAULT_REGION"],
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
        )


def say(message: str) -> None:
    """Print a line of progress, with the time of day, on standard error."""
    terminal.say(f"{time.strftime('%H:%M:%S')}  {message}", err=True)


@contextmanager
def embedded(name: str | None = None, *, report: Report = say) -> Iterator[Stack]:
    """Start a stack, give it to the block, and in every case end it and remove its traces.

    It ends on return, on an exception, on SIGINT and SIGTERM; and, if this process is killed, by itself.

    Args:
        name: its name; by default one that no other process uses.
        report: takes lines of progress.

    Raises:
        StackError: it could not be started; a log is named if one was kept.
    """
    name = _checked(name or f"{_ANONYMOUS}{os.getpid()}")
    _sweep()
    folder = HOME / name
    with _sigterm_exits(), _held(name) as lock, ExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            yield _started(name, ending, lock_fd=lock.fileno(), outlives_us=False, report=report)
        except Exception:
            _keep_log(folder)
            raise


def up(name: str, *, report: Report = say) -> Stack:
    """Start a stack that stays, and write its state and env file.

    Raises:
        StackError: a stack of this name runs already, or it could not be started.
    """
    folder = HOME / _checked(name)
    with _sigterm_exits(), _held(name) as lock, ExitStack() as ending:
        ending.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            stack = _started(name, ending, lock_fd=lock.fileno(), outlives_us=True, report=report)
            (folder / "env").write_text(shell_lines({**stack.env, **NEUTRAL, **no_proxy(os.environ)}))
            (folder / "stack.json").write_text(json.dumps(asdict(stack), indent=1))
        except Exception:
            _keep_log(folder)
            raise
        ending.pop_all()  # it is to stay
    return stack


def down(name: str) -> bool:
    """End a stack and remove its traces; False if none of this name ran.

    Raises:
        StackError: it belongs to a process that is still using it.
    """
    folder = HOME / _checked(name)
    stack = find(name)
    if stack is None:
        if _is_running(name):
            raise StackError(f"The stack {name} is being started or used by another process; end that one.")
        shutil.rmtree(folder, ignore_errors=True)
        return False
    end_group(stack.edge_pid, number=signal.SIGTERM)
    end_group(stack.pid, number=signal.SIGTERM)
    if not _released(folder / "lock", _END_SECONDS):
        end_group(stack.edge_pid)
        end_group(stack.pid)
        _released(folder / "lock", _END_SECONDS)
    end_group(stack.pid)  # what the emulator itself left behind
    shutil.rmtree(folder, ignore_errors=True)
    return True


def find(name: str) -> Stack | None:
    """Return a stack that ``up`` started and that still runs, or None."""
    if not _is_running(_checked(name)):
        return None
    with suppress(OSError, ValueError, TypeError):
        return Stack(**json.loads((HOME / name / "stack.json").read_text()))
    return None


def names() -> list[str]:
    """Return the names of all stacks that have left traces, running or not."""
    return sorted(path.parent.name for path in HOME.glob("*/lock") if path.parent.name not in _RESERVED)


def _started(name: str, ending: ExitStack, *, lock_fd: int, outlives_us: bool, report: Report) -> Stack:
    """Start the parts of a stack; ``ending`` ends every part that was started."""
    started = time.monotonic()
    isolate()
    server = Server(HOME / name, lock_fd=lock_fd, outlives_us=outlives_us, report=report)
    ending.callback(server.end)
    edge = Edge(HOME / name)
    ending.callback(edge.end)
    report(f"starting the emulator on {server.endpoint_url}")
    outputs = deploy(name, server, edge, report)
    edge.start(outputs["ApiUrl"], lock_fd=lock_fd, outlives_us=outlives_us, report=report)
    outputs["EdgeUrl"] = edge.url
    env = {
        "AWS_ENDPOINT_URL": server.endpoint_url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "SIGNET_STACK": name,
        "SIGNET_URL": outputs["ApiUrl"],
        "SIGNET_EDGE_URL": edge.url,
        "SIGNET_EDGE_CA": str(edge.authorities),
    }
    report(f"ready after {time.monotonic() - started:.0f} s: {outputs['ApiUrl']}")
    return Stack(name, server.endpoint_url, server.pid, edge.pid, outputs, env)


def _sweep() -> None:
    """Remove what a killed process could not: folders of nameless stacks whose locks are free."""
    for name in names():
        number = name.removeprefix(_ANONYMOUS)
        if number.isdecimal() and not _is_alive(int(number)) and not _is_running(name):
            shutil.rmtree(HOME / name, ignore_errors=True)


def _checked(name: str) -> str:
    if not _NAME.match(name) or name in _RESERVED:
        raise StackError(f"{name!r} cannot name a stack: use up to 31 lower-case letters, digits and dashes.")
    return name


@contextmanager
def _held(name: str) -> Iterator[IO[str]]:
    """Hold a stack's lock. The emulator inherits it: it is free exactly when the last of both is gone."""
    folder = HOME / name
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = f"SIGNET_STACK={name} make down" if name != DEFAULT_NAME else "make down"
            raise StackError(
                f"A stack named {name} runs already: stop it with `{hint}`, or give this one another name "
                f"(SIGNET_STACK=…)."
            ) from None
        yield lock


def _is_running(name: str) -> bool:
    try:
        with (HOME / name / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _released(path: Path, seconds: float) -> bool:
    """Wait until the holder of a lock is gone; False if that takes longer than ``seconds``."""
    released = threading.Event()

    def wait() -> None:
        with path.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
        released.set()

    threading.Thread(target=wait, daemon=True).start()
    return released.wait(seconds)


def _keep_log(folder: Path) -> None:
    """Save the emulator's log from the folder that is about to be removed, and say where it is."""
    log = folder / "emulator.log"
    if log.is_file() and tail(log):
        kept = HOME / f"{folder.name}.log"
        shutil.copyfile(log, kept)
        say(f"the emulator's log is kept in {kept.relative_to(ROOT)}")


@contextmanager
def _sigterm_exits() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, so that blocks are left in order; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the shape signal handlers have
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
