"""The music caption: waveform with beats and energy, pitch classes with the key."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from musiscene.plots.canvas import Ink, Row, label, number, numbers, time_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PITCHES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")


def music_rows(evidence: Mapping[str, Any]) -> list[Row]:
    """The rows that the evidence allows."""
    wave, beats = _envelope(evidence.get("waveform")), numbers(evidence.get("beats_s"))
    curve, chroma = numbers(evidence.get("energy_curve")), numbers(evidence.get("chroma"))
    duration = number(evidence.get("duration_s")) or (beats[-1] if beats else 0.0)
    rows: list[Row] = []
    if len(wave) > 1 or len(curve) > 1:
        tempo = number(evidence.get("tempo_bpm"))
        note = f"{tempo:.0f} BPM" if tempo else ""
        rows.append(Row(92, lambda axes, ink: _draw_wave(axes, ink, wave, curve, beats, duration, note)))
    if len(chroma) == 12 and max(chroma) > 0:
        key = str(evidence.get("key") or "")
        rows.append(Row(64, lambda axes, ink: _draw_chroma(axes, ink, chroma, key)))
    return rows


def _draw_wave(
    axes: Axes, ink: Ink, wave: Sequence[tuple[float, float]], curve: Sequence[float], beats: Sequence[float],
    duration: float, note: str,
) -> None:  # fmt: skip
    length = duration or 1.0
    axes.set_xlim(0, length)
    axes.set_ylim(-1.05, 1.55)
    if len(wave) > 1:
        peak = max(max(abs(low), abs(high)) for low, high in wave) or 1.0
        times = (np.arange(len(wave)) + 0.5) / len(wave) * length
        low, high = (np.array([pair[side] for pair in wave]) / peak for side in (0, 1))
        axes.fill_between(times, np.minimum(low, -0.01), np.maximum(high, 0.01), color=ink.accent, alpha=0.45, lw=0)
    if duration and beats:
        # Many beats would hide the wave: then they are ticks below it.
        many = len(beats) > 64
        axes.vlines(beats, -1.05, -0.85 if many else 1.0, color=ink.text, lw=0.5, alpha=0.7 if many else 0.35)
    if len(curve) > 1:
        times = (np.arange(len(curve)) + 0.5) / len(curve) * length
        axes.plot(times, np.clip(curve, 0, 1), color=ink.accent, lw=1.8, solid_joinstyle="round")
    names = [
        name
        for name, there in (("Waveform", len(wave) > 1), ("beats", bool(beats)), ("energy", len(curve) > 1))
        if there
    ]
    label(axes, ink, ", ".join(names).capitalize(), note)
    if duration:
        time_axis(axes, ink, duration)
    else:
        axes.set_xticks([])


def _draw_chroma(axes: Axes, ink: Ink, chroma: Sequence[float], key: str) -> None:
    tonic = _pitch_class(key)
    scale = _scale(tonic, "minor" in key)
    heights = np.array(chroma) / max(chroma)
    for k, height in enumerate(heights):
        inside = scale is None or k in scale
        axes.bar(k, height, 0.72, color=ink.accent, alpha=1.0 if k == tonic else 0.5 if inside else 0.18, lw=0)
    axes.set_xlim(-0.6, 11.6)
    axes.set_ylim(0, 1.4)
    names = list(PITCHES)
    if tonic is not None and " " in key:  # spelled as the key is: D♭ in D flat major, C♯ in C sharp minor
        names[tonic] = key.split()[0].replace("#", "♯").replace("b", "♭")
    axes.set_xticks(range(12), names)
    if tonic is not None:
        name = axes.get_xticklabels()[tonic]
        name.set_color(ink.text)
        name.set_fontweight("bold")
    label(axes, ink, "Pitch classes", key)


def _pitch_class(key: str) -> int | None:
    found = re.match(r"([A-G])\s?([#♯b♭]?)", key)
    if not found:
        return None
    step = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[found[1]]
    return (step + {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(found[2], 0)) % 12


def _scale(tonic: int | None, minor: bool) -> set[int] | None:
    if tonic is None:
        return None
    return {(tonic + step) % 12 for step in ((0, 2, 3, 5, 7, 8, 10) if minor else (0, 2, 4, 5, 7, 9, 11))}


def _envelope(values: Any) -> list[tuple[float, float]]:
    """Lowest and highest values of a drawn wave, from pairs or from peaks alone."""
    pairs: list[tuple[float, float]] = []
    for value in values if isinstance(values, list | tuple) else ():
        if isinstance(value, list | tuple) and len(value) == 2:
            pairs.append((number(value[0]) or 0.0, number(value[1]) or 0.0))
        else:
            peak = abs(number(value) or 0.0)
            pairs.append((-peak, peak))
    return pairs
