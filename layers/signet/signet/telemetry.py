"""The closed set of metric names: what dashboards and alarms may rely on.

A function emits a metric only under one of these names, in this namespace, with the unit given here; a
new measurement starts with a new member. Its dimensions are ``service``, which each function sets, and
``stack``: an account may have several, and an alarm of one must hear nothing of another. The reason of a
decision, from its closed set, is the only other one.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

#: CloudWatch namespace of every metric.
NAMESPACE: Final = "Signet"
_STACK_VARIABLE: Final = "SIGNET_STACK_NAME"


def dimensions(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what every metric of a function carries beside its service; nothing outside of a stack."""
    stack = environment.get(_STACK_VARIABLE, "")
    return {"stack": stack} if stack else {}


class Metric(StrEnum):
    """Metric names; the comment gives unit and meaning."""

    DECISIONS = "Decisions"  # count: decisions made, by reason
    AUTHORIZER_LATENCY = "AuthorizerLatency"  # microseconds: one decision, without the network
    POLICY_FAILURES = "PolicyFailures"  # count: tries to load a pushed policy that failed; the last one stays
    REFUSALS_FOLDED = "RefusalsFolded"  # count: refused strangers in summaries, without a receipt each
    BREAKER_SHEDS = "BreakerSheds"  # count: requests shed because the breaker was open or half open
    BREAKER_SILENT = "BreakerSilent"  # count: requests let through because the backend's outcomes stopped
    BREAKER_FUTILE = "BreakerFutile"  # count: requests let through though bad: shedding does not help
    HEADER_BYTES = "HeaderBytes"  # bytes: names and values of the request's headers
    HANDSHAKE_REQUESTS = "HandshakeRequests"  # count: challenges and public keys handed out
    BUNDLES_STORED = "BundlesStored"  # count: bundles of detached proofs taken
    SINK_BATCH_SIZE = "SinkBatchSize"  # count: messages in one invocation
    SINK_RECEIPTS = "SinkReceipts"  # count: receipts appended to a chain
    SINK_DUPLICATES = "SinkDuplicates"  # count: receipts that were in their chain already
    SINK_EVIDENCE = "SinkEvidence"  # count: messages whose evidence is in the bucket
    SINK_TRANSCRIPTS = "SinkTranscripts"  # count: receipts appended whose transcript is in the bucket
    SINK_POISON = "SinkPoison"  # count: messages that are no receipt and go to the dead-letter queue
    LOG_RUNS = "LogRuns"  # count: runs of the log's writer, with any outcome
    LOG_INTEGRATED = "LogIntegrated"  # count: receipts a run added to the tree
    LOG_TREE_SIZE = "LogTreeSize"  # count: leaves of the newest tree head
    LOG_WAIT = (
        "LogWait"  # seconds, rounded up: how long the oldest receipt that a run took had been in its chain
    )
    LOG_DELAY = "LogDelay"  # seconds, rounded up: from the oldest decision that a run took to its public head
    LOG_CONTRADICTIONS = "LogContradictions"  # count: runs that found chains or log contradicting themselves
    AUDIT_RUNS = "AuditRuns"  # count: audits of the log, with any outcome
    AUDIT_FINDINGS = "AuditFindings"  # count: faults that an audit found; 0 for a good log
    KEY_ROTATIONS = "KeyRotations"  # count: key sets that came into force
    PACKS_BUILT = "PacksBuilt"  # count: compliance packs built


class Unit(StrEnum):
    """CloudWatch's names of the units in use."""

    COUNT = "Count"
    BYTES = "Bytes"
    MICROSECONDS = "Microseconds"
    SECONDS = "Seconds"


#: The unit of every metric.
UNITS: Final[dict[Metric, Unit]] = {
    Metric.DECISIONS: Unit.COUNT,
    Metric.AUTHORIZER_LATENCY: Unit.MICROSECONDS,
    Metric.POLICY_FAILURES: Unit.COUNT,
    Metric.REFUSALS_FOLDED: Unit.COUNT,
    Metric.BREAKER_SHEDS: Unit.COUNT,
    Metric.BREAKER_SILENT: Unit.COUNT,
    Metric.BREAKER_FUTILE: Unit.COUNT,
    Metric.HEADER_BYTES: Unit.BYTES,
    Metric.HANDSHAKE_REQUESTS: Unit.COUNT,
    Metric.BUNDLES_STORED: Unit.COUNT,
    Metric.SINK_BATCH_SIZE: Unit.COUNT,
    Metric.SINK_RECEIPTS: Unit.COUNT,
    Metric.SINK_DUPLICATES: Unit.COUNT,
    Metric.SINK_EVIDENCE: Unit.COUNT,
    Metric.SINK_TRANSCRIPTS: Unit.COUNT,
    Metric.SINK_POISON: Unit.COUNT,
    Metric.LOG_RUNS: Unit.COUNT,
    Metric.LOG_INTEGRATED: Unit.COUNT,
    Metric.LOG_TREE_SIZE: Unit.COUNT,
    Metric.LOG_WAIT: Unit.SECONDS,
    Metric.LOG_DELAY: Unit.SECONDS,
    Metric.LOG_CONTRADICTIONS: Unit.COUNT,
    Metric.AUDIT_RUNS: Unit.COUNT,
    Metric.AUDIT_FINDINGS: Unit.COUNT,
    Metric.KEY_ROTATIONS: Unit.COUNT,
    Metric.PACKS_BUILT: Unit.COUNT,
}
