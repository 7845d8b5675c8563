"""Answers of authorizers, as each kind of API takes them.

- REST APIs, and HTTP APIs with payload 1.0, take an IAM policy. Without one API Gateway answers 500
  AUTHORIZER_CONFIGURATION_ERROR, which the template's gateway response makes a 503; ``context`` still reaches
  access logs. (docs.aws.amazon.com, "Output from an API Gateway Lambda authorizer")
- HTTP APIs with payload 2.0 take the simple response, if the authorizer has ``EnableSimpleResponses``. Its
  ``context`` reaches the backend of an allowed request; a denied caller gets a bare 403 without it.
  (docs.aws.amazon.com, "Control access to HTTP APIs with AWS Lambda authorizers")
- HTTP APIs have no gateway responses. Where the authorizer raises, or answers neither, they answer a bare 500
  (docs.aws.amazon.com, "Troubleshooting issues with HTTP API Lambda authorizers").

Values of ``context`` are text, numbers or booleans.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from signet.core.vocabulary import PayloadKind

Answer: TypeAlias = dict[str, Any]


def decided(
    kind: PayloadKind, principal: str, context: Mapping[str, str], *, allowed: bool, arn: str
) -> Answer:
    """Return the answer that the kind of the API takes; the arguments are those of ``iam_policy``.

    Raises:
        ValueError: nothing is named that could be allowed.
    """
    if kind is PayloadKind.HTTP_V2:
        return simple(context, allowed=allowed)
    return iam_policy(principal, context, allowed=allowed, arn=arn)


def sheds_by_answer(kind: PayloadKind) -> bool:
    """Tell whether an answer without a policy sheds: REST APIs make a 503 of it, which HTTP APIs lack."""
    return kind is PayloadKind.REST_V1


def iam_policy(principal: str, context: Mapping[str, str], *, allowed: bool, arn: str) -> Answer:
    """Return an IAM policy on one method.

    Args:
        principal: who asks.
        context: what the backend, or the gateway's response, is told.
        allowed: whether the request may pass.
        arn: the method, as the event names it.

    Raises:
        ValueError: nothing is named that could be allowed.
    """
    if allowed and not arn:
        raise ValueError("what is allowed has a name")
    return {
        "principalId": principal,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow" if allowed else "Deny",
                    "Resource": arn or "*",  # what is denied may be everything
                }
            ],
        },
        "context": dict(context),
    }


def simple(context: Mapping[str, str], *, allowed: bool) -> Answer:
    """Return a simple response; only to payload 2.0."""
    return {"isAuthorized": allowed, "context": dict(context)}


def shed(context: Mapping[str, str]) -> Answer:
    """Return an answer without a policy, which neither allows nor denies: a REST API makes a 503 of it.

    An HTTP API makes a bare 500 of it, as of an exception. A gateway that took it for a denial would let no
    request in either.
    """
    return {"context": dict(context)}
