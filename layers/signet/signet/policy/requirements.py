"""What a route demands before authentication, read strictly from a policy's answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from signet.core.apis import NAME, OWN_API, OWN_BACKEND
from signet.core.errors import PolicyError
from signet.core.rates import RateLimit
from signet.core.vocabulary import ALWAYS_COVERED, BINDING_TYPES, FIELD_NAME, PPM, BreakerLevel
from signet.crypto.suites import NAMES
from signet.policy.rates import RATE_GROUP, RATE_LIMIT, read_rate_limit

#: API Gateway refuses more bytes of header values than this, so no budget lies above it.
MAX_HEADER_BUDGET: Final = 10_240
#: API Gateway waits no longer for a backend.
MAX_LATENCY_MS: Final = 29_000
#: Most components a route may demand; a signature covers 32 at most.
MAX_COMPONENTS: Final = 16
#: Rules of package ``signet`` that are asked for what a route requires.
OUTPUTS: Final = (
    "minimum_binding",
    "allowed_algorithms",
    "required_components",
    "ladder",
    "classical_fallback",
    "header_budget",
    "availability_floor_ppm",
    "latency_objective_ms",
    "breaker",
    "backend",
    RATE_LIMIT,
    RATE_GROUP,
)
_RUNGS: Final = tuple(BreakerLevel)
# What carries the proof itself, what ends at each hop (RFC 9110 section 7.6.1), what is @authority (Host),
# and what API Gateway does not show (Content-Length: github.com/jordaneremieff/mangum/issues/143).
_NEVER_COVERED: Final = frozenset(
    [
        *("signature", "signature-input", "pch-proof", "pch-nonce", "signet-edge"),
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"),
        *("content-length", "expect", "forwarded", "host", "via"),
    ]
)
_FROM_THE_WAY: Final = ("x-forwarded-", "x-amzn-", "x-amz-cf-", "cloudfront-")


@dataclass(frozen=True, slots=True)
class BreakerThresholds:
    """Shares of bad outcomes at which the breaker moves, in parts per million; the same for all its routes.

    Attributes:
        trip_bad_share_ppm: opens above.
        step_bad_share_ppm: a step of the half-open ramp is good at or below.
        close_bad_share_ppm: closes below.
        down_bad_share_ppm: the ladder steps back towards ``full`` below.
    """

    trip_bad_share_ppm: int = 300_000
    step_bad_share_ppm: int = 120_000
    close_bad_share_ppm: int = 100_000
    down_bad_share_ppm: int = 50_000


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a route demands before authentication, and what it may give up under load.

    Attributes:
        minimum_binding: weakest channel binding that passes.
        required_components: what a signature has to cover beside what each covers: names of header fields in
            lower case, or of the four derived components; so they have to be sent, too.
        allowed_algorithms: suites that may be used, in order of preference.
        ladder: rungs the route may step down, in order; the first is ``full``. ``classical`` is among them
            only where the policy says ``classical_fallback`` too.
        header_budget: most bytes of header values.
        availability_floor_ppm: share of bad outcomes, in parts per million, above which the ladder may leave
            ``full``; the same for all routes of one backend.
        latency_objective_ms: an outcome slower than this is bad.
        breaker: thresholds of the breaker; the same for all routes of one backend.
        backend: what the route calls: the name of its breaker.
        rate_limit: how fast one client may call; None for no limit.
    """

    minimum_binding: str
    allowed_algorithms: tuple[str, ...]
    ladder: tuple[str, ...] = (BreakerLevel.FULL.value,)
    header_budget: int = MAX_HEADER_BUDGET
    availability_floor_ppm: int = 100_000
    latency_objective_ms: int = 1_000
    breaker: BreakerThresholds = BreakerThresholds()
    required_components: tuple[str, ...] = ()
    backend: str = OWN_BACKEND
    rate_limit: RateLimit | None = None


@dataclass(frozen=True, slots=True)
class Controls:
    """What moves the breaker of one backend, so these are the same for all routes that call it.

    Attributes:
        thresholds: shares of bad outcomes at which it moves.
        availability_floor_ppm: the share above which its ladder may leave ``full``.
        rungs: those of any of these routes' ladders, in order, from ``full`` to ``shed``.
    """

    thresholds: BreakerThresholds
    availability_floor_ppm: int
    rungs: tuple[BreakerLevel, ...]


class OutputError(PolicyError):
    """One output of a policy is missing or cannot be what it is.

    Attributes:
        output: name of the rule.
    """

    def __init__(self, output: str, reason: str) -> None:
        super().__init__(f"{output} {reason}")
        self.output = output


def read_requirements(answer: Mapping[str, Any], api: str = OWN_API) -> Requirements:
    """Read the rules of package ``signet``, as evaluated for a route.

    Args:
        answer: rule → value.
        api: name of the route's API.

    Raises:
        OutputError: a rule is missing, has the wrong type, or names what does not exist.
    """
    binding = _output(answer, "minimum_binding", str)
    if binding not in BINDING_TYPES:
        raise OutputError("minimum_binding", f"is {binding!r}; it is one of {', '.join(BINDING_TYPES)}")
    breaker = _breaker(answer)
    floor = _number(answer, "availability_floor_ppm", PPM)
    if not breaker.down_bad_share_ppm < floor <= breaker.trip_bad_share_ppm:
        raise OutputError(
            "availability_floor_ppm",
            f"is {floor}; it lies above down_bad_share_ppm ({breaker.down_bad_share_ppm}), where the ladder "
            f"steps back, and not above trip_bad_share_ppm ({breaker.trip_bad_share_ppm})",
        )
    return Requirements(
        minimum_binding=binding,
        allowed_algorithms=_names(answer, "allowed_algorithms", NAMES),
        ladder=_ladder(answer),
        header_budget=_number(answer, "header_budget", MAX_HEADER_BUDGET),
        availability_floor_ppm=floor,
        latency_objective_ms=_number(answer, "latency_objective_ms", MAX_LATENCY_MS, least=1),
        breaker=breaker,
        required_components=_components(answer),
        backend=_backend(answer, api),
        rate_limit=_rate_limit(answer, api),
    )


def _rate_limit(answer: Mapping[str, Any], api: str) -> RateLimit | None:
    try:
        return read_rate_limit(answer, api)
    except ValueError as error:
        raise OutputError(RATE_LIMIT, str(error)) from error


def _backend(answer: Mapping[str, Any], api: str) -> str:
    """Read ``backend``; policies from before it was there know one for each API."""
    if "backend" not in answer:
        return OWN_BACKEND if api == OWN_API else api
    name: str = _output(answer, "backend", str)
    if not NAME.fullmatch(name):
        raise OutputError("backend", f"is {name!r}; it is up to 32 lower-case letters, digits and -")
    return name


def component_trouble(name: object) -> str | None:
    """Say why something cannot be demanded of a signature; None if it can.

    Args:
        name: of the component, as RFC 9421 identifies it: a field's in lower case, or a derived one's.
    """
    if not isinstance(name, str):
        return f"{name!r} is no text"
    if name.startswith("@"):
        return None if name in ALWAYS_COVERED else f"{name!r} cannot be rebuilt by the authorizer"
    if not FIELD_NAME.fullmatch(name):
        return f"{name!r} is no name of a header field in lower case"
    if name in _NEVER_COVERED or name.startswith(_FROM_THE_WAY):
        return f"{name!r} says the way, not the caller, or cannot be signed"
    return None


def _components(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Read ``required_components``; policies from before it was there demand nothing by it."""
    if "required_components" not in answer:
        return ()
    names = _output(answer, "required_components", list)
    for name in names:
        if trouble := component_trouble(name):
            raise OutputError("required_components", f"is wrong: {trouble}")
    if len(set(names)) != len(names) or len(names) > MAX_COMPONENTS:
        raise OutputError("required_components", f"names something twice, or more than {MAX_COMPONENTS}")
    return tuple(sorted(names))  # the policy's sets come in any order


def _breaker(answer: Mapping[str, Any]) -> BreakerThresholds:
    shares = _output(answer, "breaker", dict)
    names = {field.name for field in fields(BreakerThresholds)}
    if shares.keys() != names:
        raise OutputError("breaker", f"has exactly the members {', '.join(sorted(names))}")
    for name, share in shares.items():
        if type(share) is not int:
            raise OutputError("breaker", f"has a {name} that is no integer")
    found = BreakerThresholds(**shares)
    if not (
        0 < found.close_bad_share_ppm <= found.step_bad_share_ppm < found.trip_bad_share_ppm < PPM
        and found.down_bad_share_ppm >= 0
    ):
        raise OutputError(
            "breaker",
            "contradicts itself: it needs 0 < close_bad_share_ppm <= step_bad_share_ppm < trip_bad_share_ppm "
            f"< {PPM}, or it would open and close on the same evidence",
        )
    return found


def _ladder(answer: Mapping[str, Any]) -> tuple[str, ...]:
    ladder = _names(answer, "ladder", [rung.value for rung in _RUNGS])
    places = [_RUNGS.index(BreakerLevel(rung)) for rung in ladder]
    if places[:1] != [0]:
        raise OutputError("ladder", "does not begin with 'full', where every route starts")
    if places != sorted(set(places)):
        raise OutputError("ladder", f"is not in the order {', '.join(_RUNGS)}")
    fallback = _output(answer, "classical_fallback", bool)
    if BreakerLevel.CLASSICAL in ladder and not fallback:
        raise OutputError("ladder", "has the rung 'classical', but classical_fallback is off")
    return ladder


def _output(answer: Mapping[str, Any], name: str, kind: type) -> Any:
    value = answer.get(name)
    if value is None:
        raise OutputError(
            name, f"is not defined; the package needs a rule of that name (type: {_WORDS[kind]})"
        )
    if type(value) is not kind:
        raise OutputError(name, f"is {_WORDS.get(type(value), 'null')} instead of {_WORDS[kind]}")
    return value


def _names(answer: Mapping[str, Any], output: str, known: Any) -> tuple[str, ...]:
    values = _output(answer, output, list)
    for value in values:
        if value not in known:
            raise OutputError(output, f"names {value!r}; there are {', '.join(known)}")
    if len(set(values)) != len(values):
        raise OutputError(output, "names something twice")
    return tuple(values)


def _number(answer: Mapping[str, Any], output: str, most: int, *, least: int = 0) -> int:
    value: int = _output(answer, output, int)
    if not least <= value <= most:
        raise OutputError(output, f"is {value}; it lies between {least} and {most}")
    return value


_WORDS: Final[Mapping[type, str]] = {
    str: "text",
    list: "array",
    int: "integer",
    float: "number with a fraction",
    bool: "boolean",
    dict: "object",
}
