"""``make demo``: the whole loop on an embedded stack of its own, every promise checked on the way.

Policy → enforcement → proof: callers are registered, requests challenged, signed, accepted, attacked and
refused; the day is closed, a compliance pack downloaded and checked offline by two verifiers. Exit code 0
only if every step held.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import httpx
from rich.console import Console

from local.attacks import ATTACKS, Attacker
from local.errors import StackError
from local.stack import Stack, embedded
from local.terminal import Narrator
from local.tools import HOME
from signet.handshake import suites
from signet.handshake.keyfiles import load_private
from signet_client import PCHAuth
from signet_client.signing import Signer

FOLDER = HOME / "demo"
_BIN = Path(sys.executable).parent
_PARALLEL = 100
_REPLAYS = 20
_DRAIN_SECONDS = 60
_SESSION = timedelta(minutes=3)


class DemoError(Exception):
    """A promise did not hold; the message says which."""


def main() -> int:
    """Run the demo; returns the exit code."""
    console = Console(highlight=False)
    narrator = Narrator(console)
    started = time.monotonic()
    try:
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        Demo(narrator).run()
    except (DemoError, StackError) as error:
        console.print(f"\n[bold red]The demo failed:[/bold red] {error}")
        return 1
    except KeyboardInterrupt:
        console.print("\nInterrupted; the stack was stopped and removed.")
        return 130
    took = time.monotonic() - started
    console.print(
        f"\n[bold green]Every step held.[/bold green] [dim]{took:.0f} s[/dim]  Left for you to look at:\n"
    )
    for path in sorted(FOLDER.glob("*")):
        if path.suffix in {".zip", ".json"}:
            console.print(f"   {path.relative_to(HOME.parent)}")
    console.print("\n[dim]Next: make up keeps a stack running for hands-on use.[/dim]")
    return 0


@dataclass
class Demo:
    """One session; steps share the stack, the callers' keys, and what receipts must say in the end."""

    narrator: Narrator
    stack: Stack | None = None
    expected: Counter[str] = field(default_factory=Counter)
    signers: dict[str, Signer] = field(default_factory=dict)
    day: str = ""

    def run(self) -> None:
        """Run all steps in order."""
        tell = self.narrator
        self.day = _day_with_room(tell)
        with tell.step("Start an AWS emulator and deploy template.yaml with SAM"):
            running = embedded(report=tell.say)
            self.stack = running.__enter__()
        try:
            for title, step in (
                ("Register callers, one per signature suite, and an auditor", self.register),
                ("An unsigned request is refused and challenged", self.challenge),
                ("A signed request is accepted, with every suite", self.accepted),
                ("What an attacker tries is refused", self.attacked),
                (f"{_PARALLEL} requests at once, and one proof presented {_REPLAYS} times", self.parallel),
                ("Every decision becomes a receipt in one hash chain", self.receipts),
                ("Close the day: Merkle tree, signed tree head", self.close),
                ("Fetch the compliance pack as the auditor", self.pack),
                ("Check the pack offline, with two independent verifiers", self.verify),
                ("A pack with one changed byte is refused by both", self.tamper),
            ):
                with tell.step(title):
                    step()
        finally:
            tell.say("stopping the stack")
            running.__exit__(None, None, None)

    # --- steps

    def register(self) -> None:
        """Make keys and register them with the signet command, as an operator would."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._enrol, [*suites.NAMES, "auditor", "mallory"]))
        self._signet("clients", "revoke", "mallory")
        for client in self._json("clients", "list"):
            self.narrator.good(
                client["keyid"], f"{client['alg']}, {', '.join(client['roles'])}, {client['status']}"
            )

    def challenge(self) -> None:
        """Show that nothing passes without a proof, and what is asked for instead."""
        refused = httpx.get(self._outputs["ProtectedUrl"])
        _require(refused.status_code in {401, 403}, f"an unsigned request was answered {refused.status_code}")
        self.expected["challenge_required"] += 1
        offered = httpx.get(self._outputs["ChallengeUrl"]).json()
        self.narrator.good(
            f"refused with {refused.status_code}; GET /pch/challenge hands out a nonce for one request"
        )
        self.narrator.say(f"nonce {offered['nonce'][:24]}…, algs {', '.join(offered['algs'])}")

    def accepted(self) -> None:
        """Call with every suite through the signet command."""
        rows = []
        for alg in suites.NAMES:
            answer = self._json(
                "call", self._outputs["ProtectedUrl"], "--key", str(FOLDER / f"{alg}.pem"),
                "--keyid", self.signers[alg].keyid, "--challenge-url", self._outputs["ChallengeUrl"],
            )  # fmt: skip
            _require(answer["status"] == httpx.codes.OK, f"{alg} was answered {answer['status']}")
            self.expected["ok"] += 1
            signature = len(self.signers[alg].key.sign(b"x"))
            rows.append((alg, f"{signature:,} B", f"{answer['elapsed_ms']:.0f} ms", str(answer["status"])))
        self.narrator.table(("suite", "signature", "round trip", "status"), rows)

    def attacked(self) -> None:
        """Run the attacks; each has to be refused, and its receipt has to say why."""
        with httpx.Client() as client:
            attacker = Attacker(client, self._outputs, self.signers)
            for name, attack in ATTACKS.items():
                status, reasons = attack(attacker)
                _require(status in {400, 401, 403}, f"{name}: answered {status}")
                self.expected.update(reasons)
                self.narrator.good(name, f"{status}, on record as {reasons[-1]}")

    def parallel(self) -> None:
        """Load the stack; single use has to hold under it."""
        url, challenge_url = self._outputs["ProtectedUrl"], self._outputs["ChallengeUrl"]
        with (
            httpx.Client(timeout=60, limits=httpx.Limits(max_connections=32)) as client,
            ThreadPoolExecutor(32) as pool,
        ):
            signer = self.signers["ed25519"]
            auth = PCHAuth(signer.key, signer.keyid, challenge_url=challenge_url)
            answers = list(pool.map(lambda _: client.get(url, auth=auth).status_code, range(_PARALLEL)))
            wrong = Counter(answers) - Counter({200: _PARALLEL})
            _require(not wrong, f"of {_PARALLEL} good requests some were answered {dict(wrong)}")
            proof = Attacker(client, self._outputs, self.signers).proof("GET", url, "ed25519")
            replays = list(pool.map(lambda _: client.get(url, headers=proof).status_code, range(_REPLAYS)))
        _require(replays.count(200) == 1, f"one proof was accepted {replays.count(200)} times")
        self.expected.update(ok=_PARALLEL + 1, nonce_replayed=_REPLAYS - 1)
        self.narrator.good(
            f"{_PARALLEL} of {_PARALLEL} accepted; of {_REPLAYS} copies of one proof exactly 1"
        )

    def receipts(self) -> None:
        """Wait until the sink has taken everything from the queue."""
        total = sum(self.expected.values())
        sqs = boto3.client(
            "sqs",
            endpoint_url=self._stack.endpoint_url,
            region_name=self._stack.env["AWS_DEFAULT_REGION"],
            aws_access_key_id=self._stack.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self._stack.env["AWS_SECRET_ACCESS_KEY"],
        )
        deadline = time.monotonic() + _DRAIN_SECONDS
        while True:
            attributes = sqs.get_queue_attributes(
                QueueUrl=self._outputs["ReceiptQueueUrl"],
                AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
            )["Attributes"]
            if not any(map(int, attributes.values())):
                break
            _require(time.monotonic() < deadline, f"the queue did not drain: {attributes}")
            time.sleep(0.2)
        self.narrator.good(f"{total} decisions made, the queue is empty")

    def close(self) -> None:
        """Close today early, so that there is a finished day to hand out."""
        head = self._json("close", "--date", self.day)
        _require(head["final"] and head["date"] == self.day, f"the day was not closed: {head}")
        self.narrator.good(
            f"{self.day} is closed with {head['tree_size']} receipts", f"root {head['root_hash']}"
        )
        self.narrator.say("signed twice: Ed25519 and ML-DSA-65; a verifier demands both")

    def pack(self) -> None:
        """Ask for the pack over the API, signed with the auditor's key; a caller may not."""
        self._signet(
            "pack", "--date", self.day, "-o", str(self._pack), "--url", self._outputs["ApiUrl"],
            "--key", str(FOLDER / "auditor.pem"), "--keyid", "auditor",
        )  # fmt: skip
        with zipfile.ZipFile(self._pack) as pack:
            self.narrator.good(
                f"{self._pack.name}, {self._pack.stat().st_size:,} bytes, {len(pack.namelist())} members"
            )

    def verify(self) -> None:
        """Check the pack with the library and with the file inside it; then compare with what was done."""
        log_id = json.loads(zipfile.ZipFile(self._pack).read("manifest.json"))["log_id"]
        report = self._json("verify", str(self._pack), "--log-id", log_id)
        (FOLDER / "verdict.json").write_text(json.dumps(report, indent=1))
        self.narrator.good("signet verify", f"{report['receipts']} receipts, pinned to log {log_id[:16]}…")
        checker = FOLDER / "verify.py"
        checker.write_bytes(zipfile.ZipFile(self._pack).read("verify.py"))
        self._run(sys.executable, str(checker), str(self._pack), "--log-id", log_id)
        self.narrator.good("verify.py from inside the pack", "one file, needs only Python and cryptography")
        lines = [json.loads(line) for line in zipfile.ZipFile(self._pack).read("receipts.jsonl").splitlines()]
        found = Counter(line["reason"] for line in lines)
        _require(found == self.expected, f"receipts say {dict(found)}, but {dict(self.expected)} was done")
        self.narrator.good("the receipts say exactly what was done:")
        self.narrator.table(("reason", "receipts"), [(r, str(n)) for r, n in sorted(found.items())])
        proof = FOLDER / "receipt-proof.json"
        self._signet("prove", str(self._pack), lines[-1]["id"], "-o", str(proof))
        self.narrator.good("one receipt's proof on its own", str(proof.name))

    def tamper(self) -> None:
        """Change one byte of one receipt and fix up the zip, as a forger would."""
        forged = FOLDER / "forged-pack.zip"
        with zipfile.ZipFile(self._pack) as good, zipfile.ZipFile(forged, "w") as bad:
            for member in good.infolist():
                content = good.read(member)
                if member.filename == "receipts.jsonl":
                    content = content.replace(b'"decision":"deny"', b'"decision":"dent"', 1)
                bad.writestr(member, content)
        for name, command in {
            "signet verify": [str(_BIN / "signet"), "verify", str(forged)],
            "verify.py": [sys.executable, str(FOLDER / "verify.py"), str(forged)],
        }.items():
            done = subprocess.run(command, capture_output=True, text=True, env=self._env(), check=False)
            _require(done.returncode == 1, f"{name} ended with {done.returncode} on a forged pack")
            found = next((line for line in (done.stdout + done.stderr).splitlines() if ".jsonl" in line), "")
            _require(found, f"{name} refuses a forged pack, but does not say where")
            self.narrator.good(f"{name} refuses", found.strip())

    # --- helpers

    @property
    def _stack(self) -> Stack:
        if self.stack is None:
            raise DemoError("the stack is not running")
        return self.stack

    @property
    def _outputs(self) -> Mapping[str, str]:
        return self._stack.outputs

    @property
    def _pack(self) -> Path:
        return FOLDER / f"pack-{self.day}.zip"

    def _enrol(self, name: str) -> None:
        """Make a key and register it; a hybrid pair is bound by its key id, which nobody chooses."""
        alg = name if name in suites.NAMES else "ed25519"
        path = FOLDER / f"{name}.pem"
        self._signet("keygen", "--alg", alg, "-o", str(path))
        key = load_private(path.read_bytes(), alg)
        keyid = key.key_id if "+" in alg else name
        role = "auditor" if name == "auditor" else "caller"
        self._signet("clients", "add", "--key", f"{path}.pub", "--keyid", keyid, "--role", role)
        self.signers[name] = Signer(key, keyid)

    def _env(self) -> dict[str, str]:
        return {**os.environ, **self._stack.env}

    def _signet(self, *arguments: str) -> str:
        return self._run(str(_BIN / "signet"), *arguments)

    def _json(self, *arguments: str) -> Any:
        return json.loads(self._signet(*arguments, "--json"))

    def _run(self, *command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, env=self._env(), check=False)
        if done.returncode:
            shown = " ".join([Path(command[0]).name, *command[1:]])
            raise DemoError(
                f"`{shown}` ended with {done.returncode}: {_last_line(done.stderr or done.stdout)}"
            )
        return done.stdout


def _day_with_room(tell: Narrator) -> str:
    """Return today (UTC), or wait for tomorrow if the session would run across midnight."""
    now = datetime.now(UTC)
    midnight = datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC)
    if (midnight - now) < _SESSION:
        tell.say(f"the UTC day ends in {(midnight - now).seconds} s; waiting, to fit into one day")
        time.sleep((midnight - now).total_seconds())
        now = midnight
    return now.date().isoformat()


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it printed nothing"


def _require(held: object, message: str) -> None:
    if not held:
        raise DemoError(message)


if __name__ == "__main__":
    sys.exit(main())
