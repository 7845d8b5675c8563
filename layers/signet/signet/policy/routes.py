"""Routes as API Gateway knows them, and as a policy lists them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from signet.core.apis import NAME, OWN_API
from signet.core.vocabulary import METHOD_NAMES, METHODS

# A name in braces is a whole segment, and a greedy one the last. Of other segments sources differ (moto
# issue 6148 has ":", amplify-category-api pull request 2719 "," too), so all that RFC 3986 leaves unescaped
# passes.
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+")
_NAMED: Final = re.compile(r"\{[A-Za-z0-9._:-]+\}")
_GREEDY: Final = re.compile(r"\{[A-Za-z0-9._:-]+\+\}")


def route_key(api: str, route: str) -> str:
    """Return what a policy's code calls a route of an API: for Signet's own API the route alone.

    Two APIs that declare the same route have two keys: no rule of one ever counts for the other.
    """
    return route if api == OWN_API else f"{api} {route}"


def api_and_route(key: str) -> tuple[str, str]:
    """Return the API's name and the route that a key stands for; an API's name has no upper case."""
    first, _, rest = key.partition(" ")
    named = rest.partition(" ")[0] in METHODS and NAME.fullmatch(first)
    return (first, rest) if named else (OWN_API, key)


def wrong_in(route: str) -> Iterator[str]:
    """Yield what is wrong with a route (``METHOD /resource``): nothing, or one sentence."""
    method, space, path = route.partition(" ")
    if method == "ANY" and space:
        example = f"write one entry for each, as in 'GET {path}'"
        yield f"{route!r} never matches: a request has a method of its own; {example}"
    elif not space or not path.startswith("/"):
        yield f'{route!r} is no route; write it as in "GET /protected/{{item}}"'
    elif method not in METHODS:
        yield f"{route!r} has no method of API Gateway; it is one of {', '.join(METHOD_NAMES)}"
    else:
        yield from _wrong_in_path(route, path)


def _wrong_in_path(route: str, path: str) -> Iterator[str]:
    segments = path[1:].split("/") if path != "/" else []
    if "" in segments:
        yield f"{route!r} has an empty segment; a resource of API Gateway has none, nor a slash at its end"
        return
    for place, segment in enumerate(segments):
        if _GREEDY.fullmatch(segment):
            if place < len(segments) - 1:
                yield f"{route!r} goes on behind {segment}; a name with + stands last"
                return
        elif segment in {"*", "**"} or segment.startswith(":"):
            yield f"{route!r} has the segment {segment!r}, which is no wildcard; write {{name}} or {{name+}}"
            return
        elif not _NAMED.fullmatch(segment) and not _SEGMENT.fullmatch(segment):
            yield f"{route!r} has a segment {segment!r}; it is a word, {{name}}, or at the end {{name+}}"
            return
