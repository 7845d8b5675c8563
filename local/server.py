"""The emulator's process."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from local.command import end_child, end_group, tail
from local.errors import StackError
from local.tools import Report, base_env, emulator_python

_START_SECONDS = 60.0
_END_SECONDS = 5.0


class Server:
    """An emulator, started at once; ready when ``wait_until_ready`` returns.

    We open the listening socket and hand it over: no other program can take the port in between, and a first
    request simply waits until the emulator accepts it.
    """

    def __init__(self, folder: Path, *, lock_fd: int, outlives_us: bool, report: Report) -> None:
        """Start it.

        Args:
            folder: where its log and temporary files go.
            lock_fd: descriptor of a held lock, which the emulator keeps for as long as it lives.
            outlives_us: False ties it to this process: it ends when this process does, however that happens.
            report: takes lines of progress.

        Raises:
            StackError: the port is taken.
        """
        self._log = folder / "emulator.log"
        python = emulator_python(report)
        with _listen() as listener:
            self.host: str
            self.port: int
            self.host, self.port = listener.getsockname()
            self.endpoint_url = f"http://{self.host}:{self.port}"
            self._process = self._start(python, folder, listener.fileno(), lock_fd, outlives_us=outlives_us)
        self.pid = self._process.pid

    def _start(
        self, python: Path, folder: Path, listener_fd: int, lock_fd: int, *, outlives_us: bool
    ) -> subprocess.Popen[bytes]:
        scratch = folder / "tmp"
        scratch.mkdir(exist_ok=True)
        env = base_env() | {
            "TMPDIR": str(scratch),  # functions are unpacked there
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": self.host,
            "IOT_MTLS_ENABLED": "0",  # it would take a port of its own
            "LAMBDA_ACCOUNT_CONCURRENCY": "0",  # its limit refuses calls; ours lets them wait
            "SIGNET_LOCAL_LIFELINE": "0" if outlives_us else "1",
        }
        parallel = os.environ.get("SIGNET_PARALLEL", str(max(2, os.cpu_count() or 1)))
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [str(python), str(Path(__file__).with_name("emulator.py")), str(listener_fd), parallel],
                env=env,
                cwd=folder,
                stdin=subprocess.DEVNULL if outlives_us else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(listener_fd, lock_fd),
                start_new_session=True,
            )

    def wait_until_ready(self) -> None:
        """Return when the emulator answers.

        Raises:
            StackError: it ended or did not answer within a minute.
        """
        try:
            health = f"{self.endpoint_url}/_ministack/health"
            with urllib.request.urlopen(health, timeout=_START_SECONDS) as answer:  # noqa: S310 - our own address
                answer.read()
        except (OSError, urllib.error.URLError) as error:
            raise StackError(f"The emulator did not start ({error}):\n{tail(self._log)}") from error

    def end(self) -> None:
        """End the emulator and every function process of it."""
        end_child(self._process, seconds=_END_SECONDS)
        end_group(self.pid)  # functions that did not notice


def _listen() -> socket.socket:
    """Return a listening socket on $SIGNET_HOST (default 127.0.0.1) and $SIGNET_PORT (default: a free port).

    Another host is for containers, which cannot reach this machine's own 127.0.0.1. It must be one address:
    every host that reaches it can do everything with the stack.
    """
    host = os.environ.get("SIGNET_HOST") or "127.0.0.1"
    wanted = os.environ.get("SIGNET_PORT") or "0"
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, int(wanted)))
        listener.listen(1024)
    except (OSError, OverflowError, ValueError) as error:
        listener.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise StackError(
                f"Port {wanted} is taken: set SIGNET_PORT to another, or leave it out."
            ) from None
        if isinstance(error, socket.gaierror) or getattr(error, "errno", None) == errno.EADDRNOTAVAIL:
            raise StackError(f"SIGNET_HOST={host} is no address of this machine.") from None
        raise StackError(f"SIGNET_PORT={wanted} cannot be used: give a port number above 1023.") from None
    if listener.getsockname()[0] == "0.0.0.0":  # noqa: S104 - it is refused
        listener.close()
        raise StackError(f"SIGNET_HOST={host} would open the stack to every host: name one address.")
    return listener
