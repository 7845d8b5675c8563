"""The digest that names a policy, and the files a deployment brings."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

from signet.errors import PolicyError
from signet.policy.bundle import load_deployed, policy_bundle_sha256


def test_digest_covers_names_lengths_and_bytes_in_name_order() -> None:
    expected = hashlib.sha256(b"a.json\x002\x00{}b.rego\x003\x00abc").hexdigest()
    assert policy_bundle_sha256({"b.rego": b"abc", "a.json": b"{}"}) == expected


def test_digest_tells_apart_where_one_file_ends_and_the_next_begins() -> None:
    assert policy_bundle_sha256({"a": b"xb", "b": b""}) != policy_bundle_sha256({"a": b"x", "b": b"b"})


def test_load_reads_rego_and_data_but_no_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "signet_policy"
    package.mkdir()
    for name in ("main.rego", "main_test.rego", "data.json", "README.md"):
        (package / name).write_text(name)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "signet_policy", raising=False)
    assert load_deployed() == {"data.json": b"data.json", "main.rego": b"main.rego"}
    monkeypatch.delitem(sys.modules, "signet_policy")


def test_a_deployment_without_policy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "signet_policy", None)
    with pytest.raises(PolicyError) as caught:
        load_deployed()
    assert caught.value.code == "policy_missing"
