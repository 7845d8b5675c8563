"""Calls of services that speak JSON, without botocore: what an authorizer pays for on every decision.

A client of this module is used where one of botocore's would be: the same methods with the same arguments,
the same answers, the same exceptions. Only what the authorizer calls is promised (DynamoDB, SQS, Secrets
Manager, Systems Manager). Services and protocol:

- smithy.io/2.0/aws/protocols/aws-json-1_0-protocol.html: operation in ``X-Amz-Target``, errors by ``__type``;
- errors of SQS keep the names of its older protocol: smithy.io/2.0/aws/protocols/aws-query-protocol.html
  ("awsQueryCompatible"), which botocore asks for by ``x-amzn-query-mode``;
- what is tried again, and the budget of it, in "standard" mode:
  docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html

``client`` returns None where this client does not know its way (a proxy, FIPS endpoints, credentials that are
not in the environment …): botocore does.
"""

from __future__ import annotations

import json
import os
import random
import re
import threading
import time
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from signet.aws.connections import Answer, Connections, Patience
from signet.aws.sigv4 import Credentials, Signer
from signet.core.encoding import decode_base64, encode_base64

#: botocore's name of a service -> prefix of ``X-Amz-Target``, version of the protocol, operations.
_SERVICES: Final[Mapping[str, tuple[str, str, frozenset[str]]]] = {
    "dynamodb": (
        "DynamoDB_20120810",
        "1.0",
        frozenset({"BatchGetItem", "GetItem", "PutItem", "Scan", "UpdateItem"}),
    ),
    "sqs": ("AmazonSQS", "1.0", frozenset({"SendMessage"})),
    "secretsmanager": ("secretsmanager", "1.1", frozenset({"GetSecretValue"})),
    "ssm": ("AmazonSSM", "1.1", frozenset({"GetParameter"})),
}
# Partitions whose names are certain: docs.aws.amazon.com/general/latest/gr/rande.html.
_REGION: Final = re.compile(r"(us|ca|sa|mx|eu|ap|me|af|il|us-gov|cn)-[a-z]+-[0-9]")
# What steers botocore in ways that this client does not follow.
_NOT_FOLLOWED: Final = (
    "AWS_USE_FIPS_ENDPOINT",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_CONFIG_FILE",  # it may name endpoints and proxies; so may a profile of it
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "HTTPS_PROXY",
    "https_proxy",
    "HTTP_PROXY",
    "http_proxy",
    "ALL_PROXY",
    "all_proxy",
)
_THROTTLED: Final = frozenset(
    {
        "BandwidthLimitExceeded",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_PASSING_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
_SKEWED: Final = frozenset({"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed"})
# AWS takes signatures that are up to five minutes off; below that the clock is not what is wrong.
_SKEW_S: Final = 240
_MAX_PAUSE_S: Final = 0.25
# The "standard" mode's quota: 500 tokens, 5 for another try, 10 after a timeout; a success pays one back.
_QUOTA: Final = 500
_RETRY_COST: Final = 5
_TIMEOUT_COST: Final = 10


def client(
    service: str, environment: Mapping[str, str], patience: Patience, otherwise: Callable[[], Any]
) -> Direct | None:
    """Return a client for the service, or None where botocore's has to be used.

    Args:
        service: botocore's name of it.
        environment: of the process. ``SIGNET_AWS_CLIENT=botocore`` asks for botocore's client.
        patience: of its calls.
        otherwise: gives botocore's client, for calls that this one does not know.
    """
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or ""
    known = (
        service in _SERVICES
        and environment.get("AWS_LAMBDA_FUNCTION_NAME")
        and environment.get("SIGNET_AWS_CLIENT", "direct") == "direct"
        and _REGION.fullmatch(region)
        and environment_credentials(environment) is not None
        and not any(environment.get(name) for name in _NOT_FOLLOWED)
    )
    url = _endpoint(service, region, environment) if known else None
    return None if url is None else Direct(service, region, url, patience, otherwise)


def environment_credentials(environment: Mapping[str, str]) -> Credentials | None:
    """Return the credentials that Lambda puts into a function's environment, or None.

    They are read for each call: some runtimes renew them in place. SnapStart gives none there
    (docs.aws.amazon.com/lambda/latest/dg/snapstart-activate.html), which is for botocore.
    """
    access, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if not access or not secret:
        return None
    return Credentials(access, secret, environment.get("AWS_SESSION_TOKEN") or None)


#: docs.aws.amazon.com/sdkref/latest/guide/ss-endpoints-table.html: by the service's id, not botocore's name.
_IDS: Final = {"secretsmanager": "SECRETS_MANAGER"}


def _endpoint(service: str, region: str, environment: Mapping[str, str]) -> str | None:
    variable = f"AWS_ENDPOINT_URL_{_IDS.get(service, service.upper())}"
    own = environment.get(variable) or environment.get("AWS_ENDPOINT_URL")
    if own and environment.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() != "true":
        return own if _plain(own) else None
    suffix = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://{service}.{region}.{suffix}"


def _plain(url: str) -> bool:
    """Whether a URL is a place and nothing else: no path, no user, a port that there is."""
    try:
        parts = urlsplit(url)
        found = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return False
    return bool(found) and parts.path in {"", "/"} and not parts.query and "@" not in parts.netloc


class Direct:
    """A client of one service; its methods are the operations in botocore's spelling: ``put_item``.

    Bytes in arguments are sent as base64; ``{"B": …}`` in DynamoDB's answers comes back as bytes. A call may
    raise what botocore's does: ``ClientError`` with the service's code, or one of the errors of a
    connection. Safe for threads.
    """

    def __init__(
        self,
        service: str,
        region: str,
        url: str,
        patience: Patience,
        otherwise: Callable[[], Any],
        *,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        """Connect at the first call.

        Args:
            service: one of those that this module knows.
            region: for the signature.
            url: where the service answers, with no path.
            patience: of every call.
            otherwise: gives botocore's client, for calls that this one does not know.
            pause: waits between two tries, in seconds.
        """
        self._service, self._url, self._patience, self._pause = service, url, patience, pause
        self._otherwise = otherwise
        self._target, version, self._operations = _SERVICES[service]
        self._signer = Signer(service, region)
        self._headers = {"content-type": f"application/x-amz-json-{version}", "host": urlsplit(url).netloc}
        if service == "sqs":
            self._headers["x-amzn-query-mode"] = "true"
        self._connections = Connections(url, patience)
        self._skew_s = 0.0
        self._quota, self._lock = _QUOTA, threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        operation = "".join(word.capitalize() for word in name.split("_"))
        known = operation in self._operations
        method = partial(self._call, operation) if known else getattr(self._otherwise(), name)
        setattr(self, name, method)
        return method

    def close(self) -> None:
        """Close the connections that are kept; the next call opens one."""
        self._connections.close()

    def _call(self, operation: str, /, **arguments: Any) -> dict[str, Any]:
        body = json.dumps(arguments, default=_base64).encode()
        for tried in range(1, self._patience.tries + 1):
            last = tried == self._patience.tries
            try:
                answer = self._exchange(operation, body)
            except (ReadTimeoutError, ConnectTimeoutError):
                if last or not self._pay(_TIMEOUT_COST):
                    raise
            except (EndpointConnectionError, ConnectionClosedError):
                if last or not self._pay(_RETRY_COST):
                    raise
            else:
                error = self._error(operation, answer)
                if error is None:
                    self._earn()
                    return self._read(operation, answer)
                code = error.response["Error"]["Code"]
                status = error.response["ResponseMetadata"]["HTTPStatusCode"]
                passing = status in _PASSING_STATUSES or code in _THROTTLED
                if not passing and not self._corrected(code, answer):
                    raise error
                if last or not self._pay(_RETRY_COST):
                    raise error
            self._pause(random.uniform(0, min(_MAX_PAUSE_S, 0.05 * 2**tried)))  # noqa: S311 - spreads load
        raise AssertionError("the last try returns or raises")

    # One try

    def _exchange(self, operation: str, body: bytes) -> Answer:
        credentials = environment_credentials(os.environ)
        if credentials is None:
            raise EndpointConnectionError(endpoint_url=self._url, error="no credentials in the environment")
        unsigned = {**self._headers, "x-amz-target": f"{self._target}.{operation}"}
        headers = self._signer.sign(unsigned, body, credentials, time.time() + self._skew_s)
        # By this Lambda finds functions that call each other for ever.
        trace = os.environ.get("_X_AMZN_TRACE_ID")
        # Part of it comes from the caller's own header, who must not bring about an outage by it.
        if trace and trace.isascii() and trace.isprintable():
            headers["x-amzn-trace-id"] = trace
        return self._connections.post(body, headers)

    # Its answer

    def _error(self, operation: str, answer: Answer) -> ClientError | None:
        if answer.status == HTTPStatus.OK:
            wanted = answer.headers.get("x-amz-crc32")
            if wanted is None or wanted == str(zlib.crc32(answer.body)):
                return None
            # As passing as an error of the service's: the call was carried out, and its answer is lost.
            lost = HTTPStatus.INTERNAL_SERVER_ERROR
            return _client_error(operation, "CRC32CheckFailed", "the answer was damaged on its way", lost)
        try:
            parsed = json.loads(answer.body) if answer.body else {}
        except ValueError:
            parsed = {}
        told = parsed if isinstance(parsed, dict) else {}
        kind = answer.headers.get("x-amzn-errortype") or told.get("__type") or str(answer.status)
        # Namespace before, a URI behind, which may hold both signs (smithy, "operation error serialization").
        code = str(kind).split(":", 1)[0].rsplit("#", 1)[-1]
        older, separator, _fault = answer.headers.get("x-amzn-query-error", "").partition(";")
        code = older if older and separator else code
        message = str(told.get("message") or told.get("Message") or "")
        return _client_error(operation, code, message, answer.status)

    def _read(self, operation: str, answer: Answer) -> dict[str, Any]:
        hook = _bytes_of if self._service == "dynamodb" else None
        try:
            read = json.loads(answer.body, object_hook=hook) if answer.body else {}
        except ValueError as error:
            raise ConnectionClosedError(endpoint_url=self._url, error="an answer that is no JSON") from error
        # An acknowledgement is more than a status: something between here and SQS could make that up.
        if not isinstance(read, dict) or (operation == "SendMessage" and not read.get("MessageId")):
            raise ConnectionClosedError(endpoint_url=self._url, error="an answer of another shape")
        headers = dict(answer.headers)
        return read | {"ResponseMetadata": {"HTTPStatusCode": answer.status, "HTTPHeaders": headers}}

    def _corrected(self, code: str, answer: Answer) -> bool:
        """Whether the service's clock says that ours was why the signature was refused; ours follows then."""
        if code not in _SKEWED:
            return False
        from email.utils import parsedate_to_datetime  # noqa: PLC0415 - rarely needed, dear to import

        try:
            theirs_s = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
        except ValueError:
            return False
        if abs(theirs_s - (time.time() + self._skew_s)) < _SKEW_S:
            return False
        self._skew_s = theirs_s - time.time()
        return True

    # The budget of further tries

    def _pay(self, cost: int) -> bool:
        with self._lock:
            if self._quota < cost:
                return False
            self._quota -= cost
            return True

    def _earn(self) -> None:
        if self._quota < _QUOTA:
            with self._lock:
                self._quota = min(_QUOTA, self._quota + 1)


def _client_error(operation: str, code: str, message: str, status: int) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


def _base64(value: object) -> str:
    if isinstance(value, bytes):
        return encode_base64(value)
    raise TypeError(f"{type(value).__name__} cannot be sent")


def _bytes_of(found: dict[str, Any]) -> dict[str, Any]:
    """Turn the attribute value ``{"B": "…"}`` into bytes; an attribute called B holds an object, no text."""
    if len(found) == 1 and isinstance(found.get("B"), str):
        return {"B": decode_base64(found["B"])}
    return found
