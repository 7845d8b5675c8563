"""Figure 8: what it adds that bulk goes apart: relaxed beside inline, on the embedded stack."""

from __future__ import annotations

import os
import secrets
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Final

import httpx

from bench.figures import Figure, Section
from bench.timing import MeasurementError, Report
from local.errors import StackError
from local.stack import Stack, embedded
from signet.aws.registry import DynamoClientRegistry
from signet.core.client import Client
from signet.crypto import suites
from signet_client import PCHAuth

LIMIT_MS: Final = 50.0
_ALG = "ml-dsa-65"
_WARM = 5
_FITS, _LARGE = 1_500, 12_000  # bytes of evidence: what fits beside the signature, and what does not
_P90 = 8  # of the nine cuts between tenths


def measure(report: Report, *, quick: bool) -> Section:
    """Start a stack and call it both ways, in turns."""
    report("relaxed mode, on an embedded stack of its own")
    try:
        with embedded(report=lambda _line: None) as stack:
            taken = _call(stack, count=30 if quick else 200)
    except (StackError, httpx.HTTPError) as error:
        raise MeasurementError(f"the embedded stack could not be measured: {error}") from error
    p90 = {name: statistics.quantiles(times, n=10)[_P90] for name, times in taken.items()}
    medians = {name: statistics.median(times) for name, times in taken.items()}
    return Section(
        "8. Relaxed mode, added latency of one call",
        [
            Figure("p90", p90["relaxed"] - p90["inline"], "ms", LIMIT_MS, _beside(p90)),
            Figure("median", medians["relaxed"] - medians["inline"], "ms", None, _beside(medians)),
        ],
        [
            f"{len(taken['inline'])} calls each under {_ALG}, one after the other, challenge included.",
            f"{_FITS:,} bytes of evidence inline, {_LARGE:,} in a bundle. Wall time, on an emulator.",
            f"Load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: where load is more, it measures that.",
        ],
    )


def _beside(figures: Mapping[str, float]) -> str:
    return f"{figures['relaxed']:.1f} ms beside {figures['inline']:.1f} ms"


def _call(stack: Stack, *, count: int) -> dict[str, list[float]]:
    """Return the milliseconds of every call, by mode."""
    key = suites.get(_ALG).generate()
    _registry(stack).put(Client("bench", _ALG, key.public_key_bytes))

    def auth(mode: str, size: int) -> PCHAuth:
        evidence = {"sbom": secrets.token_hex(size // 2)}
        return PCHAuth(
            key, "bench", evidence=evidence, mode=mode, challenge_url=stack.outputs["ChallengeUrl"]
        )

    ways: dict[str, Callable[[], PCHAuth]] = {
        "inline": lambda: auth("inline", _FITS),
        "relaxed": lambda: auth("auto", _LARGE),
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    with httpx.Client(timeout=60) as client:
        for number in range(_WARM + count):
            for name, way in ways.items():
                proof = way()
                started = time.perf_counter()
                status = client.get(stack.outputs["ProtectedUrl"], auth=proof).status_code
                spent = (time.perf_counter() - started) * 1000
                if status != httpx.codes.OK:
                    raise MeasurementError(f"a good request was answered {status}")
                if number >= _WARM:
                    taken[name].append(spent)
    return taken


def _registry(stack: Stack) -> DynamoClientRegistry:
    return DynamoClientRegistry(stack.client("dynamodb"), stack.outputs["ClientsTable"])
