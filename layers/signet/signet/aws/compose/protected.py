"""Composition of the demo backend: what carries out the faults that ``signet fault`` orders."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

from signet.aws.environment import optional
from signet.breaker.fault import FaultInjector
from signet.breaker.pause import Report
from signet.core.clocks import Elapsed


def build_injector(environment: Mapping[str, str], report: Report) -> FaultInjector | None:
    """Return what carries out ordered faults, or None where none may be ordered.

    Args:
        environment: has SIGNET_FAULT_TABLE where faults may be ordered.
        report: is told what a person has to change before orders can be read.
    """
    table = optional(environment, "SIGNET_FAULT_TABLE")
    if table is None:
        return None
    from signet.aws.faults import DynamoFaultStore  # noqa: PLC0415 - AWS is loaded only where faults are allowed
    from signet.aws.session import dynamodb  # noqa: PLC0415 - as above

    store = DynamoFaultStore(dynamodb(), table)
    return FaultInjector(
        store.ordered, lambda: time.time_ns() // 1_000_000, time.sleep, random.random, Elapsed(), report
    )
