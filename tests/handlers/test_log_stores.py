"""One contract for the log's stores: what the ports promise holds for the fakes and over moto alike."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from signet.aws.lock import DynamoLockStore
from signet.aws.objects import S3ObjectStore
from signet.aws.secrets import SecretsManagerStore
from signet.core.errors import LogError, NotFoundError, UnavailableError
from signet.core.ports import LockStore, ObjectStore, SecretStore
from tests.fakes.lock import MemoryLockStore
from tests.fakes.objects import MemoryObjectStore
from tests.fakes.secrets import MemorySecretStore
from tests.support.declared import NAMES, REGION, account, create_tables

BUCKET, TABLE = NAMES["LogBucket"], NAMES["LogTable"]


@dataclass(frozen=True)
class Stores:
    objects: ObjectStore
    lock: LockStore
    secrets: SecretStore


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    account(monkeypatch)
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "2")  # so that a short listing has pages
    with mock_aws():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        dynamodb = boto3.client("dynamodb")
        create_tables(dynamodb, "LogTable")
        yield Stores(
            S3ObjectStore(s3, BUCKET),
            DynamoLockStore(dynamodb, TABLE),
            SecretsManagerStore(boto3.client("secretsmanager")),
        )


@pytest.fixture(params=["memory", "aws"])
def stores(request: pytest.FixtureRequest) -> Stores:
    if request.param == "aws":
        found: Stores = request.getfixturevalue("aws")
        return found
    return Stores(MemoryObjectStore(), MemoryLockStore(), MemorySecretStore())


def test_the_register_moves_only_from_the_value_it_holds(stores: Stores) -> None:
    assert stores.lock.read() is None
    assert not stores.lock.compare_and_swap(b"other", b"a")
    assert stores.lock.compare_and_swap(None, b"a")
    assert not stores.lock.compare_and_swap(None, b"b")
    assert not stores.lock.compare_and_swap(b"b", b"c")
    assert stores.lock.compare_and_swap(b"a", b"b" * 300_000)
    assert stores.lock.read() == b"b" * 300_000


def test_partial_tiles_alone_have_the_tag_that_lifecycle_rules_see(aws: Stores) -> None:
    partial, full = "tile/entries/x001/000.p/7", "tile/entries/x001/000"
    assert aws.objects.put_once(partial, b"1")
    assert aws.objects.put_once(full, b"2")
    s3 = boto3.client("s3")
    assert s3.get_object_tagging(Bucket=BUCKET, Key=partial)["TagSet"] == [
        {"Key": "signet", "Value": "partial-tile"}
    ]
    assert s3.get_object_tagging(Bucket=BUCKET, Key=full)["TagSet"] == []


def test_objects_written_once_stay_and_missing_ones_are_none(stores: Stores) -> None:
    objects = stores.objects
    assert objects.get("k") is None
    assert objects.put_once("k", b"1", content_type="application/json")
    assert not objects.put_once("k", b"2")
    assert objects.get("k") == b"1"
    objects.put("k", b"3")
    assert objects.get("k") == b"3"
    objects.delete("k")
    objects.delete("k")
    assert objects.get("k") is None


def test_a_listing_has_all_keys_under_the_prefix_in_order(stores: Stores) -> None:
    names = [f"many/{n}" for n in range(5)]
    for name in ("other", *reversed(names)):
        stores.objects.put(name, b"")
    assert list(stores.objects.list("many/")) == names
    assert list(stores.objects.list("none/")) == []


def test_an_object_of_any_size_is_opened_as_a_file(aws: Stores) -> None:
    store = aws.objects
    assert isinstance(store, S3ObjectStore)
    for size in (0, 10, 9 << 20):
        store.put("packs/x.zip", b"a" * size)
        with store.opened("packs/x.zip") as file:
            assert (file.seek(0, 2), file.seek(0), len(file.read())) == (size, 0, size)
    with pytest.raises(NotFoundError), store.opened("packs/y.zip"):
        pass


def test_secrets_are_created_once(stores: Stores) -> None:
    assert stores.secrets.get("signet/x") is None
    assert stores.secrets.create("signet/x", b"one")
    assert not stores.secrets.create("signet/x", b"two")
    assert stores.secrets.get("signet/x") == b"one"


@pytest.mark.parametrize(
    "item",
    [
        {"value": {"B": b"x"}},
        {"sha256": {"B": hashlib.sha256(b"x").digest()}},
        {"value": {"B": b"x"}, "sha256": {"B": bytes(32)}},
        {},
    ],
)
def test_a_register_that_somebody_else_wrote_is_refused(aws: Stores, item: dict[str, object]) -> None:
    boto3.client("dynamodb").put_item(TableName=TABLE, Item={"pk": {"S": "lock"}, **item})
    with pytest.raises(LogError):
        aws.lock.read()


def test_a_conflict_of_two_conditional_writes_is_tried_again() -> None:
    class Conflicting:
        def __init__(self, codes: list[str]) -> None:
            self.codes = codes

        def put_object(self, **_: object) -> None:
            if self.codes:
                raise ClientError({"Error": {"Code": self.codes.pop(0)}}, "PutObject")

    conflict = "ConditionalRequestConflict"
    assert S3ObjectStore(Conflicting([conflict]), BUCKET).put_once("k", b"")  # type: ignore[arg-type]
    decided = Conflicting([conflict, "PreconditionFailed"])
    assert not S3ObjectStore(decided, BUCKET).put_once("k", b"")  # type: ignore[arg-type]
    with pytest.raises(UnavailableError):
        S3ObjectStore(Conflicting([conflict] * 5), BUCKET).put_once("k", b"")  # type: ignore[arg-type]
