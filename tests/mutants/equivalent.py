"""Mutants that no test can tell from the original, each with the reason why it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: (path of the module, line before, line after) -> why no test can tell them apart.
EQUIVALENT: Final[Mapping[tuple[str, str, str], str]] = {
    (
        "layers/signet/signet/handshake/request.py",
        'return text if text.isascii() else text.encode("utf-8", "replace").decode()',
        'return text if False and (text.isascii()) else text.encode("utf-8", "replace").decode()',
    ): "ASCII is encoded and decoded to itself: the first way is only quicker",
}
