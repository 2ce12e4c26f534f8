"""Whether the picture looks drawn or photographic, whether it shows a screen, and whether it stands still.

Drawings, slides and screens have flat areas beside hard edges and little in between; photographs and rendered films
have shades everywhere. The rules and thresholds are ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from musiscene.captions._video.reading import Reading

MOST_NOISE = 2.5
"""Content score between neighbouring frames that coding may cause in a still picture at times."""
LASTING_NOISE = 0.1
"""The same for most of the time."""
MOST_EMPTY = 0.88
"""Share of flat blocks above which a picture without text is not called drawn: a bird in the sky is not."""
BLOCK = 8
"""Side of the blocks in pixels."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a clip looks.

    Attributes:
        kind: "photographic" (shaded all over, whether filmed or rendered), "drawn" (flat colours and hard edges),
            "graphics" (the same with few colours or upright edges: slides, screens, titles, test charts), or "unclear".
        screen_like: It looks like a screen recording, slides or text cards for most of its time.
        text_cards: Share of the pictures that look like a card or screen with text or signs.
        frozen: Nothing changes: a still picture.
        frames: Number of frames; 1 is a picture, not a film.
    """

    kind: str
    screen_like: bool
    text_cards: float
    frozen: bool
    frames: int

    def evidence(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "look": self.kind,
            "screen_like": self.screen_like,
            "text_cards_share": round(self.text_cards, 3),
            "frozen": self.frozen,
            "frames": self.frames,
        }


@dataclass(frozen=True, slots=True)
class _Texture:
    flat: float
    hard: float
    soft: float
    upright: float
    lines: int
    letters: int
    chroma: float

    @property
    def graphic(self) -> bool:
        """Flat areas and hard edges with next to nothing between."""
        return self.flat > 0.4 and self.hard > 0.42 and self.soft < 0.2

    @property
    def screen(self) -> bool:
        """Graphic, and made of text or upright edges, or of small strokes without colour."""
        return self.graphic and (self.lines >= 2 or self.upright > 0.6 or (self.chroma < 12 and self.letters >= 8))


def measure_look(reading: Reading) -> Look:
    """The look of a clip."""
    seen = [texture for texture in map(_texture, reading.kept) if texture is not None]
    frozen = reading.frames > 1 and _unchanged(reading)
    if not seen:
        return Look("unclear", False, 0.0, frozen, reading.frames)
    graphic = float(np.mean([texture.graphic for texture in seen]))
    screen = float(np.mean([texture.screen for texture in seen]))
    shaded = float(np.median([texture.soft for texture in seen]))
    flat = float(np.median([texture.flat for texture in seen]))
    if graphic >= 0.5 and (screen > 0 or flat < MOST_EMPTY):
        coloured = float(np.mean([texture.chroma > 14 for texture in seen if texture.graphic]))
        kind = "drawn" if screen < 0.5 * graphic and coloured > 0.5 and flat < MOST_EMPTY else "graphics"
    elif shaded > 0.25 and flat < 0.5:
        kind = "photographic"
    else:
        kind = "unclear"
    return Look(kind, screen >= 0.5, screen, frozen, reading.frames)


def _unchanged(reading: Reading) -> bool:
    """Whether no place changes by more than coding noise from the first frame to the last."""
    # A coder refines a still picture at first and at key frames; a camera's noise never ends.
    if float(reading.change[1:].max()) > MOST_NOISE or float(np.median(reading.change[1:])) > LASTING_NOISE:
        return False
    span = reading.thumbs.max(axis=0).astype(np.int16) - reading.thumbs.min(axis=0)
    return int(span.max()) < 8


def _texture(picture: NDArray[np.uint8]) -> _Texture | None:
    height, width = (side // BLOCK * BLOCK for side in picture.shape[:2])
    if min(height, width) < 48 or int(picture.max()) < 24:
        return None
    blocks = picture[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, 3)
    span = (blocks.max(axis=(1, 3)).astype(np.int16) - blocks.min(axis=(1, 3))).max(axis=2)
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    dx = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.25)
    dy = cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.25)
    strong = np.hypot(dx, dy) > 40
    edges = strong[:height, :width].reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK).mean(axis=(1, 3))
    flat = span <= 6
    hard = (edges > 0.12) & ~flat
    soft = ~flat & (span < 60) & (edges < 0.02)
    angle = np.degrees(np.arctan2(dy[strong], dx[strong])) % 90
    upright = float(((angle < 6) | (angle > 84)).mean()) if strong.any() else 0.0
    lab = cv2.cvtColor(cv2.resize(picture, (48, 27)).astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    lines, letters = _text(grey)
    return _Texture(
        flat=float(flat.mean()),
        hard=float(hard.sum() / max(1, int((~flat).sum()))),
        soft=float(soft.mean()),
        upright=upright,
        lines=lines,
        letters=letters,
        chroma=float(np.hypot(lab[..., 1], lab[..., 2]).mean()),
    )


def _text(grey: NDArray[np.uint8]) -> tuple[int, int]:
    """Rows of small, strong strokes of like height, as lines of text are, and the number of such strokes."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (9, 9))
    light, dark = (cv2.morphologyEx(grey, how, kernel) for how in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT))
    strokes = (np.maximum(light, dark) > 50).astype(np.uint8)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    marked, letters = np.zeros_like(strokes), 0
    for x, y, w, h, area in boxes[1:]:
        if 4 <= h <= 40 and w <= 60 and area >= 6:
            marked[y : y + h, x : x + w] = 1
            letters += 1
    joined = cv2.morphologyEx(marked, cv2.MORPH_CLOSE, np.ones((1, 15), np.uint8))
    _, _, rows, _ = cv2.connectedComponentsWithStats(joined)
    return sum(1 for _, _, w, h, _ in rows[1:] if w >= 4 * h and 5 <= h <= 40), letters
