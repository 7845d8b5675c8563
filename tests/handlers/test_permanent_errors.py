"""Errors of AWS that stay until a person changes something say what to change; the others pass as before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.session
import pytest
from botocore.exceptions import ClientError, ParamValidationError

from signet.aws import permanent
from signet.aws.bundles import DynamoBundleStore
from signet.aws.chains import DynamoChainStore
from signet.aws.kms import KmsKeys
from signet.aws.lock import DynamoLockStore
from signet.aws.nonces import DynamoNonceStore
from signet.aws.objects import S3ObjectStore
from signet.aws.packorders import LambdaPackOrders
from signet.aws.queue import SqsReceiptQueue
from signet.aws.secrets import SecretsManagerStore
from signet.core.errors import MisconfiguredError, NotDoneError, UnavailableError
from signet.log.keysets import Algorithm
from signet.receipts.chain import empty_head, extend
from signet.receipts.reading import read_receipt
from tests.fakes.records import message

SECRET = "nonce-or-secret"

#: Codes that AWS documents for a service and botocore's models leave out (sources: ``signet.aws.permanent``).
UNMODELLED = {
    "s3": {"403", "AllAccessDisabled", "NoSuchBucket", "InvalidBucketName", "InvalidArgument"},
    "sqs": {
        "AWS.SimpleQueueService.NonExistentQueue",
        "KMS.AccessDeniedException",
        "KMS.DisabledException",
        "KMS.NotFoundException",
    },
}


class Refusing:
    """A client of any service whose every operation is refused with one code."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __getattr__(self, method: str) -> Callable[..., Any]:
        operation = "".join(part.capitalize() for part in method.split("_"))

        def refuse(*_arguments: object, **_options: object) -> None:
            raise ClientError({"Error": {"Code": self.code, "Message": SECRET}}, operation)

        return refuse


CALLS: dict[str, Callable[[Any], object]] = {
    "nonces": lambda client: DynamoNonceStore(client, "t").spend(bytes(32), expires_at=1),
    "bundles": lambda client: DynamoBundleStore(client, "t").get(bytes(32), now=1),
    "chains": lambda client: DynamoChainStore(client, "t").head(0),
    "register": lambda client: DynamoLockStore(client, "t").read(),
    "queue": lambda client: SqsReceiptQueue(client, "q").send(b"{}"),
    "bucket": lambda client: S3ObjectStore(client, "b").get("checkpoint"),
    "listing": lambda client: S3ObjectStore(client, "b").delete("staging/1"),
    "keys": lambda client: SecretsManagerStore(client).get("signet/s/log-keys/0"),
    "kms": lambda client: KmsKeys(client, "signet/s").sign("k", Algorithm.ED25519, b"m"),
    "packs": lambda client: LambdaPackOrders(client, "f").order(
        "2026-11-23", evidence=False, transcripts=False
    ),
}


def failure(call: str, code: str) -> UnavailableError:
    with pytest.raises(UnavailableError) as raised:
        CALLS[call](Refusing(code))
    return raised.value


@pytest.mark.parametrize(
    ("call", "code", "says"),
    [
        (
            "nonces",
            "AccessDeniedException",
            "grant dynamodb:PutItem on the nonces table (SIGNET_NONCES",
        ),
        ("chains", "AccessDeniedException", "grant dynamodb:GetItem on the receipts table"),
        ("queue", "AccessDenied", "grant sqs:SendMessage on the receipt queue (SIGNET_RECEIPT_QUEUE_URL)"),
        (
            "bucket",
            "AccessDenied",
            "grant s3:GetObject and s3:ListBucket on the log bucket (SIGNET",
        ),
        ("listing", "AccessDenied", "grant s3:DeleteObject on the log bucket"),
        ("keys", "AccessDeniedException", "grant secretsmanager:GetSecretValue on the secret"),
        ("kms", "AccessDeniedException", "grant kms:Sign on the signing key of the log"),
        ("packs", "AccessDeniedException", "grant lambda:InvokeFunction on the pack function"),
        ("bundles", "ResourceNotFoundException", "there is no such bundles table"),
        (
            "register",
            "ResourceNotFoundException",
            "there is no such log table, or it is to be deleted: set",
        ),
        ("bucket", "NoSuchBucket", "there is no such log bucket"),
        ("queue", "AWS.SimpleQueueService.NonExistentQueue", "there is no such receipt queue"),
        ("keys", "InvalidRequestException", "or it is to be deleted"),
        ("packs", "ResourceNotFoundException", "there is no such pack function"),
        (
            "kms",
            "DisabledException",
            "the KMS key of the signing key of the log (SIGNET_LOG_KEYS_PREFIX)",
        ),
        ("keys", "DecryptionFailure", "the KMS key of the secret"),
        ("queue", "KmsDisabled", "the KMS key of the receipt queue"),
        ("nonces", "ValidationException", "AWS does not take such a request for the nonces table"),
    ],
)
def test_what_stays_is_told_with_what_to_do(call: str, code: str, says: str) -> None:
    error = failure(call, code)
    assert isinstance(error, MisconfiguredError)
    assert error.code == "misconfigured"
    assert says in str(error)
    assert f": {code}; trying again does not help: " in str(error)
    assert SECRET not in str(error)


@pytest.mark.parametrize("call", ["nonces", "queue", "bucket", "keys", "kms", "packs"])
@pytest.mark.parametrize(
    "code",
    [
        "InternalServerError",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottlingException",
        "KMSInternalException",
        "KeyUnavailableException",
        "SomethingNew",
        # Of credentials, which Lambda renews with the next environment.
        "ExpiredToken",
        "ExpiredTokenException",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
    ],
)
def test_what_passes_and_what_is_unknown_is_an_outage_as_before(call: str, code: str) -> None:
    assert type(failure(call, code)) in {UnavailableError, NotDoneError}


def test_a_name_that_botocore_does_not_take_stays_too() -> None:
    class Picky:
        def get_item(self, **_options: object) -> None:
            raise ParamValidationError(report="Invalid length for parameter TableName")

    with pytest.raises(MisconfiguredError, match="set SIGNET_LOG_TABLE"):
        DynamoLockStore(Picky(), "").read()  # type: ignore[arg-type]


def test_a_transaction_that_dynamodb_finds_invalid_stays() -> None:
    """The code is that of any cancelled transaction; the reasons say more."""

    class Cancelling:
        def query(self, **_options: object) -> dict[str, Any]:
            return {"Items": []}

        def transact_write_items(self, **request: list[object]) -> None:
            reasons = [{"Code": "None"} for _ in request["TransactItems"]]
            reasons[0] = {"Code": "ValidationError"}
            raise ClientError(
                {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons},  # type: ignore[typeddict-unknown-key]
                "TransactWriteItems",
            )

    [receipt] = [read_receipt(message(1), chained=False)]
    new_head, linked = extend(empty_head(0), [receipt], receipt.decided_at_ms)
    with pytest.raises(MisconfiguredError, match="ValidationError"):
        DynamoChainStore(Cancelling(), "t").append(empty_head(0), new_head, linked)  # type: ignore[arg-type]


@pytest.mark.parametrize("service", sorted(permanent._BY_SERVICE))
def test_every_listed_code_is_one_of_the_services_own(service: str) -> None:
    model = botocore.session.get_session().get_service_model(service)
    known = {shape.name for shape in model.error_shapes} | UNMODELLED.get(service, set())
    assert permanent._BY_SERVICE[service].keys() <= known


@pytest.mark.parametrize("code", ["NotFoundException", "KMSInvalidStateException"])
def test_a_key_that_kms_does_not_know_yet_passes(code: str) -> None:
    """For minutes after a rotation made it; another prefix would be another log."""
    assert not isinstance(failure("kms", code), MisconfiguredError)
    for call, told in (("keys", "InvalidRequestException"), ("kms", "UnsupportedOperationException")):
        assert "SIGNET_LOG_KEYS_PREFIX stays as it is" in str(failure(call, told))


def test_callers_are_told_no_more_than_of_any_outage() -> None:
    error = failure("bundles", "AccessDeniedException")
    assert isinstance(error, MisconfiguredError)
    told = error.for_callers()
    assert (type(told), told.code) == (UnavailableError, "store_unavailable")
    assert str(told) == "could not read the bundle"
