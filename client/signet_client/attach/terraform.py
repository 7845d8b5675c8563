"""The snippet for Terraform and OpenTofu, with the provider hashicorp/aws."""

from __future__ import annotations

import json
from collections.abc import Mapping

from signet_client.attach.attachment import GATEWAY_RESPONSES, Attachment


def snippet(attachment: Attachment) -> str:
    """Return HCL: resources to add, and what each method or route then says."""
    parts = _rest(attachment) if attachment.rest else _http(attachment)
    granted = "" if attachment.foreign else _permission(attachment)
    return f"{attachment.remarks('#', 'terraform')}\n{parts}{granted}"


def _permission(attachment: Attachment) -> str:
    api = "aws_api_gateway_rest_api" if attachment.rest else "aws_apigatewayv2_api"
    return f"""
resource "aws_lambda_permission" "signet" {{
  action        = "lambda:InvokeFunction"
  principal     = "apigateway.amazonaws.com"
  function_name = {json.dumps(attachment.function)}
  qualifier     = {json.dumps(attachment.alias)}
  source_arn    = "${{{api}.{attachment.resource}.execution_arn}}/authorizers/*"
}}
"""


def _rest(attachment: Attachment) -> str:
    api = f"aws_api_gateway_rest_api.{attachment.resource}.id"
    responses = "".join(
        f"""
resource "aws_api_gateway_gateway_response" "signet_{kind.lower()}" {{
  rest_api_id   = {api}
  response_type = "{kind}"
  status_code   = "{response.status}"
  response_parameters = {{
{_fields(response.headers)}  }}
  response_templates = {{
    "application/json" = {json.dumps(response.body)}
  }}
}}
"""
        for kind, response in GATEWAY_RESPONSES.items()
    )
    return f"""\
# In each aws_api_gateway_method but OPTIONS:
#   authorization = "CUSTOM"
#   authorizer_id = aws_api_gateway_authorizer.signet.id
# Then a new aws_api_gateway_deployment (triggers): a stage serves what was last deployed to it.
resource "aws_api_gateway_authorizer" "signet" {{
  name           = "Signet"
  rest_api_id    = {api}
  type           = "REQUEST"
  authorizer_uri = {json.dumps(attachment.invocation_uri)}
  # Without one the provider sets the field Authorization, and API Gateway answers where that is missing
  # (github.com/hashicorp/terraform-provider-aws issues 12069 and 39689). Every request has an address.
  identity_source                  = "context.identity.sourceIp"
  authorizer_result_ttl_in_seconds = 0 # a cached Allow would be a replay
}}
{responses}"""


def _http(attachment: Attachment) -> str:
    simple = "true" if attachment.simple else "false"
    return f"""\
# In each aws_apigatewayv2_route but OPTIONS:
#   authorization_type = "CUSTOM"
#   authorizer_id      = aws_apigatewayv2_authorizer.signet.id
# No identity source: API Gateway itself would answer where one is missing.
resource "aws_apigatewayv2_authorizer" "signet" {{
  name                              = "Signet"
  api_id                            = aws_apigatewayv2_api.{attachment.resource}.id
  authorizer_type                   = "REQUEST"
  authorizer_uri                    = {json.dumps(attachment.invocation_uri)}
  authorizer_payload_format_version = "{attachment.payload}"
  enable_simple_responses           = {simple}
  authorizer_result_ttl_in_seconds  = 0 # a cached Allow would be a replay
}}
"""


def _fields(headers: Mapping[str, str]) -> str:
    return "".join(
        f'    "gatewayresponse.header.{name}" = {json.dumps(value)}\n' for name, value in headers.items()
    )
