"""The fusion caption: the picture's motion against the music's energy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from musiscene.plots.canvas import NORMAL, Ink, Row, number, numbers, time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

VERDICTS = {"agree": "they agree", "partly": "they agree in part", "disagree": "they disagree"}


def fusion_rows(evidence: Mapping[str, Any]) -> list[Row]:
    """The rows that the evidence allows."""
    motion, energy = numbers(evidence.get("motion_curve")), numbers(evidence.get("energy_curve"))
    if len(motion) < 2 and len(energy) < 2:
        return []
    duration = number(evidence.get("duration_s")) or 0.0
    note = VERDICTS.get(str(evidence.get("agreement_word")), "")
    return [Row(104, lambda axes, ink: _draw_curves(axes, ink, motion, energy, duration, note))]


def _draw_curves(
    axes: Axes, ink: Ink, motion: Sequence[float], energy: Sequence[float], duration: float, note: str
) -> None:
    length = duration or 1.0
    axes.set_xlim(0, length)
    axes.set_ylim(0, 1.42)
    named = []
    for values, colour, name in ((motion, ink.video, "Picture's motion"), (energy, ink.music, "Music's energy")):
        if len(values) < 2:
            continue
        times = np.linspace(0, length, len(values))
        axes.fill_between(times, 0, np.clip(values, 0, 1), color=colour, alpha=0.16, lw=0)
        axes.plot(times, np.clip(values, 0, 1), color=colour, lw=1.8, solid_joinstyle="round")
        named.append((name, colour))
    place = 0.0
    for name, colour in named:
        axes.text(
            place, 0.99, name, transform=axes.transAxes, color=colour, fontsize=NORMAL, va="top", fontweight="bold"
        )
        place += 0.022 * len(name) * 0.82 + 0.04
    axes.text(1.0, 0.99, note, transform=axes.transAxes, color=ink.text, fontsize=NORMAL, va="top", ha="right")
    if duration:
        time_axis(axes, ink, duration)
    else:
        axes.set_xticks([])
