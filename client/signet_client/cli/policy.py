"""``signet policy``: look for mistakes in a policy, put one in force, and see which one is."""

# ruff: noqa: PLC0415 - Rego and AWS are loaded when a command runs, not for --help

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from signet_client.cli.common import REFUSED, JsonOption, print_facts, print_json

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
    from signet.policy.check import check as findings_of

    files = read_folder(path, overlay)
    findings = findings_of(files)
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
            typer.echo(finding)
    else:
        print_facts([("good", ", ".join(files)), ("bundle", policy_bundle_sha256(files))])
    if findings:
        raise typer.Exit(REFUSED)
