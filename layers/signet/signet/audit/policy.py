"""Policies as the log tells them: the files that receipts name, and the versions that were pushed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from signet.audit.source import Get
from signet.core.errors import AuditError, PolicyError
from signet.core.verification import Checks, Failure
from signet.policy.bundle import policy_bundle_sha256
from signet.policy.register import Pushed, Version, read_change
from signet.receipts.reading import Receipt

FILES: Final = "policy/"
REGISTER: Final = "policy register"
_SHA256_HEX: Final = re.compile(r"[0-9a-f]{64}")


class PushedVersions:
    """The versions of the policy that ``policy.changed`` receipts announce.

    Their numbers only rise, so two versions under one number, or a register whose number is below one of the
    log's, say that the register went back: an old value was put in its place.
    """

    def __init__(self, fail: Callable[[Failure], None]) -> None:
        """Begin with none; ``fail`` takes each receipt that contradicts an earlier one, or says nothing."""
        self._fail = fail
        self._versions: dict[int, tuple[Version, int]] = {}

    def add(self, receipt: Receipt, leaf: int) -> None:
        """Take a ``policy.changed`` receipt."""
        try:
            version = read_change(receipt.members)
        except PolicyError as error:
            self._fail(Failure(error.code, f"leaf {leaf}", str(error)))
            return
        known, earlier = self._versions.setdefault(version.n, (version, leaf))
        if known != version:
            reason = f"announces another version {version.n} of the policy than leaf {earlier}"
            self._fail(Failure("policy_went_back", f"leaf {leaf}", reason))

    def check_register(self, value: bytes | None, checks: Checks, *, whole: bool) -> None:
        """Hold the register ``policy`` to the log.

        Args:
            value: the register, read after the log.
            checks: takes a notice.
            whole: whether the log was read from its first receipt on.

        Raises:
            AuditError: the register is behind the log, or contradicts it.
            PolicyError: the register is damaged.
        """
        pushed = None if value is None else Pushed.decode(value)
        newest = max(self._versions, default=0)
        if (0 if pushed is None else pushed.version.n) < newest:
            raise AuditError(
                f"is behind the log, which has version {newest}: an old value was put back",
                where=REGISTER,
                code="policy_went_back",
            )
        if pushed is None:
            return
        for version in (pushed.version, *pushed.history):
            known, leaf = self._versions.get(version.n, (version, 0))
            if known != version:
                raise AuditError(
                    f"has another version {version.n} of the policy than leaf {leaf}",
                    where=REGISTER,
                    code="policy_went_back",
                )
        if whole and pushed.version.n not in self._versions:
            checks.notice(
                "policy_not_recorded",
                f"version {pushed.version.n} of the policy is in force, but the log has no receipt of it: "
                "it waits, or a push was cut short; push the same policy again, with --above "
                f"{pushed.version.n} if that is a day ago",
            )


def check_files(get: Get, keys: Iterator[str], named: set[str], checks: Checks) -> None:
    """Hold the stored policy files to the hash they are filed under.

    Args:
        get: reads objects.
        keys: every key under ``policy/``.
        named: hex hashes of the bundles that receipts and heads name.
        checks: takes a notice if some of these are not stored.

    Raises:
        AuditError: files have another hash.
    """
    bundles: dict[str, dict[str, bytes]] = {}
    for key in keys:
        bundle, _, name = key.removeprefix(FILES).partition("/")
        if _SHA256_HEX.fullmatch(bundle) is not None:
            body = get(key)
            if body is None:
                raise AuditError("is missing", where=key, code="missing_object")
            bundles.setdefault(bundle, {})[name] = body
    for bundle, files in bundles.items():
        if policy_bundle_sha256(files) != bundle:
            raise AuditError("has not its hash", where=f"{FILES}{bundle}", code="policy_hash")
    if absent := sorted(named - bundles.keys()):
        text = f"the files of {len(absent)} policies that receipts name are not in the store"
        checks.notice("policy_absent", f"{text} (the first: {absent[0]})")
