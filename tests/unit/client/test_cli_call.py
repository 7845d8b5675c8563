"""``signet call`` and the demo tool against a real server."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from signet.core.decision import Decision, Reason
from signet.crypto import keyfiles, suites
from signet_client.cli import app
from signet_client.reasons import advice
from tests.support.pch_server import PchServer, running
from tests.support.tls_server import Authority, serving

RUNNER = CliRunner(env=dict.fromkeys(("SIGNET_KEY", "SIGNET_KEYID", "SIGNET_URL", "SIGNET_STACK")))
KEY = suites.get("ed25519+ml-dsa-65").generate()
DEMO = Path(__file__).parents[3] / "tools" / "pch_client_demo.py"


@pytest.fixture
def server() -> Iterator[PchServer]:
    with running({KEY.key_id: KEY, "caller-1": KEY}) as running_server:
        yield running_server


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key.pem"
    path.write_bytes(keyfiles.dump_private(KEY))
    return path


def _call(*arguments: object, **environment: str):
    return RUNNER.invoke(app, ["call", *map(str, arguments)], env=environment)


def _refused(result, code: int = 2) -> str:
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_call_prints_decision_timing_and_body(server: PchServer, key: Path):
    result = _call(f"{server.origin}/protected", "--key", key, "--keyid", "caller-1")
    assert result.exit_code == 0, result.output
    assert "answer    200 OK" in result.stdout
    assert "decision  allow" in result.stdout
    assert "caller-1 (ed25519+ml-dsa-65)" in result.stdout
    assert '"caller": "caller-1"' in result.stdout


def test_call_in_json_is_for_programs(server: PchServer, key: Path):
    told = json.loads(_call(f"{server.origin}/protected", "--key", key, "--json").stdout)
    assert (told["ok"], told["status"], told["decision"], told["requests"]) == (True, 200, "allow", 2)
    assert told["body"]["caller"] == told["keyid"] == KEY.key_id
    assert told["proof_bytes"] > 4_500


def test_call_takes_its_defaults_from_the_environment(server: PchServer, key: Path):
    result = _call("/protected", SIGNET_KEY=str(key), SIGNET_KEYID="caller-1", SIGNET_URL=f"{server.origin}/")
    assert result.exit_code == 0, result.output
    assert server.seen[-1].target == "/protected"


def test_call_sends_data_and_says_what_it_is(server: PchServer, key: Path, tmp_path: Path):
    content = tmp_path / "content.json"
    content.write_text('{"a":1}')
    assert _call(f"{server.origin}/protected", "--key", key, "--data", f"@{content}").exit_code == 0
    seen = server.seen[-1]
    assert (seen.method, seen.body, seen.headers["content-type"]) == ("POST", b'{"a":1}', "application/json")
    assert (
        _call(
            f"{server.origin}/protected", "--key", key, "-X", "put", "--data", "x", "-H", "X-A: b"
        ).exit_code
        == 0
    )
    seen = server.seen[-1]
    assert (seen.method, seen.headers["content-type"], seen.headers["x-a"]) == (
        "PUT",
        "application/octet-stream",
        "b",
    )


def test_call_and_demo_sort_the_query(server: PchServer, key: Path, tmp_path: Path):
    url = f"{server.origin}/protected?status=open&limit=5"
    assert _call(url, "--key", key).exit_code == 0
    assert _demo("--url", url, "--key", key, folder=tmp_path).returncode == 0
    signed = [seen.target for seen in server.seen if seen.signed]
    assert signed == ["/protected?limit=5&status=open"] * 2


def test_a_redirect_is_shown_and_not_followed(server: PchServer, key: Path):
    server.behaviour.redirects["/protected"] = "/protected/new"
    sentence = _refused(_call(f"{server.origin}/protected", "--key", key), 1)
    assert (
        "redirected with 307 to /protected/new, which was not followed: a proof is for one address"
        in sentence
    )
    assert len(server.seen) == 1


def test_a_challenge_may_come_from_another_origin_that_is_given(server: PchServer, key: Path):
    server.behaviour.refusal = "bare"
    with running({}) as signet:
        place = ("--challenge-url", f"{signet.origin}/pch/challenge", "--api", "orders")
        assert _call(f"{server.origin}/protected", "--key", key, *place).exit_code == 0
        assert f"?api=orders&authority={server.authority.replace(':', '%3A')}&" in signet.targets[0]
        signet.behaviour.answers["/pch/challenge"] = (404, {}, b'{"error":"unknown_api"}')
        sentence = _refused(_call(f"{server.origin}/protected", "--key", key, *place), 1)
    assert "(api orders) answers 404, unknown_api for localhost" in sentence
    assert all(seen.signed for seen in server.seen)


def test_call_puts_evidence_on_record(server: PchServer, key: Path, tmp_path: Path):
    evidence = tmp_path / "evidence.json"
    evidence.write_text('{"sbom": "x"}')
    assert _call(f"{server.origin}/protected", "--key", key, "--evidence", evidence).exit_code == 0
    assert '"pch-evidence"' in server.seen[-1].covered


@pytest.mark.parametrize("code", ["policy_denied", "key_revoked", "unknown_key"])
def test_refusal_names_code_and_advice(server: PchServer, key: Path, code: str):
    server.behaviour.fail_signed = [code]
    sentence = _refused(_call(f"{server.origin}/protected", "--key", key), 1)
    assert code in sentence
    assert advice(code) in sentence


def test_refusal_without_a_code_quotes_the_gateway(server: PchServer, key: Path):
    server.behaviour.refusal = "bare"
    sentence = _refused(_call(f"{server.origin}/protected", "--key", key, "--keyid", "nobody"), 1)
    assert "explicit deny" in sentence


def test_refusal_in_json_has_the_sentence_too(server: PchServer, key: Path):
    server.behaviour.fail_signed = ["policy_denied"]
    result = _call(f"{server.origin}/protected", "--key", key, "--json")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert (told["decision"], told["error"]) == ("deny", "policy_denied")
    assert "policy" in told["message"]


def test_shedding_says_when_to_come_back(server: PchServer, key: Path):
    server.behaviour.answers["/protected"] = (503, {"Retry-After": "7"}, b"")
    assert "try again after 7 s" in _refused(_call(f"{server.origin}/protected", "--key", key), 1)


def test_error_of_the_backend_is_told_apart_from_a_refusal(server: PchServer, key: Path):
    server.behaviour.behind["/orders"] = (409, {}, b'{"message":"out of paper"}')
    sentence = _refused(_call(f"{server.origin}/orders", "--key", key), 1)
    assert "let through, but answered with 409" in sentence
    assert "out of paper" in sentence


def test_no_decision_is_claimed_where_none_shows(server: PchServer, key: Path):
    server.behaviour.behind["/orders"] = (500, {}, b"")
    assert "signet: answered with 500" in _refused(_call(f"{server.origin}/orders", "--key", key), 1)
    server.behaviour.answers["/public"] = (200, {}, b"hello")
    result = _call(f"{server.origin}/public", "--key", key)
    assert result.exit_code == 0
    assert "decision  not known" in result.stdout
    assert "proof     not asked for" in result.stdout


def test_a_path_the_api_does_not_have_is_no_refusal(server: PchServer, key: Path):
    body = b'{"message":"Missing Authentication Token"}'
    server.behaviour.answers["/protected/none"] = (403, {}, body)
    result = _call(f"{server.origin}/protected/none", "--key", key)
    assert "the API has no such path" in _refused(result, 1)
    assert "decision  not known" in result.stdout


def test_a_proof_over_the_budget_is_said_to_be_one(server: PchServer, key: Path, tmp_path: Path):
    server.behaviour.refusal = "bare"
    (tmp_path / "big.json").write_text(json.dumps({"a": "x" * 9000}))
    evidence = ("--evidence", tmp_path / "big.json", "--mode", "inline")
    sentence = _refused(_call(f"{server.origin}/protected", "--key", key, "--keyid", "nobody", *evidence), 1)
    assert "the budget is 8192" in sentence


def test_server_without_challenge_is_no_signet(server: PchServer, key: Path):
    server.behaviour.refusal, server.behaviour.challenge_status = "bare", 404
    assert "without a challenge" in _refused(_call(f"{server.origin}/protected", "--key", key), 1)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def test_nothing_listening_is_one_sentence(key: Path):
    sentence = _refused(_call(f"http://127.0.0.1:{_free_port()}/protected", "--key", key), 1)
    assert "cannot connect" in sentence
    assert "make up" in sentence


def test_wrong_input_is_refused_before_anything_is_sent(server: PchServer, key: Path, tmp_path: Path):
    url = f"{server.origin}/protected"
    (tmp_path / "broken.json").write_text('{"a":')
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "float.json").write_text('{"a":0.5}')
    (tmp_path / "deep.json").write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    (tmp_path / "rather_deep.json").write_text('{"a":' * 900 + "1" + "}" * 900)
    (tmp_path / "junk.pem").write_text("junk")
    cases = {
        (url,): "--key is missing",
        (url, "--key", tmp_path / "none.pem"): "cannot read the key file",
        (url, "--key", tmp_path): "cannot read the key file",
        (url, "--key", tmp_path / "junk.pem"): "not a PEM key file",
        (url, "--key", key, "--alg", "ed25519"): "ed25519",
        (url, "--key", key, "--alg", "rot13"): "rot13",
        (url, "--key", key, "--binding", "tls-exporter"): "needs an https URL",
        (url, "--key", key, "--binding", "tls-client-cert"): "certificate goes with",
        (url, "--key", key, "--binding", "tls-client-cert", "--cert", tmp_path / "none.crt"): "cannot read",
        (url, "--key", key, "--binding", "tls-client-cert", "--cert", tmp_path / "junk.pem"): "PEM",
        (url, "--key", key, "--binding", "glue"): "no binding 'glue'",
        (url, "--key", key, "--mode", "loud"): "no mode 'loud'",
        (url, "--key", key, "--keyid", "schlüssel"): "cannot be signed",
        (url, "--key", key, "--evidence", tmp_path / "none.json"): "No such file",
        (url, "--key", key, "--evidence", tmp_path / "broken.json"): "does not hold JSON",
        (url, "--key", key, "--evidence", tmp_path / "list.json"): "no JSON object",
        (url, "--key", key, "--evidence", tmp_path / "float.json"): "cannot be signed",
        (url, "--key", key, "--evidence", tmp_path / "deep.json"): "does not hold JSON",
        (url, "--key", key, "--evidence", tmp_path / "rather_deep.json"): "cannot be signed",
        (url, "--key", key, "--data", f"@{tmp_path / 'none'}"): "No such file",
        (url, "--key", key, "-H", "nonsense"): "no header field",
        (f"{url}?a=1&b=2&a=3", "--key", key): "cannot sign",
        ("/protected", "--key", key): "SIGNET_URL",
        ("localhost/protected", "--key", key): "http",
        ("http://", "--key", key): "http",
    }
    for arguments, expected in cases.items():
        assert expected in _refused(_call(*arguments)), arguments
    assert not any(seen.signed for seen in server.seen)


def test_every_refusal_has_advice_of_its_own():
    told = [advice(reason) for reason in Reason if reason.decision is not Decision.ALLOW]
    assert len(set(told)) == len(told)
    assert not any(sentence in set(Reason) for sentence in told)
    assert advice("new_code") == "new_code"


def _demo(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, DEMO, *map(str, arguments)],
        cwd=folder,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )


def test_demo_shows_each_step(server: PchServer, key: Path, tmp_path: Path):
    shown = _demo("--url", f"{server.origin}/protected", "--key", key, "--insecure", folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    for expected in (
        "error=challenge_required",
        "nonce          nonce-1",
        '  "@path": /protected',
        "Answer    200",
    ):
        assert expected in shown.stdout
    assert "PRIVATE" not in shown.stdout


def test_demo_makes_a_key_and_says_it_must_be_registered(server: PchServer, tmp_path: Path):
    shown = _demo("--url", f"{server.origin}/protected", "--alg", "ml-dsa-65", folder=tmp_path)
    assert shown.returncode == 1
    assert "bad_signature" in shown.stderr
    assert "signet clients add --key .local/demo-keys/ml-dsa-65.pem.pub" in shown.stdout


@pytest.mark.parametrize("tool", [_call, _demo], ids=["call", "demo"])
def test_tls_exporter_binds_to_the_connection(key: Path, tmp_path: Path, tool: Callable[..., Any]):
    with serving({KEY.key_id: KEY}, Authority(tmp_path).issue("localhost")) as server:
        arguments = (server.url, "--key", key, "--binding", "tls-exporter", "--insecure")
        done = _call(*arguments) if tool is _call else _demo("--url", *arguments, folder=tmp_path)
        assert (done.exit_code if tool is _call else done.returncode) == 0, done
        assert server.bound == [0]
        assert "tls-exporter" in done.stdout


def test_certificate_nobody_vouches_for_is_one_sentence(key: Path, tmp_path: Path):
    with serving({KEY.key_id: KEY}, Authority(tmp_path).issue("localhost")) as server:
        sentence = _refused(_call(server.url, "--key", key, "--binding", "tls-exporter"))
        assert "is not trusted" in sentence
        assert "--insecure" in sentence
        assert server.pch.seen == []


def test_client_certificate_is_presented_and_bound(server: PchServer, key: Path, tmp_path: Path):
    certificate, certificate_key = Authority(tmp_path).issue("caller")
    url = f"{server.origin}/protected"
    options = ("--key", key, "--binding", "tls-client-cert", "--cert", certificate)
    assert _call(url, *options, "--cert-key", certificate_key).exit_code == 0
    assert server.seen[-1].headers["pch-channel-binding"].startswith("tls-client-cert=:")
    assert "give --cert-key" in _refused(_call(url, *options))


def test_demo_refuses_an_address_it_cannot_reach(tmp_path: Path):
    shown = _demo(
        "--url", f"https://localhost:{_free_port()}/protected", "--binding", "tls-exporter", folder=tmp_path
    )
    assert shown.returncode == 2
    assert "Traceback" not in shown.stderr
    assert "cannot connect" in shown.stderr
