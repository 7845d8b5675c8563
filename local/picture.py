"""A fault session as a picture, drawn from its receipts alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib as mpl

from local.fault import moves
from signet.receipts.instants import parse_utc_millis

mpl.use("Agg")  # before pyplot: there may be no display

from matplotlib import pyplot as plt

_STATE_COLOURS = {"closed": "#d7ecd9", "open": "#f3c8c4", "half_open": "#fbe7bf"}
_MARGIN_S = 6.0


def fault_picture(receipts: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw decisions per second, allowed and shed, over the breaker's states; write a PNG.

    Args:
        receipts: decisions and transitions, in any order; at least one transition.
        path: the file to write.
    """
    transitions = moves(receipts)
    decisions = [receipt for receipt in receipts if receipt["type"] == "pch.decision"]
    zero_ms = parse_utc_millis(transitions[0]["decided_at"]) - round(_MARGIN_S * 1000)

    def second(receipt: Mapping[str, Any]) -> float:
        return (parse_utc_millis(receipt["decided_at"]) - zero_ms) / 1000

    end_s = second(transitions[-1]) + _MARGIN_S
    figure, axes = plt.subplots(figsize=(10, 4.2), dpi=120, layout="constrained")
    edges = [0.0, *map(second, transitions), end_s]
    states = [transitions[0]["from"]["state"], *(move["to"]["state"] for move in transitions)]
    for (start, end), state in zip(pairwise(edges), states, strict=True):
        axes.axvspan(start, end, color=_STATE_COLOURS[state], linewidth=0)
    for (before, after), move in zip(pairwise(states), transitions, strict=True):
        if before != after:
            axes.axvline(second(move), color="#555555", linewidth=0.8)
            axes.annotate(
                f"{after.replace('_', ' ')}\n({move['cause'].replace('_', ' ')})",
                (second(move), 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, -24),
                textcoords="offset points",
                fontsize=8,
            )
    seconds = range(int(end_s) + 1)
    for decision, colour in (("allow", "#1b7837"), ("shed", "#b2182b")):
        counted = Counter(int(second(r)) for r in decisions if r["decision"] == decision)
        axes.step(
            [n + 0.5 for n in seconds],
            [counted[n] for n in seconds],
            where="mid",
            color=colour,
            label=decision,
        )
    axes.set(
        xlim=(0, end_s),
        ylim=(0, None),
        xlabel="seconds",
        ylabel="decisions per second",
        title="One fault, as its receipts tell it: closed, open, half open, closed",
    )
    axes.legend(loc="center right")
    figure.savefig(path)
    plt.close(figure)
