"""What receipts of every version have in common: how long they may be, and the names of the types.

What members a version has stands in its own table: ``v1``, ``v2``; which versions there are, in ``versions``.
"""

from __future__ import annotations

from typing import Final

#: Most bytes of a receipt in the log (C2SP tlog-tiles: an entry's length has 16 bits).
MAX_RECEIPT_BYTES: Final = 65_535

DECISION_TYPE: Final = "pch.decision"
ROTATION_TYPE: Final = "key.rotated"
POLICY_TYPE: Final = "policy.changed"
TRANSITION_TYPE: Final = "breaker.transition"
#: From here on of version 2.
FORMAT_TYPE: Final = "format.changed"
HEAD_TYPE: Final = "head.signed"
ADDED_TYPE: Final = "api.added"
REMOVED_TYPE: Final = "api.removed"
ERASED_TYPE: Final = "transcript.erased"
SUMMARY_TYPE: Final = "refusals.summary"
ENDED_TYPE: Final = "emitter.ended"
#: What an emitter numbers beside its decisions.
NUMBERED: Final = frozenset({SUMMARY_TYPE, ENDED_TYPE})
#: What the log's own writer records, and never a message of the queue.
WRITERS_OWN: Final = frozenset({ROTATION_TYPE, FORMAT_TYPE, HEAD_TYPE})
