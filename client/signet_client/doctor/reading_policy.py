"""Reads the policy in force: which routes it lists, for which APIs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from signet.core.errors import PolicyError
from signet.log.object_keys import LATEST_HEAD
from signet.policy.bundle import FILE_NAME, policy_bundle_sha256
from signet.policy.listing import as_object, entries
from signet.policy.loading import MAX_BYTES, MAX_FILES
from signet.policy.register import REGISTER, Pushed, object_key
from signet.policy.rego import merged_data
from signet.policy.routes import route_key
from signet_client.doctor.asking import Asking
from signet_client.doctor.facts import Rule

_MAX_HEAD_BYTES: Final = 1_048_576


def read_rules(asking: Asking, table: str, bucket: str) -> tuple[Rule, ...] | None:
    """Return the rules of the policy in force: what was pushed, or else what the newest head names."""
    what = "the policy in force"
    told = asking.ask(
        "dynamodb",
        "get_item",
        what=what,
        permission=f"dynamodb:GetItem on {table}",
        TableName=table,
        Key={"pk": {"S": REGISTER}},
        ConsistentRead=True,
    )
    if told is None:
        return None
    try:
        named = _pushed(told["Item"]) if told.get("Item") else _deployed(asking, bucket)
        if named is None:
            return None
        files = _files(asking, bucket, *named)
        return None if files is None else _listed(asking, files)
    except (PolicyError, KeyError, TypeError, ValueError) as error:
        asking.miss(what, f"it is not what Signet writes ({type(error).__name__}); signet policy push again")
        return None


def _pushed(item: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    value = bytes(item["value"]["B"])
    if hashlib.sha256(value).digest() != bytes(item["sha256"]["B"]):
        raise PolicyError("the register does not have its digest", code="bad_register")
    pushed = Pushed.decode(value)
    return pushed.version.bundle_sha256, pushed.files


def _deployed(asking: Asking, bucket: str) -> tuple[str, tuple[str, ...]] | None:
    body = _object(asking, bucket, LATEST_HEAD, _MAX_HEAD_BYTES)
    if body is None:
        return None
    if not body:
        asking.miss(
            "the policy in force", "none was pushed, and no tree head names one; signet close, then again"
        )
        return None
    sha256 = str(json.loads(body)["policy_bundle_sha256"])
    prefix = f"policy/{sha256}/"
    told = asking.ask(
        "s3",
        "list_objects_v2",
        what="the policy in force",
        permission=f"s3:ListBucket on {bucket}",
        Bucket=bucket,
        Prefix=prefix,
        MaxKeys=MAX_FILES + 1,
    )
    if told is None:
        return None
    return sha256, tuple(one["Key"].removeprefix(prefix) for one in told.get("Contents", []))


def _files(asking: Asking, bucket: str, sha256: str, names: tuple[str, ...]) -> dict[str, bytes] | None:
    if len(names) > MAX_FILES or not all(map(FILE_NAME.fullmatch, names)):
        raise PolicyError("no bundle has such files", code="bad_register")
    files: dict[str, bytes] = {}
    for name in names:
        body = _object(asking, bucket, object_key(sha256, name), MAX_BYTES)
        if body is None:
            return None
        files[name] = body
    if policy_bundle_sha256(files) != sha256:
        raise PolicyError("the stored files are not those of the bundle", code="bad_register")
    return files


def _object(asking: Asking, bucket: str, key: str, most: int) -> bytes | None:
    """Return an object's bytes; empty where there is none, None where it could not be read."""
    told = asking.ask(
        "s3",
        "get_object",
        what="the policy in force",
        permission=f"s3:GetObject on {bucket}/{key}",
        Bucket=bucket,
        Key=key,
        Range=f"bytes=0-{most}",
    )
    if not told:
        return None if told is None else b""
    body: bytes = told["Body"].read()
    if len(body) > most:
        raise PolicyError(f"{key} is too large", code="bad_register")
    return body


def _listed(asking: Asking, files: Mapping[str, bytes]) -> tuple[Rule, ...]:
    rules = []
    for one in entries(merged_data(files)):
        binding = as_object(one.value).get("minimum_binding")
        if not isinstance(binding, str):
            asking.miss(
                f"the binding that the policy demands of {route_key(one.api, one.route)}",
                "its entry in the policy names none",
            )
            binding = None
        rules.append(Rule(one.route, binding, one.api))
    return tuple(rules)
