"""Changes to the registered APIs: each a conditional write, so that of several operators at once one wins.

    none ── reserve ──▶ adding ── put_in_force ──▶ in force ── retire ──▶ removing ── erase ──▶ none
                           └───────────────── retire ─────────────────────▲

Between two steps the receipt goes out (``signet_client.registering``). Both items of a registration are
written together, or not at all.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from signet.aws.apis import DynamoApiRegistry, Entry, Phase, encode_entry, key_of, place
from signet.aws.permanent import APIS_TABLE
from signet.aws.session import error_code, translate_errors
from signet.core.errors import UsageError

if TYPE_CHECKING:
    from signet.core.apis import Api


class ApiChanges(DynamoApiRegistry):
    """What operators' commands do to the table."""

    def entry(self, name: str) -> Entry | None:
        """Return what is registered under a name, in force or not; None if nothing is."""
        return next((entry for entry in self.entries() if entry.api.name == name), None)

    def reserve(self, api: Api) -> None:
        """Store a new entry that is not in force yet.

        Raises:
            UsageError: the name is taken, or this stage of this API is registered already.
        """
        at = place(api.api_id, api.stage)
        entry = {**key_of(at), **encode_entry(api, Phase.ADDING)}
        name = {**key_of(f"name#{api.name}"), "place": {"S": at}}
        condition = "attribute_not_exists(pk)"
        self._write(
            [
                {"Put": {"TableName": self.table, "Item": item, "ConditionExpression": condition}}
                for item in (entry, name)
            ],
            f"the name {api.name!r} is taken, or {api.api_id}/{api.stage} is registered already: "
            "signet apis list shows what is; signet apis remove frees a name",
        )

    def renew(self, api: Api, registration: str) -> Api:
        """Give an entry that is not in force yet the id of another receipt, and return it.

        Raises:
            UsageError: it was changed meanwhile.
        """
        self._update(Entry(api, Phase.ADDING), "registration", registration)
        return replace(api, registration=registration)

    def put_in_force(self, api: Api) -> None:
        """Let an entry count whose receipt was sent.

        Raises:
            UsageError: it was changed meanwhile.
        """
        self._update(Entry(api, Phase.ADDING), "phase", Phase.IN_FORCE.value)

    def retire(self, entry: Entry, removal: str) -> Entry:
        """Let an entry count no more; ``removal`` is the id of the receipt of that.

        Raises:
            UsageError: it was changed meanwhile.
        """
        self._update(entry, "removal", removal, phase=Phase.REMOVING)
        return Entry(entry.api, Phase.REMOVING, removal)

    def erase(self, entry: Entry) -> None:
        """Delete an entry that does not count any more.

        Raises:
            UsageError: it was changed meanwhile.
        """
        api = entry.api
        there = self._is(entry)
        keys = (place(api.api_id, api.stage), f"name#{api.name}")
        conditions: tuple[dict[str, Any], ...] = (there, {"ConditionExpression": "attribute_exists(pk)"})
        self._write(
            [
                {"Delete": {"TableName": self.table, "Key": key_of(pk), **condition}}
                for pk, condition in zip(keys, conditions, strict=True)
            ],
            _meanwhile(api),
        )

    def _update(self, entry: Entry, member: str, value: str, phase: Phase | None = None) -> None:
        api, condition = entry.api, self._is(entry)
        sets = ["#member = :value"]
        names = {"#member": member, **condition.pop("ExpressionAttributeNames")}
        values = {":value": {"S": value}, **condition.pop("ExpressionAttributeValues")}
        if phase is not None:
            sets.append("#phase = :next")
            values[":next"] = {"S": phase.value}
        key = key_of(place(api.api_id, api.stage))
        expression = {"UpdateExpression": f"SET {', '.join(sets)}", **condition}
        named = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
        update = {"TableName": self.table, "Key": key, **expression, **named}
        self._write([{"Update": update}], _meanwhile(api))

    @staticmethod
    def _is(entry: Entry) -> dict[str, Any]:
        """Return the condition that an entry is stored as it was read."""
        parts = ["#name = :name", "#phase = :phase"]
        names = {"#name": "name", "#phase": "phase"}
        values = {":name": {"S": entry.api.name}, ":phase": {"S": entry.phase.value}}
        if entry.phase is Phase.IN_FORCE:  # entries from before there were phases have none
            parts[1] = "(#phase = :phase OR attribute_not_exists(#phase))"
        for name, value in (("registration", entry.api.registration), ("removal", entry.removal)):
            names[f"#{name}"] = name
            if value is None:
                parts.append(f"attribute_not_exists(#{name})")
            else:
                parts.append(f"#{name} = :{name}")
                values[f":{name}"] = {"S": value}
        return {
            "ConditionExpression": " AND ".join(parts),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }

    def _write(self, items: list[Any], refused: str) -> None:
        with translate_errors("write the registered APIs", APIS_TABLE):
            try:
                self.client.transact_write_items(TransactItems=items)
            except ClientError as error:
                if error_code(error) == "TransactionCanceledException" and _condition_failed(error):
                    raise UsageError(refused) from error
                raise


def _meanwhile(api: Api) -> str:
    return f"the registration of {api.name!r} was changed meanwhile: look at signet apis list, and try again"


def _condition_failed(error: ClientError) -> bool:
    reasons: Any = error.response.get("CancellationReasons", [])
    return any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons)
