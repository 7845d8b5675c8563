"""The closed loop on the deployed stack, driven by the real commands.

The tests run in file order and share one day: first decisions are made, then the day is closed and
handed out. ``made`` counts the decisions; in the end the receipts must say the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.attacks import ATTACKS, Attacker
from local.drain import drain
from local.stack import Stack
from signet.crypto import suites
from signet.crypto.keyfiles import load_private
from signet_client import PCHAuth
from signet_client.signing import Signer
from tests.support.waiting import until

pytestmark = pytest.mark.integration

BIN = Path(sys.executable).parent
TODAY = datetime.now(UTC).date()
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass
class Callers:
    folder: Path
    signers: dict[str, Signer]


@pytest.fixture(scope="module")
def run(stack: Stack) -> Run:
    """Run a command with the stack's environment; nothing it prints may be a traceback."""

    def start(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **stack.env, **environment}
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=120)
        assert "Traceback" not in done.stdout + done.stderr
        return done

    return start


@pytest.fixture(scope="module")
def signet(run: Run) -> Run:
    return lambda *arguments, **environment: run(str(BIN / "signet"), *arguments, **environment)


@pytest.fixture(scope="module")
def made() -> Counter[str]:
    return Counter()


@pytest.fixture(scope="module")
def callers(signet: Run, tmp_path_factory: pytest.TempPathFactory) -> Callers:
    folder = tmp_path_factory.mktemp("keys")
    signers = {}
    for name in (*suites.NAMES, "auditor", "mallory"):
        alg = name if name in suites.NAMES else "ed25519"
        path = folder / f"{name}.pem"
        assert signet("keygen", "--alg", alg, "-o", str(path)).returncode == 0
        key = load_private(path.read_bytes(), alg)
        keyid = key.key_id if "+" in alg else name
        role = "auditor" if name == "auditor" else "caller"
        added = signet("clients", "add", "--key", f"{path}.pub", "--keyid", keyid, "--role", role)
        assert added.returncode == 0, added.stderr
        signers[name] = Signer(key, keyid)
    assert signet("clients", "revoke", "mallory").returncode == 0
    return Callers(folder, signers)


@pytest.fixture(scope="module")
def attacker(stack: Stack, callers: Callers) -> Iterator[Attacker]:
    with httpx.Client(timeout=60) as client:
        yield Attacker(client, stack.outputs, callers.signers)


@pytest.fixture(scope="module")
def day(stack: Stack, signet: Run, made: Counter[str]) -> dict[str, Any]:
    """Wait for the sink, close today, and return the tree head; what comes later belongs to tomorrow."""
    wait_for_the_sink(stack)
    closed = signet("close", "--date", TODAY.isoformat(), "--json")
    assert closed.returncode == 0, closed.stderr
    head: dict[str, Any] = json.loads(closed.stdout)
    return {**head, "made": Counter(made)}


@pytest.fixture(scope="module")
def pack(stack: Stack, signet: Run, callers: Callers, day: dict[str, Any]) -> Path:
    path = callers.folder / "pack.zip"
    done = signet(
        "pack", "--date", TODAY.isoformat(), "-o", str(path), "--key", str(callers.folder / "auditor.pem"),
        "--keyid", "auditor", "--url", stack.outputs["ApiUrl"],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return path


def wait_for_the_sink(stack: Stack) -> None:
    """Wait until the sink has taken every receipt."""
    sqs = stack.client("sqs")
    drain(sqs, stack.outputs, print)


# --- decisions


def test_unsigned_request_is_refused(stack: Stack, made: Counter[str]) -> None:
    assert httpx.get(stack.outputs["ProtectedUrl"], timeout=60).status_code in {401, 403}
    made["challenge_required"] += 1


def test_challenge_endpoint_hands_out_different_nonces(stack: Stack) -> None:
    answers = [httpx.get(stack.outputs["ChallengeUrl"], timeout=60) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["nonce"] != answers[1].json()["nonce"]
    assert answers[0].json()["algs"] == list(suites.NAMES)
    assert answers[0].headers["cache-control"] == "no-store"


@pytest.mark.parametrize("alg", suites.NAMES)
def test_signed_request_is_accepted(
    alg: str, stack: Stack, signet: Run, callers: Callers, made: Counter[str]
) -> None:
    done = signet(
        "call", stack.outputs["ProtectedUrl"], "--key", str(callers.folder / f"{alg}.pem"), "--json",
        "--keyid", callers.signers[alg].keyid, "--challenge-url", stack.outputs["ChallengeUrl"],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)["body"]
    assert (body["alg"], body["caller"]) == (alg, callers.signers[alg].keyid)
    made["ok"] += 1


def test_client_finds_the_challenge_by_itself_and_signs_bodies(
    stack: Stack, callers: Callers, made: Counter[str]
) -> None:
    auth = PCHAuth(callers.signers["ml-dsa-65"].key, callers.signers["ml-dsa-65"].keyid)
    with httpx.Client(auth=auth, timeout=60) as client:
        answer = client.post(f"{stack.outputs['ProtectedUrl']}?b=x+y&a=1", json={"amount": 7})
        assert answer.status_code == 200
        assert len(answer.headers["Signet-Nonce"]) == 55
        assert client.get(stack.outputs["ProtectedUrl"]).status_code == 200
    assert answer.json()["received_bytes"] == len(b'{"amount":7}')
    made.update(challenge_required=1, ok=2)


def _call_with_evidence(
    stack: Stack, signet: Run, callers: Callers, evidence: dict[str, Any], *options: str
) -> dict[str, Any]:
    path = callers.folder / "evidence.json"
    path.write_text(json.dumps(evidence))
    done = signet(
        "call", stack.outputs["ProtectedUrl"], "--key", str(callers.folder / "ml-dsa-65.pem"), "--json",
        "--keyid", callers.signers["ml-dsa-65"].keyid, "--challenge-url", stack.outputs["ChallengeUrl"],
        "--evidence", str(path), *options,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


LARGE_EVIDENCE = {"sbom": ["a" * 100] * 120}
SMALL_EVIDENCE = {"build": 42}


def test_12_kb_of_evidence_under_ml_dsa_succeed_by_themselves(
    stack: Stack, signet: Run, callers: Callers, made: Counter[str]
) -> None:
    answer = _call_with_evidence(stack, signet, callers, LARGE_EVIDENCE)
    assert answer["bundle_bytes"] > 12_000
    assert answer["proof_bytes"] < 6_000
    made["ok"] += 1


@pytest.mark.parametrize(("mode", "apart"), [("inline", False), ("detached", True)])
def test_evidence_travels_as_the_caller_says(
    stack: Stack, signet: Run, callers: Callers, made: Counter[str], mode: str, apart: bool
) -> None:
    answer = _call_with_evidence(stack, signet, callers, SMALL_EVIDENCE, "--mode", mode)
    assert bool(answer["bundle_bytes"]) == apart
    made["ok"] += 1


def test_bundle_needs_a_live_nonce(stack: Stack) -> None:
    bundle = b'{"evidence":{"build":42}}'
    assert httpx.post(stack.outputs["EvidenceUrl"], content=bundle).status_code == 401
    nonce = httpx.get(stack.outputs["ChallengeUrl"]).json()["nonce"]
    fields = {"PCH-Nonce": f'"{nonce}"'}
    assert httpx.post(stack.outputs["EvidenceUrl"], content=b"{}", headers=fields).status_code == 400
    assert httpx.post(stack.outputs["EvidenceUrl"], content=b"a" * 65_537, headers=fields).status_code == 413
    stored = httpx.post(stack.outputs["EvidenceUrl"], content=bundle, headers=fields)
    assert stored.status_code == 201
    assert stored.json()["digest"].startswith("sha-256=:")


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_refused(name: str, attacker: Attacker, made: Counter[str]) -> None:
    status, reasons = ATTACKS[name](attacker)
    assert status in {400, 401, 403}
    made.update(reasons)


def test_200_parallel_requests_are_all_decided(
    stack: Stack, callers: Callers, attacker: Attacker, made: Counter[str]
) -> None:
    signer = callers.signers["ed25519"]
    auth = PCHAuth(signer.key, signer.keyid, challenge_url=stack.outputs["ChallengeUrl"])
    url = stack.outputs["ProtectedUrl"]
    limits = httpx.Limits(max_connections=200)
    with httpx.Client(timeout=120, limits=limits) as client, ThreadPoolExecutor(200) as pool:
        statuses = list(pool.map(lambda _: client.get(url, auth=auth).status_code, range(200)))
    assert Counter(statuses) == {200: 200}
    made["ok"] += 200


def test_fifty_parallel_presentations_of_one_proof_allow_one(attacker: Attacker, made: Counter[str]) -> None:
    for _ in range(20):  # races differ from run to run
        proof = attacker.proof("GET", attacker.url, "ecdsa-p256-sha256")
        with ThreadPoolExecutor(25) as pool:
            statuses = list(pool.map(lambda _, p=proof: attacker.send("GET", attacker.url, p), range(50)))
        made.update(ok=1, nonce_replayed=49)
        assert statuses.count(200) == 1


def test_pack_of_an_open_day_is_not_ready(attacker: Attacker, made: Counter[str]) -> None:
    assert ask(attacker, {"date": TODAY.isoformat()}).status_code == 409
    made["ok"] += 1


# --- bad input


def ask(attacker: Attacker, document: Any, **headers: str) -> httpx.Response:
    """Ask for a pack as the auditor; a document that is bytes goes as it is."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    url = attacker.outputs["PackUrl"]
    proof = attacker.proof("POST", url, "ed25519", body=body, key="auditor")
    return attacker.client.post(url, content=body, headers={**proof, **headers})


@pytest.mark.parametrize(
    ("document", "status"),
    [
        (b"{not json", 400),
        (b"[]", 400),
        (b'{"date":"2026-11-23","date":"2026-11-22"}', 400),
        ({"date": "23.11.2026"}, 400),
        ({"date": "2026-02-30"}, 400),
        ({"date": 7}, 400),
        ({}, 400),
        ({"date": (TODAY + timedelta(days=400)).isoformat()}, 404),
    ],
)
def test_bad_pack_request_gets_a_sentence(
    document: Any, status: int, attacker: Attacker, made: Counter[str]
) -> None:
    answer = ask(attacker, document)
    made["ok"] += 1
    assert answer.status_code == status
    assert answer.json().keys() == {"error", "message"}
    assert len(answer.json()["message"].split()) > 3


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (("call", "{url}", "--key", "/nowhere.pem", "--keyid", "x"), 2, "nowhere.pem"),
        (("call", "{url}", "--key", "{key}", "--keyid", "nobody"), 1, "refused"),
        (("call", "http://127.0.0.1:9/protected", "--key", "{key}", "--keyid", "x"), 1, "127.0.0.1:9"),
        (("call", "not a url", "--key", "{key}", "--keyid", "x"), 2, "url"),
        (("clients", "revoke", "nobody"), 2, "nobody"),
        (("clients", "add", "--key", "{key}"), 2, "public"),
        (("close", "--date", "tomorrow"), 2, "2026-01-31"),
        (("close", "--date", "2999-01-01"), 2, "2999-01-01"),
        (
            (
                "pack",
                "--date",
                "1999-01-01",
                "-o",
                "{folder}/x.zip",
                "--key",
                "{auditor}",
                "--keyid",
                "auditor",
            ),
            1,
            "1999",
        ),
        (("verify", "/nowhere.zip"), 2, "nowhere.zip"),
        (("keygen", "--alg", "rsa", "-o", "{folder}/rsa.pem"), 2, "ed25519"),
    ],
)
def test_bad_input_to_a_command_gets_one_sentence(
    arguments: tuple[str, ...],
    code: int,
    word: str,
    stack: Stack,
    signet: Run,
    callers: Callers,
    made: Counter[str],
) -> None:
    names = {
        "url": stack.outputs["ProtectedUrl"],
        "key": str(callers.folder / "ed25519.pem"),
        "auditor": str(callers.folder / "auditor.pem"),
        "folder": str(callers.folder),
    }
    done = signet(*(argument.format_map(names) for argument in arguments))
    if "nobody" in arguments and arguments[0] == "call":
        made.update(challenge_required=1, unknown_key=1)
    if arguments[0] == "pack":
        made.update(challenge_required=1, ok=1)
    assert done.returncode == code, done.stdout + done.stderr
    said = done.stderr.strip() or done.stdout.strip()
    assert word.lower() in said.lower()
    assert said.count("\n") <= (8 if arguments[0] == "call" and code == 1 else 0)


def test_stack_that_does_not_run_is_said_in_one_sentence(signet: Run) -> None:
    done = signet("close", AWS_ENDPOINT_URL="http://127.0.0.1:9")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_demo_client_shows_a_handshake(stack: Stack, run: Run, callers: Callers, made: Counter[str]) -> None:
    done = run(
        sys.executable, "tools/pch_client_demo.py", "--url", stack.outputs["ProtectedUrl"],
        "--alg", "ml-dsa-65", "--keyid", callers.signers["ml-dsa-65"].keyid,
        "--key", str(callers.folder / "ml-dsa-65.pem"),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"@signature-params"' in done.stdout
    made.update(challenge_required=1, ok=1)


# --- proof


def test_closing_gives_a_final_head_over_every_decision(day: dict[str, Any]) -> None:
    assert day["final"] is True
    assert day["date"] == TODAY.isoformat()
    assert day["tree_size"] >= sum(day["made"].values())  # the breaker's transitions are receipts too


def test_closing_again_changes_nothing(signet: Run, day: dict[str, Any]) -> None:
    again = json.loads(signet("close", "--date", TODAY.isoformat(), "--json").stdout)
    assert again["root_hash"] == day["root_hash"]


def test_receipts_say_what_was_done_in_one_chain_without_gap(pack: Path, day: dict[str, Any]) -> None:
    lines = zipfile.ZipFile(pack).read("receipts.jsonl").splitlines()
    receipts = [json.loads(line) for line in lines]
    decisions = [receipt for receipt in receipts if receipt["type"] == "pch.decision"]
    # The files before this one called an attached API, and changed the policy for it.
    own = [receipt for receipt in decisions if receipt["v"] == 1 or receipt["api"]["name"] == "signet"]
    assert Counter(receipt["reason"] for receipt in own) == day["made"]
    others = {receipt["type"] for receipt in receipts} - {"pch.decision", "breaker.transition"}
    assert others <= {"policy.changed", "api.added", "api.removed"}
    assert [receipt["chain"]["seq"] for receipt in receipts] == list(range(len(receipts)))
    assert len({receipt["id"] for receipt in receipts}) == len(receipts)
    head = json.loads(zipfile.ZipFile(pack).read("sth.json"))
    assert head["emitters"]["missing"] == 0


@pytest.mark.parametrize("evidence", [LARGE_EVIDENCE, SMALL_EVIDENCE], ids=["large", "small"])
def test_evidence_on_record_is_beside_the_log(stack: Stack, pack: Path, evidence: dict[str, Any]) -> None:
    lines = zipfile.ZipFile(pack).read("receipts.jsonl").splitlines()
    content = json.dumps(evidence, separators=(",", ":")).encode()
    sha256 = hashlib.sha256(content).hexdigest()
    receipts = map(json.loads, lines)
    proofs = [receipt["proof"] for receipt in receipts if receipt["type"] == "pch.decision"]
    modes = [proof["mode"] for proof in proofs if proof["evidence_sha256"] == sha256]
    assert sorted(modes) == (["detached"] if evidence is LARGE_EVIDENCE else ["detached", "inline"])
    kept = (
        stack.client("s3")
        .get_object(Bucket=stack.outputs["LogBucket"], Key=f"evidence/{sha256}")["Body"]
        .read()
    )
    assert kept == content


def test_the_closing_run_has_the_pack_built_and_the_job_says_so(stack: Stack, day: dict[str, Any]) -> None:
    s3, jobs = stack.client("s3"), f"packs/jobs/{TODAY.isoformat()}-"

    def built() -> bool:
        found = s3.list_objects_v2(Bucket=stack.outputs["LogBucket"], Prefix=jobs).get("Contents", [])
        bodies = [s3.get_object(Bucket=stack.outputs["LogBucket"], Key=job["Key"])["Body"] for job in found]
        return [json.load(body)["state"] for body in bodies] == ["built"]

    until(built, seconds=60)


def test_pack_with_evidence_holds_it_and_verifies(
    stack: Stack, signet: Run, callers: Callers, pack: Path
) -> None:
    path = callers.folder / "with-evidence.zip"
    done = signet(
        "pack", "--date", TODAY.isoformat(), "-o", str(path), "--key", str(callers.folder / "auditor.pem"),
        "--keyid", "auditor", "--url", stack.outputs["ApiUrl"], "--include-evidence",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    contents = {zipfile.ZipFile(path).read(name) for name in zipfile.ZipFile(path).namelist()}
    for evidence in (LARGE_EVIDENCE, SMALL_EVIDENCE):
        assert json.dumps(evidence, separators=(",", ":")).encode() in contents
    assert not any(name.startswith("evidence/") for name in zipfile.ZipFile(pack).namelist())
    assert signet("verify", str(path)).returncode == 0


def test_both_verifiers_accept_the_pack(pack: Path, run: Run, signet: Run, callers: Callers) -> None:
    log_id = json.loads(zipfile.ZipFile(pack).read("manifest.json"))["log_id"]
    assert signet("verify", str(pack), "--log-id", log_id).returncode == 0
    checker = callers.folder / "verify.py"
    checker.write_bytes(zipfile.ZipFile(pack).read("verify.py"))
    assert run(sys.executable, str(checker), str(pack), "--log-id", log_id).returncode == 0
    other = "0" * 64
    assert signet("verify", str(pack), "--log-id", other).returncode == 1
    assert run(sys.executable, str(checker), str(pack), "--log-id", other).returncode == 1


@pytest.mark.parametrize("place", [0.1, 0.3, 0.5, 0.7, 0.9, 0.999])
def test_pack_with_one_changed_byte_is_refused_by_both(
    place: float, pack: Path, run: Run, signet: Run
) -> None:
    content = bytearray(pack.read_bytes())
    content[int(len(content) * place)] ^= 0x01
    forged = pack.with_name("forged.zip")
    forged.write_bytes(content)
    assert signet("verify", str(forged)).returncode == 1
    checker = pack.with_name("verify.py")
    assert run(sys.executable, str(checker), str(forged)).returncode == 1


def test_pack_is_built_once_and_can_be_fetched_with_curl_alone(attacker: Attacker, pack: Path) -> None:
    offers = [ask(attacker, {"date": TODAY.isoformat()}) for _ in range(2)]
    assert [offer.status_code for offer in offers] == [200, 200]
    assert offers[0].json()["sha256"] == offers[1].json()["sha256"]
    assert httpx.get(offers[0].json()["url"], timeout=60).content == pack.read_bytes()
    redirect = ask(attacker, {"date": TODAY.isoformat()}, Accept="application/zip")
    assert redirect.status_code == 303
    assert httpx.get(redirect.headers["location"], timeout=60).content == pack.read_bytes()


def test_pack_of_a_day_before_the_log_does_not_exist(attacker: Attacker, day: dict[str, Any]) -> None:
    assert ask(attacker, {"date": "1999-12-31"}).status_code == 404


def test_later_decisions_belong_to_the_next_day(stack: Stack, signet: Run, day: dict[str, Any]) -> None:
    httpx.get(stack.outputs["ProtectedUrl"], timeout=60)
    wait_for_the_sink(stack)
    head = json.loads(signet("close", "--json").stdout)
    assert head["final"] is False
    assert head["date"] == (TODAY + timedelta(days=1)).isoformat()
    assert head["tree_size"] > day["tree_size"]


def test_the_deployed_log_passes_its_audit(
    stack: Stack, signet: Run, pack: Path, day: dict[str, Any]
) -> None:
    log_id = json.loads(zipfile.ZipFile(pack).read("manifest.json"))["log_id"]
    done = signet("audit", "--log-id", log_id, "--evidence", "--no-remember", "--json")
    told = json.loads(done.stdout)
    assert done.returncode == 0, told
    assert told["days"] == 1
    assert told["tree_size"] >= day["tree_size"]
    assert len(told["checks"]) == 14
    assert told["evidence"]["whole"] == told["evidence"]["named"]
    assert signet("audit", "--log-id", "0" * 64).returncode == 1


def test_the_daily_audit_finds_the_deployed_log_good(stack: Stack, pack: Path) -> None:
    client = stack.client("lambda")
    answer = client.invoke(FunctionName=stack.outputs["AuditFunction"], Payload=b'{"days": 2}')
    told = json.loads(answer["Payload"].read())
    assert (told["good"], told["findings"]) == (True, []), told
    assert told["days"] == 1


def test_proof_of_one_receipt_can_be_taken_out(signet: Run, pack: Path) -> None:
    receipt = json.loads(zipfile.ZipFile(pack).read("receipts.jsonl").splitlines()[3])
    done = signet("prove", str(pack), receipt["id"])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["receipt"] == receipt
    assert signet("prove", str(pack), "01890000-0000-7000-8000-000000000000").returncode == 2


def test_proof_of_one_receipt_is_read_from_the_log_itself(signet: Run, pack: Path) -> None:
    receipt = json.loads(zipfile.ZipFile(pack).read("receipts.jsonl").splitlines()[-1])
    done = signet("prove", "--now", receipt["id"])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["receipt"] == receipt
    missing = signet("prove", "--now", "01890000-0000-7000-8000-000000000000")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "not in the newest signed head" in missing.stderr


def test_public_keys_are_served(stack: Stack, pack: Path) -> None:
    answer = httpx.get(f"{stack.outputs['ApiUrl']}/pch/keys", timeout=60)
    assert answer.content == zipfile.ZipFile(pack).read("keys.json")


def test_backends_get_keys_and_report_outcomes(stack: Stack) -> None:
    keys = httpx.get(f"{stack.outputs['ApiUrl']}/pch/assertion-keys", timeout=60)
    assert (keys.status_code, len(keys.json()["keys"])) == (200, 1)
    batch = {"outcomes": [{"ticket": "v1.no-ticket", "latency_ms": 1, "error": True}]}
    answer = httpx.post(stack.outputs["OutcomesUrl"], json=batch, timeout=60)
    assert (answer.status_code, answer.json()) == (200, {"results": ["invalid"]})
