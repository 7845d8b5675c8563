"""What receipts of every version have in common: how long they may be, and the names of the types.

What members a version has stands in its own table: ``v1``; which versions there are, in ``versions``.
"""

from __future__ import annotations

from typing import Final

#: Most bytes of a receipt in the log (C2SP tlog-tiles: an entry's length has 16 bits).
MAX_RECEIPT_BYTES: Final = 65_535
#: What the ``chain`` member adds at most: with its numbers at their largest.
CHAIN_MEMBER_BYTES: Final = 150
#: Most bytes of a receipt on its way to the sink.
MAX_MESSAGE_BYTES: Final = MAX_RECEIPT_BYTES - CHAIN_MEMBER_BYTES

DECISION_TYPE: Final = "pch.decision"
#: Written by the log's own writer and by nobody else.
ROTATION_TYPE: Final = "key.rotated"
POLICY_TYPE: Final = "policy.changed"
TRANSITION_TYPE: Final = "breaker.transition"
