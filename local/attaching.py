"""The demo's step with an API of another stack: deployed, attached, registered, called; how long it took."""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence

import httpx

from local.command import run
from local.deploy import ARTIFACTS
from local.session import FOLDER, DemoError, Session, require
from local.terminal import Narrator
from local.tools import HOME, ROOT, base_env, sam

_EXAMPLE = ROOT / "examples" / "orders"
_PATIENCE_S = 60.0
_REFUSED = frozenset({401, 403})
_MOST_LINES = 15


def attached(session: Session, narrator: Narrator) -> None:
    """Put examples/orders behind this Signet, and call it before and after."""
    url = _deploy(session, narrator, "template.yaml")
    require(httpx.get(url, timeout=_PATIENCE_S).status_code == httpx.codes.OK, "it answered no caller")
    narrator.good("GET /orders of a stack of its own answers every caller")
    lines = changed_lines()
    require(0 < lines <= _MOST_LINES, f"{lines} lines change")
    session.enrol("orders-reader")
    started = time.monotonic()
    session.signet(
        "policy", "push", str(_EXAMPLE / "policy")
    )  # in force after a second; the rest takes longer
    url = _deploy(session, narrator, "attached.yaml", f"SignetStack={session.stack.name}")
    # The emulator makes the API anew where AWS changes it, so its id is known now only.
    session.signet(
        "apis", "add", "orders", "--api-id", _address(session, "id"), "--stage", "v1",
        "--authority", _address(session, "authority"),
    )  # fmt: skip
    refused = httpx.get(url, timeout=_PATIENCE_S).status_code
    require(refused in _REFUSED, f"an unsigned request was answered {refused}")
    session.expected["challenge_required"] += 1
    session.call_at("orders-reader", url, f"{session.outputs['ChallengeUrl']}?api=orders")
    took = time.monotonic() - started
    narrator.good("attached: an unsigned request is refused, a signed one accepted")
    narrator.good(f"it took {took / 60:.1f} minutes, and {lines} changed lines of SAM")


def changed_lines() -> int:
    """Return how many lines of the API's template attaching takes away or adds."""
    before, after = (
        (_EXAMPLE / name).read_text().splitlines() for name in ("template.yaml", "attached.yaml")
    )
    return sum(line.startswith(("+ ", "- ")) for line in difflib.ndiff(before, after))


def _deploy(session: Session, narrator: Narrator, template: str, *parameters: str) -> str:
    """Deploy the example; return where its orders are.

    Raises:
        DemoError: it could not be deployed.
    """
    command: Sequence[object] = [
        sam(narrator.say), "deploy", "--template-file", _EXAMPLE / template, "--stack-name", "orders",
        "--s3-bucket", ARTIFACTS, "--capabilities", "CAPABILITY_IAM", "--no-progressbar",
        *(["--parameter-overrides", *parameters] if parameters else []),
    ]  # fmt: skip
    log = HOME / session.stack.name / "orders.log"
    run(
        [str(part) for part in command],
        what="sam deploy",
        env={**base_env(), **session.stack.env},
        cwd=FOLDER,
        log=log,
    )
    return _address(session, "url")


def _address(session: Session, what: str) -> str:
    found = session.python(str(_EXAMPLE / "address.py"), "orders", what).strip()
    if not found:
        raise DemoError("the orders API has no address")
    return found
