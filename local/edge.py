"""The TLS edge in front of an embedded stack: HAProxy where it is installed, else the reference edge.

Its clients see ``https://localhost:<port>`` with a certificate made for this stack alone.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from local.certificate import self_signed
from local.command import end_child
from local.errors import StackError
from local.tools import ROOT, Report, base_env

_KID = "local"
_END_SECONDS = 5.0
_CONFIGURATION = ROOT / "edge" / "haproxy.cfg"


class Edge:
    """An edge with an address and a key from the start; it serves once ``start`` knows where the API is.

    Attributes:
        url: where its clients go.
        authority: what they sign for.
        secret: what the authorizer has to know, as the edge secret's text.
        authorities: PEM file with the certificate to trust.
        pid: its process, leader of its group, once started.
    """

    def __init__(self, folder: Path) -> None:
        """Take a free port and make key and certificate; ``folder`` keeps them, readable by us only."""
        self._folder = folder
        self._key = base64.b64encode(secrets.token_bytes(32)).decode()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self._process: subprocess.Popen[bytes] | None = None
        self.authority = f"localhost:{self._listener.getsockname()[1]}"
        self.url = f"https://{self.authority}"
        self.secret = json.dumps({_KID: self._key})
        self.authorities = folder / "edge-ca.pem"
        self._certificate = folder / "edge.pem"
        self.pid = 0
        self._make_certificate()

    def start(self, api_url: str, *, lock_fd: int, outlives_us: bool, report: Report) -> None:
        """Start it in front of an API.

        Args:
            api_url: where the API answers, stage included.
            lock_fd: descriptor of a held lock, which the edge keeps for as long as it lives.
            outlives_us: False ties it to this process.
            report: takes lines of progress.

        Raises:
            StackError: SIGNET_LOCAL_EDGE names an edge that cannot be had.
        """
        parts = urlsplit(api_url)
        descriptor = self._listener.fileno()
        env = base_env() | {
            "PYTHONPATH": str(ROOT / "edge"),
            "SIGNET_EDGE_BIND": f"fd@{descriptor}",
            "SIGNET_EDGE_CERT": str(self._certificate),
            "SIGNET_EDGE_KID": _KID,
            "SIGNET_EDGE_KEY_B64": self._key,
            "SIGNET_EDGE_UPSTREAM": parts.netloc,
            "SIGNET_EDGE_UPSTREAM_HOST": parts.netloc,
            "SIGNET_EDGE_UPSTREAM_PREFIX": parts.path,
            "SIGNET_EDGE_UPSTREAM_TLS": "off",
        }
        command = _command(env, report)
        lifeline = [sys.executable, str(Path(__file__).with_name("lifeline.py")), "0" if outlives_us else "1"]
        with (self._folder / "edge.log").open("wb") as log:
            self._process = subprocess.Popen(
                [*lifeline, *command],
                env=env,
                cwd=self._folder,
                stdin=subprocess.DEVNULL if outlives_us else subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(descriptor, lock_fd),
                start_new_session=True,
            )
        self.pid = self._process.pid
        self._listener.close()

    def end(self) -> None:
        """End it, started or not."""
        self._listener.close()
        if self._process is None:
            return
        end_child(self._process, seconds=_END_SECONDS)

    def _make_certificate(self) -> None:
        public, private = self_signed()
        self.authorities.write_bytes(public)
        self._certificate.touch(mode=0o600)
        self._certificate.write_bytes(public + private)


def _command(env: Mapping[str, str], report: Report) -> list[str]:
    """Return the command of the edge to use: $SIGNET_LOCAL_EDGE, or HAProxy if it is there and new enough."""
    wanted = os.environ.get("SIGNET_LOCAL_EDGE", "")
    if wanted not in {"", "haproxy", "python"}:
        raise StackError("SIGNET_LOCAL_EDGE is haproxy or python; leave it out to take what is there.")
    program = shutil.which("haproxy")
    if wanted != "python" and program is not None and _takes(program, env):
        report("edge: HAProxy")
        return [program, "-db", "-f", str(_CONFIGURATION)]
    if wanted == "haproxy":
        raise StackError("HAProxy is not installed, or older than 2.6: leave SIGNET_LOCAL_EDGE out.")
    report("edge: the reference edge (no HAProxy)")
    return [sys.executable, "-m", "signet_edge"]


def _takes(program: str, env: Mapping[str, str]) -> bool:
    """Tell whether this HAProxy understands our configuration."""
    check = [program, "-c", "-f", str(_CONFIGURATION)]
    unbound = dict(env) | {"SIGNET_EDGE_BIND": "127.0.0.1:1"}  # never bound, only read
    return subprocess.run(check, env=unbound, capture_output=True, check=False).returncode == 0
