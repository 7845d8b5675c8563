"""Adding and removing an API on moto, with a failure at each step: nothing counts that is not on record."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import boto3
import pytest
from moto import mock_aws

from signet.aws.apis import Entry
from signet.aws.apis_change import ApiChanges
from signet.core.apis import Api
from signet.core.errors import NotFoundError, UnavailableError, UsageError
from signet.core.instants import MS_PER_DAY, utc_millis
from signet.core.vocabulary import PayloadKind
from signet.receipts.reading import Receipt, read_receipt
from signet_client.registering import Registering
from tests.support.declared import NAMES, account, create_tables

NOW = 1_795_000_000_000
ORDERS = Api(
    "orders",
    "a1b2c3d4e5",
    "live",
    PayloadKind.HTTP_V2,
    "123456789012",
    frozenset({"api.example.com", "default"}),
    frozenset({"/v1"}),
)


@dataclass
class Failing:
    """Runs the steps of a command, and fails at one: before it happens, or when it has happened."""

    entries: ApiChanges
    fails_at: int = -1
    after: bool = False
    steps: int = 0
    sent: list[Receipt] = field(default_factory=list)
    granted: set[str] = field(default_factory=set)
    drawn: int = 0

    def step(self, do: Callable[[], None]) -> None:
        fails = self.steps == self.fails_at
        self.steps += 1
        if not fails or self.after:
            do()
        if fails:
            raise UnavailableError("planted")

    def send(self, message: bytes, *, evidence: bytes | None = None, transcript: bytes | None = None) -> None:
        assert evidence is None
        self.step(lambda: self.sent.append(read_receipt(message, chained=False)))

    def permit(self, api: Api) -> None:
        self.step(lambda: self.granted.add(api.name))

    def forbid(self, name: str) -> None:
        self.step(lambda: self.granted.discard(name))

    def random(self, size: int) -> bytes:
        self.drawn += 1
        return bytes([self.drawn] * size)

    def registering(self) -> Registering:
        return Registering(Watched(self), self, self.permit, self.forbid, self.random)

    def kinds(self) -> list[str]:
        """Types of the receipts that the log will hold: each id once."""
        return [kind for _id, kind in dict.fromkeys((receipt.id, receipt.type) for receipt in self.sent)]


class Watched(ApiChanges):
    """The table, whose writes are steps too."""

    def __init__(self, failing: Failing) -> None:
        super().__init__(failing.entries.client, failing.entries.table)
        object.__setattr__(self, "failing", failing)

    def _write(self, items: list[object], refused: str) -> None:
        failing: Failing = self.__dict__["failing"]
        failing.step(lambda: super(Watched, self)._write(items, refused))


@pytest.fixture
def entries(monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiChanges]:
    account(monkeypatch)
    with mock_aws():
        client = boto3.client("dynamodb")
        create_tables(client, "ApisTable")
        yield ApiChanges(client, NAMES["ApisTable"])


def found(entries: ApiChanges) -> Api | None:
    """What the authorizer finds; what callers are given challenges for is the same."""
    api = entries.find("a1b2c3d4e5", "live")
    assert entries.named("orders") == api
    return api


@pytest.mark.parametrize("after", [False, True], ids=["not-done", "done-all-the-same"])
@pytest.mark.parametrize("step", range(4))
def test_an_addition_that_stops_half_way_goes_on(entries: ApiChanges, step: int, after: bool) -> None:
    failing = Failing(entries, step, after)
    with pytest.raises(UnavailableError, match="planted"):
        failing.registering().add(ORDERS, now_ms=NOW)
    api = found(entries)
    if api is None:
        added = failing.registering().add(ORDERS, now_ms=NOW + 60_000)
        assert found(entries) == added
    else:  # all was done, only the answer was lost: what counts is on record
        added = api
        with pytest.raises(UsageError, match="is taken"):
            failing.registering().add(ORDERS, now_ms=NOW + 60_000)
    assert failing.kinds() == ["api.added"]
    assert {receipt.id for receipt in failing.sent} == {added.registration}
    assert failing.granted == {"orders"}


@pytest.mark.parametrize("after", [False, True], ids=["not-done", "done-all-the-same"])
@pytest.mark.parametrize("step", range(4))
def test_a_removal_that_stops_half_way_goes_on(entries: ApiChanges, step: int, after: bool) -> None:
    failing = Failing(entries)
    failing.registering().add(ORDERS, now_ms=NOW)
    failing.steps, failing.fails_at, failing.after = 0, step, after
    with pytest.raises(UnavailableError, match="planted"):
        failing.registering().remove("orders", now_ms=NOW + 1000)
    if step > 0 or after:
        assert found(entries) is None, "what is being removed lets nothing in"
    if (step, after) == (3, True):
        with pytest.raises(NotFoundError):
            failing.registering().remove("orders", now_ms=NOW + 60_000)
    else:
        failing.registering().remove("orders", now_ms=NOW + 60_000)
    assert failing.kinds() == ["api.added", "api.removed"]
    assert (list(entries.entries()), failing.granted) == ([], set())
    failing.registering().add(ORDERS, now_ms=NOW + MS_PER_DAY)


def test_nothing_is_in_force_before_its_receipt_was_taken(entries: ApiChanges) -> None:
    failing = Failing(entries, fails_at=2)
    with pytest.raises(UnavailableError):
        failing.registering().add(ORDERS, now_ms=NOW)
    assert (failing.sent, found(entries)) == ([], None)
    assert [entry.phase for entry in entries.entries()] == ["adding"]


def test_a_receipt_says_what_is_registered(entries: ApiChanges) -> None:
    failing = Failing(entries)
    added = failing.registering().add(ORDERS, now_ms=NOW)
    removed = failing.registering().remove("orders", now_ms=NOW + 1000)
    assert removed == added
    first, second = (receipt.members for receipt in failing.sent)
    own = {
        "v": 2,
        "name": "orders",
        "api": {"id": "a1b2c3d4e5", "stage": "live", "kind": "http-2.0"},
        "authorities": ["api.example.com", "default"],
        "base_paths": ["/v1"],
        "resources": [],
        "time_limit_ms": 10_000,
    }
    assert first == own | {"type": "api.added", "id": added.registration, "decided_at": utc_millis(NOW)}
    assert second == own | {
        "type": "api.removed",
        "id": second["id"],
        "decided_at": utc_millis(NOW + 1000),
    }
    assert second["id"] != first["id"]


def test_an_addition_is_gone_on_with_by_the_same_options_only(entries: ApiChanges) -> None:
    failing = Failing(entries, fails_at=1)
    with pytest.raises(UnavailableError):
        failing.registering().add(ORDERS, now_ms=NOW)
    with pytest.raises(UsageError, match="with other options"):
        failing.registering().add(replace(ORDERS, api_id="other1"), now_ms=NOW)
    failing.registering().remove("orders", now_ms=NOW)
    assert failing.kinds() == ["api.added", "api.removed"]
    failing.registering().add(replace(ORDERS, api_id="other1"), now_ms=NOW)


def test_a_receipt_is_not_sent_again_after_a_day(entries: ApiChanges) -> None:
    """The sink does not know an id for ever; another receipt says the same."""
    failing = Failing(entries, 2, after=True)
    with pytest.raises(UnavailableError):
        failing.registering().add(ORDERS, now_ms=NOW)
    added = failing.registering().add(ORDERS, now_ms=NOW + MS_PER_DAY)
    assert [receipt.id == added.registration for receipt in failing.sent] == [False, True]
    assert found(entries) == added
    failing.steps, failing.fails_at = 0, 1
    with pytest.raises(UnavailableError):
        failing.registering().remove("orders", now_ms=NOW + MS_PER_DAY)
    failing.registering().remove("orders", now_ms=NOW + 2 * MS_PER_DAY)
    assert len({receipt.id for receipt in failing.sent}) == 4
    assert not list(entries.entries())


def test_what_was_changed_meanwhile_is_left_alone(entries: ApiChanges) -> None:
    """Two operators at once: the second one's step is refused, and nothing is half done."""
    failing = Failing(entries, fails_at=1)
    with pytest.raises(UnavailableError):
        failing.registering().add(ORDERS, now_ms=NOW)
    [stale] = entries.entries()
    failing.registering().add(ORDERS, now_ms=NOW)
    for step in (
        lambda: entries.put_in_force(stale.api),
        lambda: entries.retire(stale, "01990000-0000-7000-8000-000000000001"),
        lambda: entries.erase(stale),
        lambda: entries.renew(stale.api, "01990000-0000-7000-8000-000000000001"),
    ):
        with pytest.raises(UsageError, match="changed meanwhile"):
            step()
    assert found(entries) == stale.api


def test_a_registration_from_before_there_were_receipts_can_be_removed(entries: ApiChanges) -> None:
    entries.reserve(ORDERS)
    entries.client.update_item(
        TableName=entries.table,
        Key={"pk": {"S": "api#a1b2c3d4e5#live"}},
        UpdateExpression="REMOVE phase",
    )
    assert found(entries) == ORDERS
    assert entries.entry("orders") == Entry(ORDERS, next(entries.entries()).phase)
    failing = Failing(entries)
    failing.registering().remove("orders", now_ms=NOW)
    assert failing.kinds() == ["api.removed"]
    assert not list(entries.entries())
