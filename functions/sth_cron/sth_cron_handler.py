"""Schedule or operator to log: integrate what is new, close the days that are over."""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import Any, Final, Self

from aws_lambda_powertools import Logger, Metrics, Tracer

from signet.aws.chains import DynamoChainStore
from signet.aws.environment import required
from signet.aws.kms import MAX_CHAINS, KmsKeys
from signet.aws.lock import DynamoLockStore
from signet.aws.objects import S3ObjectStore
from signet.aws.packjobs import order_build
from signet.aws.secrets import SecretsManagerStore
from signet.aws.session import clock_checked, dynamodb, functions, kms, s3, secretsmanager
from signet.core.errors import LogError, MisconfiguredError, NotFoundError, UnavailableError, UsageError
from signet.core.instants import parse_date
from signet.log.keys import SecretKeyStore, Signer
from signet.log.sequencer import Outcome, Sequencer
from signet.policy.bundle import OVERLAY_VARIABLE, load_deployed
from signet.telemetry import NAMESPACE, UNITS, Metric, dimensions

logger = Logger()
tracer = Tracer()
metrics = Metrics(namespace=NAMESPACE)
metrics.set_default_dimensions(**dimensions(os.environ))

#: S3 takes many writes at once, and a step writes hundreds of tiles.
_UPLOAD_THREADS: Final = 8
_KEY_STORES: Final = ("secretsmanager", "kms")


@dataclass(frozen=True, slots=True)
class CronSettings:
    """What the log's writer is told by its environment.

    Attributes:
        receipts_table: table that holds the receipt chains.
        log_table: table that holds the lock register.
        log_bucket: bucket of the log.
        keys_prefix: prefix of the log keys' secrets.
        origin: the log's name in checkpoints.
        chains: number of chains.
        key_store: where new key sets are made: ``secretsmanager`` or ``kms``.
        rotation_days: days after which a key set is followed by another.
        pack_function: function that builds the packs of closed days, or empty: they are built when asked for.
    """

    receipts_table: str
    log_table: str
    log_bucket: str
    keys_prefix: str
    origin: str
    chains: int
    key_store: str
    rotation_days: int
    pack_function: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables; SIGNET_CHAINS, SIGNET_KEY_STORE and SIGNET_ROTATION_DAYS have defaults.

        SIGNET_PACK_FUNCTION may be missing.

        Raises:
            UsageError: a variable is missing or not what it should be, or there are more chains than heads
                that the key store can sign may name.
        """
        key_store = environment.get("SIGNET_KEY_STORE", _KEY_STORES[0])
        if key_store not in _KEY_STORES:
            raise UsageError(f"Set SIGNET_KEY_STORE to one of {', '.join(_KEY_STORES)}.")
        chains = _count_of(environment, "SIGNET_CHAINS", "1", "the number of chains")
        if key_store == "kms" and chains > MAX_CHAINS:
            raise UsageError(
                f"KMS cannot sign the tree heads of {chains} chains, at most those of {MAX_CHAINS}: "
                "set SIGNET_KEY_STORE to secretsmanager (the template's KeyStore)."
            )
        return cls(
            receipts_table=required(environment, "SIGNET_RECEIPTS_TABLE", "the receipts table"),
            log_table=required(environment, "SIGNET_LOG_TABLE", "the log table"),
            log_bucket=required(environment, "SIGNET_LOG_BUCKET", "the log bucket"),
            keys_prefix=required(environment, "SIGNET_LOG_KEYS_PREFIX", "the log keys' secrets"),
            origin=required(environment, "SIGNET_LOG_ORIGIN", "the log in its checkpoints"),
            chains=chains,
            key_store=key_store,
            rotation_days=_count_of(environment, "SIGNET_ROTATION_DAYS", "30", "the days a key set is used"),
            pack_function=environment.get("SIGNET_PACK_FUNCTION", ""),
        )


def _count_of(environment: Mapping[str, str], variable: str, default: str, what: str) -> int:
    value = environment.get(variable, default)
    if not (value.isascii() and value.isdecimal() and int(value) > 0):
        raise UsageError(f"Set {variable} to {what}, 1 or more.")
    return int(value)


@cache
def _sequencer() -> Sequencer:
    settings = CronSettings.from_environment(os.environ)
    service = KmsKeys(kms(), settings.keys_prefix) if settings.key_store == "kms" else None
    store = SecretKeyStore(SecretsManagerStore(secretsmanager()), settings.keys_prefix, service)
    return Sequencer(
        objects=S3ObjectStore(s3(), settings.log_bucket),
        lock=DynamoLockStore(clock_checked(dynamodb()), settings.log_table),
        chains=DynamoChainStore(dynamodb(), settings.receipts_table),
        signer=Signer.genesis(store, settings.origin),
        chain_count=settings.chains,
        policy=load_deployed(os.environ.get(OVERLAY_VARIABLE, "")),
        threads=_UPLOAD_THREADS,
        rotation_days=settings.rotation_days,
    )


@logger.inject_lambda_context(clear_state=True)
@tracer.capture_lambda_handler(capture_response=False, capture_error=False)
@metrics.log_metrics
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Run the sequencer once.

    Args:
        event: an event of the schedule, or {"close": "YYYY-MM-DD"} to close days up to that one now, or
            {"rotate": n} to bring key set n into force, or {}.
        context: Lambda's context; the decorators read it.

    Returns:
        {"tree_size", "root_hash", "date", "final", "closed": [dates], "integrated", "key_set", "rotated":
        [numbers], "rotation_pending"}; for a wrong event {"error", "message"}. Any other failure is raised,
        so that the schedule tries again and alarms see it.
    """
    _count(Metric.LOG_RUNS, 1)
    if "audit" in event:
        return _audit_has_moved()
    with _told():
        sequencer = _sequencer()  # reads the first keys: what is wrong with those shows here
    try:
        with _told():
            now_ms = time.time_ns() // 1_000_000
            outcome = sequencer.integrate(now_ms, _close_of(event), rotate_to=_rotate_of(event))
    except (UsageError, NotFoundError) as error:
        logger.warning("refused", extra={"error": error.code})
        return {"error": error.code, "message": str(error)}
    _order_packs(outcome.closed)
    _count(Metric.LOG_INTEGRATED, outcome.integrated)
    _count(Metric.LOG_TREE_SIZE, outcome.head.tree_size)
    _count(Metric.KEY_ROTATIONS, len(outcome.rotated))
    answer = _answer(outcome)
    logger.info("integrated", extra=answer)
    return answer


@contextmanager
def _told() -> Iterator[None]:
    """Log what a person has to see to, and let it go on."""
    try:
        yield
    except LogError as error:
        _count(Metric.LOG_CONTRADICTIONS, 1)
        logger.critical("the log contradicts itself", extra={"error": error.code, "reason": str(error)})
        raise
    except MisconfiguredError as error:
        logger.critical("not set up right", extra={"error": error.code, "reason": str(error)})
        raise


def _audit_has_moved() -> dict[str, Any]:
    """Answer an order for an audit: releases before gave it to this function, by a schedule of their own.

    While a deployment replaces that schedule, it may still fire. Nothing is integrated then, and no alarm
    rings. The audit's own schedule runs at the same time; where it is not there yet, the next day's run looks
    at the same days again, since each looks at two.
    """
    message = "The audit is a function of its own, in the stack's output AuditFunction."
    logger.warning("refused", extra={"error": UsageError.code, "reason": message})
    return {"error": UsageError.code, "message": message}


def _order_packs(closed: Iterable[date]) -> None:
    """Have the packs of closed days built now, so that nobody has to wait for them."""
    function = CronSettings.from_environment(os.environ).pack_function
    for day in closed if function else ():
        try:
            order_build(functions(), function, day.isoformat(), evidence=False)
        except UnavailableError as error:
            # The day is closed all the same; who asks for its pack gets it built.
            say = logger.critical if isinstance(error, MisconfiguredError) else logger.warning
            say("pack not ordered", extra={"date": day.isoformat(), "reason": str(error)})


def _close_of(event: Mapping[str, Any]) -> date | None:
    close = event.get("close")
    if close is None:
        return None
    try:
        return parse_date(close)
    except (TypeError, ValueError) as error:
        raise UsageError("Give the day to close as YYYY-MM-DD.") from error


def _rotate_of(event: Mapping[str, Any]) -> int | None:
    rotate = event.get("rotate")
    if rotate is not None and type(rotate) is not int:
        raise UsageError("Give the number of the key set to rotate to.")
    return rotate


def _answer(outcome: Outcome) -> dict[str, Any]:
    return {
        "tree_size": outcome.head.tree_size,
        "root_hash": base64.b64encode(outcome.head.root_hash).decode(),
        "date": outcome.head.date.isoformat(),
        "final": outcome.head.final,
        "closed": [day.isoformat() for day in outcome.closed],
        "integrated": outcome.integrated,
        "key_set": outcome.register.keys.sets[-1].n,
        "rotated": list(outcome.rotated),
        "rotation_pending": outcome.register.rotation is not None,
    }


def _count(metric: Metric, value: int) -> None:
    metrics.add_metric(name=metric.value, unit=UNITS[metric].value, value=value)
