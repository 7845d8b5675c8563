"""The snippet for plain CloudFormation templates."""

from __future__ import annotations

import json

from signet_client.attach.attachment import GATEWAY_RESPONSES, Attachment

_NAMES = {
    "ACCESS_DENIED": "SignetDenied",
    "AUTHORIZER_FAILURE": "SignetFailure",
    "AUTHORIZER_CONFIGURATION_ERROR": "SignetShed",
}


def snippet(attachment: Attachment) -> str:
    """Return YAML: resources to add, and what each method or route then says."""
    parts = _rest(attachment) if attachment.rest else _http(attachment)
    granted = "" if attachment.foreign else permission(attachment)
    return f"{attachment.remarks('#', 'cloudformation')}Resources:\n{parts}{granted}"


def arn_of(attachment: Attachment) -> str:
    """Return what a template names the authorizer by: an export, or the ARN where no export is read."""
    if attachment.foreign:
        return json.dumps(attachment.authorizer_arn)
    return f'{{"Fn::ImportValue": {attachment.stack}-AuthorizerArn}}'


def permission(attachment: Attachment) -> str:
    """Return a resource: this API may invoke the authorizer."""
    source = "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:"
    return f"""\
  SignetMayBeAsked:
    Type: AWS::Lambda::Permission
    Properties:
      Action: lambda:InvokeFunction
      Principal: apigateway.amazonaws.com
      FunctionName: {arn_of(attachment)}
      SourceArn: {{"Fn::Sub": "{source}${{{attachment.resource}}}/authorizers/*"}}
"""


def _uri(attachment: Attachment) -> str:
    uri = (
        "arn:${AWS::Partition}:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Arn}/invocations"
    )
    return f'{{"Fn::Sub": ["{uri}", {{Arn: {arn_of(attachment)}}}]}}'


def _rest(attachment: Attachment) -> str:
    return f"""\
  # In each AWS::ApiGateway::Method but OPTIONS:
  #   AuthorizationType: CUSTOM
  #   AuthorizerId: {{"Ref": SignetAuthorizer}}
  # Then an AWS::ApiGateway::Deployment of another logical name: a stage serves what was last deployed.
  SignetAuthorizer: # no identity source: API Gateway itself would answer where one is missing
    Type: AWS::ApiGateway::Authorizer
    Properties:
      Name: Signet
      RestApiId: {{"Ref": {attachment.resource}}}
      Type: REQUEST
      AuthorizerResultTtlInSeconds: 0 # a cached Allow would be a replay
      AuthorizerUri: {_uri(attachment)}
{_gateway_responses(attachment)}"""


def _gateway_responses(attachment: Attachment) -> str:
    lines = []
    for kind, response in GATEWAY_RESPONSES.items():
        lines += [f"  {_NAMES[kind]}:", "    Type: AWS::ApiGateway::GatewayResponse", "    Properties:"]
        lines += [f'      RestApiId: {{"Ref": {attachment.resource}}}', f"      ResponseType: {kind}"]
        lines += [f'      StatusCode: "{response.status}"', "      ResponseParameters:"]
        for field, value in response.headers.items():
            lines.append(f"        gatewayresponse.header.{field}: {json.dumps(value)}")
        lines += ["      ResponseTemplates:", f"        application/json: {json.dumps(response.body)}"]
    return "".join(f"{line}\n" for line in lines)


def _http(attachment: Attachment) -> str:
    simple = "true" if attachment.simple else "false"
    return f"""\
  # In each AWS::ApiGatewayV2::Route but OPTIONS:
  #   AuthorizationType: CUSTOM
  #   AuthorizerId: {{"Ref": SignetAuthorizer}}
  SignetAuthorizer: # no identity source: API Gateway itself would answer where one is missing
    Type: AWS::ApiGatewayV2::Authorizer
    Properties:
      Name: Signet
      ApiId: {{"Ref": {attachment.resource}}}
      AuthorizerType: REQUEST
      AuthorizerPayloadFormatVersion: "{attachment.payload}"
      EnableSimpleResponses: {simple}
      AuthorizerResultTtlInSeconds: 0 # a cached Allow would be a replay
      AuthorizerUri: {_uri(attachment)}
"""
