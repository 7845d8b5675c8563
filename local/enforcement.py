"""The demo's first half: who gets in, who does not, and what happens when the backend fails.

Each step shows one promise, counts in the session what it did, and fails if the promise does not hold.
"""

from __future__ import annotations

import json
import ssl
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import httpx

from local.attacks import ATTACKS, BINDING_ATTACKS, Attack, Attacker
from local.fault import FaultSession
from local.session import FOLDER, DemoError, Session, require
from local.terminal import Narrator
from local.tools import ROOT
from signet.aws.breaker import DynamoBreakerStore
from signet.aws.faults import DynamoFaultStore
from signet.crypto import suites
from signet_client import PCHAuth

PARALLEL = 100
COPIES = 20
_PATIENCE_S = 60.0  # a first call starts a function, which takes its time on a busy machine
_REFUSED = frozenset({401, 403})


def register(session: Session, narrator: Narrator) -> None:
    """Have the log make its keys; make callers' keys and register them; all as an operator would."""
    with ThreadPoolExecutor(2) as pool:
        log_id = pool.submit(_first_run, session)
        list(pool.map(session.enrol, [*suites.NAMES, "auditor", "mallory"]))
        session.log_id = log_id.result()
    session.signet("clients", "revoke", "mallory")
    rows = session.signet_json("clients", "list")
    narrator.table(
        ("key id", "signature suite", "role", "status"),
        [(row["keyid"], row["alg"], ", ".join(row["roles"]), row["status"]) for row in rows],
    )
    narrator.good("the log has made its keys; auditors pin its id:")
    narrator.say(f"log id  {session.log_id}")


def _first_run(session: Session) -> str:
    """Let the log's writer run once, which makes the log's keys; return the log's id."""
    session.signet("close")
    log_id: str = session.signet_json("keys", "list")["log_id"]
    return log_id


def challenge(session: Session, narrator: Narrator) -> None:
    """Show that nothing passes without a proof, and what is asked for instead."""
    refused = httpx.get(session.outputs["ProtectedUrl"], timeout=_PATIENCE_S)
    require(refused.status_code in _REFUSED, f"an unsigned request was answered {refused.status_code}")
    session.expected["challenge_required"] += 1
    offered = httpx.get(session.outputs["ChallengeUrl"], timeout=_PATIENCE_S).json()
    narrator.good(
        f"GET /protected is answered {refused.status_code}", "(on AWS: 401, with the challenge in it)"
    )
    narrator.good("GET /pch/challenge hands out a nonce, good for one request")
    narrator.say(f"nonce  {offered['nonce']}")


def accepted(session: Session, narrator: Narrator) -> None:
    """Call with every suite through the signet command."""
    rows = []
    for alg in suites.NAMES:
        answer = session.call(alg)
        signature = len(session.signers[alg].key.sign(b"x"))
        rows.append((alg, f"{signature:,} B", f"{answer['elapsed_ms']:.0f} ms", str(answer["status"])))
    narrator.table(("suite", "signature", "took", "answer"), rows, numbers=("signature", "took", "answer"))
    narrator.good("every suite is accepted", "(the first call also starts the functions)")


def relaxed(session: Session, narrator: Narrator) -> None:
    """Put more evidence on record than header fields can carry; the client relaxes by itself."""
    evidence = FOLDER / "evidence.json"
    evidence.write_text(json.dumps({"sbom": [f"component-{n}" for n in range(800)]}))
    answer = session.call("ml-dsa-65", "--evidence", str(evidence))
    require(answer["bundle_bytes"], "it went inline, although it cannot fit")
    narrator.good(
        f"a bundle of {answer['bundle_bytes']:,} bytes is accepted under ML-DSA-65",
        f"(its request carries {answer['proof_bytes']:,} bytes of proof)",
    )


def attacked(session: Session, narrator: Narrator) -> None:
    """Run the attacks; each has to be refused, and its receipt has to say why."""
    with httpx.Client(timeout=_PATIENCE_S) as client:
        refused = _attack(session, narrator, Attacker(client, session.outputs, session.signers), ATTACKS)
    narrator.good(
        f"all {refused} are refused",
        "(the changed body by the backend: an authorizer on AWS sees no body)",
    )


def bound(session: Session, narrator: Narrator) -> None:
    """Call through the TLS edge, bound to the very connection; then try to carry a proof elsewhere."""
    session.call_bound("ed25519")
    narrator.good("a request bound to its TLS 1.3 connection (tls-exporter) is accepted")
    trusted = ssl.create_default_context(cafile=session.stack.env["SIGNET_EDGE_CA"])
    with httpx.Client(timeout=_PATIENCE_S, verify=trusted) as client:
        attacker = Attacker(client, session.outputs, session.signers, session.edge_url)
        refused = _attack(session, narrator, attacker, BINDING_ATTACKS)
    narrator.good(f"all {refused} are refused")


def _attack(session: Session, narrator: Narrator, attacker: Attacker, attacks: Mapping[str, Attack]) -> int:
    rows = []
    for name, attack in attacks.items():
        status, reasons = attack(attacker)
        require(status in {400, *_REFUSED}, f"{name}: answered {status}")
        session.expected.update(reasons)
        rows.append((name, str(status), reasons[-1]))
    narrator.table(("attack", "answer", "reason in the receipt"), rows)
    return len(rows)


def parallel(session: Session, narrator: Narrator) -> None:
    """Load the stack; single use has to hold under it."""
    url, challenge_url = session.outputs["ProtectedUrl"], session.outputs["ChallengeUrl"]
    with (
        httpx.Client(timeout=_PATIENCE_S, limits=httpx.Limits(max_connections=32)) as client,
        ThreadPoolExecutor(32) as pool,
    ):
        signer = session.signers["ed25519"]
        auth = PCHAuth(signer.key, signer.keyid, challenge_url=challenge_url)
        answers = list(pool.map(lambda _: client.get(url, auth=auth).status_code, range(PARALLEL)))
        wrong = Counter(answers) - Counter({200: PARALLEL})
        require(not wrong, f"of {PARALLEL} good requests some were answered {dict(wrong)}")
        proof = Attacker(client, session.outputs, session.signers).proof("GET", url, "ed25519")
        copies = list(pool.map(lambda _: client.get(url, headers=proof).status_code, range(COPIES)))
    require(copies.count(200) == 1, f"one proof was accepted {copies.count(200)} times")
    session.expected.update(ok=PARALLEL + 1, nonce_replayed=COPIES - 1)
    narrator.good(f"{PARALLEL} of {PARALLEL} signed requests are accepted")
    narrator.good(f"of {COPIES} copies of one signed request exactly 1 is")


def swapped(session: Session, narrator: Narrator) -> None:
    """Push the policy that ships, which demands the binding, and take it back, without a deployment."""
    strict = _push(session)
    narrator.good("pushed: the policy as it ships, /protected demands a binding", f"{strict[:16]}…")
    with httpx.Client(timeout=_PATIENCE_S) as client:
        attacker = Attacker(client, session.outputs, session.signers)
        status = attacker.send("GET", attacker.url, attacker.proof("GET", attacker.url, "ed25519"))
    require(status in _REFUSED, f"an unbound request was answered {status} under the stricter policy")
    session.expected["binding_missing"] += 1
    narrator.good("a signed request without a binding is refused now")
    session.call_bound("ed25519")
    narrator.good("one that is bound to its TLS connection is accepted")
    before = _push(session, "--overlay", "development")
    narrator.good("rolled back; each receipt names the policy that decided", f"{before[:16]}…")


def _push(session: Session, *overlay: str) -> str:
    """Push a policy and let the time pass after which it holds everywhere; return its hash."""
    pushed = session.signet_json("policy", "push", str(ROOT / "policy"), *overlay)
    time.sleep(pushed["effective_within_s"] + 0.5)  # the time itself is what the command promises
    digest: str = pushed["bundle_sha256"]
    return digest


def fault(session: Session, narrator: Narrator) -> None:
    """Slow the backend down under load; the breaker has to open, to probe, and to close, once."""
    held = FaultSession(
        session.outputs,
        session.signers["ed25519"],
        DynamoBreakerStore(session.client("dynamodb"), session.outputs["BreakersTable"]),
        DynamoFaultStore(session.client("dynamodb"), session.outputs["BreakersTable"]).order,
        narrator.say,
    )
    try:
        session.seen.extend(state for _version, state in held.run())
    except TimeoutError as error:
        raise DemoError(str(error)) from error
    shed = held.statuses.total() - held.statuses[httpx.codes.OK]
    require(held.statuses[httpx.codes.OK] and shed, f"answers were {dict(held.statuses)}")
    session.expected.update(ok=held.statuses[httpx.codes.OK], shed=shed)
    narrator.good("closed, open, half open, closed: once", f"{shed} requests were shed meanwhile")
