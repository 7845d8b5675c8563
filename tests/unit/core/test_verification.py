"""The checks of a verification: what passes, what fails, what is left out, and how much is kept."""

from __future__ import annotations

import pytest

from signet.core.errors import AuditError, PackError, ProofError, SignetError, UnavailableError
from signet.core.verification import MAX_FAILURES, Checks, Failure, Notice, needed


def _raise(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "failure", "text"),
    [
        (
            PackError("is wrong", file="receipts.jsonl", line=2, code="bad_receipt"),
            Failure("bad_receipt", "receipts.jsonl", "is wrong", 2),
            "receipts.jsonl:2: is wrong",
        ),
        (
            PackError("is wrong", file="sth.json", code="bad_sth"),
            Failure("bad_sth", "sth.json", "is wrong"),
            "sth.json: is wrong",
        ),
        (
            AuditError("is missing", where="leaf 7", code="missing_object"),
            Failure("missing_object", "leaf 7", "is missing"),
            "leaf 7: is missing",
        ),
        (
            ProofError("does not lead to the root"),
            Failure("bad_proof", "place of the check", "does not lead to the root"),
            "place of the check: does not lead to the root",
        ),
    ],
)
def test_a_failure_has_the_place_of_its_error_or_else_of_its_check(
    error: SignetError, failure: Failure, text: str
) -> None:
    checks = Checks()
    checks.run("title", "place of the check", lambda: _raise(error))
    assert (checks.failures, checks.passed) == ([failure], [])
    assert str(failure) == text


def test_a_check_passes_if_it_neither_raises_nor_reports_a_failure() -> None:
    checks = Checks()
    checks.run("passes", "here", lambda: checks.notice("odd", "is odd"))
    checks.run("reports", "here", lambda: checks.fail(Failure("bad", "leaf 1", "is bad")))
    checks.run("passes after a failure", "here", lambda: None)
    assert checks.passed == ["passes", "passes after a failure"]
    assert checks.notices == [Notice("odd", "is odd")]
    assert checks.failures == [Failure("bad", "leaf 1", "is bad")]


def test_a_check_that_needs_what_a_failed_one_would_have_given_is_left_out() -> None:
    checks = Checks()
    checks.run("title", "here", lambda: needed(None))
    assert (checks.passed, checks.failures) == ([], [])
    assert needed(0) == 0


def test_a_store_that_cannot_be_read_is_no_verdict() -> None:
    checks = Checks()
    with pytest.raises(UnavailableError):
        checks.run("title", "here", lambda: _raise(UnavailableError("cannot be reached")))
    assert (checks.passed, checks.failures) == ([], [])


def test_the_first_failures_are_kept_and_the_others_counted() -> None:
    checks = Checks()
    for leaf in range(MAX_FAILURES + 2):
        checks.fail(Failure("bad", f"leaf {leaf}", "is bad"))
    checks.run("title", "here", lambda: checks.fail(Failure("bad", "leaf", "is bad")))
    assert (len(checks.failures), checks.more_failures, checks.passed) == (MAX_FAILURES, 3, [])
    assert checks.failures[-1].where == f"leaf {MAX_FAILURES - 1}"
