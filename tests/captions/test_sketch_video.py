"""The embedded video captioner: what it says, what it must not say, and how it stops."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from musiscene import media
from musiscene.captions.sketch_video import SPEC
from musiscene.errors import MissingStreamError, Stopped
from musiscene.types import Caption, CaptionKind, CaptionRequest, Job

SIZE = (192, 108)
PEOPLE = ("people", "person", "face", "man", "woman")


def caption_of(path: Path, job: Job | None = None) -> Caption:
    """The video caption of a file."""
    request = CaptionRequest(frozenset({CaptionKind.VIDEO}), video=media.probe(path))
    return next(iter(SPEC.load({}).describe(request, job or Job())))


@pytest.fixture
def caption(montages: ModuleType, tmp_path: Path):
    """A function from frames to their caption."""

    def make(frames: Iterable[np.ndarray], fps: float = 25.0) -> Caption:
        return caption_of(montages.encode(tmp_path / "clip.mp4", iter(frames), fps))

    return make


def shot(montages: ModuleType, move: str = "pan left", seconds: float = 1.6) -> list[np.ndarray]:
    """Frames of a drawn shot."""
    rng = np.random.default_rng(3)
    one = montages.Shot(
        montages.world(rng, "landscape", SIZE[0] * 3, SIZE[1] * 3), SIZE, round(25 * seconds), 25.0, move, 0.15, rng
    )
    return [one.frame(k).clip(0, 255).astype(np.uint8) for k in range(one.frames)]


def slide() -> np.ndarray:
    """A white slide with lines of text."""
    picture = np.full((270, 480, 3), 255, np.uint8)
    for row in range(5):
        place = (30, 60 + 40 * row)
        cv2.putText(picture, f"Point {row}: words on a slide", place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, (20, 20, 60), 2)
    return picture


def test_a_black_video_is_said_to_be_black(caption) -> None:
    """Nothing is read into a black picture."""
    made = caption(np.zeros((40, 108, 192, 3), np.uint8))

    assert "black from beginning to end" in made.text
    assert made.evidence["light"] == "black"
    assert made.evidence["cuts_s"] == []


def test_a_frozen_video_is_said_to_be_a_still_picture(caption, montages: ModuleType) -> None:
    """A picture that never changes is said to be still, and has one shot and no motion."""
    made = caption([shot(montages)[0]] * 40)

    assert "still picture that does not change" in made.text
    assert made.evidence["frozen"]
    assert made.evidence["shots"] == 1
    assert made.evidence["motion_level"] == 0


def test_one_frame_is_said_to_be_a_single_picture(caption, montages: ModuleType) -> None:
    """A video of one frame is a picture, not a film."""
    made = caption(shot(montages)[:1])

    assert made.text.startswith("A single still picture")
    assert made.evidence["frames"] == 1


def test_tiny_pictures_are_described(caption) -> None:
    """Two by two pixels give a caption without inventing cuts or people."""
    made = caption(np.full((20, 2, 2, 3), 90, np.uint8))

    assert made.text
    assert made.evidence["cuts_s"] == []
    assert made.evidence["faces"] == 0


def test_slides_are_recognised_as_screen_like(caption) -> None:
    """Text on a white slide looks like a screen or titles."""
    made = caption([slide()] * 20)

    assert made.evidence["screen_like"]
    assert made.evidence["look"] == "graphics"
    assert "titles" in made.text


@pytest.mark.parametrize("kind", ["town", "landscape", "room", "cartoon", "night", "cloth"])
def test_no_people_are_invented_in_drawn_worlds(caption, montages: ModuleType, kind: str) -> None:
    """Houses, hills, circles and lights are not taken for people."""
    rng = np.random.default_rng(8)
    world = montages.world(rng, kind, 960, 540)
    one = montages.Shot(world, (480, 270), 10, 10.0, "pan left", 0.3, rng)

    made = caption([one.frame(k).clip(0, 255).astype(np.uint8) for k in range(10)], 10.0)

    assert made.evidence["faces"] == 0
    assert not any(word in made.text.lower().split() for word in PEOPLE)


def test_the_text_says_what_was_measured(caption, montages: ModuleType) -> None:
    """A pan to the left in one shot is said so, in at most two sentences, with colours of the palette."""
    made = caption(shot(montages))

    assert "pans to the left" in made.text
    assert made.text.startswith("One unbroken shot")
    assert made.text.count(". ") <= 1 and made.text.endswith(".")
    assert made.evidence["palette"][0]["name"] in made.text


def test_evidence_is_json_with_units(caption, montages: ModuleType) -> None:
    """The evidence survives JSON, holds the documented fields, and its strip is small."""
    evidence = json.loads(json.dumps(caption(shot(montages)).evidence, allow_nan=False))

    documented = (
        "cuts_s shots shot_lengths_s pace_cuts_per_min motion_kind motion_level motion_curve brightness contrast light "
        "warmth saturation palette faces people look screen_like development strip arousal valence"
    )
    assert set(documented.split()) <= set(evidence)
    assert len(evidence["shot_lengths_s"]) == evidence["shots"]
    assert 2 <= len(evidence["motion_curve"]) <= 120
    assert sum(len(picture["jpeg"]) for picture in evidence["strip"]) < 40_000


def test_the_same_clip_gives_the_same_caption(montages: ModuleType, tmp_path: Path) -> None:
    """Two runs at the same time agree in every word and number."""
    path = montages.encode(tmp_path / "clip.mp4", iter(shot(montages)), 25.0)
    made: list[Caption] = []
    threads = [threading.Thread(target=lambda: made.append(caption_of(path))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert made[0].text == made[1].text
    assert made[0].evidence == made[1].evidence


def test_it_reports_progress_and_stops(montages: ModuleType, tmp_path: Path) -> None:
    """Progress never goes back, and once stopped it ends without a caption."""
    path = montages.encode(tmp_path / "clip.mp4", iter(shot(montages)), 25.0)
    heard: list[float] = []
    caption_of(path, Job(lambda fraction, note: heard.append(fraction)))
    job = Job(lambda fraction, note: job.stop.set() if fraction > 0.2 else None)

    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    with pytest.raises(Stopped):
        caption_of(path, job)


def test_without_a_picture_it_says_so() -> None:
    """A request without a video is refused in words."""
    request = CaptionRequest(frozenset({CaptionKind.VIDEO}))

    with pytest.raises(MissingStreamError, match="no picture"):
        next(iter(SPEC.load({}).describe(request, Job())))


def _real_videos(folder: Path) -> Iterator[tuple[Path, str]]:
    for entry in json.loads((folder / "manifest.json").read_text())["files"]:
        short = entry["category"].startswith("video") and entry["duration_s"] < 5.5
        if short and entry["video"][0]["width"] <= 640:
            yield folder / entry["name"], entry["content"].lower()


@pytest.mark.slow
@pytest.mark.media
def test_faces_are_only_seen_where_people_are(real_media: Path) -> None:
    """Among short real clips no face is reported where the description names no person."""
    people = ("man", "woman", "person", "people", "boy", "girl", "face", "child")
    for path, content in _real_videos(real_media):
        made = caption_of(path)
        if not any(word in content for word in people):
            assert made.evidence["faces"] == 0, path.name
