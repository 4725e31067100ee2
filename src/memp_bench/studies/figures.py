"""Pictures for reports, drawn with matplotlib (extra `report`)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from memp.errors import MissingExtra

# Okabe-Ito: told apart by colour-blind readers too.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")


def learning_curve(
    file: Path, curves: Mapping[str, Sequence[Sequence[float]]], *, games_per_group: int, title: str
) -> None:
    """Draw the share of games won so far: for each arm the mean over seeds and a band of one standard deviation.

    `curves` maps an arm to one sequence of rates in [0, 1] a seed, all of one length.

    Raises:
        MissingExtra: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # not pyplot: no global state, no display
    except ImportError as error:
        raise MissingExtra("report", "drawing a picture") from error
    figure = Figure(figsize=(7, 4), dpi=150, layout="constrained")
    axes = figure.subplots()
    for color, (arm, seeds) in zip(COLORS, curves.items(), strict=False):
        rates = 100 * np.asarray(seeds, dtype=float)
        games = games_per_group * np.arange(1, rates.shape[1] + 1)
        mean, spread = rates.mean(axis=0), rates.std(axis=0)
        axes.plot(games, mean, color=color, marker="o", markersize=4, label=arm)
        axes.fill_between(games, mean - spread, mean + spread, color=color, alpha=0.15, linewidth=0)
    axes.set(xlabel="games played", ylabel="won so far, %", ylim=(0, 102), title=title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.25)
    axes.legend(frameon=False, loc="best")
    figure.savefig(file)
