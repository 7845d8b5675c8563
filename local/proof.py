"""The demo's second half: what was done is closed, handed out, and checked by others.

Each step shows one promise and fails if it does not hold.
"""

from __future__ import annotations

import json
import secrets
import time
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from local.drain import drain
from local.fault import CYCLE, SHED_REASONS, moves, states
from local.session import FOLDER, Session, require
from local.terminal import Narrator
from signet.core.decision import Reason
from signet.core.instants import UUID7_RANDOM_BYTES, uuid7
from signet.core.vocabulary import PayloadKind, PolicyAction, ProofMode
from signet.receipts.facts import ApiFacts, ClientFacts, TranscriptFacts
from signet.receipts.model import DecisionRecord, Emitter, PolicyFacts, ProofFacts, RequestFacts
from signet.receipts.v2 import V2

_POLICY_CHANGES = 3
_ROTATIONS = 1


def close(session: Session, narrator: Narrator) -> None:
    """Close today early, under keys that were rotated just before."""
    invent(session, narrator)
    drain(session.client("sqs"), session.outputs, narrator.say)
    made = sum(session.expected.values())
    narrator.good(f"{made} decisions were made so far, and no receipt waits in the queue")
    rotated = session.signet_json("keys", "rotate")
    require(rotated["rotated"] == [1], f"the keys were not rotated: {rotated}")
    narrator.good("the log's keys are rotated: set 1, endorsed by set 0, signs from now on")
    head = session.signet_json("close", "--date", session.day)
    require(head["final"] and head["date"] == session.day, f"the day was not closed: {head}")
    narrator.good(f"{session.day} is closed with {head['tree_size']} receipts")
    narrator.say(f"Merkle root  {head['root_hash']}")
    narrator.say("signed by    Ed25519 and ML-DSA-65; a verifier demands both")


def invent(session: Session, narrator: Narrator) -> None:
    """Let the operator invent a call: a well-formed receipt of a request that its caller never made."""
    now_ms = time.time_ns() // 1_000_000
    signer = session.signers["ed25519"]
    bundle = bytes.fromhex(session.signet_json("policy", "show")["bundle_sha256"])
    made = DecisionRecord(
        id=uuid7(now_ms, secrets.token_bytes(UUID7_RANDOM_BYTES)),
        decided_at_ms=now_ms,
        reason=Reason.OK,
        emitter=Emitter(secrets.token_hex(16), 0),
        authorizer_us=2_000,
        request=RequestFacts("DELETE", "api.example.com", "/prod/protected/everything"),
        proof=ProofFacts(
            keyid=signer.keyid,
            alg="ed25519",
            mode=ProofMode.INLINE,
            nonce_sha256=secrets.token_bytes(32),
            created=now_ms // 1000,
            header_bytes=900,
            expires=now_ms // 1000 + 60,
        ),
        policy=PolicyFacts(bundle, PolicyAction.ALLOW, 0, 2),
        api=ApiFacts("signet", "a1b2c3d4e5", PayloadKind.REST_V1),
        route="DELETE /protected/{item}",
        covered=('"@method"', '"@authority"', '"@path"', '"@query"'),
        client=ClientFacts(),
        transcript=TranscriptFacts(secrets.token_bytes(32), secrets.token_bytes(32)),
    )
    queue = session.client("sqs")
    queue.send_message(
        QueueUrl=session.outputs["ReceiptQueueUrl"], MessageBody=made.encode(V2.version).decode()
    )
    session.expected["ok"] += 1
    narrator.good("the operator puts a call on record that never happened:", "DELETE /protected/everything")


def audit(session: Session, narrator: Narrator) -> None:
    """Recompute the stack's whole log from what is stored, as an operator may at any time."""
    report = session.signet_json("audit", "--log-id", session.log_id, "--evidence")
    require(report["good"], f"the audit found {report['findings']}")
    narrator.good(
        f"signet audit: good, {len(report['checks'])} checks over {report['tree_size']} leaves",
        f"{report['objects']} tiles compared, {report['evidence']['whole']} pieces of evidence read",
    )


def pack(session: Session, narrator: Narrator) -> None:
    """Ask for the pack over the API, signed with the auditor's key; a caller may not."""
    session.signet(
        "pack", "--date", session.day, "-o", str(session.pack), "--url", session.outputs["ApiUrl"],
        "--include-transcripts", "--key", str(FOLDER / "auditor.pem"), "--keyid", "auditor",
    )  # fmt: skip
    with zipfile.ZipFile(session.pack) as content:
        members = len(content.namelist())
    narrator.good(f"{session.pack.name}: {session.pack.stat().st_size:,} bytes, {members} files")


def verify(session: Session, narrator: Narrator) -> None:
    """Check the pack with the library and with the file inside it; then compare with what was done."""
    with zipfile.ZipFile(session.pack) as content:
        (FOLDER / "verify.py").write_bytes(content.read("verify.py"))
        receipts = [json.loads(line) for line in content.read("receipts.jsonl").splitlines()]
    keys = [f"{signer.keyid}={FOLDER / name}.pem.pub" for name, signer in session.signers.items()]
    session.signet("callers", "-o", str(session.callers), *keys)
    known = ("--log-id", session.log_id, "--callers", str(session.callers))
    report = session.signet_json("verify", str(session.pack), *known, "--rejudge")
    (FOLDER / "verdict.json").write_text(json.dumps(report, indent=1))
    narrator.good(
        "signet verify: good", f"{report['receipts']} receipts, {report['key_sets']} key sets, log id pinned"
    )
    session.python(str(FOLDER / "verify.py"), str(session.pack), *known)
    narrator.good("verify.py from inside the pack: good", "one file, needs only cryptography")
    _proven(report, narrator)
    session.signet("prove", str(session.pack), receipts[-1]["id"], "-o", str(FOLDER / "receipt-proof.json"))
    narrator.good("one receipt is proven on its own", "receipt-proof.json")
    session.logged.extend(receipts)
    _compare(session, narrator)
    _tell(session, narrator)


def _proven(report: Mapping[str, Any], narrator: Narrator) -> None:
    """Show whose word stands behind each allowed request: all but the invented one are their callers' own."""
    found = report["proven"]
    proven, unknown, allowed = found["proven"], found.get("unknown_key", 0), sum(found.values())
    require(found.get("no_transcript") == 1 == allowed - proven - unknown, f"proven are {found}")
    narrator.good(
        f"{proven} of {allowed} allowed requests carry the signature of a caller whose key the auditor has,",
        f"{unknown} that of the orders API's caller, whose key was not asked for;",
    )
    narrator.good("the invented one carries none:", "it is on record, and does not count as proven")
    again = report["rejudged"]
    require(set(again) == {"same"}, f"judged again: {again}")
    narrator.good(f"{again['same']} decisions were judged again:", "the policy answers as recorded")


def _compare(session: Session, narrator: Narrator) -> None:
    """Let the receipts say what was done: nothing more, nothing less."""
    done = Counter(session.expected)
    types = Counter(receipt["type"] for receipt in session.logged)
    require(
        types["policy.changed"] == _POLICY_CHANGES and types["key.rotated"] == _ROTATIONS,
        f"the policy was changed twice and the keys rotated once, but receipts are {dict(types)}",
    )
    receipts = [receipt for receipt in session.logged if receipt["type"] == "pch.decision"]
    found = Counter(receipt["reason"] for receipt in receipts)
    shed = {reason: found[reason] for reason in SHED_REASONS if found[reason]}
    require(sum(shed.values()) == done.pop("shed"), f"not as many were shed: receipts say {shed}")
    done.update(shed)
    require(found == done, f"receipts say {dict(found)}, but {dict(done)} was done")
    decided = {receipt["reason"]: receipt["decision"] for receipt in receipts}
    narrator.good("the receipts say exactly what was done:")
    narrator.table(
        ("decision", "reason", "done", "in the pack"),
        sorted((decided[reason], reason, str(done[reason]), str(n)) for reason, n in found.items()),
        numbers=("done", "in the pack"),
    )


def _tell(session: Session, narrator: Narrator) -> None:
    """Let the receipts tell the fault session: it has to be the story that the state table told."""
    from local.picture import fault_picture  # noqa: PLC0415 - matplotlib takes a second to load

    transitions = moves(session.logged)
    path = states(transitions)
    require(path == CYCLE, f"by its receipts the breaker went through {', '.join(path)}")
    require(
        tuple(state for state, _ in groupby(session.seen)) == path,
        f"the state table told {', '.join(session.seen)}",
    )
    fault_picture(session.logged, FOLDER / "breaker.png")
    narrator.good("and they tell what the breaker did:", "breaker.png")
    narrator.table(
        ("at", "breaker", "why", "bad share", "latency"),
        _rows(transitions),
        numbers=("bad share", "latency"),
    )


def _rows(transitions: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            move["decided_at"][11:19],
            f"{move['to']['state'].replace('_', ' ')}, {move['to']['level']}",
            move["cause"].replace("_", " "),
            f"{move['figures']['bad_share_ppm'] / 10_000:.0f} %",
            f"{move['figures']['latency_ewma_us'] / 1000:.0f} ms",
        )
        for move in transitions
    ]


def tamper(session: Session, narrator: Narrator) -> None:
    """Change one letter of a caller's name in one receipt, in a zip that is otherwise sound."""
    forged = FOLDER / "forged-pack.zip"
    with zipfile.ZipFile(session.pack) as good, zipfile.ZipFile(forged, "w") as bad:
        for member in good.infolist():
            content = good.read(member)
            if member.filename == "receipts.jsonl":
                content = content.replace(b'"keyid":"mallory"', b'"keyid":"mallorx"', 1)
            bad.writestr(member, content)
    for name, verdict in session.verdicts(forged).items():
        require(verdict.returncode == 1, f"{name} ended with {verdict.returncode} on a forged pack")
        said = (verdict.stdout + verdict.stderr).splitlines()
        where = next((line for line in said if ".jsonl" in line), "")
        require(where, f"{name} refuses a forged pack, but does not say where")
        narrator.good(f"{name} refuses:", where.removeprefix("FAILED").strip())
