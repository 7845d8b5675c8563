"""docs/schema says what the library, ``verify.py`` and the page say, as far as JSON Schema can say it."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from signet.core.vocabulary import BreakerLevel, BreakerState
from signet.log.emitters import EmitterAccount, summarize
from signet.pack.prove import prove_receipt
from signet.policy.register import Pushed
from signet.receipts.chain import empty_head, extend
from signet.receipts.reading import read_receipt
from signet.receipts.transition import TransitionRecord
from signet.receipts.v2 import V2
from signet.receipts.versions import DRAFTS, VERSIONS
from tests.corpus import Case, bad_cases, good_cases
from tests.corpus.kept import FOLDER as KEPT
from tests.corpus.words import CAUSES
from tests.fakes.records import DAY_MS
from tests.support.forgery import checker, unzip
from tests.support.packs import POLICY, log_with_days
from tests.support.world import ROOT
from tests.unit.receipts.test_receipts import IMPOSSIBLE, POSSIBLE, changed
from tools.make_schemas import FOLDER, schemas, written

SCHEMAS = schemas()
PAGE = (ROOT / "web" / "verify" / "src" / "core" / "formats.ts").read_text()
DOCUMENT = (ROOT / "docs" / "formats.md").read_text()

#: Of these types, verifiers of packs read the common members only: the corpus has some without their own.
BARE = {"word-causes": "breaker.transition", "policy-announced-in-another-form": "policy.changed"}
#: Codes of a member that has not the shape of its format, or not the values that it must have.
SHAPE_CODES = {
    "bad_key_file",
    "bad_proof",
    "bad_receipt",
    "bad_sth",
    "endorsement_missing",
    "key_set_order",
    "manifest_malformed",
}
#: Bad packs with such a code that no JSON Schema tells from good ones, and why.
BEYOND_SCHEMA = {
    "a number that follows from others": ["head-with-another-size", "head-with-another-chain-id"],
    "totals that contradict each other": ["head-earlier-retold-*"],
    "a digest that follows from other members": [
        "head-of-another-log",
        "keys-keyid-of-another-key",
        "keys-of-another-origin",
    ],
    "a key that is no point, or one of small order": [
        "keys-of-order-*",
        "keys-of-a-y-*",
        "member-bit-flipped-with-fitting-manifest-keys.json",
    ],
    "the order of times, and how far they are apart": [
        "later-*-decided-too-*",
        "later-*-expires-*",
    ],
    "bytes of a text": ["later-refused-with-a-long-path-beyond-ascii", "later-*-cut-too-short"],
    "a day that no calendar has": ["later-event-head.signed"],
    "how many sets there are": ["keys-number-skipped"],
    "other hashes, or another number of them, than the heads and receipts demand": [
        "fork-of-an-earlier-day",
        "member-bit-flipped-*proofs-*",
        "proof-consistency-*",
        "proof-inclusion-*",
        "proof-range-*",
    ],
}
#: SHA-256 of each schema that is out: a program somewhere holds packs to it.
RELEASED = {
    "consistency.v1.json": "1a276fe95e09d0300303706636d5b28427046beb4cacf01856ee326e296cc8ff",
    "emitters.v1.json": "118dd6ca1a4e4176b49e2d7f5f3abc2af10f0b38d0f947444787c4740ca404c5",
    "inclusion.v1.json": "d3cf251ac66244e601b0de06ef5df9ccb5a405830a7ed40f03046bb16f72b672",
    "keys.v1.json": "95f3145401469741f5316fb4122e76c9b5b2de38dbd581e9448ace584fea07fd",
    "manifest.v1.json": "ded14eaf6124d5c1bfc4f4a2c7205b7864fbe6d93c650975df9f6b079e417388",
    "policy-register.v1.json": "41adc401161cf42a1087b9c1b3a42ff1b7c7bd1b817a9d5a5314d6f7f3dd31e9",
    "range.v1.json": "d87f8e8cfb4b7d3601bf5de81899023f10702c948dd0e6491a4a9fc2ce792bc3",
    "receipt-proof.v1.json": "48765790ef906ad168a6af4c49ce582e5e49765d87630b8c9bad44c78b7b6dec",
    "receipt.breaker.transition.v1.json": "2f0b550b8fc250315106532ea27c1967ca90428a6f40bc6b00dc7774c5bc76e2",
    "receipt.key.rotated.v1.json": "54dd80a3b67302d4cf81023b87ad46ef37437319665fd963062bec39e5261378",
    "receipt.pch.decision.v1.json": "5d23842349e8427eb1e11f802c41509d7e74f492a701f964d0c035714cde39ca",
    "receipt.policy.changed.v1.json": "905fcad1174251ba7f3522c23665165036551a995ad4b592d1cba5d18c1f76fe",
    "sth.v1.json": "2953bb8acd2eda76c2c24c6b5726422d50f9cdef711437ddaf3e5517b2851e1c",
}


@cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[f"{name}.json" if name.endswith(".v2") else f"{name}.v1.json"])


def fits(name: str, value: object) -> bool:
    return bool(validator(name).is_valid(value))


def schema_for(member: str, value: Any) -> str | None:
    """The schema of a pack's member or line; None if it has none."""
    if member == "receipts.jsonl":
        kind, v = (value.get("type"), value.get("v")) if isinstance(value, dict) else (None, None)
        if v == V2.version:
            return f"receipt.{kind}.v2" if f"receipt.{kind}.v2.json" in SCHEMAS else None
        return f"receipt.{kind}" if f"receipt.{kind}.v1.json" in SCHEMAS else None
    if member == "sth.json" or re.fullmatch(r"sth/[0-9-]+\.json", member):
        return "sth"
    found = re.fullmatch(r"(?:proofs/)?(manifest|keys|range|consistency|inclusion)\.jsonl?", member)
    if member == "manifest.json" and isinstance(value, dict) and value.get("v") == 2:
        return "manifest.v2"
    return found and found[1]


def values_of(files: dict[str, bytes]) -> Iterator[tuple[str, Any]]:
    """Each member, or line of one, that is JSON of a format; with the name of its schema."""
    for member, body in files.items():
        for text in body.splitlines() if member.endswith(".jsonl") else [body]:
            if member.endswith((".json", ".jsonl")) and not member.startswith(("policy/", "evidence/")):
                value = json.loads(text)
                yield schema_for(member, value) or pytest.fail(f"{member} has no schema"), value


def test_what_is_committed_is_what_is_generated() -> None:
    committed = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert committed == {name: written(schema) for name, schema in SCHEMAS.items()}, "run make schemas"


@pytest.mark.parametrize("name", RELEASED)
def test_a_released_schema_stays_as_it_is(name: str) -> None:
    found = hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()
    assert found == RELEASED[name], f"{name}: a released schema never changes; make a new version (ADR 15)"


def test_every_schema_of_version_1_is_pinned() -> None:
    assert {name for name in SCHEMAS if name.endswith(".v1.json")} == RELEASED.keys()


def test_a_schema_that_is_not_pinned_says_that_it_is_a_draft() -> None:
    """Once version 2 is no draft any more, its schemas have to be in ``RELEASED``."""
    drafts = {name for name in SCHEMAS if name not in RELEASED}
    receipts = {f"receipt.{kind}.v{v}.json" for v in DRAFTS for kind in VERSIONS[v].closed}
    assert drafts == receipts | {"manifest.v2.json"}
    for name in drafts:
        assert SCHEMAS[name]["title"].endswith("(draft)")
        assert SCHEMAS[name]["$comment"].startswith("A draft: it may change")
    assert not any("raft" in json.dumps(SCHEMAS[name]["title"]) for name in RELEASED)


@pytest.mark.parametrize("name", SCHEMAS)
def test_it_is_a_schema_and_the_page_of_formats_links_it(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    assert f"(schema/{name})" in DOCUMENT


def test_every_member_of_every_good_pack_fits() -> None:
    seen: set[str] = set()
    for case in good_cases():
        for name, value in values_of(unzip(case.data)):
            if name != f"receipt.{BARE.get(case.name)}":
                assert fits(name, value), (case.name, name, value)
                seen.add(name)
    assert seen == {
        *("receipt.pch.decision", "receipt.key.rotated"),
        *("receipt.breaker.transition", "receipt.policy.changed"),
        *(f"receipt.{kind}.v2" for kind in V2.closed if kind != "key.rotated"),
        *("sth", "keys", "manifest", "manifest.v2", "range", "consistency", "inclusion"),
    }


def test_what_an_earlier_version_wrote_fits() -> None:
    for path in KEPT.glob("pack-*.zip"):
        assert all(fits(name, value) for name, value in values_of(unzip(path.read_bytes())))
    with zipfile.ZipFile(KEPT / "log.zip") as log:
        files = {name: log.read(name) for name in log.namelist()}
    accounts = [json.loads(body) for name, body in files.items() if name.startswith("emitters/")]
    heads = [json.loads(body) for name, body in files.items() if re.fullmatch(r"sth/.*\.json", name)]
    assert len(accounts) == 2
    assert len(heads) == 4
    assert all(fits("emitters", value) for value in accounts)
    assert all(fits("sth", value) for value in heads)
    assert fits("keys", json.loads(files["keys.json"]))


def linked(message: bytes) -> Any:
    """A message as it stands in the log, parsed."""
    return json.loads(extend(empty_head(0), [read_receipt(message, chained=False)], DAY_MS)[1][0][1])


@pytest.mark.parametrize("cause", CAUSES)
def test_what_the_breaker_writes_fits(cause: str) -> None:
    record = TransitionRecord(
        breaker="backend",
        version=7,
        decided_at_ms=DAY_MS,
        before=(BreakerState.CLOSED, BreakerLevel.FULL),
        after=(BreakerState.OPEN, BreakerLevel.SHED),
        cause=cause,
        policy_bundle=None,
        figures={"bad_share_ppm": 640_000},
    )
    value = linked(record.encode())
    assert fits("receipt.breaker.transition", value)
    assert not fits("receipt.breaker.transition", value | {"figures": {"bad_share": 1}})
    assert not fits("receipt.breaker.transition", value | {"cause": "tired"})
    assert fits("receipt.breaker.transition", linked(replace(record, policy_bundle="ab" * 32).encode()))


def test_what_a_push_writes_fits() -> None:
    first = Pushed.after(None, POLICY, now_ms=DAY_MS)
    for pushed in (first, Pushed.after(first, POLICY, now_ms=DAY_MS + 1)):
        register = json.loads(pushed.encode())
        assert fits("policy-register", register)
        assert not fits("policy-register", register | {"n": 0})
        assert not fits("policy-register", register | {"files": ["../up.rego"]})
        receipt = linked(pushed.receipt())
        assert fits("receipt.policy.changed", receipt)
        assert not fits("receipt.policy.changed", receipt | {"change": {**receipt["change"], "to": None}})


def test_what_prove_writes_fits() -> None:
    pack = log_with_days(3, 6).pack()
    receipt_id = json.loads(unzip(pack)["receipts.jsonl"].splitlines()[3])["id"]
    value = json.loads(prove_receipt(io.BytesIO(pack), receipt_id).to_json())
    assert fits("receipt-proof", value)
    for member in value:
        assert not fits("receipt-proof", {name: value[name] for name in value if name != member})
        assert not fits("receipt-proof", value | {member: None})


def test_the_accounts_of_emitters_fit() -> None:
    value = json.loads(summarize({"e" * 32: EmitterAccount.of([0, 1, 5])})[1])
    assert fits("emitters", value)
    assert fits("emitters", {})
    for wrong in ({"E" * 32: value["e" * 32]}, {"e" * 32: {}}, {"e" * 32: {**value["e" * 32], "count": 0}}):
        assert not fits("emitters", wrong)


def bad_value(case: Case) -> tuple[str, Any]:
    """What a bad pack's failure is in, parsed; ("", None) if the file has no such line or is no JSON."""
    body = unzip(case.data)[case.member or ""]
    if case.line is not None:
        body = [*body.splitlines(), *[b""] * case.line][case.line - 1]
    try:
        value = json.loads(body)
    except ValueError:
        return "", None
    return schema_for(case.member or "", value) or "", value


def test_a_bad_pack_does_not_fit_unless_it_is_on_the_list() -> None:
    listed = [pattern for patterns in BEYOND_SCHEMA.values() for pattern in patterns]
    used, refused = set(), 0
    for case in bad_cases():
        name, value = bad_value(case) if case.code in SHAPE_CODES else ("", None)
        if not name or not fits(name, value):
            refused += bool(name)
            continue
        found = [pattern for pattern in listed if fnmatchcase(case.name, pattern)]
        assert found, f"{case.name} ({case.code}) fits {name}"
        used |= {*found}
    assert used == {*listed}
    assert refused > 80


@pytest.mark.parametrize(("reason", "changes"), POSSIBLE)
def test_what_can_stand_together_fits(reason: str, changes: list[Any]) -> None:
    assert fits("receipt.pch.decision", json.loads(changed(reason, changes)))


@pytest.mark.parametrize(("reason", "changes"), IMPOSSIBLE)
def test_what_cannot_stand_together_does_not_fit(reason: str, changes: list[Any]) -> None:
    assert not fits("receipt.pch.decision", json.loads(changed(reason, changes)))


def inner(schema: Any, name: str | None) -> list[Any]:
    """The schemas of a member (or of the items of an array): one, or one for each place."""
    for option in [*schema.get("anyOf", ()), schema]:
        if name is not None and name in option.get("properties", {}):
            return [option["properties"][name]]
        if name is None and option.get("type") == "array":
            items = option.get("items")
            return [*option.get("prefixItems", ()), *([items] if items else [])]
    raise AssertionError((name, schema))


def names_of(schema: Any) -> set[str]:
    return {name for option in [*schema.get("anyOf", ()), schema] for name in option.get("properties", ())}


_HASH = "A" * 43 + "="
PROBES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**53 - 1, -(2**53) + 1, 253_402_300_799_999, 253_402_300_800_000),
    *("", "x", "a" * 64, "A" * 64, "a" * 63, "a" * 32, "a" * 31, _HASH, _HASH[1:], "A" * 42 + "B="),
    *("2026-11-23", "1969-12-31", "2026-13-01", "2026-11-23T00:00:00.000Z", "2026-11-23T24:00:00.000Z"),
    *("2026-11-23T00:00:00Z", "1969-12-31T23:59:59.999Z", "example.com/log", "a b", "a+b", "ü"),
    *("019aae02-a47b-7031-b233-343536373839", "019aae02-a47b-4031-b233-343536373839"),
    *("ed25519", "ml-dsa-65", "ml-dsa-44", "pch.decision", "key.rotated", "allow", "deny", "ok", "full"),
    *([], {}, [1], {"a": 1}, [""], ["caller"], ["auditor", "caller"], ["king"], {"a": ""}, {"A": ""}),
    *({"registration": None}, {"registration": 1}, {"registration": None, "a": 1}, {"a_us": -1}, {"a": 0}),
    *(
        {"malformed": 1},
        {"malformed": 0},
        {"unknown_api": 1},
        {"ok": 1},
        "QQ==",
        "QR==",
        "QUI=",
        "QUJD",
        "QUJDQ",
    ),
    *(
        ["019aae02-a47b-7031-b233-343536373839"],
        "rest",
        "http-1.0",
        "probe",
        "half_open",
        "demand",
        "receipt",
        2,
    ),
]
#: Where ``verify.py`` holds values to more or to less by its shapes alone; code of it sees to the rest.
APART = {
    "KEYS.sets[].endorsement": "has a shape of its own",
    "KEYS.sets[].n": "is held to its place",
    "KEYS.sets[].from_tree_size": "is held to the set before",
    "KEYS.sets[].keys[].alg": "is held to its place",
    "KEYS.sets[].keys[].public_key": "is held to the length of its algorithm",
    "HEAD.final": "true, for a pack has final heads only",
    "MANIFEST.files[].name": "is held to the zip's names",
    "MANIFEST_2.files[].name": "is held to the zip's names",
    "ROTATION.type": "is one of those that chose the shape",
    "ROTATION.set": "is held to keys.json",
    **{
        f"{shape}[].{name}": "is held to the signer's"
        for shape in ("HEAD.signatures", "ENDORSEMENT.previous", "ENDORSEMENT.next")
        for name in ("alg", "keyid", "sig")
    },
}


def words_in(schema: Any) -> list[Any]:
    return [*schema.get("enum", ()), *([schema["const"]] if "const" in schema else [])]


def differences(shape: Any, schema: Any, path: str) -> Iterator[str]:
    """The places where a shape of ``verify.py`` and a schema take different values."""
    if isinstance(shape, dict):
        assert shape.keys() == names_of(schema), path
        for name, member in shape.items():
            for found in inner(schema, name):
                yield from differences(member, found, f"{path}.{name}")
    elif isinstance(shape, list):
        for found in inner(schema, None):
            yield from differences(shape[0], found, f"{path}[]")
    else:
        valid = Draft202012Validator(schema).is_valid
        if any(bool(shape.holds(probe)) != valid(probe) for probe in [*PROBES, *words_in(schema)]):
            yield path


def test_the_checker_in_packs_has_the_same_shapes_of_version_2() -> None:
    shapes = checker().EVENT_2_SHAPES | {"pch.decision": checker().DECISION_2_SHAPE}
    assert shapes.keys() == V2.closed.keys()
    found: set[str] = set()
    for kind, shape in shapes.items():
        schema = SCHEMAS[f"receipt.{kind}.v2.json"]
        if kind == "key.rotated":  # is held to keys.json
            assert shape.keys() == names_of(schema)
            continue
        found |= {*differences(shape, schema, kind)}
    assert found == set()


def endorsement() -> Any:
    later = SCHEMAS["keys.v1.json"]["properties"]["sets"]["items"]
    return later["properties"]["endorsement"]


def test_the_checker_in_packs_has_the_same_shapes() -> None:
    found: set[str] = set()
    for shape, schema in {
        "DECISION": SCHEMAS["receipt.pch.decision.v1.json"],
        "ROTATION": SCHEMAS["receipt.key.rotated.v1.json"],
        "HEAD": SCHEMAS["sth.v1.json"],
        "KEYS": SCHEMAS["keys.v1.json"],
        "MANIFEST": SCHEMAS["manifest.v1.json"],
        "MANIFEST_2": SCHEMAS["manifest.v2.json"],
        "ENDORSEMENT": endorsement(),
    }.items():
        found |= {*differences(getattr(checker(), f"{shape}_SHAPE"), schema, shape)}
    assert found == APART.keys()
    common = checker().COMMON_SHAPE
    for kind in ("breaker.transition", "policy.changed"):
        schema = SCHEMAS[f"receipt.{kind}.v1.json"]
        ours = {"properties": {name: schema["properties"][name] for name in common}}
        assert {*differences(common, ours, "COMMON")} == {"COMMON.type"}


_TOKEN = re.compile(r"\.\.\.|[A-Za-z_]\w*|[^\s\w]|\d+")


def page_shapes() -> dict[str, Any]:
    """The shapes in the page's formats.ts: names of members, None for a check of a value."""
    source = re.sub(r"/\*.*?\*/|//[^\n]*", "", PAGE, flags=re.DOTALL)
    source = re.sub(r'"([a-z.]+)":', lambda found: found[1].replace(".", "_") + ":", source)
    source = re.sub(r'/\^.*?\$/|"[^"]*"', "0", source)
    shapes: dict[str, Any] = {}
    for name, annotated, text in re.findall(r"const (\w+)(: [^=;]*)? = ([^;]*);\n", source):
        body, satisfies, _ = text.partition(" satisfies Shape")
        if satisfies or "Shape" in annotated:
            shapes[name] = _value(_TOKEN.findall(body.removesuffix(" as const") + ","), shapes)
    return shapes


def _value(tokens: list[str], shapes: dict[str, Any]) -> Any:
    if tokens[0] == "{":
        return _members(tokens, shapes)
    if tokens[0] == "[":
        del tokens[0]
        found = _value(tokens, shapes)
        assert tokens[: tokens.index("]")] in ([], [","])
        del tokens[: tokens.index("]") + 1]
        return [found]
    if tokens[0] in shapes:
        return shapes[tokens.pop(0)]
    depth = 0
    while depth or tokens[0] not in {",", "}", "]"}:
        depth += {"(": 1, ")": -1}.get(tokens.pop(0), 0)
    return None


def _members(tokens: list[str], shapes: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    del tokens[0]
    while (name := tokens.pop(0)) != "}":
        if name == "...":
            found |= shapes[tokens.pop(0)]
        elif name != ",":
            found[name] = _value(tokens, shapes) if tokens[0] == ":" and tokens.pop(0) else None
    return found


def same_names(shape: Any, schema: Any, path: str) -> None:
    if isinstance(shape, dict):
        assert shape.keys() == names_of(schema), path
        for name, member in shape.items():
            for found in inner(schema, name):
                same_names(member, found, f"{path}.{name}")
    elif isinstance(shape, list):
        for found in inner(schema, None):
            same_names(shape[0], found, f"{path}[]")
    else:
        assert not names_of(schema) or path in {"KEYS.sets[].endorsement", "LATER_DECISION.client"}, path


def test_the_page_has_the_same_members() -> None:
    shapes = page_shapes()
    common = shapes.pop("COMMON")
    later, events = shapes.pop("LATER_COMMON"), shapes.pop("LATER_MEMBERS")
    for part in ("ASKED", "PROOF", "POLICY", "BREAKER", "VALID", "SEAT", "API", "ROTATION"):
        del shapes[part]
    same_names(shapes.pop("LATER_DECISION"), SCHEMAS["receipt.pch.decision.v2.json"], "LATER_DECISION")
    assert len(events) == len(V2.closed) - 1
    for kind in V2.closed.keys() - {"pch.decision", "key.rotated"}:
        same_names(later | events[kind.replace(".", "_")], SCHEMAS[f"receipt.{kind}.v2.json"], kind)
    assert shapes.pop("SIGNATURES") == [dict.fromkeys(("alg", "keyid", "sig"))]
    named = {
        "DECISION": SCHEMAS["receipt.pch.decision.v1.json"],
        "HEAD": SCHEMAS["sth.v1.json"],
        "ENDORSEMENT": endorsement(),
        "LATER_MANIFEST": SCHEMAS["manifest.v2.json"],
        **{name.upper(): SCHEMAS[f"{name}.v1.json"] for name in ("keys", "manifest", "range")},
        **{name.upper(): SCHEMAS[f"{name}.v1.json"] for name in ("consistency", "inclusion")},
    }
    assert shapes.keys() == named.keys()
    for name, schema in named.items():
        same_names(shapes[name], schema, name)
    for name, schema in SCHEMAS.items():
        if name.startswith("receipt."):
            assert common.keys() <= schema["properties"].keys()


def test_a_day_and_its_schema_agree_on_dates() -> None:
    valid = Draft202012Validator(SCHEMAS["sth.v1.json"]["properties"]["date"]).is_valid
    assert all(valid(date(year, 12, 31).isoformat()) for year in (1970, 1999, 2000, 9999))
    assert not any(valid(text) for text in ("1969-12-31", "2026-1-1", "2026-00-01", "02026-01-01"))
