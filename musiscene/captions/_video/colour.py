"""The palette in words, its warmth and its strength.

Colours are grouped by k-means in CIE L*a*b* (1976), where distances are close to what eyes see, and named by
lightness, chroma and hue (L*C*h).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

HUES = (
    (18, "rose"), (45, "red"), (68, "orange"), (82, "amber"), (108, "yellow"), (122, "lime green"), (165, "green"),
    (200, "teal"), (232, "turquoise"), (268, "sky blue"), (309, "blue"), (328, "violet"), (345, "magenta"),
    (360, "rose"),
)  # fmt: skip
"""Upper bound of the hue angle in degrees in L*a*b* -> name."""
SAME = 12.0
"""Distance in L*a*b* below which two groups are one colour."""
VIVID = 40.0
"""Chroma from which a colour draws the eye although little of it is there."""
ACCENT = 0.012, 0.2
"""Least and largest share of the picture that an accent has."""


@dataclass(frozen=True, slots=True)
class Swatch:
    """A colour of the palette: its name, #rrggbb, and its share of the picture, 0 to 1."""

    name: str
    hex: str
    share: float


@dataclass(frozen=True, slots=True)
class Colour:
    """Colours of a clip.

    Attributes:
        palette: Largest share first.
        warmth: -1 (all cold) to 1 (all warm); 0 without colour.
        warmth_word: "warm", "cold", "balanced" or "neutral" (hardly any colour).
        saturation: Mean chroma as a share of 60, at most 1.
        monochrome: The picture is black and white (or a single tint).
        accents: Names of vivid colours that are little in area and not in the palette, largest share first.
    """

    palette: tuple[Swatch, ...]
    warmth: float
    warmth_word: str
    saturation: float
    saturation_word: str
    monochrome: bool
    accents: tuple[str, ...] = ()

    def evidence(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "palette": [
                {"name": swatch.name, "hex": swatch.hex, "share": round(swatch.share, 3)} for swatch in self.palette
            ],
            "warmth": round(self.warmth, 3),
            "warmth_word": self.warmth_word,
            "saturation": round(self.saturation, 3),
            "saturation_word": self.saturation_word,
            "monochrome": self.monochrome,
            "accents": list(self.accents),
        }


def measure_colour(thumbs: NDArray[np.uint8], kept: tuple[NDArray[np.uint8], ...]) -> Colour:
    """Colours of a clip from its thumbnails (frames, h, w, 3) and kept pictures, all uint8 RGB."""
    pixels = _sample(thumbs, kept)
    lab = _lab(pixels)
    chroma = np.hypot(lab[:, 1], lab[:, 2])
    saturation = float(np.minimum(chroma.mean() / 60.0, 1.0))
    monochrome = float(np.percentile(chroma, 99.5)) < 8.0
    warmth = _warmth(lab, chroma)
    word = (
        "neutral" if float(chroma.mean()) < 6.0 else "warm" if warmth > 0.3 else "cold" if warmth < -0.3 else "balanced"
    )
    # Black has no colour to be muted: what is lit tells how strong the colours are.
    lit = chroma[lab[:, 0] > 10.0]
    lit_saturation = float(lit.mean() / 60.0) if lit.size > 0.02 * chroma.size else saturation
    strength = "muted" if lit_saturation < 0.28 else "natural" if lit_saturation < 0.6 else "vivid"
    if float(np.percentile(chroma, 95)) < 8.0:
        strength = "colourless"
    palette = _palette(lab)
    accents = () if monochrome else _accents(lab, chroma, palette)
    return Colour(palette, warmth, word, saturation, strength, monochrome, accents)


def _accents(lab: NDArray[np.float32], chroma: NDArray[np.float32], palette: tuple[Swatch, ...]) -> tuple[str, ...]:
    """Vivid colours of small area whose names the three largest colours of the palette do not tell."""
    cells, counts = np.unique(np.round(lab[chroma > VIVID] / 6.0), axis=0, return_counts=True)
    shares: dict[str, float] = {}
    for cell, count in zip(cells, counts, strict=True):
        name = colour_name(cell.astype(np.float64) * 6.0).split()[-1]
        shares[name] = shares.get(name, 0.0) + count / len(lab)
    told = " ".join(swatch.name for swatch in palette[:3])
    plain = {name for _, hue in HUES for name in hue.split()}
    fit = [(share, name) for name, share in shares.items() if ACCENT[0] <= share <= ACCENT[1]]
    return tuple(name for _, name in sorted(fit, reverse=True) if name in plain and name not in told)[:3]


def _sample(thumbs: NDArray[np.uint8], kept: tuple[NDArray[np.uint8], ...]) -> NDArray[np.uint8]:
    """About 12 000 pixels from all over the clip; black frames are left out when there are others."""
    pictures = [cv2.resize(picture, (40, 24), interpolation=cv2.INTER_NEAREST) for picture in kept]
    if not pictures:
        pictures = [np.asarray(thumb) for thumb in thumbs[:: max(1, len(thumbs) // 16)]]
    lit = [picture for picture in pictures if picture.mean() > 8]
    return np.concatenate([picture.reshape(-1, 3) for picture in (lit or pictures)])


def _lab(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    as_image = pixels.reshape(-1, 1, 3).astype(np.float32) / 255.0
    return np.asarray(cv2.cvtColor(as_image, cv2.COLOR_RGB2LAB), dtype=np.float32).reshape(-1, 3)


def _warmth(lab: NDArray[np.float32], chroma: NDArray[np.float32]) -> float:
    """Mean side of each pixel's hue, weighted by its chroma: yellow-red is warm, green-blue to violet is cold."""
    weight = np.where(chroma > 5, chroma, 0)
    if float(weight.sum()) < 1e-6:
        return 0.0
    angle = np.arctan2(lab[:, 2], lab[:, 1])
    return float((weight * np.cos(angle - np.deg2rad(55))).sum() / weight.sum())


def _palette(lab: NDArray[np.float32], groups: int = 7) -> tuple[Swatch, ...]:
    unique = np.unique(np.round(lab), axis=0)
    centres, labels = _kmeans(lab, min(groups, len(unique)))
    shares = np.bincount(labels, minlength=len(centres)) / len(labels)
    merged: list[tuple[NDArray[np.float64], float]] = []
    for index in np.argsort(-shares):
        centre, share = centres[index].astype(np.float64), float(shares[index])
        for k, (other, weight) in enumerate(merged):
            if np.linalg.norm(centre - other) < SAME or colour_name(centre) == colour_name(other):
                merged[k] = ((other * weight + centre * share) / (weight + share), weight + share)
                break
        else:
            merged.append((centre, share))
    merged.sort(key=lambda pair: -pair[1])
    return tuple(Swatch(colour_name(c), _hex(c), share) for c, share in merged if share >= 0.04)[:5]


def _kmeans(lab: NDArray[np.float32], groups: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Lloyd's algorithm from deterministic, far-apart starting points."""
    centres = [lab.mean(axis=0)]
    distance = np.full(len(lab), np.inf, dtype=np.float32)
    for _ in range(groups):
        distance = np.minimum(distance, np.square(lab - centres[-1]).sum(axis=1))
        centres.append(lab[int(np.argmax(distance))])
    points = np.array(centres[1:], dtype=np.float32)
    labels = np.zeros(len(lab), dtype=np.int64)
    for _ in range(12):
        labels = np.argmin(np.square(lab[:, None] - points[None]).sum(axis=2), axis=1)
        moved = np.array(
            [lab[labels == k].mean(axis=0) if np.any(labels == k) else points[k] for k in range(len(points))]
        )
        if float(np.abs(moved - points).max()) < 0.2:
            break
        points = moved.astype(np.float32)
    return points, labels


def _hex(lab: NDArray[np.float64]) -> str:
    rgb = cv2.cvtColor(lab.astype(np.float32).reshape(1, 1, 3), cv2.COLOR_LAB2RGB).reshape(3)
    red, green, blue = (round(float(np.clip(v, 0, 1)) * 255) for v in rgb)
    return f"#{red:02x}{green:02x}{blue:02x}"


def colour_name(lab: NDArray[np.float64]) -> str:
    """A plain English name for a colour in L*a*b* (L* 0 to 100)."""
    light, chroma = float(lab[0]), float(np.hypot(lab[1], lab[2]))
    hue = float(np.degrees(np.arctan2(lab[2], lab[1])) % 360)
    if light < 12 and chroma < 14:
        return "black"
    if chroma < 7:
        return "white" if light > 93 else _grey(light)
    base = next(name for bound, name in HUES if hue < bound)
    return _special(base, light, chroma, hue) or _modified(base, light, chroma)


def _grey(light: float) -> str:
    return "charcoal" if light < 30 else "dark grey" if light < 45 else "grey" if light < 70 else "light grey"


def _special(base: str, light: float, chroma: float, hue: float) -> str | None:
    """Colours that have a name of their own: browns are dark oranges, pinks light reds."""
    if 40 <= hue < 100:
        if chroma < 14:
            return "dark brown" if light < 30 else "taupe" if light < 60 else "beige" if light < 88 else "cream"
        if light < 28:
            return "dark brown"
        if light < 58 and chroma < 60:
            return "brown" if hue < 86 else "olive"
        if light >= 58 and chroma < 40:
            return "tan" if light < 76 else "beige" if light < 88 else "cream"
    if 100 <= hue < 122 and light < 60:
        return "olive green" if chroma > 12 else "grey-green"
    if base in ("red", "rose"):
        if light < 28:
            return "maroon"
        if light > 65:
            return "pink"
    if base == "blue" and light < 28:
        return "navy"
    return None


def _modified(base: str, light: float, chroma: float) -> str:
    if chroma < 14:
        short = {"sky blue": "blue", "lime green": "green", "turquoise": "teal", "amber": "yellow"}.get(base, base)
        return f"{short}-grey" if light < 75 else f"pale {short}"
    if base in ("sky blue", "turquoise", "lime green") and light < 45:
        base = {"sky blue": "blue", "turquoise": "teal", "lime green": "green"}[base]
    if light < 35:
        return f"dark {base}"
    if light > 80 and chroma < 45:
        return f"pale {base.replace('sky blue', 'blue')}"
    if chroma > 65:
        return f"vivid {base}"
    return f"muted {base}" if chroma < 24 else base
