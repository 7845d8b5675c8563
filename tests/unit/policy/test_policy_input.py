"""What rules are told of a request: as documented, in one shape each, and only if a rule reads it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from signet.core.errors import PolicyError
from signet.policy.check import check
from signet.policy.engine import PolicyEngine, Verdict
from signet.policy.facts import Facts
from signet.policy.networks import Networks
from signet.policy.wanted import Wanted, members_read, wanted
from tests.support.policies import config
from tests.support.rego_cases import HEAD
from tests.support.world import COVERED, EDGE_AUTHORITY, NOW_MS, World, policy_files
from tests.support.world import own as decode

ALL = """reasons contains "q" if input.query.limit[0] == "9"

reasons contains "h" if input.headers["x-region"].value == "mars"

reasons contains "c" if "x-none" in input.covered

reasons contains "t" if input.content.type == "text/odd"

reasons contains "s" if {
	some network in input.source.networks
	network in {"198.51.100.0/24", "198.51.100.9/32", "203.0.113.7/24", "10.0.0.0/8", "2001:db8::/32"}
	input.source.ip == "192.0.2.9"
}

reasons contains "n" if input.time.zones["Europe/Berlin"].weekday == "Sunday"

reasons contains "u" if input.time.unix < 1
"""


def policy(rules: str, **members: Any) -> dict[str, bytes]:
    files = policy_files()
    config(lambda c: c.update(members))(files)
    return {**files, "own.rego": (HEAD + rules).encode()}


class Asked(PolicyEngine):
    """Keeps what it was asked."""

    facts: Facts

    def evaluate(self, facts: Facts) -> Verdict:
        self.facts = facts
        return super().evaluate(facts)


def world_with(rules: str, **members: Any) -> tuple[World, Asked]:
    world, engine = World(), Asked(policy(rules, **members))
    world.__dict__["policy"] = engine
    return world, engine


TOLD = {"input_headers": ["x-region", "x-team", "x-none"], "time_zones": ["Europe/Berlin", "Asia/Kolkata"]}


def test_all_that_is_documented_is_told_in_one_shape_each() -> None:
    world, engine = world_with(ALL, **TOLD)
    world.register("labelled", roles=frozenset({"caller", "write:x"}), labels=(("tenant", "acme"),))
    event = world.event(
        query={"limit": ["5"], "tag": ["b", "ä"], "a": [""]},
        headers={"X-Region": "eu", "X-Team": "t1", "X-Other": "o", "Content-Type": "text/plain"},
    )
    event["multiValueQueryStringParameters"] = {"tag": ["b", "%C3%A4"], "limit": ["5"], "a": [""]}
    signed = world.sign(event, keyid="labelled", covered=(*COVERED, "content-type", "x-region"))
    event["multiValueQueryStringParameters"] = {"tag": ["b", "ä"], "limit": ["5"], "a": [""]}
    decision = world.verifier.judge(decode(signed), now_ms=NOW_MS + 1_999)
    assert decision.reason.value == "ok", decision.message
    told = engine.facts.document()
    assert told["query"] == {"a": [""], "limit": ["5"], "tag": ["b", "ä"]}
    assert told["headers"] == {
        "x-region": {"value": "eu", "covered": True},
        "x-team": {"value": "t1", "covered": False},
    }
    assert told["covered"] == [*COVERED, "content-type", "x-region"]
    assert told["content"] == {"type": "text/plain"}
    assert told["principal"] == {
        "keyid": "labelled",
        "roles": ["caller", "write:x"],
        "labels": {"tenant": "acme"},
    }
    assert told["source"] == {"ip": "203.0.113.7", "networks": ["203.0.113.7/24"]}
    assert told["time"] == {
        "unix": NOW_MS // 1000 + 1,
        "zones": {
            "Asia/Kolkata": {"date": "2026-11-23", "weekday": "Monday", "hour": 5, "minute": 30},
            "Europe/Berlin": {"date": "2026-11-23", "weekday": "Monday", "hour": 1, "minute": 0},
        },
    }
    json.dumps(told)  # plain values only


def test_behind_an_edge_the_address_is_the_attested_one() -> None:
    world, engine = world_with(ALL, **TOLD)
    event = world.sign(world.edge_event(), url=f"https://{EDGE_AUTHORITY}/protected")
    assert world.reason(event) == "ok"
    assert engine.facts.source == ("198.51.100.9", ("198.51.100.0/24", "198.51.100.9/32"))


def test_what_no_rule_reads_is_not_told() -> None:
    world, engine = world_with("", **TOLD)
    assert world.reason(world.sign(world.event(query={"a": ["1"]}))) == "ok"
    assert engine.facts[12:] == (None,) * 6
    assert not {"query", "headers", "covered", "content", "source", "time"} & engine.facts.document().keys()


def test_a_policy_that_reads_the_weekday_is_not_asked_anew_each_second() -> None:
    engine = PolicyEngine(policy('reasons contains "w" if input.time.weekday == "Sunday"'))
    first = engine.wanted.moment(NOW_MS // 1000, engine.wanted.reads_of("time"))
    assert first == engine.wanted.moment(NOW_MS // 1000 + 1, engine.wanted.reads_of("time"))
    assert first.document() == {"weekday": "Monday"}


@pytest.mark.parametrize(
    ("headers", "says"),
    [({"X-Region": "e\u00fc"}, "cannot be signed"), ({"X-Region": ["eu", "us"]}, "comes more than once")],
)
def test_a_field_that_rules_read_has_one_value(headers: dict[str, Any], says: str) -> None:
    world, _ = world_with(ALL, **TOLD)
    event = world.sign(world.event())
    for name, value in headers.items():
        event["multiValueHeaders"][name] = value if isinstance(value, list) else [value]
        event["headers"][name] = event["multiValueHeaders"][name][-1]
    decision = world.verifier.judge(decode(event), now_ms=world.now_ms)
    assert (decision.reason.value, says in decision.message) == ("malformed", True)
    other, _ = world_with("", **TOLD)  # no rule reads it
    event = other.sign(other.event())
    assert other.reason(event) == "ok"


def test_without_an_address_rules_that_read_it_refuse() -> None:
    world, _ = world_with(ALL, **TOLD)
    event = world.sign(world.event())
    inbound = replace(decode(event), source_ip="")
    assert world.verifier.judge(inbound, now_ms=world.now_ms).reason.value == "policy_denied"


def test_texts_beyond_ascii_are_equal_to_themselves() -> None:
    engine = PolicyEngine(
        {
            **policy(
                'reasons contains "r" if input.query.q[0] == "ä😀"\n\n'
                'reasons contains "d" if input.query.q[0] == data.own.word\n'
            ),
            "own.json": '{"own": {"word": "\\u00e4😀"}}'.encode(),
        }
    )
    facts = Facts(
        *("GET /protected", "/protected", (), "a", frozenset({"caller"}), "ed25519", "none", None),
        *("closed", "full", 1),
        query=(("q", ("ä😀",)),),
    )
    assert set(engine.evaluate(facts).reasons) == {"r", "d"}


@pytest.mark.parametrize(
    ("rules", "reads"),
    [
        ("a if input.route == input.time.hour", {"route", "time.hour"}),
        ("# input.time\na if input . query", {"query"}),
        ('a if "input.time" == input.api', {"api"}),
        ('a if input["time"].hour == 1', {""}),
        ('a if object.get(input, "time", 1)', {""}),
        ("import input.time as now", {"time"}),
        ("a if input.principal.labels.tenant == 1", {"principal.labels"}),
        ('a if $"{x["b"]} {input.time.hour}" == "1"', {"time.hour"}),
        ("a if input_x.time", set()),
    ],
)
def test_what_rules_read_is_found_or_taken_to_be_all(rules: str, reads: set[str]) -> None:
    assert members_read([rules]) == reads


def test_a_member_that_is_read_as_a_whole_is_told_as_a_whole() -> None:
    for text in ("x := input.time", "x := input", 'x := input["time"]'):
        found = wanted({"a.rego": text}, {})
        assert found.reads_of("time") is None
        assert found.moment(0, None).document().keys() >= {"rfc3339", "unix", "zones", "minute"}
    assert Wanted(frozenset({"time.unix"})).reads_of("time") == {"unix"}


@pytest.mark.parametrize(
    ("address", "holding"),
    [
        ("203.0.113.7", ("0.0.0.0/0", "203.0.113.0/24", "203.0.113.9/29")),
        ("203.0.114.7", ("0.0.0.0/0",)),
        ("::ffff:203.0.113.7", ("0.0.0.0/0", "203.0.113.0/24", "203.0.113.9/29")),
        ("2001:DB8::7", ("2001:db8::/32",)),
        ("fe80::1%eth0", ()),
    ],
)
def test_networks_hold_addresses_as_spelled(address: str, holding: tuple[str, ...]) -> None:
    spelled = ("203.0.113.0/24", "203.0.113.9/29", "0.0.0.0/0", "2001:db8::/32", "10.0.0.0/33", "x/8")
    networks = Networks(spelled)
    found = networks.address(address)
    assert found is not None
    # 203.0.113.9/29 has bits behind its prefix, as people write it: the network 203.0.113.8/29.
    expected = tuple(name for name in holding if name != "203.0.113.9/29")
    assert networks.holding(found) == expected
    nine = networks.address("203.0.113.9")
    assert nine is not None
    assert "203.0.113.9/29" in networks.holding(nine)


def test_a_network_within_ipv6_is_one_of_ipv4_as_addresses_are() -> None:
    # Go's net.ParseCIDR and Contains, so OPA's net.cidr_contains, read them so, too.
    networks = Networks(("::ffff:203.0.113.0/120", "::ffff:0:0/96", "::ffff:0:0/95", "::/0"))
    for text, holding in (
        ("203.0.113.7", ("::ffff:0:0/96", "::ffff:203.0.113.0/120")),
        ("::ffff:203.0.113.7", ("::ffff:0:0/96", "::ffff:203.0.113.0/120")),
        ("203.0.114.7", ("::ffff:0:0/96",)),
        ("2001:db8::7", ("::/0",)),
    ):
        address = networks.address(text)
        assert address is not None
        assert networks.holding(address) == holding


def test_no_address_is_none() -> None:
    assert [Networks.address(text) for text in ("", "localhost", "1.2.3", "1.2.3.4/8", "1.2.3.04")] == [
        None
    ] * 5


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"input_headers": "x-a"}, "is no array of at most 16"),
        ({"input_headers": ["X-A"]}, "no name of a header field in lower case"),
        ({"input_headers": ["authorization"]}, "holds a secret"),
        ({"input_headers": ["x-forwarded-for"]}, "read input.source.ip"),
        ({"input_headers": ["pch-proof"]}, "cannot name this"),
        ({"time_zones": ["Europe/Berlinn"]}, "there is no time zone 'Europe/Berlinn'"),
        ({"time_zones": ["/etc/localtime"]}, "there is no time zone '/etc/localtime'"),
        ({"time_zones": [7]}, "there is no time zone 7"),
    ],
)
def test_what_cannot_be_told_is_refused_with_its_line(members: dict[str, Any], says: str) -> None:
    files = policy("", **members)
    [found] = [finding for finding in check(files) if says in finding.message]
    assert found.file == "config.json"
    assert found.line is not None
    stated = json.dumps(next(iter(members.values()))).strip("[]")
    near = files["config.json"].decode().splitlines()[found.line - 1]
    assert stated in near or next(iter(members)) in near


def test_a_zone_that_the_environment_lacks_keeps_a_policy_from_being_loaded() -> None:
    with pytest.raises(PolicyError, match="no time zone"):
        PolicyEngine(policy("", time_zones=["Mars/Olympus"]))
