"""State, shed share and latency over time, ours beside the peers; PNG files in ``.local/bench/breaker``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.breaker.runs import Job, build
from bench.breaker.simulation import Run, Second, simulate

FOLDER: Final = Path(".local/bench/breaker")
_FLEET: Final = 20
_SHOWN: Final = ("signet", "resilience4j", "Powertools")
_COLOURS: Final = {"signet": "#1b7837", "resilience4j": "#d95f0e", "Powertools": "#4a6fb5"}
_FAULT_COLOUR: Final = "#fbe7bf"
_SMOOTH_S: Final = 3


def draw(scenarios: Sequence[str], *, seed: int, folder: Path = FOLDER, dpi: int = 110) -> list[str]:
    """Draw scenarios; return the files' names."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and only here

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is chosen

    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for scenario in scenarios:
        figure, axes = plt.subplots(
            3, 1, sharex=True, figsize=(10, 7), height_ratios=(1, 2.2, 2.2), layout="constrained"
        )
        for lane, breaker in enumerate(reversed(_SHOWN)):
            fleet = build(Job(breaker, scenario, seed, _FLEET))
            _curves(axes, lane, breaker, simulate(scenario, seed, fleet, _FLEET))
        _label(figure, axes, scenario)
        path = folder / f"{'-'.join(scenario.replace('/', ' ').replace('%', '').split())}.png"
        figure.savefig(path, dpi=dpi)
        plt.close(figure)
        names.append(str(path))
    return names


def _curves(axes: Any, lane: int, breaker: str, run: Run) -> None:
    times = range(len(run.seconds))
    ours = breaker == "signet"
    style = {"color": _COLOURS[breaker], "linewidth": 1.8 if ours else 1.0, "alpha": 1.0 if ours else 0.75}
    spans = [run.seconds[max(0, at - _SMOOTH_S + 1) : at + 1] for at in times]
    # A lane per breaker, as high as the share that its state turns away.
    states = [lane + 0.8 * second.open_share for second in run.seconds]
    axes[0].fill_between(times, lane, states, step="post", color=_COLOURS[breaker], linewidth=0)
    axes[1].plot(times, [100 * _shed(span) for span in spans], label=breaker, **style)
    axes[2].plot(times, [_latency_ms(span) for span in spans], **style)
    if ours and run.plan.fault_from_s is not None and run.plan.fault_to_s is not None:
        for axis in axes:
            axis.axvspan(run.plan.fault_from_s, run.plan.fault_to_s, color=_FAULT_COLOUR, zorder=0)
        axes[0].set_xlim(run.plan.fault_from_s - 30, run.plan.fault_to_s + 60)


def _label(figure: Any, axes: Any, scenario: str) -> None:
    figure.suptitle(f"{scenario}, {_FLEET} environments; shaded: the fault")
    axes[0].set_yticks([lane + 0.4 for lane in range(len(_SHOWN))], reversed(_SHOWN))
    axes[0].tick_params(axis="y", length=0)
    axes[0].set_title("state: nothing where closed, full height where open", fontsize=9, loc="left")
    axes[1].set_title("requests turned away, %", fontsize=9, loc="left")
    axes[2].set_title("mean latency of the others, ms", fontsize=9, loc="left")
    axes[2].set_xlabel("seconds")
    axes[1].legend(loc="upper right", reverse=True)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_ylim(bottom=0)


def _shed(span: Sequence[Second]) -> float:
    return sum(second.shed for second in span) / max(1, sum(second.offered for second in span))


def _latency_ms(span: Sequence[Second]) -> float:
    admitted = sum(second.offered - second.shed for second in span)
    return 1000 * sum(second.latency_s for second in span) / admitted if admitted else float("nan")
