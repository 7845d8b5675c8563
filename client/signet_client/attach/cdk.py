"""The snippet for the AWS CDK, version 2, in Python."""

from __future__ import annotations

from signet_client.attach.attachment import GATEWAY_RESPONSES, Attachment


def snippet(attachment: Attachment) -> str:
    """Return a module: a function that puts an API of a stack behind the authorizer."""
    return attachment.remarks("#", "cdk") + (_rest(attachment) if attachment.rest else _http(attachment))


def _function(attachment: Attachment) -> str:
    """Return how the authorizer is imported: CDK makes a permission in its own account only."""
    return f"""\
    function = lambda_.Function.from_function_attributes(
        stack,
        "SignetAuthorizerFunction",
        function_arn={attachment.authorizer_arn!r},
        same_environment={not attachment.foreign},  # else CDK makes no permission, and need not
    )
"""


def _rest(attachment: Attachment) -> str:
    responses = "".join(
        f"""\
    api.add_gateway_response(
        "Signet-{kind}",
        type=apigateway.ResponseType.{kind},
        status_code="{response.status}",
        response_headers={dict(response.headers)!r},
        templates={{"application/json": {response.body!r}}},
    )
"""
        for kind, response in GATEWAY_RESPONSES.items()
    )
    return f'''\
from aws_cdk import Duration, Stack, aws_apigateway as apigateway, aws_lambda as lambda_


def signet(stack: Stack) -> apigateway.RequestAuthorizer:
    """Give it to RestApi as default_method_options=apigateway.MethodOptions(authorizer=signet(stack))."""
{_function(attachment)}\
    return apigateway.RequestAuthorizer(
        stack,
        "Signet",
        handler=function,
        identity_sources=[],  # API Gateway itself would answer where one is missing
        results_cache_ttl=Duration.seconds(0),  # a cached Allow would be a replay
    )


def signet_responses(api: apigateway.RestApi) -> None:
    """Call this for the API."""
{responses}'''


def _http(attachment: Attachment) -> str:
    kind = "SIMPLE" if attachment.simple else "IAM"
    return f'''\
from aws_cdk import Duration, Stack, aws_lambda as lambda_
from aws_cdk.aws_apigatewayv2_authorizers import HttpLambdaAuthorizer, HttpLambdaResponseType


def signet(stack: Stack) -> HttpLambdaAuthorizer:
    """Give it to HttpApi as default_authorizer=signet(stack)."""
{_function(attachment)}\
    return HttpLambdaAuthorizer(
        "Signet",
        function,
        response_types=[HttpLambdaResponseType.{kind}],  # which also says the payload: {attachment.payload}
        identity_source=[],  # API Gateway itself would answer where one is missing
        results_cache_ttl=Duration.seconds(0),  # a cached Allow would be a replay
    )
'''
