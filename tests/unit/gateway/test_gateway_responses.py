"""Answers of authorizers, in the shape that each kind of API takes."""

from __future__ import annotations

import pytest

from signet.core.vocabulary import PayloadKind
from signet.gateway import responses
from signet.gateway.proxy import retry_after

ARN = "arn:aws:execute-api:eu-central-1:123456789012:a1b2c3d4e5/prod/GET/protected"


def test_what_is_allowed_is_the_one_method_of_the_event() -> None:
    answer = responses.iam_policy("caller-1", {"reason": "ok"}, allowed=True, arn=ARN)
    assert answer["principalId"] == "caller-1"
    assert answer["policyDocument"]["Statement"] == [
        {"Action": "execute-api:Invoke", "Effect": "Allow", "Resource": ARN}
    ]
    assert answer["context"] == {"reason": "ok"}


def test_nothing_is_allowed_that_has_no_name() -> None:
    with pytest.raises(ValueError, match="name"):
        responses.iam_policy("caller-1", {}, allowed=True, arn="")


@pytest.mark.parametrize(("arn", "denied"), [(ARN, ARN), ("", "*")])
def test_what_is_denied_may_be_everything(arn: str, denied: str) -> None:
    [statement] = responses.iam_policy("anonymous", {}, allowed=False, arn=arn)["policyDocument"]["Statement"]
    assert (statement["Effect"], statement["Resource"]) == ("Deny", denied)


@pytest.mark.parametrize("allowed", [True, False])
def test_a_simple_response_says_yes_or_no(allowed: bool) -> None:
    assert responses.simple({"a": "b"}, allowed=allowed) == {"isAuthorized": allowed, "context": {"a": "b"}}


def test_what_is_shed_has_no_policy() -> None:
    assert responses.shed({"reason": "breaker_open"}) == {"context": {"reason": "breaker_open"}}


@pytest.mark.parametrize("kind", [PayloadKind.REST_V1, PayloadKind.HTTP_V1])
def test_payloads_1_are_answered_by_a_policy(kind: PayloadKind) -> None:
    answer = responses.decided(kind, "caller-1", {"a": "b"}, allowed=True, arn=ARN)
    assert answer == responses.iam_policy("caller-1", {"a": "b"}, allowed=True, arn=ARN)


def test_payload_2_is_answered_simply() -> None:
    answer = responses.decided(PayloadKind.HTTP_V2, "caller-1", {"a": "b"}, allowed=False, arn=ARN)
    assert answer == responses.simple({"a": "b"}, allowed=False)


def test_only_rest_apis_have_an_answer_that_sheds() -> None:
    assert [kind for kind in PayloadKind if responses.sheds_by_answer(kind)] == [PayloadKind.REST_V1]


def test_retry_after_is_never_shorter_and_spreads_over_three_values() -> None:
    told = [retry_after(5, draw / 10) for draw in range(10)]
    assert {field["Retry-After"] for field in told} == {"5", "6", "7"}
    assert retry_after(2, 0.0) == {"Retry-After": "2"}
    assert retry_after(2, 0.999) == {"Retry-After": "4"}
