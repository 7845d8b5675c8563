"""Rotated keys: sets without endorsement, leaves that are missing, heads signed by keys of another time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from signet.core.canonical import canonicalize, parse
from signet.receipts.reading import Receipt
from tests.corpus.case import Case
from tests.corpus.receipts import edited, lines_of, with_lines
from tests.corpus.rotated import (
    ORIGIN,
    RotatedLog,
    Set,
    checkpoint,
    endorse,
    endorse_step,
    key_list,
    leaf,
    started,
    step,
)
from tests.support.forgery import remade, signatures_over, signed_as_it_is, unzip
from tests.support.packs import FIRST_DAY, seeded_private_set

GROUP = "rotation"
KEYS, RECEIPTS = "keys.json", "receipts.jsonl"
_STRANGER = seeded_private_set(99)


def rotated_once(**changes: Any) -> RotatedLog:
    """Three decisions; four and a rotation, whose head set 1 signs; two more."""
    log = started(**changes)
    log.record(3)
    log.record(4, log.rotate_from(8))
    log.record(2)
    return log


def good_cases() -> Iterator[Case]:
    """Packs of logs whose keys rotate."""
    once = rotated_once()
    for number, name in enumerate(("the-day-before", "the-day-of", "the-day-after")):
        yield _good(f"{name}-a-rotation", once, number)
    yield _good("a-rotation-on-the-first-day", _on_the_first_day(), 0)
    twice = started()
    twice.record(2)
    twice.record(3, twice.rotate_from(4), twice.rotate_from(7))
    yield _good("two-rotations-in-a-day", twice, 1)
    daily = started()
    daily.record(1, daily.rotate_from(2))
    daily.record(1, daily.rotate_from(3))
    daily.record(0)
    yield _good("a-rotation-every-day", daily, 2)
    early = started()
    early.record(3)
    early.record(4, early.rotate_from(4))  # the interval begins at any size of the day
    yield _good("a-rotation-from-the-first-size-of-the-day", early, 1)


def _on_the_first_day() -> RotatedLog:
    log = started()
    log.record(2, log.rotate_from(3))
    return log


def _good(name: str, log: RotatedLog, day: int) -> Case:
    head = log.heads[day]
    decisions = head.emitters.decisions
    facts = {
        "date": head.date.isoformat(),
        "receipts": head.tree_size - head.first_leaf,
        "tree_size": head.tree_size,
        "heads": day + 1,
        "decided": decisions,
        "gaps": [],
    }
    return Case(name, GROUP, log.pack(log.day(day)), log.log_id, facts=facts)


def cases() -> Iterator[Case]:
    """Yield every bad pack."""
    log = rotated_once()
    for name, (change, code) in KEY_FILES.items():
        yield _keys_changed(log, name, change, code)
    yield from _rotations_that_no_log_may_make()
    yield from _malformed_leaves()
    yield from _leaves()
    yield from _heads(log)


def _keys_changed(log: RotatedLog, name: str, change: Callable[[Any], object], code: str) -> Case:
    """The pack of the day after, with another ``keys.json``."""
    files = unzip(log.pack())
    value = parse(files[KEYS])
    change(value)
    data = remade({**files, KEYS: canonicalize(value)})
    return Case(f"keys-{name}", GROUP, data, log.log_id, code, KEYS)


def _endorsement(value: Any) -> Any:
    return value["sets"][1]["endorsement"]


def _unendorsed(value: Any) -> None:
    value["sets"].append(
        {"n": 2, "from_tree_size": 9, "keys": key_list(_STRANGER), "endorsement": None},
    )


def _endorsed_by_itself(value: Any) -> None:
    """A stranger's set that the stranger alone vouches for, in both places."""
    added: Set = {"n": 2, "from_tree_size": 9, "keys": key_list(_STRANGER)}
    endorse(value["log_id"], added, value["sets"][1], _STRANGER, _STRANGER)
    value["sets"].append(added)


def _endorsed_in_the_old_keys_name(value: Any) -> None:
    _endorsed_by_itself(value)
    claimed = value["sets"][2]["endorsement"]["previous"]
    for signature, key in zip(claimed, value["sets"][1]["keys"][:2], strict=True):
        signature["keyid"] = key["keyid"]


def _endorsed_by_genesis(value: Any) -> None:
    """Set 2 endorsed by set 0, which is not in force any more."""
    added: Set = {"n": 2, "from_tree_size": 9, "keys": key_list(_STRANGER)}
    endorse(value["log_id"], added, value["sets"][0], seeded_private_set(1), _STRANGER)
    value["sets"].append(added)


def _swapped(value: Any) -> None:
    endorsement = _endorsement(value)
    endorsement["previous"], endorsement["next"] = endorsement["next"], endorsement["previous"]


def _of_another_message(value: Any) -> None:
    message = b"signet-sth-v1\n" + canonicalize(value["sets"][1]["keys"])
    _endorsement(value)["previous"] = signatures_over(message, seeded_private_set(1))


def _signed_for(change: Callable[[Any], object]) -> Callable[[Any], object]:
    """Have the right keys sign another step than the one that keys.json shows."""

    def forge(value: Any) -> None:
        before, after = value["sets"]
        told = step(value["log_id"], after, before)
        change(told)
        endorse_step(after, told, seeded_private_set(1), seeded_private_set(2))

    return forge


def _signed_with_the_keys_spelled_out(value: Any) -> None:
    before, after = value["sets"]
    told = {name: after[name] for name in ("n", "from_tree_size", "keys")}
    told |= {"log_id": value["log_id"], "previous": before["keys"]}
    endorse_step(after, told, seeded_private_set(1), seeded_private_set(2), b"signet-keys-v1\n")


def _signed_as_a_head(value: Any) -> None:
    before, after = value["sets"]
    told = step(value["log_id"], after, before)
    endorse_step(after, told, seeded_private_set(1), seeded_private_set(2), b"signet-sth-v1\n")


_OTHER_KEYS = step("", {"n": 1, "from_tree_size": 0, "keys": key_list(_STRANGER)}, {"n": 0, "keys": []})[
    "next"
]

#: Good signatures of the right keys, over what an endorsement of set 1 would say if one thing were otherwise.
_OTHER_STEPS: dict[str, Callable[[Any], object]] = {
    "of-other-keys": lambda told: told.update(next=_OTHER_KEYS),
    "of-other-keys-before": lambda told: told["previous"].update(keys_sha256=_OTHER_KEYS["keys_sha256"]),
    "of-the-same-keys-twice": lambda told: told["next"].update(keys_sha256=told["previous"]["keys_sha256"]),
    "of-another-number": lambda told: told["next"].update(n=2),
    "of-another-number-before": lambda told: told["previous"].update(n=1),
    "of-numbers-swapped": lambda told: (told["previous"].update(n=1), told["next"].update(n=0)),
    "of-sides-swapped": lambda told: told.update(previous=told["next"], next=told["previous"]),
    "of-another-size": lambda told: told.update(from_tree_size=9),
    "of-another-log": lambda told: told.update(log_id="0" * 64),
    "without-the-set-before": lambda told: told.pop("previous"),
    "without-the-size": lambda told: told.pop("from_tree_size"),
}


def _stripped(side: str, number: int) -> Callable[[Any], object]:
    return lambda value: _endorsement(value)[side].pop(number)


#: What is done to the keys.json of a log that has rotated once (set 1 from size 8).
KEY_FILES: dict[str, tuple[Callable[[Any], object], str]] = {
    "a-set-without-endorsement": (_unendorsed, "endorsement_missing"),
    "a-set-endorsed-by-itself": (_endorsed_by_itself, "endorsement_misplaced"),
    "a-set-endorsed-in-the-old-keys-name": (_endorsed_in_the_old_keys_name, "bad_endorsement"),
    "a-set-endorsed-by-keys-out-of-force": (_endorsed_by_genesis, "endorsement_misplaced"),
    "endorsement-null": (lambda v: v["sets"][1].update(endorsement=None), "endorsement_missing"),
    "endorsement-without-old-ed25519": (_stripped("previous", 0), "endorsement_missing"),
    "endorsement-without-old-ml-dsa-65": (_stripped("previous", 1), "endorsement_missing"),
    "endorsement-without-new-ed25519": (_stripped("next", 0), "endorsement_missing"),
    "endorsement-without-new-ml-dsa-65": (_stripped("next", 1), "endorsement_missing"),
    "endorsement-without-the-old-keys": (lambda v: _endorsement(v).pop("previous"), "endorsement_missing"),
    "endorsement-swapped": (_swapped, "endorsement_misplaced"),
    "endorsement-reversed": (lambda v: _endorsement(v)["previous"].reverse(), "endorsement_misplaced"),
    "endorsement-of-another-message": (_of_another_message, "bad_endorsement"),
    **{
        f"endorsement-{name}": (_signed_for(change), "bad_endorsement")
        for name, change in _OTHER_STEPS.items()
    },
    "endorsement-with-the-keys-spelled-out": (_signed_with_the_keys_spelled_out, "bad_endorsement"),
    "endorsement-signed-as-a-head": (_signed_as_a_head, "bad_endorsement"),
    "endorsement-with-a-member-more": (lambda v: _endorsement(v).update(more=1), "bad_key_file"),
    "endorsement-of-genesis": (lambda v: v["sets"][0].update(endorsement=_endorsement(v)), "key_set_order"),
    "interval-moved": (lambda v: v["sets"][1].update(from_tree_size=7), "bad_endorsement"),
    "interval-of-genesis-moved": (lambda v: v["sets"][0].update(from_tree_size=1), "key_interval"),
    "interval-as-text": (lambda v: v["sets"][1].update(from_tree_size="8"), "bad_key_file"),
    "number-skipped": (lambda v: v["sets"][1].update(n=2), "key_set_order"),
    "number-as-true": (lambda v: v["sets"][1].update(n=True), "bad_key_file"),
    "number-repeated": (lambda v: v["sets"][1].update(n=0), "key_set_order"),
    "set-with-a-member-more": (lambda v: v["sets"][1].update(more=1), "bad_key_file"),
    "set-twice": (lambda v: v["sets"].append(v["sets"][1]), "endorsement_misplaced"),
    "sets-in-another-order": (lambda v: v["sets"].reverse(), "key_set_order"),
    "genesis-missing": (lambda v: v["sets"].pop(0), "key_set_order"),
    "no-sets": (lambda v: v["sets"].clear(), "key_set_order"),
    "key-of-another-set": (
        lambda v: v["sets"][1]["keys"].__setitem__(2, v["sets"][0]["keys"][2]),
        "key_reused",
    ),
    "keyid-of-another-key": (lambda v: v["sets"][1]["keys"][0].update(keyid="0" * 32), "bad_key_file"),
}


def _rotations_that_no_log_may_make() -> Iterator[Case]:
    """Properly endorsed, properly recorded, and against the rules all the same."""
    old = key_list(seeded_private_set(1))
    changes: dict[str, tuple[int, Callable[[Set], object], str]] = {
        "interval-not-increasing": (0, lambda _set: None, "key_interval"),
        "key-in-two-sets": (8, lambda s: s["keys"].__setitem__(2, old[2]), "key_reused"),
        "key-missing": (8, lambda s: s["keys"].pop(), "bad_key_file"),
        "keys-in-another-order": (8, lambda s: s["keys"].reverse(), "bad_key_file"),
        "key-of-an-unknown-algorithm": (8, lambda s: s["keys"][0].update(alg="rsa"), "bad_key_file"),
        "interval-beyond-the-day": (9, lambda _set: None, "key_set_later"),
    }
    for name, (size, change, code) in changes.items():
        log = started()
        log.record(3)
        log.record(4, log.rotate_from(size, change))
        data = log.pack()
        if name == "interval-beyond-the-day":  # the builder leaves such a set out
            data = remade({**unzip(data), KEYS: log.keys()})
        yield Case(f"rotation-with-{name}", GROUP, data, log.log_id, code, KEYS)
    later = rotated_once()
    data = remade({**unzip(later.pack(FIRST_DAY)), KEYS: later.keys()})
    yield Case("keys-a-later-set", GROUP, data, later.log_id, "key_set_later", KEYS)


def _malformed_leaves() -> Iterator[Case]:
    """Leaves that are no receipts; no builder takes them, so they are put into a good pack."""
    log = rotated_once()
    files = unzip(log.pack(log.day(1)))
    changes: dict[str, Callable[[Any], object]] = {
        "without-set": lambda value: value.pop("set"),
        "with-a-member-more": lambda value: value.update(more=1),
        "with-null-for-a-set": lambda value: value.update(set=None),
    }
    for name, change in changes.items():
        lines = lines_of(files)
        lines[4] = edited(lines[4], change)
        data = with_lines(files, lines)
        yield Case(f"rotation-leaf-{name}", GROUP, data, log.log_id, "bad_receipt", RECEIPTS, 5)


def _leaves() -> Iterator[Case]:
    """Rotations that the day's receipts do not bear out."""

    def case(name: str, log: RotatedLog, line: int | None) -> Case:
        code = "rotation_missing" if line is None else "rotation_unknown"
        return Case(f"rotation-{name}", GROUP, log.pack(), log.log_id, code, RECEIPTS, line)

    def day_of(make: Callable[[RotatedLog, Receipt], list[Receipt]]) -> RotatedLog:
        log = started()
        log.record(3)
        recorded = log.rotate_from(8)
        log.record(4, *make(log, recorded))
        return log

    def endorsed_again(log: RotatedLog, _recorded: Receipt) -> list[Receipt]:
        value = copy.deepcopy(log.sets[1])
        value["endorsement"]["next"] = value["endorsement"]["previous"]
        return [leaf(value, 1)]

    def truly(log: RotatedLog, _recorded: Receipt) -> list[Receipt]:
        return [leaf({**log.sets[1], "n": True}, 1)]

    other = leaf({"n": 7}, 7)
    yield case("with-true-for-1-in-its-leaf", day_of(truly), 5)
    yield case("without-its-leaf", day_of(lambda log, _leaf: [plain(log)]), None)
    yield case("with-its-leaf-twice", day_of(lambda log, made: [made, leaf(log.sets[1], 9)]), 6)
    yield case("with-another-endorsement-in-its-leaf", day_of(endorsed_again), 5)
    yield case("with-a-leaf-of-an-unknown-set", day_of(lambda _log, made: [made, other]), 6)
    late = started()
    late.record(3)
    recorded = late.rotate_from(7)
    late.record(4)
    late.record(1, recorded)
    yield case("with-its-leaf-a-day-late", late, 2)
    none = started()
    none.record(2, other)
    yield case("leaf-without-rotation", none, 3)
    genesis = started()
    genesis.record(2, leaf(genesis.sets[0], 0))
    yield case("leaf-of-the-first-set", genesis, 3)


def plain(log: RotatedLog) -> Receipt:
    """Some other receipt, so that the tree is as large."""
    return leaf(log.sets[1], 5, type="policy.changed")


def _heads(log: RotatedLog) -> Iterator[Case]:
    """Signed by keys of the log, out of their time."""
    first, second, third = (log.day(number).isoformat() for number in range(3))

    def case(name: str, data: bytes, member: str, code: str = "bad_signature") -> Case:
        return Case(name, GROUP, data, log.log_id, code, member)

    for name, day, signing in (
        ("head-by-keys-not-yet-in-force", first, 1),
        ("head-of-the-rotation-by-the-old-keys", second, 0),
        ("head-by-keys-no-longer-in-force", third, 0),
    ):
        yield case(name, rotated_once(by_set={day: signing}).pack(), f"sth/{day}.json")
    files = unzip(log.pack())
    head = log.heads[-1]
    old = checkpoint(head.tree_size, head.root_hash, log.private[0])
    yield case("checkpoint-by-keys-no-longer-in-force", remade({**files, "checkpoint": old}), "checkpoint")
    last = f"sth/{third}.json"
    mixed = parse(files["sth.json"])
    other = parse(signed_as_it_is(mixed, log.private[0]))
    mixed["signatures"][0] = other["signatures"][0]
    raw = canonicalize(mixed)
    yield case("head-by-keys-of-two-sets", remade({**files, "sth.json": raw, last: raw}), last)
    only_genesis = {**parse(files[KEYS]), "sets": log.sets[:1]}
    data = remade({**files, KEYS: canonicalize(only_genesis)})
    yield case("keys-without-the-set-in-force", data, f"sth/{second}.json")
    made_up = {**parse(files[KEYS]), "origin": ORIGIN + "x"}
    data = remade({**files, KEYS: canonicalize(made_up)})
    yield case("keys-of-another-origin", data, KEYS, "bad_key_file")
