"""The record of a registered API, and what its name looks like."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from signet.core.vocabulary import PayloadKind

#: Name of Signet's own API, where callers get challenges and auditors packs. No other has it.
OWN_API: Final = "signet"
#: What an API's name looks like: it is a key of the policy, a part of a receipt, and the name of its breaker.
NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,31}")
#: Name of the breaker of what Signet's own API calls.
OWN_BACKEND: Final = "backend"
#: Names that no attached API has.
RESERVED: Final = frozenset({OWN_API, OWN_BACKEND})
#: What a gateway calls an API.
API_ID: Final = re.compile(r"[a-z0-9]{1,64}")
#: Name of a stage: https://docs.aws.amazon.com/apigateway/latest/api/API_Stage.html, and ``$default``.
STAGE: Final = re.compile(r"[A-Za-z0-9_-]{1,128}|\$default")
#: The stage that an HTTP API answers under without naming it in the path.
DEFAULT_STAGE: Final = "$default"
ACCOUNT: Final = re.compile(r"[0-9]{12}")
#: Stands for the name that the gateway gives an API: ``<api id>.execute-api.<region>.<url suffix>``.
DEFAULT_AUTHORITY: Final = "default"


@dataclass(frozen=True, slots=True)
class Api:
    """One API that Signet stands in front of.

    Attributes:
        name: what policy, receipts and breaker call it.
        api_id: what the gateway calls it.
        stage: the stage that is guarded; requests to another one are requests to an unknown API.
        kind: payload that its authorizer is sent.
        account: AWS account it is in, 12 digits.
        authorities: ``host[:port]`` under which it answers, lower case; ``default`` stands for the gateway's
            own name. One or more.
        base_paths: base-path mappings under which it answers, each ``/name``; and none where it has none. A
            request whose path has another one in front is refused. Empty: any the gateway says.
        registration: id of the receipt that put it on record; None before there were any.
    """

    name: str
    api_id: str
    stage: str
    kind: PayloadKind
    account: str
    authorities: frozenset[str] = frozenset({DEFAULT_AUTHORITY})
    base_paths: frozenset[str] = frozenset()
    registration: str | None = None
