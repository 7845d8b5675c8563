"""``signet apis``: which APIs Signet stands in front of, changed with an operator's AWS credentials only."""

# ruff: noqa: PLC0415 - AWS is loaded when a command runs, not for --help

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signet.core.apis import ACCOUNT, API_ID, DEFAULT_AUTHORITY, NAME, RESERVED, STAGE, Api
from signet.core.errors import Denied, UsageError
from signet.core.target import check_authority, check_path
from signet.core.vocabulary import PayloadKind
from signet_client.cli.common import JsonOption, StackOption, print_facts, print_json
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import say, say_table

if TYPE_CHECKING:
    from signet.aws.apis import DynamoApiRegistry, Entry
    from signet_client.registering import Registering

_CACHE_S = 60
_BASE_PATH = re.compile(r"/[^/].*[^/]|/[^/]")

apis = typer.Typer(
    help="Register, list and remove the APIs that Signet guards.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the subcommands."""
    app.add_typer(apis, name="apis")


def registry(stack: str) -> DynamoApiRegistry:
    """Return the registered APIs of a deployed stack."""
    from signet.aws.apis import DynamoApiRegistry
    from signet_client.stack import aws, read_stack

    return DynamoApiRegistry(aws("dynamodb"), read_stack(stack).output("ApisTable"))


def registering(stack: str) -> Registering:
    """Return what changes the registered APIs of a deployed stack, and puts that on record."""
    from signet.aws.apis_change import ApiChanges
    from signet.aws.queue import SqsReceiptQueue
    from signet_client.attached import forbid, permit
    from signet_client.registering import Registering
    from signet_client.stack import aws, read_stack

    found = read_stack(stack)
    return Registering(
        ApiChanges(aws("dynamodb"), found.output("ApisTable")),
        SqsReceiptQueue(aws("sqs"), found.output("ReceiptQueueUrl")),
        lambda api: permit(stack, api),
        lambda name: forbid(stack, name),
        os.urandom,
    )


@apis.command("add")
def add(
    name: Annotated[str, typer.Argument(help="What policy, receipts and breaker call it: orders.")],
    *,
    api_id: Annotated[str, typer.Option("--api-id", help="What API Gateway calls it: a1b2c3d4e5.")],
    stage: Annotated[str, typer.Option(help="The stage that is guarded; $default for an HTTP API's.")],
    kind: Annotated[
        PayloadKind, typer.Option(help="What its authorizer is sent: rest, or the payload of an HTTP API.")
    ] = PayloadKind.REST_V1,
    account: Annotated[
        str | None, typer.Option(help="Account it is in, 12 digits; by default the credentials'.")
    ] = None,
    authority: Annotated[
        list[str] | None,
        typer.Option(help="Host name it answers under; by default API Gateway's own. May be repeated."),
    ] = None,
    base_path: Annotated[
        list[str] | None,
        typer.Option(help="Base path it is mapped under on those names: v1. May be repeated."),
    ] = None,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Register an API on record, and let its gateway ask this stack's authorizer.

    If it fails half-way, run it again as it was.
    """
    from signet_client.attached import caller_account

    api = build_api(
        name,
        api_id=api_id,
        stage=stage,
        kind=kind,
        account=account or caller_account(),
        authorities=authority or [DEFAULT_AUTHORITY],
        base_paths=base_path or [],
    )
    api = registering(stack).add(api, now_ms=time.time_ns() // 1_000_000)
    if as_json:
        print_json(as_dict(api))
        return
    print_facts(
        [
            ("registered", api.name),
            ("api", f"{api.api_id}, stage {api.stage}, {api.kind.value}, account {api.account}"),
            ("answers under", ", ".join(sorted(api.authorities))),
            ("base paths", ", ".join(sorted(api.base_paths)) or "any"),
            ("receipt", api.registration),
            ("in force", f"within {_CACHE_S} seconds"),
            ("next", f"list its routes in the policy, under config.apis.{api.name}.routes"),
        ]
    )


@apis.command("list")
def list_apis(*, stack: StackOption = DEFAULT_STACK, as_json: JsonOption = False) -> None:
    """List the registered APIs."""
    entries = sorted(registry(stack).entries(), key=lambda entry: entry.api.name)
    rows = [_as_row(entry) for entry in entries]
    if as_json:
        print_json(rows)
    elif not rows:
        say("no API is registered; add one with signet apis add")
    else:
        _print_table(rows)


@apis.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="Name of the API.")],
    *,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Remove an API on record: within a minute no request to it passes.

    If it fails half-way, run it again.
    """
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name of an API; signet apis list shows those there are")
    removed = registering(stack).remove(name, now_ms=time.time_ns() // 1_000_000)
    if as_json:
        print_json({**as_dict(removed), "effective_within_s": _CACHE_S})
    else:
        say(f"removed {name}; every authorizer knows within {_CACHE_S} seconds, and refuses its requests")


def build_api(
    name: str,
    *,
    api_id: str,
    stage: str,
    kind: PayloadKind,
    account: str,
    authorities: Iterable[str],
    base_paths: Iterable[str],
) -> Api:
    """Check what an operator wants to register.

    Raises:
        UsageError: a name, id, authority or base path is none.
    """
    if not NAME.fullmatch(name) or name in RESERVED:
        taken = f"; {', '.join(sorted(RESERVED))} are Signet's own" if name in RESERVED else ""
        raise UsageError(f"{name!r} is no name for an API: up to 32 of a-z, 0-9 and -, a letter first{taken}")
    if not API_ID.fullmatch(api_id):
        raise UsageError(f"{api_id!r} is no id of an API; it is the first part of its execute-api name")
    if not STAGE.fullmatch(stage) or stage == "authorizers":  # which the permission to ask would match
        raise UsageError(f"{stage!r} is no stage; an HTTP API's default one is called $default")
    if not ACCOUNT.fullmatch(account):
        raise UsageError(f"{account!r} is no AWS account; it has 12 digits")
    return Api(
        name,
        api_id,
        stage,
        kind,
        account,
        frozenset(map(_authority, authorities)),
        frozenset(map(_mapped, base_paths)),
    )


def as_dict(api: Api) -> dict[str, Any]:
    """Return an entry as JSON."""
    return {
        "name": api.name,
        "api_id": api.api_id,
        "stage": api.stage,
        "kind": api.kind.value,
        "account": api.account,
        "authorities": sorted(api.authorities),
        "base_paths": sorted(api.base_paths),
        "registration": api.registration,
    }


def _as_row(entry: Entry) -> dict[str, Any]:
    return {**as_dict(entry.api), "phase": entry.phase.value}


def _authority(name: str) -> str:
    try:
        return check_authority(name.lower())
    except Denied as error:
        raise UsageError(f"--authority {name!r} is no host name with an optional port") from error


def _mapped(path: str) -> str:
    found = f"/{path.strip('/')}"
    try:
        if not _BASE_PATH.fullmatch(found):
            raise UsageError(f"--base-path {path!r} is empty; leave it out where there is no mapping")
        return check_path(found)
    except Denied as error:
        raise UsageError(f"--base-path {path!r} is no path; write it as in --base-path v1") from error


def _print_table(rows: list[dict[str, Any]]) -> None:
    cells = [
        [r["name"], r["api_id"], r["stage"], r["kind"], r["account"], ",".join(r["authorities"]),
         ",".join(r["base_paths"]) or "*", r["phase"].replace("_", " ")]
        for r in rows
    ]  # fmt: skip
    header = ["NAME", "API", "STAGE", "KIND", "ACCOUNT", "AUTHORITIES", "BASE PATHS", "IS"]
    say_table(header, cells)
