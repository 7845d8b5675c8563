"""Signed notes and checkpoints: bytes as C2SP writes them, and nothing else accepted."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signet.core.errors import KeyFileError, LogError, SignatureError
from signet.log.keys import Algorithm, LocalSigner, generate_private_set
from signet.log.note import (
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
    checkpoint_text,
    encode_note,
    log_verifier_keys,
    parse_checkpoint,
    parse_note,
    parse_vkey,
    sign_checkpoint,
    subtree_message,
    verify_checkpoint,
)

ORIGIN = "log.example/signet"
SIGNER = LocalSigner(ORIGIN, generate_private_set())
ROOT = hashlib.sha256(b"root").digest()
SIGNED = sign_checkpoint(41, ROOT, 1_700_000_000, SIGNER)

LINE = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\n"), max_size=20
)
NAME = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=10)


def test_checkpoint_is_the_text_and_two_lines_of_the_specification() -> None:
    text, tail = SIGNED.decode().split("\n\n")
    assert text == f"{ORIGIN}\n41\n{base64.b64encode(ROOT).decode()}"
    lines = [line.split(" ") for line in tail.splitlines()]
    assert [(dash, name) for dash, name, _ in lines] == [("—", ORIGIN)] * 2
    first, second = (base64.b64decode(blob) for _, _, blob in lines)
    keys = SIGNER.keys.sets[0]
    for blob, number, alg in ((first, 1, Algorithm.ED25519), (second, 6, Algorithm.ML_DSA_44)):
        material = ORIGIN.encode() + b"\n" + bytes([number]) + keys.key(alg).public_key
        assert blob[:4] == hashlib.sha256(material).digest()[:4]
    keys.key(Algorithm.ED25519).verify(first[4:], text.encode() + b"\n")
    size = len(ORIGIN).to_bytes(1, "big")
    time = (1_700_000_000).to_bytes(8, "big")
    message = b"subtree/v1\n\x00" + size + ORIGIN.encode() + time + size + ORIGIN.encode()
    message += bytes(8) + (41).to_bytes(8, "big") + ROOT
    assert second[4:12] == time
    keys.key(Algorithm.ML_DSA_44).verify(second[12:], message)


def test_checkpoint_verifies_and_says_what_was_signed() -> None:
    assert verify_checkpoint(SIGNED, SIGNER.keys) == Checkpoint(ORIGIN, 41, ROOT)


def test_each_of_the_two_lines_is_demanded() -> None:
    note = parse_note(SIGNED)
    for lines in (note.signatures[:1], note.signatures[1:]):
        with pytest.raises(SignatureError):
            verify_checkpoint(encode_note(Note(note.text, lines)), SIGNER.keys)


def test_lines_of_unknown_keys_are_passed_over() -> None:
    note = parse_note(SIGNED)
    witness = NoteSignature("witness.example", b"\x01\x02\x03\x04", b"anything")
    more = Note(note.text, (witness, *note.signatures))
    assert verify_checkpoint(encode_note(more), SIGNER.keys).tree_size == 41


def test_a_second_line_of_a_known_key_must_verify_too() -> None:
    note = parse_note(SIGNED)
    first = note.signatures[0]
    forged = NoteSignature(first.name, first.key_id, bytes(64))
    with pytest.raises(SignatureError):
        verify_checkpoint(encode_note(Note(note.text, (*note.signatures, forged))), SIGNER.keys)


@settings(max_examples=80)
@given(st.integers(0, len(SIGNED) - 1), st.integers(0, 7))
def test_a_checkpoint_with_one_bit_changed_is_refused(at: int, bit: int) -> None:
    changed = bytearray(SIGNED)
    changed[at] ^= 1 << bit
    with pytest.raises((SignatureError, LogError)):
        verify_checkpoint(bytes(changed), SIGNER.keys)


def test_another_log_does_not_verify() -> None:
    with pytest.raises(SignatureError):
        verify_checkpoint(SIGNED, LocalSigner(ORIGIN, generate_private_set()).keys)
    with pytest.raises(LogError):
        verify_checkpoint(SIGNED, LocalSigner("other.example", generate_private_set()).keys)


@given(
    st.lists(LINE, min_size=1, max_size=4),
    st.lists(
        st.builds(NoteSignature, NAME, st.binary(min_size=4, max_size=4), st.binary(min_size=1)),
        min_size=1,
        max_size=3,
    ),
)
def test_notes_round_trip(lines: list[str], signatures: list[NoteSignature]) -> None:
    note = Note("".join(f"{line}\n" for line in lines), tuple(signatures))
    assert parse_note(encode_note(note)) == note


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"text\n",
        b"text\n\n",
        b"text\n\n\n",
        "text\n\n— name AAAAAAA=".encode(),
        "text\n— name AAAAAAA=\n".encode(),
        "text\n\n— name AAAAAAB=\n".encode(),
        "text\n\n— name AAAAAA==\n".encode(),
        "text\n\n— name AAAAAAA\n".encode(),
        "text\n\n—  AAAAAAA=\n".encode(),
        "text\n\n— na+me AAAAAAA=\n".encode(),
        "text\n\n— na\u00a0me AAAAAAA=\n".encode(),
        b"text\n\n- name AAAAAAA=\n",
        "text\n\n— name AAAAAAA=\r\n".encode(),
        "te\txt\n\n— name AAAAAAA=\n".encode(),
        "text\n\n— name AAAAAAA=\ntrailing\n".encode(),
        b"text\n\n\xff",
        b"x" * 1_000_001,
    ],
)
def test_bytes_that_are_no_note_are_refused(data: bytes) -> None:
    with pytest.raises(LogError):
        parse_note(data)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n",
        "o\n1\n",
        f"o\n01\n{'A' * 43}=\n",
        f"o\n-1\n{'A' * 43}=\n",
        f"o\n9223372036854775808\n{'A' * 43}=\n",
        f"o\n1\n{'A' * 42}==\n",
        f"o\n1\n{'A' * 42}B=\n",
        f"\n1\n{'A' * 43}=\n",
        f"o\n1\n{'A' * 43}=",
        f"o\n1\n{'A' * 43}=\n\n",
    ],
)
def test_texts_that_are_no_checkpoint_are_refused(text: str) -> None:
    with pytest.raises(LogError):
        parse_checkpoint(text)


def test_extension_lines_survive_but_are_not_ours() -> None:
    extended = Checkpoint(ORIGIN, 1, ROOT, ("more",))
    assert parse_checkpoint(checkpoint_text(extended)) == extended


def test_vkeys_round_trip_and_their_id_is_checked() -> None:
    for key in log_verifier_keys(SIGNER.keys, 0):
        text = key.encode()
        assert parse_vkey(text) == key
        name, key_id, rest = text.split("+", 2)
        wrong_id = ("0" if key_id[0] != "0" else "1") + key_id[1:]
        for bad in (f"{name}+{wrong_id}+{rest}", f"{name}+{rest}", f"+{key_id}+{rest}", "", f"{text}\n"):
            with pytest.raises(KeyFileError):
                parse_vkey(bad)
    with pytest.raises(KeyFileError):
        VerifierKey(ORIGIN, SIGNER.keys.sets[0].key(Algorithm.ML_DSA_65))


def refused(call: Callable[[], object]) -> None:
    with pytest.raises(LogError) as caught:
        call()
    assert caught.value.code == "bad_note"


def test_a_note_of_a_million_bytes_is_read_and_a_longer_one_is_not() -> None:
    line = "— n AAAAAAA=\n"
    text = "x" * (1_000_000 - len(line.encode()) - 2) + "\n"
    longest = f"{text}\n{line}".encode()
    assert len(longest) == 1_000_000
    assert parse_note(longest).text == text
    refused(lambda: parse_note(b"x" + longest))


@pytest.mark.parametrize(("blob", "good"), [(bytes(5), True), (bytes(4), False), (bytes(3), False)])
def test_a_signature_line_holds_more_than_its_key_id(blob: bytes, good: bool) -> None:
    data = f"x\n\n— n {base64.b64encode(blob).decode()}\n".encode()
    if good:
        [signature] = parse_note(data).signatures
        assert (signature.key_id, signature.signature) == (bytes(4), bytes(1))
    else:
        refused(lambda: parse_note(data))


def test_sizes_of_a_checkpoint_have_63_bits() -> None:
    root = base64.b64encode(ROOT).decode()
    assert parse_checkpoint(f"o\n{2**63 - 1}\n{root}\n").tree_size == 2**63 - 1
    for size in (str(2**63), "01", "-1", "+1", "", "1" * 20):
        refused(lambda size=size: parse_checkpoint(f"o\n{size}\n{root}\n"))
    for text in (f"\n1\n{root}\n", f"o\n1\n{root}", f"o\n1\n{root}\n\n", f"o\n1\n{root}\n\nx\n", "o\n1\n"):
        refused(lambda text=text: parse_checkpoint(text))
    for short in (ROOT[:31], ROOT + b"\0"):
        refused(lambda short=short: parse_checkpoint(f"o\n1\n{base64.b64encode(short).decode()}\n"))


def test_a_cosigner_has_a_name_of_1_to_255_bytes() -> None:
    tree = Checkpoint(ORIGIN, 41, ROOT)
    assert subtree_message("n" * 255, tree, 1)[len(b"subtree/v1\n\0")] == 255
    for name in ("", "n" * 256, "ü" * 128):
        refused(lambda name=name: subtree_message(name, tree, 1))


def test_a_cosignatures_time_has_63_bits() -> None:
    key = log_verifier_keys(SIGNER.keys, 41)[1]
    text = checkpoint_text(Checkpoint(ORIGIN, 41, ROOT))
    for time_s, good in ((0, True), (2**63 - 1, True), (2**63, False)):
        message = subtree_message(key.name, Checkpoint(ORIGIN, 41, ROOT), time_s)
        signature = time_s.to_bytes(8, "big") + SIGNER.sign(Algorithm.ML_DSA_44, message, 41)
        if good:
            key.verify(text, signature)
        else:
            with pytest.raises(SignatureError, match="out of range"):
                key.verify(text, signature)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\x7f", "a\n", "a\u2003"])
def test_a_key_name_cannot_be_empty_or_hold_what_ends_it(name: str) -> None:
    key = SIGNER.keys.sets[0].key(Algorithm.ED25519)
    refused(lambda: VerifierKey(name, key))
    refused(lambda: encode_note(Note("x\n", (NoteSignature(name, bytes(4), b"s"),))))


def test_only_algorithms_of_notes_make_a_verifier_key() -> None:
    with pytest.raises(KeyFileError, match="notes are not signed with"):
        VerifierKey("n", SIGNER.keys.sets[0].key(Algorithm.ML_DSA_65))
