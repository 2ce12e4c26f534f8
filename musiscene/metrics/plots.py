"""Values with their intervals, drawn: a panel for each metric, a row for each system, the paper's value as a mark."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from musiscene.metrics import paper
from musiscene.metrics.caption_tables import NAMES
from musiscene.palette import ACCENTS
from musiscene.types import CaptionKind

INK, FAINT, LINE = "#1c2129", "#5a6372", "#d9dde4"


@dataclass(frozen=True, slots=True)
class Panel:
    """One metric of all systems.

    Attributes:
        title: Its name and unit.
        values: System -> value, low and high; low and high may be None.
        marks: System -> the paper's value.
        chance: System -> chance level.
        better: "higher", "lower" or "".
        low: No value can be below; the axis does not go further.
        high: Nor above.
    """

    title: str
    values: Mapping[str, tuple[float, float | None, float | None]]
    marks: Mapping[str, float]
    chance: Mapping[str, float]
    better: str = ""
    low: float = -math.inf
    high: float = math.inf


def caption_panels(document: Mapping[str, Any]) -> list[Panel]:
    """The metrics of `CaptionTable.as_dict`, protocol by protocol."""
    panels = []
    for protocol in document["definitions"]:
        for metric, name in NAMES.items():
            values = _values({s["system"]: s["protocols"].get(protocol, {}).get(metric) for s in document["systems"]})
            if values:
                panels.append(
                    Panel(f"{name}, {protocol}", values, {}, {}, "higher", -1.0 if metric == "bertscore" else 0.0, 1.0)
                )
    shares = {
        s["system"]: (v["scene_share"], v["scene_share_low"], v["scene_share_high"])
        for s in document["systems"]
        if (v := s["variety"])["scene_share"] is not None
    }
    if shares:
        panels.append(Panel("Share about a scene", shares, {}, {}, "", 0.0, 1.0))
    return panels


def music_panels(systems: Sequence[Mapping[str, Any]]) -> list[Panel]:
    """FAD, KL and CLAP score of several `MusicScores.as_dict`."""
    printed = {s["system"]: paper.MUSIC[s["system"]] for s in systems if s["system"] in paper.MUSIC}
    wanted: tuple[tuple[str, dict[str, Any], dict[str, float], str, float, float], ...] = (
        ("FAD", {s["system"]: s.get("fad") for s in systems}, {n: v["fad"] for n, v in printed.items()}, "lower",
         -math.inf, math.inf),  # the interval of a small distance may reach below 0
        ("KL", {s["system"]: (s.get("kl") or {}).get("kl") for s in systems},
         {n: v["kl"] for n, v in printed.items()}, "lower", 0.0, math.inf),
        ("CLAP score", {s["system"]: s.get("clap") for s in systems}, {}, "higher", -1.0, 1.0),
    )  # fmt: skip
    panels = []
    for title, found, marks, better, low, high in wanted:
        values = _values(found)
        if values:
            panels.append(Panel(title, values, marks, {}, better, low, high))
    return panels


def picture_panels(document: Mapping[str, Any]) -> list[Panel]:
    """The two measures of `evaluation.evaluate_pictures`."""
    systems = document["systems"]
    rhythm = {s["system"]: s["rhythm_to_cut"] for s in systems}
    chance = {name: found["chance"] for name, found in rhythm.items() if found}
    panels = []
    if values := _values(rhythm):
        panels.append(Panel("Cuts on a beat", values, {}, chance, "higher", 0.0, 1.0))
    if values := _values({s["system"]: s["energy_to_motion"] for s in systems}):
        panels.append(Panel("Energy and motion", values, {}, {}, "higher", -1.0, 1.0))
    return panels


def _values(found: Mapping[str, Any]) -> dict[str, tuple[float, float | None, float | None]]:
    return {
        name: (value["value"], value.get("low"), value.get("high"))
        for name, value in found.items()
        if value and value.get("value") is not None
    }


def draw(panels: Sequence[Panel]) -> str:
    """The panels as SVG text, two in a row; empty when there are none."""
    if not panels:
        return ""
    from matplotlib.figure import Figure

    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    most = max(len(panel.values) for panel in panels)
    figure = Figure(figsize=(4.6 * columns, rows * (0.75 + 0.34 * most)))
    figure.set_layout_engine("constrained", hspace=0.12, wspace=0.08)
    axes = figure.subplots(rows, columns, squeeze=False)
    for place, panel in enumerate(panels):
        _panel(axes[place // columns][place % columns], panel)
    for place in range(len(panels), rows * columns):
        axes[place // columns][place % columns].set_visible(False)
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    svg = buffer.getvalue()
    return svg[svg.index("<svg") :]


def _panel(axes: Any, panel: Panel) -> None:
    for row, (system, (value, low, high)) in enumerate(panel.values.items()):
        colour = ACCENTS[CaptionKind(system)].light if system in ACCENTS else INK
        if low is not None and high is not None:
            axes.plot([low, high], [row, row], color=colour, lw=2.2, solid_capstyle="round", alpha=0.55)
        axes.plot(value, row, "o", color=colour, ms=6.5, clip_on=False)
        if system in panel.marks:
            axes.plot(panel.marks[system], row, "D", mfc="white", mec=colour, mew=1.4, ms=6, clip_on=False)
        if system in panel.chance:
            axes.plot([panel.chance[system]] * 2, [row - 0.3, row + 0.3], color=FAINT, lw=1.2, ls=(0, (3, 2)))
    axes.set_yticks(range(len(panel.values)), list(panel.values))
    axes.set_ylim(len(panel.values) - 0.5, -0.5)
    axes.margins(x=0.08)
    low, high = axes.get_xlim()
    axes.set_xlim(max(low, panel.low), min(high, panel.high))
    axes.locator_params(axis="x", nbins=5)
    axes.grid(axis="x", color=LINE, lw=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9, colors=FAINT)
    for label in axes.get_yticklabels():
        label.set_color(INK)
    for spine in axes.spines.values():
        spine.set_visible(False)
    parts = [f"{panel.better} is better" if panel.better else "", "◇ paper" if panel.marks else "",
             "dashes: chance" if panel.chance else ""]  # fmt: skip
    axes.set_title(panel.title, loc="left", fontsize=10, color=INK, fontweight="bold")
    axes.set_title("; ".join(part for part in parts if part), loc="right", fontsize=8, color=FAINT)
