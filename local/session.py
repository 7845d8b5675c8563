"""What the demo's steps share: the stack, the callers' keys, the real commands, and what was done so far."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

from local.stack import Stack
from local.tools import HOME, Report, base_env
from signet.crypto import suites
from signet.crypto.keyfiles import load_private
from signet_client.signing import Signer

FOLDER = HOME / "demo"
#: On a busy machine, where a receipt may have to be delivered again.
_FITS_INTO = timedelta(minutes=8)
_BIN = Path(sys.executable).parent


class DemoError(Exception):
    """A promise did not hold; the message says which."""


def require(held: object, message: str) -> None:
    """Go on only if something held.

    Raises:
        DemoError: it did not.
    """
    if not held:
        raise DemoError(message)


@dataclass(slots=True)
class Session:
    """One run against one stack.

    Attributes:
        stack: the running stack.
        day: the UTC day it fits into, ``YYYY-MM-DD``.
        expected: how many receipts of each reason there must be in the end, counted as requests are sent.
        signers: registered keys, by suite name or by the caller's name.
        seen: states of the breaker that its table was seen in, in order.
        log_id: the log's id, learnt before anything is on record.
        logged: the receipts of the pack, once it is there.
    """

    stack: Stack
    day: str
    expected: Counter[str] = field(default_factory=Counter)
    signers: dict[str, Signer] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    log_id: str = ""
    logged: list[dict[str, Any]] = field(default_factory=list)

    @property
    def outputs(self) -> Mapping[str, str]:
        """The stack's outputs."""
        return self.stack.outputs

    @property
    def edge_url(self) -> str:
        """Where the TLS edge answers."""
        return self.stack.env["SIGNET_EDGE_URL"]

    @property
    def pack(self) -> Path:
        """Where the compliance pack goes."""
        return FOLDER / f"pack-{self.day}.zip"

    @property
    def callers(self) -> Path:
        """The callers' public keys, as an auditor has them from the callers."""
        return FOLDER / "callers.json"

    def enrol(self, name: str) -> None:
        """Make a key and register it, with the commands an operator would use.

        Args:
            name: a suite, or a caller with an Ed25519 key.
        """
        alg = name if name in suites.NAMES else "ed25519"
        path = FOLDER / f"{name}.pem"
        self.signet("keygen", "--alg", alg, "-o", str(path))
        key = load_private(path.read_bytes(), alg)
        keyid = (
            key.key_id if "+" in alg else name
        )  # a hybrid pair is bound by its key id, which follows from the keys
        role = "auditor" if name == "auditor" else "caller"
        self.signet("clients", "add", "--key", f"{path}.pub", "--keyid", keyid, "--role", role)
        self.signers[name] = Signer(key, keyid)

    def call(self, name: str, *options: str) -> Any:
        """Send one request as a registered caller, with the ``signet`` command; return what it printed.

        Raises:
            DemoError: it was not let in.
        """
        return self.call_at(name, self.outputs["ProtectedUrl"], self.outputs["ChallengeUrl"], *options)

    def call_bound(self, name: str) -> Any:
        """Send one request through the TLS edge, bound to its connection.

        Raises:
            DemoError: it was not let in.
        """
        url, challenge_url = f"{self.edge_url}/protected", f"{self.edge_url}/pch/challenge"
        return self.call_at(name, url, challenge_url, "--binding", "tls-exporter", "--insecure")

    def call_at(self, name: str, url: str, challenge_url: str, *options: str) -> Any:
        """Send one request to any API; the arguments beside the name are the command's.

        Raises:
            DemoError: it was not let in.
        """
        answer = self.signet_json(
            "call", url, "--key", str(FOLDER / f"{name}.pem"), "--keyid", self.signers[name].keyid,
            "--challenge-url", challenge_url, *options,
        )  # fmt: skip
        require(answer["status"] == HTTPStatus.OK, f"{name} was answered {answer['status']}")
        self.expected["ok"] += 1
        return answer

    def client(self, service: str) -> Any:
        """Return a client of one of the stack's AWS services."""
        return self.stack.client(service)

    def signet(self, *arguments: str) -> str:
        """Run the ``signet`` command; return what it printed.

        Raises:
            DemoError: it did not end with 0.
        """
        return self._checked(str(_BIN / "signet"), *arguments)

    def signet_json(self, *arguments: str) -> Any:
        """Run the ``signet`` command with ``--json``; return what it printed, decoded."""
        return json.loads(self.signet(*arguments, "--json"))

    def python(self, *arguments: str) -> str:
        """Run a Python program; return what it printed.

        Raises:
            DemoError: it did not end with 0.
        """
        return self._checked(sys.executable, *arguments)

    def verdicts(self, pack: Path) -> dict[str, subprocess.CompletedProcess[str]]:
        """Return what each of the two verifiers makes of a pack, by the verifier's name."""
        commands = {
            "signet verify": (str(_BIN / "signet"), "verify", str(pack), "--no-remember"),
            "verify.py": (sys.executable, str(FOLDER / "verify.py"), str(pack)),
        }
        return {name: self._run(*command) for name, command in commands.items()}

    def _checked(self, *command: str) -> str:
        done = self._run(*command)
        if done.returncode:
            shown = " ".join([Path(command[0]).name, *command[1:]])
            raise DemoError(
                f"`{shown}` ended with {done.returncode}: {_last_line(done.stderr or done.stdout)}"
            )
        return done.stdout

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {**base_env(), **self.stack.env}  # nothing of the user's shell leads elsewhere
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def day_with_room(report: Report) -> str:
    """Return today (UTC), or wait for tomorrow if the session would run across midnight."""
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    if (midnight - now) < _FITS_INTO:
        report(f"the UTC day ends in {(midnight - now).seconds} s; waiting, to fit into one day")
        time.sleep((midnight - now).total_seconds())
        now = midnight
    return now.date().isoformat()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"
