"""Faults at AWS calls, by botocore's own events: at every client and operation that the code uses.

The injector is registered at the session that every client is made from, so a service that is added later
is covered without a list to keep.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.response import StreamingBody


class Killed(BaseException):
    """The process was killed."""


class Fault(StrEnum):
    """What goes wrong at a call."""

    FAILS_BEFORE = "fails before it takes effect"
    REFUSED = "is refused by a service under load"
    FAILS_AFTER = "takes effect and then fails"
    REPEATED = "takes effect twice, its first answer lost"
    KILLED_BEFORE = "killed just before"
    KILLED_AFTER = "killed just after"
    FLIPPED = "one bit flipped in what it returns"
    DELIVERED_TWICE = "every message twice"
    OCCUPIED = "something else is there already"
    ROTTEN = "one bit flipped in what it stores, and killed after the next write to DynamoDB"
    INTERLEAVED = "another instance runs just before"


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS call of the code under test.

    Attributes:
        number: how many came before it in this run.
        service: botocore's name of the service.
        operation: the API operation.
        conditional_put: whether it stores an object only if there is none.
        key: the S3 key it goes to, if any.
    """

    number: int
    service: str
    operation: str
    conditional_put: bool
    key: str


def faults_of(call: Call) -> list[Fault]:
    """Return the faults that can happen at a call, except for other instances."""
    found = [
        Fault.FAILS_BEFORE,
        Fault.REFUSED,
        Fault.FAILS_AFTER,
        Fault.REPEATED,
        Fault.KILLED_BEFORE,
        Fault.KILLED_AFTER,
    ]
    if call.operation == "GetObject":
        found.append(Fault.FLIPPED)
    if call.operation == "ReceiveMessage":
        found.append(Fault.DELIVERED_TWICE)
    if call.conditional_put and not call.key.startswith("evidence/"):  # evidence is named by its own hash
        found.append(Fault.OCCUPIED)
    if call.operation == "PutObject" and call.key.startswith("staging/"):
        found.append(Fault.ROTTEN)
    return found


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault to carry out, and what runs just before the call, if anything does."""

    fault: Fault
    before: Callable[[], object] | None = None


class Injector:
    """Numbers the calls of the code under test, and carries out at each what ``decide`` says.

    Attributes:
        decide: asked at every call; None lets it pass.
    """

    def __init__(self, session: Any) -> None:
        self.decide: Callable[[Call], Injected | None] | None = None
        self._number = 0
        self._current: Fault | None = None
        self._dying = False
        self._parameters: dict[str, Any] = {}
        session.register("before-parameter-build", self._remember)
        session.register("before-call", self._before)
        session.register("after-call", self._after)
        session.register("needs-retry", self._retry)

    @contextmanager
    def watching(self, decide: Callable[[Call], Injected | None]) -> Iterator[None]:
        """Number the calls made inside, from 0."""
        self.decide, self._number = decide, 0
        try:
            yield
        finally:
            self.decide, self._current, self._dying = None, None, False

    @contextmanager
    def looking_away(self) -> Iterator[None]:
        """Let calls inside pass uncounted."""
        decide, current = self.decide, self._current
        self.decide = self._current = None
        try:
            yield
        finally:
            self.decide, self._current = decide, current

    def _remember(self, params: dict[str, Any], **_: Any) -> None:
        self._parameters = params

    def _before(self, model: Any, params: dict[str, Any], **_: Any) -> Any:
        if self.decide is None:
            return None
        call = Call(
            self._number,
            model.service_model.service_name,
            model.name,
            conditional_put="IfNoneMatch" in self._parameters,
            key=self._parameters.get("Key", "") if model.service_model.service_name == "s3" else "",
        )
        self._number += 1
        injected = self.decide(call)
        if injected is None:
            return None
        self._current = injected.fault
        if injected.before is not None:
            with self.looking_away():
                injected.before()
        return self._carry_out(injected.fault, params)

    def _carry_out(self, fault: Fault, params: dict[str, Any]) -> Any:
        if fault is Fault.FAILS_BEFORE:
            raise EndpointConnectionError(endpoint_url="injected")
        if fault is Fault.KILLED_BEFORE:
            raise Killed
        if fault is Fault.REFUSED:
            error = {"Code": "ThrottlingException", "Message": "injected"}
            return Answer(503), {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 503}}
        if fault is Fault.ROTTEN:
            params["body"] = io.BytesIO(flipped(params["body"].read()))
        return None

    def _after(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        if self._dying and model.service_model.service_name == "dynamodb" and "Put" in model.name:
            raise Killed
        fault, self._current = self._current, None
        if fault is Fault.FAILS_AFTER:
            raise ReadTimeoutError(endpoint_url="injected")
        if fault is Fault.KILLED_AFTER:
            raise Killed
        if fault is Fault.FLIPPED and "Body" in parsed:
            damaged = flipped(parsed["Body"].read())
            parsed["Body"] = StreamingBody(io.BytesIO(damaged), len(damaged))
        if fault is Fault.DELIVERED_TWICE:
            parsed["Messages"] = parsed.get("Messages", []) * 2
        self._dying = self._dying or fault is Fault.ROTTEN

    def _retry(self, attempts: int, **_: Any) -> float | None:
        """Tell botocore to send again at once: the answer it got is lost."""
        return 0.0 if self._current is Fault.REPEATED and attempts == 1 else None


@dataclass(frozen=True, slots=True)
class Answer:
    """As much of an HTTP response as botocore looks at once it is parsed."""

    status_code: int
    headers: Mapping[str, str] = field(default_factory=dict)


def flipped(body: bytes) -> bytes:
    """Flip one bit in the middle."""
    if not body:
        return body
    at = len(body) // 2
    return body[:at] + bytes([body[at] ^ 0x10]) + body[at + 1 :]
