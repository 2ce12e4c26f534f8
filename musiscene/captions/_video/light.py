"""How bright the picture is, how strong its contrast, and whether that changes on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LUMA = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
"""Weights of red, green and blue in luma (ITU-R BT.709)."""


@dataclass(frozen=True, slots=True)
class Light:
    """Light of a clip; levels are shares of full white.

    Attributes:
        brightness: Mean luma, 0 to 1.
        contrast: Span between the 5th and the 95th percentile of luma within a picture, median over the clip.
        dark_share: Share of pixels darker than 0.2.
        word: "black", "night-like", "dim", "even", "day-like" or "very bright".
        trend: "brightening", "darkening" or "steady": last quarter against first.
        black: There is nothing but black.
        thirds: Brightness of beginning, middle and end.
    """

    brightness: float
    contrast: float
    dark_share: float
    word: str
    trend: str
    black: bool
    thirds: tuple[float, float, float]

    def evidence(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "brightness": round(self.brightness, 3),
            "contrast": round(self.contrast, 3),
            "dark_share": round(self.dark_share, 3),
            "light": self.word,
            "light_trend": self.trend,
        }


def measure_light(thumbs: NDArray[np.uint8]) -> Light:
    """Light of thumbnails of shape (frames, h, w, 3)."""
    chosen = thumbs[np.unique(np.linspace(0, len(thumbs) - 1, 240).astype(int))]
    luma = (chosen.reshape(len(chosen), -1, 3).astype(np.float32) @ LUMA) / 255.0
    by_frame = luma.mean(axis=1)
    # The screen is black before a fade in and after a fade out: that is not the light of the scene.
    seen = luma[by_frame > 0.03] if np.any(by_frame > 0.03) else luma
    low, high = np.percentile(seen, [5, 95], axis=1)
    brightness, dark = float(seen.mean()), float((seen < 0.2).mean())
    contrast = float(np.median(high - low))
    black = float(np.percentile(by_frame, 99)) < 0.03 and float(np.percentile(luma, 99.9)) < 0.12
    parts = [float(part.mean()) if part.size else brightness for part in np.array_split(by_frame, 3)]
    return Light(
        brightness,
        contrast,
        dark,
        _word(brightness, dark, black),
        _trend(by_frame),
        black,
        (parts[0], parts[1], parts[2]),
    )


def _word(brightness: float, dark: float, black: bool) -> str:
    if black:
        return "black"
    if brightness < 0.2 and dark > 0.6:
        return "night-like"
    if brightness < 0.32:
        return "dim"
    if brightness < 0.45:
        return "even"
    return "day-like" if brightness < 0.78 else "very bright"


def _trend(by_frame: NDArray[np.float32]) -> str:
    if len(by_frame) < 8:
        return "steady"
    parts = [float(np.median(part)) for part in np.array_split(by_frame, 4)]
    change = parts[-1] - parts[0]
    # A trend goes on through the middle; a single bright or dark shot does not make one.
    steps = np.diff(parts)
    if abs(change) < 0.12 or float(np.max(np.sign(change) * -steps)) > 0.25 * abs(change):
        return "steady"
    return "brightening" if change > 0 else "darkening"
