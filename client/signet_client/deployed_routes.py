"""The routes that a deployed API has."""

from __future__ import annotations

import time

from signet.core.errors import UnavailableError
from signet_client.declared_routes import Declared
from signet_client.doctor.asking import Asking
from signet_client.doctor.reading_apis import read_api
from signet_client.stack import aws, aws_errors


def read_deployed(api_id: str, stage: str) -> Declared:
    """Read the routes of a REST or HTTP API.

    Raises:
        NotFoundError: there is no such API, or no such stage.
        UnavailableError: AWS does not tell them; names the permission that is missing.
    """
    asking = Asking(aws, time.time)
    with aws_errors(f"look at the API {api_id!r}"):
        api = read_api(asking, api_id, stage)
    if api is None or api.methods is None:
        told = "; ".join(f"{unseen.what}: {unseen.why}" for unseen in asking.unseen)
        raise UnavailableError(f"the routes of the API {api_id!r} could not be read ({told})")
    routes = {method.route: method.authorization == "CUSTOM" for method in api.methods}
    return Declared(routes, source=f"{api}")
