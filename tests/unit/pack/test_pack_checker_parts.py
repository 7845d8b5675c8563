"""The checker's parts by themselves: each bound at its very edge, each rule alone."""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import struct
import zipfile
from types import SimpleNamespace
from typing import Any

import pytest

from signet.core.errors import CanonicalError
from signet.log import merkle
from signet.pack import kind, layout
from signet.receipts import combinations, v1, v2
from tests.support.forgery import checker, unzip
from tests.support.packs import log_with_days

C = checker()
DAY_MS = 86_400_000


def refused(call: Any, *arguments: Any, match: str | None = None) -> None:
    with pytest.raises(C.Bad, match=match):
        call(*arguments)


# --- Limits -------------------------------------------------------------------------------------


def test_its_limits_are_those_of_the_formats_page() -> None:
    assert (C.LINE_LIMIT, C.MEMBER_LIMIT, C.COUNT_LIMIT) == (65_535, 8_388_608, 65_534)
    assert (C.DEPTH_LIMIT, C.INCLUSION_LIMIT, C.MAX_INTEGER) == (32, 10_000, 9_007_199_254_740_991)
    assert (C.COMMENT_LIMIT, C.LOOSE_LIMIT, C.SHOWN_LIMIT) == (65_535, 67_108_864, 1_000)
    assert (C.CLOCKS_APART_MS, C.UNDER_WAY_MS, C.DAY_MS) == (300_000, DAY_MS, DAY_MS)
    assert C.instant(C.LATEST_MS) == "9999-12-31T23:59:59.999Z"
    assert (len(str(-C.MAX_INTEGER)), 7) == (C.INTEGER_DIGITS, C.CHECKPOINT_LINES)
    assert C.MEMBER_LIMIT == layout.MAX_MEMBER_BYTES
    assert dict(C.KEY_BYTES.items()) == {  # RFC 8032, FIPS 204
        "ed25519": (32, 64),
        "ml-dsa-65": (1952, 3309),
        "ml-dsa-44": (1312, 2420),
    }


@pytest.mark.parametrize("number", [2**53 - 1, 1 - 2**53, 0, -1])
def test_integers_below_two_to_the_53_are_read(number: int) -> None:
    assert C.parse("here", str(number).encode()) == number


@pytest.mark.parametrize("text", ["9007199254740992", "-9007199254740992", "1" * 5_000, "1.0", "1e2", "NaN"])
def test_other_numbers_are_refused(text: str) -> None:
    refused(C.parse, "here", text.encode(), match="canonical subset")


@pytest.mark.parametrize("data", [b'{"a":1 }', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b"-0", b'"\\u0041"'])
def test_another_spelling_of_json_is_refused(data: bytes) -> None:
    refused(C.parse, "here", data, match="canonical form")


def nested(depth: int) -> Any:
    value: Any = 0
    for number in range(depth):
        value = [value] if number % 2 else {"a": value}
    return value


def test_free_members_may_be_nested_32_deep_and_have_ascii_names() -> None:
    C.free_form("here", nested(32))
    refused(C.free_form, "here", nested(33), match="nested")
    C.free_form("here", {"a": "ü"})
    refused(C.free_form, "here", {"a": [{"ü": 1}]}, match="ASCII")


def test_a_value_has_one_spelling_in_base64() -> None:
    three = C.b64(3)
    assert three.holds("AAAA")
    for wrong in ("AAA", "AAAAA", "AAAA\n", "AA AA", "A-A_", "AAAA====", "ÄAAA", "", None, 0):
        assert not three.holds(wrong), wrong
    assert C.b64(1).holds("AA==")
    assert not C.b64(1).holds("AB==")


def test_shapes_hold_types_apart() -> None:
    assert C.one_of(1).holds(1)
    assert not C.one_of(1).holds(True)
    assert not C.one_of(True).holds(1)
    assert not C.integer.holds(True)
    assert not C.count.holds(True)
    assert [C.count.holds(value) for value in (0, -1, "0")] == [True, False, False]
    assert C.or_null(C.count).holds(None)
    assert not C.count.holds(None)
    refused(C.conform, "here", {}, {"a": C.count})
    refused(C.conform, "here", {"a": 1, "b": 1}, {"a": C.count})
    refused(C.conform, "here", [1], {"a": C.count})
    refused(C.conform, "here", {"a": 1}, [C.count])
    refused(C.conform, "here", [1, -1], [C.count])
    C.conform("here", [1, 2], [C.count])


@pytest.mark.parametrize(
    ("value", "real"),
    [("1970-01-01", True), ("1969-12-31", False), ("2026-02-29", False), ("2024-02-29", True)],
)
def test_days_are_those_of_the_calendar_from_1970(value: str, real: bool) -> None:
    assert C.day.holds(value) is real
    assert C.time.holds(f"{value}T23:59:59.999Z") is real


@pytest.mark.parametrize("value", ["20260101", "2026-1-01", "2026-W01-1", "2026-01-01 ", 20260101, None])
def test_a_day_has_one_spelling(value: Any) -> None:
    assert not C.day.holds(value)


@pytest.mark.parametrize(
    "clock", ["24:00:00.000Z", "23:60:00.000Z", "23:00:60.000Z", "23:00:00.00Z", "23:00:00.000"]
)
def test_a_time_has_one_spelling(clock: str) -> None:
    assert not C.time.holds(f"2026-01-01T{clock}")


# --- Output -------------------------------------------------------------------------------------


def test_a_line_is_cut_at_its_limit_and_not_before(capsys: pytest.CaptureFixture[str]) -> None:
    C.say("x" * 1_000)
    C.say("x" * 1_001)
    C.say("~ \x7f\x1f\u00e9\U0001f600")
    shown = capsys.readouterr().out.split("\n")
    assert shown[0] == "x" * 1_000
    assert shown[1] == "x" * 1_000 + " [cut]"
    assert shown[2] == "~ \\x7f\\x1f\\xe9\\U0001f600"


# --- What a file is -----------------------------------------------------------------------------


def any_zip(*names: str, comment: bytes = b"", each: bytes = b"", extra: bytes = b"") -> bytes:
    """A zip as other programs make it; ``each``: a comment of every member."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.comment, info.extra = each, extra
            archive.writestr(info, b"{}")
        archive.comment = comment
    return out.getvalue()


def claiming(data: bytes, *, count: int = 0, size: int = 0, at: int = 0) -> bytes:
    """The same zip, but its end record says other numbers, by so much."""
    end = data.rindex(b"PK\5\6")
    found = struct.unpack_from("<HLL", data, end + 10)
    changed = (found[0] + count, found[1] + size, found[2] + at)
    return data[: end + 10] + struct.pack("<HLL", *changed) + data[end + 20 :]


EXTRA = struct.pack("<HH4s", 0xCAFE, 4, b"abcd")
PLAIN = any_zip("manifest.json", "a")
KINDS = {
    "nothing": (b"", "not_a_pack"),
    "three bytes": (b"PK\3", "not_a_pack"),
    "a header alone": (b"PK\3\4", "cut_short"),
    "an empty zip": (any_zip(), "not_a_pack"),
    "two members": (PLAIN, "packed_anew"),
    "without its last byte": (PLAIN[:-1], "cut_short"),
    "a byte behind": (PLAIN + b"x", "cut_short"),
    "in a folder": (any_zip("pack/manifest.json", "a"), "packed_anew"),
    "comments and extra fields": (
        any_zip("manifest.json", "a", comment=b"hello", each=b"note", extra=EXTRA),
        "packed_anew",
    ),
    "the longest comment": (any_zip("manifest.json", comment=b"c" * 65_535), "packed_anew"),
    "an end record in its comment": (any_zip("manifest.json", comment=b"PK\5\6" + bytes(9)), "packed_anew"),
    "without a manifest": (any_zip("a", "manifest.jsonl"), "pack"),
    "another word before": (any_zip("mymanifest.json"), "pack"),
    "an absolute name": (any_zip("manifest.json", "/etc/passwd"), "pack"),
    "a name that leads out": (any_zip("manifest.json", "a/../../b"), "pack"),
    "two dots within a name": (any_zip("manifest.json", "a..b"), "packed_anew"),
    "a backslash": (any_zip("manifest.json", "a\\b"), "pack"),
    "an entry too many": (claiming(PLAIN, count=-1), "pack"),
    "an entry too few": (claiming(PLAIN, count=1), "pack"),
    "a shorter directory": (claiming(PLAIN, size=-1), "pack"),
    "a directory from elsewhere": (claiming(PLAIN, at=-1), "pack"),
    "a directory that reaches into the end": (claiming(PLAIN, at=1), "pack"),
    "a large directory": (claiming(PLAIN, size=(64 << 20)), "pack"),
}


@pytest.mark.parametrize("name", KINDS)
def test_both_verifiers_tell_alike_what_a_file_is(name: str) -> None:
    data, expected = KINDS[name]
    assert C.kind_of(io.BytesIO(data)) == expected
    assert kind.kind_of(io.BytesIO(data)).value == expected


def test_a_name_that_stands_there_twice_is_no_other_zip_of_a_pack() -> None:
    with pytest.warns(UserWarning, match="Duplicate"):
        data = any_zip("manifest.json", "a", "a")
    assert (C.kind_of(io.BytesIO(data)), kind.kind_of(io.BytesIO(data)).value) == ("pack", "pack")


def test_a_directory_of_64_mebibytes_is_still_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    size = struct.unpack_from("<L", PLAIN, PLAIN.rindex(b"PK\5\6") + 12)[0]
    for limit, expected in ((size, "packed_anew"), (size - 1, "pack")):
        monkeypatch.setattr(C, "LOOSE_LIMIT", limit)
        monkeypatch.setattr(kind, "_MOST_DIRECTORY", limit)
        assert C.kind_of(io.BytesIO(PLAIN)) == expected
        assert kind.kind_of(io.BytesIO(PLAIN)).value == expected


# --- Lines of a member --------------------------------------------------------------------------


class Chunks(C.Pack):  # type: ignore[misc, name-defined] # the module is loaded from its path
    """A pack of one member that comes in these pieces."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.members = {"m": C.Member("m", 0, 0, sum(map(len, pieces)), 0)}

    def chunks(self, _name: str) -> Any:
        return iter(self.pieces)


def test_lines_are_put_together_over_chunks_and_numbered_from_one() -> None:
    assert list(Chunks(b"a\nb", b"c\n", b"", b"d\n").lines("m")) == [
        ("m:1", b"a"),
        ("m:2", b"bc"),
        ("m:3", b"d"),
    ]
    refused(list, Chunks(b"a\nb").lines("m"), match="m:2: does not end")


def test_a_line_is_held_to_its_length_before_its_end_is_there() -> None:
    assert len(list(Chunks(b"x" * 65_535, b"\n").lines("m"))) == 1
    refused(list, Chunks(b"a\n" + b"x" * 65_536, b"\n").lines("m"), match="m:2: is longer")


def test_a_member_that_is_held_in_memory_has_at_most_8_mebibytes() -> None:
    pack = Chunks(b"whole")
    pack.members["m"] = pack.members["m"]._replace(size=8 << 20)
    assert pack.read("m") == b"whole"
    pack.members["m"] = pack.members["m"]._replace(size=(8 << 20) + 1)
    refused(pack.read, "m", match="larger")


@pytest.mark.parametrize(
    ("names", "place"),
    [
        (["a", "b", "a/c"], 2),
        (["a/c", "b", "a"], 2),
        (["A", "a"], 1),
        (["a", "a-b/c", "a/b"], 2),
        (["a/b", "A/c/d", "a/C"], 2),
        (["a/b", "x", "A/B/c", "a"], 2),
    ],
)
def test_the_later_of_two_names_that_are_one_file_is_named(names: list[str], place: int) -> None:
    with pytest.raises(C.Twice, match=f"^{names[place]}: "):
        C.check_collisions(names)
    C.check_collisions(names[:place])


# --- What cannot stand together -----------------------------------------------------------------

WHOLE = C.Facts(
    level="full",
    state="closed",
    action="allow",
    bundle="0" * 64,
    alg="ed25519",
    binding="none",
    created=0,
    header_bytes=9,
    keyid="k",
    mode="inline",
    nonce="0" * 64,
    authority="a",
    method="GET",
    path="/",
    query="0" * 64,
    decision="allow",
)
PARTS = ("keyid", "alg", "mode", "nonce", "created", "header_bytes")
PARTS += ("method", "authority", "path", "query", "bundle")


def library_refuses(facts: Any) -> bool:
    whole = None not in [getattr(facts, part) for part in PARTS] and facts.created >= 0
    known = combinations.Facts(
        reason=facts.reason,
        action=facts.action,
        level=facts.level,
        state=facts.state,
        alg=facts.alg,
        binding=facts.binding,
        bound=facts.binding_sha256 is not None,
        whole=whole,
    )
    try:
        combinations.check_combination(known, v1.WORDS if facts.reason in v1.DECISION_OF else v2.WORDS)
    except CanonicalError:
        return True
    return False


@pytest.mark.parametrize("reason", sorted(C.DECISION_OF))
def test_both_verifiers_refuse_the_same_combinations(reason: str) -> None:
    facts = WHOLE._replace(reason=reason, decision=C.DECISION_OF[reason])
    for action, level, state, alg, bound in itertools.product(
        ("allow", "deny", None),
        ("full", "classical", "shed", None),
        ("closed", "open", "half_open", None),
        ("ed25519", "ed25519+ml-dsa-65", "rsa", None),
        (("none", None), ("tls-exporter", "0" * 64), ("none", "0" * 64), ("tls-exporter", None)),
    ):
        one = facts._replace(
            action=action,
            level=level,
            state=state,
            alg=alg,
            binding=bound[0],
            binding_sha256=bound[1],
        )
        assert (C.contradiction(one) is not None) == library_refuses(one), one


@pytest.mark.parametrize("part", PARTS)
def test_what_comes_after_a_whole_proof_lacks_no_part_of_it(part: str) -> None:
    for reason in ("ok", "nonce_replayed"):
        facts = WHOLE._replace(reason=reason, decision=C.DECISION_OF[reason])
        assert C.contradiction(facts) is None
        assert "whole proof" in C.contradiction(facts._replace(**{part: None}))
    assert C.contradiction(WHOLE._replace(reason="bad_signature", decision="deny", **{part: None})) is None
    assert C.contradiction(WHOLE._replace(reason="ok", created=-1)) is not None


# --- Keys ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [0, 1 << 255])
def test_points_of_small_order_and_second_spellings_are_no_keys(sign: int) -> None:
    for y in (0, 1, C.P - 1, C.Y8, C.P - C.Y8, C.P, C.P + 1, 2**255 - 1):
        assert not C.one_spelling_of_a_key((y | sign).to_bytes(32, "little")), y
    for y in (2, C.P - 2, C.Y8 + 1):
        assert C.one_spelling_of_a_key((y | sign).to_bytes(32, "little")), y


def test_the_set_that_signs_is_the_last_that_has_begun() -> None:
    sets = [SimpleNamespace(from_tree_size=size) for size in (0, 10, 20)]
    keys = C.Keys("o", "id", sets, [])
    assert [sets.index(keys.at(size)) for size in (0, 9, 10, 19, 20, 99)] == [0, 0, 1, 1, 2, 2]


# --- Heads --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "decisions", "missing", "receipts", "good"),
    [
        (1, 2, 3, 2, True),
        (1, 3, 0, 2, False),
        (2, 2, 0, 2, True),
        (3, 2, 0, 2, False),
        (2, 2, 1, 2, False),
        (0, 1, 0, 1, False),
        (0, 0, 0, 0, False),
    ],
)
def test_totals_of_emitters_are_those_of_some_day(
    count: int, decisions: int, missing: int, receipts: int, good: bool
) -> None:
    totals = {"count": count, "decisions": decisions, "missing": missing, "sha256": "0" * 64}
    if good:
        C.check_totals("here", totals, receipts)
    else:
        refused(C.check_totals, "here", totals, receipts)


def test_a_day_without_decisions_has_the_totals_of_none() -> None:
    none = {"count": 0, "decisions": 0, "missing": 0, "sha256": C.NO_ACCOUNTS}
    C.check_totals("here", none, 0)
    C.check_totals("here", none, 5)
    refused(C.check_totals, "here", {**none, "missing": 1}, 5)
    refused(C.check_totals, "here", {**none, "count": 1, "decisions": 1}, 5, match="both")
    refused(C.check_totals, "here", {**none, "decisions": 1, "sha256": "0" * 64}, 5, match="both")
    refused(C.check_totals, "here", {**none, "sha256": "0" * 64}, 5, match="both")


def chain(first: int, after: int, head: str = "new") -> dict[str, Any]:
    return {"id": 0, "first_seq": first, "next_seq": after, "head": head}


@pytest.mark.parametrize(
    ("before", "now", "good"),
    [
        ([chain(0, 3, "old")], [chain(3, 5)], True),
        ([chain(0, 3, "old")], [chain(3, 3, "old")], True),
        ([chain(0, 3, "old")], [chain(3, 3)], False),
        ([chain(0, 3, "old")], [chain(2, 5)], False),
        ([chain(0, 3, "old")], [chain(3, 2)], False),
        ([chain(0, 3, "old")], [chain(3, 5), {**chain(0, 0, "old"), "id": 1}], False),
        (None, [chain(0, 5)], True),
        (None, [chain(1, 5)], False),
        (None, [chain(0, 0, C.ZERO_HASH)], True),
        (None, [chain(0, 0)], False),
    ],
)
def test_chains_go_on_where_the_day_before_left_them(before: Any, now: Any, good: bool) -> None:
    previous = None if before is None else {"chains": before}
    if good:
        C.follow_chains("here", {"chains": now}, previous)
    else:
        refused(C.follow_chains, "here", {"chains": now}, previous)


def head(day: str, **changes: Any) -> dict[str, Any]:
    usual = {"date": day, "timestamp": 5, "tree_size": 7, "root_hash": "r", "first_leaf": 7}
    return {**usual, "prev_sth_sha256": "d", "chains": [chain(7, 7, "h")], **changes}


@pytest.mark.parametrize(
    ("changes", "good"),
    [
        ({}, True),
        ({"timestamp": 4}, False),
        ({"root_hash": "other"}, False),
        ({"root_hash": "other", "tree_size": 8, "chains": [chain(7, 8)]}, True),
        ({"date": "2026-03-02"}, False),
        ({"date": "2026-02-28"}, False),
        ({"prev_sth_sha256": None}, False),
        ({"first_leaf": 0}, False),
    ],
)
def test_a_head_follows_the_day_before(changes: dict[str, Any], good: bool) -> None:
    before, now = head("2026-02-28"), head("2026-03-01", **changes)
    if good:
        C.follow("here", now, before, "d")
    else:
        refused(C.follow, "here", now, before, "d")


def test_the_day_asked_for_is_what_the_head_says() -> None:
    C.check_day(head("2026-03-01"), "2026-03-01")
    refused(C.check_day, head("2026-03-01"), "2026-03-02")


# --- The tree -----------------------------------------------------------------------------------

LEAVES = [C.leaf_hash(bytes([number])) for number in range(20)]


def test_a_tree_grows_to_the_root_that_the_library_has() -> None:
    for size in range(20):
        tree = C.Tree(0, [])
        for leaf in LEAVES[:size]:
            tree.add(leaf)
        entries = [bytes([number]) for number in range(size)]
        assert tree.root() == merkle_root(entries)
        again = C.Tree(size, list(tree.stack))
        again.add(LEAVES[size])
        assert again.root() == merkle_root([*entries, bytes([size])])


def merkle_root(entries: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, as it is written there."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\0" + entries[0]).digest()
    left = 1
    while left * 2 < len(entries):
        left *= 2
    inner = merkle_root(entries[:left]) + merkle_root(entries[left:])
    return hashlib.sha256(b"\1" + inner).digest()


def test_merkle_is_the_librarys_own() -> None:
    assert merkle.EMPTY_ROOT == C.EMPTY_ROOT


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 13])
def test_an_inclusion_proof_leads_to_the_root_and_no_other_length_does(size: int) -> None:
    entries = [bytes([number]) for number in range(size)]
    root = merkle_root(entries)
    for index in range(size):
        proof = path(index, entries)
        assert C.root_by_inclusion(LEAVES[index], index, size, proof) == root
        assert C.root_by_inclusion(LEAVES[index], index, size, [*proof, bytes(32)]) != root
        if proof:
            assert C.root_by_inclusion(LEAVES[index], index, size, proof[1:]) is None


def path(index: int, entries: list[bytes]) -> list[bytes]:
    """RFC 9162 section 2.1.3.1."""
    if len(entries) == 1:
        return []
    left = 1 << (len(entries) - 1).bit_length() - 1
    if index < left:
        return [*path(index, entries[:left]), merkle_root(entries[left:])]
    return [*path(index - left, entries[left:]), merkle_root(entries[:left])]


def subproof(old: int, entries: list[bytes], whole: bool) -> list[bytes]:
    """RFC 9162 section 2.1.4.1."""
    if old == len(entries):
        return [] if whole else [merkle_root(entries)]
    left = 1 << (len(entries) - 1).bit_length() - 1
    if old <= left:
        return [*subproof(old, entries[:left], whole), merkle_root(entries[left:])]
    return [*subproof(old - left, entries[left:], False), merkle_root(entries[:left])]


def test_consistency_proofs_lead_to_both_roots_and_no_other_length_does() -> None:
    entries = [bytes([number]) for number in range(13)]
    for new in range(1, 14):
        for old in range(1, new + 1):
            roots = [merkle_root(entries[:old]), merkle_root(entries[:new])]
            proof = subproof(old, entries[:new], True)
            assert C.roots_by_consistency(old, new, proof, roots[0]) == roots
            assert C.roots_by_consistency(old, new, [*proof, bytes(32)], roots[0]) != roots
            if proof:
                assert C.roots_by_consistency(old, new, proof[1:], roots[0]) != roots


# --- A day's receipts ---------------------------------------------------------------------------


def test_times_that_are_far_apart_are_noted() -> None:
    log = log_with_days(1)
    day_of = C.Day(
        {**C.parse("", unzip(log.pack())["sth.json"])},
        *(None, SimpleNamespace(listed=[]), C.Tree(0, []), set()),
    )
    for decided, recorded, apart in (
        ("2026-03-02T00:05:00.000Z", "2026-03-02T00:00:00.000Z", False),
        ("2026-03-02T00:05:00.001Z", "2026-03-02T00:00:00.000Z", True),
        ("2026-03-01T00:00:00.000Z", "2026-03-02T00:00:00.000Z", False),
        ("2026-03-01T00:00:00.000Z", "2026-03-02T00:00:00.001Z", True),
        ("2026-03-02T00:00:00.000Z", "2026-03-02T23:59:59.999Z", False),
        ("2026-03-03T00:04:00.000Z", "2026-03-02T23:59:00.000Z", False),
        ("2026-03-03T00:04:00.001Z", "2026-03-02T23:59:00.000Z", True),
    ):
        before = day_of.apart.count
        day_of._compare_times("here", C.Facts(decided_at=decided, recorded_at=recorded))
        assert (day_of.apart.count > before) is apart, (decided, recorded)


def remarks(capsys: pytest.CaptureFixture[str], *, signed: str, last: str = "") -> list[str]:
    receipts = SimpleNamespace(apart=C.Noted(), times=["", last])
    C.remark_on_times({"date": "2026-03-02", "timestamp": C.milliseconds(signed)}, receipts)
    return [line.split(":")[0].removeprefix("remark ") for line in capsys.readouterr().out.splitlines()]


def test_improbable_times_of_a_head_are_remarked_on(capsys: pytest.CaptureFixture[str]) -> None:
    late, end = "2026-03-02T23:59:59.000Z", "2026-03-03T00:00:00.000Z"
    assert remarks(capsys, signed=end, last=late) == []
    assert remarks(capsys, signed="2026-03-02T23:59:59.999Z", last=late) == ["closed_early"]
    assert remarks(capsys, signed="2026-03-02T23:54:59.000Z", last=late) == ["closed_early"]
    assert remarks(capsys, signed="2026-03-02T23:54:58.999Z", last=late) == ["head_time", "closed_early"]
    assert remarks(capsys, signed="2026-03-02T00:00:00.000Z") == ["closed_early"]
    assert remarks(capsys, signed="2026-03-01T23:59:59.999Z") == ["head_time", "closed_early"]
    assert remarks(capsys, signed="2026-03-01T23:59:59.999Z", last=late) == ["head_time", "closed_early"]


def test_numbers_of_an_emitter_that_come_again_are_found_in_their_lines() -> None:
    emitters = {"a": ([5, 6, 5, 5, 6], [1, 2, 3, 4, 5]), "b": ([5, 7], [6, 7])}
    assert C.numbers_used_again(SimpleNamespace(emitters=emitters)) == [3, 4, 5]


def test_emitters_accounts_are_made_of_their_numbers() -> None:
    numbers = {"a": ([9, 3, 4], []), "b": ([7], [])}
    accounts = (
        b'{"a":{"count":3,"first":3,"gaps":[[5,8]],"last":9},"b":{"count":1,"first":7,"gaps":[],"last":7}}'
    )
    totals = {"count": 2, "decisions": 4, "missing": 4, "sha256": hashlib.sha256(accounts).hexdigest()}
    receipts = SimpleNamespace(emitters=numbers)
    assert C.check_emitters({"emitters": totals}, receipts) == [("a", 5, 8)]
    for name in totals:
        refused(
            *(C.check_emitters, {"emitters": {**totals, name: "wrong"}}, receipts),
            match=f"emitters.{name}",
        )


# --- The checkpoint -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda lines: [*lines, ""],
        lambda lines: lines[:-1],
        lambda lines: ["other.example/log", *lines[1:]],
        lambda lines: [*lines[:3], "extension", *lines[4:]],
        lambda lines: [*lines[:6], "x"],
        lambda lines: [lines[0], "0" + lines[1], *lines[2:]],
        lambda lines: [*lines[:2], lines[2].lower(), *lines[3:]],
        lambda lines: [*lines[:4], lines[5], lines[4], lines[6]],
        lambda lines: [*lines[:4], lines[4][1:], *lines[5:]],
        lambda lines: [*lines[:4], lines[4] + "AAAA", *lines[5:]],
        lambda lines: [*lines[:5], late(lines[5]), lines[6]],
    ],
)
def test_a_checkpoint_has_one_form(change: Any) -> None:
    log = log_with_days(3)
    files = unzip(log.pack())
    value, keys_of = C.parse("", files["sth.json"]), C.parse("", files["keys.json"])
    keys = C.Keys(keys_of["origin"], keys_of["log_id"], [C.load_keys("", keys_of["sets"][0])], [])
    text = files["checkpoint"].decode()
    pack = SimpleNamespace(read=lambda _name: text.encode())
    C.check_checkpoint(pack, value, keys)
    text = "\n".join(change(text.split("\n")))
    refused(C.check_checkpoint, pack, value, keys, match="^checkpoint")


def late(line: str) -> str:
    """A signature line whose time has its highest bit set."""
    *words, blob = line.split(" ")
    raw = bytearray(base64.b64decode(blob))
    raw[4] |= 0x80
    return " ".join([*words, base64.b64encode(raw).decode()])
