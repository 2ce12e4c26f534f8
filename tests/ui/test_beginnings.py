"""The beginning of a soundtrack is told while the rest is written, and nothing of it where kinds are hidden."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from musiscene import media
from musiscene.pipeline import RenditionReady, SoundPart
from musiscene.types import Caption, CaptionKind, Rendition
from musiscene.ui import view
from musiscene.ui.beginnings import LONGEST_S, Beginning
from musiscene.ui.comparison import Comparison

PERSON = "0123456789abcdef"
RATE = 16_000


def noise(seconds: float, level: float = 0.05) -> np.ndarray:
    """Quiet noise, far from the level of a finished soundtrack."""
    return level * np.random.default_rng(0).standard_normal((1, round(seconds * RATE))).astype(np.float32)


@pytest.fixture
def comparison(clip_path: Path, tmp_path: Path) -> Comparison:
    """A comparison whose soundtracks of ten seconds are being made."""
    made = Comparison(tmp_path / "a-token-of-many-letters", media.probe(clip_path), "holiday.mp4")
    made.plan_tracks(list(CaptionKind), 1, shuffle=False)
    made.work.busy, made.work.phase, made.planned_s = True, "soundtracks", 10.0
    return made


def test_a_beginning_is_told_with_its_length_and_grows(comparison: Comparison) -> None:
    """Its address changes with its length, the timeline is that of the whole, the waveform stops where it stops."""
    comparison.apply(SoundPart(CaptionKind.MUSIC, 1, 0.0, noise(2.0), RATE))
    first = view.player_view(comparison, PERSON)
    comparison.apply(SoundPart(CaptionKind.MUSIC, 1, 2.0, noise(2.0), RATE))
    second = view.player_view(comparison, PERSON)

    assert first["duration_s"] == 10.0
    assert [("beginning" in track) for track in first["tracks"]] == [False, True, False, False]
    told = [shown["tracks"][1] for shown in (first, second)]
    assert [track["beginning"]["seconds"] for track in told] == [2.0, 4.0]
    assert told[0]["beginning"]["url"] != told[1]["beginning"]["url"]
    assert told[0]["beginning"]["length"] == "2 s" and told[0]["state"] == "waiting"
    assert all(told[1]["peaks"][:150]) and not any(told[1]["peaks"][170:])
    assert first["picture"]["preview"].endswith("/source") and not first["picture"]["url"]


def test_a_beginning_is_as_loud_as_what_it_becomes(comparison: Comparison) -> None:
    """The file that is served is levelled as finished soundtracks are, so nothing jumps when one takes its place."""
    comparison.apply(SoundPart(CaptionKind.MUSIC, 1, 0.0, noise(3.0), RATE))

    path = comparison.public_file(f"{comparison.tracks[1].id}.beginning.wav")

    assert path is not None
    sound = media.read_audio(media.probe(path))
    assert sound.waveform.shape[-1] == 3 * RATE
    assert media.measure_loudness(sound.waveform, RATE).integrated_lufs == pytest.approx(-16.0, abs=0.3)
    assert comparison.public_file(f"{comparison.tracks[0].id}.beginning.wav") is None


def test_the_whole_takes_the_place_of_its_beginning(comparison: Comparison, tmp_path: Path) -> None:
    """With the finished soundtrack the beginning is gone, from the view, from memory and from the disk."""
    comparison.apply(SoundPart(CaptionKind.MSI, 1, 0.0, noise(3.0), RATE))
    path = comparison.public_file(f"{comparison.tracks[3].id}.beginning.wav")
    audio = tmp_path / "msi.wav"
    media.write_wav(audio, noise(10.0), RATE)
    caption = Caption(CaptionKind.MSI, "A street.", "sketch")
    comparison.apply(RenditionReady(Rendition(CaptionKind.MSI, caption, "musicgen", 1, -16.0, -1.0, 10.0, 1.0, audio)))
    comparison.drop_beginnings()

    told = view.player_view(comparison, PERSON)["tracks"][3]
    assert told["state"] == "ready" and "beginning" not in told
    assert comparison.public_file(f"{comparison.tracks[3].id}.beginning.wav") is None
    assert path is not None and not path.exists()


def test_a_blind_comparison_has_no_beginnings(comparison: Comparison) -> None:
    """The order in which soundtracks begin would tell which is which."""
    comparison.blind = True
    comparison.apply(SoundPart(CaptionKind.VIDEO, 1, 0.0, noise(2.0), RATE))

    assert all("beginning" not in track for track in view.player_view(comparison, PERSON)["tracks"])
    assert comparison.public_file(f"{comparison.tracks[0].id}.beginning.wav") is None


def test_a_beginning_is_kept_up_to_its_limit() -> None:
    """Ten minutes of music do not lie in memory twice."""
    beginning = Beginning(RATE)
    for _ in range(100):
        beginning.add(noise(2.0))

    assert beginning.seconds == LONGEST_S
