"""What takes long to make is made once a run, also where the workers of pytest-xdist each need it.

A run has a folder of its own, made by ``tests/conftest.py`` and gone with it: what lies there was made from
the sources as they are. Without the folder (a program, no test) each process makes what it needs.
"""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

#: The variable that names the folder to the workers.
FOLDER = "SIGNET_TESTS_SHARED"


def made_once(parts: Mapping[str, Callable[[], Any]]) -> dict[str, Any]:
    """Return what each part makes; workers that ask at the same time each make some of the parts.

    Args:
        parts: by name, unique in the run; what they make can be pickled.
    """
    folder = os.environ.get(FOLDER)
    if folder is None:
        return {name: make() for name, make in parts.items()}
    made: dict[str, Any] = {}
    for wait in (False, True):  # first what no other worker is at, then what is left
        for name, make in parts.items():
            if name not in made:
                _make_or_read(Path(folder) / name, make, made, wait=wait)
    return {name: made[name] for name in parts}


def _make_or_read(path: Path, make: Callable[[], Any], made: dict[str, Any], *, wait: bool) -> None:
    with path.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        if path.exists():
            made[path.name] = pickle.loads(path.read_bytes())
            return
        made[path.name] = make()
        path.write_bytes(pickle.dumps(made[path.name]))
