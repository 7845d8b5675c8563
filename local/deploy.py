"""Deploys the built template to an emulator with ``sam deploy``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import boto3
from botocore.config import Config

from local.build import build
from local.command import run
from local.edge import Edge
from local.errors import StackError
from local.server import Server
from local.tools import HOME, PYTHON_VERSION, ROOT, Report, base_env, sam

ARTIFACTS = "signet-artifacts"


def deploy(name: str, server: Server, edge: Edge, report: Report) -> dict[str, str]:
    """Build, wait for the emulator, deploy so that the edge's word counts; return the stack's outputs.

    Raises:
        StackError: one of them failed.
    """
    template = build(report)
    server.wait_until_ready()
    report("deploying the template (sam deploy)")
    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")  # noqa: S106 - the emulator's
    once = Config(retries={"total_max_attempts": 2})
    session.client("s3", endpoint_url=server.endpoint_url, config=once).create_bucket(Bucket=ARTIFACTS)
    keys = session.client("secretsmanager", endpoint_url=server.endpoint_url, config=once)
    edge_secret = keys.create_secret(Name=f"{name}/edge", SecretString=edge.secret)["ARN"]
    edged = {"Authorities": f"{_own_names(server)},{edge.authority}", "EdgeSecretArn": edge_secret}
    _sam_deploy(name, template, server, edged, report)
    client = session.client("cloudformation", endpoint_url=server.endpoint_url, config=once)
    found = client.describe_stacks(StackName=name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
    if "ApiUrl" not in outputs:
        raise StackError(
            f"The deployed stack {name} has no output ApiUrl; its status is {found['StackStatus']}."
        )
    return outputs


def _own_names(server: Server) -> str:
    return f"default,{server.host}:{server.port},localhost:{server.port}"


def _sam_deploy(name: str, template: Path, server: Server, edged: Mapping[str, str], report: Report) -> None:
    program = sam(report)
    parameters = {
        "Environment": "local",
        "Production": "false",
        "PythonRuntime": f"python{PYTHON_VERSION}",
        "Architecture": "arm64" if os.uname().machine in {"arm64", "aarch64"} else "x86_64",
        "EndpointUrl": server.endpoint_url,
        "BasePath": "/_aws/execute-api/{api_id}",
        "LogOrigin": "localhost/signet",
        "PolicyOverlay": "development",  # the API is also called without the edge
        "PolicyRefreshSeconds": "1",
        "DemoBackend": "true",
        "FaultSessions": "true",
        # Each decision of the demo, and of the tests on a stack, is looked for in the log one by one.
        "RefusalReceiptsPerSecond": "1000",
        "BackendServers": "64",
        **edged,
    }
    command: list[str | Path] = [program, "deploy", "--template-file", template, "--stack-name", name]
    command += ["--config-file", ROOT / "samconfig.toml", "--config-env", "local"]
    command += ["--s3-bucket", ARTIFACTS, "--no-progressbar"]
    command += ["--parameter-overrides", *(f"{key}={value}" for key, value in parameters.items())]
    env = base_env() | {"AWS_ENDPOINT_URL": server.endpoint_url}
    run(command, what="sam deploy", env=env, cwd=ROOT, log=HOME / name / "deploy.log")
