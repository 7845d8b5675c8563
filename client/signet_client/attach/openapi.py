"""The snippet for OpenAPI documents that API Gateway imports."""

from __future__ import annotations

import json

from signet_client.attach.attachment import GATEWAY_RESPONSES, Attachment


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
{kind}{responses}"""


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
