"""Times of pictures without decoding, and pictures at chosen times."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from musiscene.errors import MissingStreamError, RequestError, Stopped
from musiscene.media import frame_times, frames_at, iter_frames, probe
from musiscene.types import Job


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "libx264"), ("a.avi", "mpeg4"), ("a.webm", "libvpx")]
)
def test_times_are_those_of_the_decoded_pictures(make_media, name, codec):
    """Packets, in whatever order they are stored, give the times that decoding gives; of the whole and of a part."""
    clip = probe(make_media(name, duration_s=24, fps=10, size=(32, 32), codec=codec, options={"g": "50"}))
    decoded = np.array([time_s for time_s, _ in iter_frames(clip)])

    np.testing.assert_allclose(frame_times(clip), decoded, atol=1e-3)
    part = frame_times(clip, start_s=14.05, end_s=19.05)
    np.testing.assert_allclose(part, decoded[(decoded >= 14.05) & (decoded < 19.05)], atol=1e-3)


def test_variable_frame_rates_and_late_starts(make_media):
    """Times are what they are, counted from the first picture."""
    uneven = probe(make_media("v.mkv", times_s=[0.0, 0.1, 0.2, 1.8, 1.9], size=(64, 64)))
    late = probe(make_media("late.mkv", duration_s=1, fps=25, start_s=5.0, size=(64, 64)))

    np.testing.assert_allclose(frame_times(uneven), [0.0, 0.1, 0.2, 1.8, 1.9], atol=2e-3)
    np.testing.assert_allclose(frame_times(late), np.arange(25) / 25, atol=2e-3)


def test_pictures_at_chosen_times_are_the_decoded_ones(make_media):
    """Asked for the very times of some pictures, these come, exactly; repeated where a time is."""
    clip = probe(make_media(duration_s=3, fps=20, size=(64, 48)))
    times = frame_times(clip)
    chosen = [0, 7, 7, 31, 58, 59]
    frames = frames_at(clip, times[chosen])
    decoded = [image for _, image in iter_frames(clip)]

    np.testing.assert_array_equal(frames.images, np.stack([decoded[index] for index in chosen]))
    np.testing.assert_allclose(frames.times_s, times[chosen], atol=1e-6)


def test_what_cannot_be_asked_for(make_media):
    """Sound alone, empty stretches and times that do not ascend are refused; a stop ends the reading."""
    clip = probe(make_media(duration_s=1, fps=10, size=(32, 32)))
    sound = probe(make_media("a.wav", codec=None, audio=np.full((1, 8000), 0.1, np.float32), audio_codec="pcm_s16le"))
    stopped = Job(stop=threading.Event())
    stopped.stop.set()

    with pytest.raises(MissingStreamError):
        frame_times(sound)
    with pytest.raises(RequestError):
        frame_times(clip, start_s=2.0)
    with pytest.raises(RequestError):
        frames_at(clip, [])
    with pytest.raises(RequestError):
        frames_at(clip, [0.5, 0.1])
    with pytest.raises(Stopped):
        frame_times(clip, job=stopped)
