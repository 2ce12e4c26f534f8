"""Which frames SwinBERT looks at, and how they are prepared: exactly as in the original, for both move its scores."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


def frame_indices(available: int, wanted: int) -> list[int]:
    """`wanted` places out of `available` decoded frames, from first to last; frames repeat where they are too few.

    Single precision is meant: for 64 frames a double or an integer formula chooses others for some lengths.
    """
    places = torch.linspace(0, available - 1, wanted, dtype=torch.float32).clamp(0, available - 1)
    return [int(place) for place in places]


def stored_frame_indices(available: int, wanted: int) -> list[int]:
    """The other rule of the original, for frames that were stored as pictures before: nearest places, ties to even."""
    if wanted == 1:
        return [0]
    return [round(i * (available - 1) / (wanted - 1)) for i in range(wanted)]


def prepare(images: Iterable[NDArray[np.uint8]], side: int) -> Tensor:
    """Frames (height, width, 3) uint8 RGB -> (frames, 3, side, side) float32: shorter side, centre, mean and spread."""
    cut = np.stack([_centre(_shorter_side(Image.fromarray(image), side), side) for image in images])
    values = torch.from_numpy(cut).permute(0, 3, 1, 2).to(torch.float32).div_(255)
    mean, spread = (torch.tensor(numbers).view(3, 1, 1) for numbers in (_MEAN, _STD))
    return values.sub_(mean).div_(spread).contiguous()


def _shorter_side(image: Image.Image, side: int) -> Image.Image:
    """Scale so that the shorter side is `side`; bilinear with antialiasing."""
    width, height = image.size
    if min(width, height) == side:
        return image
    size = (side, int(side * height / width)) if width < height else (int(side * width / height), side)
    return image.resize(size, Image.Resampling.BILINEAR)


def _centre(image: Image.Image, side: int) -> NDArray[np.uint8]:
    width, height = image.size
    left, top = round((width - side) / 2), round((height - side) / 2)  # ties to even, as in the original
    return np.asarray(image)[top : top + side, left : left + side]
