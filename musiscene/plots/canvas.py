"""What all drawings share: colours, rows, labels, and reading numbers from evidence that may lack them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from musiscene.palette import ACCENTS
from musiscene.types import CaptionKind

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Theme = Literal["light", "dark"]

WIDTH_PT = 400.0
"""Width of a drawing; at one CSS pixel a point its letters (9 to 10 pt) are readable on a phone."""
SMALL, NORMAL = 9.0, 10.0
SIDE_PT = 8.0
"""Margin on the left and on the right."""


@dataclass(frozen=True, slots=True)
class Ink:
    """Colours of one drawing."""

    accent: str
    text: str
    faint: str
    line: str
    video: str
    music: str

    @classmethod
    def of(cls, kind: CaptionKind, theme: Theme) -> Ink:
        """The colours of `kind` in `theme`."""
        own, video, music = (getattr(ACCENTS[k], theme) for k in (kind, CaptionKind.VIDEO, CaptionKind.MUSIC))
        if theme == "dark":
            return cls(own, "#e9ebf0", "#a4acba", "#3b414d", video, music)
        return cls(own, "#1c2129", "#5a6372", "#d9dde4", video, music)


@dataclass(frozen=True, slots=True)
class Row:
    """One band of a drawing: its height in points and how it is drawn into its axes."""

    height_pt: float
    draw: Callable[[Axes, Ink], None]


def make_figure(rows: Sequence[Row], ink: Ink) -> Figure:
    """The rows one below another, without frames."""
    from matplotlib.figure import Figure

    top, bottom, gap = 6.0, 18.0, 20.0
    height = top + bottom + sum(row.height_pt for row in rows) + gap * (len(rows) - 1)
    figure = Figure(figsize=(WIDTH_PT / 72, height / 72), dpi=72)
    edge = top
    for row in rows:
        box = (
            SIDE_PT / WIDTH_PT,
            1 - (edge + row.height_pt) / height,
            (WIDTH_PT - 2 * SIDE_PT) / WIDTH_PT,
            row.height_pt / height,
        )
        axes = figure.add_axes(box)
        axes.patch.set_alpha(0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.tick_params(length=0, labelsize=SMALL, colors=ink.faint, pad=3)
        axes.set_yticks([])
        row.draw(axes, ink)
        edge += row.height_pt + gap
    return figure


def label(axes: Axes, ink: Ink, left: str, right: str) -> None:
    """The name of a row on its left, a figure on its right."""
    axes.text(0, 0.99, left, transform=axes.transAxes, color=ink.text, fontsize=NORMAL, va="top", fontweight="bold")
    axes.text(1, 0.99, right, transform=axes.transAxes, color=ink.text, fontsize=NORMAL, va="top", ha="right")


def time_axis(axes: Axes, ink: Ink, duration: float) -> None:
    """At most eight round times below a row of `duration` seconds."""
    step = next(s for s in (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 3600, 1e9) if duration / s <= 7)
    ticks = [float(t) for t in np.arange(0, duration + 1e-6, step)]
    axes.set_xticks(ticks, [clock(t) for t in ticks])
    labels = axes.get_xticklabels()
    labels[0].set_horizontalalignment("left")
    if len(labels) > 1 and duration - ticks[-1] < step / 5:
        labels[-1].set_horizontalalignment("right")
    axes.axhline(axes.get_ylim()[0], color=ink.line, lw=1.2)


def clock(seconds: float) -> str:
    """A moment as people write it."""
    if seconds >= 60:
        return f"{int(seconds // 60)}:{int(seconds % 60):02d}"
    return f"{seconds:.0f} s" if abs(seconds - round(seconds)) < 0.05 else f"{seconds:.1f} s"


def number(value: Any) -> float | None:
    """`value` when it is a finite number, else None."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value)
    return float(value) if good else None


def numbers(values: Any) -> list[float]:
    """The finite numbers of a list; empty for anything else."""
    found = [number(value) for value in values] if isinstance(values, list | tuple) else []
    return [value for value in found if value is not None]


def entries(values: Any) -> list[Mapping[str, Any]]:
    """The mappings of a list; empty for anything else."""
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list | tuple) else []


def total(values: Any) -> float:
    """Their sum."""
    return sum(numbers(values))
