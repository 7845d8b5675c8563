"""``signet pack`` and ``signet close``; AWS is a local server that AWS_ENDPOINT_URL points at."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from signet.crypto import keyfiles, suites
from signet_client.cli import app
from tests.support.packs import log_with_days
from tests.support.pch_server import PchServer, running
from tests.support.tls_server import Authority, serving

VARIABLES = (
    "SIGNET_KEY",
    "SIGNET_KEYID",
    "SIGNET_URL",
    "SIGNET_STACK",
    "AWS_ENDPOINT_URL",
    "AWS_PROFILE",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
)
NO_AWS = {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
RUNNER = CliRunner(env={**dict.fromkeys(VARIABLES), **NO_AWS, "AWS_EC2_METADATA_DISABLED": "true"})
KEY = suites.get("ed25519").generate()
LOG = log_with_days(3, 2)
PACK = LOG.pack()
DAY = LOG.heads[-1].date.isoformat()
SHA256 = hashlib.sha256(PACK).hexdigest()
INVOKE = "/2015-03-31/functions/cron-1/invocations"


@pytest.fixture
def server() -> Iterator[PchServer]:
    with running({"auditor": KEY}) as running_server:
        running_server.behaviour.answers["/bucket/pack.zip"] = (200, {}, PACK)
        yield running_server


@pytest.fixture
def aws(server: PchServer) -> PchServer:
    """A server that also describes a stack, as CloudFormation does."""
    outputs = {"SthCronFunction": "cron-1", "PackUrl": f"{server.origin}/compliance/pack"}
    _describe(server, outputs)
    return server


def _describe(server: PchServer, outputs: dict[str, str]) -> None:
    members = "".join(
        f"<member><OutputKey>{k}</OutputKey><OutputValue>{v}</OutputValue></member>"
        for k, v in outputs.items()
    )
    text = (
        '<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/"><DescribeStacksResult>'
        f"<Stacks><member><StackName>signet</StackName><Outputs>{members}</Outputs></member></Stacks>"
        "</DescribeStacksResult></DescribeStacksResponse>"
    )
    server.behaviour.answers["/"] = (200, {"Content-Type": "text/xml"}, text.encode())


def _fail(server: PchServer, status: int, code: str, message: str) -> None:
    text = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    server.behaviour.answers["/"] = (status, {"Content-Type": "text/xml"}, text.encode())


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "auditor.pem"
    path.write_bytes(keyfiles.dump_private(KEY))
    return path


def _offer(server: PchServer, **changed: object) -> None:
    offer = {"url": f"{server.origin}/bucket/pack.zip", "sha256": SHA256, "size": len(PACK)} | changed
    server.behaviour.behind["/compliance/pack"] = (200, {}, json.dumps(offer).encode())


def _run(*arguments: object, **environment: str):
    return RUNNER.invoke(app, [str(argument) for argument in arguments], env=environment)


def _refused(result, code: int = 2) -> str:
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def _pack(server: PchServer, key: Path, output: Path, *more: str, date: str = DAY):
    environment = {"SIGNET_KEY": str(key), "SIGNET_KEYID": "auditor", "SIGNET_URL": server.origin}
    return _run("pack", "--date", date, "-o", output, *more, **environment)


def test_pack_is_asked_for_signed_and_downloaded_unsigned(server: PchServer, key: Path, tmp_path: Path):
    _offer(server)
    result = _pack(server, key, tmp_path / "pack.zip", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["sha256"] == SHA256
    assert (tmp_path / "pack.zip").read_bytes() == PACK
    asked, downloaded = server.seen[-2:]
    assert (asked.target, asked.signed, asked.body) == (
        "/compliance/pack",
        True,
        b'{"date": "%s"}' % DAY.encode(),
    )
    assert (downloaded.target, downloaded.signed) == ("/bucket/pack.zip", False)
    assert not {"pch-evidence", "authorization"} & downloaded.headers.keys()


def test_pack_finds_the_api_through_the_stack(aws: PchServer, key: Path, tmp_path: Path):
    _offer(aws)
    arguments = ("pack", "--date", DAY, "-o", tmp_path / "p.zip", "--key", key, "--keyid", "auditor")
    result = _run(*arguments, AWS_ENDPOINT_URL=aws.origin)
    assert result.exit_code == 0, result.output
    assert f"signet verify {tmp_path / 'p.zip'}" in result.stdout


def test_pack_is_asked_for_over_the_connection_it_is_bound_to(key: Path, tmp_path: Path):
    with serving({"auditor": KEY}, Authority(tmp_path).issue("localhost")) as edge:
        _offer(edge.pch)
        edge.pch.behaviour.answers["/bucket/pack.zip"] = (200, {}, PACK)
        bound = ("--binding", "tls-exporter", "--insecure")
        result = _pack(edge.pch, key, tmp_path / "pack.zip", *bound)
        assert result.exit_code == 0, result.output
        assert edge.bound == [0]
        assert (tmp_path / "pack.zip").read_bytes() == PACK


def test_pack_is_asked_for_with_a_client_certificate(server: PchServer, key: Path, tmp_path: Path):
    _offer(server)
    certificate, certificate_key = Authority(tmp_path).issue("auditor")
    options = ("--binding", "tls-client-cert", "--cert", str(certificate))
    told = _pack(server, key, tmp_path / "pack.zip", *options, "--cert-key", str(certificate_key))
    assert told.exit_code == 0, told.output
    asked = server.seen[-2]
    assert asked.headers["pch-channel-binding"].startswith("tls-client-cert=:")
    assert "give --cert-key" in _refused(_pack(server, key, tmp_path / "pack.zip", *options))
    assert "certificate goes with" in _refused(_pack(server, key, tmp_path / "pack.zip", *options[:2]))


def test_pack_of_another_day_than_asked_for_leaves_the_old_file(server: PchServer, key: Path, tmp_path: Path):
    (tmp_path / "pack.zip").write_bytes(b"older")
    _offer(server)
    said = _refused(_pack(server, key, tmp_path / "pack.zip", date="2026-11-23"), 1)
    assert "is of 2026-11-24, but the pack of 2026-11-23 was asked for" in said
    assert (tmp_path / "pack.zip").read_bytes() == b"older"
    assert sorted(tmp_path.iterdir()) == [key, tmp_path / "pack.zip"]


def test_pack_that_is_not_what_was_promised_leaves_the_old_file(server: PchServer, key: Path, tmp_path: Path):
    (tmp_path / "pack.zip").write_bytes(b"older")
    _offer(server, sha256="0" * 64)
    assert "SHA-256" in _refused(_pack(server, key, tmp_path / "pack.zip"), 1)
    assert (tmp_path / "pack.zip").read_bytes() == b"older"
    assert sorted(tmp_path.iterdir()) == [key, tmp_path / "pack.zip"]


def test_download_leaves_a_neighbour_alone_that_has_the_name_of_a_part(
    server: PchServer, key: Path, tmp_path: Path
):
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    (tmp_path / "pack.zip.part").symlink_to(precious)
    _offer(server)
    assert _pack(server, key, tmp_path / "pack.zip").exit_code == 0
    assert precious.read_bytes() == b"mine"
    assert sorted(found.name for found in tmp_path.iterdir()) == [
        "auditor.pem",
        "pack.zip",
        "pack.zip.part",
        "precious",
    ]


def test_download_ends_where_more_comes_than_was_promised(server: PchServer, key: Path, tmp_path: Path):
    _offer(server, size=len(PACK) - 1)
    assert "longer" in _refused(_pack(server, key, tmp_path / "pack.zip"), 1)
    assert list(tmp_path.iterdir()) == [key]


@pytest.mark.parametrize("changed", [{"size": "1"}, {"size": True}, {"sha256": None}, {"url": 7}])
def test_answer_that_is_no_offer_is_refused(
    server: PchServer, key: Path, tmp_path: Path, changed: dict[str, object]
):
    _offer(server, **changed)
    assert "does not say where the pack is" in _refused(_pack(server, key, tmp_path / "pack.zip"))


def test_pack_that_is_being_built_is_waited_for(server: PchServer, key: Path, tmp_path: Path):
    wait = {"location": f"{server.origin}/job", "retry-after": "0"}
    server.behaviour.behind["/compliance/pack"] = (202, wait, b"{}")
    offer = {"url": f"{server.origin}/bucket/pack.zip", "sha256": SHA256, "size": len(PACK)}

    class Built(dict[str, tuple[int, dict[str, str], bytes]]):
        """By the time the client looks at the job, the pack is there."""

        def get(self, path: str, default=None):
            if path == "/job":
                server.behaviour.behind["/compliance/pack"] = (200, {}, json.dumps(offer).encode())
            return super().get(path, default)

        def __contains__(self, path: object) -> bool:
            return self.get(str(path)) is not None

        def __getitem__(self, path: str):
            return self.get(path)

    answers = server.behaviour.answers | {"/job": (200, {}, b'{"state":"built"}')}
    server.behaviour.answers = Built(answers)
    result = _pack(server, key, tmp_path / "pack.zip", "--include-evidence")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "pack.zip").read_bytes() == PACK
    asked = [seen.body for seen in server.seen if seen.target == "/compliance/pack" and seen.signed]
    assert asked == [b'{"date": "%s", "include_evidence": true}' % DAY.encode()] * 2


@pytest.mark.parametrize("how", ["url", "Location"])
def test_pack_goes_nowhere_a_pack_cannot_come_from(server: PchServer, key: Path, tmp_path: Path, how: str):
    with running({}) as inner:
        elsewhere = f"{inner.origin}/bucket/pack.zip"
        if how == "url":
            _offer(server, url=elsewhere)
        else:
            server.behaviour.behind["/compliance/pack"] = (202, {"Location": elsewhere}, b"{}")
        sentence = _refused(_pack(server, key, tmp_path / "pack.zip"))
        assert f"sends for the pack to {inner.origin}, which is neither S3" in sentence
        assert inner.seen == []


def test_pack_whose_url_has_expired_is_said_so(server: PchServer, key: Path, tmp_path: Path):
    _offer(server, url=f"{server.origin}/bucket/gone.zip")
    assert "404" in _refused(_pack(server, key, tmp_path / "pack.zip"))
    assert list(tmp_path.glob("pack.zip*")) == []


def test_pack_of_a_day_that_is_not_closed_is_refused(server: PchServer, key: Path, tmp_path: Path):
    refusal = {"error": "not_ready", "message": "2026-01-31 is not closed yet; run signet close"}
    server.behaviour.behind["/compliance/pack"] = (409, {}, json.dumps(refusal).encode())
    assert _refused(_pack(server, key, tmp_path / "p.zip"), 1) == f"signet: {refusal['message']}"


def test_pack_with_a_key_that_may_not_is_refused(server: PchServer, key: Path, tmp_path: Path):
    server.behaviour.behind["/compliance/pack"] = (200, {}, b"{}")
    server.behaviour.fail_signed = ["key_not_allowed"]
    assert "key_not_allowed" in _refused(_pack(server, key, tmp_path / "p.zip"), 1)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"url": "x"}'])
def test_pack_answer_of_another_server_is_not_trusted(
    server: PchServer, key: Path, tmp_path: Path, body: bytes
):
    server.behaviour.behind["/compliance/pack"] = (200, {}, body)
    assert "does not say where the pack is" in _refused(_pack(server, key, tmp_path / "p.zip"))


@pytest.mark.parametrize("date", ["yesterday", "2026-02-30", "20260131", "2026-W05-6", ""])
def test_bad_dates_are_refused(server: PchServer, key: Path, tmp_path: Path, date: str):
    assert "is no date" in _refused(_pack(server, key, tmp_path / "p.zip", date=date))
    assert "is no date" in _refused(_run("close", "--date", date))
    assert server.seen == []


def test_pack_takes_the_place_of_nothing_but_a_file(server: PchServer, key: Path, tmp_path: Path):
    """Run by root, a rename onto /dev/null would take it away from the whole machine."""
    os.mkfifo(tmp_path / "device")
    assert "no ordinary file" in _refused(_pack(server, key, tmp_path / "device"))
    assert stat.S_ISFIFO((tmp_path / "device").stat().st_mode)


def test_pack_refuses_a_missing_folder(server: PchServer, key: Path, tmp_path: Path):
    _offer(server)
    assert "no folder" in _refused(_pack(server, key, tmp_path / "none" / "p.zip"))


def test_pack_needs_a_key(server: PchServer, tmp_path: Path):
    assert "--key is missing" in _refused(_run("pack", "--date", DAY, "-o", tmp_path / "p.zip"))


def test_close_prints_the_tree_head(aws: PchServer):
    head = {
        "tree_size": 7,
        "root_hash": "AAAA",
        "date": "2026-01-31",
        "final": True,
        "closed": ["2026-01-31"],
    }
    aws.behaviour.answers[INVOKE] = (200, {}, json.dumps(head).encode())
    result = _run("close", "--date", "2026-01-31", AWS_ENDPOINT_URL=aws.origin)
    assert result.exit_code == 0, result.output
    assert "tree size  7\n" in result.stdout
    assert "closed     2026-01-31\n" in result.stdout
    assert aws.seen[-1].body == b'{"close": "2026-01-31"}'
    result = _run("close", "--json", AWS_ENDPOINT_URL=aws.origin)
    assert json.loads(result.stdout) == head
    assert aws.seen[-1].body == b"{}"


@pytest.mark.parametrize(("code", "exit_code"), [("usage", 2), ("log_contradiction", 1), ("not_ready", 1)])
def test_close_hands_on_what_the_function_reports(aws: PchServer, code: str, exit_code: int):
    report = {"error": code, "message": "the day is in the future"}
    aws.behaviour.answers[INVOKE] = (200, {}, json.dumps(report).encode())
    result = _run("close", "--date", "2999-01-01", AWS_ENDPOINT_URL=aws.origin)
    assert _refused(result, exit_code) == "signet: the day is in the future"


def test_close_says_when_the_function_crashed(aws: PchServer):
    fields = {"X-Amz-Function-Error": "Unhandled"}
    aws.behaviour.answers[INVOKE] = (200, fields, b'{"errorMessage": "boom"}')
    assert "boom" in _refused(_run("close", AWS_ENDPOINT_URL=aws.origin), 1)


@pytest.mark.parametrize("payload", [b"nonsense", b"[1]"])
def test_close_refuses_an_answer_it_cannot_read(aws: PchServer, payload: bytes):
    aws.behaviour.answers[INVOKE] = (200, {}, payload)
    assert "no JSON" in _refused(_run("close", AWS_ENDPOINT_URL=aws.origin), 1)


def test_stack_that_does_not_run_is_one_sentence():
    sentence = _refused(_run("close", AWS_ENDPOINT_URL="http://127.0.0.1:9"))
    assert "nothing answers at http://127.0.0.1:9" in sentence
    assert "make up" in sentence


def test_stack_of_another_name_is_one_sentence(server: PchServer):
    _fail(server, 400, "ValidationError", "Stack with id other does not exist")
    result = _run("clients", "list", "--stack", "other", AWS_ENDPOINT_URL=server.origin)
    assert "there is no stack 'other'" in _refused(result)


@pytest.mark.parametrize(
    ("code", "advice"), [("AccessDenied", "lack the permission"), ("ExpiredToken", "expired")]
)
def test_credentials_that_do_not_do_are_one_sentence(server: PchServer, code: str, advice: str):
    _fail(server, 403, code, "no")
    assert advice in _refused(_run("clients", "list", AWS_ENDPOINT_URL=server.origin))


def test_stack_of_an_older_template_is_one_sentence(server: PchServer):
    _describe(server, {"ApiUrl": "x"})
    assert "no output SthCronFunction" in _refused(_run("close", AWS_ENDPOINT_URL=server.origin))


def test_without_credentials_the_embedded_stacks_env_file_is_pointed_at(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sentence = _refused(_run("clients", "list", AWS_DEFAULT_REGION="eu-central-1"))
    assert "make up" in sentence
    (tmp_path / ".local" / "signet").mkdir(parents=True)
    (tmp_path / ".local" / "signet" / "env").write_text("")
    sentence = _refused(_run("clients", "list", AWS_DEFAULT_REGION="eu-central-1"))
    assert "`source .local/signet/env`" in sentence
    assert "`source .local/signet/env`" in _refused(_run("close"))
