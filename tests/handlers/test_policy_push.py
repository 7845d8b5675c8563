"""``signet policy push`` and ``show`` against moto, and what authorizer and challenge endpoint make of it."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import authorizer_handler
import boto3
import handshake_handler
import pytest
from typer.testing import CliRunner

from signet.policy.bundle import policy_bundle_sha256
from signet_client import policy_check
from signet_client import stack as client_stack
from signet_client.cli import app
from signet_client.policy_check import Checked, check_apart
from signet_client.stack import Stack
from tests.support.declared import NAMES
from tests.support.deployment import Deployment, context, deployed
from tests.support.world import ROOT, policy_files

SHIPPED_TESTS = (ROOT / "policy" / "signet_test.rego").read_text()
STRICT_SHA256 = policy_bundle_sha256(policy_files(""))
RELAXED_SHA256 = policy_bundle_sha256(policy_files())


@pytest.fixture(autouse=True)
def each_policy_is_checked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check starts a Python and runs the policy's tests: of the same files it finds the same."""

    def check(files: Mapping[str, bytes], tests: Mapping[str, bytes]) -> Checked:
        return _checked(tuple(files.items()), tuple(tests.items()), policy_check.LIMIT_S)

    monkeypatch.setattr(policy_check, "check_apart", check)


@cache
def _checked(
    files: tuple[tuple[str, bytes], ...], tests: tuple[tuple[str, bytes], ...], _limit_s: float
) -> Checked:
    return check_apart(dict(files), dict(tests))


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    authorizer_handler._authorizer.cache_clear()
    handshake_handler._uploader.cache_clear()
    with deployed(tmp_path, monkeypatch) as made:
        monkeypatch.setenv("SIGNET_POLICY_REFRESH_S", "0")  # asks at each decision
        made.world.now_ms = time.time_ns() // 1_000_000
        outputs = {
            **NAMES,
            "ReceiptQueueUrl": made.queue_url,
            "PolicyRefreshSeconds": "60",
        }
        monkeypatch.setattr(client_stack, "read_stack", lambda name: Stack(name, outputs))
        yield made


def signet(*arguments: object, code: int = 0) -> Any:
    done = CliRunner().invoke(app, ["policy", *map(str, arguments), "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout) if done.stdout else done.stderr


def decide(deployment: Deployment) -> tuple[str, str]:
    """Send one good unbound request; return the reason and the policy its receipt names."""
    world = deployment.world
    authorizer_handler.handler(world.sign(world.event()), context("authorizer"))
    [receipt] = deployment.receipts()
    return receipt["reason"], receipt["policy"]["bundle_sha256"]


def test_a_pushed_policy_decides_without_a_deployment_and_is_rolled_back(deployment: Deployment) -> None:
    assert decide(deployment) == ("ok", RELAXED_SHA256)
    assert signet("show")["source"] == "deployed"

    pushed = signet("push", ROOT / "policy")
    assert (pushed["n"], pushed["bundle_sha256"], pushed["effective_within_s"]) == (1, STRICT_SHA256, 60)
    [changed] = deployment.receipts()
    assert (changed["type"], changed["change"]["to"]) == ("policy.changed", STRICT_SHA256)
    # The nonce that the world makes is bound to nothing, which the stricter policy does not accept.
    assert decide(deployment) == ("nonce_invalid", STRICT_SHA256)
    answer = handshake_handler.handler(deployment.world.event(path="/pch/challenge"), context("handshake"))
    assert json.loads(answer["body"])["binding"] == "tls-exporter"

    signet("push", ROOT / "policy", "--overlay", "development")
    deployment.receipts()
    assert decide(deployment) == ("ok", RELAXED_SHA256)
    shown = signet("show")
    assert (shown["source"], shown["n"], shown["bundle_sha256"]) == ("pushed", 2, RELAXED_SHA256)
    assert [version["bundle_sha256"] for version in shown["history"]] == [STRICT_SHA256]


def test_pushed_files_lie_in_the_log_bucket_under_their_hash(deployment: Deployment) -> None:
    signet("push", ROOT / "policy")
    found = boto3.client("s3").list_objects_v2(Bucket="log", Prefix="policy/")["Contents"]
    assert [entry["Key"] for entry in found] == [
        f"policy/{STRICT_SHA256}/{name}" for name in policy_files("")
    ]


def test_a_policy_that_is_not_whole_is_logged_counted_and_not_used(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    assert decide(deployment) == ("ok", RELAXED_SHA256)
    signet("push", ROOT / "policy")
    deployment.receipts()
    boto3.client("s3").put_object(Bucket="log", Key=f"policy/{STRICT_SHA256}/config.json", Body=b"{}")
    capsys.readouterr()
    assert decide(deployment) == ("ok", RELAXED_SHA256)
    printed = capsys.readouterr().out
    assert '"PolicyFailures":1' in printed


def test_a_fresh_environment_that_cannot_load_the_policy_refuses_and_says_so(deployment: Deployment) -> None:
    signet("push", ROOT / "policy")
    deployment.receipts()
    boto3.client("s3").delete_object(Bucket="log", Key=f"policy/{STRICT_SHA256}/config.json")
    world = deployment.world
    answer = authorizer_handler.handler(world.sign(world.event()), context("authorizer"))
    assert answer["context"]["reason"] == "policy_denied"
    [receipt] = deployment.receipts()
    assert set(receipt["policy"].values()) == {None}


def test_pushing_again_changes_nothing_and_a_mistake_is_not_pushed(
    deployment: Deployment, tmp_path: Path
) -> None:
    first, second = signet("push", ROOT / "policy"), signet("push", ROOT / "policy")
    assert (first["moved"], second["moved"], second["n"]) == (True, False, 1)
    assert len({receipt["id"] for receipt in deployment.receipts()}) == 1
    assert signet("push", ROOT / "policy", "--above", 2)["n"] == 3
    assert {receipt["change"]["n"] for receipt in deployment.receipts()} == {1, 3}
    for name, body in policy_files("").items():
        (tmp_path / name).write_bytes(body)
    (tmp_path / "config.json").write_text("{}")
    assert "nothing was pushed" in signet("push", tmp_path, code=1)
    assert signet("show")["n"] == 3
    assert deployment.receipts() == []


def test_people_are_told_what_is_in_force(deployment: Deployment) -> None:
    run = CliRunner().invoke
    assert "not known before the log's first head" in run(app, ["policy", "show"]).stdout
    assert "everywhere within 60 s" in run(app, ["policy", "push", str(ROOT / "policy")]).stdout
    assert "is in force since" in run(app, ["policy", "push", str(ROOT / "policy")]).stdout
    run(app, ["policy", "push", str(ROOT / "policy"), "--overlay", "development"])
    shown = run(app, ["policy", "show"]).stdout
    assert RELAXED_SHA256 in shown
    assert "before: version 1, " in shown
    assert STRICT_SHA256 in shown


def test_check_prints_findings_and_ends_with_1(tmp_path: Path) -> None:
    for name, body in policy_files("").items():
        (tmp_path / name).write_bytes(body)
    (tmp_path / "signet.rego").write_bytes(policy_files("")["signet.rego"] + b'\naction := "allow" if {\n')
    found = signet("check", tmp_path, code=1)
    [finding] = found["findings"]
    assert (finding["file"], "does not compile" in finding["message"]) == ("signet.rego", True)
    shown = CliRunner().invoke(app, ["policy", "check", str(tmp_path)])
    assert shown.stdout.startswith(f"signet.rego:{finding['line']}: ")


@pytest.mark.long
def test_check_survives_rules_on_which_the_interpreter_aborts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes it abort is refused before it runs, as far as it is known; what is not, ends no command."""
    monkeypatch.setattr("signet_client.policy_check._apart", _abort)
    checked = check_apart(policy_files(""), {})
    assert ["aborts on these rules" in finding.message for finding in checked.findings] == [True]


def _abort(*_: object) -> None:
    os.abort()


@pytest.mark.long
def test_check_ends_on_rules_that_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pushed, they would take every authorizer's time: one that is told to load them has ten seconds."""
    for name, content in policy_files("").items():
        (tmp_path / name).write_bytes(content)
    endless = b'\nreasons contains "large" if count(numbers.range(1, 1000000000)) < 0\n'
    (tmp_path / "signet.rego").write_bytes(policy_files("")["signet.rego"] + endless)
    monkeypatch.setattr("signet_client.policy_check.LIMIT_S", 5)
    [finding] = signet("check", tmp_path, code=1)["findings"]
    assert "not done after 5 s" in finding["message"]
    assert multiprocessing.active_children() == []


def _write(folder: Path, **more: str) -> None:
    for name, content in policy_files("").items():
        (folder / name).write_bytes(content)
    for name, text in more.items():
        (folder / f"{name}.rego").write_text(text)


SHIPPED_COUNT = SHIPPED_TESTS.count("\ntest_")
HEAD = "package signet_test\n\nimport rego.v1\n\n"


def test_check_runs_the_policy_s_tests_which_are_no_part_of_it(tmp_path: Path) -> None:
    _write(tmp_path, own_test=HEAD + "test_plain if 1 == 1\n", signet_test=SHIPPED_TESTS)
    found = signet("check", tmp_path)
    assert (found["tests"], found["findings"]) == (SHIPPED_COUNT + 1, [])
    assert found["files"] == ["config.json", "signet.rego"]
    assert found["bundle_sha256"] == STRICT_SHA256
    said = CliRunner().invoke(app, ["policy", "check", str(tmp_path)]).stdout
    assert f"tests   {SHIPPED_COUNT + 1} hold" in said


def test_a_test_that_does_not_hold_is_refused_with_its_line_and_not_pushed(
    tmp_path: Path, deployment: Deployment
) -> None:
    _write(tmp_path, own_test=HEAD + "test_good if true\n\ntest_bad if data.config.routes == {}\n")
    [finding] = signet("check", tmp_path, code=1)["findings"]
    assert finding == {"file": "own_test.rego", "line": 7, "message": "test_bad does not hold"}
    refused = CliRunner().invoke(app, ["policy", "push", str(tmp_path)])
    assert refused.exit_code == 1
    assert "nothing was pushed" in refused.stderr
    (tmp_path / "own_test.rego").unlink()
    assert signet("push", tmp_path)["moved"] is True


def test_an_overlay_has_tests_of_its_own(tmp_path: Path) -> None:
    _write(tmp_path, own_test=HEAD + "test_bad if false\n")
    (tmp_path / "loose").mkdir()
    assert signet("check", tmp_path, "--overlay", "loose")["tests"] == 0
    (tmp_path / "loose" / "loose_test.rego").write_text(HEAD + "test_bad if false\n")
    [finding] = signet("check", tmp_path, "--overlay", "loose", code=1)["findings"]
    assert finding["file"] == "loose_test.rego"


TEMPLATE = """
Resources:
  Api:
    Type: AWS::Serverless::Api
    Properties:
      Auth: {DefaultAuthorizer: Signet, Authorizers: {Signet: {FunctionArn: !GetAtt F.Arn}}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Events:
        Get: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /protected, Method: get}}
        Item: {Type: Api, Properties: {RestApiId: !Ref Api, Path: "/protected/{item}", Method: any}}
        Pack: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /compliance/pack, Method: POST}}
        Open: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /o, Method: get, Auth: {Authorizer: NONE}}}
        New: {Type: Api, Properties: {RestApiId: !Ref Api, Path: /orders, Method: get}}
"""


def test_check_holds_the_routes_against_a_template_s(tmp_path: Path) -> None:
    _write(tmp_path)
    template = tmp_path / "template.yaml"
    template.write_text(TEMPLATE)
    found = signet("check", tmp_path, "--template", template, code=1)
    assert [finding["file"] for finding in found["findings"]] == ["config.json"] * 3
    lines = (tmp_path / "config.json").read_text().splitlines()
    assert all(
        f'"{method} /protected"' in lines[finding["line"] - 1]
        for method, finding in zip(("POST", "PUT", "DELETE"), found["findings"], strict=True)
    )
    assert "declares no route 'POST /protected'" in found["findings"][0]["message"]
    assert found["notices"] == [
        (
            "no rule for HEAD /protected/{item}, POST /protected/{item}, PUT /protected/{item}, "
            "PATCH /protected/{item}, DELETE /protected/{item}, OPTIONS /protected/{item}: "
            "signed requests are refused there as no_rule; declare the others one by one instead of ANY"
        ),
        (
            'no rule for GET /orders: signed requests are refused there as no_rule; write "GET /orders": '
            '{"role": "caller", "minimum_binding": "none"} under routes in config.json'
        ),
    ]


def test_the_shipped_policy_and_template_agree() -> None:
    found = signet("check", ROOT / "policy", "--template", ROOT / "template.yaml")
    assert (found["findings"], found["notices"]) == ([], [])
    assert found["tests"] == SHIPPED_COUNT > 20
