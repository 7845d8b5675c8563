"""Runs a command that must not outlive its owner: ``lifeline.py {0|1} COMMAND…``.

With 1, the command ends as soon as standard input is closed, which it is when the owner has gone, however it
went; with 0 it ends on a signal only. Descriptors from 3 on are handed down.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import FrameType

_END_SECONDS = 3.0


def main(tied: bool, command: list[str]) -> int:  # noqa: FBT001 - a program's argument
    """Run the command; return its exit code."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, close_fds=False)

    def end(_number: int = 0, _frame: FrameType | None = None) -> None:
        process.terminate()
        threading.Timer(_END_SECONDS, process.kill).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    if tied:

        def wait() -> None:
            while os.read(sys.stdin.fileno(), 1):
                pass
            end()

        threading.Thread(target=wait, daemon=True).start()
    return process.wait()


if __name__ == "__main__":
    os._exit(main(sys.argv[1] == "1", sys.argv[2:]))  # no waiting for the timer or the thread
