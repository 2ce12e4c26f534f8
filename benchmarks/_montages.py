"""Rendered montages with known cuts, camera moves and light, to measure the video captioner with.

Everything is drawn here from a seed: worlds (landscape, town, room, cartoon, night, cloth), cameras (still, pans,
tilts, zooms, handheld), subjects that cross the picture, flashes, changes of light, and transitions (hard cut, fade
through black or white, dissolve). The truth comes with each montage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

WORLDS = ("landscape", "town", "room", "cartoon", "night", "cloth")
MOVES = ("static", "pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out", "handheld", "action")
TRANSITIONS = ("cut", "cut", "cut", "cut", "fade", "dissolve", "white")
HARD_TRANSITIONS = ("cut", "cut", "fade", "dissolve", "dissolve", "dissolve", "white")


@dataclass(frozen=True)
class Truth:
    """What is in a montage.

    Attributes:
        cuts_s: For each transition its first and last moment in seconds; equal for a hard cut.
        kinds: The kind of each transition.
        moves: The camera move of each shot.
    """

    cuts_s: tuple[tuple[float, float], ...]
    kinds: tuple[str, ...]
    moves: tuple[str, ...]


@dataclass
class Shot:
    """One drawn shot: a world, a camera path over it, things that move in it, light and grain."""

    world: np.ndarray
    size: tuple[int, int]
    frames: int
    fps: float
    move: str
    speed: float
    rng: np.random.Generator
    flashes: tuple[int, ...] = ()
    light: tuple[float, float] = (1.0, 1.0)
    subjects: int = 0
    _path: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self._path = self._camera()
        width, height = self.size
        self._things = [
            (
                self.rng.uniform(0.08, 0.25) * height,
                self.rng.uniform(0, 1, 2) * (width, height),
                self.rng.normal(0, 0.5, 2) * width,
                self.rng.integers(20, 236, 3).astype(float),
            )
            for _ in range(self.subjects)
        ]

    def _camera(self) -> np.ndarray:
        """Centre x, centre y (in world pixels) and zoom for each frame."""
        width, height = self.size
        t = np.arange(self.frames) / self.fps
        far = self.world.shape[1], self.world.shape[0]
        x, y, zoom = np.full_like(t, far[0] / 2), np.full_like(t, far[1] / 2), np.ones_like(t)
        # A pan crosses at most what the world has; the speed is in picture widths per second.
        room = (far[0] - width) / 2 - 4, (far[1] - height) / 2 - 4
        ahead = t - t[-1] / 2
        reach = max(1e-6, t[-1] / 2)
        if self.move.startswith("pan"):
            step = min(self.speed * width, room[0] / reach)
            x = x + ahead * step * (1 if self.move.endswith("right") else -1)
        elif self.move.startswith("tilt"):
            step = min(self.speed * width, room[1] / reach)
            y = y + ahead * step * (1 if self.move.endswith("down") else -1)
        elif self.move.startswith("zoom"):
            rate = min(self.speed, 1.2 / max(t[-1], 1e-6))
            zoom = np.exp(rate * (t if self.move.endswith("in") else t[-1] - t))
        elif self.move == "handheld":
            for amount, hertz in ((0.012, 0.7), (0.008, 1.9), (0.004, 4.3)):
                phase = self.rng.uniform(0, 2 * np.pi, 2)
                x = x + amount * width * np.sin(2 * np.pi * hertz * t + phase[0]) * self.speed * 4
                y = y + amount * width * np.sin(2 * np.pi * hertz * 1.13 * t + phase[1]) * self.speed * 4
        return np.stack([x, y, zoom], axis=1)

    def frame(self, index: int) -> np.ndarray:
        """Frame `index`, shape (height, width, 3), float RGB 0 to 255."""
        width, height = self.size
        x, y, zoom = self._path[index]
        to_world = np.array([[1 / zoom, 0, x - width / 2 / zoom], [0, 1 / zoom, y - height / 2 / zoom]])
        picture = cv2.warpAffine(
            self.world,
            to_world,
            (width, height),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT,
        ).astype(np.float32)
        for radius, start, velocity, colour in self._things:
            # Things go to and fro between the sides of the picture.
            sides = np.array([width, height])
            centre = np.abs((start + velocity * index / self.fps + sides) % (2 * sides) - sides)
            cv2.circle(picture, (int(centre[0]), int(centre[1])), int(radius), colour.tolist(), -1, cv2.LINE_AA)
            spot = (int(centre[0] - radius / 3), int(centre[1] - radius / 3))
            cv2.circle(picture, spot, int(radius / 3), (255 - colour).tolist(), -1, cv2.LINE_AA)
        share = index / max(1, self.frames - 1)
        picture *= self.light[0] + (self.light[1] - self.light[0]) * share
        for at in self.flashes:
            if 0 <= index - at < 3:
                picture += (230.0, 170.0, 60.0)[index - at]
        return picture


def world(rng: np.random.Generator, kind: str, width: int, height: int) -> np.ndarray:
    """A drawn world, shape (height, width, 3) uint8."""
    hue = rng.uniform(0, 180)
    if kind == "landscape":
        sky = _gradient(_hsv(rng.uniform(90, 130), rng.uniform(30, 160), 230), _hsv(hue, 40, 250), width, height)
        picture = sky
        for layer in range(4):
            base = height * (0.35 + 0.15 * layer) + rng.uniform(-20, 20)
            xs = np.arange(width)
            ridge = base + sum(
                rng.uniform(5, 40) * np.sin(xs * rng.uniform(0.003, 0.03) + rng.uniform(0, 6)) for _ in range(4)
            )
            mask = np.arange(height)[:, None] > ridge[None, :]
            colour = _hsv(rng.uniform(20, 80), rng.uniform(60, 200), 200 - 35 * layer)
            picture = np.where(mask[..., None], colour * (0.7 + 0.6 * _noise(rng, width, height)[..., None]), picture)
    elif kind == "town":
        picture = _gradient(_hsv(hue, 60, 200), _hsv(hue + 20, 30, 235), width, height)
        for _ in range(40):
            w, h = int(rng.integers(30, 120)), int(rng.integers(60, height - 40))
            x, colour = (
                int(rng.integers(-20, width)),
                _hsv(hue + rng.uniform(-30, 30), rng.uniform(10, 120), rng.uniform(50, 220)),
            )
            cv2.rectangle(picture, (x, height - h), (x + w, height), colour.tolist(), -1)
            for wy in range(height - h + 6, height - 8, 14):
                for wx in range(x + 5, x + w - 8, 12):
                    if rng.random() < 0.7:
                        cv2.rectangle(
                            picture, (wx, wy), (wx + 6, wy + 8), (colour * rng.uniform(0.4, 1.5)).tolist(), -1
                        )
    elif kind == "room":
        picture = _gradient(_hsv(hue, 50, rng.uniform(120, 220)), _hsv(hue, 70, rng.uniform(60, 130)), width, height)
        for _ in range(25):
            corner = rng.uniform(0, 1, 2) * (width, height)
            size = rng.uniform(0.03, 0.2, 2) * width
            angle = float(rng.normal(0, 8))
            box = cv2.boxPoints((corner.tolist(), size.tolist(), angle)).astype(np.int32)
            cv2.fillPoly(
                picture, [box], _hsv(hue + rng.normal(0, 40), rng.uniform(20, 160), rng.uniform(40, 240)).tolist()
            )
        picture *= 0.85 + 0.3 * _noise(rng, width, height)[..., None]
    elif kind == "cartoon":
        picture = np.empty((height, width, 3), np.float32)
        picture[:] = _hsv(hue, rng.uniform(60, 200), rng.uniform(160, 255))
        for _ in range(30):
            centre = (rng.uniform(0, 1, 2) * (width, height)).astype(int).tolist()
            colour = _hsv(rng.uniform(0, 180), rng.uniform(80, 240), rng.uniform(80, 255)).tolist()
            cv2.circle(picture, centre, int(rng.uniform(10, 80)), colour, -1, cv2.LINE_AA)
    elif kind == "night":
        picture = np.full((height, width, 3), 14.0, np.float32) + 16 * _noise(rng, width, height)[..., None]
        for _ in range(140):
            centre = (rng.uniform(0, 1, 2) * (width, height)).astype(int).tolist()
            colour = _hsv(rng.choice([15, 20, 25, 100, 0]), rng.uniform(40, 220), rng.uniform(120, 255)).tolist()
            cv2.circle(picture, centre, int(rng.uniform(1, 9)), colour, -1, cv2.LINE_AA)
        picture = cv2.GaussianBlur(picture, (0, 0), 1.5)
    else:
        noise = np.stack([_noise(rng, width, height) for _ in range(3)], axis=2)
        picture = _hsv(hue, rng.uniform(30, 200), rng.uniform(110, 220)) * (0.5 + noise)
    return np.clip(picture, 0, 255).astype(np.uint8)


def _hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    pixel = np.array([[[hue % 180, np.clip(saturation, 0, 255), np.clip(value, 0, 255)]]], np.uint8)
    return cv2.cvtColor(pixel, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float32)


def _gradient(top: np.ndarray, bottom: np.ndarray, width: int, height: int) -> np.ndarray:
    share = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    return np.ascontiguousarray(np.broadcast_to(top * (1 - share) + bottom * share, (height, width, 3)))


def _noise(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Noise with more power at low frequencies, as natural pictures have; 0 to 1."""
    total = np.zeros((height, width), np.float32)
    for octave in range(2, 8):
        cells = rng.random((max(2, height * 2**octave // 1024), max(2, width * 2**octave // 1024)), dtype=np.float32)
        total += cv2.resize(cells, (width, height), interpolation=cv2.INTER_CUBIC) / 1.35**octave
    return (total - total.min()) / (np.ptp(total) + 1e-6)


def one_shot(
    seed: int, move: str, *, seconds: float = 4.0, size: tuple[int, int] = (320, 180), fps: float = 25.0
) -> Shot:
    """A single shot with a known camera move."""
    rng = np.random.default_rng([seed, 77])
    kind = WORLDS[int(rng.integers(len(WORLDS)))]
    camera = "static" if move == "action" else move
    return Shot(
        world=world(rng, kind, size[0] * 3, size[1] * 3),
        size=size,
        frames=round(seconds * fps),
        fps=fps,
        move=camera,
        speed=float(rng.uniform(0.08, 0.35)),
        rng=rng,
        subjects=int(rng.integers(3, 6)) if move == "action" else 0,
    )


def montage(
    seed: int, *, size: tuple[int, int] = (320, 180), hard: bool = False
) -> tuple[Iterator[np.ndarray], float, Truth]:
    """Frames (uint8 RGB), frame rate and truth of the montage of that seed.

    Hard ones have only moving shots and mostly gradual transitions, of half a second to two seconds.
    """
    rng = np.random.default_rng([seed, 4 if hard else 3])
    transitions, moves, length_s = (
        (HARD_TRANSITIONS, tuple(move for move in MOVES if move != "static"), (0.5, 2.0))
        if hard
        else (TRANSITIONS, MOVES, (0.3, 0.9))
    )
    fps = float(rng.choice([24.0, 25.0, 30.0]))
    shots: list[Shot] = []
    joins: list[tuple[str, int]] = []
    family = WORLDS[int(rng.integers(len(WORLDS)))]
    for number in range(int(rng.integers(4, 10))):
        kind = family if rng.random() < 0.35 else WORLDS[int(rng.integers(len(WORLDS)))]
        fast = rng.random() < 0.2
        move = moves[int(rng.integers(len(moves)))]
        speed = float(rng.uniform(0.8, 1.6) if fast and move.startswith("pan") else rng.uniform(0.05, 0.4))
        seconds = float(rng.uniform(1.0, 4.5)) + (2 * length_s[1] if hard else 0.0)
        frames = round(seconds * fps)
        event = rng.random()
        grow = 1 if rng.random() < 0.5 else -1
        shots.append(
            Shot(
                world=world(rng, kind, size[0] * 3, size[1] * 3),
                size=size,
                frames=frames,
                fps=fps,
                move="static" if move == "action" else move,
                speed=speed,
                rng=rng,
                flashes=tuple(int(f) for f in rng.integers(8, max(9, frames - 10), 2)) if event < 0.15 else (),
                light=(float(rng.uniform(0.35, 0.7)), 1.1)[::grow] if event > 0.8 else (1.0, 1.0),
                subjects=int(rng.integers(2, 6)) if move == "action" or rng.random() < 0.25 else 0,
            )
        )
        if number:
            how = transitions[int(rng.integers(len(transitions)))]
            joins.append((how, 0 if how == "cut" else int(rng.uniform(*length_s) * fps)))
    grain = float(rng.choice([0.0, 1.5, 4.0]))
    starts, cuts = [0], []
    for shot, (how, length) in zip(shots, joins, strict=False):
        end = starts[-1] + shot.frames
        # A dissolve overlaps both shots; a fade takes its time from the end of one and the start of the next.
        begin = end - length if how == "dissolve" else end
        starts.append(begin)
        cuts.append((begin, end) if how == "dissolve" else (end - length // 2, end + length // 2))
    truth = Truth(
        tuple((a / fps, b / fps) for a, b in cuts),
        tuple(how for how, _ in joins),
        tuple("action" if s.subjects and s.move == "static" else s.move for s in shots),
    )
    return _frames(shots, joins, starts, grain, np.random.default_rng([seed, 5])), fps, truth


def _frames(
    shots: list[Shot], joins: list[tuple[str, int]], starts: list[int], grain: float, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    total = starts[-1] + shots[-1].frames
    for now in range(total):
        showing = [k for k, start in enumerate(starts) if start <= now < start + shots[k].frames]
        k = showing[0]
        picture = shots[k].frame(now - starts[k])
        if len(showing) > 1:
            share = (now - starts[k + 1] + 1) / (joins[k][1] + 1)
            picture = picture * (1 - share) + shots[k + 1].frame(now - starts[k + 1]) * share
        else:
            left = shots[k].frames - (now - starts[k])
            if k < len(joins) and joins[k][0] in ("fade", "white"):
                picture = _faded(picture, joins[k], left - 1)
            if k and joins[k - 1][0] in ("fade", "white"):
                picture = _faded(picture, joins[k - 1], now - starts[k])
        if grain:
            picture = picture + rng.normal(0, grain, picture.shape).astype(np.float32)
        yield np.clip(picture, 0, 255).astype(np.uint8)


def _faded(picture: np.ndarray, join: tuple[str, int], distance: int) -> np.ndarray:
    share = min(1.0, distance / max(1, join[1] // 2))
    return picture * share + (255.0 if join[0] == "white" else 0.0) * (1 - share)


def encode(path: Path, frames: Iterator[np.ndarray], fps: float, *, crf: int = 23) -> Path:
    """Write `frames` as H.264 in MP4."""
    rate = Fraction(fps).limit_denominator(1001)
    with av.open(str(path), "w") as container:
        stream = None
        for picture in frames:
            if stream is None:
                stream = container.add_stream("libx264", rate=rate, options={"crf": str(crf), "preset": "veryfast"})
                stream.height, stream.width = picture.shape[:2]
                stream.pix_fmt = "yuv420p"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        if stream is not None:
            container.mux(stream.encode())
    return path
