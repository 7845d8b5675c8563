"""``signet clients`` against DynamoDB (moto): what the operator writes is what the authorizer reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from moto import mock_aws
from typer.testing import CliRunner

from signet.aws.registry import DynamoClientRegistry
from signet.core.client import Client, Status
from signet.core.errors import SignatureError
from signet.core.vocabulary import Role
from signet.crypto import keyfiles, suites
from signet_client import stack
from signet_client.cli import app
from tests.support.declared import account
from tests.support.edwards import MIXED_ORDER
from tools import pch_client_demo

RUNNER = CliRunner()
ED25519 = suites.get("ed25519").generate()
HYBRID = suites.get("ecdsa-p256+ml-dsa-65").generate()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoClientRegistry]:
    account(monkeypatch)
    monkeypatch.delenv("SIGNET_STACK", raising=False)
    # What CloudFormation answers is tested over HTTP in test_cli_pack_close.py.
    monkeypatch.setattr(
        stack, "read_stack", lambda name: stack.Stack(name, {"ClientsTable": f"{name}-clients"})
    )
    with mock_aws():
        client = boto3.client("dynamodb")
        client.create_table(
            TableName="signet-clients",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "keyid", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "keyid", "AttributeType": "S"}],
        )
        yield DynamoClientRegistry(client, "signet-clients")


@pytest.fixture
def public(tmp_path: Path) -> Path:
    path = tmp_path / "caller.pub"
    path.write_bytes(keyfiles.dump_public(ED25519))
    return path


@pytest.fixture
def hybrid(tmp_path: Path) -> Path:
    path = tmp_path / "hybrid.pub"
    path.write_bytes(keyfiles.dump_public(HYBRID))
    return path


def _run(*arguments: object):
    return RUNNER.invoke(app, ["clients", *map(str, arguments)])


def _refused(result, code: int = 2) -> str:
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_added_client_is_what_the_authorizer_reads(registry: DynamoClientRegistry, public: Path):
    result = _run(
        "add", "--key", public, "--keyid", "caller-1", "--role", "caller", "--role", "auditor",
        "--route", "GET /protected", "--route", "POST /compliance/*",
        "--not-before", "2026-01-31", "--not-after", "2026-02-28T12:00:00+01:00",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    entry = registry.get("caller-1")
    assert entry is not None
    assert (entry.alg, entry.public_key, entry.status) == ("ed25519", ED25519.public_key_bytes, Status.ACTIVE)
    assert entry.roles == {Role.CALLER, Role.AUDITOR}
    assert entry.routes == ("GET /protected", "POST /compliance/*")
    assert (entry.not_before, entry.not_after) == (1_769_817_600, 1_772_276_400)


def test_roles_are_free_words_and_labels_are_kept(registry: DynamoClientRegistry, public: Path):
    stated = ("--role", "write:orders", "--label", "tenant=acme", "--label", "plan=gold = best")
    told = json.loads(_run("add", "--key", public, "--keyid", "a", *stated, "--json").stdout)
    assert (told["roles"], told["labels"]) == (["write:orders"], {"plan": "gold = best", "tenant": "acme"})
    entry = registry.get("a")
    assert entry is not None
    assert entry.roles == {"write:orders"}
    assert entry.labels == (("plan", "gold = best"), ("tenant", "acme"))


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--role", "an admin", "is no role"),
        ("--role", "", "is no role"),
        ("--label", "Tenant=acme", "is no name of a label"),
        ("--label", "tenant", "has no value"),
        ("--label", "tenant= acme", "has no value"),
        ("--label", "tenant=\x1b[0m", "has no value"),
    ],
)
def test_a_role_or_label_of_no_form_is_refused(
    registry: DynamoClientRegistry, public: Path, option: str, value: str, says: str
):
    assert says in _refused(_run("add", "--key", public, "--keyid", "a", option, value))
    assert registry.get("a") is None


def test_a_label_stands_once(registry: DynamoClientRegistry, public: Path):
    twice = ("--label", "tenant=acme", "--label", "tenant=beta")
    assert "stands twice" in _refused(_run("add", "--key", public, "--keyid", "a", *twice))
    assert registry.get("a") is None


def test_key_id_defaults_to_the_keys_own(registry: DynamoClientRegistry, hybrid: Path):
    told = json.loads(_run("add", "--key", hybrid, "--json").stdout)
    assert told["keyid"] == HYBRID.key_id
    entry = registry.get(HYBRID.key_id)
    assert entry is not None
    assert (entry.public_key, entry.roles, entry.routes) == (HYBRID.public_key_bytes, {Role.CALLER}, ())


def test_hybrid_key_cannot_go_by_another_name(registry: DynamoClientRegistry, hybrid: Path):
    assert HYBRID.key_id in _refused(_run("add", "--key", hybrid, "--keyid", "caller-1"))
    assert _run("add", "--key", hybrid, "--keyid", HYBRID.key_id).exit_code == 0


def test_taken_key_id_is_not_replaced(registry: DynamoClientRegistry, public: Path, tmp_path: Path):
    other = tmp_path / "other.pub"
    other.write_bytes(keyfiles.dump_public(suites.get("ed25519").generate()))
    assert _run("add", "--key", public, "--keyid", "a").exit_code == 0
    assert "registered already" in _refused(_run("add", "--key", other, "--keyid", "a"))
    entry = registry.get("a")
    assert entry is not None
    assert entry.public_key == ED25519.public_key_bytes


def test_revoked_client_stays_on_record(registry: DynamoClientRegistry, public: Path):
    _run("add", "--key", public, "--keyid", "a")
    result = _run("revoke", "a")
    assert result.exit_code == 0
    assert "within 60 seconds" in result.stdout
    entry = registry.get("a")
    assert entry is not None
    assert (entry.status, entry.public_key) == (Status.REVOKED, ED25519.public_key_bytes)
    assert json.loads(_run("revoke", "a", "--json").stdout)["status"] == "revoked"


def test_revoking_an_unknown_key_id_is_said_so(registry: DynamoClientRegistry):
    assert "no client is registered under key id 'nobody'" in _refused(_run("revoke", "nobody"))
    assert registry.get("nobody") is None


def test_list_is_sorted_plain_when_piped_and_json_on_request(registry: DynamoClientRegistry, public: Path):
    assert "no client is registered" in _run("list").stdout
    assert json.loads(_run("list", "--json").stdout) == []
    for keyid in ("b", "a"):
        _run("add", "--key", public, "--keyid", keyid, "--not-after", "2026-01-31T00:00:00Z")
    _run("revoke", "b")
    lines = _run("list").stdout.splitlines()
    assert lines[0].split("\t") == ["KEY ID", "ALGORITHM", "STATUS", "ROLES", "LABELS", "ROUTES", "VALID"]
    assert lines[1].split("\t") == ["a", "ed25519", "active", "caller", "-", "*", "/2026-01-31T00:00:00Z"]
    assert lines[2].split("\t")[:3] == ["b", "ed25519", "revoked"]
    told = json.loads(_run("list", "--json").stdout)
    assert [(row["keyid"], row["status"]) for row in told] == [("a", "active"), ("b", "revoked")]


def test_bad_input_writes_nothing(registry: DynamoClientRegistry, public: Path, tmp_path: Path):
    (tmp_path / "junk.pub").write_text("junk")
    (tmp_path / "private.pem").write_bytes(keyfiles.dump_private(ED25519))
    cases = {
        ("--key", tmp_path / "none.pub"): "No such file",
        ("--key", tmp_path / "junk.pub"): "not a PEM key file",
        ("--key", tmp_path / "private.pem"): "private key file",
        ("--key", public, "--keyid", "a b"): "no key id",
        ("--key", public, "--keyid", ""): "no key id",
        ("--key", public, "--route", "/protected"): "no route",
        ("--key", public, "--route", "get /protected"): "no route",
        ("--key", public, "--not-before", "soon"): "--not-before 'soon' is no time",
        ("--key", public, "--not-after", "2026-13-01"): "is no time",
        ("--key", public, "--not-before", "2026-02-01", "--not-after", "2026-01-01"): "never be valid",
        ("--key", public, "--role", "a king"): "is no role",
        ("--key", public, "--stack", "gone"): "ResourceNotFoundException",
    }
    for arguments, expected in cases.items():
        assert expected in _refused(_run("add", *arguments)), arguments
    assert list(registry.list()) == []


def test_demo_registers_its_key_once_and_never_revives_a_revoked_one(
    registry: DynamoClientRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SIGNET_STACK", "signet")
    # Port 9 discards: the request itself fails, after the key was registered.
    monkeypatch.setattr("sys.argv", ["demo", "--url", "http://127.0.0.1:9/protected", "--alg", "ml-dsa-65"])
    assert pch_client_demo.main() == 2
    (entry,) = registry.list()
    assert (entry.alg, entry.status) == ("ml-dsa-65", Status.ACTIVE)
    shown = capsys.readouterr()
    assert "using this shell's AWS credentials" in shown.out
    assert "cannot connect" in shown.err
    assert pch_client_demo.main() == 2
    assert "It is registered with the stack signet." in capsys.readouterr().out
    registry.revoke(entry.keyid)
    assert pch_client_demo.main() == 2
    assert "was revoked" in capsys.readouterr().err
    assert [e.status for e in registry.list()] == [Status.REVOKED]


def test_a_key_under_which_libraries_differ_is_not_registered(
    registry: DynamoClientRegistry, tmp_path: Path
) -> None:
    for order, raw in MIXED_ORDER.items():
        key = tmp_path / f"mixed-{order}.pub"
        key.write_bytes(
            Ed25519PublicKey.from_public_bytes(raw).public_bytes(
                Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
            )
        )
        assert "mixed order" in _refused(_run("add", "--key", key, "--keyid", "mixed"))
        with pytest.raises(SignatureError, match="mixed order"):
            registry.put(Client("mixed", "ed25519", raw))
    assert list(registry.list()) == []
