"""How a Python Lambda backend tells the breaker how it fares: one decorator.

    from signet.aws.observe import observe
    from signet.backend import guarded

    @guarded
    @observe
    def handler(event, context): ...

Below ``guarded``, so that only verified requests count. At the first request it reads
``SIGNET_BREAKERS_TABLE`` from the environment. It needs permission to update items under ``sums#`` of that
table, and does nothing without one, or where no request asks for a report. What counts as slow is policy: the
authorizer says it with each request.

Where the table cannot be used until a person changes something, the logger ``signet.aws.observe`` says what,
in one line per pause of 1 to 30 s.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from signet.aws.environment import optional
from signet.aws.reports import NOT_SET_UP
from signet.backend import Answer, Handler
from signet.breaker.config import BreakerConfig
from signet.breaker.fleetclock import FleetClock
from signet.breaker.reporter import OutcomeReporter
from signet.breaker.snapshot import OutcomeToken
from signet.breaker.ticket import token_of
from signet.core.clocks import Elapsed
from signet.core.errors import SignetError
from signet.core.vocabulary import is_failure
from signet.gateway import proxy

# Lambda's runtime gives the root logger a handler, and errors are above its level:
# https://docs.aws.amazon.com/lambda/latest/dg/python-logging.html
_LOGGER: Final = logging.getLogger(__name__)
#: How long before its deadline a request counts as timed out, and its report has time to be stored.
_MARGIN_S: Final = 1.2
_MARGIN_SHARE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Observer:
    """Reports outcomes of this environment.

    Attributes:
        reporter: adds them up.
    """

    reporter: OutcomeReporter

    def watch(self, token: OutcomeToken, call: Callable[[], Answer], *, remaining_s: float) -> Answer:
        """Run a call and report what became of it; a call that outlives its deadline is reported before.

        Args:
            token: what the outcome counts towards.
            call: the backend's handler.
            remaining_s: until Lambda ends this process.
        """
        started = time.perf_counter()
        told = threading.Lock()  # taken once: by the deadline or by the end: the earlier one

        def tell(*, error: bool | None) -> None:
            if not told.acquire(blocking=False) or error is None:
                return
            taken_ms = (time.perf_counter() - started) * 1000
            self.reporter.report(
                token,
                now_ms=time.time_ns() // 1_000_000,
                latency_ms=taken_ms,
                error=error,
                slow=taken_ms > token.objective_ms,
            )

        margin_s = min(_MARGIN_S, remaining_s * _MARGIN_SHARE)
        deadline = threading.Timer(remaining_s - margin_s, tell, kwargs={"error": True})
        deadline.daemon = True
        deadline.start()
        try:
            answer = call()
        except BaseException:
            tell(error=True)
            raise
        else:
            tell(error=_failed(answer))
            return answer
        finally:
            deadline.cancel()


def observe(handler: Handler) -> Handler:
    """Wrap a handler of REST API proxy events so that its latency, errors and timeouts reach the breaker.

    An exception, a status of 500 or more or 429, and a call that comes close to the function's timeout count
    as errors. Any other status of 400 to 499 counts as nothing, neither good nor bad.
    Outcomes are stored at most twice a second, after the answer is ready and before it leaves: one write to
    DynamoDB (two while some requests fail), and a second at most if DynamoDB hangs. No failure of it reaches
    the caller.
    """

    @functools.wraps(handler)
    def observed(event: dict[str, Any], context: Any) -> Answer:
        observer, token = _observer(), _outcome_token(event)
        if observer is None or token is None:
            return handler(event, context)
        remaining_s = context.get_remaining_time_in_millis() / 1000
        return observer.watch(token, lambda: handler(event, context), remaining_s=remaining_s)

    return observed


@cache
def _observer() -> Observer | None:
    table = optional(os.environ, "SIGNET_BREAKERS_TABLE")
    if table is None:
        return None
    from signet.aws.breaker import DynamoBreakerStore  # noqa: PLC0415 - AWS is loaded only where it is used
    from signet.aws.session import dynamodb_once  # noqa: PLC0415 - as above

    clock = FleetClock()
    store = DynamoBreakerStore(dynamodb_once(), table, clock)
    return Observer(OutcomeReporter(store, BreakerConfig(), Elapsed(), _not_set_up, clock.correct))


def _not_set_up(error: SignetError) -> None:
    _LOGGER.error("%s: %s", NOT_SET_UP, error)


def _outcome_token(event: Mapping[str, Any]) -> OutcomeToken | None:
    return token_of(proxy.granted(event).get("breaker"))


def _failed(answer: object) -> bool | None:
    status = answer.get("statusCode") if isinstance(answer, Mapping) else None
    return is_failure(status) if isinstance(status, int) else False
