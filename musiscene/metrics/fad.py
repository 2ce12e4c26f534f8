"""Fréchet audio distance (Kilgour et al. 2019): three ways to cut and level the sound, all with VGGish.

The paper used audiocraft's wrapper around Google's code; its steps are the default. Others differ in the windows, in
the level and in the last ReLU, and their numbers with them, so the recipe's name belongs to every value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from musiscene.errors import RequestError
from musiscene.networks import vggish

FULL_RANK = vggish.EMBEDDING
"""Below as many windows as an embedding has values the covariance lacks full rank."""
_PEAK = 10 ** (-1 / 20)
_WINDOW, _HOP = 16_000, 8_000


@dataclass(frozen=True, slots=True)
class Recipe:
    """A way to compute it.

    Attributes:
        name: On the command line and beside every value.
        summary: What it does, in a few words.
        overlapping: Windows of 1 s every 0.5 s; else 0.96 s side by side.
        levelled: Each clip's level is set by its peak.
        relu: Embeddings are cut off at 0.
    """

    name: str
    summary: str
    overlapping: bool
    levelled: bool
    relu: bool


_RECIPES = (
    Recipe("paper", "audiocraft's: 1 s every 0.5 s, level set by the peak, no last ReLU", True, True, False),
    Recipe("relu", "the same with the VGGish of before 2020, which ends in a ReLU", True, True, True),
    Recipe("no-overlap", "gudgud96's package: 0.96 s side by side, level kept, no last ReLU", False, False, False),
)
RECIPES: Mapping[str, Recipe] = MappingProxyType({recipe.name: recipe for recipe in _RECIPES})


def find_recipe(name: str) -> Recipe:
    """The recipe called `name`.

    Raises:
        RequestError: There is none; the message lists those there are.
    """
    try:
        return RECIPES[name]
    except KeyError:
        raise RequestError(f"There is no FAD recipe {name!r}. Choose one of: {', '.join(RECIPES)}.") from None


def levelled(mono: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Sound as audiocraft hands it to Google's code, `(samples,)`; None for digital silence, which breaks that.

    Written with a peak of -1 dBFS as 16-bit whole numbers, read back, and divided by the largest *positive* sample
    (at least 0.1).
    """
    peak = float(np.abs(mono).max()) if mono.size else 0.0
    if peak == 0.0:
        return None
    written = np.rint(np.asarray(mono, np.float64) * (_PEAK / peak * 32767.0))
    return normalised(written)


def normalised(samples: NDArray[np.floating]) -> NDArray[np.float64]:
    """Samples over max(0.1, largest positive sample), as Google's code does with what it reads."""
    values = np.asarray(samples, np.float64)
    return values / max(0.1, float(values.max(initial=0.0)))


def examples(mono: NDArray[np.float32], recipe: Recipe) -> tuple[NDArray[np.float32], str]:
    """VGGish's input from a clip at 16 kHz, `(n, 1, 96, 64)`, and why there is none where there is none.

    Args:
        mono: `(samples,)` at 16 kHz.
        recipe: How to cut and level it.
    """
    needed = _WINDOW if recipe.overlapping else (vggish.FRAMES - 1) * vggish.HOP + 400
    if mono.size < needed:
        return vggish.examples(np.zeros(0), window=_WINDOW, hop=_HOP), (
            f"is {mono.size / vggish.SAMPLE_RATE:.2f} s long, shorter than one window"
        )
    samples: NDArray[np.float64] | NDArray[np.float32] | None = levelled(mono) if recipe.levelled else mono
    if samples is None:
        return vggish.examples(np.zeros(0), window=_WINDOW, hop=_HOP), "is digital silence, whose level cannot be set"
    if recipe.overlapping:
        return vggish.examples(samples, window=_WINDOW, hop=_HOP), ""
    return vggish.examples_side_by_side(samples), ""
