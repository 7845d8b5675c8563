"""Good packs and bad ones, each bad one with the reason for which every verifier must refuse it.

    python -m tests.corpus OUT_DIR

writes them with an index; ``cases`` yields them in memory. Private keys, receipts and tampering are the same
in every run. (ML-DSA signatures are not: signing draws randomness.)
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.corpus import heads, members, proofs, receipts, zips
from tests.corpus.case import Case
from tests.corpus.world import good_cases, two_days

__all__ = ["Case", "bad_cases", "good_cases"]


def bad_cases() -> Iterator[Case]:
    """Yield every bad pack."""
    log = two_days()
    for module in (zips, members, receipts, heads, proofs):
        yield from module.cases(log)
