"""Composition of the function sth_cron, the log's writer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from signet.aws.chains import DynamoChainStore
from signet.aws.environment import choice, number, optional, required
from signet.aws.kms import MAX_CHAINS, KmsKeys
from signet.aws.lock import DynamoLockStore
from signet.aws.objects import S3ObjectStore
from signet.aws.packorders import LambdaPackOrders
from signet.aws.secrets import SecretsManagerStore
from signet.aws.session import clock_checked, dynamodb, functions, kms, s3, secretsmanager
from signet.core.errors import UsageError
from signet.core.ports import PackOrders
from signet.log.keys import SecretKeyStore, Signer
from signet.log.sequencer import Sequencer
from signet.policy.bundle import OVERLAY_VARIABLE, load_deployed

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
        policy_overlay: overlay of the deployed policy; empty for the policy as it ships.
    """

    receipts_table: str
    log_table: str
    log_bucket: str
    keys_prefix: str
    origin: str
    chains: int
    key_store: str
    rotation_days: int
    policy_overlay: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the variables; SIGNET_CHAINS, SIGNET_KEY_STORE and SIGNET_ROTATION_DAYS have defaults.

        Raises:
            UsageError: a variable is missing or not what it should be, or there are more chains than heads
                that the key store can sign may name.
        """
        key_store = choice(environment, "SIGNET_KEY_STORE", _KEY_STORES)
        chains = number(environment, "SIGNET_CHAINS", 1, least=1)
        if key_store == "kms" and chains > MAX_CHAINS:
            raise UsageError(
                f"KMS cannot sign the tree heads of {chains} chains, at most those of {MAX_CHAINS}: "
                "set SIGNET_KEY_STORE to secretsmanager (the template's KeyStore)."
            )
        return cls(
            receipts_table=required(environment, "SIGNET_RECEIPTS_TABLE", "the name of the receipts table"),
            log_table=required(environment, "SIGNET_LOG_TABLE", "the name of the log table"),
            log_bucket=required(environment, "SIGNET_LOG_BUCKET", "the name of the log bucket"),
            keys_prefix=required(
                environment, "SIGNET_LOG_KEYS_PREFIX", "the prefix of the log keys' secrets"
            ),
            origin=required(environment, "SIGNET_LOG_ORIGIN", "the name of the log in its checkpoints"),
            chains=chains,
            key_store=key_store,
            rotation_days=number(environment, "SIGNET_ROTATION_DAYS", 30, least=1),
            policy_overlay=environment.get(OVERLAY_VARIABLE, ""),
        )


def build_sequencer(settings: CronSettings) -> Sequencer:
    """Put the log's writer together; reads the first keys, or makes them.

    Raises:
        LogError: the stored keys are not those of the log.
        UnavailableError: the keys cannot be read.
    """
    service = KmsKeys(kms(), settings.keys_prefix) if settings.key_store == "kms" else None
    store = SecretKeyStore(SecretsManagerStore(secretsmanager()), settings.keys_prefix, service)
    return Sequencer(
        objects=S3ObjectStore(s3(), settings.log_bucket),
        lock=DynamoLockStore(clock_checked(dynamodb()), settings.log_table),
        chains=DynamoChainStore(dynamodb(), settings.receipts_table),
        signer=Signer.genesis(store, settings.origin),
        chain_count=settings.chains,
        policy=load_deployed(settings.policy_overlay),
        threads=_UPLOAD_THREADS,
        rotation_days=settings.rotation_days,
    )


def build_orders(environment: Mapping[str, str]) -> PackOrders | None:
    """Return what takes orders for packs of closed days; None without SIGNET_PACK_FUNCTION."""
    function = optional(environment, "SIGNET_PACK_FUNCTION")
    return None if function is None else LambdaPackOrders(functions(), function)
