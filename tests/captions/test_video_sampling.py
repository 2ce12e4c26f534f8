"""Films that are too long to decode are looked at in parts, and what is found in them is still right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

from musiscene import media
from musiscene.captions._video import sampling
from musiscene.captions._video.analysis import analyse
from musiscene.captions._video.leaps import Leaps, further
from musiscene.captions._video.sampling import sample
from musiscene.captions._video.shots import Cut
from musiscene.captions._video.words import caption_text
from musiscene.media import Packets
from musiscene.types import Clip, Job

FPS, SIZE, SHOT_S = 10, (160, 90), 6.4
WORLDS = ("town", "landscape", "room", "cloth")


@pytest.fixture(scope="module")
def film(montages: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """77 s in twelve moving shots with hard cuts between, a key frame every three seconds wherever they lie."""

    def frames() -> Iterator[np.ndarray]:
        for number in range(12):
            rng = np.random.default_rng(number)
            world = montages.world(rng, WORLDS[number % 4], SIZE[0] * 3, SIZE[1] * 3)
            move = ("pan right", "pan left")[number % 2]
            shot = montages.Shot(world, SIZE, round(SHOT_S * FPS), FPS, move, 0.05, rng)
            yield from (shot.frame(k).clip(0, 255).astype("uint8") for k in range(shot.frames))

    return write(tmp_path_factory.mktemp("film") / "film.mp4", frames(), "keyint=30:min-keyint=30:scenecut=0:bframes=0")


def write(path: Path, frames: Iterator[np.ndarray], parameters: str) -> Path:
    """An H.264 film of these frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast", "x264-params": parameters})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def allow(monkeypatch: pytest.MonkeyPatch, clip: Clip, share: float) -> None:
    """Let only this share of the work of decoding `clip` be done."""
    packets = media.scan_packets(clip)
    assert packets is not None
    monkeypatch.setattr(sampling, "MOST_WORK", share * float(packets.work.sum()))


def test_cuts_of_a_film_read_in_parts_are_where_they_are(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With less than two thirds of the work all cuts are found to a tenth of a second, and nothing else is."""
    clip = media.probe(film)
    allow(monkeypatch, clip, 0.65)

    picture = analyse(clip, Job())

    assert 0.2 < picture.seen_share < 0.8
    assert picture.evidence()["seen_share"] == round(picture.seen_share, 3)
    assert [cut.time_s for cut in picture.cuts] == pytest.approx([SHOT_S * k for k in range(1, 12)], abs=0.11)


@pytest.mark.slow
def test_what_is_said_of_a_film_read_in_parts_is_what_is_said_of_the_whole(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Motion, light and look do not change with the share that is looked at, and the same film reads the same again."""
    clip = media.probe(film)
    whole = analyse(clip, Job())
    allow(monkeypatch, clip, 0.6)

    parts, again = analyse(clip, Job()), analyse(clip, Job())

    assert whole.seen_share == 1.0 > parts.seen_share
    assert parts.evidence() == again.evidence()
    assert parts.light.word == whole.light.word
    assert parts.look.kind == whole.look.kind
    assert parts.motion.level == pytest.approx(whole.motion.level, abs=0.1)
    assert len(parts.motion.curve) == len(whole.motion.curve)
    assert parts.light.brightness == pytest.approx(whole.light.brightness, abs=0.1)


def test_most_of_the_work_stays_within_what_is_allowed(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chosen parts cost no more than was allowed, begin at key frames, and are nowhere far apart."""
    clip = media.probe(film)
    for share in (0.7, 0.9):
        allow(monkeypatch, clip, share)

        found = sample(clip, Job())

        assert found is not None
        assert sum(found.packets.work[part.first : part.last].sum() for part in found.stretches) <= sampling.MOST_WORK
        assert all(found.packets.keys[part.first] for part in found.stretches)
        assert max(np.diff([found.packets.times_s[part.first] for part in found.stretches])) <= 6.0


def test_a_film_that_can_be_decoded_is_read_whole(film: Path) -> None:
    """Small pictures cost little: more than a minute of them is looked at in full."""
    assert sample(media.probe(film), Job()) is None


def test_without_key_frames_nothing_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A film that a decoder can only enter at its beginning is read whole, whatever that costs."""
    noise = np.random.default_rng(1).integers(0, 256, (40, *SIZE[::-1], 3), dtype=np.uint8)
    path = write(tmp_path / "one_key.mp4", iter(noise), "keyint=infinite:scenecut=0")
    clip = media.probe(path)
    allow(monkeypatch, clip, 0.1)

    assert sample(clip, Job()) is None


def packets_of(sizes: list[int], keys: list[int], order: list[int] | None = None) -> Packets:
    """Packets of these sizes, 25 a second, shown in `order`."""
    shown = np.arange(len(sizes)) if order is None else np.array(order)
    light = np.zeros(len(sizes), dtype=bool)
    return Packets(shown / 25, np.array(sizes), np.isin(np.arange(len(sizes)), keys), light, 100)


def test_the_packet_that_stands_out_most_is_the_clearest_leap() -> None:
    """Leaps are ranked by what they have more than their neighbours; busy stretches and regular key frames are none."""
    leaps = Leaps(packets_of([5000] + [100] * 20 + [4000] + [100] * 20 + [5000] + [3000] * 41, [0, 42]))

    found = leaps.between(0, 42)

    assert [leap.time_s for leap in found] == pytest.approx([21 / 25])
    assert found[0].ratio == pytest.approx(40)
    assert leaps.between(42, 84) == []


def test_a_cut_lies_between_pictures_that_are_shown_before_and_after_it() -> None:
    """Where a large packet comes before pictures that are shown earlier, the middle of the time in question is told."""
    order = [0, 1, 2, 3, 4, 5, 10, 6, 7, 8, 9, 11, 12, 13, 14, 15]

    found = Leaps(packets_of([5000] + [100] * 5 + [4000] + [100] * 9, [0], order)).between(0, 16)

    assert [leap.time_s for leap in found] == pytest.approx([8 / 25])


def test_a_key_frame_that_came_early_is_a_leap() -> None:
    """Encoders that set key frames at cuts tell where the cuts are; the others come at a fixed distance."""
    leaps = Leaps(packets_of([5000] + [100] * 19 + [5000] + [100] * 39 + [5000] + [100] * 39, [0, 20, 60]))

    assert [leap.time_s for leap in leaps.between(0, 20)] == pytest.approx([20 / 25])
    assert leaps.between(20, 60) == []


def test_a_second_leap_counts_when_it_is_nearly_as_clear() -> None:
    """One of two thirds is worth a look, one of a tenth is not."""
    sizes = [5000] + ([100] * 20 + [4000] + [100] * 20 + [2700] + [100] * 20 + [500]) + [100] * 20

    found = Leaps(packets_of(sizes, [0])).between(0, len(sizes))

    assert [leap.time_s for leap in further(found)] == pytest.approx([42 / 25])


def test_a_count_that_rests_on_unseen_cuts_is_said_to_be_about_right(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With half of the work some cuts are told by the file alone: the evidence counts them, the words say "about"."""
    clip = media.probe(film)
    allow(monkeypatch, clip, 0.45)

    picture = analyse(clip, Job())

    assert 0 < picture.cuts_unseen == picture.evidence()["cuts_unseen"] <= len(picture.cuts)
    assert caption_text(picture).startswith("About ")
    assert len(picture.cuts) == pytest.approx(11, abs=2)


@pytest.mark.slow(seconds=3)
def test_many_shots_of_a_film_that_is_read_thinly_are_said_to_be_about_so_many(film: Path) -> None:
    """Beyond a minute and a half fast pans may be taken for cuts; few shots, and those of a short clip, are counted."""
    picture = analyse(media.probe(film), Job())
    cuts = [Cut(5.0 * k, "cut") for k in range(1, 21)]

    def opening(duration_s: float, count: int) -> str:
        return caption_text(replace(picture, duration_s=duration_s, cuts=tuple(cuts[:count])))

    assert opening(400.0, 20).startswith("About 21 shots")
    assert opening(400.0, 4).startswith("Five shots")
    assert opening(80.0, 15).startswith("16 shots")
