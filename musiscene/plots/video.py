"""The video caption: strip of pictures, motion with cuts, palette."""

from __future__ import annotations

import base64
import binascii
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from musiscene.plots.canvas import SIDE_PT, WIDTH_PT, Ink, Row, clock, entries, label, number, numbers, time_axis, total

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def video_rows(evidence: Mapping[str, Any]) -> list[Row]:
    """The rows that the evidence allows."""
    cuts, curve = numbers(evidence.get("cuts_s")), numbers(evidence.get("motion_curve"))
    duration = number(evidence.get("duration_s")) or total(evidence.get("shot_lengths_s")) or (max(cuts) if cuts else 0)
    rows: list[Row] = []
    strip = _strip(evidence)
    if strip:
        rows.append(Row(_strip_height(strip), lambda axes, ink: _draw_strip(axes, ink, strip)))
    if duration > 0 and (len(curve) > 1 or cuts):
        rows.append(Row(84, lambda axes, ink: _draw_motion(axes, ink, curve, cuts, duration)))
    palette = read_palette(evidence)
    if palette:
        rows.append(Row(26, lambda axes, ink: _drawread_palette(axes, ink, palette)))
    return rows


def _strip(evidence: Mapping[str, Any]) -> list[tuple[float, np.ndarray[Any, Any]]]:
    """Times and pictures (h, w, 3) of a strip; what cannot be read is left out."""
    from PIL import Image, UnidentifiedImageError

    pictures = []
    for entry in entries(evidence.get("strip")):
        try:
            picture = Image.open(io.BytesIO(base64.b64decode(entry["jpeg"], validate=True))).convert("RGB")
            pictures.append((float(entry["time_s"]), np.asarray(picture)))
        except (KeyError, TypeError, ValueError, binascii.Error, UnidentifiedImageError, OSError):
            continue
    return pictures


def _strip_height(strip: Sequence[tuple[float, np.ndarray[Any, Any]]]) -> float:
    height, width = strip[0][1].shape[:2]
    return float(np.clip((WIDTH_PT - 2 * SIDE_PT - 3 * (len(strip) - 1)) / max(len(strip), 4) * height / width, 12, 84))


def _draw_strip(axes: Axes, ink: Ink, strip: Sequence[tuple[float, np.ndarray[Any, Any]]]) -> None:
    from matplotlib.patches import Rectangle

    # Every picture in a cell of its own, in order of time; the time stands below.
    cell, gap = 1.0 / max(len(strip), 4), 3.0 / WIDTH_PT
    ratio = _strip_height(strip) / (WIDTH_PT - 2 * SIDE_PT)
    for k, (_, picture) in enumerate(strip):
        wide = min(cell - gap, picture.shape[1] / picture.shape[0] * ratio)
        start = (k + 0.5) * cell - wide / 2
        axes.imshow(picture, extent=(start, start + wide, 0, 1), aspect="auto", interpolation="nearest", zorder=2)
        axes.add_patch(Rectangle((start, 0), wide, 1, fill=False, ec=ink.line, lw=0.8, zorder=3, clip_on=False))
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xticks([(k + 0.5) * cell for k in range(len(strip))], [clock(time_s) for time_s, _ in strip])


def _draw_motion(axes: Axes, ink: Ink, curve: Sequence[float], cuts: Sequence[float], duration: float) -> None:
    axes.set_xlim(0, duration)
    axes.set_ylim(0, 1.3)
    edges = [0.0, *cuts, duration]
    for k, (start, end) in enumerate(itertools.pairwise(edges)):
        axes.axvspan(start, end, 0, 1 / 1.3, color=ink.accent, alpha=0.13 if k % 2 == 0 else 0.05, lw=0)
    if len(curve) > 1:
        times = (np.arange(len(curve)) + 0.5) / len(curve) * duration
        times[0], times[-1] = 0, duration
        axes.fill_between(times, 0, curve, color=ink.accent, alpha=0.35, lw=0)
        axes.plot(times, curve, color=ink.accent, lw=1.6, solid_joinstyle="round")
    if cuts:
        axes.vlines(cuts, 0, 1, color=ink.text, lw=0.9, alpha=0.75)
        axes.plot(cuts, [1.0] * len(cuts), ls="", marker="v", ms=4, color=ink.text, clip_on=False)
    label(axes, ink, "Motion", f"{len(cuts)} cut{'' if len(cuts) == 1 else 's'}")
    time_axis(axes, ink, duration)


def read_palette(evidence: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The swatches that have a colour and a share."""
    found = []
    for swatch in entries(evidence.get("palette")):
        good = re.fullmatch(r"#[0-9a-fA-F]{6}", str(swatch.get("hex", "")))
        if good and (number(swatch.get("share")) or 0) > 0:
            found.append(swatch)
    return found


def _drawread_palette(axes: Axes, ink: Ink, palette: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.patches import FancyBboxPatch

    total = sum(float(swatch["share"]) for swatch in palette)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    start, ticks = 0.0, []
    for swatch in palette:
        share = float(swatch["share"]) / total
        patch = FancyBboxPatch(
            (start + 0.004, 0.06), share - 0.008, 0.88, boxstyle="round,pad=0,rounding_size=0.008",
            mutation_aspect=15, fc=str(swatch["hex"]), ec=ink.line, lw=0.8,
        )  # fmt: skip
        axes.add_patch(patch)
        if len(str(swatch["name"])) * 0.0132 < share:
            ticks.append((start + share / 2, str(swatch["name"])))
        start += share
    axes.set_xticks([place for place, _ in ticks], [name for _, name in ticks])
