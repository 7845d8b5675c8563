"""``make demo``: the whole loop on an embedded stack of its own, every promise checked on the way.

Policy → enforcement → proof: callers are registered, requests challenged, signed, accepted, attacked and
refused; the day is closed, a compliance pack downloaded and checked offline by two verifiers. Exit code 0
only if every step held.
"""

from __future__ import annotations

import fcntl
import io
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

import httpx
from rich.console import Console

from local import attaching, enforcement, proof
from local.enforcement import COPIES, PARALLEL
from local.environment import isolate
from local.errors import StackError
from local.session import FOLDER, DemoError, Session, day_with_room
from local.stack import embedded
from local.terminal import Narrator
from local.tools import HOME
from signet_client.terminal import plain_block

Step = Callable[[Session, Narrator], None]

_LEFT = {
    "pack-{day}.zip": "the compliance pack of today",
    "verify.py": "its checker, as taken out of the pack",
    "callers.json": "the callers' public keys, as an auditor has them",
    "verdict.json": "what `signet verify` found",
    "receipt-proof.json": "the proof of one receipt, on its own",
    "forged-pack.zip": "the same pack with one byte changed",
    "breaker.png": "the fault session, drawn from its receipts",
}


def main() -> int:
    """Run the demo; returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without UTF-8 shall not end the demo
    isolate()
    console = Console(highlight=False, emoji=False)
    started = time.monotonic()
    console.print(
        "[bold]Signet: policy, enforcement, proof. The whole loop, on this machine.[/bold]\n"
        "An AWS emulator stands in for the cloud: no account, and no request leaves this\n"
        "machine. Every line with a check mark was put to the test just now; the first\n"
        "promise that does not hold ends the demo."
    )
    try:
        session = _run(console)
    except (DemoError, StackError, httpx.HTTPError, OSError) as error:
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        told = where + str(getattr(error, "strerror", None) or error or type(error).__name__)
        console.print("\n[bold red]The demo failed:[/bold red]", end=" ")
        console.print(plain_block(told), markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("\nInterrupted; the stack was stopped and removed.")
        return 130
    console.print(f"\n[bold green]Every step held, in {time.monotonic() - started:.0f} s.[/bold green]")
    _sum_up(session, console)
    return 0


@contextmanager
def _alone() -> Iterator[None]:
    """Keep the folder of results to this demo: another one would empty it."""
    HOME.mkdir(exist_ok=True)
    with (HOME / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError("another one runs in this folder; wait for its end.") from None
        yield


def _run(console: Console) -> Session:
    with ExitStack() as until_the_end:
        until_the_end.enter_context(_alone())
        if FOLDER.exists():
            shutil.rmtree(FOLDER)
        FOLDER.mkdir(parents=True)
        narrator = Narrator(console, steps=1 + len(_STEPS))
        day = day_with_room(narrator.say)
        with narrator.step("Start an AWS emulator and deploy template.yaml with SAM"):
            stack = until_the_end.enter_context(embedded(report=narrator.say))
        until_the_end.callback(console.print, "\n[dim]Stopping the stack.[/dim]")
        session = Session(stack, day)
        for title, step in _STEPS.items():
            with narrator.step(title):
                step(session, narrator)
    return session


def _sum_up(session: Session, console: Console) -> None:
    """Say what was shown, what is left to look at, and how to go on."""
    pack = session.pack.relative_to(HOME.parent)
    types = Counter(receipt["type"] for receipt in session.logged)
    moved, swapped, rotated = types["breaker.transition"], types["policy.changed"], types["key.rotated"]
    decided = Counter(receipt["decision"] for receipt in session.logged if "decision" in receipt)
    made, let_in, shed = decided.total(), decided["allow"], decided["shed"]
    files = {name.format(day=session.day): what for name, what in _LEFT.items()}
    width = max(map(len, files))
    lines = [
        f"  {made} decisions: {let_in} let in, {made - let_in - shed} refused or challenged, {shed} shed.",
        f"  {types.total()} receipts in one signed log, none missing: a receipt for each decision,",
        f"  {moved} for moves of the breaker, {swapped} for changes of policy, {rotated} for rotated keys.",
        f"\nLeft for you to look at in {FOLDER.relative_to(HOME.parent)}/:\n",
        *(f"  {name:<{width}}  {what}" for name, what in files.items()),
        "\nCheck the pack yourself, then a stack to play with (README.md, Hands on):\n",
        f"  .venv/bin/signet verify {pack} --log-id {session.log_id} \\",
        f"    --callers {session.callers.relative_to(HOME.parent)} --rejudge",
        "  make up",
    ]
    console.print(plain_block("\n".join(lines)), markup=False, soft_wrap=True)


_STEPS: Mapping[str, Step] = {
    "Make the log's keys; register callers, one per suite, and an auditor": enforcement.register,
    "An unsigned request is refused and challenged": enforcement.challenge,
    "A signed request is accepted, with every suite": enforcement.accepted,
    "Evidence too large for header fields goes apart, under the same signature": enforcement.relaxed,
    "What an attacker tries is refused": enforcement.attacked,
    "A proof is bound to its TLS connection by the edge": enforcement.bound,
    f"{PARALLEL} requests at once, and one of them copied {COPIES} times": enforcement.parallel,
    "A stricter policy takes over without a deployment, and is rolled back": enforcement.swapped,
    "An orders API of another stack is attached, and called": attaching.attached,
    "The backend becomes slow: the breaker opens, probes, and closes": enforcement.fault,
    "Rotate the log's keys and close the day: Merkle tree, signed tree head": proof.close,
    "Audit the log: everything recomputed from what is stored": proof.audit,
    "Fetch the compliance pack as the auditor": proof.pack,
    "Check the pack offline, with two independent verifiers": proof.verify,
    "A pack with one changed byte is refused by both": proof.tamper,
}


if __name__ == "__main__":
    sys.exit(main())
