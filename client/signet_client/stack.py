"""Finds a deployed stack and talks to its AWS services: the client's one place that uses boto3.

The endpoint comes from the standard ``AWS_ENDPOINT_URL``. With it and without credentials in the
environment, a localstack-client session brings the ones every emulator takes; otherwise boto3 looks for
credentials where it always does.
"""

# ruff: noqa: PLC0415 - boto3 takes 0.2 s to import: a command that needs no AWS shall not wait for it

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from signet.core.errors import NotFoundError, SignetError, UnavailableError, UsageError

DEFAULT_STACK = "signet"
_DEFAULT_REGION = "us-east-1"
_OWN_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE")
_DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
_CREDENTIAL_CODES = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "InvalidClientTokenId", "UnrecognizedClientException"}
)


@dataclass(frozen=True, slots=True)
class Stack:
    """A deployed CloudFormation stack.

    Attributes:
        name: its name.
        outputs: the template's outputs, by key.
        parameters: the values that it was deployed with, defaults included.
    """

    name: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str] = field(default_factory=dict)

    def output(self, key: str) -> str:
        """Return one output.

        Raises:
            NotFoundError: the stack has none of that name.
        """
        return self._value(self.outputs, "output", key)

    def parameter(self, key: str) -> str:
        """Return the value that one parameter was deployed with.

        Raises:
            NotFoundError: the stack has none of that name.
        """
        return self._value(self.parameters, "parameter", key)

    def _value(self, values: Mapping[str, str], kind: str, key: str) -> str:
        value = values.get(key)
        if value is None:
            raise NotFoundError(
                f"the stack {self.name!r} has no {kind} {key}; deploy this version's template"
            )
        return value


def aws(service: str, *, patience_s: int = 10) -> Any:
    """Return a client of an AWS service.

    Args:
        service: boto3's name of it.
        patience_s: seconds to wait for an answer. Above the default nothing is tried twice: a call
            that may take long is one that does something.

    Raises:
        UsageError: region, profile or endpoint are missing or wrong.
    """
    from botocore.config import Config

    config = Config(
        connect_timeout=3,
        read_timeout=patience_s,
        retries={"mode": "standard", "total_max_attempts": 2 if patience_s <= 10 else 1},  # noqa: PLR2004
    )
    with aws_errors(f"reach {service}"):
        if os.environ.get("AWS_ENDPOINT_URL") and not any(os.environ.get(name) for name in _OWN_CREDENTIALS):
            from localstack_client.session import Session

            region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _DEFAULT_REGION
            return Session(region_name=region).client(service, config=config)
        import boto3

        make: Any = boto3.client  # overloaded per service name; here it is a parameter
        # Other SDKs and Lambda say AWS_REGION; boto3 reads AWS_DEFAULT_REGION only (boto3.amazonaws.com/v1/
        # documentation/api/latest/guide/configuration.html, "Using environment variables").
        return make(service, config=config, region_name=os.environ.get("AWS_REGION") or None)


def read_stack(name: str) -> Stack:
    """Read a stack's outputs from CloudFormation.

    Raises:
        NotFoundError: there is no stack of that name.
        UsageError: credentials or region are missing.
        UnavailableError: CloudFormation cannot be reached: the stack is not running.
    """
    from botocore.exceptions import ClientError

    client = aws("cloudformation")
    with aws_errors(f"read the stack {name!r}"):
        try:
            found = client.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if _code(error) == "ValidationError" or "does not exist" in str(error):
                found = []
            else:
                raise
    if not found:
        raise NotFoundError(
            f"there is no stack {name!r} at {_where()} in {client.meta.region_name}; "
            "name another with --stack, or start it with `make up`"
        )
    return Stack(
        name,
        {output["OutputKey"]: output["OutputValue"] for output in found[0].get("Outputs", [])},
        {given["ParameterKey"]: given["ParameterValue"] for given in found[0].get("Parameters", [])},
    )


@contextmanager
def aws_errors(what: str) -> Iterator[None]:
    """Turn every error of boto3 into one sentence that says what to do.

    Args:
        what: the operation, for the message: "read the stack".
    """
    from botocore import exceptions as aws_exceptions

    try:
        yield
    except aws_exceptions.ClientError as error:
        raise _refused(what, _code(error)) from error
    except (aws_exceptions.NoCredentialsError, aws_exceptions.PartialCredentialsError) as error:
        raise UsageError(f"cannot {what}: there are no AWS credentials; {_how_to_load()}") from error
    except aws_exceptions.NoRegionError as error:
        raise UsageError(
            f"cannot {what}: no AWS region is set; set AWS_REGION, or {_how_to_load()}"
        ) from error
    except (aws_exceptions.ConnectionError, aws_exceptions.HTTPClientError) as error:
        reason = _wrong_connection(error)
        if reason is not None:
            raise UsageError(f"cannot {what}: {reason}") from error
        raise UnavailableError(
            f"cannot {what}: nothing answers at {_where()}; is the stack running? (make up)"
        ) from error
    except UnicodeError:
        raise  # an argument that is no UTF-8
    except (aws_exceptions.BotoCoreError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"cannot {what}: {reason}") from error


def _refused(what: str, code: str) -> SignetError:
    if code in _DENIED_CODES:
        return UsageError(
            f"cannot {what}: these AWS credentials lack the permission ({code}); use an operator's"
        )
    if code in _CREDENTIAL_CODES:
        return UsageError(
            f"cannot {what}: the AWS credentials are invalid or expired ({code}); {_how_to_load()}"
        )
    if code.startswith("ResourceNotFound"):
        return NotFoundError(f"cannot {what}: it does not exist at {_where()}; deploy the stack again")
    return UnavailableError(f"cannot {what}: AWS answered {code or 'with an error'}; try again later")


def _wrong_connection(error: Exception) -> str | None:
    """Return what is wrong with the way to AWS, where it is not that nothing answers."""
    said = " ".join(str(error).split())
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        if (path := os.environ.get(name)) and not Path(path).exists():
            return f"{name} names {path}, which is not there"
    if type(error).__name__ == "ProxyConnectionError" or "proxy" in said.lower():
        return "the proxy that HTTP_PROXY or HTTPS_PROXY names cannot be used; correct it, or unset it"
    if type(error).__name__ == "SSLError":
        return f"the TLS certificate of {_where()} is not trusted; AWS_CA_BUNDLE may name its authority"
    return None


def _code(error: Any) -> str:
    code: str = error.response.get("Error", {}).get("Code", "")
    return code


def _where() -> str:
    return os.environ.get("AWS_ENDPOINT_URL") or "AWS"


def _how_to_load() -> str:
    """Say how to get an environment: the embedded stack's file if there is one below this folder."""
    if not os.environ.get("AWS_ENDPOINT_URL"):
        found = sorted(Path(".local").glob("*/env"))
        if found:
            return f"load the embedded stack's with `source {found[0]}`"
    return "set AWS_PROFILE, or start the embedded stack with `make up` and load the env file it names"
