"""What template.yaml declares of functions' environments and of tables, on in-process moto."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

import pytest

from tests.template.cloudformation import source, with_parameters

REGION: Final = "eu-central-1"
#: What Ref says of resources; a queue's URL and a secret's ARN are known once they are made.
NAMES = {
    "ApisTable": "apis",
    "BreakersTable": "breakers",
    "BundlesTable": "bundles",
    "ClientsTable": "clients",
    "LogBucket": "log",
    "LogTable": "registers",
    "NoncesTable": "nonces",
    "PackFunction": "",  # none: packs are built when they are asked for
    "ReceiptsTable": "receipts",
    "TranscriptsBucket": "transcripts",
}
_TABLE = ("AttributeDefinitions", "BillingMode", "KeySchema")
_template = cache(source)


def create_tables(client: Any, *tables: str) -> None:
    """Create tables by their logical names, empty."""
    for table in tables:
        properties = _template()["Resources"][table]["Properties"]
        client.create_table(TableName=NAMES[table], **{part: properties[part] for part in _TABLE})


def become(
    patch: pytest.MonkeyPatch, *functions: str, refs: Mapping[str, str] = NAMES, **parameters: str
) -> None:
    """Give this process the environment of functions, of several at once if they run in it together.

    Args:
        patch: takes it back.
        functions: their logical names.
        refs: what Ref says of resources that are not in ``NAMES``.
        parameters: of the deployment; the others have their defaults.
    """
    account(patch)
    for function in functions:
        for name, value in _variables(function, {**NAMES, **refs}, parameters).items():
            patch.setenv(name, value)
    patch.setenv("POWERTOOLS_TRACE_DISABLED", "true")  # no service takes traces here


def account(patch: pytest.MonkeyPatch) -> None:
    """Set what says which account and region are meant, so that it is moto's."""
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
        patch.setenv(name, REGION)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "test")
    for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
        patch.delenv(name, raising=False)


def _variables(function: str, refs: Mapping[str, str], parameters: Mapping[str, str]) -> dict[str, str]:
    template = _template()
    resolve = with_parameters(template, **parameters)
    known = {**refs, "AWS::StackName": "test", "AWS::Region": REGION, "AWS::URLSuffix": "amazonaws.com"}

    def text(value: Any) -> str:
        match resolve(value):
            case str() as plain:
                return plain
            case {"Ref": name}:
                return known[name]
            case {"Fn::Sub": str() as pattern}:
                return re.sub(r"\$\{(.+?)\}", lambda found: text({"Ref": found[1]}), pattern)
            case other:
                raise AssertionError(f"the tests cannot resolve this: {other}")

    shared = template["Globals"]["Function"]["Environment"]["Variables"]
    own = template["Resources"][function]["Properties"]["Environment"]["Variables"]
    return {name: text(value) for name, value in resolve({**shared, **own}).items()}
