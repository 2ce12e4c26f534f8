"""Every real clip gives what its manifest says, or one clear sentence, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from musiscene.errors import MusisceneError
from musiscene.media import probe, read_audio, sample_frames
from musiscene.mux import mux
from musiscene.types import Clip

pytestmark = [pytest.mark.media, pytest.mark.slow]

_FOLDER = Path(os.environ.get("MUSISCENE_MEDIA") or Path(__file__).resolve().parents[3] / "shared" / "media")
_MANIFEST = _FOLDER / "manifest.json"
_FILES = json.loads(_MANIFEST.read_text())["files"] if _MANIFEST.is_file() else []
_LONGEST_ENCODED = 640 * 480 * 400
"""Pixels; encoding more is left to the benchmark."""


@pytest.fixture(params=_FILES or [None], ids=lambda facts: facts["name"] if facts else "none")
def facts(request, real_media) -> dict[str, Any]:
    """One entry of the manifest."""
    return request.param


@pytest.fixture
def path(facts, real_media, tmp_path) -> Path:
    """The file in a folder of its own, under its awkward name."""
    folder = tmp_path / "in"
    folder.mkdir()
    return Path(
        shutil.copy(real_media / facts["name"], folder / (facts.get("test_as_name") or Path(facts["name"]).name))
    )


def test_a_real_file_gives_its_facts_or_one_sentence(facts, path, tmp_path):
    """Probe, frames, a minute of sound and the mux agree with the manifest; refusals are single sentences."""
    try:
        clip = probe(path)
    except MusisceneError as refused:
        assert not facts.get("opens_with_ffprobe") or facts["category"] == "nasty"
        assert str(refused)
        assert "\n" not in str(refused)
    else:
        _agrees(clip, facts)
        if clip.has_video:
            frames = sample_frames(clip, 4, max_side=160)
            assert frames.images.shape[0] == 4
            assert (np.diff(frames.times_s) >= 0).all()
        if clip.has_audio:
            audio = read_audio(clip, duration_s=60.0)
            assert audio.waveform.shape[0] == clip.channels
            assert np.isfinite(audio.waveform).all()
        if clip.has_video:
            _muxes(clip, tmp_path / "out")
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def _agrees(clip: Clip, facts: dict[str, Any]) -> None:
    pictures = [video for video in facts["video"] if video.get("fps_avg")]
    assert clip.has_video == bool(pictures)
    if facts["duration_s"]:
        # The manifest has the container's length; ours is the picture's, which may end earlier than the sound.
        assert clip.duration_s == pytest.approx(facts["duration_s"], rel=0.03, abs=0.15)
    if pictures:
        video = pictures[0]
        assert (clip.width, clip.height, clip.rotation) == (video["width"], video["height"], video["rotation"])
    if clip.has_audio and len(facts["audio"]) == 1:
        sound = facts["audio"][0]
        assert (clip.sample_rate, clip.channels) == (sound["sample_rate"], sound["channels"])
    if facts.get("audio_track_silent") is not None:
        assert clip.audio_silent == facts["audio_track_silent"]


def _muxes(clip: Clip, folder: Path) -> None:
    from musiscene.mux import browsers_play

    work = (clip.width or 0) * (clip.height or 0) * clip.duration_s * (clip.fps or 25)
    if clip.duration_s > 120 or (not browsers_play(clip) and work > _LONGEST_ENCODED):
        return
    music = np.zeros((2, 48_000), np.float32)
    music[:, ::100] = 0.1
    result = mux(clip, music, 48_000, folder / "out.mp4")
    again = probe(result.path)
    assert again.duration_s == pytest.approx(clip.duration_s, abs=1 / (clip.fps or 25) + 0.002)
    assert again.rotation == clip.rotation
    assert [entry.name for entry in folder.iterdir()] == ["out.mp4"]
