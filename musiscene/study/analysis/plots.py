"""Figures for a paper: every mark is data, colours that people with any colour vision tell apart, text as text."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from musiscene.study.analysis.results import Analysis

Figure = Any

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#777777", "#000000")
"""M. Okabe and K. Ito, Color Universal Design (2008)."""
_STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "musiscene",
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
}
_BANDS = ("Bad", "Poor", "Fair", "Good", "Excellent")


def figures(analysis: Analysis) -> dict[str, Callable[[], Figure]]:
    """Name -> a function that draws the figure; only those for which there are data."""
    made: dict[str, Callable[[], Figure]] = {}
    if len(analysis.main):
        made["means"] = lambda: _means(analysis)
        made["items"] = lambda: _items(analysis)
        made["distribution"] = lambda: _distribution(analysis)
    if analysis.raw.differences:
        made["differences"] = lambda: _differences(analysis)
    return made


def rendered(draw: Callable[[], Figure], kind: str) -> bytes:
    """A figure as "svg" or "png" (300 dots an inch)."""
    import matplotlib

    out = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure = draw()
        metadata: dict[str, Any] = {"Date": None} if kind == "svg" else {}
        figure.savefig(out, format=kind, dpi=300, bbox_inches="tight", metadata=metadata)
    return out.getvalue()


def _new(width: float, height: float) -> tuple[Figure, Any]:
    from matplotlib.figure import Figure as MatplotlibFigure  # no pyplot: it keeps state for the whole process

    figure = MatplotlibFigure(figsize=(width, height))
    return figure, figure.subplots()


def _means(analysis: Analysis) -> Figure:
    """Means with intervals, raw and screened, over the participants' own means."""
    figure, axes = _new(5.4, 3.4)
    names = [mean.condition for mean in analysis.raw.means]
    generator = np.random.default_rng(0)
    for place, name in enumerate(names):
        own = analysis.main[analysis.main["condition"] == name].groupby("participant")["value"].mean()
        spread = generator.uniform(-0.13, 0.13, len(own))
        axes.scatter(place + spread, own, s=7, color=_colour(place), alpha=0.3, linewidths=0)
    same = analysis.raw is analysis.screened
    for statements, shift, marker, label in (
        (analysis.raw, 0.0 if same else -0.22, "o", "all participants"),
        (analysis.screened, 0.22, "s", "after screening"),
    ):
        if same and label != "all participants":
            continue
        for mean in statements.means:
            x = names.index(mean.condition) + shift
            if mean.low is not None and mean.high is not None:
                error = [[mean.mean - mean.low], [mean.high - mean.mean]]
                axes.errorbar(x, mean.mean, yerr=error, color="#111111", capsize=3, linewidth=1.2)
            axes.plot(
                x,
                mean.mean,
                marker,
                color="#111111",
                markersize=5,
                markerfacecolor="white" if marker == "s" else "#111111",
            )
    if not same:
        handles = [
            axes.plot([], [], "o", color="#111111", label="all participants")[0],
            axes.plot([], [], "s", color="#111111", markerfacecolor="white", label="after screening")[0],
        ]
        axes.legend(handles=handles, frameon=False, loc="upper left", bbox_to_anchor=(0, 1.16), ncols=2)
    axes.set_xticks(range(len(names)), names)
    axes.set_xlim(-0.6, len(names) - 0.4)
    _scale(axes)
    return figure


def _items(analysis: Analysis) -> Figure:
    """Mean of every video in every condition."""
    table = analysis.main.pivot_table(index="item", columns="condition", values="value", aggfunc="mean")
    names = [mean.condition for mean in analysis.raw.means if mean.condition in table]
    table = table[names]
    order = table.mean(axis=1).sort_values().index
    figure, axes = _new(5.4, 1.0 + 0.24 * len(order))
    for place, name in enumerate(names):
        axes.plot(
            table.loc[order, name],
            range(len(order)),
            "osD^vP*X"[place % 8],
            color=_colour(place),
            label=name,
            markersize=5,
            clip_on=False,
        )
    for row, item in enumerate(order):
        values = table.loc[item].dropna()
        axes.plot([values.min(), values.max()], [row, row], color="#cccccc", linewidth=1, zorder=0)
    axes.set_yticks(range(len(order)), [str(item)[:32] for item in order])
    axes.set_xlabel("mean rating")
    low, high = axes.get_xlim()
    axes.set_xlim(max(0, low), min(100, high))
    axes.legend(frameon=False, ncols=min(4, len(names)), loc="lower left", bbox_to_anchor=(0, 1.0))
    return figure


def _distribution(analysis: Analysis) -> Figure:
    """How the scale was used: the share of ratings in steps of ten, for each condition."""
    names = [mean.condition for mean in analysis.raw.means]
    figure, axes = _new(5.4, 2.8)
    edges = np.arange(0, 101, 10)
    for place, name in enumerate(names):
        values = analysis.main[analysis.main["condition"] == name]["value"]
        share = np.histogram(values, edges)[0] / max(1, len(values)) * 100
        axes.plot(edges[:-1] + 5, share, color=_colour(place), marker="osD^vP*X"[place % 8], markersize=4, label=name,
                  clip_on=False)  # fmt: skip
    axes.set_xlabel("rating")
    axes.set_ylabel("% of ratings")
    axes.set_ylim(0, min(100, axes.get_ylim()[1]))
    axes.legend(frameon=False)
    return figure


def _differences(analysis: Analysis) -> Figure:
    """Pairwise differences with intervals, of the mixed models."""
    shown = analysis.screened.differences or analysis.raw.differences
    figure, axes = _new(5.4, 0.9 + 0.36 * len(shown))
    for row, gap in enumerate(reversed(shown)):
        colour = COLOURS[0] if gap.significant else "#777777"
        axes.plot([gap.low, gap.high], [row, row], color=colour, linewidth=1.6)
        axes.plot(gap.estimate, row, "o", color=colour, markersize=5)
    axes.axvline(0, color="#111111", linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_yticks(range(len(shown)), [f"{gap.second} − {gap.first}" for gap in reversed(shown)])
    axes.set_ylim(-0.6, len(shown) - 0.4)
    axes.set_xlabel("difference in points, 95 % interval (filled blue: Holm-corrected p < 0.05)")
    return figure


def _scale(axes: Any) -> None:
    axes.set_ylim(0, 100)
    axes.set_yticks(range(0, 101, 20))
    axes.set_ylabel("rating")
    for place, band in enumerate(_BANDS):
        axes.text(
            1.01,
            place * 20 + 10,
            band,
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=7.5,
            color="#555555",
        )
        axes.axhline(place * 20, color="#dddddd", linewidth=0.6, zorder=0)


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def balance_words(table: pd.DataFrame) -> str:
    """How many ratings the cells have, as words for a caption."""
    if table.empty:
        return "no ratings yet"
    low, high = int(table.to_numpy().min()), int(table.to_numpy().max())
    return f"{low} ratings in each cell" if low == high else f"{low} to {high} ratings a cell"
