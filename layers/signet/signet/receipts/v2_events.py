"""Version 2 of the receipt (draft): the members of every type that is no decision.

Unlike in version 1 all of them are closed: readers hold each to these members and values. What is signed
within them is for the features that write them to check.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from signet.receipts.rules import (
    ANY_OBJECT,
    ANY_TEXT,
    BASE64,
    COUNT,
    DAY,
    INTEGER,
    ORDINAL,
    SHA256,
    TIME,
    TRUTH,
    UUID7,
    Rule,
    array_of,
    map_of,
    nullable,
    object_of,
    one_of,
    text_of,
    the_number,
)
from signet.receipts.shape import (
    ADDED_TYPE,
    ENDED_TYPE,
    FORMAT_TYPE,
    HEAD_TYPE,
    POLICY_TYPE,
    REMOVED_TYPE,
    ROTATION_TYPE,
    SUMMARY_TYPE,
    TRANSITION_TYPE,
)

API_KINDS: Final = ("rest", "http-1.0", "http-2.0")
ERASURES: Final = ("demand", "retention")
FORMATS: Final = ("receipt",)
STATES: Final = ("closed", "open", "half_open")
LEVELS: Final = ("full", "relax", "classical", "shed")
CAUSES: Final = (
    *("tripped", "interval_over", "probes_failed", "recovered", "rung_up", "rung_down"),
    *("silent", "futile"),
)

#: Refusals that are never counted in a summary: they come after a verified signature, and spend its nonce.
ALWAYS_ALONE: Final = frozenset({"policy_denied"})

_TEXTS: Final = array_of(ANY_TEXT)
_EMITTER: Final = object_of({"id": text_of("[0-9a-f]{32}"), "n": COUNT})
# Unix seconds, as in the registry; null where there is no bound.
_VALID: Final = object_of({"from": nullable(COUNT), "until": nullable(COUNT)})
_PLACE: Final = object_of({"state": one_of(*STATES), "level": one_of(*LEVELS)})
_API: Mapping[str, Rule] = {
    "name": ANY_TEXT,
    "api": object_of({"id": ANY_TEXT, "stage": ANY_TEXT, "kind": one_of(*API_KINDS)}),
    "authorities": _TEXTS,
    "base_paths": _TEXTS,
    "resources": _TEXTS,
    "time_limit_ms": COUNT,
}


def event_members(suites: tuple[str, ...], reasons: tuple[str, ...]) -> dict[str, Mapping[str, Rule]]:
    """Return, by type, the members beside those that all receipts have.

    Args:
        suites: names of the suites of callers' keys.
        reasons: those of refusals.
    """
    return {
        "client.registered": {
            "keyid": ANY_TEXT,
            "alg": one_of(*suites),
            "public_key": BASE64,
            "roles": array_of(ANY_TEXT, least=1),
            "labels": map_of("[a-z][a-z0-9_.-]{0,62}", ANY_TEXT),
            "routes": _TEXTS,
            "valid": _VALID,
            "signature": nullable(BASE64),
        },
        "client.revoked": {
            "keyid": ANY_TEXT,
            "registration": nullable(UUID7),
            "cause": ANY_TEXT,
            "signature": nullable(BASE64),
        },
        ADDED_TYPE: _API,
        REMOVED_TYPE: _API,
        "policy.deployed": {
            "bundle_sha256": SHA256,
            "input": ORDINAL,
            "interpreter": object_of({"name": ANY_TEXT, "version": ANY_TEXT}),
        },
        "promise.key": {"alg": one_of(*suites), "keyid": ANY_TEXT, "public_key": BASE64, "valid": _VALID},
        HEAD_TYPE: {"date": DAY, "final": TRUTH, "tree_size": COUNT, "sth_sha256": SHA256},
        "transcript.erased": {
            "receipts": array_of(UUID7, least=1),
            "cause": one_of(*ERASURES),
            "signature": nullable(BASE64),
        },
        ENDED_TYPE: {"emitter": _EMITTER, "folded": COUNT},
        FORMAT_TYPE: {"format": one_of(*FORMATS), "from": the_number(1), "to": the_number(2)},
        SUMMARY_TYPE: {
            "emitter": _EMITTER,
            "counts": map_of("|".join(reason for reason in reasons if reason not in ALWAYS_ALONE), ORDINAL),
            "first": TIME,
            "last": TIME,
        },
        TRANSITION_TYPE: {
            "breaker": object_of({"name": ANY_TEXT, "version": ORDINAL}),
            "from": _PLACE,
            "to": _PLACE,
            "cause": one_of(*CAUSES),
            "policy": object_of({"bundle_sha256": nullable(SHA256)}),
            "figures": map_of("[a-z][a-z0-9_]*_(?:ppm|us|ms|milli)", INTEGER),
        },
        ROTATION_TYPE: {"set": ANY_OBJECT},  # signet.log.rotation knows what a key set is
        POLICY_TYPE: {
            "change": object_of({"n": ORDINAL, "from": nullable(SHA256), "to": SHA256, "pushed_at": TIME}),
        },
    }
