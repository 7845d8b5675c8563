"""Digests of the files that shipped in packs: no signature covers VERIFY.md and verify.py.

A person who hands a pack on can put other files in their place. A verifier that finds one of these pairs
knows that they are Signet's own.
"""

from __future__ import annotations

import hashlib
from typing import Final

from signet.pack import layout
from signet.pack.contents import shipped_files

#: SHA-256 in hex of (VERIFY.md, verify.py) as earlier versions wrote them.
EARLIER: Final = frozenset(
    {
        (
            "4df213b43fecf8739c8a31203b0b2f744935bd9762509d9e8f0ab6868a06fdb3",
            "836dc0a33e9e1c858981289beed94fe411c613f09200fc56936b35b13db5b31f",
        )
    }
)


def is_released(guide: str, checker: str) -> bool:
    """Tell whether the hex SHA-256 of both files are those of this version, or of one earlier version."""
    shipped = {name: hashlib.sha256(data).hexdigest() for name, data in shipped_files().items()}
    return (guide, checker) in EARLIER | {(shipped[layout.GUIDE], shipped[layout.CHECKER])}
