"""``signet policy``: look for mistakes in a policy, put one in force, and see which one is."""

# ruff: noqa: PLC0415 - Rego and AWS are loaded when a command runs, not for --help

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signet.core.apis import OWN_API
from signet.core.errors import UsageError
from signet_client.cli.common import REFUSED, JsonOption, StackOption, places, print_facts, print_json
from signet_client.cli.past import PackOption, asked_about, decided_otherwise, tell, told
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import say

if TYPE_CHECKING:
    from signet.aws.lock import DynamoLockStore
    from signet.aws.objects import S3ObjectStore
    from signet.policy.register import Pushed
    from signet_client.declared_routes import Declared
    from signet_client.stack import Stack

_OWN_ROUTE = "POST /compliance/pack"
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
def check(
    path: PathArgument,
    *,
    overlay: OverlayOption = "",
    template: Annotated[
        list[Path] | None,
        typer.Option(
            "--template",
            exists=True,
            dir_okay=False,
            help="SAM or CloudFormation template whose routes the policy's are held against.",
        ),
    ] = None,
    openapi: Annotated[
        list[Path] | None,
        typer.Option(
            "--openapi", exists=True, dir_okay=False, help="OpenAPI document, likewise; all may be repeated."
        ),
    ] = None,
    api_id: Annotated[
        list[str] | None, typer.Option("--api-id", help="Deployed REST or HTTP API, likewise; asks AWS.")
    ] = None,
    stage: Annotated[
        list[str] | None, typer.Option("--stage", help="Its stage; one for each --api-id, in that order.")
    ] = None,
    api: Annotated[
        str,
        typer.Option("--api", metavar="NAME", help="Whose routes they are; by default Signet's own API's."),
    ] = OWN_API,
    as_json: JsonOption = False,
) -> None:
    """Look for mistakes and run the policy's tests; without --api-id nothing is asked of any server."""
    from signet.policy.bundle import policy_bundle_sha256, read_folder, read_tests
    from signet_client.policy_check import against_routes, check_apart

    declared = _declared(template or [], openapi or [], places(api_id or [], stage or []), api)
    if declared is None and api != OWN_API:
        raise UsageError("--api says whose routes are looked at: add --template, --openapi or --api-id")
    files = read_folder(path, overlay)
    checked = check_apart(files, read_tests(path, overlay))
    findings = list(checked.findings)
    notices: list[str] = []
    if declared is not None:
        more, notices = against_routes(files, declared, api)
        findings += more
    if as_json:
        print_json(
            {
                "bundle_sha256": policy_bundle_sha256(files),
                "files": list(files),
                "tests": checked.tests,
                "findings": [{"file": f.file, "line": f.line, "message": f.message} for f in findings],
                "notices": notices,
            }
        )
    else:
        for line in (*map(str, findings), *(f"notice: {notice}" for notice in notices)):
            say(line)
        if not findings:
            facts = [("good", ", ".join(files)), ("bundle", policy_bundle_sha256(files))]
            print_facts([*facts, *([("tests", f"{checked.tests} hold")] if checked.tests else [])])
    if findings:
        raise typer.Exit(REFUSED)


@policy.command("eval", short_help="Say how a policy decides on a request, and why.")
def evaluate(
    path: PathArgument,
    *,
    input_file: Annotated[
        Path | None,
        typer.Option(
            "--input",
            exists=True,
            dir_okay=False,
            help="JSON object with members of the input; it needs a route; the rest is filled in.",
        ),
    ] = None,
    pack: PackOption = None,
    receipt: Annotated[
        str | None, typer.Option("--receipt", metavar="ID", help="Receipt in --pack, in place of --input.")
    ] = None,
    overlay: OverlayOption = "",
    as_json: JsonOption = False,
) -> None:
    """Print verdict, reasons and the rules whose condition holds; nothing is asked of any server."""
    from dataclasses import asdict

    from signet.policy.bundle import read_folder
    from signet.policy.explain import explain

    if input_file is not None and pack is None and receipt is None:
        stated = _stated(input_file)
    elif input_file is None and pack is not None and receipt is not None:
        stated = asked_about(pack, receipt)
    else:
        raise UsageError("say what is asked about: --input FILE, or --pack PACK with --receipt ID")
    found = explain(read_folder(path, overlay), stated)
    if as_json:
        print_json(asdict(found))
    else:
        say(found.action)
        for reason in found.reasons:
            say(f"reason: {reason}")
        for rule in found.fired:
            say(f"holds: {rule}")


@policy.command("diff", short_help="Say which requests two policies decide otherwise.")
def diff(
    before: PathArgument, after: PathArgument, *, pack: PackOption = None, as_json: JsonOption = False
) -> None:
    """Ask two policies about the cases of both, and about each route with the values that they name.

    With --pack, also about each request of a day whose transcript the pack has.
    """
    from dataclasses import asdict

    from signet.policy.bundle import read_folder, read_tests
    from signet.policy.cases import read_cases
    from signet.policy.explain import differences

    read = [read_cases(read_tests(path)) for path in (before, after)]
    if unread := [str(finding) for _, findings in read for finding in findings]:
        raise UsageError("; ".join(unread))
    cases = [case for found_cases, _ in read for case in found_cases]
    old, new = read_folder(before), read_folder(after)
    found = [*differences(old, new, tuple(cases))]
    past = decided_otherwise(pack, old, new) if pack else None
    if as_json:
        listed = [asdict(one) for one in found]
        print_json(listed if past is None else {"found": listed, "past": told(*past)})
        return
    for one in found:
        say(f"{one.what}: {one.before} → {one.after}")
        if one.input is not None:
            say(f"  asked: {json.dumps(one.input)}")
    if past is not None:
        tell(*past)
    elif not found:
        say("no request was found that they decide otherwise")


def _stated(path: Path) -> Mapping[str, Any]:
    from signet.policy.rego import SourceError, parse_json

    try:
        stated = parse_json(str(path), path.read_bytes())
    except SourceError as error:
        raise UsageError(str(error)) from error
    if not isinstance(stated, dict):
        raise UsageError(f"{path} is no JSON object with members of the input")
    return stated


def _declared(
    templates: list[Path], documents: list[Path], apis: list[tuple[str, str]], api: str
) -> Declared | None:
    """Return the routes that were named, together; None if none were."""
    from signet_client.declared_routes import Declared, merged
    from signet_client.deployed_routes import read_deployed
    from signet_client.openapi_routes import read_openapi
    from signet_client.template_routes import read_template

    found = [read_template(path) for path in templates]
    found += [read_openapi(path) for path in documents]
    found += [read_deployed(*place) for place in apis]
    if not found:
        return None
    # Every policy rules Signet's own route, which stands in Signet's template and in no other's.
    own = [] if templates or api != OWN_API else [Declared({_OWN_ROUTE: True})]
    together = merged((*found, *own))
    return replace(together, source=merged(found).source)


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
    from signet.policy.bundle import read_folder, read_tests
    from signet.policy.push import push as put_in_force
    from signet_client.policy_check import check_apart
    from signet_client.stack import aws, read_stack

    files, tests = read_folder(path, overlay), read_tests(path, overlay)
    found = read_stack(stack)
    done = put_in_force(
        files,
        register=_register(found),
        objects=_objects(found),
        queue=SqsReceiptQueue(aws("sqs"), found.output("ReceiptQueueUrl")),
        now_ms=time.time_ns() // 1_000_000,
        above=above,
        check=lambda pushed: check_apart(pushed, tests).findings,
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
                ("in force", f"everywhere within {within_s} s"),
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
