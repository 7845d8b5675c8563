"""Where a day ends, and where the log begins: decided by the chains, and by no clock."""

from __future__ import annotations

import datetime as dt
from typing import Final

from signet.core.errors import UnavailableError
from signet.core.instants import day_start_ms
from signet.core.ports import ChainStore
from signet.log.intake import first_days

_MAX_TRIES: Final = 100


def fence(chains: ChainStore, chain_count: int, not_before_ms: int) -> None:
    """See to it that nothing appended from now on is recorded before ``not_before_ms``.

    Args:
        chains: where receipts are.
        chain_count: number of chains.
        not_before_ms: Unix milliseconds.

    Raises:
        UnavailableError: a chain moves too fast, or cannot be reached; running again is safe.
    """
    for chain_id in range(chain_count):
        for _ in range(_MAX_TRIES):
            head = chains.head(chain_id)
            # recorded_at never goes back, so a chain that is past the instant needs no fence.
            if max(head.not_before_ms, head.recorded_at_ms) >= not_before_ms:
                break
            if chains.fence(head, not_before_ms=not_before_ms):
                break
        else:
            raise UnavailableError(f"chain {chain_id} moves too fast to be fenced: run again")


def first_day(chains: ChainStore, chain_count: int, today: dt.date) -> dt.date:
    """Return the day the log begins: that of the first receipt, or today if there is none.

    The chains are read before and after the fence: a receipt that the second read does not find either
    cannot be recorded before the first day any more.

    Raises:
        LogError: a chain contradicts itself.
        UnavailableError: a chain moves too fast, or cannot be reached; running again is safe.
    """
    day = min(first_days(chains, chain_count), default=today)
    fence(chains, chain_count, day_start_ms(day))
    return min([day, *first_days(chains, chain_count)])
