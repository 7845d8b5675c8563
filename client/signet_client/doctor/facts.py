"""What a reading of a deployment found: plain values. None stands for what could not be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from signet.core.apis import OWN_API

Kind = Literal["rest", "http"]

#: Routes of Signet's own API that are open on purpose: a caller without a proof begins there, and backends
#: have none.
OPEN_ROUTES: Final = frozenset(
    {
        "GET /.well-known/pch",
        "GET /pch/assertion-keys",
        "GET /pch/challenge",
        "POST /pch/evidence",
        "GET /pch/keys",
        "POST /pch/outcomes",
    }
)
ANY: Final = "ANY"
PREFLIGHT: Final = "OPTIONS"
#: What checks read beside the outputs: parameters of the stack, and a variable of the authorizer.
EDGE: Final = "EdgeSecretArn"
ENDPOINT: Final = "EndpointUrl"
SKEW: Final = "ClockSkewSeconds"
AUTHORITIES: Final = "SIGNET_AUTHORITIES"


@dataclass(frozen=True, slots=True)
class Unseen:
    """What was not looked at.

    Attributes:
        what: in words: "the authorizers of API a1b2".
        why: in words, with the permission where one is missing.
    """

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Authorizer:
    """An authorizer of an API.

    Attributes:
        id: API Gateway's name of it.
        name: the API's owner's.
        type: ``REQUEST``, ``TOKEN``, ``COGNITO_USER_POOLS`` or ``JWT``.
        ttl_s: seconds for which answers are cached; None if it does not say.
        identity_sources: what a request has to bring for it to be asked.
        function: ARN of its Lambda function, with a qualifier if it has one; empty without one.
        by_role: whether API Gateway takes a role to call it, and no permission of the function's.
        payload: ``1.0`` or ``2.0``; HTTP APIs only.
        simple: whether simple responses are taken; HTTP APIs only.
    """

    id: str
    name: str
    type: str
    ttl_s: int | None
    identity_sources: tuple[str, ...] = ()
    function: str = ""
    by_role: bool = False
    payload: str = ""
    simple: bool = False


@dataclass(frozen=True, slots=True)
class Method:
    """A method of a REST API, or a route of an HTTP API.

    Attributes:
        verb: ``GET``, …, or ``ANY``.
        path: the resource, as ``/orders/{id}``; ``$default`` for the route of that name.
        authorization: ``NONE``, ``CUSTOM``, ``AWS_IAM``, ``COGNITO_USER_POOLS`` or ``JWT``.
        authorizer_id: which authorizer is asked; empty for none.
    """

    verb: str
    path: str
    authorization: str
    authorizer_id: str = ""

    @property
    def route(self) -> str:
        """As policy spells it: ``GET /orders/{id}``."""
        return f"{self.verb} {self.path}"


@dataclass(frozen=True, slots=True)
class Domain:
    """A custom domain name that leads to an API's stage."""

    name: str
    mutual_tls: bool


@dataclass(frozen=True, slots=True)
class Cors:
    """What an HTTP API answers preflight requests with, by itself; names in lower case."""

    allow_headers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Api:
    """An API and the stage that was named.

    Attributes:
        id: API Gateway's name of it.
        kind: REST or HTTP.
        stage: the stage that was named.
        own: whether it is the API of Signet's own stack.
        name: what the policy calls it; empty where it is not registered, or that was not seen.
        arn: ``arn:PARTITION:execute-api:REGION:ACCOUNT:ID``.
        endpoint_open: whether its execute-api name answers.
        methods: all of them.
        authorizers: all of them, by id.
        responses: gateway responses that were customised: type → header fields, names in lower case (REST).
        stages: names of all stages.
        rate: requests per second that the stage lets pass; None without a limit of its own.
        cors: its own answers to preflight requests (HTTP); None without.
        domains: custom domain names that lead to the stage.
    """

    id: str
    kind: Kind
    stage: str
    own: bool
    arn: str
    endpoint_open: bool = True
    methods: tuple[Method, ...] | None = None
    authorizers: Mapping[str, Authorizer] | None = None
    responses: Mapping[str, Mapping[str, str]] | None = None
    stages: tuple[str, ...] | None = None
    rate: float | None = None
    cors: Cors | None = None
    domains: tuple[Domain, ...] | None = None
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind.upper()} API {self.id}"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of a function; without architectures or runtimes where it does not name any."""

    arn: str
    architectures: tuple[str, ...]
    runtimes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function of the stack.

    Attributes:
        output: the stack's output that names it: ``AuthorizerFunction``.
        name: Lambda's name of it.
        arn: without a qualifier.
        timeout_s: seconds.
        architectures: instruction sets.
        runtime: such as ``python3.13``.
        environment: variables.
        layers: those that could be read.
    """

    output: str
    name: str
    arn: str
    timeout_s: int
    architectures: tuple[str, ...]
    runtime: str
    environment: Mapping[str, str]
    layers: tuple[Layer, ...] = ()


@dataclass(frozen=True, slots=True)
class Grant:
    """A statement of a function's policy that lets API Gateway call it.

    Attributes:
        qualifier: the version or alias it is about; empty for the function itself.
        sources: patterns of what may call; empty for all.
        accounts: accounts whose APIs may; empty for all.
    """

    qualifier: str
    sources: tuple[str, ...]
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue.

    Attributes:
        output: the stack's output that names it.
        waiting: messages, those in flight too.
        oldest_s: age of the oldest message, seconds; None where CloudWatch has no figure.
    """

    output: str
    waiting: int
    oldest_s: float | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """An alarm of the stack."""

    name: str
    description: str
    acts: bool
    ringing: bool


@dataclass(frozen=True, slots=True)
class Breaker:
    """What the breaker makes of the backend.

    Attributes:
        name: of the backend, as the policy names it.
        state: ``closed``, ``open`` or ``half_open``.
        for_s: seconds since that state began.
        outcomes: outcomes that backends reported lately.
        offered_rps: verified requests that came lately, in a second.
    """

    name: str
    state: str
    for_s: float
    outcomes: int
    offered_rps: float


@dataclass(frozen=True, slots=True)
class Rule:
    """A route of the policy in force; the binding is None where its entry does not say.

    Attributes:
        route: as the API declares it.
        minimum_binding: what its entry demands.
        api: name of the API that it is listed for.
    """

    route: str
    minimum_binding: str | None
    api: str = OWN_API


@dataclass(frozen=True, slots=True)
class Registered:
    """An API that is registered (``signet apis``).

    Attributes:
        name: what the policy calls it.
        id: API Gateway's name of it.
        stage: the stage that is guarded.
        account: AWS account it is in.
    """

    name: str
    id: str
    stage: str
    account: str


@dataclass(frozen=True, slots=True)
class Clock:
    """The time by AWS and by this machine, when an answer came; Unix seconds."""

    aws_s: float
    here_s: float


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment, as far as it was seen.

    Attributes:
        stack: the stack's name.
        parameters: as it was deployed.
        apis: the stack's own, registered ones of its account, and those that were named, as far as they
            could be read.
        registered: all that are; None if that was not seen.
        gone: registered ones that were looked for, and of which there is no API or no such stage.
        functions: by output; a version or alias of the authorizer that an API calls as ``OUTPUT:QUALIFIER``.
        grants: who may call the authorizer.
        reserved: concurrency that is reserved for the authorizer; None for none, or if it was not seen.
        queues: by output.
        head_age_s: age of the newest tree head, seconds; -1 where there is no head.
        alarms: of the stack.
        breakers: those that have a state.
        rules: of the policy in force.
        clock: None where no answer told the time.
        open_routes: routes that are open on purpose, as the operator says.
        unseen: what was not looked at.
    """

    stack: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    apis: tuple[Api, ...] = ()
    registered: tuple[Registered, ...] | None = None
    gone: tuple[Registered, ...] = ()
    functions: Mapping[str, Function] = field(default_factory=dict)
    grants: tuple[Grant, ...] | None = None
    reserved: int | None = None
    queues: Mapping[str, Queue] = field(default_factory=dict)
    head_age_s: float | None = None
    alarms: tuple[Alarm, ...] | None = None
    breakers: tuple[Breaker, ...] = ()
    rules: tuple[Rule, ...] | None = None
    clock: Clock | None = None
    open_routes: frozenset[str] = frozenset()
    unseen: tuple[Unseen, ...] = ()

    @property
    def authorizer(self) -> Function | None:
        """The function that guards, if it could be read."""
        return self.functions.get("AuthorizerFunction")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        id: the check's, a stable word for programs.
        where: what it is about: "REST API a1b2, GET /orders".
        sentence: what is wrong, and what comes of it.
        mend: the line that mends it.
    """

    id: str
    where: str
    sentence: str
    mend: str
