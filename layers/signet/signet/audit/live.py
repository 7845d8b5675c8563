"""What only the operator can hold a log to: the lock register, and the chains that wait for integration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from signet.audit.heads import Heads, check_between
from signet.audit.source import LogSource
from signet.core.errors import AuditError
from signet.core.ports import ChainStore
from signet.core.verification import Checks
from signet.log import staging
from signet.log.emitters import read_accounts
from signet.log.intake import pending
from signet.log.keys import LogKeys, parse_keys
from signet.log.publish import rebuild_keys
from signet.log.register import Register, parse_register, read_pin
from signet.log.sth import TreeHead
from signet.log.tiles import TileReader

REGISTER: Final = "lock register"


@dataclass(frozen=True, slots=True)
class LiveState:
    """What only the operator can read.

    Attributes:
        register: reads the value of the lock register.
        chains: the receipt chains.
        policy: reads the value of the register of pushed policies; None leaves it alone.
    """

    register: Callable[[], bytes | None]
    chains: ChainStore
    policy: Callable[[], bytes | None] | None = None


def check_register(source: LogSource, live: LiveState, keys: LogKeys, heads: Heads, checks: Checks) -> None:
    """Hold the lock register, read now, to what the store has said before.

    Raises:
        AuditError, LogError: they contradict each other.
    """
    newest = heads.newest
    raw = live.register()
    if raw is None:
        raise AuditError("is empty, but the store has a head", where=REGISTER, code="store_ahead")
    register = parse_register(raw, _keys_of(raw, source, keys, checks))
    head = register.head
    if head.timestamp < newest.timestamp or head.tree_size < newest.tree_size:
        raise AuditError("is behind sth/latest.json", where=REGISTER, code="store_ahead")
    if head.tree_size == newest.tree_size and head.root_hash != newest.root_hash:
        raise AuditError("has another root for the same size", where=REGISTER, code="fork")
    if head.raw != newest.raw:
        checks.notice(
            "not_published",
            "a head is signed that sth/latest.json does not show: the next run publishes it, and what it "
            "adds was not audited",
        )
        _check_unpublished(source, register, heads)
    _look_at_staging(source, register, checks)


def register_of(source: LogSource, live: LiveState, keys: LogKeys) -> Register | None:
    """Return the lock register as it is now; None if it is empty.

    Raises:
        LogError, AuditError: it is malformed, or names other keys than the log's.
    """
    raw = live.register()
    return None if raw is None else parse_register(raw, _keys_of(raw, source, keys, Checks()))


def check_chains(live: LiveState, newest: TreeHead, checks: Checks) -> None:
    """Read what waits for integration: it must continue the chains of the newest head.

    Raises:
        LogError: it does not.
    """
    waiting = 0
    for chain in newest.chains:
        waiting += sum(1 for _receipt in pending(live.chains, chain, len(newest.chains)))
    if waiting:
        checks.notice("waiting", f"{waiting} receipts wait for the next integration")


def _keys_of(register: bytes, source: LogSource, keys: LogKeys, checks: Checks) -> LogKeys:
    """Return the keys that the register names: those of the store, or newer ones set by set."""
    pin = read_pin(register)
    if pin.holds(keys.encode()):
        return keys
    if pin.count <= len(keys.sets):
        raise AuditError("is behind keys.json, or names other keys", where=REGISTER, code="bad_keys")
    checks.notice(
        "keys_not_published", "a key set is in force but not in keys.json yet: the next run adds it"
    )
    return parse_keys(rebuild_keys(source.get, pin, keys))


def _check_unpublished(source: LogSource, register: Register, heads: Heads) -> None:
    """Hold the store to a newer head of the register: what the next run needs for it must be there.

    An old ``sth/latest.json`` that was put back hides no loss: the days that were closed since have to be
    there, and the tree, in place or staged.
    """
    head = register.head
    bundle = None if register.staging is None else source.get(register.staging)
    if bundle is None:
        TileReader(source.get, head.tree_size, root=head.root_hash)
        read_accounts(source.get, head.emitters)
    else:
        staging.check_staged(bundle, head.tree_size, head.root_hash, head.emitters, source.get)
    # The bundle is dropped last of all: without it the head is published whole.
    whole = register.staging is not None and bundle is None
    check_between(source.get, register.keys, heads, head, REGISTER, whole=whole)


def _look_at_staging(source: LogSource, register: Register, checks: Checks) -> None:
    if source.keys is None:
        return
    orphans = [key for key in source.keys(staging.PREFIX) if key != register.staging]
    if orphans:
        checks.notice(
            "staging_orphans",
            f"{len(orphans)} staged bundles belong to no head (a run under way, or one that was killed): "
            "the next run drops them",
        )
