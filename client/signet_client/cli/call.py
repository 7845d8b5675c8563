"""``signet call``: one signed request, and what became of it."""

# ruff: noqa: PLC0415 - HTTP and cryptography are loaded when the command runs, not for --help

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer

from signet.core.errors import UsageError
from signet_client.cli.common import (
    REFUSED,
    BindingOption,
    CertKeyOption,
    CertOption,
    InsecureOption,
    JsonOption,
    KeyIdOption,
    KeyOption,
    print_json,
    required,
)
from signet_client.cli.report import Log, Tls, send
from signet_client.cli.strangers import silence_told, strangers_told
from signet_client.terminal import say

#: A method or the name of a field (RFC 9110 section 5.6.2).
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: Follow from the content.
_COMPUTED = frozenset({"content-length", "transfer-encoding"})


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("call", short_help="Send one signed request.")(call)


def call(
    url: Annotated[str, typer.Argument(help="URL to call, or a path below SIGNET_URL.")],
    *,
    method: Annotated[
        str | None, typer.Option("-X", "--method", help="GET, or POST if there is data.")
    ] = None,
    data: Annotated[str | None, typer.Option("--data", "-d", help="Content to send; @FILE reads it.")] = None,
    header: Annotated[
        list[str] | None, typer.Option("-H", "--header", help='Header field "Name: value"; may be repeated.')
    ] = None,
    key: KeyOption = None,
    keyid: KeyIdOption = None,
    alg: Annotated[str | None, typer.Option("--alg", help="Suite the key must be of.")] = None,
    binding: BindingOption = "none",
    cert: CertOption = None,
    cert_key: CertKeyOption = None,
    evidence: Annotated[
        Path | None, typer.Option("--evidence", help="File with a JSON object to put on record.")
    ] = None,
    mode: Annotated[str, typer.Option("--mode", help="auto, inline or detached.")] = "auto",
    challenge_url: Annotated[
        str | None, typer.Option("--challenge-url", help="Where challenges are handed out, if not found.")
    ] = None,
    api: Annotated[
        str | None, typer.Option("--api", help="Name of the API there (signet apis list); not Signet's own.")
    ] = None,
    base_url: Annotated[str | None, typer.Option("--base-url", envvar="SIGNET_URL", hidden=True)] = None,
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Send one signed request and print the server's decision and answer."""
    from signet_client.auth import PCHAuth, check_binding, read_key

    check_binding(binding, cert)
    private = read_key(required(key, "--key", "SIGNET_KEY"), alg)
    log = Log()
    auth = PCHAuth(
        private,
        keyid or private.key_id,
        binding=binding,
        certificate=cert,
        evidence=None if evidence is None else read_evidence(evidence),
        mode=mode,
        challenge_url=challenge_url,
        api=api,
        observer=log.note,
    )
    body = _content(data)
    with silence_told(), strangers_told(log.answers, challenge_url):
        report = send(
            auth,
            log,
            method=_method(method, body),
            url=_absolute(url, base_url),
            body=body,
            headers=_fields(header or [], body),
            insecure=insecure,
            tls=Tls(binding, cert, cert_key),
        )
    facts = {"keyid": keyid or private.key_id, "alg": private.alg, "binding": binding}
    if as_json:
        print_json({**report.as_dict(), **facts})
    else:
        report.show(facts)
    if not report.ok:
        if not as_json:
            say(f"signet: {report.sentence}", err=True)
        raise typer.Exit(REFUSED)


def read_evidence(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        UsageError: it holds something else.
    """
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} does not hold JSON that can be read: {error}") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path} holds no JSON object; evidence is one object with named members")
    return value


def _content(data: str | None) -> bytes | None:
    if data is None:
        return None
    # fsencode: as the shell gave it, also what is no UTF-8.
    return Path(data[1:]).read_bytes() if data.startswith("@") else os.fsencode(data)


def _method(given: str | None, body: bytes | None) -> str:
    if given is None:
        return "GET" if body is None else "POST"
    if not _TOKEN.fullmatch(given):
        raise UsageError(f"{given!r} is no method; give one such as GET, POST or DELETE")
    return given.upper()


def _fields(given: list[str], body: bytes | None) -> dict[str, str]:
    fields: dict[str, str] = {}
    for text in given:
        name, colon, value = text.partition(":")
        if not colon or not name.strip() or not text.isascii() or not text.isprintable():
            raise UsageError(f'{text!r} is no header field; write "Name: value" in visible ASCII')
        if name.strip().lower() in _COMPUTED or not _TOKEN.fullmatch(name.strip()):
            raise UsageError(f"{name.strip()!r} cannot be given as a header field; leave it out")
        fields[name.strip().lower()] = value.strip()
    if body is not None and "content-type" not in fields:
        fields["content-type"] = "application/json" if _is_json(body) else "application/octet-stream"
    return fields


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True


def _absolute(url: str, base: str | None) -> str:
    if not url.startswith("/"):
        if "://" not in url:
            raise UsageError(
                f"{url!r} is neither a URL with http:// or https:// nor a path that begins with '/'"
            )
        return url
    if base is None:
        raise UsageError(f"{url!r} is only a path; give a whole URL, or set SIGNET_URL")
    return base.rstrip("/") + url
