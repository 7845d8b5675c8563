"""C2SP signed notes and checkpoints (c2sp.org/signed-note, tlog-checkpoint, tlog-cosignature).

A note is a text, a blank line, and signature lines ``— <name> base64(key id ‖ signature)``. A
checkpoint is a note whose text is origin, tree size and root. Ours carries two lines under the name of
its origin: Ed25519 over the text, and an ML-DSA-44 cosignature of the whole tree. A line of an unknown
key is passed over, as the specification wants; a line of a known key must verify.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from signet.core.encoding import decode_base64, encode_base64
from signet.core.errors import KeyFileError, LogError, SignatureError
from signet.log.keys import Algorithm, LogKeys, PublicKey, Signer
from signet.log.merkle import HASH_BYTES

TYPE_ED25519: Final = 0x01
TYPE_ML_DSA_44: Final = 0x06

_TYPES: Final = {Algorithm.ED25519: TYPE_ED25519, Algorithm.ML_DSA_44: TYPE_ML_DSA_44}
_ALGORITHMS: Final = {number: alg for alg, number in _TYPES.items()}
_KEY_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_MAX_NAME_BYTES: Final = 255
_MAX_NOTE_BYTES: Final = 1_000_000
_MAX_SIZE: Final = (1 << 63) - 1

_SUBTREE_LABEL: Final = b"subtree/v1\n\x00"
# A text line holds no control character; a key name in addition no space and no plus.
_TEXT: Final = re.compile(r"(?:[^\x00-\x1f\x7f]*\n)+")
_NAME: Final = re.compile(r"[^\s+\x00-\x1f\x7f]+")
_SIGNATURE: Final = re.compile(r"— (?P<name>[^\s+]+) (?P<blob>[A-Za-z0-9+/=]+)")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line.

    Attributes:
        name: key name.
        key_id: first four bytes of SHA-256(name ‖ newline ‖ type ‖ public key).
        signature: what follows the key id; its form depends on the key's type.
    """

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A signed text; the text ends with a newline, which the signatures cover."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says: this log had this tree. Extension lines are not ours, but allowed."""

    origin: str
    tree_size: int
    root_hash: bytes
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A key that notes are checked with: name, and an Ed25519 or ML-DSA-44 public key."""

    name: str
    key: PublicKey

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.key.alg not in _TYPES:
            raise KeyFileError(f"notes are not signed with {self.key.alg}")

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name ‖ newline ‖ type ‖ public key)."""
        material = self.name.encode() + b"\n" + self._typed_key()
        return hashlib.sha256(material).digest()[:_KEY_ID_BYTES]

    def encode(self) -> str:
        """Return the vkey: ``<name>+<key id in hex>+<base64 of type ‖ public key>``."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(self._typed_key())}"

    def verify(self, text: str, signature: bytes) -> None:
        """Check one signature of this key over a note's text.

        Raises:
            SignatureError: it does not verify, or has a wrong length.
            LogError: a cosignature, and the text is no checkpoint.
        """
        if self.key.alg is Algorithm.ED25519:
            self.key.verify(signature, text.encode())
            return
        checkpoint = parse_checkpoint(text)
        time_s = int.from_bytes(signature[:_TIME_BYTES], "big")
        if time_s > _MAX_SIZE:
            raise SignatureError("the cosignature's time is out of range")
        self.key.verify(signature[_TIME_BYTES:], subtree_message(self.name, checkpoint, time_s))

    def _typed_key(self) -> bytes:
        return bytes([_TYPES[self.key.alg]]) + self.key.public_key


def parse_vkey(text: str) -> VerifierKey:
    """Read a vkey.

    Raises:
        KeyFileError: not a vkey, its key id does not follow from it, or its type is not known here.
    """
    try:
        name, _, rest = text.partition("+")
        typed = decode_base64(rest.partition("+")[2])
        found = VerifierKey(name, PublicKey(_ALGORITHMS[typed[0]], typed[1:]))
    except (ValueError, KeyError, IndexError, LogError) as error:
        raise KeyFileError("this is not a verifier key (name+id+key) of type Ed25519 or ML-DSA-44") from error
    if found.encode() != text:
        raise KeyFileError("the key id of the verifier key does not follow from its name and key")
    return found


def encode_note(note: Note) -> bytes:
    """Return the bytes of a note.

    Raises:
        LogError: the text or a name cannot stand in a note.
    """
    _check_text(note.text)
    lines = []
    for signature in note.signatures:
        _check_name(signature.name)
        lines.append(f"— {signature.name} {encode_base64(signature.key_id + signature.signature)}\n")
    return f"{note.text}\n{''.join(lines)}".encode()


def parse_note(data: bytes) -> Note:
    """Read a note.

    Raises:
        LogError: not exactly a text, a blank line and one or more signature lines.
    """
    if len(data) > _MAX_NOTE_BYTES:
        raise _bad_note("it is too long")
    try:
        whole = data.decode()
    except UnicodeDecodeError as error:
        raise _bad_note("it is not UTF-8") from error
    # The text may hold blank lines itself: the last one ends it.
    text, separator, tail = whole.rpartition("\n\n")
    text += "\n"
    if not separator or not tail.endswith("\n"):
        raise _bad_note("it has no signatures")
    _check_text(text)
    return Note(text, tuple(_parse_signature(line) for line in tail[:-1].split("\n")))


def verify_note(note: Note, keys: Sequence[VerifierKey]) -> None:
    """Check that every one of ``keys`` signed the note.

    Raises:
        SignatureError: a key has no line, or a line of a key does not verify.
    """
    for key in keys:
        lines = [line for line in note.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
        if not lines:
            raise SignatureError(f"the note is not signed by {key.name} with {key.key.alg}")
        for line in lines:
            key.verify(note.text, line.signature)


def checkpoint_text(checkpoint: Checkpoint) -> str:
    """Return the note text of a checkpoint."""
    root = encode_base64(checkpoint.root_hash)
    return "\n".join((checkpoint.origin, str(checkpoint.tree_size), root, *checkpoint.extensions, ""))


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the note text of a checkpoint.

    Raises:
        LogError: not exactly origin, decimal size, base64 of 32 bytes, and non-empty extension lines.
    """
    origin, *rest = text.split("\n")
    try:
        size, root, *extensions, end = rest
        root_hash = decode_base64(root)
    except ValueError as error:
        raise _bad_note("it is not a checkpoint") from error
    fits = origin and not end and all(extensions) and len(root_hash) == HASH_BYTES
    if not fits or _DECIMAL.fullmatch(size) is None or int(size) > _MAX_SIZE:
        raise _bad_note("it is not a checkpoint")
    return Checkpoint(origin, int(size), root_hash, tuple(extensions))


def subtree_message(cosigner: str, checkpoint: Checkpoint, time_s: int) -> bytes:
    """Return what an ML-DSA-44 cosignature of a whole tree signs (tlog-cosignature, ``cosigned_message``).

    Args:
        cosigner: key name.
        checkpoint: the tree; it is signed as the subtree [0, tree size).
        time_s: Unix seconds.
    """
    return b"".join(
        (
            _SUBTREE_LABEL,
            _opaque(cosigner),
            time_s.to_bytes(_TIME_BYTES, "big"),
            _opaque(checkpoint.origin),
            (0).to_bytes(8, "big"),
            checkpoint.tree_size.to_bytes(8, "big"),
            checkpoint.root_hash,
        )
    )


def log_verifier_keys(keys: LogKeys, tree_size: int) -> tuple[VerifierKey, VerifierKey]:
    """Return the two keys that sign the log's own checkpoint of this size."""
    signing = keys.for_tree_size(tree_size)
    return (
        VerifierKey(keys.origin, signing.key(Algorithm.ED25519)),
        VerifierKey(keys.origin, signing.key(Algorithm.ML_DSA_44)),
    )


def sign_checkpoint(tree_size: int, root_hash: bytes, time_s: int, signer: Signer) -> bytes:
    """Return the log's checkpoint with both its signature lines.

    Args:
        tree_size: leaves in the tree.
        root_hash: its root.
        time_s: Unix seconds, for the cosignature.
        signer: the log's keys.
    """
    checkpoint = Checkpoint(signer.keys.origin, tree_size, root_hash)
    text = checkpoint_text(checkpoint)
    ed25519, ml_dsa_44 = log_verifier_keys(signer.keys, tree_size)
    message = subtree_message(ml_dsa_44.name, checkpoint, time_s)
    signature = signer.sign(Algorithm.ED25519, text.encode(), tree_size)
    signed = signer.sign(Algorithm.ML_DSA_44, message, tree_size)
    cosignature = time_s.to_bytes(_TIME_BYTES, "big") + signed
    lines = (
        NoteSignature(ed25519.name, ed25519.key_id, signature),
        NoteSignature(ml_dsa_44.name, ml_dsa_44.key_id, cosignature),
    )
    return encode_note(Note(text, lines))


def verify_checkpoint(data: bytes, keys: LogKeys) -> Checkpoint:
    """Check a checkpoint of this log and return it; both signatures are demanded.

    Raises:
        LogError: not a checkpoint of this origin.
        SignatureError: a signature is missing or does not verify.
    """
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    if checkpoint.origin != keys.origin or checkpoint.extensions:
        raise _bad_note("it is not a checkpoint of this log")
    verify_note(note, log_verifier_keys(keys, checkpoint.tree_size))
    return checkpoint


def _parse_signature(line: str) -> NoteSignature:
    match = _SIGNATURE.fullmatch(line)
    if match is None:
        raise _bad_note("a signature line is malformed")
    try:
        blob = decode_base64(match["blob"])
    except ValueError as error:
        raise _bad_note("a signature line is not base64") from error
    if len(blob) <= _KEY_ID_BYTES:
        raise _bad_note("a signature line holds no signature")
    _check_name(match["name"])
    return NoteSignature(match["name"], blob[:_KEY_ID_BYTES], blob[_KEY_ID_BYTES:])


def _opaque(text: str) -> bytes:
    encoded = text.encode()
    if not 0 < len(encoded) <= _MAX_NAME_BYTES:
        raise LogError("a name or origin has 1 to 255 bytes", code="bad_note")
    return bytes([len(encoded)]) + encoded


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise _bad_note("a key name is empty or holds a space, a plus or a control character")


def _check_text(text: str) -> None:
    if _TEXT.fullmatch(text) is None:
        raise _bad_note("its text holds control characters or does not end with a newline")


def _bad_note(reason: str) -> LogError:
    return LogError(f"the signed note is refused: {reason}", code="bad_note")
