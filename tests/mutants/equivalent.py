"""Mutants that no test can tell from the original, each with the reason why it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: (path of the module within the library, line before, line after) -> why no test can tell them apart.
EQUIVALENT: Final[Mapping[tuple[str, str, str], str]] = {}
