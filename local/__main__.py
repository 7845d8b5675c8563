"""``python -m local up|down|status|env|sam-env|metrics|validate|localstack|sam-local``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from local.command import run
from local.environment import isolate
from local.errors import StackError
from local.localstack import ask as ask_localstack
from local.metrics import DEFAULT_PORT as DEFAULT_METRICS_PORT
from local.metrics import serve
from local.sam_env import DEFAULT_PORT, sam_env
from local.samlocal import check as check_sam_local
from local.stack import DEFAULT_NAME, Stack, down, find, names, say, up
from local.tools import HOME, ROOT, Report, base_env, sam
from signet_client.terminal import say as tell
from signet_client.terminal import say_block


def main() -> int:
    """Run one command; return the exit code."""
    isolate()
    try:
        return _run(_parse())
    except StackError as error:
        say_block(f"error: {error}", err=True)
    except OSError as error:  # a folder that cannot be written to, a disk that is full
        tell(f"error: {error.filename or HOME}: {error.strerror or error}", err=True)
    except KeyboardInterrupt:
        tell("interrupted; everything was stopped", err=True)
        return 130
    return 1


def _run(arguments: argparse.Namespace) -> int:
    name: str = arguments.name
    match arguments.command:
        case "up":
            _explain(up(name))
        case "down":
            for each in names() if arguments.all else [name]:
                tell(f"stopped {each}" if down(each) else f"no stack named {each} was running")
        case "status":
            return _status()
        case "env":
            return _env(name)
        case "sam-env":
            return _sam_env(name, arguments.port)
        case "metrics":
            return _metrics(name, arguments.port)
        case "validate":
            _validate()
        case _:
            _CHECKS[arguments.command](say)
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local", description="The embedded stack.")
    parser.add_argument(
        "--name", default=os.environ.get("SIGNET_STACK") or DEFAULT_NAME, help="name of the stack"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start a stack and keep it")
    stop = commands.add_parser("down", help="stop it and remove its traces")
    stop.add_argument("--all", action="store_true", help="every stack of this clone")
    commands.add_parser("status", help="which stacks run")
    commands.add_parser("env", help="print what a shell needs to use it")
    variables = commands.add_parser("sam-env", help="print what `sam local` needs as --env-vars")
    variables.add_argument("--port", type=int, default=DEFAULT_PORT, help="of `sam local start-api`")
    exporter = commands.add_parser("metrics", help="serve its metrics in Prometheus' format")
    exporter.add_argument("--port", type=int, default=DEFAULT_METRICS_PORT, help="of /metrics on 127.0.0.1")
    commands.add_parser("validate", help="check the templates with sam validate --lint")
    commands.add_parser("localstack", help="let LocalStack's CloudFormation plan the stack")
    commands.add_parser("sam-local", help="run the functions in Lambda's containers, and call them")
    return parser.parse_args()


def _explain(stack: Stack) -> None:
    suffix = "" if stack.name == DEFAULT_NAME else f"SIGNET_STACK={stack.name} "
    rows = [
        (key, value) for key, value in stack.outputs.items() if key.endswith("Url") and "Receipt" not in key
    ]
    tell()
    tell(f"The stack {stack.name} is up:")
    tell()
    for key, value in [("AWS endpoint", stack.endpoint_url), *rows]:
        tell(f"  {key:<14}{value}")
    tell()
    tell(f"Use it:   source .local/{stack.name}/env; source .venv/bin/activate   (for signet and boto3)")
    tell("Next:     README.md, Hands on")
    tell(f"Its log:  .local/{stack.name}/emulator.log")
    tell(f"Stop it:  {suffix}make down")


def _status() -> int:
    running = [stack for stack in map(find, names()) if stack is not None]
    for stack in running:
        tell(f"{stack.name}  {stack.outputs['ApiUrl']}  (process {stack.pid})")
    if not running:
        tell("no stack is running; start one with `make up`")
    return 0


def _env(name: str) -> int:
    _running(name)
    say_block((HOME / name / "env").read_text().removesuffix("\n"))
    return 0


def _sam_env(name: str, port: int) -> int:
    stack = _running(name)
    if stack.endpoint_url.startswith("http://127."):
        raise StackError(
            f"The stack {name} answers on {stack.endpoint_url}, which containers do not reach: "
            "start it with SIGNET_HOST=172.17.0.1, or the address that `docker0` has."
        )
    say_block(json.dumps(sam_env(stack, port), indent=1))
    return 0


def _metrics(name: str, port: int) -> int:
    with serve(_running(name), port) as server:
        tell(f"http://127.0.0.1:{server.server_port}/metrics  (Ctrl-C ends it)")
        with suppress(KeyboardInterrupt):
            server.serve_forever()
    return 0


def _running(name: str) -> Stack:
    stack = find(name)
    if stack is None:
        raise StackError(f"no stack named {name} is running; start it with `make up`.")
    return stack


def _validate() -> None:
    program = sam(say)
    for template in ("template.yaml", "edge/template.yaml", "examples/orders/attached.yaml"):
        command: list[str | Path] = [program, "validate", "--lint", "--template-file", ROOT / template]
        what = f"sam validate --lint of {template}"
        run(command, what=what, env=base_env(), cwd=ROOT, log=HOME / "validate.log")
        tell(f"{template}: sam validate --lint finds nothing")


#: Checks that need more than this machine's Python: each starts what it needs, and ends it.
_CHECKS: Final[Mapping[str, Callable[[Report], None]]] = {
    "localstack": ask_localstack,
    "sam-local": check_sam_local,
}


if __name__ == "__main__":
    sys.exit(main())
