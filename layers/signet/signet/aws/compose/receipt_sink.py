"""Composition of the function receipt_sink: from the queue to the chains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from signet.aws.chains import DynamoChainStore
from signet.aws.environment import number, required
from signet.aws.evidence import S3EvidenceStore
from signet.aws.objects import S3ObjectStore
from signet.aws.permanent import TRANSCRIPTS_BUCKET
from signet.aws.session import clock_checked, dynamodb, s3
from signet.aws.transcripts import S3TranscriptStore
from signet.receipts.sink import Sink


@dataclass(frozen=True, slots=True)
class SinkSettings:
    """What the sink is told by its environment.

    Attributes:
        receipts_table: name of the table that holds the chains.
        chains: number of chains; every reader and writer of a deployment must agree on it.
        log_bucket: name of the bucket that keeps evidence.
        transcripts_bucket: name of the bucket that keeps transcripts.
    """

    receipts_table: str
    chains: int
    log_bucket: str
    transcripts_bucket: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read SIGNET_RECEIPTS_TABLE, SIGNET_LOG_BUCKET, SIGNET_TRANSCRIPTS_BUCKET, SIGNET_CHAINS (1).

        Raises:
            UsageError: a variable is missing or not what it should be.
        """
        return cls(
            receipts_table=required(environment, "SIGNET_RECEIPTS_TABLE", "the name of the receipts table"),
            chains=number(environment, "SIGNET_CHAINS", 1, least=1),
            log_bucket=required(environment, "SIGNET_LOG_BUCKET", "the name of the log bucket"),
            transcripts_bucket=required(
                environment, "SIGNET_TRANSCRIPTS_BUCKET", "the name of the bucket for transcripts"
            ),
        )


def build_sink(settings: SinkSettings, now_ms: Callable[[], int]) -> Sink:
    """Put the sink together.

    Args:
        settings: from the environment.
        now_ms: the clock, Unix milliseconds.
    """
    return Sink(
        store=DynamoChainStore(clock_checked(dynamodb()), settings.receipts_table),
        chains=settings.chains,
        now_ms=now_ms,
        evidence=S3EvidenceStore(S3ObjectStore(s3(), settings.log_bucket)),
        transcripts=S3TranscriptStore(S3ObjectStore(s3(), settings.transcripts_bucket, TRANSCRIPTS_BUCKET)),
    )
