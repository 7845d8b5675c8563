"""A fault session as a picture, drawn from its receipts alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl

from local.fault import moves
from signet.core.instants import parse_utc_millis

mpl.use("Agg")  # before pyplot: there may be no display

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

_STATE_COLOURS = {"closed": "#2e7d4f", "open": "#c0392b", "half_open": "#d8932a"}
_DECISION_COLOURS = {"allow": "#8fc7a0", "shed": "#e2948a"}
_LABELS = {"allow": "let in", "shed": "shed"}
_BEFORE_S, _AFTER_S = 4, 2
_GREY = "#555555"


def fault_picture(receipts: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw decisions per second, let in and shed, under the breaker's states; write a PNG.

    Args:
        receipts: decisions and transitions, in any order; at least one transition.
        path: the file to write.
    """
    transitions = moves(receipts)
    zero_ms = parse_utc_millis(transitions[0]["decided_at"]) - _BEFORE_S * 1000

    def second(receipt: Mapping[str, Any]) -> float:
        return (parse_utc_millis(receipt["decided_at"]) - zero_ms) / 1000

    end_s = math.ceil(second(transitions[-1])) + _AFTER_S
    figure, axes = plt.subplots(figsize=(10, 4), dpi=120, layout="constrained")
    highest = _draw_decisions(axes, [r for r in receipts if r["type"] == "pch.decision"], second, end_s)
    _draw_states(axes, transitions, second, end_s)
    axes.set(xlim=(0, end_s), ylim=(0, highest * 1.2), xlabel="seconds", ylabel="decisions per second")
    axes.set_title("A slow backend, told by its receipts alone", loc="left", fontsize=12, pad=26)
    axes.locator_params(axis="y", integer=True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1.1), borderaxespad=0, frameon=False, ncols=2)
    figure.savefig(path)
    plt.close(figure)


def _draw_decisions(
    axes: Axes, decisions: Sequence[Mapping[str, Any]], second: Callable[[Any], float], end_s: int
) -> int:
    """Stack what was shed on what was let in, second by second; return the height of the highest bar."""
    heights = [0] * end_s
    for decision, colour in _DECISION_COLOURS.items():
        counted = Counter(math.floor(second(r)) for r in decisions if r["decision"] == decision)
        found = [counted[n] for n in range(end_s)]
        at = [n + 0.5 for n in range(end_s)]
        axes.bar(at, found, width=0.92, bottom=heights, color=colour, label=_LABELS[decision])
        heights = [low + high for low, high in zip(heights, found, strict=True)]
    return max(heights)


def _draw_states(
    axes: Axes, transitions: Sequence[Mapping[str, Any]], second: Callable[[Any], float], end_s: int
) -> None:
    """Draw a strip of states above, and at each change its reason and the figures it rests on."""
    changes = [move for move in transitions if move["from"]["state"] != move["to"]["state"]]
    edges = [0.0, *map(second, changes), float(end_s)]
    states = [transitions[0]["from"]["state"], *(move["to"]["state"] for move in changes)]
    above = axes.get_xaxis_transform()  # seconds across, share of the height upwards
    for (start, end), state in zip(pairwise(edges), states, strict=True):
        strip = Rectangle(
            (start, 1.02), end - start, 0.075, transform=above, clip_on=False, color=_STATE_COLOURS[state]
        )
        axes.add_patch(strip)
        middle, name = (start + end) / 2, state.replace("_", " ")
        axes.text(
            middle, 1.057, name, transform=above, color="white", weight="bold", ha="center", va="center"
        )
    for move in changes:
        figures, cause = move["figures"], move["cause"].replace("_", " ")
        told = f"{cause}\n{figures['bad_share_ppm'] / 10_000:.0f} % bad"
        axes.axvline(second(move), color=_GREY, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.text(second(move) + 0.2, 0.98, told, transform=above, color=_GREY, fontsize=8.5, va="top")
