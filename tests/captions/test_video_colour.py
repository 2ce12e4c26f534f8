"""Names of colours, warmth, light and look."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from musiscene.captions._video.colour import colour_name, measure_colour
from musiscene.captions._video.light import measure_light


def lab(hex_code: str) -> np.ndarray:
    """L*a*b* of #rrggbb."""
    rgb = np.array([int(hex_code[k : k + 2], 16) for k in (1, 3, 5)], np.float32).reshape(1, 1, 3) / 255
    return cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB).reshape(3)


def thumbs(*colours: tuple[int, int, int]) -> np.ndarray:
    """Thumbnails of vertical bars in these colours, shape (4, 18, 32, 3)."""
    bars = np.repeat(np.array(colours, np.uint8), -(-32 // len(colours)), axis=0)[:32]
    return np.broadcast_to(bars, (4, 18, 32, 3)).copy()


@pytest.mark.parametrize(
    ("hex_code", "word"),
    [
        ("#000000", "black"), ("#ffffff", "white"), ("#808080", "grey"), ("#ff0000", "red"), ("#00aa00", "green"),
        ("#0000ff", "blue"), ("#ffff00", "yellow"), ("#ff8000", "orange"), ("#7b4a2b", "brown"), ("#101f4d", "navy"),
        ("#e8dcc0", "beige"), ("#f4a6b8", "pink"), ("#87ceeb", "blue"), ("#6b7a2a", "olive"), ("#008080", "teal"),
    ],
)  # fmt: skip
def test_colours_get_their_plain_names(hex_code: str, word: str) -> None:
    """Common colours are called what people call them."""
    assert word in colour_name(lab(hex_code))


def test_shares_of_the_palette_are_those_of_the_picture() -> None:
    """Half red, a quarter blue and a quarter white come out so, the largest first."""
    pictures = thumbs((200, 20, 20), (200, 20, 20), (20, 40, 200), (255, 255, 255))

    palette = measure_colour(pictures, ()).palette

    assert palette[0].share == pytest.approx(0.5, abs=0.03)
    assert [swatch.share for swatch in palette[1:]] == pytest.approx([0.25, 0.25], abs=0.03)
    assert "red" in palette[0].name


def test_warm_cold_and_colourless_pictures_are_told_apart() -> None:
    """Orange is warm, blue is cold, grey is neither and black-and-white."""
    assert measure_colour(thumbs((220, 140, 60), (180, 90, 40)), ()).warmth_word == "warm"
    assert measure_colour(thumbs((40, 90, 200), (90, 150, 220)), ()).warmth_word == "cold"
    grey = measure_colour(thumbs((60, 60, 60), (180, 180, 180)), ())
    assert grey.warmth_word == "neutral"
    assert grey.monochrome


def test_light_is_named_by_its_level() -> None:
    """Black, night-like and day-like pictures, and a picture that grows brighter."""
    assert measure_light(thumbs((0, 0, 0))).black
    assert measure_light(thumbs((5, 5, 20), (20, 20, 30), (60, 50, 40))).word == "night-like"
    assert measure_light(thumbs((120, 160, 220), (160, 180, 120))).word == "day-like"
    rising = np.linspace(20, 220, 40).astype(np.uint8)[:, None, None, None] * np.ones((1, 18, 32, 3), np.uint8)
    assert measure_light(rising).trend == "brightening"
