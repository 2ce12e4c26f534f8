"""Cuts, fades and dissolves, and what only looks like them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from musiscene import media
from musiscene.captions._video.reading import Reading, read
from musiscene.captions._video.shots import Cut, find_cuts
from musiscene.types import Job

SIZE = (192, 108)
FPS = 25.0


def cuts_of(frames: Iterator[np.ndarray], montages: ModuleType, folder: Path) -> list[Cut]:
    """The cuts found in a video of these frames."""
    path = montages.encode(folder / "clip.mp4", frames, FPS)
    return find_cuts(read(media.probe(path), Job()))


def shot(montages: ModuleType, seed: int, move: str = "static", seconds: float = 1.6, kind: str = "town", **options):
    """A drawn shot of its own world."""
    rng = np.random.default_rng(seed)
    world = montages.world(rng, kind, SIZE[0] * 3, SIZE[1] * 3)
    return montages.Shot(world, SIZE, round(seconds * FPS), FPS, move, options.pop("speed", 0.15), rng, **options)


def frames_of(montages: ModuleType, shots: list, join: str, length: int = 12) -> Iterator[np.ndarray]:
    """The shots one after another, joined by `join` of `length` frames."""
    starts = [0]
    for one in shots[:-1]:
        starts.append(starts[-1] + one.frames - (length if join == "dissolve" else 0))
    joins = [(join, 0 if join == "cut" else length)] * (len(shots) - 1)
    return montages._frames(shots, joins, starts, 1.5, np.random.default_rng(0))


def test_hard_cuts_are_found_to_the_frame(montages: ModuleType, tmp_path: Path) -> None:
    """Three hard cuts between moving and still shots are found where they are, and nothing else is."""
    kinds, moves = ("town", "landscape", "room", "town"), ("static", "pan left", "handheld", "zoom in")
    shots = [shot(montages, 10 + k, move, kind=kinds[k]) for k, move in enumerate(moves)]

    cuts = cuts_of(frames_of(montages, shots, "cut"), montages, tmp_path)

    assert [cut.time_s for cut in cuts] == pytest.approx([1.6, 3.2, 4.8], abs=0.021)
    assert {cut.kind for cut in cuts} == {"cut"}


@pytest.mark.parametrize("join", ["fade", "white", "dissolve"])
def test_a_gradual_transition_is_one_cut(montages: ModuleType, tmp_path: Path, join: str) -> None:
    """A fade through black or white and a dissolve are each one cut, within their extent."""
    shots = [shot(montages, 21, kind="town"), shot(montages, 22, kind="landscape")]

    cuts = cuts_of(frames_of(montages, shots, join), montages, tmp_path)

    middle = 1.6 - (0.24 if join == "dissolve" else 0.0)
    assert [cut.time_s for cut in cuts] == pytest.approx([middle], abs=0.26)
    assert cuts[0].kind == ("dissolve" if join == "dissolve" else "fade")


@pytest.mark.parametrize(
    ("move", "options"),
    [
        ("pan right", {"speed": 1.2}),
        ("zoom in", {"speed": 0.4}),
        ("handheld", {"speed": 0.35}),
        ("static", {"flashes": (10, 25)}),
        ("static", {"light": (0.4, 1.1)}),
        ("static", {"subjects": 4}),
    ],
    ids=["fast pan", "zoom", "handheld", "flashes", "growing light", "moving things"],
)
def test_what_moves_flashes_or_brightens_is_no_cut(
    montages: ModuleType, tmp_path: Path, move: str, options: dict
) -> None:
    """Camera moves, flashes, slow changes of light and moving things do not make a shot two."""
    frames = frames_of(montages, [shot(montages, 31, move, 2.0, "room", **options)], "cut")

    assert cuts_of(frames, montages, tmp_path) == []


def test_black_at_both_ends_is_no_cut(montages: ModuleType, tmp_path: Path) -> None:
    """A fade in from black at the start and a fade out at the end leave one shot."""
    one = shot(montages, 41, kind="landscape", seconds=2.0)

    def frames() -> Iterator[np.ndarray]:
        for k in range(one.frames):
            share = min(1.0, k / 12, (one.frames - 1 - k) / 12)
            yield (one.frame(k) * share).clip(0, 255).astype(np.uint8)

    assert cuts_of(frames(), montages, tmp_path) == []


def test_a_thinly_read_clip_is_survived() -> None:
    """Of long clips only some pictures are read, seconds apart: dark ones among them are no reason to fail."""
    rng = np.random.default_rng(3)
    thumbs = rng.integers(0, 255, (9, 18, 32, 3)).astype(np.uint8)
    thumbs[4] //= 12
    times_s = np.arange(9) * 4.0
    reading = Reading(times_s, thumbs, np.full(9, 30.0), np.zeros(9), (), (), (), ())

    assert all(0 < cut.time_s < 36 for cut in find_cuts(reading))


def test_a_cut_between_two_pictures_that_were_read_lies_in_the_middle() -> None:
    """Of eight pictures a second read of 24, the first new one may be the third of its shot."""
    old, new = (np.random.default_rng(k).integers(0, 256, (18, 32, 3), dtype=np.uint8) for k in range(2))
    thumbs = np.stack([old] * 4 + [new] * 4)
    change = np.array([0.0, 0, 0, 0, 80, 0, 0, 0])
    reading = Reading(np.arange(8) / 8, thumbs, change, (change == 0).astype(float), (), (), (), ())

    assert [cut.time_s for cut in find_cuts(reading)] == [4 / 8]
    assert [cut.time_s for cut in find_cuts(replace(reading, frame_s=1 / 24))] == pytest.approx([4 / 8 - 1 / 24])


def in_parts(pictures: list[np.ndarray], times_s: list[float], **hints: tuple[float, ...]) -> Reading:
    """What is left of a film of which only these pictures were read; every one differs from that before it."""
    thumbs = np.stack(pictures).astype(np.uint8)
    change, kinship = np.full(len(thumbs), 80.0), np.zeros(len(thumbs))
    for k in range(1, len(thumbs)):
        if (thumbs[k] == thumbs[k - 1]).all():
            change[k], kinship[k] = 0.0, 1.0
    return Reading(np.array(times_s), thumbs, change, kinship, (), (), (), (), share=0.5, **hints)


def test_a_white_key_frame_between_parts_hides_no_later_cut() -> None:
    """What follows a flash after some unseen seconds is no end of that flash."""
    first, second, third = (np.random.default_rng(k).integers(0, 256, (18, 32, 3)) for k in range(3))
    white = np.full((18, 32, 3), 255)
    pictures = [first, first, first, white, second, third, third, third]

    cuts = find_cuts(in_parts(pictures, [0.0, 0.1, 0.2, 6.0, 12.0, 18.0, 18.1, 18.2]))

    assert [(cut.time_s, cut.kind, cut.seen) for cut in cuts] == [(6.0, "fade", True), (18.0, "cut", False)]


@pytest.mark.parametrize(("proved", "believed"), [(4, True), (1, False)])
def test_further_hints_of_the_file_are_believed_when_they_proved_right(proved: int, believed: bool) -> None:
    """A second cut in a part left out is told when such hints were cuts where they could be looked at, else not."""
    shots = [np.random.default_rng(k).integers(0, 256, (18, 32, 3)) for k in range(7)]
    pictures = [shot for shot in shots[:6] for _ in range(5)] + [shots[6]] * 3
    times_s = [*(np.arange(30) * 0.2), 12.0, 12.2, 12.4]
    seen_s = [1.0, 2.0, 3.0, 4.0, 5.0]
    tested_s = (*seen_s[:proved], *(time_s + 0.5 for time_s in seen_s[proved:4]))

    cuts = find_cuts(in_parts(pictures, times_s, leaps_s=(8.0,), further_s=(10.0,), tested_s=tested_s))

    unseen = [8.0, 10.0] if believed else [8.0]
    assert [cut.time_s for cut in cuts] == pytest.approx([*seen_s, *unseen])
    assert [cut.time_s for cut in cuts if not cut.seen] == pytest.approx(unseen)


@pytest.mark.slow
def test_montages_of_unseen_seeds_score_well(montages: ModuleType, tmp_path: Path) -> None:
    """On a few montages with fades, flashes and camera moves, nearly all cuts are found and hardly any is invented."""
    found = invented = missed = 0
    for seed in (9001, 9002):
        frames, fps, truth = montages.montage(seed, size=SIZE)
        cuts = find_cuts(read(media.probe(montages.encode(tmp_path / f"{seed}.mp4", frames, fps)), Job()))
        left = [cut.time_s for cut in cuts]
        for begin, end in truth.cuts_s:
            near = [time_s for time_s in left if begin - 0.1 <= time_s <= end + 0.1]
            found, missed = found + bool(near), missed + (not near)
            if near:
                left.remove(near[0])
        invented += len(left)

    assert 2 * found / (2 * found + invented + missed) >= 0.85
