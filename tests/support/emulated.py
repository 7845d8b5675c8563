"""Templates of small APIs without Signet, in plain CloudFormation."""

from __future__ import annotations

from typing import Any

_CODE = """\
import json
def handler(event, context):
    told = event["requestContext"].get("authorizer") or {}
    told = told.get("lambda", told)
    return {"statusCode": 200, "body": json.dumps({"caller": told.get("keyid")})}
"""
_URI = "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Backend.Arn}/invocations"
_OPTIONS = {"Type": "MOCK", "IntegrationResponses": [{"StatusCode": "200"}]}


def _template(resources: dict[str, Any]) -> dict[str, Any]:
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {"AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": []}},
    }
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"ZipFile": _CODE},
        },
    }
    return {
        "Resources": {"Role": role, "Backend": function, **resources},
        "Outputs": {"ApiId": {"Value": {"Ref": "Api"}}},
    }


def _integration() -> dict[str, Any]:
    return {"Type": "AWS_PROXY", "IntegrationHttpMethod": "POST", "Uri": {"Fn::Sub": _URI}}


def _rest_resource(resource: str, method: str, integration: dict[str, Any]) -> dict[str, Any]:
    return {
        "Type": "AWS::ApiGateway::Method",
        "Properties": {
            "RestApiId": {"Ref": "Api"},
            "ResourceId": {"Ref": resource},
            "HttpMethod": method,
            "AuthorizationType": "NONE",
            "Integration": integration,
            "MethodResponses": [{"StatusCode": "200"}],
        },
    }


def rest() -> dict[str, Any]:
    """A REST API of resources and methods: ``GET /orders``, ``GET /bound``; a preflight for the first."""
    resources: dict[str, Any] = {"Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "Api"}}}
    for name, part in (("Orders", "orders"), ("Bound", "bound")):
        resources[name] = {
            "Type": "AWS::ApiGateway::Resource",
            "Properties": {
                "RestApiId": {"Ref": "Api"},
                "ParentId": {"Fn::GetAtt": ["Api", "RootResourceId"]},
                "PathPart": part,
            },
        }
        resources[f"{name}Get"] = _rest_resource(name, "GET", _integration())
    resources["OrdersOptions"] = _rest_resource("Orders", "OPTIONS", _OPTIONS)
    resources |= _served(["OrdersGet", "BoundGet", "OrdersOptions"], "Deployment")
    return _template(resources)


def _served(after: list[str], deployment: str) -> dict[str, Any]:
    return {
        deployment: {
            "Type": "AWS::ApiGateway::Deployment",
            "DependsOn": after,
            "Properties": {"RestApiId": {"Ref": "Api"}},
        },
        "Stage": {
            "Type": "AWS::ApiGateway::Stage",
            "Properties": {
                "RestApiId": {"Ref": "Api"},
                "StageName": "v1",
                "DeploymentId": {"Ref": deployment},
            },
        },
    }


def guarded_rest(template: dict[str, Any]) -> dict[str, Any]:
    """Do by hand what the snippet's remarks say: guard each method but OPTIONS, deploy anew."""
    resources = template["Resources"]
    for resource in resources.values():
        properties = resource["Properties"]
        if resource["Type"] == "AWS::ApiGateway::Method" and properties["HttpMethod"] != "OPTIONS":
            properties |= {"AuthorizationType": "CUSTOM", "AuthorizerId": {"Ref": "SignetAuthorizer"}}
    del resources["Deployment"]
    resources |= _served(
        ["OrdersGet", "BoundGet", "OrdersOptions", "SignetDenied", "SignetFailure", "SignetShed"],
        "Deployment2",
    )
    return template


def http() -> dict[str, Any]:
    """An HTTP API: ``GET /orders``, on the stage ``$default``."""
    api = {"ApiId": {"Ref": "Api"}}
    return _template(
        {
            "Api": {
                "Type": "AWS::ApiGatewayV2::Api",
                "Properties": {"Name": "Api", "ProtocolType": "HTTP"},
            },
            "Calls": {
                "Type": "AWS::ApiGatewayV2::Integration",
                "Properties": {
                    **api,
                    "IntegrationType": "AWS_PROXY",
                    "PayloadFormatVersion": "2.0",
                    "IntegrationUri": {"Fn::GetAtt": ["Backend", "Arn"]},
                },
            },
            "Orders": {
                "Type": "AWS::ApiGatewayV2::Route",
                "Properties": {
                    **api,
                    "RouteKey": "GET /orders",
                    "Target": {"Fn::Sub": "integrations/${Calls}"},
                },
            },
            "Stage": {
                "Type": "AWS::ApiGatewayV2::Stage",
                "Properties": {**api, "StageName": "$default", "AutoDeploy": True},
            },
        }
    )


def guarded_http(template: dict[str, Any]) -> dict[str, Any]:
    """Do by hand what the snippet's remarks say: guard each route.

    And say that there is no identity source: where none is said, this emulator takes the field Authorization
    (ministack 1.5.33, ``_apigw_v2_authorizer_create`` in ``services/cloudformation/provisioners.py``). On AWS
    it is optional (docs.aws.amazon.com/apigateway/latest/developerguide/http-api-lambda-authorizer.html).
    """
    template["Resources"]["SignetAuthorizer"]["Properties"]["IdentitySource"] = []
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::ApiGatewayV2::Route":
            guard = {"AuthorizationType": "CUSTOM", "AuthorizerId": {"Ref": "SignetAuthorizer"}}
            resource["Properties"] |= guard
    return template


def openapi() -> dict[str, Any]:
    """A REST API of an OpenAPI document: ``GET /orders`` and its preflight."""
    body = {
        "openapi": "3.0.1",
        "info": {"title": "Api", "version": "1"},
        "paths": {
            "/orders": {
                "get": {
                    "x-amazon-apigateway-integration": {
                        "type": "aws_proxy",
                        "httpMethod": "POST",
                        "uri": {"Fn::Sub": _URI},
                    }
                },
                "options": {"x-amazon-apigateway-integration": {"type": "mock"}},
            }
        },
    }
    return _template(
        {
            "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "Api", "Body": body}},
            **_served([], "Deployment"),
        }
    )


def guarded_openapi(template: dict[str, Any]) -> dict[str, Any]:
    """Do by hand what the snippet's remarks say: ``security`` in each operation but OPTIONS."""
    template["Resources"]["Api"]["Properties"]["Body"]["paths"]["/orders"]["get"]["security"] = [
        {"Signet": []}
    ]
    return template
