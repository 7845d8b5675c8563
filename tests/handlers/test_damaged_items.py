"""Any part of a stored item is missing or replaced: a store says what is wrong, and what to do."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from moto import mock_aws

from signet.aws import session
from signet.aws.breaker import DynamoBreakerStore
from signet.aws.bundles import DynamoBundleStore
from signet.aws.chains import DynamoChainStore
from signet.aws.faults import DynamoFaultStore
from signet.aws.lock import DynamoLockStore
from signet.aws.objects import S3ObjectStore
from signet.aws.packs import S3PackObjects
from signet.aws.registry import DynamoClientRegistry
from signet.aws.secrets import SecretsManagerStore, versions_of
from signet.breaker.fault import Fault
from signet.core.client import Client, Status
from signet.core.errors import KeyFileError, LogError, SignetError, UnavailableError
from signet.core.ports import StoredBreaker
from signet.core.vocabulary import Role
from signet.pack.build import PackPlan
from signet.pack.store import PackStore
from signet.receipts.chain import extend
from signet.receipts.reading import read_receipt
from tests.fakes import receipts_table
from tests.support.declared import REGION, account, create_tables
from tests.support.edwards import BASE, encoded
from tests.support.packs import FIRST_DAY, PackLog

TABLE = "items"
RECEIPTS = [read_receipt(one.encode(), chained=False) for one in PackLog().decide(3, FIRST_DAY)]
BUNDLE = b"bundle"
NOW_MS = 1_790_000_000_000


@dataclass(frozen=True)
class Case:
    """A store, something in it, and how it is read.

    Attributes:
        write: stores something.
        read: reads it.
        table: where it lies.
        key: name of the table's partition key.
        item: the partition that is damaged.
        error: what the reader is told then; None: that there is nothing.
    """

    write: Callable[[Any], object]
    read: Callable[[Any], object]
    key: str
    item: str
    error: type[SignetError] | None
    table: str = TABLE


def append(client: Any) -> None:
    store = DynamoChainStore(client, receipts_table.NAME)
    head = store.head(0)
    new_head, linked = extend(head, RECEIPTS[:2], NOW_MS)
    assert store.append(head, new_head, linked).appended


def append_again(client: Any) -> None:
    store = DynamoChainStore(client, receipts_table.NAME)
    head = store.head(0)
    new_head, linked = extend(head, RECEIPTS[2:], NOW_MS)
    store.append(head, new_head, linked)


CLIENT = Client(
    keyid="a",
    alg="ed25519",
    public_key=encoded(BASE),
    status=Status.ACTIVE,
    roles=frozenset({Role.AUDITOR}),
    routes=("GET /a",),
    not_before=1,
    not_after=2,
    labels=(("tenant", "acme"),),
)
INDEX = f"i#0#{int(RECEIPTS[0].id.replace('-', ''), 16) >> 91}"
CASES = {
    "breaker": Case(
        lambda client: DynamoBreakerStore(client, TABLE).move(StoredBreaker("b", 1, b"{}", (b"receipt",))),
        lambda client: DynamoBreakerStore(client, TABLE).read("b", ["x"])[0],
        *("pk", "state#b", UnavailableError),
    ),
    "bundle": Case(
        lambda client: DynamoBundleStore(client, TABLE).put(
            hashlib.sha256(BUNDLE).digest(), BUNDLE, expires_at=2
        ),
        lambda client: DynamoBundleStore(client, TABLE).get(hashlib.sha256(BUNDLE).digest(), now=1),
        *("sha256", hashlib.sha256(BUNDLE).hexdigest(), None),
    ),
    "fault": Case(
        lambda client: DynamoFaultStore(client, TABLE).order(Fault(1, 2, NOW_MS + 1)),
        lambda client: DynamoFaultStore(client, TABLE).ordered(NOW_MS),
        *("pk", "fault", UnavailableError),
    ),
    "register": Case(
        lambda client: DynamoLockStore(client, TABLE).compare_and_swap(None, b"value"),
        lambda client: DynamoLockStore(client, TABLE).read(),
        *("pk", "lock", LogError),
    ),
    "client": Case(
        lambda client: DynamoClientRegistry(client, TABLE).put(CLIENT),
        lambda client: DynamoClientRegistry(client, TABLE).get("a"),
        *("keyid", "a", SignetError),
    ),
    "listed client": Case(
        lambda client: DynamoClientRegistry(client, TABLE).put(CLIENT),
        lambda client: list(DynamoClientRegistry(client, TABLE).list()),
        *("keyid", "a", SignetError),
    ),
    "chain head": Case(
        append,
        lambda client: DynamoChainStore(client, receipts_table.NAME).head(0),
        *("pk", "h#0", LogError, receipts_table.NAME),
    ),
    "segment": Case(
        append,
        lambda client: list(DynamoChainStore(client, receipts_table.NAME).read(0, start_seq=0)),
        *("pk", "c#0", LogError, receipts_table.NAME),
    ),
    "page of ids": Case(append, append_again, "pk", INDEX, LogError, receipts_table.NAME),
}
#: Attributes that no reader needs: DynamoDB's TTL does.
NOT_READ = {("fault", "expires_at"), ("page of ids", "expires_at")}
#: Attributes that may be missing.
OPTIONAL = {
    (case, name) for case in ("client", "listed client") for name in ("labels", "not_before", "not_after")
} | {("fault", "silent")}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    account(monkeypatch)
    session.client.cache_clear()
    with mock_aws():
        yield
    session.client.cache_clear()


@pytest.mark.parametrize("name", CASES)
def test_a_damaged_item_is_told_in_a_sentence_and_never_by_a_bare_error(aws: None, name: str) -> None:
    case, client = CASES[name], boto3.client("dynamodb")
    create_tables(client, "ReceiptsTable")
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": case.key, "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": case.key, "AttributeType": "S"}],
    )
    case.write(client)
    [whole] = [
        item for item in client.scan(TableName=case.table)["Items"] if item[case.key]["S"] == case.item
    ]
    names = whole.keys() - {"pk", "sk", case.key}
    assert names
    for attribute, damage in product(sorted(names), ({}, {"BOOL": True})):
        left = {key: value for key, value in whole.items() if key != attribute}
        client.put_item(TableName=case.table, Item=left | ({attribute: damage} if damage else {}))
        if (name, attribute) in NOT_READ or (not damage and (name, attribute) in OPTIONAL):
            case.read(client)
        elif case.error is None:
            assert case.read(client) is None, (attribute, damage)
        else:
            with pytest.raises(case.error, match=r"damaged|not whole|holds no value"):
                case.read(client)
    client.put_item(TableName=case.table, Item=whole)
    case.read(client)


def test_a_sum_that_is_no_number_counts_as_nothing(aws: None) -> None:
    """Backends may write under ``sums#``: none of them may take the authorizer's decisions away."""
    client = boto3.client("dynamodb")
    client.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
    )
    store = DynamoBreakerStore(client, TABLE)
    store.add("x", {"n": "2"}, expires_at=1)
    client.update_item(
        TableName=TABLE,
        Key={"pk": {"S": "sums#x"}},
        UpdateExpression="SET m = :text",
        ExpressionAttributeValues={":text": {"S": "many"}},
    )
    assert store.read("b", ["x"]) == (None, [{"n": "2"}])


@pytest.mark.parametrize(
    "metadata", [{}, {"sha256": "a"}, {"tree-size": "1"}, {"sha256": "a", "tree-size": "x"}]
)
def test_a_pack_that_lost_its_metadata_is_told_with_what_to_do(aws: None, metadata: dict[str, str]) -> None:
    client = boto3.client("s3")
    client.create_bucket(Bucket="log", CreateBucketConfiguration={"LocationConstraint": REGION})
    plan = cast("PackPlan", SimpleNamespace(key="packs/a.zip"))
    store = PackStore(S3ObjectStore(client, "log"), S3PackObjects(client, client, "log"))
    assert store.find(plan) is None
    client.put_object(Bucket="log", Key=plan.key, Body=b"zip", Metadata=metadata)
    with pytest.raises(LogError, match=r"packs/a\.zip lost its metadata.*delete this object") as told:
        store.find(plan)
    assert told.value.code == "bad_pack_object"
    client.put_object(Bucket="log", Key=plan.key, Body=b"zip", Metadata={"sha256": "a", "tree-size": "7"})
    found = store.find(plan)
    assert found is not None
    assert (found.sha256, found.size, found.tree_size) == ("a", 3, 7)


def test_a_secret_of_bytes_is_told_with_what_to_do(aws: None) -> None:
    client = boto3.client("secretsmanager")
    client.create_secret(Name="keys/0", SecretBinary=b"bytes")
    with pytest.raises(KeyFileError, match="the secret keys/0 holds bytes; put back"):
        SecretsManagerStore(client).get("keys/0")
    with pytest.raises(KeyFileError, match="holds bytes"):
        versions_of(session.secretsmanager(), "keys/0")
