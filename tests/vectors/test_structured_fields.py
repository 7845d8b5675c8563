"""The parser of structured fields (RFC 9651) against the published tests, and where it is lenient.

The profile lets no leniency through: what was received must equal what serialising it gives again.
The last tests show that this rule refuses each lenient case, so it is enough.
"""

from pathlib import Path
from typing import Any

import http_sf
import pytest

#: Values that parse although they are no canonical encoding: (type, received, serialised).
LENIENT = [
    ("dictionary", b"a=1, a=2", "a=2"),  # of duplicate keys the last wins
    ("item", b"a;p=1;p=2", "a;p=2"),  # of duplicate parameters too
    ("item", b":aGVsbG8:", ":aGVsbG8=:"),  # base64 without padding
    ("item", b":iZ==:", ":iQ==:"),  # pad bits that are not zero
    ("item", b"0001", "1"),  # leading zeros
    ("item", b"-0", "0"),
    ("item", b"1.50", "1.5"),
    ("dictionary", b"a=?1", "a"),  # true is written by leaving it out
    ("dictionary", b"a=1,b=2", "a=1, b=2"),
    ("list", b'("a"  "b")', '("a" "b")'),
    ("item", b"  1  ", "1"),
]


def read(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    cases = []
    for path in sorted((folder / "structured_fields").glob("*.json")):
        for case in http_sf.from_json(path.read_text()):
            assert set(case) <= {
                "name", "raw", "header_type", "expected", "canonical", "must_fail", "can_fail",
            }, path  # fmt: skip
            assert ("expected" in case) != bool(case.get("must_fail")), path
            cases.append((path.name, case))
    assert len(cases) > 150
    return cases


def serialise(value: Any) -> str:
    return http_sf.ser(value) if value or not isinstance(value, dict | list) else ""


def test_every_published_case_parses_or_fails_as_it_must(vectors: Path) -> None:
    wrong = []
    for file, case in read(vectors):
        raw = ", ".join(case["raw"]).encode()
        try:
            parsed = http_sf.parse(raw, tltype=case["header_type"])
        except http_sf.StructuredFieldError:
            if not (case.get("must_fail") or case.get("can_fail")):
                wrong.append((file, case["name"], "refused"))
            continue
        if case.get("must_fail"):
            wrong.append((file, case["name"], "accepted"))
        elif parsed != case["expected"]:
            wrong.append((file, case["name"], "another value"))
        elif serialise(parsed) != ", ".join(case.get("canonical", case["raw"])):
            wrong.append((file, case["name"], "not canonical"))
    assert wrong == []


def test_byte_identity_refuses_exactly_the_cases_that_are_not_canonical(vectors: Path) -> None:
    """One value, one encoding: a received value counts only if it is what serialising it gives."""
    refused = 0
    for _file, case in read(vectors):
        if case.get("must_fail"):
            continue
        received = ", ".join(case["raw"])
        identical = serialise(http_sf.parse(received.encode(), tltype=case["header_type"])) == received
        assert identical == (", ".join(case.get("canonical", case["raw"])) == received), case["name"]
        refused += not identical
    assert refused > 20


@pytest.mark.parametrize(("header_type", "received", "canonical"), LENIENT)
def test_known_leniency_of_the_parser_does_not_survive_reserialising(
    header_type: str, received: bytes, canonical: str
) -> None:
    serialised = http_sf.ser(http_sf.parse(received, tltype=header_type))
    assert serialised == canonical
    assert serialised.encode() != received


def test_base64url_is_refused_outright() -> None:
    with pytest.raises(http_sf.StructuredFieldError):
        http_sf.parse(b":_-8=:", tltype="item")
