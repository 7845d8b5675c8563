"""``signet keys``: the log's signing keys, as it publishes them, and their rotation by an operator."""

# ruff: noqa: PLC0415 - HTTP, AWS and cryptography are loaded when a command runs, not for --help

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from signet.core.errors import KeyFileError, LogError, NotReadyError, UnavailableError
from signet_client.cli.close import PATIENCE_S, invoke, progress
from signet_client.cli.common import (
    InsecureOption,
    JsonOption,
    StackOption,
    UrlOption,
    check_log_id,
    print_facts,
    print_json,
)
from signet_client.cli.verdicts import LogIdOption
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import say

if TYPE_CHECKING:
    from signet.log.keys import KeySet, LogKeys

_KEYS_PATH = "/pch/keys"
_OK, _NOT_FOUND = 200, 404

keys = typer.Typer(
    help="List and rotate the log's signing keys.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the subcommands."""
    app.add_typer(keys, name="keys")


@keys.command("list", short_help="Show the key sets, checked back to the first.")
def list_keys(
    *,
    log_id: LogIdOption = None,
    url: UrlOption = None,
    stack: StackOption = DEFAULT_STACK,
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the key sets a log publishes; each is checked back to the first."""
    if log_id is not None:
        check_log_id(log_id)
    found = fetch(_base_url(url, stack), insecure=insecure)
    if log_id is not None and log_id != found.log_id:
        raise LogError(f"this is the log {found.log_id}, not {log_id}", code="wrong_log")
    if as_json:
        print_json(_as_dict(found))
        return
    print_facts([("origin", found.origin), ("log id", found.log_id)])
    for key_set in found.sets:
        say()
        say(f"set {key_set.n}: signs trees of {_interval(found, key_set)}")
        print_facts([(f"  {key.alg}", key.keyid) for key in key_set.keys])


@keys.command("rotate", short_help="Bring new keys into force now.")
def rotate(*, stack: StackOption = DEFAULT_STACK, as_json: JsonOption = False) -> None:
    """Have the log's writer bring new keys into force now, with an operator's AWS credentials."""
    from signet_client.stack import aws, read_stack

    deployed = read_stack(stack)
    # The number makes it safe to run twice: a set that is there already changes nothing.
    following = fetch(deployed.output("ApiUrl")).sets[-1].n + 1
    with progress("rotating the log's keys"):
        function = deployed.output("SthCronFunction")
        outcome = invoke(aws("lambda", patience_s=PATIENCE_S), function, {"rotate": following})
    if as_json:
        print_json(outcome)
    elif following in outcome.get("rotated", []):
        say(f"key set {following} signs from now on")
    elif outcome.get("rotation_pending"):
        say(f"key set {following} is announced and comes into force with the next day")
    else:
        say(f"another run was faster: key set {outcome.get('key_set')} signs from now on")


def fetch(base_url: str, *, insecure: bool = False) -> LogKeys:
    """Return the keys that a deployment publishes, checked back to the first set.

    Raises:
        NotReadyError: the log has none yet.
        LogError: what it publishes does not hold together.
        UnavailableError: it answers with something else.
    """
    from signet.log.keys import parse_keys
    from signet_client.web import make_client

    with make_client(verify=not insecure, timeout=30) as client:
        answer = client.get(base_url.rstrip("/") + _KEYS_PATH)
    if answer.status_code == _NOT_FOUND:
        raise NotReadyError("the log has no keys yet; its first run makes them: signet close")
    if answer.status_code != _OK:
        raise UnavailableError(f"the log's keys cannot be had now ({answer.status_code}); try again later")
    try:
        return parse_keys(answer.content)
    except KeyFileError as error:
        raise LogError(f"the keys that the log publishes do not hold: {error}", code=error.code) from error


def _base_url(url: str | None, stack: str) -> str:
    if url is not None:
        return url
    from signet_client.stack import read_stack

    return read_stack(stack).output("ApiUrl")


def _interval(log: LogKeys, key_set: KeySet) -> str:
    later = log.sets[key_set.n + 1 :]
    until = f"below {later[0].from_tree_size}" if later else "more, until the next set"
    return f"{key_set.from_tree_size} leaves and {until}"


def _as_dict(log: LogKeys) -> dict[str, Any]:
    sets = [
        {
            "n": key_set.n,
            "from_tree_size": key_set.from_tree_size,
            "keys": [{"alg": key.alg.value, "keyid": key.keyid} for key in key_set.keys],
        }
        for key_set in log.sets
    ]
    return {"origin": log.origin, "log_id": log.log_id, "sets": sets}
