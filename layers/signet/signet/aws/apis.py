"""The registered APIs in DynamoDB, and Signet's own, whose id no function can be told when it is deployed.

    api#<api id>#<stage>      one registration
    name#<name>               which of them has the name: a name stands for one stage of one API

Both items of a registration are written together, or not at all. Written only with operators' credentials.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from signet.aws.permanent import API_PARAMETER, APIS_TABLE
from signet.aws.session import error_code, translate_errors
from signet.core.apis import ACCOUNT, API_ID, NAME, OWN_API, RESERVED, STAGE, Api
from signet.core.errors import NotFoundError, SignetError, UsageError
from signet.core.vocabulary import PayloadKind

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_ssm import SSMClient


@dataclass(frozen=True, slots=True)
class DynamoApiRegistry:
    """Implements ``signet.core.ports.ApiRegistry``, and what the operator's command needs beside it."""

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
                TableName=self.table, Key=_key(_place(api_id, stage)), ConsistentRead=True
            )
        item = found.get("Item")
        api = decode_entry(item) if item else None
        if api is not None and (api.api_id, api.stage) != (api_id, stage):
            raise _damaged(_place(api_id, stage))
        return api

    def named(self, name: str) -> Api | None:
        """Return the entry with a name, or None; as ``find``.

        Raises:
            SignetError: ``bad_entry``: the name's item or the entry is not what ``add`` stores.
            UnavailableError: the table cannot be read.
        """
        with translate_errors("read the registered APIs", APIS_TABLE):
            found = self.client.get_item(
                TableName=self.table, Key=_key(f"name#{name}"), ConsistentRead=True
            ).get("Item")
        if not found:
            return None
        api_id, stage = _parts(found, name)
        api = self.find(api_id, stage)
        if api is not None and api.name != name:
            raise _damaged(f"name#{name}")
        return api

    def add(self, api: Api) -> None:
        """Store a new entry.

        Raises:
            UsageError: the name is taken, or this stage of this API is registered already.
        """
        entry = {**_key(_place(api.api_id, api.stage)), **_encode(api)}
        name = {**_key(f"name#{api.name}"), "place": {"S": _place(api.api_id, api.stage)}}
        self._write(
            [
                {
                    "Put": {
                        "TableName": self.table,
                        "Item": item,
                        "ConditionExpression": "attribute_not_exists(pk)",
                    }
                }
                for item in (entry, name)
            ],
            UsageError(
                f"the name {api.name!r} is taken, or {api.api_id}/{api.stage} is registered already: "
                "signet apis list shows what is; signet apis remove frees a name"
            ),
        )

    def remove(self, name: str) -> Api:
        """Delete the entry with a name, and return what it was.

        Raises:
            NotFoundError: no API has that name.
        """
        unknown = NotFoundError(f"no API is registered under the name {name!r}; signet apis list shows them")
        found = next((api for api in self.each() if api.name == name), None)
        if found is None:
            raise unknown
        keys = (_place(found.api_id, found.stage), f"name#{name}")
        self._write(
            [
                {
                    "Delete": {
                        "TableName": self.table,
                        "Key": _key(pk),
                        "ConditionExpression": "attribute_exists(pk)",
                    }
                }
                for pk in keys
            ],
            unknown,
        )
        return found

    def each(self) -> Iterator[Api]:
        """Yield every entry, in no particular order.

        Raises:
            SignetError: ``bad_entry``; one is not what ``add`` stores.
        """
        with translate_errors("list the registered APIs", APIS_TABLE):
            for page in self.client.get_paginator("scan").paginate(TableName=self.table, ConsistentRead=True):
                for item in page["Items"]:
                    if is_entry(item):
                        yield decode_entry(item)

    def _write(self, items: list[Any], refused: SignetError) -> None:
        with translate_errors("write the registered APIs", APIS_TABLE):
            try:
                self.client.transact_write_items(TransactItems=items)
            except ClientError as error:
                if error_code(error) == "TransactionCanceledException" and _condition_failed(error):
                    raise refused from error
                raise


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


def _condition_failed(error: ClientError) -> bool:
    reasons: Any = error.response.get("CancellationReasons", [])
    return any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons)


def _place(api_id: str, stage: str) -> str:
    return f"api#{api_id}#{stage}"


def _parts(item: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Return what the item of a name says where its entry is; ids and stages hold no ``#``."""
    try:
        _, api_id, stage = item["place"]["S"].split("#")
    except (KeyError, ValueError) as error:
        raise _damaged(f"name#{name}") from error
    return api_id, stage


def _key(pk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}}


def _encode(api: Api) -> dict[str, Any]:
    item: dict[str, Any] = {
        "name": {"S": api.name},
        "api_id": {"S": api.api_id},
        "stage": {"S": api.stage},
        "kind": {"S": api.kind.value},
        "account": {"S": api.account},
        "authorities": {"L": [{"S": name} for name in sorted(api.authorities)]},
        "base_paths": {"L": [{"S": path} for path in sorted(api.base_paths)]},
    }
    if api.registration is not None:
        item["registration"] = {"S": api.registration}
    return item


def is_entry(item: Mapping[str, Any]) -> bool:
    """Say whether an item of the table is a registration; others say which one has a name."""
    return bool(item["pk"]["S"].startswith("api#"))


def decode_entry(item: Mapping[str, Any]) -> Api:
    """Read a registration as it is stored.

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
    except (KeyError, ValueError) as error:
        raise _damaged(item["pk"]["S"]) from error
    if not _can_be(api):
        raise _damaged(item["pk"]["S"])
    return api


def _can_be(api: Api) -> bool:
    """Say whether this could have been registered: above all, no other API is called as Signet's own."""
    named = NAME.fullmatch(api.name) and api.name not in RESERVED
    placed = API_ID.fullmatch(api.api_id) and STAGE.fullmatch(api.stage) and ACCOUNT.fullmatch(api.account)
    return bool(named and placed and api.authorities)


def _damaged(pk: str) -> SignetError:
    return SignetError(
        f"the entry {pk!r} of the registered APIs is damaged: delete that item and the one "
        "of its name from the APIs table, and register the API again",
        code="bad_entry",
    )
