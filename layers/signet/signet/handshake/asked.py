"""What a request to the challenge endpoint asks for: an API, one of its names, a route, how many nonces."""

from __future__ import annotations

import re
from typing import Final

from signet.core.apis import DEFAULT_AUTHORITY, NAME, OWN_API, Api
from signet.core.decision import Reason
from signet.core.errors import Denied, NotFoundError
from signet.core.records import record
from signet.core.target import canonical_query, check_authority
from signet.gateway.model import InboundRequest
from signet.handshake.registry import CachedApis
from signet.handshake.request import Site

#: Most nonces that one request gets: each costs some microseconds, and 55 characters of the answer.
MAX_NONCES: Final = 64
_COUNT: Final = re.compile(r"[1-9][0-9]?")
_NAMES: Final = ("api", "authority", "route", "count")


@record
class Asked:
    """What challenges, and nonces for bundles, are asked for.

    Attributes:
        api: the API that the nonces shall be good for.
        authority: the name of it that they shall be good for; None for the one that was called.
        route: ``METHOD /resource`` as the API declares it; None for any of its routes.
        count: how many nonces.
        query: the query, with its ``?``, under which Signet's endpoints answer for this API; empty for
            Signet's own.
    """

    api: Api
    authority: str | None = None
    route: str | None = None
    count: int = 1
    query: str = ""


def read_asked(inbound: InboundRequest, apis: CachedApis, site: Site) -> Asked:
    """Read the parameters ``api``, ``authority``, ``route`` and ``count``; other ones mean nothing here.

    A request without a reading asks for Signet's own API, as one without parameters.

    Raises:
        Denied: ``malformed``: a parameter comes twice, or is not what it has to be.
        NotFoundError: ``unknown_api``: no API has that name.
        UnavailableError: the registry cannot be read.
    """
    given = {name: values for name, values in inbound.query if name in _NAMES}
    if any(len(values) != 1 for values in given.values()):
        raise Denied(Reason.MALFORMED, "a parameter comes more than once")
    told = {name: values[0] for name, values in given.items()}
    count = told.get("count", "1")
    if not _COUNT.fullmatch(count) or int(count) > MAX_NONCES:
        raise Denied(Reason.MALFORMED, f"count is a number from 1 to {MAX_NONCES}")
    api = _named(told.get("api", OWN_API), apis)
    authority = _authority(told.get("authority"), api, site)
    named = [(name, [told[name]]) for name in ("api", "authority") if name in told]
    return Asked(api, authority, told.get("route"), int(count), canonical_query(named) if named else "")


def _named(name: str, apis: CachedApis) -> Api:
    # What cannot be a name is not looked up.
    api = apis.named(name) if NAME.fullmatch(name) else None
    if api is None:
        raise NotFoundError("no API is registered under this name", code=Reason.UNKNOWN_API.value)
    return api


def _authority(told: str | None, api: Api, site: Site) -> str | None:
    """Return the name that nonces shall be good for: one that the registration answers under."""
    if told is not None:
        authority = check_authority(told)
        if not site.accepts(authority, api):
            raise Denied(Reason.MALFORMED, "the authority is not one this API answers to")
        return authority
    if api.name == OWN_API:
        return None
    if len(api.authorities) != 1:
        raise Denied(Reason.MALFORMED, "the API has several names: say which one is called (authority)")
    (only,) = api.authorities
    return site.default_authority(api) if only == DEFAULT_AUTHORITY else only
