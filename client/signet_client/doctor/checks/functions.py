"""The functions of the stack: what runs them, and what they are told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from signet_client.doctor.checks.guarding import signets
from signet_client.doctor.facts import ENDPOINT, Deployment, Finding, Function

#: Seconds that a REST API waits for what it calls (docs.aws.amazon.com/apigateway/latest/developerguide/
#: limits.html).
_REST_S: Final = 29


def check(deployment: Deployment) -> Iterator[Finding]:
    """Find layers of another kind, time limits beyond the gateway's, and an emulator's endpoint on AWS."""
    for function in deployment.functions.values():
        yield from _layers(function)
        yield from _endpoint(function, deployment)
        if function.output.partition(":")[0] == "AuthorizerFunction":
            yield from _timeout(function, deployment)


def _layers(function: Function) -> Iterator[Finding]:
    where = f"{function.output} ({function.name})"
    for layer in function.layers:
        # A layer that names none says nothing
        # (docs.aws.amazon.com/lambda/latest/api/API_PublishLayerVersion.html).
        if layer.architectures and not set(function.architectures) <= set(layer.architectures):
            wanted = ", ".join(function.architectures)
            yield Finding(
                "layer_architecture",
                where,
                f"it runs on {wanted}, and its layer {layer.arn} is for {', '.join(layer.architectures)}: it "
                "cannot load its libraries",
                f"SIGNET_LAYER_ARCH={wanted} sam build && sam deploy (or Architecture="
                f"{layer.architectures[0]} for the stack)",
            )
        if layer.runtimes and function.runtime not in layer.runtimes:
            version = function.runtime.removeprefix("python")
            yield Finding(
                "layer_runtime",
                where,
                f"it runs {function.runtime}, and its layer {layer.arn} is for {', '.join(layer.runtimes)}",
                f"SIGNET_LAYER_PYTHON={version} sam build && sam deploy",
            )


def _endpoint(function: Function, deployment: Deployment) -> Iterator[Finding]:
    told = function.environment.get("AWS_ENDPOINT_URL", "")
    if told != deployment.parameters.get(ENDPOINT, told):
        yield Finding(
            "endpoint_differs",
            f"{function.output} ({function.name})",
            f"its AWS_ENDPOINT_URL is {told or 'not set'}, the stack's EndpointUrl says "
            f"{deployment.parameters[ENDPOINT] or 'none'}: it keeps its records elsewhere",
            f"sam deploy, or EndpointUrl={told} for the stack {deployment.stack}",
        )


def _timeout(function: Function, deployment: Deployment) -> Iterator[Finding]:
    kinds = {api.kind for api in deployment.apis if signets(api, deployment)}
    where = f"{function.output} ({function.name})"
    # What comes too late for an HTTP API, the authorizer sheds itself (signet.handshake.punctual).
    if "rest" in kinds and function.timeout_s >= _REST_S:
        yield Finding(
            "timeout_over_gateway",
            where,
            f"its time limit is {function.timeout_s} s, and a REST API gives up after {_REST_S} s: the log "
            "may hold an allow that was never answered",
            "Timeout: 25 for AuthorizerFunction in template.yaml, then sam deploy",
        )
