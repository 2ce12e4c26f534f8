"""Faces and people, by the detectors that OpenCV carries; what is not certain is not said.

Faces: boosted cascades of Haar features (Viola and Jones, CVPR 2001). One cascade alone finds faces in foliage, so a
face counts only when two cascades agree on it, eyes are found in it, it is not flat or grey as no skin is, and it is
seen again at about the same place and size in another picture (when there is another picture of that shot).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from musiscene.types import Job

Box = tuple[int, int, int, int]
"""Left, top, width, height in pixels."""


PICTURES = 8
"""Pictures that are searched, at least (twice as many at most)."""


@dataclass(frozen=True, slots=True)
class People:
    """Faces found.

    Attributes:
        faces: Most faces that are certain in one picture.
        seen_share: Share of the looked-at pictures in which a face is certain.
        close: The largest face fills at least a quarter of the picture's height.
    """

    faces: int
    seen_share: float
    close: bool

    def evidence(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"faces": self.faces, "people": self.faces, "faces_seen_share": round(self.seen_share, 3)}


@cache
def _cascade_file(name: str) -> str:
    return str(Path(cv2.__file__).parent / "data" / f"haarcascade_{name}.xml")


class FaceFinder:
    """The cascades, loaded. A cascade keeps state while it runs: one finder for each thread."""

    def __init__(self) -> None:
        self._first = cv2.CascadeClassifier(_cascade_file("frontalface_alt2"))
        self._second = cv2.CascadeClassifier(_cascade_file("frontalface_default"))
        self._eyes = cv2.CascadeClassifier(_cascade_file("eye"))
        self._glasses = cv2.CascadeClassifier(_cascade_file("eye_tree_eyeglasses"))

    def faces(self, picture: NDArray[np.uint8]) -> list[Box]:
        """Faces in `picture` on which all witnesses agree."""
        height, width = picture.shape[:2]
        if min(height, width) < 60:
            return []
        grey = cv2.equalizeHist(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY))
        least = max(30, height // 12)
        found = self._first.detectMultiScale(grey, 1.1, 5, minSize=(least, least))
        return [box for box in (_box(f) for f in found) if self._sure(picture, np.asarray(grey, np.uint8), box)]

    def _sure(self, picture: NDArray[np.uint8], grey: NDArray[np.uint8], box: Box) -> bool:
        x, y, w, h = box
        pad = w // 4
        around = grey[max(0, y - pad) : y + h + pad, max(0, x - pad) : x + w + pad]
        least = int(w * 0.6)
        second = self._second.detectMultiScale(around, 1.08, 4, minSize=(least, least))
        if len(second) == 0:
            return False
        if not _skin_like(picture[y : y + h, x : x + w]):
            return False
        scale = max(1.0, 120 / w)
        upper = cv2.resize(
            grey[y : y + int(h * 0.6), x : x + w], None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC
        )
        side = int(upper.shape[1] * 0.12)
        eyes = len(self._eyes.detectMultiScale(upper, 1.08, 4, minSize=(side, side)))
        return eyes >= 2 or len(self._glasses.detectMultiScale(upper, 1.08, 3, minSize=(side, side))) >= 1


def find_people(kept: tuple[NDArray[np.uint8], ...], job: Job) -> People:
    """Faces in the kept pictures, in order of time."""
    finder = FaceFinder()
    every = max(1, round(len(kept) / PICTURES))
    kept = kept[::every]
    by_picture: list[list[Box]] = []
    for picture in kept:
        job.check()
        by_picture.append(finder.faces(picture))
    certain = [
        [
            box
            for box in boxes
            if len(kept) == 1 or _seen_again(box, by_picture[max(0, k - 2) : k] + by_picture[k + 1 : k + 3])
        ]
        for k, boxes in enumerate(by_picture)
    ]
    most = max((len(boxes) for boxes in certain), default=0)
    share = float(np.mean([bool(boxes) for boxes in certain])) if certain else 0.0
    largest = max((box[3] / kept[k].shape[0] for k, boxes in enumerate(certain) for box in boxes), default=0.0)
    return People(most, share, largest >= 0.25)


def _seen_again(box: Box, others: list[list[Box]]) -> bool:
    """Whether a face of about this size is near in a neighbouring picture."""
    x, y, w, h = box
    for boxes in others:
        for ox, oy, ow, oh in boxes:
            near = abs(x + w / 2 - ox - ow / 2) < 1.2 * w and abs(y + h / 2 - oy - oh / 2) < 1.2 * h
            if near and 0.6 < ow / w < 1.6:
                return True
    return False


def _skin_like(face: NDArray[np.uint8]) -> bool:
    """Whether the middle of a face could be skin of any tone: warm rather than green or blue, and not flat.

    Black-and-white pictures have no say in colour.
    """
    height, width = face.shape[:2]
    middle = face[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
    lab = cv2.cvtColor(middle.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB).reshape(-1, 3)
    if float(lab[:, 0].std()) < 3.0:
        return False
    a, b = float(np.median(lab[:, 1])), float(np.median(lab[:, 2]))
    return bool(np.hypot(a, b) < 4.0 or (a > -4.0 and b > -12.0))


def _box(found: Sequence[int]) -> Box:
    return int(found[0]), int(found[1]), int(found[2]), int(found[3])
