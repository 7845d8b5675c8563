"""Mutants that no test can tell from the original, each with the reason why it changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.mutants.operators import Mutant

_LIBRARY: Final = "layers/signet/signet"

#: (path of the module, name of a constant) -> why no value of it, within reason, changes what is answered.
ONLY_QUICKER: Final[Mapping[tuple[str, str], str]] = {
    (f"{_LIBRARY}/audit/evidence.py", "_AT_ONCE"): "pieces in memory at once",
    (f"{_LIBRARY}/audit/evidence.py", "_THREADS"): "objects fetched at once",
    (f"{_LIBRARY}/crypto/suites.py", "_LOADED_KEYS"): "size of a cache",
    (f"{_LIBRARY}/log/readahead.py", "_AHEAD"): "objects fetched at once",
    (f"{_LIBRARY}/log/tiles.py", "_CACHED_TILES"): "size of a cache",
    (f"{_LIBRARY}/pack/contents.py", "_RECEIPTS_PER_CHUNK"): "receipts in memory at once",
    (f"{_LIBRARY}/pack/contents.py", "_CACHED_NODES"): "size of a cache",
    (f"{_LIBRARY}/pack/contents.py", "_EVIDENCE_AT_ONCE"): "pieces in memory at once",
    (f"{_LIBRARY}/pack/contents.py", "THREADS"): "objects fetched at once",
    (f"{_LIBRARY}/pack/strictzip.py", "_READ_BYTES"): "bytes read at once",
    (f"{_LIBRARY}/pack/strictzip.py", "_CHUNK_BYTES"): "bytes unpacked at once",
    (f"{_LIBRARY}/pack/zipwriter.py", "_COPY_BYTES"): "bytes copied at once",
    (f"{_LIBRARY}/policy/engine.py", "_MAX_CACHED_ROUTES"): "size of a cache",
    (f"{_LIBRARY}/receipts/repeats.py", "_BUCKETS"): "sets into which hashes are spread",
}

#: (path of the module, line before, line after) -> why no test can tell them apart.
EQUIVALENT: Final[Mapping[tuple[str, str, str], str]] = {
    (
        "layers/signet/signet/handshake/request.py",
        'return text if text.isascii() else text.encode("utf-8", "replace").decode()',
        'return text if False and (text.isascii()) else text.encode("utf-8", "replace").decode()',
    ): "ASCII is encoded and decoded to itself: the first way is only quicker",
    (
        "layers/signet/signet/log/tiles.py",
        "if level + 1 == len(self._edge):",
        "if True or (level + 1 == len(self._edge)):",
    ): "a level without hashes has no tile and no root: one more of them is nothing",
    (
        f"{_LIBRARY}/audit/log.py",
        'if error.code == "receipt_repeated":',
        'if True or (error.code == "receipt_repeated"):',
    ): "before the leaf of any other fault no receipt came twice: it would have been found there",
    (
        f"{_LIBRARY}/audit/beyond.py",
        "for key in () if self._source.keys is None else self._source.keys(object_keys.HEADS):",
        "for key in () if False and (self._source.keys is None) else self._source.keys(object_keys.HEADS):",
    ): "tiles beyond the tree are known from a listing only, so there is one",
    (
        f"{_LIBRARY}/breaker/keeper.py",
        "if self._view is view:  # else another thread refreshed while this one waited",
        "if True or (self._view is view):  # else another thread refreshed while this one waited",
    ): "a thread that waited refreshes once more: one read, and nothing else",
    (
        f"{_LIBRARY}/crypto/suites.py",
        "if isinstance(primitive, MlDsa65):",
        "if True or (isinstance(primitive, MlDsa65)):",
    ): "a provider that another primitive is given is never asked",
    (
        f"{_LIBRARY}/log/sequencer.py",
        "if newest is None or newest.policy_bundle_sha256 != self._policy_sha256:",
        "if True or (newest is None or newest.policy_bundle_sha256 != self._policy_sha256):",
    ): "a policy that is there is put once more, which changes nothing",
    (
        f"{_LIBRARY}/pack/resources/verify.py",
        'data = base64.b64decode(value, validate=True) if type(value) is str else b""',
        'data = base64.b64decode(value, validate=False) if type(value) is str else b""',
    ): "what was skipped is missed when the bytes are encoded again",
}


def is_equivalent(mutant: Mutant) -> bool:
    """Tell whether a mutant is named here."""
    if (mutant.module, mutant.before, mutant.after) in EQUIVALENT:
        return True
    name = mutant.before.partition(" = ")[0].partition(":")[0]
    return (mutant.module, name) in ONLY_QUICKER
