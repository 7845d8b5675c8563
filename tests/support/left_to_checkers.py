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
        Rule("zip_damaged", "manifest.json", ("zip-data-with-more-behind",)),
        Rule("member_too_large", "manifest.json", ("zip-zip64-plain-size",)),
        Rule("manifest_members", "evil.txt", ("member-added-to-manifest-too-*",)),
        Rule("manifest_members", "policy/*", ("member-added-to-manifest-too-*",)),
        Rule("manifest_members", "proofs/*", ("member-added-to-manifest-too-*",)),
        Rule("manifest_members", "verify.pyc", ("member-added-to-manifest-too-*",)),
        Rule("manifest_members", "*", ("evidence-*",)),
        Rule("member_missing", "VERIFY.md", ("member-removed-from-manifest-too-*",)),
        Rule("member_missing", "verify.py", ("member-removed-from-manifest-too-*",)),
    ),
    "That every object has exactly the members of the format, and that they can stand together": (
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
        Rule("key_set_later", "keys.json"),
        Rule("bad_sth", "sth/*", ("head-signed-by-the-log-with-a-time-*",)),
        Rule("bad_sth", "sth/*", ("head-earlier-retold-with-a-time-*",)),
        Rule(
            "bad_proof",
            "proofs/range.json",
            ("proof-range-from-another-leaf", "proof-range-true-for-one", "proof-range-with-a-member-more"),
        ),
        Rule(
            "bad_receipt",
            "receipts.jsonl",
            (
                "told-allow-created-*",
                "told-allow-while-*",
                "told-allow-with-an-*",
                "told-allow-without-a-policy-bundle",
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
    "The order of times, the chain that a receipt's id belongs to, and that no id stands twice": (
        Rule("broken_sth_chain", "sth/*", ("head-signed-by-the-log-with-time-going-back",)),
        Rule("receipt_repeated", "receipts.jsonl", ("receipts-signed-with-an-id-twice",)),
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
        Rule("member_missing", "proofs/consistency.json", ("member-removed-from-manifest-too-*",)),
    ),
    "`proofs/inclusion.jsonl`": (
        Rule("bad_proof", "proofs/inclusion.jsonl", ("proof-*", "*-with-fitting-manifest-*")),
        Rule("line_unfinished", "proofs/inclusion.jsonl"),
        Rule("member_missing", "proofs/inclusion.jsonl", ("member-removed-from-manifest-too-*",)),
    ),
    "`checkpoint`": (
        Rule("bad_note", "checkpoint"),
        Rule("bad_signature", "checkpoint"),
        Rule("wrong_root", "checkpoint"),
        Rule("member_missing", "checkpoint", ("member-removed-from-manifest-too-*",)),
    ),
    "`policy/`": (Rule("policy_hash", "policy/*"), Rule("policy_unnamed", "policy/*")),
    "`evidence/`": (Rule("evidence_hash", "evidence/*"), Rule("evidence_unnamed", "evidence/*")),
    "That each new key set is on record": (
        Rule("rotation_missing", "receipts.jsonl"),
        Rule("rotation_unknown", "receipts.jsonl"),
    ),
}


def groups_of(case: Case) -> list[str]:
    """Return the kinds that a case belongs to: none for one that is found by hand."""
    return [kind for kind, rules in LEFT_TO_CHECKERS.items() if any(rule.covers(case) for rule in rules)]
