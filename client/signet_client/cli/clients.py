"""``signet clients``: the registry of callers, changed with an operator's AWS credentials only."""

# ruff: noqa: PLC0415 - AWS and cryptography are loaded when a command runs, not for --help

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from signet.core.client import KEYID, LABEL_NAME, LABEL_VALUE, MAX_LABELS, MAX_ROLES, ROLE, Client
from signet.core.encoding import encode_base64
from signet.core.errors import KeyFileError, UsageError
from signet.core.vocabulary import METHOD_NAMES, Role
from signet_client.cli.common import JsonOption, StackOption, print_facts, print_json
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import say, say_table

if TYPE_CHECKING:
    from signet.aws.registry import DynamoClientRegistry

_ROUTE = re.compile(rf"(?:{'|'.join(METHOD_NAMES)}) /[\x21-\x7e]*")
_CACHE_S = 60

clients = typer.Typer(help="Register, list and revoke callers.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the subcommands."""
    app.add_typer(clients, name="clients")


def registry(stack: str) -> DynamoClientRegistry:
    """Return the client registry of a deployed stack."""
    from signet.aws.registry import DynamoClientRegistry
    from signet_client.stack import aws, read_stack

    table = read_stack(stack).output("ClientsTable")
    return DynamoClientRegistry(aws("dynamodb"), table)


@clients.command("add")
def add(
    *,
    key: Annotated[Path, typer.Option("--key", help="Public key file (FILE.pub of signet keygen).")],
    keyid: Annotated[str | None, typer.Option("--keyid", help="Key id; by default the key's own.")] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            "--role", help="caller (default), auditor, or a word that policies name; may be repeated."
        ),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label",
            metavar="NAME=VALUE",
            help="What policies read of it, such as tenant=acme; may be repeated.",
        ),
    ] = None,
    route: Annotated[
        list[str] | None,
        typer.Option("--route", help='Route it may call, such as "GET /protected"; may be repeated.'),
    ] = None,
    not_before: Annotated[str | None, typer.Option(help="First moment, ISO 8601; UTC if unsaid.")] = None,
    not_after: Annotated[str | None, typer.Option(help="Last moment, ISO 8601; UTC if unsaid.")] = None,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Register a public key."""
    entry = build_entry(
        key,
        keyid=keyid,
        roles=role or [Role.CALLER],
        labels=label or [],
        routes=route or [],
        not_before=_seconds(not_before, "--not-before"),
        not_after=_seconds(not_after, "--not-after"),
    )
    registry(stack).put(entry)
    if as_json:
        print_json(as_dict(entry))
        return
    print_facts(
        [
            ("registered", entry.keyid),
            ("algorithm", entry.alg),
            ("roles", ", ".join(sorted(entry.roles))),
            *([("labels", ", ".join(_labelled(entry)))] if entry.labels else []),
            ("routes", ", ".join(entry.routes) or "every route its roles allow"),
        ]
    )


@clients.command("list")
def list_clients(
    *,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """List the registered callers."""
    rows = [as_dict(entry) for entry in sorted(registry(stack).list(), key=lambda entry: entry.keyid)]
    if as_json:
        print_json(rows)
    elif not rows:
        say("no client is registered; add one with signet clients add")
    else:
        _print_table(rows)


@clients.command("revoke")
def revoke(
    keyid: Annotated[str, typer.Argument(help="Key id to revoke; it stays on record.")],
    *,
    stack: StackOption = DEFAULT_STACK,
    as_json: JsonOption = False,
) -> None:
    """Revoke a key: within a minute it can no longer be used."""
    if not KEYID.fullmatch(keyid):
        raise UsageError(f"{keyid!r} is no key id; signet clients list shows those there are")
    registry(stack).revoke(keyid)
    if as_json:
        print_json({"keyid": keyid, "status": "revoked", "effective_within_s": _CACHE_S})
    else:
        say(f"revoked {keyid}; every authorizer knows within {_CACHE_S} seconds")


def build_entry(
    key: Path,
    *,
    keyid: str | None,
    roles: Sequence[str],
    routes: Sequence[str],
    labels: Sequence[str] = (),
    not_before: int | None = None,
    not_after: int | None = None,
) -> Client:
    """Check what an operator wants to register.

    Raises:
        KeyFileError: the file holds no usable public key.
        UsageError: key id, role, label, route or period make no sense.
    """
    from signet.crypto import suites
    from signet.crypto.keyfiles import load_public
    from signet.crypto.keyforms import MAX_KEY_FILE_BYTES

    try:
        with key.open("rb") as file:
            alg, public_key = load_public(file.read(MAX_KEY_FILE_BYTES + 1))
    except KeyFileError as error:
        raise KeyFileError(f"{key}: {error}") from error
    derived = suites.key_id(alg, public_key)
    if keyid is not None and "+" in alg and keyid != derived:
        # A hybrid key is one unit: its id names the pair, so that halves cannot be exchanged.
        raise UsageError(f"the key id of a hybrid key is {derived}; leave --keyid out")
    if keyid is not None and not KEYID.fullmatch(keyid):
        raise UsageError(f"{keyid!r} is no key id: use up to 128 letters, digits and ._:+/=@-")
    _check_roles(roles)
    for route in routes:
        if not _ROUTE.fullmatch(route):
            raise UsageError(f'{route!r} is no route; write a method and a path, such as "GET /protected/*"')
    if not_before is not None and not_after is not None and not_after < not_before:
        raise UsageError("--not-after lies before --not-before; the key would never be valid")
    return Client(
        keyid=keyid or derived,
        alg=alg,
        public_key=public_key,
        roles=frozenset(roles),
        routes=tuple(routes),
        not_before=not_before,
        not_after=not_after,
        labels=_labels(labels),
    )


def _check_roles(roles: Sequence[str]) -> None:
    for role in roles:
        if not ROLE.fullmatch(role):
            raise UsageError(
                f"{role!r} is no role: use up to 63 letters, digits and ._:/@-, such as write:orders"
            )
    if len(set(roles)) > MAX_ROLES:
        raise UsageError(f"a client has at most {MAX_ROLES} roles")


def _labels(stated: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Read ``NAME=VALUE``."""
    found: dict[str, str] = {}
    for text in stated:
        name, _, value = text.partition("=")
        if not LABEL_NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name of a label: a letter a-z, then up to 62 of a-z, 0-9 and _.-"
            )
        if not LABEL_VALUE.fullmatch(value):
            raise UsageError(
                f"the label {name} has no value of 1 to 256 printable characters: write {name}=VALUE"
            )
        if name in found:
            raise UsageError(f"the label {name} stands twice; a label has one value")
        found[name] = value
    if len(found) > MAX_LABELS:
        raise UsageError(f"a client has at most {MAX_LABELS} labels")
    return tuple(sorted(found.items()))


def _labelled(entry: Client) -> list[str]:
    return [f"{name}={value}" for name, value in entry.labels]


def as_dict(entry: Client) -> dict[str, Any]:
    """Return an entry as JSON; times in ISO 8601. ``signet verify --callers`` reads a list of them."""
    return {
        "keyid": entry.keyid,
        "alg": entry.alg,
        "public_key": encode_base64(entry.public_key),
        "status": entry.status.value,
        "roles": sorted(entry.roles),
        "labels": dict(entry.labels),
        "routes": list(entry.routes),
        "not_before": _iso(entry.not_before),
        "not_after": _iso(entry.not_after),
    }


def _seconds(text: str | None, option: str) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is no time; give one such as 2026-01-31T12:00:00Z") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _iso(seconds: int | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _print_table(rows: list[dict[str, Any]]) -> None:
    cells = [
        [
            *(row["keyid"], row["alg"], row["status"], ",".join(row["roles"])),
            ",".join(f"{name}={value}" for name, value in row["labels"].items()) or "-",
            ",".join(row["routes"]) or "*",
            _period(row),
        ]
        for row in rows
    ]
    header = ["KEY ID", "ALGORITHM", "STATUS", "ROLES", "LABELS", "ROUTES", "VALID"]
    say_table(header, cells)


def _period(row: dict[str, Any]) -> str:
    start, end = row["not_before"], row["not_after"]
    return "always" if start is None and end is None else f"{start or ''}/{end or ''}"
