"""Films that are too long to decode are looked at in parts, and what is found in them is still right."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

from musiscene import media
from musiscene.captions._video import sampling
from musiscene.captions._video.analysis import analyse
from musiscene.captions._video.sampling import leaps, sample
from musiscene.media import Packets, Stretch
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


def test_a_packet_as_large_as_a_key_frame_is_a_leap() -> None:
    """One packet that stands out is found; busy stretches in which all are large, and key frames, are not."""
    sizes = np.array([5000] + [100] * 20 + [4000] + [100] * 20 + [5000] + [3000] * 20)
    keys = np.zeros(len(sizes), dtype=bool)
    keys[[0, 42]] = True
    packets = Packets(np.arange(len(sizes)) / 25, sizes, keys, np.zeros(len(sizes), dtype=bool), 100)

    assert leaps(packets, Stretch(0, 42)) == pytest.approx([21 / 25])
    assert len(leaps(packets, Stretch(42, 63))) == 0
