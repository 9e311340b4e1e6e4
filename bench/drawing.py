"""Plots of what the benches found, as pictures beside their tables."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

_INK, _OURS, _PALE = "#1f2933", "#b45309", "#9aa5b1"


def bars(rates: Mapping[str, Sequence[float]], file: Path) -> None:
    """Pages a second of each contestant: the median as a bar, every run as a dot."""
    names = list(rates)[::-1]
    figure, axes = plt.subplots(figsize=(8, 0.55 * len(names) + 1), layout="constrained")
    middles = [statistics.median(rates[name]) for name in names]
    colours = [_OURS if name.startswith("watcher") else _PALE for name in names]
    axes.barh(names, middles, color=colours, height=0.6)
    for place, name in enumerate(names):
        axes.plot(rates[name], [place] * len(rates[name]), ".", color=_INK, markersize=4)
        axes.text(max(rates[name]), place, f"  {middles[place]:.0f}", va="center", color=_INK)
    axes.set_xlabel("pages a second on one core (0.9 MB each; only the loop stores and judges)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False)
    figure.savefig(file, dpi=110)
    plt.close(figure)


def costs(papers: Sequence[int], milliseconds: Mapping[str, Sequence[float]], file: Path) -> None:
    """Milliseconds of a visit over the papers stored, a line for each group of pages."""
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for (name, values), colour in zip(milliseconds.items(), (_OURS, _INK), strict=False):
        axes.plot(papers, values, "o-", color=colour, label=name)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("papers in the store")
    axes.set_ylabel("ms a visit, read and recorded")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)
    plt.close(figure)
