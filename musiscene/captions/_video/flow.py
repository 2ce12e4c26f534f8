"""Dense optical flow between two small pictures, and the camera move that explains most of it.

Flow: dense inverse search (Kroeger et al., "Fast Optical Flow using Dense Inverse Search", ECCV 2016) in OpenCV.
Camera: a similarity (shift, zoom, rotation) fitted by RANSAC to the flow of the textured points; what it leaves
unexplained moves by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

SPACING = 8
"""Pixels between the points at which the flow is looked at."""
LEAST_TEXTURE = 4.0
"""Grey levels per pixel: points with a weaker gradient tell nothing of motion."""


@dataclass(frozen=True, slots=True)
class CameraStep:
    """Motion between two neighbouring moments, in picture widths a second.

    Attributes:
        start_s: Time of the first of the two frames.
        end_s: Time of the second.
        right: Camera speed to the right (the picture's content moves left).
        down: Camera speed downwards.
        zoom: Relative growth of the picture a second; positive when the camera goes in.
        roll: Rotation in radians a second.
        speed: Mean speed of all textured points.
        own: Mean speed that the camera does not explain.
        moving: Share of textured points that move by themselves, 0 to 1.
        still: Share of textured points that do not move at all.
        trust: Share of textured points that agree with the camera move; 0 when there is too little texture to tell.
    """

    start_s: float
    end_s: float
    right: float
    down: float
    zoom: float
    roll: float
    speed: float
    own: float
    moving: float
    still: float
    trust: float


class Flow:
    """Optical flow for pictures of one size. Not thread-safe: one for each pass."""

    def __init__(self) -> None:
        self._dense = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._grid: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def dense(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Flow in pixels from `before` to `after`, both (h, w) grey; None when they are too small for it."""
        if min(before.shape) < 16:
            return None
        return np.asarray(self._dense.calc(before, after, None), dtype=np.float32)  # type: ignore[call-overload]

    def kinship(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> float:
        """How well `before`, moved along the flow, explains `after`: their correlation, -1 to 1.

        A change of light alone (gain and offset) costs nothing. Pictures without contrast are kin when their levels
        are alike.
        """
        flat = min(float(before.std()), float(after.std())) < 3.0
        if flat:
            return 1.0 if abs(float(before.mean()) - float(after.mean())) < 20.0 else 0.0
        flow = self.dense(after, before)
        moved = before
        if flow is not None:
            height, width = before.shape
            if self._grid is None or self._grid[0].shape != before.shape:
                ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
                self._grid = xs, ys
            moved = cv2.remap(
                before, self._grid[0] + flow[..., 0], self._grid[1] + flow[..., 1], cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )  # fmt: skip
        return correlation(moved, after)

    def step(self, before: NDArray[np.uint8], after: NDArray[np.uint8], start_s: float, end_s: float) -> CameraStep:
        """The camera move between two grey pictures taken at `start_s` and `end_s`."""
        flow = self.dense(before, after)
        elapsed = max(end_s - start_s, 1e-3)
        nothing = CameraStep(start_s, end_s, 0, 0, 0, 0, 0, 0, 0, 1, 0)
        if flow is None:
            return nothing
        height, width = before.shape
        ys, xs = np.mgrid[SPACING // 2 : height : SPACING, SPACING // 2 : width : SPACING]
        textured = _texture(before)[ys, xs] > LEAST_TEXTURE
        if int(textured.sum()) < 8:
            return nothing
        points = np.stack([xs[textured], ys[textured]], axis=1).astype(np.float64)
        moved = flow[ys[textured], xs[textured]].astype(np.float64)
        lengths = np.hypot(moved[:, 0], moved[:, 1])
        model, inliers = cv2.estimateAffinePartial2D(
            points, points + moved, method=cv2.RANSAC, ransacReprojThreshold=0.7, maxIters=200
        )
        per_s = 1.0 / (width * elapsed)
        still = float((lengths < 0.25).mean())
        if model is None:
            speed = float(lengths.mean()) * per_s
            return CameraStep(start_s, end_s, 0, 0, 0, 0, speed, speed, 1.0, still, 0)
        centre = np.array([width / 2, height / 2])
        shift = model[:, :2] @ centre + model[:, 2] - centre
        scale = float(np.hypot(model[0, 0], model[1, 0]))
        expected = points @ model[:, :2].T + model[:, 2] - points
        own = np.hypot(*(moved - expected).T)
        tolerance = np.maximum(0.7, 0.15 * np.hypot(expected[:, 0], expected[:, 1]))
        return CameraStep(
            start_s,
            end_s,
            right=float(-shift[0]) * per_s,
            down=float(-shift[1]) * per_s,
            zoom=float(np.log(max(scale, 1e-3))) / elapsed,
            roll=float(np.arctan2(model[1, 0], model[0, 0])) / elapsed,
            speed=float(lengths.mean()) * per_s,
            own=float(own.mean()) * per_s,
            moving=float((own > tolerance).mean()),
            still=still,
            trust=float(np.mean(inliers)),
        )


def correlation(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Pearson's correlation of two pictures of one size, -1 to 1; 0 where one has no contrast."""
    x = a.astype(np.float32) - float(a.mean())
    y = b.astype(np.float32) - float(b.mean())
    scale = float(np.sqrt(np.square(x).sum() * np.square(y).sum()))
    return float((x * y).sum()) / scale if scale > 1e-6 else 0.0


def _texture(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean gradient around each point, in grey levels per pixel."""
    dx = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    dy = cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    return np.asarray(cv2.blur(np.abs(dx) + np.abs(dy), (9, 9)), dtype=np.float32)
