"""How Signet talks to AWS: one client per service and process, short timeouts, errors translated.

The endpoint comes from the standard ``AWS_ENDPOINT_URL`` (botocore reads it), so that the same code meets
AWS, LocalStack and the embedded emulator.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from signet.aws import direct
from signet.aws.connections import Patience
from signet.aws.permanent import Resource, cause_of, misconfigured
from signet.core.errors import NotDoneError, UnavailableError

if TYPE_CHECKING:
    import botocore.session
    from botocore.config import Config
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_ssm import SSMClient

_Client = TypeVar("_Client")

#: AWS itself refuses requests that are signed some minutes off; emulators do not, and have odd time zones.
MAX_CLOCK_ERROR_S: Final = 86_400

# An authorizer has 25 seconds: tries of stores that hang must leave it time to record its refusal.
_QUICK: Final = Patience(connect_s=1, read_s=3, tries=2)
# Objects are large, and what moves them has minutes.
_PATIENT: Final = Patience(connect_s=2, read_s=5, tries=3)
# A backend reports on the side: no longer than this does it wait for a store, and it repeats nothing.
_ONCE: Final = Patience(connect_s=0.5, read_s=0.5, tries=1)


@cache
def client(service: str) -> Any:
    """Return the process-wide client of a service; made on first use, never at import.

    It is what ``boto3.client`` returns; boto3 itself would add its S3 transfers to every cold start.
    """
    return _session().create_client(service, config=_config(_PATIENT if service == "s3" else _QUICK))


def hot(service: str) -> Any:
    """Return the client of a service for what is called on every decision: without botocore where it can be.

    Botocore is three quarters of such a decision's CPU time, and most of a cold start (ADR 19).
    """
    return _direct(service) or client(service)


def hot_once() -> Any:
    """Return such a client of DynamoDB that tries everything once."""
    return _direct_once() or dynamodb_once()


@cache
def _direct(service: str) -> direct.Direct | None:
    return direct.client(service, os.environ, _QUICK, lambda: client(service))


@cache
def _direct_once() -> direct.Direct | None:
    return direct.client("dynamodb", os.environ, _ONCE, dynamodb_once)


@cache
def _session() -> botocore.session.Session:
    """Return the process-wide session: parsed configuration and endpoints, shared by the clients."""
    import botocore.session  # noqa: PLC0415 - most of a cold start, for functions that do without

    return botocore.session.get_session()


def _config(patience: Patience) -> Config:
    from botocore.config import Config  # noqa: PLC0415 - comes with the session

    return Config(
        connect_timeout=patience.connect_s,
        read_timeout=patience.read_s,
        retries={"mode": "standard", "total_max_attempts": patience.tries},
    )


def clock_checked(client: _Client) -> _Client:
    """Let a client raise when an answer shows that this machine's clock is wrong by more than a day.

    For writers of a time that can never go back: a chain or a day that was moved years ahead
    would stay there. Answers without a date pass. Such a call raises ``UnavailableError``, code
    ``clock_wrong``: another machine may do the work.
    """
    events: Any = getattr(client, "meta").events  # noqa: B009 - the type of any one client would be wrong
    events.register("after-call", _check_clock, unique_id="signet-clock")
    return client


def _check_clock(http_response: Any, **_: object) -> None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - dear to import, and not for every function

    try:
        theirs_s = parsedate_to_datetime(http_response.headers.get("date", "")).timestamp()
    except ValueError:
        return
    if abs(time.time() - theirs_s) > MAX_CLOCK_ERROR_S:
        raise UnavailableError("this machine's clock is more than a day off", code="clock_wrong")


def dynamodb() -> DynamoDBClient:
    """Return the DynamoDB client."""
    found: DynamoDBClient = client("dynamodb")
    return found


@cache
def dynamodb_once() -> DynamoDBClient:
    """Return a DynamoDB client that tries everything once: for what must not happen twice."""
    made: Any = _session().create_client("dynamodb", config=_config(_ONCE))
    found: DynamoDBClient = made
    return found


def s3() -> S3Client:
    """Return the S3 client."""
    found: S3Client = client("s3")
    return found


def sqs() -> SQSClient:
    """Return the SQS client."""
    found: SQSClient = client("sqs")
    return found


def secretsmanager() -> SecretsManagerClient:
    """Return the Secrets Manager client."""
    found: SecretsManagerClient = client("secretsmanager")
    return found


def functions() -> LambdaClient:
    """Return the Lambda client."""
    found: LambdaClient = client("lambda")
    return found


def ssm() -> SSMClient:
    """Return the Systems Manager client."""
    found: SSMClient = client("ssm")
    return found


def kms() -> Any:  # its stubs are not among those in use
    """Return the KMS client."""
    return client("kms")


def error_code(error: ClientError) -> str:
    """Return AWS's code of an error, such as ``ConditionalCheckFailedException``."""
    return error.response.get("Error", {}).get("Code", "")


# DynamoDB did not carry out what it turned away for its rate:
# docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html. The last two come before a
# request is sent. Every other failure may have had its effect, HTTP 500 and a lost answer among them.
_NOT_DONE: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "ConnectTimeoutError",
        "EndpointConnectionError",
    }
)


@contextmanager
def translate_errors(what: str, resource: Resource) -> Iterator[None]:
    """Turn any botocore error that the block did not handle itself into ``UnavailableError``.

    One that stays until a person changes something becomes a ``MisconfiguredError``, which says what; one
    whose call had no effect for certain a ``NotDoneError``.

    Args:
        what: the operation, for the message: "read the chain head".
        resource: what is asked.
    """
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError):
            reason, operation = error_code(error), error.operation_name
        else:
            reason, operation = type(error).__name__, ""
        failed = f"could not {what}: {reason}"
        cause = cause_of(resource.service, reason)
        if cause is None:
            raise (NotDoneError if reason in _NOT_DONE else UnavailableError)(failed) from error
        raise misconfigured(cause, failed, resource, operation) from error
