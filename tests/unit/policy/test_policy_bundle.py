"""The digest that names a policy, and the files a deployment brings."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import pytest

from signet.core.errors import PolicyError
from signet.policy.bundle import load_deployed, policy_bundle_sha256, read_folder
from tests.support.deployment import deploy_policy, forget_deployed_policy
from tests.support.world import ROOT, policy_files


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
    overlay = package / "development"
    overlay.mkdir()
    (overlay / "data.json").write_text("relaxed")
    forget_deployed_policy(monkeypatch)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_deployed() == {"data.json": b"data.json", "main.rego": b"main.rego"}
    assert load_deployed("development") == {"data.json": b"relaxed", "main.rego": b"main.rego"}
    with pytest.raises(PolicyError, match="no overlay 'staging'"):
        load_deployed("staging")


@pytest.mark.parametrize("overlay", ["../elsewhere", "/", ".", ".."])
def test_an_overlay_lies_in_the_folder(tmp_path: Path, overlay: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "signet.rego").write_text("package signet")
    with pytest.raises(PolicyError, match="has no overlay"):
        read_folder(tmp_path / "policy", overlay)


def test_a_file_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "signet.rego").write_text("package signet")
    try:
        (tmp_path / os.fsdecode(b"\xff.json")).write_text("{}")
    except OSError:
        pytest.skip("this file system takes no such name")
    with pytest.raises(PolicyError, match="no UTF-8"):
        read_folder(tmp_path)


def test_a_deployment_without_policy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "signet_policy", None)
    with pytest.raises(PolicyError) as caught:
        load_deployed()
    assert caught.value.code == "policy_missing"


def test_what_one_test_deploys_no_later_one_finds(tmp_path: Path) -> None:
    # A made-up policy left among the loaded modules once failed handlers tests far away from here.
    before = sys.modules.get("signet_policy")
    with pytest.MonkeyPatch.context() as patch:
        deploy_policy(tmp_path, patch)
        assert load_deployed() == policy_files()
    assert sys.modules.get("signet_policy") is before


def test_development_overlay_relaxes_the_binding_expects_faster_answers_and_changes_nothing_else() -> None:
    shipped, relaxed = (
        json.loads((ROOT / "policy" / folder / "config.json").read_text())["config"]
        for folder in ("", "development")
    )
    for route, entry in shipped["routes"].items():
        assert relaxed["routes"][route]["minimum_binding"] == "none"
        relaxed["routes"][route]["minimum_binding"] = entry["minimum_binding"]
    assert relaxed.pop("latency_objective_ms") < shipped.pop("latency_objective_ms")
    assert relaxed == shipped
    assert {path.name for path in (ROOT / "policy" / "development").iterdir()} == {"config.json"}


def test_a_file_too_large_for_a_policy_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "own.rego").write_text("package signet")
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(1 << 40)  # a hole: reading it whole takes a terabyte of memory
    with pytest.raises(PolicyError, match="too large for a policy"):
        read_folder(tmp_path)
