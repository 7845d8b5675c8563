"""Adds and removes an API so that nothing counts that is not on record. Each step can be repeated.

    add      reserve the name → permission → receipt ``api.added`` → in force
    remove   in force no more → receipt ``api.removed`` → permission taken back → name free

A registration lets nothing in before its receipt is in the queue, and the removal's receipt goes out after it
has ended. If a step fails, the entry stays as far as it came, and the same command goes on there: with the
same receipt, whose id is stored in the entry, or with a new one where the first is a day old.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from signet.aws.apis import Phase
from signet.core.errors import NotFoundError, UsageError
from signet.core.instants import UUID7_RANDOM_BYTES, uuid7
from signet.receipts import registration

if TYPE_CHECKING:
    from signet.aws.apis_change import ApiChanges
    from signet.core.apis import Api
    from signet.core.ports import ReceiptQueue


@dataclass(frozen=True, slots=True)
class Registering:
    """Changes which APIs are registered.

    Attributes:
        entries: the table.
        queue: takes the receipts.
        permit: lets the API's gateway ask the authorizer; repeated, it changes nothing.
        forbid: takes that back, by the API's name; repeated, it changes nothing.
        random: source of unpredictable bytes.
    """

    entries: ApiChanges
    queue: ReceiptQueue
    permit: Callable[[Api], None]
    forbid: Callable[[str], None]
    random: Callable[[int], bytes]

    def add(self, api: Api, *, now_ms: int) -> Api:
        """Register an API and put it on record; return it with the id of its receipt.

        Goes on where an earlier call with the same API ended.

        Raises:
            UsageError: name or stage are taken; or the permission cannot be given.
            UnavailableError: table or queue cannot be reached.
        """
        begun = self._begun(api)
        if begun is None:
            api = replace(api, registration=self._draw(now_ms))
            self.entries.reserve(api)
        else:
            api = begun
            if not registration.may_be_sent(_id(api), now_ms):
                api = self.entries.renew(api, self._draw(now_ms))
        self.permit(api)
        self.queue.send(registration.added(api, _id(api)))
        self.entries.put_in_force(api)
        return api

    def remove(self, name: str, *, now_ms: int) -> Api:
        """Remove an API and put that on record; return what it was.

        Goes on where an earlier call ended. Of one whose addition did not end both receipts are sent: the
        first may be in the log.

        Raises:
            NotFoundError: no API has that name.
            UsageError: the permission cannot be taken back.
            UnavailableError: table or queue cannot be reached.
        """
        entry = self.entries.entry(name)
        if entry is None:
            raise NotFoundError(f"no API is registered under the name {name!r}; signet apis list shows them")
        if entry.phase is Phase.ADDING and registration.may_be_sent(_id(entry.api), now_ms):
            self.queue.send(registration.added(entry.api, _id(entry.api)))
        if entry.removal is None or not registration.may_be_sent(entry.removal, now_ms):
            entry = self.entries.retire(entry, self._draw(now_ms))
        self.queue.send(registration.removed(entry.api, entry.removal or ""))
        self.forbid(name)
        self.entries.erase(entry)
        return entry.api

    def _begun(self, api: Api) -> Api | None:
        """Return the same API as an earlier call reserved it; None if none did."""
        entry = self.entries.entry(api.name)
        if entry is None or entry.phase is not Phase.ADDING:
            return None
        if replace(entry.api, registration=None) != api:
            raise UsageError(
                f"{api.name!r} is being added with other options (signet apis list); give the same ones to "
                "go on, or remove it first"
            )
        return entry.api

    def _draw(self, now_ms: int) -> str:
        return uuid7(now_ms, self.random(UUID7_RANDOM_BYTES))


def _id(api: Api) -> str:
    if api.registration is None:
        raise UsageError(f"the registration of {api.name!r} has no receipt; remove it, and add it again")
    return api.registration
