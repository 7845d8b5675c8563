"""Looks for requests that a policy tells apart, by trying the values that its own rules and data name.

A client without a name in the rules comes first. Then one value after the other is changed; where a change
brings an answer that was not seen before, the search goes on from there. So it finds a client that needs a
key id, a network, a label and a time of day, without trying each with each.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeVar

from signet.core.client import LABEL_VALUE, ROLE
from signet.core.vocabulary import ALWAYS_COVERED
from signet.policy.alike import spelled
from signet.policy.facts import Source
from signet.policy.networks import Networks, is_network, texts_in
from signet.policy.rego import code_of
from signet.policy.wanted import Wanted, wanted

#: Key id, and value of path parameters, of a client that no rule names.
PROBE: Final = "probe"
#: A Wednesday: 2026-11-25T12:00:00Z.
NOON: Final = 1_795_608_000
EVIDENCE: Final = {"sha256": "0" * 64}
#: What is told only to rules that read it.
ORDINARY: Final[Mapping[str, Any]] = {
    "query": {},
    "headers": {},
    "covered": list(ALWAYS_COVERED),
    "content": {},
    "source": Source("192.0.2.1", ()).document(),
    "time": Wanted().moment(NOON).document(),
}
_PARAMETER: Final = re.compile(r"\{([^{}]+)\}")
_PART: Final = re.compile(r"[A-Za-z0-9._~:@+-]+")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
# So many of the policy's names are tried in paths, each with each: which belong together is not known.
_MOST_PARTS: Final = 24
_MOST_VALUES: Final = 32

#: Members of the input that take the place of a probe's; of ``principal`` only those that are named.
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Hints:
    """Values that the rules of a policy may tell requests apart by.

    Attributes:
        words: texts in quotes in its rules, names and texts of its data.
        wanted: what its rules read.
        labels: names of the labels that they name.
        query: names of the parameters of the query that they name.
        addresses: an address in each network that they name.
        moments: Unix seconds: each hour of a day, each day of a week, and around each time that they name.
        spelled: see ``signet.policy.alike``.
    """

    words: tuple[str, ...]
    wanted: Wanted
    labels: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    moments: tuple[int, ...] = ()
    spelled: tuple[str, ...] | None = ()


NO_HINTS: Final = Hints((), Wanted())


def hints_of(files: Mapping[str, bytes], data: Mapping[str, Any], words: tuple[str, ...]) -> Hints:
    """Return the values that a policy names.

    Args:
        files: name → bytes; all of it can be read.
        data: what the data files hold.
        words: see ``Hints``.
    """
    rules = {name: body.decode() for name, body in files.items() if name.endswith(".rego")}
    texts = dict.fromkeys((*words, *texts_in({name: one for name, one in data.items() if name != "config"})))
    hours = (NOON + hour * 3600 for hour in range(24))
    days = (NOON + day * 86_400 for day in range(1, 7))
    named = [int(datetime.fromisoformat(text).timestamp()) for text in texts if _is_time(text)][:_MOST_VALUES]
    around = (moment + step for moment in named for step in (-1, 1, -43_200))
    return Hints(
        words,
        wanted(rules, data),
        _named_in(rules.values(), "labels"),
        _named_in(rules.values(), "query"),
        tuple(text.partition("/")[0] for text in texts if is_network(text))[:_MOST_VALUES],
        (*around, *hours, *days),
        spelled(rules.values(), data),
    )


def _is_time(text: str) -> bool:
    try:
        return _TIME.fullmatch(text) is not None and datetime.fromisoformat(text) is not None
    except ValueError:
        return False


def _named_in(rules: Iterable[str], member: str) -> tuple[str, ...]:
    """Return the names behind a member's: ``labels.tenant``, ``query["page"]``."""
    found: dict[str, None] = {}
    for text in rules:
        code = code_of(text)
        for behind in re.finditer(rf"\b{member}\s*(?:\.\s*([A-Za-z_]\w*)|\[)", code):
            quoted = re.match(r'\s*"([^"\\]*)"', text[behind.end() :])
            if name := behind[1] or (quoted and quoted[1]):
                found[name] = None
    return tuple(found)


def filled(declared: str, part: str) -> dict[str, Any]:
    """Return what a route's path is when each of its parameters is this."""
    resource = declared.partition(" ")[2]
    return {
        "path": _PARAMETER.sub(lambda _: part, resource),
        "path_parameters": {name.rstrip("+"): part for name in _PARAMETER.findall(resource)},
    }


def changed(request: Mapping[str, Any], facts: Facts) -> dict[str, Any]:
    """Return a request with some facts in the place of its own; one without a principal stays so.

    Roles are added to those that it has: one that has none stays so.
    """
    found = {**request, **{name: value for name, value in facts.items() if name != "principal"}}
    if "principal" in request and "principal" in facts:
        roles = request["principal"]["roles"]
        more = facts["principal"].get("roles", ()) if roles else ()
        found["principal"] = {
            **request["principal"],
            **facts["principal"],
            "roles": [*roles, *(role for role in more if role not in roles)],
        }
    return found


_Answer = TypeVar("_Answer", bound=Hashable)


def search(
    ask: Callable[[Facts], _Answer],
    route: str,
    hints: Hints,
    starts: Iterable[Facts] = (),
    *,
    most: int,
    score: Callable[[_Answer], int] = lambda _: 0,
) -> Iterator[tuple[Facts, _Answer]]:
    """Yield facts with the answers to them, each answer once.

    Args:
        ask: what is answered to a request with such facts.
        route: ``METHOD /resource``.
        hints: what may make a difference.
        starts: facts that are tried first.
        most: how many questions may be asked, those with the starts not counted.
        score: how far an answer is from what is looked for.
    """
    seen: set[_Answer] = set()
    # Where the search may go on: score, facts, changes that were not tried there so far.
    places: list[tuple[int, Facts, Iterator[Facts]]] = []

    def is_new(facts: Facts, answer: _Answer) -> bool:
        if answer in seen:
            return False
        seen.add(answer)
        places.append((score(answer), facts, _changes(route, hints)))
        return True

    for facts in ({}, *starts):
        if is_new(facts, answer := ask(facts)):
            yield facts, answer
    for step in range(most):
        if not places:
            return
        # By turns the nearest, the newest and the oldest: none of them alone gets through every policy.
        nearest = min(range(len(places)), key=lambda place: places[place][0])
        place = (nearest, len(places) - 1, 0)[step % 3]
        _, start, changes = places[place]
        change = next(changes, None)
        if change is None:
            del places[place]
            continue
        facts = _merged(start, change)
        if is_new(facts, answer := ask(facts)):
            yield facts, answer


def _merged(facts: Facts, change: Facts) -> dict[str, Any]:
    merged = {**facts, **change}
    if "principal" in facts and "principal" in change:
        merged["principal"] = {**facts["principal"], **change["principal"]}
    return merged


def _changes(route: str, hints: Hints) -> Iterator[Facts]:
    yield {"evidence": EVIDENCE}
    yield {"evidence": None}
    if hints.wanted.reads_of("source") != frozenset():
        for address in ("192.0.2.1", "2001:db8::1", *hints.addresses):
            yield {"source": _source(address, hints.wanted.networks)}
    yield from _of_the_client(hints)
    yield from _of_the_request(hints)
    for keyid, parameter in _named(route, hints.words):
        yield {"principal": {"keyid": keyid}, **filled(route, parameter)}
    if hints.wanted.reads_of("time") != frozenset():
        for moment in hints.moments:
            yield {"time": hints.wanted.moment(moment).document()}


def _source(address: str, networks: Networks) -> dict[str, Any]:
    found = Networks.address(address)
    return Source(str(found or address), networks.holding(found) if found else ()).document()


def _of_the_client(hints: Hints) -> Iterator[Facts]:
    for role in filter(ROLE.fullmatch, hints.words[:_MOST_VALUES]):
        yield {"principal": {"roles": [role]}}
    if hints.labels:
        values = [word for word in (PROBE, *hints.words[:_MOST_VALUES]) if LABEL_VALUE.fullmatch(word)]
        for value in values:
            yield {"principal": {"labels": dict.fromkeys(hints.labels, value)}}
        for name in hints.labels if len(hints.labels) > 1 else ():
            for value in values:
                yield {"principal": {"labels": {name: value}}}


def _of_the_request(hints: Hints) -> Iterator[Facts]:
    words = hints.words[:_MOST_VALUES]
    for name in hints.query:
        for value in (PROBE, *words):
            yield {"query": {name: [value]}}
            yield {"query": {name: [value, PROBE]}}
    names = {name for names in hints.wanted.headers.values() for name in names}
    for name in sorted(names) if hints.wanted.reads_of("headers") != frozenset() else ():
        for value in (PROBE, *words):
            for covered in (True, False):
                yield {"headers": {name: {"value": value, "covered": covered}}}
    if hints.wanted.reads_of("content") != frozenset():
        yield {"content": {"digest": f"sha-256=:{'A' * 43}=:"}}
        for value in (PROBE, *(word for word in words if "/" in word)):
            yield {"content": {"type": value}}
    if hints.wanted.reads_of("covered") != frozenset():
        for name in words:
            yield {"covered": [*ALWAYS_COVERED, name]}


def _named(route: str, words: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield key ids, each with what fills the path in: the policy may name both, or want them equal."""
    yield from ((keyid, PROBE) for keyid in (PROBE, *words))
    if _PARAMETER.search(route):
        parts = [word for word in words if _PART.fullmatch(word)][:_MOST_PARTS]
        yield from ((part, part) for part in parts)
        yield from ((one, other) for one in parts for other in parts)
