"""Policies as businesses write them: those of the examples decide as meant, through the authorizer.

And nine that were written without the documentation: each is in force as meant, or refused with its line.
"""

from __future__ import annotations

import base64
import os
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from signet.core.apis import Api
from signet.core.canonical import parse
from signet.core.vocabulary import PayloadKind
from signet.policy.bundle import read_folder, read_tests
from signet.policy.cases import read_cases
from signet.policy.check import check
from signet.policy.engine import PolicyEngine
from signet.policy.reach import unreached
from signet.policy.selftest import run_tests
from tests.support.attached import event_of
from tests.support.world import COVERED, OWN, ROOT, FixedApis, World, authorizer_of, digest, policy_files

SHOP = Api("shop", "sh0psh0p00", "v1", PayloadKind.REST_V1, "123456789012")
STOCK = Api("stock", "st0ckst0ck", "v1", PayloadKind.REST_V1, "123456789012")
HYBRID = "ed25519+ml-dsa-65"
EVIDENCE = ":" + base64.b64encode(b'{"build":7}').decode() + ":"
MORNING = "2026-11-25T07:00:00Z"  # a Wednesday, eight o'clock in Berlin
HOME, ELSEWHERE = "203.0.113.7", "192.0.2.7"


@cache
def policy(example: str) -> PolicyEngine:
    return PolicyEngine(read_folder(ROOT / "examples" / example / "policy"))


@pytest.mark.parametrize("example", ["tenants", "partners"])
def test_an_example_passes_its_check_and_its_cases_hold(example: str) -> None:
    folder = ROOT / "examples" / example / "policy"
    files, tests = read_folder(folder), read_tests(folder)
    cases, wrong = read_cases(tests)
    assert wrong == []
    assert check(files, cases) == ()
    assert run_tests(files, tests) == (5, ())
    assert unreached(files, cases) == ()
    assert files["signet.rego"] == policy_files()["signet.rego"]


def decided(example: str, api: Api, event: dict[str, Any], world: World, **how: Any) -> tuple[str, str]:
    """Return action and reason on record of what the real authorizer decides on a signed request."""
    sent: list[bytes] = []
    authorizer = authorizer_of(world, sent, FixedApis((OWN, api)))
    found = authorizer.authorize(world.sign(event, **how), now_ms=world.now_ms)
    [message] = sent
    receipt = parse(message)
    assert receipt["api"]["name"] == api.name
    return receipt["decision"], found.decision.message


def world_at(example: str, api: Api, moment: str = MORNING) -> World:
    world = World()
    world.api, world.__dict__["policy"] = api, policy(example)
    world.now_ms = int(datetime.fromisoformat(moment).timestamp()) * 1000
    return world


READER, WRITER = frozenset({"read:orders"}), frozenset({"write:orders", "read:orders"})


@pytest.mark.parametrize(
    ("method", "path", "roles", "labels", "alg", "evidence", "says"),
    [
        ("GET", "acme", READER, {"tenant": "acme"}, "ed25519", False, ""),
        ("GET", "beta", READER, {"tenant": "acme"}, "ed25519", False, "the path is another tenant's"),
        ("GET", "acme", READER, {}, "ed25519", False, "the path is another tenant's"),
        ("GET", "acme", READER, {"team": "acme"}, "ed25519", False, "the path is another tenant's"),
        ("GET", "acme", {"caller"}, {"tenant": "acme"}, "ed25519", False, "roles do not include"),
        ("POST", "acme", WRITER, {"tenant": "acme"}, HYBRID, True, ""),
        ("POST", "acme", READER, {"tenant": "acme"}, HYBRID, True, "roles do not include"),
        ("POST", "acme", WRITER, {"tenant": "acme"}, HYBRID, False, "a write needs evidence"),
        ("POST", "acme", WRITER, {"tenant": "acme"}, "ed25519", True, "the algorithm is not allowed"),
        ("POST", "late-payer", WRITER, {"tenant": "late-payer"}, HYBRID, True, "a suspended tenant"),
    ],
)
def test_the_shop_lets_tenants_have_what_is_theirs(
    method: str, path: str, roles: set[str], labels: dict[str, str], alg: str, evidence: bool, says: str
) -> None:
    world = world_at("tenants", SHOP)
    keyid = world.keys[alg].key_id if alg == HYBRID else "who"
    world.register(keyid, alg, roles=frozenset(roles), labels=tuple(sorted(labels.items())))
    headers = {"Content-Digest": digest(b"{}")} if method == "POST" else {}
    headers |= {"PCH-Evidence": EVIDENCE} if evidence else {}
    event = event_of(
        world, f"/tenants/{path}/orders", "/tenants/{tenant}/orders", method=method, headers=headers
    )
    covered = (*COVERED, *map(str.lower, headers))
    action, message = decided("tenants", SHOP, event, world, alg=alg, keyid=keyid, covered=covered)
    assert (action, says in message) == ("deny" if says else "allow", True), message


@pytest.mark.parametrize(
    ("method", "keyid", "ip", "moment", "says"),
    [
        ("GET", "acme-1", HOME, MORNING, ""),
        ("GET", "acme-1", "2001:DB8:7:0::1", MORNING, ""),
        ("GET", "acme-1", "::ffff:203.0.113.7", MORNING, ""),
        ("GET", "acme-1", ELSEWHERE, MORNING, "comes from elsewhere"),
        ("GET", "acme-1", "2001:db8:8::1", MORNING, "comes from elsewhere"),
        ("GET", "acme-1", "", MORNING, "could not be evaluated"),
        ("GET", "mallory", HOME, MORNING, "has no grant"),
        ("GET", "acme-1", HOME, "2026-12-31T23:59:59Z", ""),
        ("GET", "acme-1", HOME, "2027-01-01T00:00:00Z", "the grant is over"),
        ("PUT", "acme-1", HOME, MORNING, ""),
        ("PUT", "acme-1", HOME, "2026-11-25T06:59:59Z", "wait for business hours"),
        ("PUT", "acme-1", HOME, "2026-11-25T16:59:59Z", ""),
        ("PUT", "acme-1", HOME, "2026-11-25T17:00:00Z", "wait for business hours"),
        ("PUT", "acme-1", HOME, "2026-07-22T06:00:00Z", ""),  # in summer, Berlin is two hours ahead of UTC
        ("PUT", "acme-1", HOME, "2026-11-28T12:00:00Z", "wait for business hours"),
        ("GET", "beta-1", "198.51.100.127", MORNING, ""),
        ("GET", "beta-1", "198.51.100.128", MORNING, "comes from elsewhere"),
        ("PUT", "beta-1", "198.51.100.1", MORNING, "does not name this route"),
    ],
)
def test_partners_use_their_grants(method: str, keyid: str, ip: str, moment: str, says: str) -> None:
    world = world_at("partners", STOCK, moment)
    world.register(keyid)
    headers = {"Content-Digest": digest(b"{}")} if method == "PUT" else {}
    event = event_of(world, "/stock/7", "/stock/{item}", method=method, headers=headers)
    event["requestContext"]["identity"]["sourceIp"] = ip
    covered = (*COVERED, *map(str.lower, headers))
    action, message = decided("partners", STOCK, event, world, keyid=keyid, covered=covered)
    assert (action, says in message) == ("deny" if says else "allow", True), message


@pytest.fixture(scope="module")
def nine() -> Path:
    """The folder of policies written without the documentation; without it the tests are skipped, visibly."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "cases" / "policies"
    path = Path(os.environ.get("SIGNET_POLICY_CASES", beside))
    if not path.is_dir():
        pytest.skip(f"no policies in {path}; point SIGNET_POLICY_CASES at a folder that has them")
    return path


REFUSED = {
    "partners": {
        ("grants.rego", 5, "time.now_ns is not allowed"),
        ("grants.rego", 5, "hold input.time.rfc3339 against it"),
        ("grants.rego", 6, "in input.source.networks"),
        ("grants.rego", 6, "write input.source.ip"),
        ("grants.rego", 6, "say which one is meant"),
    },
    "t_hours": {("own.rego", 5, "read input.time")},
    "t_input": {
        ("own.rego", 6, "there is no input.path_parameters.tenant; it has item"),
        ("own.rego", 7, "hold input.time.rfc3339 against it"),
        ("own.rego", 8, "in input.source.networks"),
        ("own.rego", 8, "write input.source.ip"),
    },
    "t_typo": {
        ("own.rego", 8, "keyd has no value here"),
        ("own.rego", 10, "data.confg.blocked; did you mean config?"),
    },
    "t_unknownfn": {("own.rego", 5, "write startswith")},
}


def those(nine: Path, name: str) -> dict[str, bytes]:
    return {**policy_files(""), **{file.name: file.read_bytes() for file in sorted((nine / name).iterdir())}}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_policy_that_cannot_be_meant_so_is_refused_with_its_lines(nine: Path, name: str) -> None:
    found = check(those(nine, name))
    assert len(found) == len(REFUSED[name]), "\n".join(map(str, found))
    for file, line, says in REFUSED[name]:
        assert any((f.file, f.line) == (file, line) and says in f.message for f in found), (line, says)


ASKED: dict[str, Any] = {
    "api": "signet",
    "algorithm": HYBRID,
    "binding": {"type": "tls-exporter"},
    "evidence": {"sha256": "0" * 64},
    "breaker": {"state": "closed", "level": "full"},
    "header_bytes": 400,
}
WHO = {"keyid": "alice", "roles": ["caller"], "labels": {}}


@pytest.mark.parametrize(
    ("name", "passes", "refused"),
    [
        (
            "orders",
            {"route": "POST /orders", "principal": {**WHO, "roles": ["write:orders"]}},
            [
                {"principal": {**WHO, "roles": ["read:orders"]}},
                {"evidence": None},
                {"algorithm": "ed25519"},
                {"binding": {"type": "none"}},
            ],
        ),
        (
            "tenants",
            {
                "route": "GET /tenants/{id}/orders",
                "path_parameters": {"id": "acme"},
                "principal": {**WHO, "keyid": "acme:alice"},
            },
            [{"path_parameters": {"id": "beta"}}, {"principal": {**WHO, "keyid": "acmes:alice"}}],
        ),
        ("t_ev", {"route": "POST /protected", "principal": WHO}, [{"evidence": None}]),
        (
            "t_keyid",
            {"route": "POST /protected", "principal": WHO},
            [{"principal": {**WHO, "keyid": "mallory"}}],
        ),
    ],
)
def test_a_policy_that_is_good_is_in_force_as_meant(
    nine: Path, name: str, passes: dict[str, Any], refused: list[dict[str, Any]]
) -> None:
    files = those(nine, name)
    assert check(files) == ()
    assert unreached(files) == ()
    engine = PolicyEngine(files)
    assert engine.decide({**ASKED, **passes}).allowed
    for change in refused:
        assert not engine.decide({**ASKED, **passes, **change}).allowed, change


def test_each_of_the_nine_is_looked_at(nine: Path) -> None:
    assert {path.name for path in nine.iterdir()} == {*REFUSED, "orders", "tenants", "t_ev", "t_keyid"}
