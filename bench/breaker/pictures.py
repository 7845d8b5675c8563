"""State, shed share and latency over time, ours beside the peers; PNG files in ``.local/bench/breaker``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.breaker.runs import breakers
from bench.breaker.simulation import Run, Second, simulate

FOLDER: Final = Path(".local/bench/breaker")
_SEED: Final = 1001
_FLEET: Final = 20
_SHOWN: Final = ("signet", "resilience4j", "Powertools")
_COLOURS: Final = {"signet": "#0b6e4f", "resilience4j": "#c08497", "Powertools": "#7d84b2"}
_SMOOTH_S: Final = 3


def draw(scenarios: Sequence[str], folder: Path = FOLDER, *, dpi: int = 110) -> list[str]:
    """Draw scenarios; return the files' names."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only here

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for scenario in scenarios:
        figure, axes = plt.subplots(3, 1, sharex=True, figsize=(9, 6.5), layout="constrained")
        for breaker in _SHOWN:
            fleet = breakers()[breaker](_FLEET, _SEED)
            _curves(axes, breaker, simulate(scenario, _SEED, fleet, _FLEET))
        _label(figure, axes, scenario)
        path = folder / f"{'-'.join(scenario.replace('/', ' ').replace('%', '').split())}.png"
        figure.savefig(path, dpi=dpi)
        plt.close(figure)
        names.append(str(path))
    return names


def _curves(axes: Any, breaker: str, run: Run) -> None:
    times = range(len(run.seconds))
    style = {"color": _COLOURS[breaker], "linewidth": 1.4 if breaker == "signet" else 0.9, "label": breaker}
    states = [second.open_share for second in run.seconds]
    spans = [run.seconds[max(0, at - _SMOOTH_S + 1) : at + 1] for at in times]
    axes[0].step(times, states, where="post", **style)
    axes[1].plot(times, [100 * _shed(span) for span in spans], **style)
    axes[2].plot(times, [_latency_ms(span) for span in spans], **style)
    if breaker == "signet" and run.plan.fault_from_s is not None:
        for axis in axes:
            axis.axvspan(run.plan.fault_from_s, run.plan.fault_to_s, color="#f4d58d", alpha=0.35, linewidth=0)


def _label(figure: Any, axes: Any, scenario: str) -> None:
    figure.suptitle(f"{scenario}, {_FLEET} environments (shaded: the fault)")
    axes[0].set_ylabel("not admitted by state")
    axes[1].set_ylabel("shed, %")
    axes[2].set_ylabel("mean latency, ms")
    axes[2].set_xlabel("seconds")
    axes[0].legend(loc="upper right")


def _shed(span: Sequence[Second]) -> float:
    return sum(second.shed for second in span) / max(1, sum(second.offered for second in span))


def _latency_ms(span: Sequence[Second]) -> float:
    admitted = sum(second.offered - second.shed for second in span)
    return 1000 * sum(second.latency_s for second in span) / admitted if admitted else float("nan")
