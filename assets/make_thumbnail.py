"""Draws assets/thumbnail.png, the card of the Space: four waveforms in the colours of the four captions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from musiscene.palette import ACCENTS, TITLES


def main() -> None:
    figure = Figure(figsize=(12, 6.3), dpi=100, facecolor="#101216")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 1200), ylim=(0, 630))
    axes.axis("off")
    axes.text(80, 500, "MusiScene", color="white", fontsize=62, fontweight="bold", va="center")
    axes.text(84, 420, "One video. Four captions. Four soundtracks.", color="#b4bac5", fontsize=24, va="center")
    generator = np.random.default_rng(4)
    x = np.arange(330, 1121, 9)
    for row, (kind, accent) in enumerate(ACCENTS.items()):
        y = 325 - 80 * row
        swell = 0.45 + 0.55 * np.sin(np.linspace(0.4 * row, 3 + 1.7 * row, len(x))) ** 2
        heights = 29 * swell * generator.uniform(0.35, 1, len(x))
        axes.vlines(x, y - heights, y + heights, color=accent.dark, linewidth=3.6, capstyle="round")
        axes.text(84, y, TITLES[kind], color=accent.dark, fontsize=22, fontweight="bold", va="center")
    figure.savefig(Path(__file__).parent / "thumbnail.png")


if __name__ == "__main__":
    main()
