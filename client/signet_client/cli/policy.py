"""``signet policy``: look for mistakes in a policy, put one in force, and see which one is."""

# ruff: noqa: PLC0415 - Rego and AWS are loaded when a command runs, not for --help

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signet_client.cli.common import REFUSED, JsonOption, StackOption, print_facts, print_json
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import say

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from signet.aws.lock import DynamoLockStore
    from signet.aws.objects import S3ObjectStore
    from signet.policy.finding import Finding
    from signet.policy.register import Pushed
    from signet_client.stack import Stack

# The shipped policy takes a second or two; each further route a fraction of one.
_CHECK_LIMIT_S = 120
# A slip of the finger must leave numbers to come: they end at 2^53 - 1.
_MAX_ABOVE = 1_000_000_000
_LABELS = {"n": "version", "bundle_sha256": "bundle", "pushed_at": "pushed at"}

policy = typer.Typer(help="Check, push and show policies.", no_args_is_help=True, rich_markup_mode=None)

PathArgument = Annotated[
    Path, typer.Argument(exists=True, file_okay=False, help="Folder with the .rego and .json files.")
]
OverlayOption = Annotated[
    str, typer.Option("--overlay", help="Folder in it whose files take the place of those of the same name.")
]


def register(app: typer.Typer) -> None:
    """Add the subcommands."""
    app.add_typer(policy, name="policy")


@policy.command("check")
def check(path: PathArgument, *, overlay: OverlayOption = "", as_json: JsonOption = False) -> None:
    """Look for mistakes; nothing is sent anywhere."""
    from signet.policy.bundle import policy_bundle_sha256, read_folder

    files = read_folder(path, overlay)
    findings = _findings(files)
    if as_json:
        print_json(
            {
                "bundle_sha256": policy_bundle_sha256(files),
                "files": list(files),
                "findings": [{"file": f.file, "line": f.line, "message": f.message} for f in findings],
            }
        )
    elif findings:
        for finding in findings:
            say(str(finding))
    else:
        print_facts([("good", ", ".join(files)), ("bundle", policy_bundle_sha256(files))])
    if findings:
        raise typer.Exit(REFUSED)


@policy.command("push", short_help="Check a policy, then put it in force.")
def push(
    path: PathArgument,
    *,
    overlay: OverlayOption = "",
    above: Annotated[
        int,
        typer.Option(
            "--above",
            min=0,
            max=_MAX_ABOVE,
            help="Make its number larger than this, after an old one came back.",
        ),
    ] = 0,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Check a policy, then put it in force without a deployment; the change goes on record."""
    from signet.aws.queue import SqsReceiptQueue
    from signet.policy.bundle import read_folder
    from signet.policy.push import push as put_in_force
    from signet_client.stack import aws, read_stack

    files = read_folder(path, overlay)
    found = read_stack(stack)
    done = put_in_force(
        files,
        register=_register(found),
        objects=_objects(found),
        queue=SqsReceiptQueue(aws("sqs"), found.output("ReceiptQueueUrl")),
        now_ms=time.time_ns() // 1_000_000,
        above=above,
        check=_findings,
    )
    within_s = int(found.output("PolicyRefreshSeconds"))
    facts = done.pushed.version.to_object()
    if as_json:
        print_json(
            {**facts, "moved": done.moved, "files": list(done.pushed.files), "effective_within_s": within_s}
        )
    elif done.moved:
        print_facts(
            [
                ("pushed", facts["bundle_sha256"]),
                ("version", facts["n"]),
                ("in force", f"everywhere within {within_s} seconds"),
            ]
        )
    else:
        again = "; its receipt was sent again" if done.sent else ""
        say(f"this policy is in force since {facts['pushed_at']}{again}")


@policy.command("show")
def show(*, stack: StackOption = DEFAULT_STACK, as_json: JsonOption = False) -> None:
    """Say which policy is in force, since when, and what was before."""
    from signet.policy.register import Pushed
    from signet_client.stack import read_stack

    found = read_stack(stack)
    value = _register(found).read()
    pushed = None if value is None else Pushed.decode(value)
    in_force = _deployed(_objects(found)) if pushed is None else _pushed(pushed)
    if as_json:
        print_json(in_force)
        return
    history = in_force.pop("history", [])
    print_facts([(_LABELS.get(name, name), _shown(value)) for name, value in in_force.items()])
    for entry in history:
        say(f"before: version {entry['n']}, {entry['pushed_at']}, {entry['bundle_sha256']}")


def _findings(files: Mapping[str, bytes]) -> tuple[Finding, ...]:
    """Check in a process of its own: on some rules rego-cpp aborts, or does not come back."""
    from multiprocessing import get_context

    from signet.policy.finding import Finding

    processes = get_context("spawn")
    results, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=_check_apart, args=(files, sender), daemon=True)
    process.start()
    sender.close()  # or its end would not show when the process dies
    try:
        if results.poll(_CHECK_LIMIT_S):
            findings: tuple[Finding, ...] = results.recv()
            return findings
    except EOFError:
        sentence = "the Rego interpreter aborts on these rules; undo what was added last (such as `with`)"
        return (Finding(sentence),)
    finally:
        process.kill()
        process.join()
    sentence = (
        f"the check was not done after {_CHECK_LIMIT_S} s, and an authorizer has milliseconds: "
        "look for rules that run through large sets"
    )
    return (Finding(sentence),)


def _check_apart(files: Mapping[str, bytes], results: Connection) -> None:
    from signet.policy.check import check

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())  # rego-cpp complains there
    results.send(check(files))


def _pushed(pushed: Pushed) -> dict[str, Any]:
    return {
        "source": "pushed",
        **pushed.version.to_object(),
        "files": list(pushed.files),
        "history": [version.to_object() for version in pushed.history],
    }


def _deployed(objects: S3ObjectStore) -> dict[str, Any]:
    """Return what came with the deployment, as the log's newest head names it (None before the first)."""
    head = objects.get("sth/latest.json")
    known = {} if head is None else json.loads(head)
    return {"source": "deployed", "bundle_sha256": known.get("policy_bundle_sha256"), "history": []}


def _register(stack: Stack) -> DynamoLockStore:
    from signet.aws.lock import DynamoLockStore
    from signet.policy.register import REGISTER
    from signet_client.stack import aws

    return DynamoLockStore(aws("dynamodb"), stack.output("LogTable"), REGISTER)


def _objects(stack: Stack) -> S3ObjectStore:
    from signet.aws.objects import S3ObjectStore
    from signet_client.stack import aws

    return S3ObjectStore(aws("s3"), stack.output("LogBucket"))


def _shown(value: object) -> object:
    if value is None:
        return "not known before the log's first head (signet close)"
    return ", ".join(map(str, value)) if isinstance(value, list) else value
