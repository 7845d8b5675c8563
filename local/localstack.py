"""``make localstack``: LocalStack's own CloudFormation takes the template and plans the stack.

It runs from its packages, without Docker, so it has no DynamoDB (which it would download) and makes nothing:
what is shown is that its engine reads the built template, transforms it and resolves every reference, for the
plain deployment and for one with all that is optional.
"""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.config import Config

from local.build import build
from local.command import end_child, run, tail
from local.errors import StackError
from local.tools import HOME, ROOT, Report, base_env, localstack_python, sam

_START_SECONDS: Final = 120.0
_END_SECONDS: Final = 10.0
_ARTIFACTS: Final = "signet-artifacts"
_PLAIN: Final = {
    "Environment": "local",
    "Production": "false",
    "BasePath": "/_aws/execute-api/{api_id}",
    "PolicyOverlay": "development",
}
_OPTIONAL: Final = {
    "DomainName": "api.example.com",
    "CertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/0",
    "TruststoreUri": "s3://trust/callers.pem",
    "WebAclArn": "arn:aws:wafv2:us-east-1:000000000000:regional/webacl/a/0",
    "EdgeSecretArn": "arn:aws:secretsmanager:us-east-1:000000000000:secret:edge-000000",
    "AlarmTopicArn": "arn:aws:sns:us-east-1:000000000000:alarms",
    "AccessLogs": "true",
    "DemoBackend": "true",
    "FaultSessions": "true",
    "KeyStore": "kms",
    "PlanQuota": "1000",
    "SinkConcurrency": "4",
    "MaximumDelaySeconds": "120",
}
PLANS: Final[Mapping[str, Mapping[str, str]]] = {
    "signet-plain": _PLAIN,
    "signet-optional": {**_PLAIN, **_OPTIONAL},
}


def ask(report: Report) -> None:
    """Start LocalStack, let it plan every deployment in ``PLANS``, and end it.

    Raises:
        StackError: it cannot run here, or refuses the template; says which and why.
    """
    folder = HOME / "localstack"
    folder.mkdir(parents=True, exist_ok=True)
    python, template = localstack_python(report), build(report)
    with _running(python, folder, report) as endpoint_url:
        session = boto3.Session("test", "test", region_name="us-east-1")
        once = Config(retries={"total_max_attempts": 2}, read_timeout=120)
        session.client("s3", endpoint_url=endpoint_url, config=once).create_bucket(Bucket=_ARTIFACTS)
        client = session.client("cloudformation", endpoint_url=endpoint_url, config=once)
        for name, parameters in PLANS.items():
            _plan(name, template, endpoint_url, parameters, report)
            report(f"{name}: LocalStack plans {_planned(client, name)} resources")


@contextmanager
def _running(python: Path, folder: Path, report: Report) -> Iterator[str]:
    """Run LocalStack on a free port of this machine for as long as the block takes; yield its endpoint."""
    port = _free_port()
    endpoint_url = f"http://127.0.0.1:{port}"
    report(f"starting LocalStack on {endpoint_url}")
    env = base_env() | {
        "HOME": str(folder),
        "LOCALSTACK_VOLUME_DIR": str(folder / "volume"),
        "FILESYSTEM_ROOT": str(folder),
        "GATEWAY_LISTEN": f"127.0.0.1:{port}",
        "DNS_ADDRESS": "0",  # it would take a privileged port
        "DISABLE_EVENTS": "1",  # it reports its use otherwise
        "SKIP_SSL_CERT_DOWNLOAD": "1",
    }
    log = folder / "localstack.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(python), "-m", "localstack.runtime.main"],
            env=env,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait_until_ready(process, endpoint_url, log)
        yield endpoint_url
    finally:
        end_child(process, seconds=_END_SECONDS)


def _wait_until_ready(process: subprocess.Popen[bytes], endpoint_url: str, log: Path) -> None:
    deadline_s = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline_s:
        try:
            with urllib.request.urlopen(f"{endpoint_url}/_localstack/health", timeout=5) as answer:  # noqa: S310 - our own address
                json.load(answer)
                return
        except (OSError, ValueError):
            time.sleep(0.2)
    raise StackError(f"LocalStack did not start:\n{tail(log)}")


def _plan(
    name: str, template: Path, endpoint_url: str, parameters: Mapping[str, str], report: Report
) -> None:
    """Create the change set of a new stack, as ``sam deploy`` does, and leave it at that."""
    command: list[str | Path] = [sam(report), "deploy", "--template-file", template, "--stack-name", name]
    command += ["--config-file", ROOT / "samconfig.toml", "--config-env", "local"]
    command += ["--s3-bucket", _ARTIFACTS, "--no-progressbar", "--no-execute-changeset"]
    given = {"EndpointUrl": endpoint_url, **parameters}
    command += ["--parameter-overrides", *(f"{key}={value}" for key, value in given.items())]
    env = base_env() | {"AWS_ENDPOINT_URL": endpoint_url}
    run(command, what=f"sam deploy of {name} to LocalStack", env=env, cwd=ROOT, log=HOME / "localstack.log")


def _planned(client: Any, name: str) -> int:
    """Return how many resources the change set of a stack would make.

    Raises:
        StackError: it would make none, so nothing was planned.
    """
    [summary] = client.list_change_sets(StackName=name)["Summaries"]
    plan = client.describe_change_set(ChangeSetName=summary["ChangeSetId"])
    changes = len(plan["Changes"])
    if plan["Status"] != "CREATE_COMPLETE" or not changes:
        raise StackError(f"LocalStack's change set of {name} is {plan['Status']}, with {changes} changes.")
    return changes


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
