"""Which errors of AWS stay until a person changes something, and what that person has to change.

Sources: for what a service says of itself the error shapes of botocore's models (``service-2.json``, which a
test reads), which are the "Errors" of each operation in the API references:

- any service: docs.aws.amazon.com/amazondynamodb/latest/APIReference/CommonErrors.html
- DynamoDB: docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
- S3: docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; an answer to HEAD has no body, so botocore
  has nothing but its status: docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
- SQS: docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html; botocore passes
  on the names of the older query protocol (``AWS.SimpleQueueService...``, ``KMS...``) where SQS sends them
- KMS: docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html
- Secrets Manager: docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
- Systems Manager: docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameter.html
- Lambda: docs.aws.amazon.com/lambda/latest/api/API_Invoke.html

A code that is not listed passes: the safe reading, since what passes is tried again and what stays is not.

**Not listed on purpose** are ``ExpiredToken``, ``ExpiredTokenException``, ``UnrecognizedClientException``,
``InvalidClientTokenId`` and ``InvalidAccessKeyId``. They speak of the credentials that Lambda gives an
environment. Nothing in a deployment can mend those, and the next environment gets others; fresh ones may be
unknown for a moment, because IAM is eventually consistent
(docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html). The same holds for a permission that was granted
a moment ago, yet ``AccessDenied`` is listed: a pause of an invocation is shorter than that moment, and the
queue and the schedule come again after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from signet.core.errors import MisconfiguredError


@dataclass(frozen=True, slots=True)
class Resource:
    """One of the deployment's resources, as a message names it.

    Attributes:
        service: IAM's prefix of its actions, and botocore's name of the service.
        kind: what it is, such as "clients table".
        setting: variable of a function's environment that says which one it is.
    """

    service: str
    kind: str
    setting: str


APIS_TABLE: Final = Resource("dynamodb", "APIs table", "SIGNET_APIS_TABLE")
API_PARAMETER: Final = Resource("ssm", "parameter with the id of the own API", "SIGNET_API_ID_PARAMETER")
BREAKERS_TABLE: Final = Resource("dynamodb", "breakers table", "SIGNET_BREAKERS_TABLE")
FAULT_TABLE: Final = Resource("dynamodb", "breakers table", "SIGNET_FAULT_TABLE")
BUNDLES_TABLE: Final = Resource("dynamodb", "bundles table", "SIGNET_BUNDLES_TABLE")
CLIENTS_TABLE: Final = Resource("dynamodb", "clients table", "SIGNET_CLIENTS_TABLE")
LOG_TABLE: Final = Resource("dynamodb", "log table", "SIGNET_LOG_TABLE")
NONCES_TABLE: Final = Resource("dynamodb", "nonces table", "SIGNET_NONCES_TABLE")
RECEIPTS_TABLE: Final = Resource("dynamodb", "receipts table", "SIGNET_RECEIPTS_TABLE")
LOG_BUCKET: Final = Resource("s3", "log bucket", "SIGNET_LOG_BUCKET")
TRANSCRIPTS_BUCKET: Final = Resource("s3", "bucket for transcripts", "SIGNET_TRANSCRIPTS_BUCKET")
RECEIPT_QUEUE: Final = Resource("sqs", "receipt queue", "SIGNET_RECEIPT_QUEUE_URL")
LOG_KEYS: Final = Resource("secretsmanager", "secret with a key set of the log", "SIGNET_LOG_KEYS_PREFIX")
SIGNING_KEY: Final = Resource("kms", "signing key of the log", "SIGNET_LOG_KEYS_PREFIX")
DEPLOYMENT_SECRET: Final = Resource(
    "secretsmanager", "secret of the deployment", "SIGNET_HANDSHAKE_SECRET_ARN or SIGNET_EDGE_SECRET_ARN"
)
PACK_FUNCTION: Final = Resource("lambda", "pack function", "SIGNET_PACK_FUNCTION")


class Cause(Enum):
    """Why a service refuses for good."""

    DENIED = auto()
    MISSING = auto()
    KEY = auto()
    INVALID = auto()


_ANY_SERVICE: Final[Mapping[str, Cause]] = {
    "AccessDenied": Cause.DENIED,
    "AccessDeniedException": Cause.DENIED,
    "NotAuthorized": Cause.DENIED,
    "OptInRequired": Cause.DENIED,
    "ValidationError": Cause.INVALID,
    "ValidationException": Cause.INVALID,
    "InvalidParameterCombination": Cause.INVALID,
    "InvalidParameterValue": Cause.INVALID,
    "MissingParameter": Cause.INVALID,
}
_BY_SERVICE: Final[Mapping[str, Mapping[str, Cause]]] = {
    "dynamodb": {"ResourceNotFoundException": Cause.MISSING},
    "s3": {
        "403": Cause.DENIED,
        "AllAccessDisabled": Cause.DENIED,
        "NoSuchBucket": Cause.MISSING,
        "InvalidBucketName": Cause.MISSING,
        "InvalidArgument": Cause.INVALID,
        "InvalidRequest": Cause.INVALID,
    },
    "sqs": {
        "QueueDoesNotExist": Cause.MISSING,
        "AWS.SimpleQueueService.NonExistentQueue": Cause.MISSING,
        "InvalidAddress": Cause.MISSING,
        "KmsAccessDenied": Cause.KEY,
        "KmsDisabled": Cause.KEY,
        "KmsInvalidKeyUsage": Cause.KEY,
        "KmsInvalidState": Cause.KEY,
        "KmsNotFound": Cause.KEY,
        "KmsOptInRequired": Cause.KEY,
        "KMS.AccessDeniedException": Cause.KEY,
        "KMS.DisabledException": Cause.KEY,
        "KMS.NotFoundException": Cause.KEY,
        "InvalidMessageContents": Cause.INVALID,
        "InvalidSecurity": Cause.INVALID,
        "UnsupportedOperation": Cause.INVALID,
    },
    # Not NotFoundException and KMSInvalidStateException: for minutes after a rotation made a key or an alias,
    # KMS may say so of one that is there (docs.aws.amazon.com/kms/latest/developerguide/
    # programming-eventual-consistency.html).
    "kms": {
        "DisabledException": Cause.KEY,
        "InvalidKeyUsageException": Cause.KEY,
        "InvalidArnException": Cause.INVALID,
        "UnsupportedOperationException": Cause.INVALID,
    },
    "secretsmanager": {
        "ResourceNotFoundException": Cause.MISSING,
        "InvalidRequestException": Cause.MISSING,  # of a secret that is to be deleted
        "DecryptionFailure": Cause.KEY,
        "EncryptionFailure": Cause.KEY,
        "InvalidParameterException": Cause.INVALID,
    },
    "ssm": {"ParameterNotFound": Cause.MISSING, "InvalidKeyId": Cause.KEY},
    "lambda": {
        "ResourceNotFoundException": Cause.MISSING,
        "KMSAccessDeniedException": Cause.KEY,
        "KMSDisabledException": Cause.KEY,
        "KMSInvalidStateException": Cause.KEY,
        "KMSNotFoundException": Cause.KEY,
        "InvalidParameterValueException": Cause.INVALID,
        "InvalidRequestContentException": Cause.INVALID,
    },
}
#: Raised by botocore itself, before anything is sent: a name that is empty or malformed.
_OF_BOTOCORE: Final[Mapping[str, Cause]] = {"ParamValidationError": Cause.INVALID}

# Operations whose action has another name: docs.aws.amazon.com/service-authorization/latest/reference/
_ACTIONS: Final[Mapping[tuple[str, str], str]] = {
    (
        "dynamodb",
        "TransactWriteItems",
    ): "dynamodb:ConditionCheckItem, dynamodb:PutItem and dynamodb:UpdateItem",
    ("lambda", "Invoke"): "lambda:InvokeFunction",
    # Without s3:ListBucket an object that is not there is "forbidden" too.
    ("s3", "GetObject"): "s3:GetObject and s3:ListBucket",
    ("s3", "HeadObject"): "s3:GetObject and s3:ListBucket",
    ("s3", "ListObjectsV2"): "s3:ListBucket",
    ("s3", "CreateMultipartUpload"): "s3:PutObject",
    ("s3", "UploadPart"): "s3:PutObject",
    ("s3", "CompleteMultipartUpload"): "s3:PutObject",
}


def cause_of(service: str, code: str) -> Cause | None:
    """Return why a service refuses for good, or None if trying again may help.

    Args:
        service: botocore's name of the service, such as ``dynamodb``.
        code: AWS's code of the error, or the name of botocore's own exception.
    """
    known = _BY_SERVICE.get(service, {})
    return known.get(code) or _ANY_SERVICE.get(code) or _OF_BOTOCORE.get(code)


def misconfigured(cause: Cause, failed: str, resource: Resource, operation: str) -> MisconfiguredError:
    """Return the error that says what to do.

    Args:
        cause: why the service refuses.
        failed: what went wrong, as any outage says it: "could not record the nonce: AccessDeniedException".
        resource: what was asked.
        operation: the API's operation, such as ``PutItem``; empty if none was begun.
    """
    return MisconfiguredError(failed, _advice(cause, resource, operation))


def _advice(cause: Cause, resource: Resource, operation: str) -> str:
    service, kind, setting = resource.service, resource.kind, resource.setting
    if cause is Cause.DENIED:
        action = _ACTIONS.get((service, operation), f"{service}:{operation or '*'}")
        return f"grant {action} on the {kind} ({setting}) to the role that calls"
    if cause is Cause.MISSING and resource is LOG_KEYS:  # another prefix would be another log
        return f"there is no such {kind}, or it is to be deleted: restore it; {setting} stays as it is"
    if cause is Cause.MISSING:
        return f"there is no such {kind}, or it is to be deleted: set {setting}, or deploy the stack again"
    if cause is Cause.KEY:
        return (
            f"the KMS key of the {kind} ({setting}) cannot be used: enable it, cancel its deletion, or let "
            "the role that calls use it"
        )
    if resource in (LOG_KEYS, SIGNING_KEY):
        return f"AWS does not take such a request for the {kind}; {setting} stays as it is"
    return f"AWS does not take such a request for the {kind}: set {setting}, or deploy the stack again"
