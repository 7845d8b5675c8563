"""One contract, each store of bundles: the fake and DynamoDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import boto3
import pytest
from moto import mock_aws

from signet.aws.bundles import DynamoBundleStore
from signet.core.ports import BundleStore
from signet.handshake.evidence import MAX_BUNDLE_BYTES
from tests.fakes.bundles import MemoryBundles
from tests.support.declared import NAMES, account, create_tables

KEY, OTHER = bytes(32), bytes(31) + b"\x01"


def in_dynamodb() -> DynamoBundleStore:
    client = boto3.client("dynamodb")
    create_tables(client, "BundlesTable")
    return DynamoBundleStore(client, NAMES["BundlesTable"])


#: How each implementation of the port is made, an empty one.
STORES: dict[str, Callable[[], BundleStore]] = {"memory": MemoryBundles, "dynamodb": in_dynamodb}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[BundleStore]:
    account(monkeypatch)
    with mock_aws():
        yield STORES[request.param]()


def test_it_returns_what_was_put(store: BundleStore) -> None:
    for bundle in (b"", b"bundle", bytes(MAX_BUNDLE_BYTES)):
        store.put(KEY, bundle, expires_at=100)
        assert store.get(KEY, now=0) == bundle


def test_it_has_nothing_under_another_digest(store: BundleStore) -> None:
    assert store.get(KEY, now=0) is None
    store.put(KEY, b"bundle", expires_at=100)
    assert store.get(OTHER, now=0) is None


def test_it_forgets_at_the_second_it_was_told(store: BundleStore) -> None:
    store.put(KEY, b"bundle", expires_at=100)
    assert store.get(KEY, now=99) == b"bundle"
    assert store.get(KEY, now=100) is None


def test_storing_again_makes_it_live_longer(store: BundleStore) -> None:
    store.put(KEY, b"bundle", expires_at=100)
    store.put(KEY, b"bundle", expires_at=200)
    assert store.get(KEY, now=100) == b"bundle"
    assert store.get(KEY, now=200) is None
