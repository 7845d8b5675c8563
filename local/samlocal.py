"""``make sam-local``: the built functions in Lambda's own containers, called as callers and auditors do.

``sam local`` has no tables, queues or buckets: an embedded stack lends them, on the address at which
containers find this machine. The same by hand: docs/operations.md, sam local.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import boto3

from local.build import build_for
from local.command import end_child, tail
from local.drain import drain
from local.errors import StackError
from local.sam_env import DEFAULT_PORT, sam_env
from local.stack import Stack, embedded
from local.tools import HOME, LAMBDA_PYTHON, Report, base_env, sam

_FOLDER: Final = HOME / "sam-local-check"
_IMAGE: Final = f"public.ecr.aws/lambda/python:{LAMBDA_PYTHON}"
_ROUTES: Final = ("/pch/challenge", "/protected", "/compliance/pack")
#: The first call builds SAM's image and starts a container: 43 s were measured on two cores.
_FIRST_CALL_SECONDS: Final = 300.0
_END_SECONDS: Final = 20.0


def check(report: Report) -> None:
    """Run the functions under ``sam local``: a call is let in, the day closed, its pack fetched and verified.

    Raises:
        StackError: there is no Docker engine or no image, or something did not hold; says what to do.
    """
    host = os.environ.get("SIGNET_HOST") or bridge_address()
    os.environ["SIGNET_HOST"] = host  # where the embedded stack listens
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(parents=True)
    template = build_for(LAMBDA_PYTHON, report)
    with embedded("sam-local", report=report) as stack, _serving(stack, template, report) as url:
        _walk(stack, url, report)


def bridge_address() -> str:
    """Return the address of this machine on Docker's bridge.

    Raises:
        StackError: there is no engine to ask.
    """
    subnet = _docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}").strip()
    return str(next(ipaddress.ip_network(subnet).hosts()))


def _docker(*arguments: str) -> str:
    program = shutil.which("docker")
    if program is None:
        raise StackError(
            "sam local needs a Docker engine, and there is no docker: install one, then run this again."
        )
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(
            "sam local needs a Docker engine, and none answers (is dockerd running, may you use it?): "
            f"{(done.stderr or done.stdout).strip()}"
        )
    return done.stdout


def image_options() -> list[str]:
    """Return sam's options for the image: $SIGNET_LAMBDA_IMAGE, AWS's if it is here, else sam pulls AWS's."""
    own = os.environ.get("SIGNET_LAMBDA_IMAGE", "")
    if own:
        _docker("image", "inspect", own)
        return ["--invoke-image", own, "--skip-pull-image"]
    machine = {"aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)
    try:
        _docker("image", "inspect", f"{_IMAGE}-{machine}")
    except StackError:
        return []
    return ["--skip-pull-image"]


@contextmanager
def _serving(stack: Stack, template: Path, report: Report) -> Iterator[str]:
    """Run ``sam local start-api`` for as long as the block takes; yield its address once it answers."""
    port = int(os.environ.get("SIGNET_SAM_PORT") or DEFAULT_PORT)
    variables, log = _FOLDER / "env.json", _FOLDER / "sam-local.log"
    variables.write_text(json.dumps(sam_env(stack, port)))
    command = [str(sam(report)), "local", "start-api", "--template", str(template), "--port", str(port)]
    command += ["--env-vars", str(variables), "--warm-containers", "LAZY", *image_options()]
    command += [
        "--parameter-overrides",
        "Production=false",
        "DemoBackend=true",
        f"PythonRuntime=python{LAMBDA_PYTHON}",
    ]
    report(f"starting sam local on http://127.0.0.1:{port}")
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=base_env(), cwd=_FOLDER, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        url = f"http://127.0.0.1:{port}"
        for route in _ROUTES:
            _warm(process, url + route, log, report)
        yield url
    finally:
        end_child(process, seconds=_END_SECONDS)


def _warm(process: subprocess.Popen[bytes], url: str, log: Path, report: Report) -> None:
    """Call a route until it answers: the container of its function is started by the first call."""
    method = "POST" if url.endswith("/compliance/pack") else "GET"
    started_s = time.monotonic()
    while time.monotonic() - started_s < _FIRST_CALL_SECONDS and process.poll() is None:
        request = urllib.request.Request(url, method=method)  # noqa: S310 - our own address
        try:
            with urllib.request.urlopen(request, timeout=_FIRST_CALL_SECONDS):  # noqa: S310 - our own address
                break
        except urllib.error.HTTPError as error:
            if error.code == 403:  # noqa: PLR2004 - sam local's answer for a refusal: the authorizer ran
                break
            raise StackError(f"{url} answers {error.code} under sam local:\n{tail(log)}") from error
        except OSError:
            time.sleep(0.5)
    else:
        raise StackError(f"sam local did not answer {url}:\n{tail(log)}")
    report(f"{url} answers after {time.monotonic() - started_s:.0f} s")


def _walk(stack: Stack, url: str, report: Report) -> None:
    """Do what the guide says, with the commands that it names."""
    for name, role in (("caller", "caller"), ("auditor", "auditor")):
        key = _FOLDER / f"{name}.pem"
        _signet(stack, "keygen", "--alg", "ed25519", "-o", str(key))
        _signet(stack, "clients", "add", "--key", f"{key}.pub", "--keyid", name, "--role", role)
    _signet(stack, "close", "--stack", stack.name)
    caller = ["--key", str(_FOLDER / "caller.pem"), "--keyid", "caller"]
    answer = json.loads(_signet(stack, "call", f"{url}/protected", *caller, "--json"))
    if answer["status"] != 200:  # noqa: PLR2004 - HTTP's own
        raise StackError(f"a registered caller was answered {answer['status']} under sam local")
    report("a signed call is let in by the authorizer in its container")
    sqs: Any = boto3.client("sqs", endpoint_url=stack.endpoint_url, region_name="us-east-1",
                            aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip  # noqa: S106
    drain(sqs, stack.outputs, report)
    day, pack = datetime.now(UTC).date().isoformat(), _FOLDER / "pack.zip"
    _signet(stack, "close", "--stack", stack.name, "--date", day)
    auditor = ["--key", str(_FOLDER / "auditor.pem"), "--keyid", "auditor", "--url", url]
    _signet(stack, "pack", "--date", day, "-o", str(pack), *auditor)
    _signet(stack, "verify", str(pack))
    report(f"{pack.name}, built in its container, is good ({pack.stat().st_size:,} bytes)")


def _signet(stack: Stack, *arguments: str) -> str:
    program = str(Path(sys.executable).parent / "signet")
    env = {**base_env(), **stack.env}
    done = subprocess.run([program, *arguments], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StackError(
            f"`signet {' '.join(arguments)}` ended with {done.returncode}:\n{done.stderr.strip()}"
        )
    return done.stdout
