"""The demo's step with an API of another stack: examples/orders/attach.sh, as a user would start it."""

from __future__ import annotations

import sys
from pathlib import Path

from local.command import run
from local.session import FOLDER, Session, require
from local.terminal import Narrator
from local.tools import HOME, ROOT, base_env, sam

_SCRIPT = ROOT / "examples" / "orders" / "attach.sh"
_CALLED = "called from "


def attached(session: Session, narrator: Narrator) -> None:
    """Put examples/orders behind this Signet, call it before and after, and pass on what the script says."""
    env = {**base_env(), **session.stack.env}
    env["PATH"] = f"{Path(sys.executable).parent}:{sam(narrator.say).parent}:{env['PATH']}"
    log = HOME / session.stack.name / "orders.log"
    run([_SCRIPT, "attach"], what="attach.sh", env=env, cwd=FOLDER, log=log)
    said = log.read_text().splitlines()
    called = [line for line in said if line.startswith(_CALLED) and line.endswith(": 200")]
    require(called, "no language's caller is here")
    for line in said:
        skipped = line.startswith(_CALLED) and line not in called
        (narrator.say if skipped else narrator.good)(line)
    session.expected["challenge_required"] += 1
    session.expected["ok"] += len(called)
