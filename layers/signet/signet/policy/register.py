"""Which policy was pushed last: the value of the register ``policy``, and the receipt of a change. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from signet.core.canonical import canonicalize, parse
from signet.core.errors import CanonicalError, PolicyError
from signet.core.instants import UUID7_RANDOM_BYTES, parse_utc_millis, utc_millis, uuid7
from signet.policy.bundle import FILE_NAME, policy_bundle_sha256
from signet.receipts.reading import read_receipt
from signet.receipts.shape import POLICY_TYPE

#: Name of the register in the log table.
REGISTER: Final = "policy"
#: Earlier versions the register remembers; the log remembers all of them.
MAX_HISTORY: Final = 20
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the policy.

    Attributes:
        n: its number, from 1.
        bundle_sha256: hex digest that names its files.
        pushed_at_ms: Unix milliseconds, by the clock of the machine that pushed.
    """

    n: int
    bundle_sha256: str
    pushed_at_ms: int

    def to_object(self) -> dict[str, Any]:
        """Return the version as JSON."""
        return {
            "n": self.n,
            "bundle_sha256": self.bundle_sha256,
            "pushed_at": utc_millis(self.pushed_at_ms),
        }


@dataclass(frozen=True, slots=True)
class Pushed:
    """The register's value: JCS of ``v``, ``n``, ``bundle_sha256``, ``pushed_at``, ``files``, ``history``.

    Attributes:
        version: what is in force.
        files: names of its files, sorted; they lie under ``policy/<bundle_sha256>/`` in the log bucket.
        history: the versions before it, newest first; at most ``MAX_HISTORY``.
    """

    version: Version
    files: tuple[str, ...]
    history: tuple[Version, ...] = ()

    @classmethod
    def after(
        cls, previous: Pushed | None, files: Mapping[str, bytes], *, now_ms: int, above: int = 0
    ) -> Pushed:
        """Return the value that puts these files in force after ``previous`` (None: nothing was pushed).

        Its number is the next, or the one after ``above`` if that is larger.
        """
        n = max(0 if previous is None else previous.version.n, above) + 1
        return cls(
            Version(n, policy_bundle_sha256(files), now_ms),
            tuple(sorted(files)),
            () if previous is None else (previous.version, *previous.history)[:MAX_HISTORY],
        )

    def encode(self) -> bytes:
        """Return the register's bytes."""
        history = [version.to_object() for version in self.history]
        return canonicalize(
            {"v": 1, **self.version.to_object(), "files": list(self.files), "history": history}
        )

    @classmethod
    def decode(cls, value: bytes) -> Pushed:
        """Read the register's bytes.

        Raises:
            PolicyError: code ``bad_register``: they are not what ``encode`` writes.
        """
        try:
            found = parse(value)
            read = cls(
                _version(found), tuple(found["files"]), tuple(_version(entry) for entry in found["history"])
            )
            if read.encode() == value and _named(read.files) and _in_order(read):
                return read
        except (CanonicalError, KeyError, TypeError, ValueError) as error:
            raise PolicyError("the register holds no policy's version", code="bad_register") from error
        raise PolicyError("the register holds no policy's version", code="bad_register")

    def receipt(self) -> bytes:
        """Return the ``policy.changed`` receipt; it has one id, so that sending it twice adds nothing."""
        before = self.history[0].bundle_sha256 if self.history else None
        seed = hashlib.sha256(b"signet-policy-changed-v1\n" + replace(self, history=()).encode()).digest()
        encoded = canonicalize(
            {
                "v": 1,
                "type": POLICY_TYPE,
                "id": uuid7(self.version.pushed_at_ms, seed[:UUID7_RANDOM_BYTES]),
                "decided_at": utc_millis(self.version.pushed_at_ms),
                "change": {
                    "n": self.version.n,
                    "from": before,
                    "to": self.version.bundle_sha256,
                    "pushed_at": utc_millis(self.version.pushed_at_ms),
                },
            }
        )
        read_receipt(encoded, chained=False)
        return encoded


def read_change(members: Mapping[str, Any]) -> Version:
    """Return the version that a ``policy.changed`` receipt announces.

    Args:
        members: the receipt's.

    Raises:
        PolicyError: code ``bad_change``: its ``change`` is not what ``Pushed.receipt`` writes.
    """
    change = members.get("change")
    if isinstance(change, dict) and change.keys() == {"n", "from", "to", "pushed_at"}:
        with suppress(CanonicalError, TypeError, ValueError):
            version = _version({**change, "bundle_sha256": change["to"]})
            if change["from"] is None or _SHA256.fullmatch(change["from"]):
                return version
    raise PolicyError("announces no version of the policy", code="bad_change")


def may_follow(before: Version, found: Version | None) -> bool:
    """Tell whether a register that held one version may hold another later (None: it is empty)."""
    return found is not None and (found == before or found.n > before.n)


def object_key(bundle_sha256: str, name: str) -> str:
    """Return where in the log bucket a policy's file lies."""
    return f"policy/{bundle_sha256}/{name}"


def _named(files: tuple[str, ...]) -> bool:
    """Tell whether these name files: with a NUL in a name, two sets of files could have one digest."""
    return list(files) == sorted(set(files)) and all(FILE_NAME.fullmatch(name) for name in files)


def _in_order(pushed: Pushed) -> bool:
    numbers = [version.n for version in (pushed.version, *pushed.history)]
    return all(later > earlier for later, earlier in pairwise(numbers))


def _version(found: Mapping[str, Any]) -> Version:
    if type(found["n"]) is not int or found["n"] < 1:
        raise ValueError("no number")
    if not _SHA256.fullmatch(found["bundle_sha256"]):
        raise ValueError("no digest")
    return Version(found["n"], found["bundle_sha256"], parse_utc_millis(found["pushed_at"]))
