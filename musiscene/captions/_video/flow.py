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

MOST_STILL = 0.45
"""Share of textured points at rest from which the camera is at rest."""
LEAST_SPREAD = 0.6
"""Share of the picture's twelve parts in which the camera's move must be seen; else it is the move of a thing."""
LEAST_BAND = 0.33
"""The same when it is seen from rim to rim, as in a landscape under a plain sky."""


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
        trust: Share of textured points that agree with the camera move; 0 when it cannot be told.
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
        self._dense = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._grid: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None

    def dense(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Flow in pixels from `before` to `after`, both (h, w) grey; None when they are too small for it."""
        height, width = before.shape
        if min(height, width) < 12:
            return None
        # OpenCV takes the number of scales from the width alone and reads outside of flat pictures (a crash, seen
        # with 160 by 24 in 4.14): such pictures are made higher first.
        below, beside = max(0, max(32, (width + 1) // 2) - height), max(0, 32 - width)
        if below or beside:
            before, after = (
                np.asarray(cv2.copyMakeBorder(picture, 0, below, 0, beside, cv2.BORDER_REPLICATE), dtype=np.uint8)
                for picture in (before, after)
            )
        flow = np.asarray(self._dense.calc(before, after, np.zeros((*before.shape, 2), np.float32)), dtype=np.float32)
        return flow[:height, :width]

    def kinship(
        self, before: NDArray[np.uint8], after: NDArray[np.uint8], within: NDArray[np.bool_] | None = None
    ) -> float:
        """How well `before`, moved along the flow, explains `after`, -1 to 1: the better of two measures.

        The correlation of the whole picture suffers from large things that move; the share of places whose
        neighbourhood is found again suffers from pictures with little texture. A change of light alone (gain and
        offset) costs nothing. Pictures without contrast are kin when their levels are alike. Only what lies `within`
        a mask counts.
        """
        everywhere = np.ones(before.shape, dtype=bool) if within is None else within
        x, y = before[everywhere], after[everywhere]
        if min(float(x.std()), float(y.std())) < 3.0:
            return 1.0 if abs(float(x.mean()) - float(y.mean())) < 20.0 else 0.0
        moved = self.follow(before, after)
        return max(correlation(moved[everywhere], y), local_share(moved, after, everywhere))

    def follow(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """`before` moved along the flow to where things are in `after`."""
        flow = self.dense(after, before)
        if flow is None:
            return before
        height, width = before.shape
        if self._grid is None or self._grid[0].shape != before.shape:
            ys, xs = np.mgrid[0:height, 0:width].astype(np.float32)
            self._grid = xs, ys
        moved = cv2.remap(
            before,
            self._grid[0] + flow[..., 0],
            self._grid[1] + flow[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        return np.asarray(moved, dtype=np.uint8)

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
        agreeing = np.zeros(len(points), dtype=bool) if inliers is None else inliers.ravel() > 0
        speed = float(lengths.mean()) * per_s
        if model is None or still > MOST_STILL or not _everywhere(points[agreeing], width, height):
            # What moves is not the view but something in it, or too little is seen to tell.
            moving = float((lengths > 0.7).mean())
            known = still > MOST_STILL
            return CameraStep(start_s, end_s, 0, 0, 0, 0, speed, speed, moving, still, still if known else 0.0)
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
            speed=speed,
            own=float(own.mean()) * per_s,
            moving=float((own > tolerance).mean()),
            still=still,
            trust=float(np.mean(agreeing)),
        )


def _everywhere(points: NDArray[np.float64], width: int, height: int) -> bool:
    """Whether `points` lie all over the picture: in most of its twelve parts, or from its left rim to its right."""
    if not len(points):
        return False
    cells = (points[:, 0] * 4 // width).astype(int) * 3 + (points[:, 1] * 3 // height).astype(int)
    share = len(np.unique(cells)) / 12
    across = points[:, 0].min() < width / 8 and points[:, 0].max() > width * 7 / 8
    return share >= LEAST_SPREAD or (bool(across) and share >= LEAST_BAND)


def correlation(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """Pearson's correlation of two pictures of one size, -1 to 1; 0 where one has no contrast."""
    x = a.astype(np.float32) - float(a.mean())
    y = b.astype(np.float32) - float(b.mean())
    scale = float(np.sqrt(np.square(x).sum() * np.square(y).sum()))
    return float((x * y).sum()) / scale if scale > 1e-6 else 0.0


def local_share(a: NDArray[np.uint8], b: NDArray[np.uint8], within: NDArray[np.bool_], window: int = 15) -> float:
    """Share of the textured places whose neighbourhoods in `a` and `b` correlate by more than 0.6."""
    x, y = a.astype(np.float32), b.astype(np.float32)

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(values, (window, window)), dtype=np.float32)

    mean_x, mean_y = mean(x), mean(y)
    spread_x, spread_y = mean(x * x) - mean_x**2, mean(y * y) - mean_y**2
    textured = (np.maximum(spread_x, spread_y) > 36.0) & within
    if float(textured.mean()) < 0.05:
        return 0.0
    alike = mean(x * y) - mean_x * mean_y > 0.6 * np.sqrt(np.maximum(spread_x, 4.0) * np.maximum(spread_y, 4.0))
    return float(alike[textured].mean())


def transform(step: CameraStep, width: int, height: int) -> NDArray[np.float64]:
    """The camera step as a 3 by 3 matrix that takes places in the first frame to places in the second, in pixels."""
    elapsed = step.end_s - step.start_s
    scale, angle = np.exp(step.zoom * elapsed), step.roll * elapsed
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre = np.array([width / 2, height / 2])
    shift = -np.array([step.right, step.down]) * elapsed * width
    matrix = np.eye(3)
    matrix[:2, :2] = turn
    matrix[:2, 2] = centre - turn @ centre + shift
    return matrix


def _texture(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean gradient around each point, in grey levels per pixel."""
    dx = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    dy = cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    return np.asarray(cv2.blur(np.abs(dx) + np.abs(dy), (9, 9)), dtype=np.float32)
