"""Joining clips with moviepy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from musiscene.errors import RequestError, UnreadableMediaError
from musiscene.media import concatenate, probe, read_audio, sample_frames


def test_clips_follow_each_other_in_the_size_of_the_first(make_media: Callable[..., Path], tmp_path: Path) -> None:
    """A smaller second clip without sound is fitted onto black, and is silent."""
    time_s = np.arange(48_000) / 48_000
    sound = np.tile(0.2 * np.sin(2 * np.pi * 440 * time_s), (2, 1)).astype(np.float32)
    first = make_media("a.mp4", duration_s=1.0, size=(128, 96), audio=sound)
    second = make_media("b.mp4", duration_s=1.0, size=(64, 96), codec="mpeg4")
    joined = probe(concatenate([first, second], tmp_path / "out.mp4"))

    assert joined.duration_s == pytest.approx(2.0, abs=0.1)
    assert joined.display_size == (128, 96)
    early, late = sample_frames(joined, 2).images
    assert early[20, 5].max() > 200
    assert late[20, 5].max() < 40
    heard = read_audio(joined).waveform
    assert np.abs(heard[:, 10_000:30_000]).max() > 0.1
    assert np.abs(heard[:, 60_000:]).max() < 0.01
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "b.mp4", "out.mp4"}


def test_what_cannot_be_joined_is_refused_and_leaves_nothing(make_media: Callable[..., Path], tmp_path: Path) -> None:
    """One clip alone, a track, and a file that is no media."""
    video = make_media("a.mp4", duration_s=0.4)
    track = make_media("t.wav", codec=None, audio=np.zeros((1, 4800), np.float32), audio_codec="pcm_s16le")
    (tmp_path / "text.mp4").write_text("no video")

    with pytest.raises(RequestError, match="at least two"):
        concatenate([video], tmp_path / "out.mp4")
    with pytest.raises(RequestError, match=r"t\.wav"):
        concatenate([video, track], tmp_path / "out.mp4")
    with pytest.raises(UnreadableMediaError, match=r"text\.mp4"):
        concatenate([video, tmp_path / "text.mp4"], tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
