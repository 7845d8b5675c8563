"""Maps of header fields and of queries, as REST APIs and payload 1.0 of HTTP APIs have them.

- Header names keep the client's case, in lower case through HTTP/2; gateway and CDN write theirs as
  ``X-Forwarded-For``. The multi-value map holds a list per field, the single one the last value.
  (hotsock/voker, vokerhttp/testdata, captured in July 2026; localstack/tests/aws/services/apigateway/
  test_apigateway_lambda.snapshot.json, recorded on AWS; aws-lambda-go #117)
- Query maps are decoded, ``+`` is a space. The multi-value map holds all values of a name in their order,
  the single one the last. No map tells in which order different names came. Without a query both are null,
  or empty for authorizers. (voker; the snapshot; serverless-offline #515)
- Where an emulator differs, ``emulators`` says how.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from signet.core.decision import Reason
from signet.core.errors import Denied
from signet.gateway.model import SINGLE_FIELDS, Event, mapping

Query = Sequence[tuple[str, Sequence[str]]]
_NONE: Final[frozenset[str]] = frozenset()


class Fields(NamedTuple):
    """Header fields with one reading; see ``InboundRequest``."""

    headers: Mapping[str, str]
    repeated: frozenset[str]


def merge_headers(event: Event) -> Fields:
    """Return header fields by name in lower case; values of one name are joined by ``", "``.

    Raises:
        Denied: ``malformed``: only the map with one value per field is there, which hides the others; or the
            two maps disagree, or a field that decides comes twice.
        AttributeError, LookupError, TypeError: they are no maps.
    """
    single: Mapping[str, str] = event.get("headers") or {}
    multi: Mapping[str, Sequence[str]] | None = event.get("multiValueHeaders")
    return _usual_fields(single, multi) or _any_fields(single, multi)


def _any_fields(single: Mapping[str, str], multi: Mapping[str, Sequence[str]] | None) -> Fields:
    if multi is None:
        if single:
            raise Denied(
                Reason.MALFORMED, "the gateway's event shows one value per header field, and may hide others"
            )
        return Fields({}, frozenset())
    merged: dict[str, str] = {}
    repeated = []
    for name, values in multi.items():
        lowered = name.lower()
        if lowered in merged or lowered.startswith("@"):
            raise Denied(
                Reason.MALFORMED,
                "a header field comes in two spellings of its name, or under no field's name",
            )
        if not isinstance(values, list) or not values:
            raise TypeError("a list of values is expected")
        if len(values) > 1:
            if lowered in SINGLE_FIELDS:
                raise Denied(Reason.MALFORMED, f"the {lowered} field comes more than once")
            repeated.append(lowered)
        merged[lowered] = joined = ", ".join(values)
        # AWS reports the last value in the single map; emulators report all of them, joined.
        reported = single.get(name)
        if reported != joined and reported not in (values[-1], ",".join(values)):
            raise Denied(Reason.MALFORMED, "the gateway's two header maps disagree")
    if len(single) != len(multi):
        raise Denied(Reason.MALFORMED, "the gateway's two header maps disagree")
    return Fields(merged, frozenset(repeated))


def _usual_fields(single: Mapping[str, str], multi: Any) -> Fields | None:
    """Read what most requests have, each field once and both maps alike, at a third of the cost.

    None for all others. Of those it reads, the long way would find the same.
    """
    if {name: [value] for name, value in single.items()} != multi:
        return None
    found = {name.lower(): value for name, value in single.items()}
    "".join(found.values())  # raises where one is no text
    return Fields(found, _NONE) if len(found) == len(single) and "@" not in "".join(found) else None


def unmerged_values(event: Event) -> Mapping[str, frozenset[str]]:
    """Return every distinct value that the two header maps hold, by name in lower case; never fails."""
    found: dict[str, set[str]] = {}
    for name, value in mapping(event.get("headers")).items():
        found.setdefault(str(name).lower(), set()).add(str(value))
    for name, values in mapping(event.get("multiValueHeaders")).items():
        # Twice the same is twice all the same: the count must not get lost in the set.
        lone = isinstance(values, list) and len(values) == 1
        found.setdefault(str(name).lower(), set()).update({str(values[0])} if lone else {str(values), ""})
    return {name: frozenset(values) for name, values in found.items()}


def told_host(event: Event) -> Any:
    """Return what the map of one value per field says of the host, in any case of its name."""
    return {str(name).lower(): value for name, value in mapping(event.get("headers")).items()}.get("host")


def header_bytes(event: Event) -> int:
    """Return the total size of all header values in bytes; see ``InboundRequest``. Never fails."""
    multi = event.get("multiValueHeaders")
    found = mapping(multi).values() if multi else [[*mapping(event.get("headers")).values()]]
    lists = [values for values in found if isinstance(values, list)]
    try:
        joined = "".join(chain.from_iterable(lists))
    except TypeError:  # no event of API Gateway's; what there is of text counts
        joined = "".join(text for text in chain.from_iterable(lists) if isinstance(text, str))
    return size_of(joined)


def size_of(joined: str) -> int:
    """Return how many bytes a text has in UTF-8, half surrogate pairs included."""
    return len(joined) if joined.isascii() else len(joined.encode(errors="surrogatepass"))


def read_query(event: Event) -> Query:
    """Return each name of the query once, decoded, with its values in their order; names in no order.

    Raises:
        Denied: ``malformed``: only the map with one value per name is there, which hides the others; or the
            two maps disagree.
        AttributeError, LookupError, TypeError: they are no maps of text.
    """
    single, multi = event.get("queryStringParameters"), event.get("multiValueQueryStringParameters")
    if multi is None:
        if single:
            raise Denied(
                Reason.MALFORMED, "the gateway's event shows one value per query name, and may hide others"
            )
        return ()
    if single == multi == {}:  # most requests; the rest would find the same
        return ()
    for values in multi.values():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise TypeError("a map of lists of text is expected")
    # AWS and sam local report the last value in the single map, MiniStack the first.
    ends = [{name: values[place] for name, values in multi.items()} for place in (-1, 0)]
    if single is not None and single not in ends:
        raise Denied(Reason.MALFORMED, "the gateway's two query maps disagree")
    return list(multi.items())
