"""Decisions in time: what a gateway no longer waits for must not be recorded as let in.

An HTTP API gives up on its authorizer after ten seconds (docs.aws.amazon.com, "Quotas for configuring and
running an HTTP API": authorizer timeout), a REST API after 29, which is longer than the function runs. Each
call to a store ends after some seconds, but several slow ones in one request add up.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from signet.core.decision import Decision, Reason
from signet.core.errors import UnavailableError
from signet.core.vocabulary import PayloadKind
from signet.handshake.decision import RequestDecision

#: Seconds after which an HTTP API's request is not let in any more: three are left to send its receipt, and
#: two for the way.
HTTP_LIMIT_S: Final = 5.0


def in_time(decision: RequestDecision, passed: Callable[[], float], now_ms: int) -> RequestDecision:
    """Shed what took too long to let in; every other decision stays.

    As with a queue that is away, the nonce is spent, and the caller signs anew.

    Args:
        decision: as it came out.
        passed: says how many seconds it took, by two clocks; not asked where nothing depends on it.
        now_ms: Unix time in milliseconds, for the breaker.
    """
    context = decision.context
    waits_longer = context.inbound.kind is PayloadKind.REST_V1
    if decision.reason.decision is not Decision.ALLOW or waits_longer or passed() <= HTTP_LIMIT_S:
        return decision
    context.backend.failed(context.admission, now_ms)
    late = UnavailableError("the stores answered too slowly: the gateway may have given up")
    return replace(decision, reason=Reason.STORE_UNAVAILABLE, message=str(late), error=late)
