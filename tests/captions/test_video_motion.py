"""Camera moves and their measure."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from musiscene import media
from musiscene.captions._video.flow import Flow
from musiscene.captions._video.motion import Motion, measure_motion
from musiscene.captions._video.reading import read
from musiscene.types import Job

SIZE = (192, 108)


def motion_of(montages: ModuleType, folder: Path, move: str, speed: float = 0.15, **options) -> Motion:
    """The motion measured in a drawn shot."""
    rng = np.random.default_rng(5)
    world = montages.world(rng, "town", SIZE[0] * 3, SIZE[1] * 3)
    shot = montages.Shot(world, SIZE, 45, 25.0, move, speed, rng, **options)
    frames = (shot.frame(k).clip(0, 255).astype(np.uint8) for k in range(shot.frames))
    clip = media.probe(montages.encode(folder / "move.mp4", frames, 25.0))
    return measure_motion(read(clip, Job()).steps, [], clip.duration_s)


@pytest.mark.parametrize(
    "move", ["static", "pan left", "pan right", "tilt up", "tilt down", "zoom in", "zoom out", "handheld"]
)
def test_a_camera_move_is_named(montages: ModuleType, tmp_path: Path, move: str) -> None:
    """Still, panning, tilting, zooming and handheld cameras are told apart."""
    assert motion_of(montages, tmp_path, move).kind == move


def test_the_speed_of_a_pan_is_measured_in_picture_widths(montages: ModuleType, tmp_path: Path) -> None:
    """A pan of a quarter of the picture's width a second is measured as that, to the right."""
    motion = motion_of(montages, tmp_path, "pan right", 0.25)

    assert motion.shots[0].right == pytest.approx(0.25, rel=0.1)


def test_things_that_move_before_a_still_camera_are_action(montages: ModuleType, tmp_path: Path) -> None:
    """Moving things are not taken for a moving camera."""
    motion = motion_of(montages, tmp_path, "static", subjects=5)

    assert motion.kind == "action"
    assert motion.subjects


def test_more_motion_gives_a_higher_curve(montages: ModuleType, tmp_path: Path) -> None:
    """The motion curve lies in 0 to 1, near 0 for a still picture, and rises with speed."""
    levels = [motion_of(montages, tmp_path, "pan left", speed).level for speed in (0.04, 0.15, 0.5)]
    still = motion_of(montages, tmp_path, "static")

    assert still.level < 0.02
    assert levels == sorted(levels)
    assert all(0 <= value <= 1 for value in still.curve)
    assert len(still.curve) <= 120


@pytest.mark.parametrize("size", [(1, 1), (2, 160), (160, 2), (24, 160), (17, 93), (160, 24), (31, 77)])
def test_flow_survives_every_shape_of_picture(size: tuple[int, int]) -> None:
    """Very flat, very narrow and tiny pictures give an answer."""
    picture = np.random.default_rng(0).integers(0, 255, size, dtype=np.uint8)

    step = Flow().step(picture, np.roll(picture, 1, axis=1), 0.0, 0.1)

    assert np.isfinite(step.speed)
    assert Flow().kinship(picture, picture) > 0.9
