"""Composition of the function pack."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from signet.aws.environment import number, required
from signet.aws.objects import S3ObjectStore
from signet.aws.packorders import LambdaPackOrders
from signet.aws.packs import S3PackObjects, presigning_s3
from signet.aws.permanent import TRANSCRIPTS_BUCKET
from signet.aws.session import functions, s3
from signet.pack.delivery import PackDelivery
from signet.pack.store import PackStore

_MOST_RECEIPTS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class PackSettings:
    """What the pack function is told by its environment.

    Attributes:
        bucket: the log's bucket (``SIGNET_LOG_BUCKET``).
        transcripts_bucket: that of the transcripts (``SIGNET_TRANSCRIPTS_BUCKET``).
        url_ttl_s: lifetime of a download URL in seconds (``SIGNET_PACK_URL_TTL_S``, default 900).
        receipts_at_once: days of up to so many receipts are built while the caller waits
            (``SIGNET_PACK_RECEIPTS_AT_ONCE``, default 50000), a tenth with evidence; the gateway waits 29 s.
    """

    bucket: str
    transcripts_bucket: str
    url_ttl_s: int
    receipts_at_once: int

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the settings.

        Raises:
            UsageError: a variable is missing or not what it should be.
        """
        return cls(
            bucket=required(environment, "SIGNET_LOG_BUCKET", "the name of the log bucket"),
            transcripts_bucket=required(
                environment, "SIGNET_TRANSCRIPTS_BUCKET", "the name of the bucket for transcripts"
            ),
            url_ttl_s=number(environment, "SIGNET_PACK_URL_TTL_S", 900, least=1),
            receipts_at_once=number(
                environment, "SIGNET_PACK_RECEIPTS_AT_ONCE", 50_000, least=0, most=_MOST_RECEIPTS
            ),
        )


def build_delivery(settings: PackSettings, function: str, now: Callable[[], datetime]) -> PackDelivery:
    """Put together what hands out packs.

    Args:
        settings: from the environment.
        function: name of the function that builds large packs: its own.
        now: the clock, UTC.
    """
    objects = S3ObjectStore(s3(), settings.bucket)
    transcripts = S3ObjectStore(s3(), settings.transcripts_bucket, TRANSCRIPTS_BUCKET)
    packs = PackStore(
        objects,
        S3PackObjects(s3(), presigning_s3(), settings.bucket),
        transcripts,
        S3PackObjects(s3(), presigning_s3(), settings.transcripts_bucket),
    )
    orders = LambdaPackOrders(functions(), function)
    return PackDelivery(packs, orders, now, settings.receipts_at_once, settings.url_ttl_s)
