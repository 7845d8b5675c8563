"""``make demo``: the whole loop on an embedded stack of its own, every promise checked on the way.

Policy → enforcement → proof: callers are registered, requests challenged, signed, accepted, attacked and
refused; the day is closed, a compliance pack downloaded and checked offline by two verifiers. Exit code 0
only if every step held.
"""

from __future__ import annotations

import io
import json
import shutil
import ssl
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import groupby
from typing import Any

import httpx
from rich.console import Console

from local.attacks import ATTACKS, BINDING_ATTACKS, Attack, Attacker
from local.errors import StackError
from local.fault import CYCLE, SHED_REASONS, FaultSession, moves, states
from local.session import FOLDER, DemoError, Session, day_with_room, require
from local.stack import embedded
from local.terminal import Narrator
from local.tools import HOME, ROOT
from signet.aws.breaker import DynamoBreakerStore
from signet.aws.faults import DynamoFaultStore
from signet.handshake import suites
from signet_client import PCHAuth

_PARALLEL = 100
_REPLAYS = 20
_DRAIN_SECONDS = 60
_PATIENCE_SECONDS = 60.0  # a first call starts a function, which takes its time on a busy machine
_LEFT = {
    "pack-{day}.zip": "the compliance pack of today",
    "verify.py": "its checker, as taken out of the pack",
    "verdict.json": "what `signet verify` found",
    "receipt-proof.json": "the proof of one receipt, on its own",
    "forged-pack.zip": "the same pack with one byte changed",
    "breaker.png": "the fault session, drawn from its receipts",
}


def main() -> int:
    """Run the demo; returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 shall not end the demo
    console = Console(highlight=False)
    started = time.monotonic()
    console.print(
        "[bold]Signet: policy, enforcement, proof. The whole loop, on this machine.[/bold]\n"
        "An AWS emulator stands in for the cloud: no account, and no request leaves this\n"
        "machine. Every line with a check mark was put to the test just now; the first\n"
        "promise that does not hold ends the demo."
    )
    try:
        demo = _run(console)
    except (DemoError, StackError, httpx.HTTPError, OSError) as error:
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        told = where + str(getattr(error, "strerror", None) or error or type(error).__name__)
        console.print("\n[bold red]The demo failed:[/bold red]", end=" ")
        console.print(told, markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("\nInterrupted; the stack was stopped and removed.")
        return 130
    console.print(f"\n[bold green]Every step held, in {time.monotonic() - started:.0f} s.[/bold green]")
    demo.sum_up(console)
    return 0


def _run(console: Console) -> Demo:
    if FOLDER.exists():
        shutil.rmtree(FOLDER)
    FOLDER.mkdir(parents=True)
    with ExitStack() as until_the_end:
        narrator = Narrator(console, steps=1 + len(_STEPS))
        day = day_with_room(narrator.say)
        with narrator.step("Start an AWS emulator and deploy template.yaml with SAM"):
            stack = until_the_end.enter_context(embedded(report=narrator.say))
        until_the_end.callback(console.print, "\n[dim]Stopping the stack.[/dim]")
        demo = Demo(narrator, Session(stack, day))
        for title, step in _STEPS.items():
            with narrator.step(title):
                step(demo)
    return demo


class Demo:
    """The steps, in order; each shows one promise and fails if it does not hold."""

    def __init__(self, narrator: Narrator, session: Session) -> None:
        """Prepare to tell a session."""
        self.narrator = narrator
        self.session = session
        self.outputs = session.outputs
        self.decisions: Counter[str] = Counter()

    def register(self) -> None:
        """Make keys and register them with the signet command, as an operator would."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self.session.enrol, [*suites.NAMES, "auditor", "mallory"]))
        self.session.signet("clients", "revoke", "mallory")
        rows = self.session.signet_json("clients", "list")
        self.narrator.table(
            ("key id", "signature suite", "role", "status"),
            [(row["keyid"], row["alg"], ", ".join(row["roles"]), row["status"]) for row in rows],
        )

    def challenge(self) -> None:
        """Show that nothing passes without a proof, and what is asked for instead."""
        refused = httpx.get(self.outputs["ProtectedUrl"], timeout=_PATIENCE_SECONDS)
        require(refused.status_code in {401, 403}, f"an unsigned request was answered {refused.status_code}")
        self.session.expected["challenge_required"] += 1
        offered = httpx.get(self.outputs["ChallengeUrl"], timeout=_PATIENCE_SECONDS).json()
        self.narrator.good(
            f"GET /protected is answered {refused.status_code}", "(on AWS: 401, with the challenge in it)"
        )
        self.narrator.good("GET /pch/challenge hands out a nonce, good for one request")
        self.narrator.say(f"nonce  {offered['nonce']}")

    def accepted(self) -> None:
        """Call with every suite through the signet command."""
        rows = []
        for alg in suites.NAMES:
            signer = self.session.signers[alg]
            answer = self.session.signet_json(
                "call", self.outputs["ProtectedUrl"], "--key", str(FOLDER / f"{alg}.pem"),
                "--keyid", signer.keyid, "--challenge-url", self.outputs["ChallengeUrl"],
            )  # fmt: skip
            require(answer["status"] == httpx.codes.OK, f"{alg} was answered {answer['status']}")
            self.session.expected["ok"] += 1
            signature = len(signer.key.sign(b"x"))
            rows.append((alg, f"{signature:,} B", f"{answer['elapsed_ms']:.0f} ms", str(answer["status"])))
        self.narrator.table(
            ("suite", "signature", "took", "answer"), rows, numbers=("signature", "took", "answer")
        )
        self.narrator.good("every suite is accepted", "(the first calls also start the functions)")

    def relaxed(self) -> None:
        """Put more evidence on record than header fields can carry; the client relaxes by itself."""
        evidence = FOLDER / "evidence.json"
        evidence.write_text(json.dumps({"sbom": [f"component-{n}" for n in range(800)]}))
        answer = self.session.signet_json(
            "call", self.outputs["ProtectedUrl"], "--key", str(FOLDER / "ml-dsa-65.pem"),
            "--keyid", self.session.signers["ml-dsa-65"].keyid, "--evidence", str(evidence),
            "--challenge-url", self.outputs["ChallengeUrl"],
        )  # fmt: skip
        require(answer["status"] == httpx.codes.OK, f"it was answered {answer['status']}")
        require(answer["bundle_bytes"], "it went inline, although it cannot fit")
        self.session.expected["ok"] += 1
        self.narrator.good(
            f"a bundle of {answer['bundle_bytes']:,} bytes is accepted under ML-DSA-65",
            f"(its request carries {answer['proof_bytes']:,} bytes of proof)",
        )

    def attacked(self) -> None:
        """Run the attacks; each has to be refused, and its receipt has to say why."""
        with httpx.Client(timeout=_PATIENCE_SECONDS) as client:
            refused = self._attack(Attacker(client, self.outputs, self.session.signers), ATTACKS)
        self.narrator.say(
            "(an authorizer sees no body: the changed one is let in, and the backend refuses it)"
        )
        self.narrator.good(f"all {refused} are refused")

    def bound(self) -> None:
        """Call through the TLS edge, bound to the very connection; then try to carry a proof elsewhere."""
        edge_url = self.session.stack.env["SIGNET_EDGE_URL"]
        answer = self.session.signet_json(
            "call", f"{edge_url}/protected", "--key", str(FOLDER / "ed25519.pem"), "--keyid", "ed25519",
            "--binding", "tls-exporter", "--insecure", "--challenge-url", f"{edge_url}/pch/challenge",
        )  # fmt: skip
        require(answer["status"] == httpx.codes.OK, f"a bound request was answered {answer['status']}")
        self.session.expected["ok"] += 1
        self.narrator.good("a request bound to its TLS 1.3 connection (tls-exporter) is accepted")
        trusted = ssl.create_default_context(cafile=self.session.stack.env["SIGNET_EDGE_CA"])
        with httpx.Client(timeout=_PATIENCE_SECONDS, verify=trusted) as client:
            attacker = Attacker(client, self.outputs, self.session.signers, edge_url)
            self._attack(attacker, BINDING_ATTACKS)

    def _attack(self, attacker: Attacker, attacks: Mapping[str, Attack]) -> int:
        rows = []
        for name, attack in attacks.items():
            status, reasons = attack(attacker)
            require(status in {400, 401, 403}, f"{name}: answered {status}")
            self.session.expected.update(reasons)
            rows.append((name, str(status), reasons[-1]))
        self.narrator.table(("attack", "answer", "reason in the receipt"), rows)
        return len(rows)

    def parallel(self) -> None:
        """Load the stack; single use has to hold under it."""
        url, challenge_url = self.outputs["ProtectedUrl"], self.outputs["ChallengeUrl"]
        with (
            httpx.Client(timeout=_PATIENCE_SECONDS, limits=httpx.Limits(max_connections=32)) as client,
            ThreadPoolExecutor(32) as pool,
        ):
            signer = self.session.signers["ed25519"]
            auth = PCHAuth(signer.key, signer.keyid, challenge_url=challenge_url)
            answers = list(pool.map(lambda _: client.get(url, auth=auth).status_code, range(_PARALLEL)))
            wrong = Counter(answers) - Counter({200: _PARALLEL})
            require(not wrong, f"of {_PARALLEL} good requests some were answered {dict(wrong)}")
            proof = Attacker(client, self.outputs, self.session.signers).proof("GET", url, "ed25519")
            replays = list(pool.map(lambda _: client.get(url, headers=proof).status_code, range(_REPLAYS)))
        require(replays.count(200) == 1, f"one proof was accepted {replays.count(200)} times")
        self.session.expected.update(ok=_PARALLEL + 1, nonce_replayed=_REPLAYS - 1)
        self.narrator.good(f"{_PARALLEL} of {_PARALLEL} signed requests are accepted")
        self.narrator.good(f"of {_REPLAYS} copies of one signed request exactly 1 is")

    def swapped(self) -> None:
        """Push the policy that ships, which demands the binding, and take it back, without a deployment."""
        edge_url = self.session.stack.env["SIGNET_EDGE_URL"]
        strict = self._push()
        with httpx.Client(timeout=_PATIENCE_SECONDS) as client:
            attacker = Attacker(client, self.outputs, self.session.signers)
            url = self.outputs["ProtectedUrl"]
            status = attacker.send("GET", url, attacker.proof("GET", url, "ed25519"))
        require(status in {401, 403}, f"an unbound request was answered {status} under the stricter policy")
        self.session.expected["binding_missing"] += 1
        self.narrator.good("a signed request without a binding is refused now")
        answer = self.session.signet_json(
            "call", f"{edge_url}/protected", "--key", str(FOLDER / "ed25519.pem"), "--keyid", "ed25519",
            "--binding", "tls-exporter", "--insecure", "--challenge-url", f"{edge_url}/pch/challenge",
        )  # fmt: skip
        require(answer["status"] == httpx.codes.OK, f"a bound request was answered {answer['status']}")
        self.session.expected["ok"] += 1
        self.narrator.good("one that is bound to its TLS connection is accepted")
        relaxed = self._push("--overlay", "development")
        self.narrator.good(
            f"rolled back from {strict[:16]}… to {relaxed[:16]}…", "receipts name which decided"
        )

    def _push(self, *overlay: str) -> str:
        """Push a policy and let the time pass after which it holds everywhere; return its hash."""
        pushed = self.session.signet_json("policy", "push", str(ROOT / "policy"), *overlay)
        time.sleep(pushed["effective_within_s"] + 0.5)
        digest: str = pushed["bundle_sha256"]
        return digest

    def fault(self) -> None:
        """Slow the backend down under load; the breaker has to open, to probe, and to close, once."""
        held = FaultSession(
            self.outputs,
            self.session.signers["ed25519"],
            DynamoBreakerStore(self.session.client("dynamodb"), self.outputs["BreakersTable"]),
            DynamoFaultStore(self.session.client("dynamodb"), self.outputs["BreakersTable"]).order,
            self.narrator.say,
        )
        try:
            self.session.seen.extend(state for _version, state in held.run())
        except TimeoutError as error:
            raise DemoError(str(error)) from error
        shed = held.statuses.total() - held.statuses[httpx.codes.OK]
        require(held.statuses[httpx.codes.OK] and shed, f"answers were {dict(held.statuses)}")
        self.session.expected.update(ok=held.statuses[httpx.codes.OK], shed=shed)
        self.narrator.good("closed, open, half open, closed: once", f"{shed} requests were shed meanwhile")

    def receipts(self) -> None:
        """Wait until the sink has taken everything from the queue."""
        sqs = self.session.client("sqs")
        deadline = time.monotonic() + _DRAIN_SECONDS
        while True:
            attributes = sqs.get_queue_attributes(
                QueueUrl=self.outputs["ReceiptQueueUrl"],
                AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
            )["Attributes"]
            if not any(map(int, attributes.values())):
                break
            require(time.monotonic() < deadline, f"the queue did not drain: {attributes}")
            time.sleep(0.2)
        made = sum(self.session.expected.values())
        self.narrator.good(f"{made} decisions were made so far, and no receipt waits in the queue")

    def close(self) -> None:
        """Close today early, so that there is a finished day to hand out."""
        day = self.session.day
        head = self.session.signet_json("close", "--date", day)
        require(head["final"] and head["date"] == day, f"the day was not closed: {head}")
        self.narrator.good(f"{day} is closed with {head['tree_size']} receipts")
        self.narrator.say(f"Merkle root  {head['root_hash']}")
        self.narrator.say("signed by    Ed25519 and ML-DSA-65; a verifier demands both")

    def pack(self) -> None:
        """Ask for the pack over the API, signed with the auditor's key; a caller may not."""
        path = self.session.pack
        self.session.signet(
            "pack", "--date", self.session.day, "-o", str(path), "--url", self.outputs["ApiUrl"],
            "--key", str(FOLDER / "auditor.pem"), "--keyid", "auditor",
        )  # fmt: skip
        with zipfile.ZipFile(path) as pack:
            members = len(pack.namelist())
        self.narrator.good(f"{path.name}: {path.stat().st_size:,} bytes, {members} files")

    def verify(self) -> None:
        """Check the pack with the library and with the file inside it; then compare with what was done."""
        with zipfile.ZipFile(self.session.pack) as pack:
            log_id = json.loads(pack.read("manifest.json"))["log_id"]
            (FOLDER / "verify.py").write_bytes(pack.read("verify.py"))
            receipts = [json.loads(line) for line in pack.read("receipts.jsonl").splitlines()]
        report = self.session.signet_json("verify", str(self.session.pack), "--log-id", log_id)
        (FOLDER / "verdict.json").write_text(json.dumps(report, indent=1))
        self.narrator.good("signet verify: good", f"{report['receipts']} receipts of log {log_id[:16]}…")
        self.session.python(str(FOLDER / "verify.py"), str(self.session.pack), "--log-id", log_id)
        self.narrator.good("verify.py from inside the pack: good", "one file, needs only cryptography")
        self.session.signet(
            "prove", str(self.session.pack), receipts[-1]["id"], "-o", str(FOLDER / "receipt-proof.json")
        )
        self.narrator.good("one receipt is proven on its own", "receipt-proof.json")
        self._compare(receipts)
        self._tell(receipts)

    def _compare(self, logged: list[dict[str, Any]]) -> None:
        done = Counter(self.session.expected)
        receipts = [receipt for receipt in logged if receipt["type"] == "pch.decision"]
        changes = sum(receipt["type"] == "policy.changed" for receipt in logged)
        require(changes == 2, f"the policy was changed twice, but the log has {changes} receipts of it")  # noqa: PLR2004
        found = Counter(receipt["reason"] for receipt in receipts)
        shed = {reason: found[reason] for reason in SHED_REASONS if found[reason]}
        require(sum(shed.values()) == done.pop("shed"), f"not as many were shed: receipts say {shed}")
        done.update(shed)
        require(found == done, f"receipts say {dict(found)}, but {dict(done)} was done")
        self.decisions = Counter(receipt["decision"] for receipt in receipts)
        decided = {receipt["reason"]: receipt["decision"] for receipt in receipts}
        self.narrator.good("the receipts say exactly what was done:")
        self.narrator.table(
            ("decision", "reason", "done", "in the pack"),
            sorted((decided[reason], reason, str(done[reason]), str(n)) for reason, n in found.items()),
            numbers=("done", "in the pack"),
        )

    def _tell(self, receipts: list[dict[str, Any]]) -> None:
        """Let the receipts tell the fault session: it has to be the story that the state table told."""
        from local.picture import fault_picture  # noqa: PLC0415 - matplotlib takes a second to load

        transitions = moves(receipts)
        path = states(transitions)
        require(path == CYCLE, f"by its receipts the breaker went through {', '.join(path)}")
        require(
            tuple(state for state, _ in groupby(self.session.seen)) == path,
            f"the state table told {', '.join(self.session.seen)}",
        )
        fault_picture(receipts, FOLDER / "breaker.png")
        self.narrator.good("the receipts tell the fault session:", "breaker.png")
        self.narrator.table(
            ("at", "breaker", "why", "bad share", "latency"),
            [
                (
                    move["decided_at"][11:19],
                    f"{move['to']['state'].replace('_', ' ')}, {move['to']['level']}",
                    move["cause"].replace("_", " "),
                    f"{move['figures']['bad_share_ppm'] / 10_000:.0f} %",
                    f"{move['figures']['latency_ewma_us'] / 1000:.0f} ms",
                )
                for move in transitions
            ],
            numbers=("bad share", "latency"),
        )

    def tamper(self) -> None:
        """Change one letter of a caller's name in one receipt, in a zip that is otherwise sound."""
        forged = FOLDER / "forged-pack.zip"
        with zipfile.ZipFile(self.session.pack) as good, zipfile.ZipFile(forged, "w") as bad:
            for member in good.infolist():
                content = good.read(member)
                if member.filename == "receipts.jsonl":
                    content = content.replace(b'"keyid":"mallory"', b'"keyid":"mallorx"', 1)
                bad.writestr(member, content)
        for name, verdict in self.session.verdicts(forged).items():
            require(verdict.returncode == 1, f"{name} ended with {verdict.returncode} on a forged pack")
            said = (verdict.stdout + verdict.stderr).splitlines()
            where = next((line for line in said if ".jsonl" in line), "")
            require(where, f"{name} refuses a forged pack, but does not say where")
            self.narrator.good(f"{name} refuses:", where.removeprefix("FAILED").strip())

    def sum_up(self, console: Console) -> None:
        """Say what was shown, what is left to look at, and how to go on."""
        pack = self.session.pack.relative_to(HOME.parent)
        made, let_in = self.decisions.total(), self.decisions["allow"]
        files = {name.format(day=self.session.day): what for name, what in _LEFT.items()}
        width = max(map(len, files))
        lines = [
            f"  {made} decisions: {let_in} requests let in, {made - let_in} refused or challenged.",
            f"  {made} receipts in one signed log, none missing, two verifiers agree.",
            f"\nLeft for you to look at in {FOLDER.relative_to(HOME.parent)}/:\n",
            *(f"  {name:<{width}}  {what}" for name, what in files.items()),
            "\nCheck the pack yourself, then a stack to play with (README.md, Hands on):\n",
            f"  .venv/bin/signet verify {pack}",
            "  make up",
        ]
        console.print("\n".join(lines), markup=False, soft_wrap=True)


_STEPS: Mapping[str, Callable[[Demo], None]] = {
    "Register callers, one per signature suite, and an auditor": Demo.register,
    "An unsigned request is refused and challenged": Demo.challenge,
    "A signed request is accepted, with every suite": Demo.accepted,
    "Evidence too large for header fields goes apart, under the same signature": Demo.relaxed,
    "What an attacker tries is refused": Demo.attacked,
    "A proof is bound to its TLS connection by the edge": Demo.bound,
    f"{_PARALLEL} requests at once, and one of them copied {_REPLAYS} times": Demo.parallel,
    "A stricter policy takes over without a deployment, and is rolled back": Demo.swapped,
    "The backend becomes slow: the breaker opens, probes, and closes": Demo.fault,
    "Every decision becomes a receipt in one hash chain": Demo.receipts,
    "Close the day: Merkle tree, signed tree head": Demo.close,
    "Fetch the compliance pack as the auditor": Demo.pack,
    "Check the pack offline, with two independent verifiers": Demo.verify,
    "A pack with one changed byte is refused by both": Demo.tamper,
}


if __name__ == "__main__":
    sys.exit(main())
