"""Which members of the input a policy's rules read, and these members of one request: pure.

What no rule reads is neither computed nor told: it costs nothing, keeps no verdict from being remembered, and
stands in no record.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo

from signet.core.errors import PolicyError
from signet.core.records import record
from signet.policy.facts import LocalTime, Moment, Source
from signet.policy.listing import APIS, CONFIG, as_object
from signet.policy.networks import Networks, texts_in
from signet.policy.rego import code_of

#: Members of ``config`` that say which header fields and time zones the rules are told of.
INPUT_HEADERS: Final = "input_headers"
TIME_ZONES: Final = "time_zones"
MAX_INPUT_HEADERS: Final = 16
MAX_TIME_ZONES: Final = 16
_ALL: Final = ""
# ``input.time.hour``: the names that follow, as far as they are known without running anything.
_READ: Final = re.compile(r"\binput\b(?:\s*\.\s*([A-Za-z_]\w*))?(?:\s*\.\s*([A-Za-z_]\w*))?")
_TEXT: Final = re.compile(r'"((?:[^"\\\n]|\\.)*)"|`([^`]*)`')
#: As ``time.weekday`` of OPA names them.
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@record
class Seen:
    """What is known of one request beside what every policy is told.

    Attributes:
        api: name of its API.
        query: each name once, decoded, with its values; in any order.
        headers: fields by name in lower case.
        covered: components that its signature covers, in order.
        content_digest: value of the covered Content-Digest, or None.
        source_ip: the client's address.
        now_ms: Unix time in milliseconds.
    """

    api: str
    query: Sequence[tuple[str, Sequence[str]]]
    headers: Mapping[str, str]
    covered: tuple[str, ...]
    content_digest: str | None
    source_ip: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a policy's rules read of the members that are not told to all.

    Attributes:
        reads: paths of members, two names deep at most: ``query``, ``time.hour``; the empty one
            is all of them.
        headers: names of the fields that ``input.headers`` holds, by API; the empty name
            stands for all others.
        zones: time zones by name.
        networks: those that the policy names.
    """

    reads: frozenset[str] = frozenset()
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    zones: Mapping[str, tzinfo] = field(default_factory=dict)
    networks: Networks = field(default_factory=Networks)

    def reads_of(self, member: str) -> frozenset[str] | None:
        """Return which members of a member the rules read; None for all, an empty set for nothing at all."""
        if _ALL in self.reads or member in self.reads:
            return None
        start = f"{member}."
        return frozenset(path.removeprefix(start) for path in self.reads if path.startswith(start))

    def headers_of(self, api: str) -> tuple[str, ...]:
        """Return the header fields that rules are told of in requests of an API; none if none is read."""
        if self.reads_of("headers") == frozenset():
            return ()
        return self.headers.get(api, self.headers.get("", ()))

    def of(self, seen: Seen) -> dict[str, Any]:
        """Return the members of ``Facts`` that the rules read, by name.

        Raises:
            PolicyError: the rules read the client's address, and there is none.
        """
        told: dict[str, Any] = {}
        if self.reads_of("query") != frozenset():
            told["query"] = tuple(sorted((name, tuple(values)) for name, values in seen.query))
        if names := self.headers_of(seen.api):
            told["headers"] = tuple(
                (name, seen.headers[name], name in seen.covered) for name in names if name in seen.headers
            )
        if self.reads_of("covered") != frozenset():
            told["covered"] = seen.covered
        if self.reads_of("content") != frozenset():
            content = {"digest": seen.content_digest, "type": seen.headers.get("content-type")}
            told["content"] = tuple((name, value) for name, value in content.items() if value is not None)
        if (members := self.reads_of("source")) != frozenset():
            told["source"] = self._source(seen.source_ip, members)
        if (members := self.reads_of("time")) != frozenset():
            told["time"] = self.moment(seen.now_ms // 1000, members)
        return told

    def _source(self, source_ip: str, members: frozenset[str] | None) -> Source:
        address = self.networks.address(source_ip)
        if address is None:
            raise PolicyError("the rules read the client's address, and the gateway tells none")
        held = self.networks.holding(address) if members is None or "networks" in members else None
        return Source(str(address), held)

    def moment(self, unix: int, members: frozenset[str] | None = None) -> Moment:
        """Return a moment as ``input.time`` tells it.

        Args:
            unix: whole seconds.
            members: the ones to tell; None for all.
        """
        now = datetime.fromtimestamp(unix, UTC)
        zones = {name: _local(now.astimezone(zone)) for name, zone in self.zones.items()}
        whole = Moment(
            rfc3339=f"{now:%Y-%m-%dT%H:%M:%S}Z",
            unix=unix,
            **_local(now)._asdict(),
            zones=tuple(sorted(zones.items())),
        )
        if members is None:
            return whole
        return Moment(**{name: value for name, value in whole._asdict().items() if name in members})


def wanted(rules: Mapping[str, str], data: Mapping[str, Any]) -> Wanted:
    """Return what a policy reads.

    Args:
        rules: its Rego modules, by name.
        data: what its data files hold.

    Raises:
        PolicyError: it names a time zone that there is not, or header fields in another way than as a list.
    """
    reads = members_read(rules.values())
    found = Wanted(reads)
    config = as_object(data.get(CONFIG))
    networks = Networks()
    source = found.reads_of("source")
    if source is None or "networks" in source:
        networks = Networks((*texts_in(data), *_texts_of(rules.values())))
    return Wanted(reads, _headers(config), _zones(config), networks)


def members_read(modules: Iterable[str]) -> frozenset[str]:
    """Return the paths of the members of the input that Rego names, two names deep at most.

    What is named in another way than behind dots, as in ``input[name]``, may be anything: the empty path.
    """
    found: set[str] = set()
    for text in modules:
        for read in _READ.finditer(code_of(text)):
            found.add(".".join(name for name in read.groups() if name))
    return frozenset(found)


def _texts_of(modules: Iterable[str]) -> Iterator[str]:
    for text in modules:
        for quoted, raw in _TEXT.findall(text):
            yield quoted or raw


def _headers(config: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    stated = {"": config, **as_object(config.get(APIS))}
    found = {}
    for api, settings in stated.items():
        names = as_object(settings).get(INPUT_HEADERS, [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise PolicyError(f"{INPUT_HEADERS} is no array of names of header fields")
        if names or INPUT_HEADERS in as_object(settings):
            found[api] = tuple(names)
    return found


def _zones(config: Mapping[str, Any]) -> dict[str, tzinfo]:
    names = config.get(TIME_ZONES, [])
    if not isinstance(names, list):
        raise PolicyError(f"{TIME_ZONES} is no array of names of time zones")
    return {name: zone(name) for name in names}


def zone(name: Any) -> tzinfo:
    """Return a time zone of the IANA database.

    It is the system's, or else that of the package ``tzdata``, which comes with the layer: AL2023 on Lambda
    has none of its own (https://github.com/aws/aws-lambda-dotnet/issues/1620).

    Raises:
        PolicyError: there is none of that name.
    """
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, TypeError, OSError) as error:  # ZoneInfoNotFoundError is a LookupError
        raise PolicyError(f"there is no time zone {name!r}; write one such as Europe/Berlin") from error


def _local(moment: datetime) -> LocalTime:
    return LocalTime(f"{moment:%Y-%m-%d}", WEEKDAYS[moment.weekday()], moment.hour, moment.minute)
