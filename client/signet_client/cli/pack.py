"""``signet pack``: fetch the compliance pack of a closed day."""

# ruff: noqa: PLC0415 - HTTP, AWS and cryptography are loaded when the command runs, not for --help

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from signet.core.errors import PackError, UnavailableError
from signet_client.cli.close import reported
from signet_client.cli.common import (
    REFUSED,
    BindingOption,
    CertKeyOption,
    CertOption,
    InsecureOption,
    JsonOption,
    KeyIdOption,
    KeyOption,
    StackOption,
    UrlOption,
    check_date,
    check_output,
    print_facts,
    print_json,
    required,
)
from signet_client.cli.report import Log, Report, Tls, send
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import say

_PACK_PATH = "/compliance/pack"
_OFFER = {"url": str, "sha256": str, "size": int}


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("pack", short_help="Fetch the compliance pack of a closed day.")(pack)


def pack(
    *,
    date: Annotated[str, typer.Option("--date", help="Day of the pack (YYYY-MM-DD); it must be closed.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write.")],
    include_evidence: Annotated[
        bool, typer.Option("--include-evidence", help="With the evidence that callers put on record.")
    ] = False,
    include_transcripts: Annotated[
        bool,
        typer.Option(
            "--include-transcripts", help="With what callers signed: only then allows can count as proven."
        ),
    ] = False,
    key: KeyOption = None,
    keyid: KeyIdOption = None,
    url: UrlOption = None,
    stack: StackOption = DEFAULT_STACK,
    binding: BindingOption = "none",
    cert: CertOption = None,
    cert_key: CertKeyOption = None,
    insecure: InsecureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Ask for a day's compliance pack with an auditor's key, and download it."""
    from signet_client.auth import PCHAuth, check_binding, read_key
    from signet_client.building import Waiting
    from signet_client.download import download
    from signet_client.places import Places

    check_date(date)
    check_output(output)
    check_binding(binding, cert)
    private = read_key(required(key, "--key", "SIGNET_KEY"))
    log = Log()
    auth = PCHAuth(private, keyid or private.key_id, binding=binding, certificate=cert, observer=log.note)
    wanted: dict[str, Any] = {"date": date}
    wanted |= {"include_evidence": True} if include_evidence else {}
    wanted |= {"include_transcripts": True} if include_transcripts else {}
    address = _pack_url(url, stack)
    places = Places.around(address)
    waiting = Waiting(places, insecure=insecure)
    while True:
        report = send(
            auth,
            log,
            method="POST",
            url=address,
            body=json.dumps(wanted).encode(),
            headers={"content-type": "application/json", "accept": "application/json"},
            insecure=insecure,
            tls=Tls(binding, cert, cert_key),
        )
        if report.response.status_code != HTTPStatus.ACCEPTED:
            break
        waiting.wait(report.response)
    offer = _offer(report)
    source = places.check(offer["url"])
    size = download(
        source,
        output,
        sha256=offer["sha256"],
        size=offer["size"],
        insecure=insecure,
        accept=lambda file: _check_day(file, date),
    )
    facts = {"file": str(output), "date": date, "bytes": size, "sha256": offer["sha256"]}
    if as_json:
        print_json(facts)
    else:
        print_facts([*facts.items(), ("next", f"signet verify {output} --date {date}")])


def _check_day(file: BinaryIO, date: str) -> None:
    """Hold what came to the day that was asked for; everything else is for ``signet verify``.

    Raises:
        PackError: it is of another day (``other_day``), or no pack.
    """
    from signet.pack.prove import read_signed_head

    found = read_signed_head(file).date.isoformat()
    if found != date:
        reason = f"is of {found}, but the pack of {date} was asked for; nothing was kept"
        raise PackError(reason, file="sth.json", code="other_day")


def _pack_url(base: str | None, stack: str) -> str:
    if base is not None:
        return base.rstrip("/") + _PACK_PATH
    from signet_client.stack import read_stack

    return read_stack(stack).output("PackUrl")


def _offer(report: Report) -> dict[str, Any]:
    """Return the JSON object that says where the pack is.

    Raises:
        SignetError: the function reports an error.
        UnavailableError: it answered with something else.
    """
    try:
        body = report.response.json()
    except (ValueError, RecursionError):
        body = None
    if isinstance(body, dict) and "error" in body and report.decision in {"allow", None}:
        raise reported(body)
    if not report.ok:
        say(f"signet: {report.sentence}", err=True)
        raise typer.Exit(REFUSED)
    if not isinstance(body, dict) or any(type(body.get(name)) is not kind for name, kind in _OFFER.items()):
        raise UnavailableError(
            "the server's answer does not say where the pack is; is --url the API's base URL?"
        )
    return body
