"""Bundles have one encoding, and nothing but what they may hold."""

import hashlib

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from signet.core.errors import CanonicalError, Denied
from signet.handshake.evidence import (
    MAX_BUNDLE_BYTES,
    Bundle,
    digest_field,
    parse_digest_field,
    read_bundle,
)

_evidence = st.dictionaries(st.text("abc", min_size=1), st.integers(0, 9) | st.text() | st.none()).map(
    rfc8785.dumps
)


@given(st.none() | _evidence, st.none() | st.binary(max_size=80))
def test_what_is_read_is_what_was_written_and_encodes_the_same(
    evidence: bytes | None, signature: bytes | None
) -> None:
    if evidence is None and signature is None:
        return
    bundle = Bundle(evidence, signature)
    assert read_bundle(bundle.encode()) == bundle
    assert read_bundle(bundle.encode()).encode() == bundle.encode()


@given(st.binary(max_size=60))
def test_any_bytes_are_refused_or_encode_the_same(data: bytes) -> None:
    try:
        bundle = read_bundle(data)
    except CanonicalError:
        return
    assert bundle.encode() == data


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", b"null", b'{"evidence":[]}', b'{"evidence":null}', b'{"evidence":1.5}',
        b'{"evidence": {}}', b'{"evidence":{},"evidence":{}}', b'{"evidence":{},"extra":1}',
        b'{"signature":null}', b'{"signature":"A"}', b'{"signature":"AB=="}', b'{"signature":"AA"}',
        b'{"signature":"__"}', b'{"signature":""}\n', b'{"evidence":' + b"[" * 1000,
    ],
)  # fmt: skip
def test_everything_else_is_no_bundle(data: bytes) -> None:
    with pytest.raises(CanonicalError):
        read_bundle(data)


def test_the_limit_is_the_last_byte_that_passes() -> None:
    head, tail = b'{"evidence":{"a":"', b'"}}'
    for extra, passes in ((0, True), (1, False)):
        data = head + b"a" * (MAX_BUNDLE_BYTES - len(head) - len(tail) + extra) + tail
        assert len(data) == MAX_BUNDLE_BYTES + extra
        if passes:
            assert read_bundle(data).evidence == data[len(b'{"evidence":') : -1]
        else:
            with pytest.raises(CanonicalError):
                read_bundle(data)


@given(st.binary(min_size=32, max_size=32))
def test_a_digest_field_has_one_spelling(digest: bytes) -> None:
    assert parse_digest_field(digest_field(digest)) == digest


@pytest.mark.parametrize(
    "edit",
    [
        lambda v: v.upper(), lambda v: v + " ", lambda v: v + "\n", lambda v: v.replace("=:", ":"),
        lambda v: f"{v}, {v}", lambda v: v.replace("+", "-").replace("/", "_"), lambda _v: "",
        lambda _v: f"sha-256=:{'A' * 42}B=:", lambda _v: "sha-256=:AAAA:",
    ],
)  # fmt: skip
def test_any_other_spelling_of_a_digest_field_is_malformed(edit) -> None:
    field = digest_field(hashlib.sha256(b"0").digest())
    assert "+" in field
    assert "/" in field
    with pytest.raises(Denied) as refused:
        parse_digest_field(edit(field))
    assert refused.value.code == "malformed"
