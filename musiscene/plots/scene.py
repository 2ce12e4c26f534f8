"""The scene caption: where the music lies between calm and excited, unpleasant and pleasant, and the scenes near it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from musiscene.plots.canvas import NORMAL, SIDE_PT, SMALL, WIDTH_PT, Ink, Row, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLANE_PT = 208.0
"""Height of the plane of feelings."""


def scene_rows(evidence: Mapping[str, Any]) -> list[Row]:
    """The rows that the evidence allows."""
    arousal, valence = number(evidence.get("arousal")), number(evidence.get("valence"))
    if arousal is None or valence is None:
        return []
    return [Row(PLANE_PT, lambda axes, ink: _draw_plane(axes, ink, arousal, valence, _near(evidence)))]


def _near(evidence: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Name, valence and arousal of the scenes that the evidence names."""
    from musiscene.scenes import scene

    others = evidence.get("alternatives")
    ids = [evidence.get("scene_id")]
    ids += [entry.get("scene_id") for entry in others if isinstance(entry, Mapping)] if isinstance(others, list) else []
    found = [known for known in map(scene, map(str, ids)) if known is not None]
    return [(known.setting, known.valence, known.arousal) for known in found[:4]]


def _draw_plane(axes: Axes, ink: Ink, arousal: float, valence: float, near: Sequence[tuple[str, float, float]]) -> None:
    from matplotlib.patches import Circle

    axes.set_aspect("equal")
    # The plane stands on the left, the names of the scenes on the right of it.
    span = 2.3 * (WIDTH_PT - 2 * SIDE_PT) / PLANE_PT
    left = -1.12 if near else -span / 2
    axes.set_xlim(left, left + span)
    axes.set_ylim(-1.15, 1.15)
    axes.set_xticks([])
    for radius in (0.5, 1.0):
        axes.add_patch(Circle((0, 0), radius, fill=False, ec=ink.line, lw=0.9))
    axes.plot([-1, 1], [0, 0], color=ink.line, lw=0.9)
    axes.plot([0, 0], [-1, 1], color=ink.line, lw=0.9)
    for x, y, word, across, along in (
        (0.0, 1.03, "excited", "center", "bottom"),
        (0.0, -1.03, "calm", "center", "top"),
        (-0.97, 0.02, "unpleasant", "left", "bottom"),
        (0.97, 0.02, "pleasant", "right", "bottom"),
    ):
        axes.text(x, y, word, color=ink.faint, fontsize=SMALL, ha=across, va=along)
    place = 0.9
    for count, (name, x, y) in enumerate(near, start=1):
        axes.plot([valence, x], [arousal, y], color=ink.accent, lw=0.9, alpha=0.45, zorder=2)
        axes.plot(x, y, "o", ms=6, color=ink.accent, alpha=0.6, mec="none", zorder=3)
        side = 1 if x >= valence else -1
        place_of_number = x + 0.06 * side
        axes.text(
            place_of_number,
            y,
            str(count),
            color=ink.text,
            fontsize=SMALL,
            va="center",
            ha="left" if side > 0 else "right",
        )
        lines = textwrap.wrap(name, 27)[:3]
        axes.text(1.3, place, str(count), color=ink.accent, fontsize=NORMAL, va="top", fontweight="bold")
        axes.text(1.45, place, "\n".join(lines), color=ink.text, fontsize=NORMAL, va="top", linespacing=1.25)
        place -= 0.14 * len(lines) + 0.12
    axes.plot(valence, arousal, "o", ms=12, color=ink.accent, mec=ink.text, mew=1.3, zorder=4)
