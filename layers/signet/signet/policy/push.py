"""Puts a policy in force: files first, then the register, then the receipt. Each step can be repeated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from signet.core.errors import LogError, PolicyError, UsageError
from signet.core.instants import MS_PER_DAY
from signet.core.ports import LockStore, ObjectStore, ReceiptQueue
from signet.policy.bundle import policy_bundle_sha256
from signet.policy.check import check as check_policy
from signet.policy.finding import Finding
from signet.policy.register import Pushed, object_key

Check = Callable[[Mapping[str, bytes]], tuple[Finding, ...]]
_TEXT = "text/plain; charset=utf-8"
# The sink knows an id for 30 days from its record on, and a message may take 28: what is sent again any later
# could get into the log twice.
_SENT_AGAIN_MS: Final = MS_PER_DAY


@dataclass(frozen=True, slots=True)
class Push:
    """What a push did.

    Attributes:
        pushed: what is in force now.
        moved: False if it was in force before; then at most the receipt was sent again.
        sent: whether a receipt was sent; one of a version that is a day old is not sent again.
    """

    pushed: Pushed
    moved: bool
    sent: bool


def push(
    files: Mapping[str, bytes],
    *,
    register: LockStore,
    objects: ObjectStore,
    queue: ReceiptQueue,
    now_ms: int,
    above: int = 0,
    check: Check = check_policy,
) -> Push:
    """Check a policy and put it in force.

    After a failure in between, call it again within a day: what is stored stays, and a receipt has one id
    however often it is sent. Later, ``above`` makes another version of it, with a receipt of its own.

    Args:
        files: name → bytes.
        register: the register ``policy``.
        objects: the log bucket.
        queue: takes the receipt of the change.
        now_ms: Unix milliseconds.
        above: make a version above this number, also of the policy that is in force: an environment that has
            seen this number takes no smaller one, even if an old value came back into the register.
        check: returns the mistakes in a policy.

    Raises:
        PolicyError: code ``policy_findings``: the check found mistakes; or the register is damaged.
        UsageError: another push came first.
        LogError: other bytes lie under the policy's hash.
    """
    if findings := check(files):
        more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
        raise PolicyError(f"nothing was pushed: {findings[0]}{more}", code="policy_findings")
    value = register.read()
    before = None if value is None else Pushed.decode(value)
    digest = policy_bundle_sha256(files)
    if before is not None and before.version.bundle_sha256 == digest:
        again = now_ms - before.version.pushed_at_ms < _SENT_AGAIN_MS
        if again:
            queue.send(before.receipt())
        if before.version.n > above:
            return Push(before, moved=False, sent=again)
    for name, body in files.items():
        _store(objects, object_key(digest, name), body)
    # A version is never older than the one before, even if this machine's clock says so.
    at_ms = max(now_ms, before.version.pushed_at_ms if before else 0)
    pushed = Pushed.after(before, files, now_ms=at_ms, above=above)
    if not register.compare_and_swap(value, pushed.encode()) and register.read() != pushed.encode():
        raise UsageError("another push came first; look at `signet policy show`, then push again")
    queue.send(pushed.receipt())
    return Push(pushed, moved=True, sent=True)


def _store(objects: ObjectStore, key: str, body: bytes) -> None:
    if not objects.put_once(key, body, content_type=_TEXT) and objects.get(key) != body:
        raise LogError(f"{key} holds other bytes than its name says; find out who wrote them")
