"""What ``sam local`` needs to run the functions against a running stack.

SAM replaces references by logical names (``NoncesTable``), and tables of that name exist nowhere. So the
functions' settings are read from the deployed ones, and only what differs is put in: where ``sam local
start-api`` answers, and that it serves the API without a stage and without a base path.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import boto3
from botocore.config import Config

from local.stack import Stack

#: What ``sam local`` calls every API (events/sam_local).
SAM_API_ID = "1234567890"
#: Where ``sam local start-api`` answers unless it is told otherwise.
DEFAULT_PORT = 3000


def sam_env(stack: Stack, port: int = DEFAULT_PORT) -> dict[str, dict[str, str]]:
    """Return the content of the file for ``--env-vars``: logical name of a function -> its variables.

    Args:
        stack: a running stack, on an address that containers reach.
        port: port on which ``sam local start-api`` will answer, on this machine's own address.
    """

    def client(service: str) -> Any:
        make: Any = boto3.client  # overloaded per service name; here it is a parameter
        return make(
            service,
            endpoint_url=stack.endpoint_url,
            region_name=stack.env["AWS_DEFAULT_REGION"],
            aws_access_key_id=stack.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=stack.env["AWS_SECRET_ACCESS_KEY"],
            config=Config(retries={"total_max_attempts": 2}),
        )

    resources = client("cloudformation").describe_stack_resources(StackName=stack.name)["StackResources"]
    functions = client("lambda")
    return {
        resource["LogicalResourceId"]: _for_sam_local(
            functions.get_function_configuration(FunctionName=resource["PhysicalResourceId"]), port
        )
        for resource in resources
        if resource["ResourceType"] == "AWS::Lambda::Function"
    }


def _for_sam_local(configuration: Mapping[str, Any], port: int) -> dict[str, str]:
    variables = dict(configuration.get("Environment", {}).get("Variables", {}))
    if "SIGNET_AUTHORITIES" in variables:
        variables["SIGNET_AUTHORITIES"] += f",127.0.0.1:{port},localhost:{port}"
        variables["SIGNET_BASE_PATH"] = ""
        variables["SIGNET_API_ID"] = SAM_API_ID
    return variables
