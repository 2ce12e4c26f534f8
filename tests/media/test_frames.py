"""Pictures by time: the right ones, upright, in the right colours, from every kind of clip."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from musiscene.errors import MissingStreamError, RequestError, Stopped
from musiscene.media import iter_frames, probe, sample_frames
from musiscene.types import Job


def _red(images: np.ndarray) -> np.ndarray:
    """Mean red of the lower half, which the fixture's `picture` sets to four times the frame's number."""
    return images[:, images.shape[1] * 5 // 8 :, ..., 0].mean(axis=(1, 2))


def test_frames_are_spread_evenly_and_are_those_of_their_times(make_media):
    """Each picture is the one on screen at its time, over the whole length."""
    clip = probe(make_media(duration_s=2.4, fps=25, size=(96, 64)))
    frames = sample_frames(clip, 6)
    np.testing.assert_allclose(frames.times_s, [0.2, 0.6, 1.0, 1.4, 1.8, 2.2], atol=0.041)
    np.testing.assert_allclose(_red(frames.images), frames.times_s * 25 * 4, atol=6)
    assert frames.images.dtype == np.uint8
    assert frames.images.shape == (6, 64, 96, 3)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.webm"])
def test_seeking_lands_on_the_same_frames_as_decoding_everything(make_media, name):
    """Far jumps in clips with few key frames give the pictures that a full pass gives."""
    codec = {"a.avi": "mpeg4", "a.webm": "libvpx"}.get(name, "libx264")
    clip = probe(make_media(name, duration_s=24, fps=10, size=(32, 32), codec=codec, options={"g": "50"}))
    every = {round(time_s, 2): image for time_s, image in iter_frames(clip)}
    frames = sample_frames(clip, 3)
    for time_s, image in zip(frames.times_s, frames.images, strict=True):
        nearest = min(every, key=lambda known: abs(known - time_s))
        assert nearest == pytest.approx(time_s, abs=0.02)
        np.testing.assert_allclose(image.astype(int), every[nearest].astype(int), atol=2)


def test_variable_frame_rates_go_by_timestamps(make_media):
    """In a frozen stretch the frozen picture is given, with the time at which it appeared."""
    times = [0.0, 0.1, 0.2, 1.8, 1.9]
    clip = probe(make_media("v.mkv", times_s=times, size=(64, 64)))
    frames = sample_frames(clip, 1)
    assert frames.times_s[0] == pytest.approx(0.2, abs=0.01)
    assert _red(frames.images)[0] == pytest.approx(8, abs=6)


def test_a_late_start_counts_from_the_first_picture(make_media):
    """A clip whose timestamps begin at 5 s begins at 0."""
    clip = probe(make_media("late.mkv", duration_s=1, start_s=5.0, size=(64, 64)))
    assert clip.duration_s == pytest.approx(1.0, abs=0.05)
    frames = sample_frames(clip, 2)
    np.testing.assert_allclose(frames.times_s, [0.24, 0.74], atol=0.05)


@pytest.mark.parametrize(
    ("rotation", "corner"), [(0, "upper left"), (90, "lower left"), (-90, "upper right"), (180, "lower right")]
)
def test_pictures_are_upright(make_media, rotation, corner):
    """The white quarter is where a player shows it."""
    image = sample_frames(probe(make_media(size=(96, 64), rotation=rotation)), 1).images[0]
    height, width = image.shape[:2]
    assert (width, height) == ((96, 64) if rotation in (0, 180) else (64, 96))
    rows = slice(0, height // 4) if "upper" in corner else slice(-height // 4, None)
    columns = slice(0, width // 4) if "left" in corner else slice(-width // 4, None)
    assert image[rows, columns].mean() > 230


@pytest.mark.parametrize("size", [(2, 2), (17, 33), (161, 121)])
@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv444p10le"])
def test_odd_sizes_and_ten_bits_are_read(make_media, size, pixel_format):
    """Odd sizes and 10-bit pictures come out whole."""
    clip = probe(make_media(size=size, pixel_format=pixel_format))
    image = sample_frames(clip, 1).images[0]
    assert image.shape == (size[1], size[0], 3)
    assert image[: size[1] // 3 + 1, : size[0] // 3 + 1].mean() > 200


def _patches(number: int, width: int, height: int) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    for place, colour in enumerate([(200, 30, 30), (30, 200, 30), (30, 30, 200), (180, 180, 180)]):
        image[:, place * width // 4 : (place + 1) * width // 4] = colour
    return image


@pytest.mark.parametrize("size", [(128, 64), (1280, 720)])
def test_colours_survive(make_media, size):
    """Red, green, blue and grey come back as they were drawn, with the matrix that players assume."""
    hd = min(size) >= 720

    clip = probe(make_media(codec="libx264rgb", pixel_format="rgb24", size=size, fps=5, duration_s=0.4, draw=_patches))
    image = sample_frames(clip, 1, max_side=128).images[0]
    for place, colour in enumerate([(200, 30, 30), (30, 200, 30), (30, 30, 200), (180, 180, 180)]):
        middle = image[20:40, place * 32 + 12 : place * 32 + 20].reshape(-1, 3).mean(axis=0)
        np.testing.assert_allclose(middle, colour, atol=8 if hd else 6)


def test_high_dynamic_range_looks_like_the_standard_range(make_media):
    """A grey that PQ puts at 100 nits is a mid grey on an ordinary screen, not the washed-out code value."""

    def grey(number: int, width: int, height: int) -> np.ndarray:
        return np.full((height, width, 3), 130, np.uint8)  # PQ code 0.508 is 100 nits

    colour = {"color_trc": 16, "color_primaries": 9, "colorspace": 9}
    clip = probe(
        make_media(
            "hdr.mkv",
            codec="libx265",
            pixel_format="yuv420p10le",
            draw=grey,
            colour=colour,
            fps=5,
            options={"x265-params": "log-level=none"},
        )
    )
    value = sample_frames(clip, 1).images[0].mean()
    assert 165 < value < 205  # 100 of 203 nits is half of linear light, 188 in sRGB


def test_the_longer_side_is_bounded_and_nothing_is_enlarged(make_media):
    """`max_side` scales down, never up."""
    clip = probe(make_media(size=(128, 64)))
    assert sample_frames(clip, 1, max_side=32).images.shape == (1, 16, 32, 3)
    assert sample_frames(clip, 1, max_side=512).images.shape == (1, 64, 128, 3)


def test_more_frames_than_there_are_repeat(make_media):
    """A clip of one picture gives it as often as asked."""
    frames = sample_frames(probe(make_media(duration_s=0.04)), 5)
    assert frames.images.shape[0] == 5
    assert (frames.images == frames.images[0]).all()


def test_damaged_stretches_are_left_out(make_media):
    """A clip with a broken middle still gives pictures from both ends."""
    noise = np.random.default_rng(1)

    def noisy(number: int, width: int, height: int) -> np.ndarray:
        return noise.integers(0, 255, (height, width, 3)).astype(np.uint8)

    path = make_media(
        duration_s=4, fps=10, options={"g": "5"}, draw=noisy, container_options={"movflags": "+faststart"}
    )
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 5 : len(data) * 3 // 5] = b"\0" * (len(data) * 3 // 5 - len(data) * 2 // 5)
    path.write_bytes(data)
    frames = sample_frames(probe(path), 8)
    assert frames.images.shape[0] == 8
    assert frames.times_s[0] < 1 < 3 < frames.times_s[-1]


def test_iter_frames_keeps_to_its_rate(make_media):
    """At most `fps` pictures a second, in order, over the whole clip, in small."""
    clip = probe(make_media(duration_s=3, fps=25, size=(128, 64)))
    times = [time_s for time_s, image in iter_frames(clip, fps=8, max_side=32) if image.shape == (16, 32, 3)]
    assert 22 <= len(times) <= 25
    assert times == sorted(times)
    assert times[-1] > 2.8


def test_iter_frames_can_begin_and_end_in_the_middle(make_media):
    """Only the part asked for is given."""
    clip = probe(make_media(duration_s=8, fps=10, size=(32, 32), options={"g": "10"}))
    times = [time_s for time_s, _ in iter_frames(clip, start_s=5.0, end_s=6.0)]
    np.testing.assert_allclose(times, np.arange(5.0, 5.95, 0.1), atol=0.01)


def test_requests_that_make_no_sense_are_refused(make_media):
    """No frames, no time and no picture are each told in one sentence."""
    clip = probe(make_media())
    with pytest.raises(RequestError):
        sample_frames(clip, 0)
    with pytest.raises(RequestError):
        sample_frames(clip, 1, start_s=5.0)
    sound = probe(make_media("a.wav", codec=None, audio=np.ones((1, 4800), np.float32), audio_codec="pcm_s16le"))
    with pytest.raises(MissingStreamError):
        sample_frames(sound, 1)
    with pytest.raises(MissingStreamError):
        next(iter(iter_frames(sound)))


def _stopped_after(count: int) -> Job:
    job = Job()
    calls = 0

    def report(fraction: float, note: str) -> None:
        nonlocal calls
        calls += 1
        if calls >= count:
            job.stop.set()

    return Job(report=report, stop=job.stop)


@pytest.mark.parametrize(
    "use", [lambda clip, job: sample_frames(clip, 8, job=job), lambda clip, job: list(iter_frames(clip, job=job))]
)
def test_a_stop_is_noticed(make_media, use: Callable):
    """Work that was stopped ends with `Stopped`."""
    with pytest.raises(Stopped):
        use(probe(make_media(duration_s=2)), _stopped_after(2))
