"""The snippet for templates of AWS SAM (``AWS::Serverless::Api``, ``AWS::Serverless::HttpApi``)."""

from __future__ import annotations

import json

from signet_client.attach.attachment import GATEWAY_RESPONSES, Attachment
from signet_client.attach.cloudformation import arn_of, permission


def snippet(attachment: Attachment) -> str:
    """Return YAML to merge into a template: properties of the API, perhaps a resource beside it."""
    body = _rest(attachment) if attachment.rest else _http(attachment)
    return f"{attachment.remarks('#', 'sam')}Resources:\n{body}"


def _rest(attachment: Attachment) -> str:
    # SAM makes the permission for a REST API, but cannot in another account.
    foreign = "            DisableFunctionDefaultPermissions: true\n" if attachment.foreign else ""
    return f"""\
  {attachment.resource}:
    Type: AWS::Serverless::Api
    Properties:
      Auth:
        DefaultAuthorizer: Signet
        AddDefaultAuthorizerToCorsPreflight: false
        Authorizers:
          Signet: # no identity source: API Gateway itself would answer where one is missing
            FunctionPayloadType: REQUEST
            FunctionArn: {arn_of(attachment)}
            Identity: {{ReauthorizeEvery: 0}} # a cached Allow would be a replay
{foreign}      GatewayResponses:
{_gateway_responses()}"""


def _gateway_responses() -> str:
    """Return one line for each: JSON is YAML."""
    return "".join(
        "        {}: {}\n".format(
            name,
            json.dumps(
                {
                    "StatusCode": response.status,
                    "ResponseParameters": {"Headers": dict(response.headers)},
                    "ResponseTemplates": {"application/json": response.body},
                }
            ),
        )
        for name, response in GATEWAY_RESPONSES.items()
    )


def _http(attachment: Attachment) -> str:
    simple = "true" if attachment.simple else "false"
    own = f"""\
  {attachment.resource}:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Signet
        Authorizers:
          Signet: # no identity source: API Gateway itself would answer where one is missing
            FunctionArn: {arn_of(attachment)}
            AuthorizerPayloadFormatVersion: "{attachment.payload}"
            EnableSimpleResponses: {simple}
            Identity: {{ReauthorizeEvery: 0}} # a cached Allow would be a replay
"""
    # SAM makes none for an HTTP API: docs.aws.amazon.com/serverless-application-model/latest/developerguide/
    # sam-property-httpapi-lambdaauthorizer.html, EnableFunctionDefaultPermissions
    return own if attachment.foreign else own + permission(attachment)
