"""The kinds of bad packs that the steps of VERIFY.md by hand do not find, each as the page calls it.

A new case of the corpus that the page does not find has to be placed here; one that it finds must not be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Final

from tests.corpus import Case


@dataclass(frozen=True, slots=True)
class Rule:
    """Cases by how they fail, and by name where the page finds other cases that fail so.

    Attributes:
        code: the code of the failure.
        member: the file it is in; a pattern with ``*``.
        names: patterns of names of cases.
    """

    code: str
    member: str
    names: tuple[str, ...] = ("*",)

    def of(self, name: str) -> Rule:
        """Return the part of the rule that is about one of its patterns of names."""
        return replace(self, names=(name,))

    def covers(self, case: Case) -> bool:
        """Tell whether a case is of the kind."""
        return (
            case.code == self.code
            and fnmatchcase(case.member or "", self.member)
            and any(fnmatchcase(case.name, name) for name in self.names)
        )


#: Not of the page's list: who asked for a day sees in the verdict whether it is that day.
DAY_ASKED_FOR: Final = "The day that was asked for"

LEFT_TO_CHECKERS: Final[dict[str, tuple[Rule, ...]]] = {
    DAY_ASKED_FOR: (Rule("other_day", "sth.json"),),
    "That the zip has one form": (
        Rule(
            "zip_malformed",
            "zip",
            (
                "zip-a-comment",
                "zip-a-hidden-member",
                "zip-bytes-*",
                "zip-packed-anew-with-a-comment",
                "zip-smaller-count",
                "zip-zip64-*",
            ),
        ),
        Rule(
            "zip_malformed",
            "manifest.json",
            (
                "zip-a-symbolic-link",
                "zip-another-size-in-local-header",
                "zip-another-system",
                "zip-another-time",
                "zip-data-descriptors",
                "zip-descriptor-flag",
                "zip-extra-field",
                "zip-one-stored-member",
                "zip-second-disk",
                "zip-sizes-in-central-header-only",
                "zip-stored-members",
                "zip-utf-8-flag-in-one-header",
                "zip-written-by-an-ordinary-tool",
                "zip-zip64-packed-size",
            ),
        ),
        Rule("zip_damaged", "manifest.json", ("zip-data-whole-without-its-end", "zip-data-with-more-behind")),
        Rule("member_too_large", "manifest.json", ("zip-zip64-plain-size",)),
    ),
    "That every object has exactly the members of the format": (
        Rule(
            "manifest_malformed",
            "manifest.json",
            (
                "member-manifest-a-member-more",
                "member-manifest-another-format",
                "member-manifest-another-version",
                "member-manifest-true-for-one",
            ),
        ),
        Rule("size_mismatch", "sth.json", ("member-manifest-a-wrong-size",)),
        Rule(
            "bad_key_file",
            "keys.json",
            (
                "keys-endorsement-with-a-member-more",
                "keys-number-as-true",
                "keys-set-with-a-member-more",
            ),
        ),
        Rule("key_set_order", "keys.json", ("keys-endorsement-of-genesis",)),
        Rule(
            "bad_sth",
            "sth/*",
            (
                "head-signed-by-the-log-with-a-time-after-9999",
                "head-signed-by-the-log-with-a-time-that-no-browser-tells",
            ),
        ),
        Rule(
            "bad_receipt",
            "receipts.jsonl",
            (
                "later-a-decision-*",
                "later-a-probe-*",
                "later-a-query-*",
                "later-allow-decided-*",
                "later-allow-that-*",
                "later-allow-with-*",
                "later-allow-without-[cr]*",
                "later-allow-without-a-name-*",
                "later-allow-without-expires",
                "later-bad-signature-*",
                "later-breaker-open-*",
                "later-challenged-*",
                "later-*-against-the-policy",
                "later-*-without-a-client",
                "later-event-*",
                "later-fallback-decided-*",
                "later-policy-denied-*",
                "later-refused-*",
                "later-replayed-*",
                "later-unknown-api-*",
                "later-version-1-*",
                "told-allow-created-*",
                "told-allow-while-*",
                "told-allow-with-an-*",
                "told-bound-*",
                "told-fallback-of-one-algorithm",
                "told-fallback-on-another-rung",
                "told-fallback-without-a-rung",
                "told-not-bound-*",
                "told-policy-denied-*",
                "told-refused-*",
                "told-replayed-*",
                "told-shed-*",
            ),
        ),
    ),
    "That each transcript in `transcripts/` says": (
        Rule("caller_signature", "receipts.jsonl"),
        Rule("transcript_hash", "receipts.jsonl"),
        Rule("transcript_malformed", "receipts.jsonl"),
        Rule("transcript_differs", "receipts.jsonl"),
        Rule("bad_transcripts", "transcripts/*"),
        Rule("transcripts_apart", "transcripts/*"),
        Rule("transcript_unnamed", "transcripts/*", ("callers-a-transcript-of-no-receipt",)),
    ),
    "That a decision is of the API whose registration it names": (
        Rule("wrong_registration", "receipts.jsonl"),
    ),
    "`emitters` in `sth.json`": (
        Rule("wrong_emitters", "sth.json"),
        Rule(
            "bad_sth",
            "sth/*",
            (
                "head-signed-by-the-log-with-emitters-in-full",
                "head-earlier-retold-with-*-emitter*",
                "head-earlier-retold-with-gaps-*",
                "head-earlier-retold-with-a-digest-*",
                "head-earlier-retold-with-a-count-*",
                "head-earlier-retold-with-emitters-*",
                "head-earlier-retold-with-more-decisions-*",
                "head-earlier-retold-without-a-member-of-emitters",
            ),
        ),
    ),
    "`proofs/consistency.json`": (
        Rule("bad_proof", "proofs/consistency.json"),
        Rule("not_canonical", "proofs/consistency.json"),
    ),
    "`proofs/inclusion.jsonl`": (
        Rule("bad_proof", "proofs/inclusion.jsonl", ("proof-*", "*-with-fitting-manifest-*")),
        Rule("line_unfinished", "proofs/inclusion.jsonl"),
        Rule("member_missing", "proofs/inclusion.jsonl", ("member-removed-from-manifest-too-*",)),
    ),
    "The signatures of `checkpoint`": (
        Rule(
            "bad_note",
            "checkpoint",
            (
                "checkpoint-with-a-signature-twice",
                "checkpoint-with-signatures-in-another-order",
                "member-truncated-*",
            ),
        ),
        Rule(
            "bad_signature",
            "checkpoint",
            (
                "checkpoint-by-keys-no-longer-in-force",
                "checkpoint-with-a-wrong-signature",
                "checkpoint-without-*",
            ),
        ),
    ),
}


def groups_of(case: Case) -> list[str]:
    """Return the kinds that a case belongs to: none for one that is found by hand."""
    return [kind for kind, rules in LEFT_TO_CHECKERS.items() if any(rule.covers(case) for rule in rules)]
