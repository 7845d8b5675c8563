"""The packs that lie beside a log, to be handed out: each is the log's own, of the day that its name says.

A pack is built once and then served as it is stored. A principal that may write under ``packs/`` decides what
auditors get; they see it when they check it, and the operator sees it here.
"""

from __future__ import annotations

import re
from typing import Final

from signet.audit.report import PackCounts
from signet.audit.run import Progress
from signet.audit.source import LogSource
from signet.core.errors import NotFoundError, SignetError
from signet.core.verification import Checks, Failure, SkippedError
from signet.log import object_keys
from signet.log.keys import LogKeys
from signet.pack.prove import read_signed_head
from signet.pack.verify import verify_pack

_PACK: Final = re.compile(r"packs/(?:evidence/)?([0-9]{4}-[0-9]{2}-[0-9]{2})-[0-9a-f]{16}\.zip")
_JOB: Final = re.compile(r"packs/jobs/[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9a-f]{16}\.json")


def check_packs(source: LogSource, keys: LogKeys, checks: Checks, progress: Progress) -> PackCounts:
    """Verify every stored pack.

    Args:
        source: the log's objects.
        keys: the log's keys.
        checks: takes what is found.
        progress: called with (packs verified, packs in all).

    Raises:
        SkippedError: the source cannot be listed, or opens no objects.
        UnavailableError: the source cannot be read.
    """
    if source.keys is None or source.open is None:
        checks.notice("packs_not_read", "stored packs were not looked at: this source has no listing")
        raise SkippedError
    packs: list[tuple[str, str]] = []
    for key in source.keys(object_keys.PACKS):
        found = _PACK.fullmatch(key)
        if found is not None:
            packs.append((key, found[1]))
        elif _JOB.fullmatch(key) is None:
            checks.fail(Failure("foreign_object", key, "is no pack"))
    verified = bad = 0
    for done, (key, day) in enumerate(packs, 1):
        try:
            failure = _first_failure(source, keys, key, day)
        except NotFoundError:
            continue  # packs with evidence are dropped after days, perhaps just now
        verified += 1
        if failure is not None:
            bad += 1
            checks.fail(failure)
        progress(done, len(packs))
    return PackCounts(verified, bad)


def _first_failure(source: LogSource, keys: LogKeys, key: str, day: str) -> Failure | None:
    """Return what is wrong with a stored pack first."""
    if source.open is None:
        raise SkippedError
    with source.open(key) as file:
        report = verify_pack(file, log_id=keys.log_id, date=day)
        for failure in report.failures:
            return Failure(failure.code, key, str(failure))
        try:
            head = read_signed_head(file).raw
        except SignetError as error:
            return Failure(error.code, key, str(error))
    if head != source.get(object_keys.final_head(day)):
        return Failure("wrong_head", key, f"has another head than {object_keys.final_head(day)}")
    for notice in report.notices:
        if notice.code == "other_checker":
            return Failure(notice.code, key, notice.text)
    return None
