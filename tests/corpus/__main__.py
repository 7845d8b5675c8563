"""Write the corpus into a folder: ``good/*.zip``, ``bad/*.zip`` and ``index.json``."""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path

from tests.corpus import bad_cases, good_cases


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m tests.corpus", description=__doc__)
    arguments.add_argument("folder", type=Path, metavar="OUT_DIR")
    arguments.add_argument(
        "--receipts", type=int, action="append", default=[], help="a good pack of so many receipts, too"
    )
    given = arguments.parse_args()
    entries = []
    for case in itertools.chain(good_cases(*given.receipts), bad_cases()):
        path = given.folder / case.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case.data)
        if case.callers is not None:
            keys = given.folder / str(case.entry()["callers"])
            keys.parent.mkdir(exist_ok=True)
            keys.write_bytes(case.callers)
        entries.append(case.entry())
    index = {"v": 1, "cases": entries}
    (given.folder / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    print(f"{len(entries)} packs in {given.folder}")  # noqa: T201 - a command


if __name__ == "__main__":
    main()
