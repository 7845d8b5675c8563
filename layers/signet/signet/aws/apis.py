"""The registered APIs in DynamoDB, and Signet's own, whose id no function can be told when it is deployed.

    api#<api id>#<stage>      one registration
    name#<name>               which of them has the name: a name stands for one stage of one API

Here they are read; ``apis_change`` writes them, with operators' credentials only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from signet.aws.permanent import API_PARAMETER, APIS_TABLE
from signet.aws.session import translate_errors
from signet.core.apis import ACCOUNT, API_ID, NAME, OWN_API, RESERVED, STAGE, Api
from signet.core.errors import SignetError
from signet.core.instants import is_uuid7
from signet.core.vocabulary import PayloadKind

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ssm import SSMClient


_NAME: Final = "name#"


class Phase(StrEnum):
    """How far a registration is: only one in force lets requests in, or has challenges."""

    ADDING = "adding"
    IN_FORCE = "in_force"
    REMOVING = "removing"


@dataclass(frozen=True, slots=True)
class Entry:
    """A registration as it is stored.

    Attributes:
        api: what is registered.
        phase: how far it is.
        removal: id of the receipt of its removal; None but for one that is being removed.
    """

    api: Api
    phase: Phase
    removal: str | None = None


@dataclass(frozen=True, slots=True)
class DynamoApiRegistry:
    """Implements ``signet.core.ports.ApiRegistry``; what changes the table is ``apis_change``."""

    client: DynamoDBClient
    table: str

    def find(self, api_id: str, stage: str) -> Api | None:
        """Return the entry, or None (strongly consistent; the caller caches).

        Raises:
            SignetError: ``bad_entry``: it is not what ``add`` stores, so nothing passes by it.
            UnavailableError: the table cannot be read.
        """
        with translate_errors("read the registered APIs", APIS_TABLE):
            found = self.client.get_item(
                TableName=self.table, Key=key_of(place(api_id, stage)), ConsistentRead=True
            )
        item = found.get("Item")
        if not item:
            return None
        entry = decode_entry(item)
        if (entry.api.api_id, entry.api.stage) != (api_id, stage):
            raise damaged(place(api_id, stage))
        return entry.api if entry.phase is Phase.IN_FORCE else None

    def named(self, name: str) -> Api | None:
        """Return the entry with a name, or None; as ``find``.

        Raises:
            SignetError: ``bad_entry``: the name's item or the entry is not what ``add`` stores.
            UnavailableError: the table cannot be read.
        """
        with translate_errors("read the registered APIs", APIS_TABLE):
            found = self.client.get_item(
                TableName=self.table, Key=key_of(_NAME + name), ConsistentRead=True
            ).get("Item")
        if not found:
            return None
        api_id, stage = _parts(found, name)
        api = self.find(api_id, stage)
        if api is not None and api.name != name:
            raise damaged(_NAME + name)
        return api

    def names(self) -> frozenset[str]:
        """Return every name that is taken (strongly consistent; the caller caches).

        Raises:
            UnavailableError: the table cannot be read.
        """
        with translate_errors("list the registered APIs", APIS_TABLE):
            found: set[str] = set()
            asked: dict[str, Any] = {
                "TableName": self.table,
                "ConsistentRead": True,
                "FilterExpression": "begins_with(pk, :name)",
                "ExpressionAttributeValues": {":name": {"S": _NAME}},
                "ProjectionExpression": "pk",
            }
            while True:  # not a paginator, for which the function would have to import botocore
                page = self.client.scan(**asked)
                found.update(item["pk"]["S"].removeprefix(_NAME) for item in page["Items"])
                if "LastEvaluatedKey" not in page:
                    return frozenset(found)
                asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def each(self) -> Iterator[Api]:
        """Yield every entry that is in force, in no particular order.

        Raises:
            SignetError: ``bad_entry``; one is not what ``signet apis add`` stores.
        """
        return (entry.api for entry in self.entries() if entry.phase is Phase.IN_FORCE)

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, in no particular order.

        Raises:
            SignetError: ``bad_entry``; one is not what ``signet apis add`` stores.
        """
        with translate_errors("list the registered APIs", APIS_TABLE):
            for page in self.client.get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True):
                for item in page["Items"]:
                    if is_entry(item):
                        yield decode_entry(item)


def own_api(client: SSMClient, parameter: str, authorities: frozenset[str]) -> Api:
    """Return Signet's own API, whose id an SSM parameter of the stack says.

    A function of the stack cannot have it in its environment: the API names the function, so each would wait
    for the other (``template.yaml``).

    Raises:
        SignetError: ``bad_entry``: the parameter holds no id of an API.
        UnavailableError: it cannot be read.
    """
    with translate_errors("read which API is Signet's own", API_PARAMETER):
        value = client.get_parameter(Name=parameter)["Parameter"].get("Value", "")
    return own_api_of(value, authorities)


def own_api_of(api_id: str, authorities: frozenset[str]) -> Api:
    """Return Signet's own API by its id.

    Raises:
        SignetError: ``bad_entry``: that is no id.
    """
    if not API_ID.fullmatch(api_id):
        raise SignetError("the id of Signet's own API is none; deploy the stack again", code="bad_entry")
    return Api(OWN_API, api_id, "", PayloadKind.REST_V1, "", authorities)


def place(api_id: str, stage: str) -> str:
    """Return the key of a registration."""
    return f"api#{api_id}#{stage}"


def _parts(item: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Return what the item of a name says where its entry is; ids and stages hold no ``#``."""
    try:
        _, api_id, stage = item["place"]["S"].split("#")
    except (KeyError, ValueError) as error:
        raise damaged(_NAME + name) from error
    return api_id, stage


def key_of(pk: str) -> dict[str, Any]:
    """Return a key as DynamoDB takes it."""
    return {"pk": {"S": pk}}


def encode_entry(api: Api, phase: Phase) -> dict[str, Any]:
    """Return the attributes of a registration beside its key."""
    item: dict[str, Any] = {
        "name": {"S": api.name},
        "api_id": {"S": api.api_id},
        "stage": {"S": api.stage},
        "kind": {"S": api.kind.value},
        "account": {"S": api.account},
        "authorities": {"L": [{"S": name} for name in sorted(api.authorities)]},
        "base_paths": {"L": [{"S": path} for path in sorted(api.base_paths)]},
        "phase": {"S": phase.value},
    }
    if api.registration is not None:
        item["registration"] = {"S": api.registration}
    return item


def is_entry(item: Mapping[str, Any]) -> bool:
    """Say whether an item of the table is a registration; others say which one has a name."""
    return bool(item["pk"]["S"].startswith("api#"))


def decode_entry(item: Mapping[str, Any]) -> Entry:
    """Read a registration as it is stored. One without a phase, from before there were any, is in force.

    Raises:
        SignetError: ``bad_entry``.
    """
    try:
        api = Api(
            name=item["name"]["S"],
            api_id=item["api_id"]["S"],
            stage=item["stage"]["S"],
            kind=PayloadKind(item["kind"]["S"]),
            account=item["account"]["S"],
            authorities=frozenset(name["S"] for name in item["authorities"]["L"]),
            base_paths=frozenset(path["S"] for path in item["base_paths"]["L"]),
            registration=item["registration"]["S"] if "registration" in item else None,
        )
        phase = Phase(item["phase"]["S"]) if "phase" in item else Phase.IN_FORCE
        removal = item["removal"]["S"] if "removal" in item else None
    except (KeyError, ValueError) as error:
        raise damaged(item["pk"]["S"]) from error
    if not _can_be(api) or (removal is None) is (phase is Phase.REMOVING):
        raise damaged(item["pk"]["S"])
    return Entry(api, phase, removal)


def _can_be(api: Api) -> bool:
    """Say whether this could have been registered: above all, no other API is called as Signet's own."""
    named = NAME.fullmatch(api.name) and api.name not in RESERVED
    placed = API_ID.fullmatch(api.api_id) and STAGE.fullmatch(api.stage) and ACCOUNT.fullmatch(api.account)
    recorded = api.registration is None or is_uuid7(api.registration)
    return bool(named and placed and api.authorities and recorded)


def damaged(pk: str) -> SignetError:
    """Return the error of an item that no command wrote."""
    return SignetError(
        f"the entry {pk!r} of the registered APIs is damaged: delete that item and the one "
        "of its name from the APIs table, and register the API again",
        code="bad_entry",
    )
