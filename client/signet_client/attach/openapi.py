"""The snippet for OpenAPI documents that API Gateway imports."""

from __future__ import annotations

import json

from signet_client.attach.attachment import GATEWAY_RESPONSES, Attachment
from signet_client.sources import DISCOVERY_PATH


def snippet(attachment: Attachment) -> str:
    """Return YAML to merge into a document of OpenAPI 3."""
    responses = _gateway_responses() if attachment.rest else ""
    kind = "" if attachment.rest else _payload(attachment)
    return f"""\
{attachment.remarks("#", "openapi")}#
# In each operation but OPTIONS (API Gateway reads security there, not at the root of the document):
#   security: [{{Signet: []}}]
# An import makes no permission: signet apis add has made it.
components:
  securitySchemes:
    Signet:
      type: apiKey
      name: Signature # what is shown to readers; the authorizer is asked for every request
      in: header
      x-amazon-apigateway-authtype: custom
      # No identity source: API Gateway itself would answer where one is missing.
      x-amazon-apigateway-authorizer:
        type: request
        authorizerUri: {json.dumps(attachment.invocation_uri)}
        authorizerResultTtlInSeconds: 0 # a cached Allow would be a replay
{kind}{responses}{_discovery(attachment) if attachment.rest else ""}"""


def _discovery(attachment: Attachment) -> str:
    """Return a route that answers the same to all.

    docs.aws.amazon.com/apigateway/latest/developerguide/how-to-mock-integration.html
    """
    request = json.dumps({"statusCode": 200})
    return f"""\
paths:
  {DISCOVERY_PATH}: # without security; of use where this is the root of the API's own name
    get:
      responses: {{"200": {{description: Where challenges are}}}}
      x-amazon-apigateway-integration:
        type: mock
        requestTemplates: {{application/json: {json.dumps(request)}}}
        responses:
          default:
            statusCode: "200"
            responseTemplates: {{application/json: {json.dumps(attachment.discovery)}}}
"""


def _payload(attachment: Attachment) -> str:
    simple = "true" if attachment.simple else "false"
    return f"""\
        authorizerPayloadFormatVersion: "{attachment.payload}"
        enableSimpleResponses: {simple}
"""


def _gateway_responses() -> str:
    lines = ["x-amazon-apigateway-gateway-responses:"]
    for kind, response in GATEWAY_RESPONSES.items():
        lines += [f"  {kind}:", f'    statusCode: "{response.status}"', "    responseParameters:"]
        for field, value in response.headers.items():
            lines.append(f"      gatewayresponse.header.{field}: {json.dumps(value)}")
        lines += ["    responseTemplates:", f"      application/json: {json.dumps(response.body)}"]
    return "".join(f"{line}\n" for line in lines)
