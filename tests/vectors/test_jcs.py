"""RFC 8785's published files. Those inside our subset come out byte for byte; the others are refused.

Which is which is read off each file's content: a float (56.0 is one), or a key outside ASCII.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from signet.core.canonical import canonicalize, parse
from signet.core.errors import CanonicalError


def outside_subset(value: Any) -> bool:
    if isinstance(value, dict):
        return any(not key.isascii() or outside_subset(member) for key, member in value.items())
    if isinstance(value, list):
        return any(map(outside_subset, value))
    return isinstance(value, float)


def read(folder: Path) -> list[tuple[str, Any, bytes]]:
    files = []
    for path in sorted((folder / "jcs" / "input").glob("*.json")):
        expected = bytes.fromhex((folder / "jcs" / "outhex" / f"{path.stem}.txt").read_text())
        assert expected == (folder / "jcs" / "output" / path.name).read_bytes()
        files.append((path.name, json.loads(path.read_bytes()), expected))
    assert {outside_subset(value) for _name, value, _expected in files} == {True, False}
    return files


def test_files_inside_the_subset_come_out_byte_for_byte(vectors: Path) -> None:
    for name, value, expected in read(vectors):
        if not outside_subset(value):
            assert canonicalize(value) == expected, name
            assert parse(expected) == value, name


def test_files_outside_the_subset_are_refused_both_ways(vectors: Path) -> None:
    for _name, value, expected in read(vectors):
        if outside_subset(value):
            with pytest.raises(CanonicalError):
                canonicalize(value)
            if outside_subset(json.loads(expected)):
                with pytest.raises(CanonicalError):
                    parse(expected)


def test_strings_and_order_of_the_other_files_are_right_too(vectors: Path) -> None:
    """Each string, and each object of ASCII keys and no floats, inside a refused file."""
    seen = 0
    for _name, value, expected in read(vectors):
        for part in parts(value):
            if not outside_subset(part):
                assert canonicalize(part) in expected
                seen += 1
    assert seen > 20


def parts(value: Any) -> list[Any]:
    members = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [value, *(deeper for member in members for deeper in parts(member))]
