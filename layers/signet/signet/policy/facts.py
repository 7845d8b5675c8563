"""What a policy is told of a verified request: version 2 of its input, stated for people in docs/policy.md.

Version 1 had neither labels nor the members that are told only to a policy whose rules read them; all that it
had is told as it was.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from signet.policy.routes import api_and_route

#: Version of the input's schema; receipts of version 2 name it.
INPUT_VERSION: Final = 2


class LocalTime(NamedTuple):
    """A moment as calendars and clocks of one time zone show it.

    Attributes:
        date: such as ``2026-11-23``.
        weekday: in English, such as ``Monday``.
        hour: 0 to 23.
        minute: 0 to 59.
    """

    date: str
    weekday: str
    hour: int
    minute: int


class Moment(NamedTuple):
    """When a request is decided on; what no rule reads is None.

    Attributes:
        rfc3339: in UTC, whole seconds: ``2026-11-23T08:30:00Z``. All have this one form, so they
            compare as texts.
        unix: whole seconds since 1970.
        date, weekday, hour, minute: in UTC, as in ``LocalTime``.
        zones: name of a time zone and what is shown there.
    """

    rfc3339: str | None = None
    unix: int | None = None
    date: str | None = None
    weekday: str | None = None
    hour: int | None = None
    minute: int | None = None
    zones: tuple[tuple[str, LocalTime], ...] | None = None

    def document(self) -> dict[str, Any]:
        """Return the member ``time`` of the input."""
        told = {name: value for name, value in self._asdict().items() if value is not None}
        if self.zones is not None:
            told["zones"] = {name: local._asdict() for name, local in self.zones}
        return told


class Source(NamedTuple):
    """Where a request comes from.

    Attributes:
        ip: the client's address in its one canonical form; an IPv4 address within IPv6 is told as IPv4.
        networks: those named in the policy that hold the address, as they are spelled there, sorted; None if
            no rule reads them.
    """

    ip: str
    networks: tuple[str, ...] | None = None

    def document(self) -> dict[str, Any]:
        """Return the member ``source`` of the input."""
        networks = {} if self.networks is None else {"networks": list(self.networks)}
        return {"ip": self.ip, **networks}


class Facts(NamedTuple):
    """All that policy decides on a verified request by: requests with equal facts get one verdict.

    The members from ``query`` on are told only to a policy that reads them (``signet.policy.wanted``); for
    others they are None, so they keep no verdict of such a policy from being remembered.

    Attributes:
        route: key of the route (``signet.policy.routes.route_key``): the API and ``METHOD /resource``, as
            declared in it.
        path: the API's own path, filled in, without stage or mapping; canonical.
        path_parameters: what fills the resource in, name and value, as the path spells it.
        keyid: of the verified principal.
        roles: the principal's.
        algorithm: suite the signature was verified with.
        binding: type of the channel binding that was observed to match, or ``none``.
        evidence_sha256: of the evidence that was signed, or None.
        state: the breaker's; None if it is unknown.
        level: rung of the ladder in force.
        header_bytes: bytes of the header values.
        labels: of the client's registration, name and value; names sorted.
        query: each name once, decoded, with its values in their order; names sorted.
        headers: name, value, and whether the signature covers it, of the fields that the policy names.
        covered: components that the signature covers, in its order.
        content: ``digest`` and ``type`` of the content, each with its value; what was not sent is left out.
        source: where it comes from.
        time: when it is decided on.
    """

    route: str
    path: str
    path_parameters: tuple[tuple[str, str], ...]
    keyid: str
    roles: frozenset[str]
    algorithm: str
    binding: str
    evidence_sha256: bytes | None
    state: str | None
    level: str | None
    header_bytes: int
    labels: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    headers: tuple[tuple[str, str, bool], ...] | None = None
    covered: tuple[str, ...] | None = None
    content: tuple[tuple[str, str], ...] | None = None
    source: Source | None = None
    time: Moment | None = None

    def document(self) -> dict[str, Any]:
        """Return the input document: JSON values; members that no rule reads are left out."""
        api, route = api_and_route(self.route)
        return {
            "api": api,
            "route": route,
            "method": route.partition(" ")[0],
            "path": self.path,
            "path_parameters": dict(self.path_parameters),
            "principal": {
                "keyid": self.keyid,
                "roles": sorted(map(str, self.roles)),
                "labels": dict(self.labels),
            },
            "algorithm": self.algorithm,
            "binding": {"type": str(self.binding)},
            "evidence": {"sha256": self.evidence_sha256.hex()} if self.evidence_sha256 else None,
            "breaker": {"state": _plain(self.state), "level": _plain(self.level)},
            "header_bytes": self.header_bytes,
            **self._further(),
        }

    def _further(self) -> dict[str, Any]:
        told: dict[str, Any] = {}
        if self.query is not None:
            told["query"] = {name: list(values) for name, values in self.query}
        if self.headers is not None:
            told["headers"] = {
                name: {"value": value, "covered": covered} for name, value, covered in self.headers
            }
        if self.covered is not None:
            told["covered"] = list(self.covered)
        if self.content is not None:
            told["content"] = dict(self.content)
        if self.source is not None:
            told["source"] = self.source.document()
        if self.time is not None:
            told["time"] = self.time.document()
        return told


def _plain(word: str | None) -> str | None:
    """Return a word as text and no more: canonical JSON takes no member of an enumeration."""
    return None if word is None else str(word)
