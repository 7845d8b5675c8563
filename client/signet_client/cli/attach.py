"""``signet attach``: print what puts a registered API behind the authorizer, for the tool it is made with."""

# ruff: noqa: PLC0415 - AWS is loaded when the command runs, not for --help

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from signet_client.cli.common import StackOption
from signet_client.stack import DEFAULT_STACK
from signet_client.terminal import say_block

if TYPE_CHECKING:
    from signet_client.attach.attachment import Attachment


class Tool(StrEnum):
    """What an API is deployed with."""

    SAM = "sam"
    CLOUDFORMATION = "cloudformation"
    OPENAPI = "openapi"
    CDK = "cdk"
    TERRAFORM = "terraform"


def register(app: typer.Typer) -> None:
    """Add the subcommand."""
    app.command("attach", short_help="Print what puts a registered API behind the authorizer.")(attach)


def attach(
    *,
    tool: Annotated[Tool, typer.Option("--print", help="What the API is deployed with.")],
    api: Annotated[str, typer.Option("--api", help="Its name, as registered (signet apis list).")],
    resource: Annotated[
        str, typer.Option(help="What its template calls the API: a logical id, a Terraform name.")
    ] = "Api",
    stack: StackOption = DEFAULT_STACK,
) -> None:
    """Print the snippet to paste into an API's own template; nothing is changed."""
    say_block(snippet(tool, read_attachment(stack, api, resource)).rstrip("\n"))


def snippet(tool: Tool, attachment: Attachment) -> str:
    """Return the snippet for a tool."""
    from signet_client.attach import cdk, cloudformation, openapi, sam, terraform

    modules = {
        Tool.SAM: sam,
        Tool.CLOUDFORMATION: cloudformation,
        Tool.OPENAPI: openapi,
        Tool.CDK: cdk,
        Tool.TERRAFORM: terraform,
    }
    text: str = modules[tool].snippet(attachment)
    return text


def read_attachment(stack: str, name: str, resource: str) -> Attachment:
    """Return what a deployed stack says of itself, and of a registered API.

    Raises:
        NotFoundError: there is no such stack, or no such API.
        UsageError: the resource has no name that a template can have.
    """
    from signet.core.errors import NotFoundError
    from signet_client.attach.attachment import Attachment, check_resource
    from signet_client.cli.apis import registry
    from signet_client.stack import read_stack

    check_resource(resource)
    found = read_stack(stack)
    for api in registry(stack).each():
        if api.name == name:
            return Attachment(
                api, found.name, found.output("AuthorizerArn"), found.output("ChallengeUrl"), resource
            )
    raise NotFoundError(f"no API is registered under the name {name!r}; add it with signet apis add")
