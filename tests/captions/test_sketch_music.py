"""The sketch listener as a backend: captions from files, on real and made sound."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from musiscene.captions.sketch_music import SPEC
from musiscene.errors import MissingStreamError, Stopped
from musiscene.media import probe
from musiscene.scenes import scene
from musiscene.types import Caption, CaptionKind, CaptionRequest, Clip, Job

BOTH = frozenset({CaptionKind.MUSIC, CaptionKind.MSI})
RATE = 44100


def song(seconds: float = 9.0, tempo_bpm: float = 120.0, tonic_hz: float = 220.0) -> np.ndarray:
    """Minor chords that change every bar under a drum on every beat."""
    rng = np.random.default_rng(0)
    at = np.arange(round(seconds * RATE)) / RATE
    beat = 60.0 / tempo_bpm
    since = at % beat
    bar = (at // (4 * beat)).astype(int) % 4
    root = tonic_hz * np.array([1.0, 4 / 3, 3 / 2, 1.0])[bar]
    third = np.array([1.2, 1.2, 1.25, 1.2])[bar]
    fade = np.exp(-(at % (4 * beat)) / 2.0)
    chord = sum(np.sin(2 * np.pi * np.cumsum(root * ratio) / RATE) for ratio in (1, third, 1.5, 0.5))
    drum = np.exp(-since / 0.03) * (rng.standard_normal(at.size) + 2 * np.sin(2 * np.pi * 80 * at))
    wave = 0.1 * chord * fade + 0.15 * drum
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


@pytest.fixture
def clip_of(tmp_path: Path) -> Callable[..., Clip]:
    """A factory of sound files."""

    def write(wave: np.ndarray, name: str = "sound.wav") -> Clip:
        soundfile.write(tmp_path / name, wave.T, RATE)
        return probe(tmp_path / name)

    return write


def describe(clip: Clip | None, kinds: frozenset[CaptionKind] = BOTH, seed: int = 0) -> dict[CaptionKind, Caption]:
    """The captions by kind."""
    request = CaptionRequest(kinds=kinds, music=clip, seed=seed)
    return {caption.kind: caption for caption in SPEC.load({}).describe(request, Job())}


def test_a_track_gets_both_captions_with_their_evidence(clip_of: Callable[..., Clip]) -> None:
    """The music caption says tempo and key, the MSI caption has the paper's form and names a scene of the bank."""
    captions = describe(clip_of(song()))
    music, msi = captions[CaptionKind.MUSIC], captions[CaptionKind.MSI]

    assert "120 BPM" in music.text
    assert "A minor" in music.text
    assert music.evidence["tempo_bpm"] == pytest.approx(120, rel=0.02)
    assert music.evidence["key"] == "A minor"
    assert music.evidence["loudness_lufs"] < 0
    assert msi.text.startswith("The music is suitable for a scene of ")
    chosen = scene(msi.evidence["scene_id"])
    assert chosen is not None
    assert chosen.setting in msi.text
    assert chosen.feeling in msi.text
    assert len(msi.evidence["alternatives"]) == 3
    assert music.seconds > 0
    assert json.dumps([caption.as_dict() for caption in captions.values()], allow_nan=False)


@pytest.mark.parametrize("kind", sorted(BOTH))
def test_only_the_caption_that_is_asked_for_is_written(clip_of: Callable[..., Clip], kind: CaptionKind) -> None:
    """A request for one kind yields one caption."""
    assert set(describe(clip_of(song(4.0)), frozenset({kind}))) == {kind}


def test_the_same_request_gives_the_same_words_and_another_seed_other_ones(clip_of: Callable[..., Clip]) -> None:
    """Captions follow from the sound and the seed alone."""
    clip = clip_of(song(6.0))
    first, again = (describe(clip)[CaptionKind.MSI].text for _ in range(2))
    others = {describe(clip, seed=seed)[CaptionKind.MSI].text for seed in range(1, 6)}

    assert first == again
    assert len({first, *others}) >= 3


def test_different_music_leads_to_different_scenes(clip_of: Callable[..., Clip]) -> None:
    """A slow low piece and a fast high one do not share a scene."""
    slow = describe(clip_of(song(8.0, 64.0, 110.0), "slow.wav"))[CaptionKind.MSI]
    fast = describe(clip_of(song(8.0, 168.0, 330.0), "fast.wav"))[CaptionKind.MSI]

    assert slow.evidence["scene_id"] != fast.evidence["scene_id"]


def test_another_encoding_changes_neither_key_nor_tempo_nor_scene(clip_of: Callable[..., Clip], tmp_path: Path) -> None:
    """The same music as mp3, one decibel softer, or at another rate is described alike."""
    import soxr

    wave = song(9.0)
    original = describe(clip_of(wave))
    softer = describe(clip_of(wave * np.float32(10**-0.05), "softer.wav"))
    soundfile.write(tmp_path / "song.mp3", wave, RATE, format="MP3")
    encoded = describe(probe(tmp_path / "song.mp3"))
    soundfile.write(tmp_path / "low.wav", soxr.resample(wave, RATE, 22050), 22050)
    low = describe(probe(tmp_path / "low.wav"))

    for changed in (softer, encoded, low):
        assert changed[CaptionKind.MUSIC].evidence["key"] == original[CaptionKind.MUSIC].evidence["key"]
        assert changed[CaptionKind.MUSIC].evidence["tempo_bpm"] == pytest.approx(
            original[CaptionKind.MUSIC].evidence["tempo_bpm"], rel=0.02
        )
        assert changed[CaptionKind.MSI].evidence["scene_id"] == original[CaptionKind.MSI].evidence["scene_id"]


def test_silence_is_said_to_be_silence_and_gets_no_scene(clip_of: Callable[..., Clip]) -> None:
    """Silence has a music caption that says so, and no MSI caption."""
    clip = clip_of(np.zeros(RATE * 2, np.float32))

    assert "silent" in describe(clip, frozenset({CaptionKind.MUSIC}))[CaptionKind.MUSIC].text
    with pytest.raises(MissingStreamError, match="silent"):
        describe(clip, frozenset({CaptionKind.MSI}))


def test_noise_gets_a_scene_that_says_it_is_no_music(clip_of: Callable[..., Clip]) -> None:
    """The MSI caption of noise is honest about what it hears."""
    noise = np.random.default_rng(0).standard_normal(RATE * 4).astype(np.float32) * 0.1
    captions = describe(clip_of(noise))

    assert "noise" in captions[CaptionKind.MUSIC].text
    assert captions[CaptionKind.MUSIC].evidence["kind_of_sound"] == "noise"
    assert captions[CaptionKind.MSI].text.startswith("This is noise rather than music")


def test_without_sound_one_sentence_says_what_to_do() -> None:
    """No music track, no caption: the message names the way out."""
    with pytest.raises(MissingStreamError, match="add a music track"):
        describe(None)


@pytest.mark.slow
def test_a_long_track_is_listened_to_in_excerpts(clip_of: Callable[..., Clip]) -> None:
    """Above six minutes three excerpts stand for the whole, and the evidence says which."""
    wave = np.tile(song(8.0), 50)
    music = describe(clip_of(wave, "long.flac"), frozenset({CaptionKind.MUSIC}))[CaptionKind.MUSIC]

    assert music.evidence["analysed_s"] == pytest.approx(270, abs=2)
    assert len(music.evidence["excerpts_s"]) == 3
    assert music.evidence["tempo_bpm"] == pytest.approx(120, rel=0.02)


def test_a_stopped_job_stops_at_once(clip_of: Callable[..., Clip]) -> None:
    """Nothing is described for a person who has left."""
    job = Job()
    job.stop.set()

    with pytest.raises(Stopped):
        list(SPEC.load({}).describe(CaptionRequest(kinds=BOTH, music=clip_of(song(3.0))), job))


def test_progress_rises_to_one(clip_of: Callable[..., Clip]) -> None:
    """The bar never goes back."""
    seen: list[float] = []
    request = CaptionRequest(kinds=BOTH, music=clip_of(song(4.0)))
    list(SPEC.load({}).describe(request, Job(report=lambda fraction, note: seen.append(fraction))))

    assert seen == sorted(seen)
    assert seen[-1] == 1.0


@pytest.mark.slow(seconds=4)
@pytest.mark.media
def test_real_clips_get_fluent_different_captions(real_media: Path) -> None:
    """Short real tracks: two sentences, no two scenes alike, and a tempo only where there is music."""
    texts = []
    for entry in json.loads((real_media / "manifest.json").read_text())["files"]:
        if entry["category"] != "music" or (entry["duration_s"] or 99) > 24:
            continue
        captions = describe(probe(real_media / entry["name"]))
        music = captions[CaptionKind.MUSIC]
        texts.append(captions[CaptionKind.MSI].text)

        assert music.text[0].isupper(), entry["name"]
        assert 1 <= music.text.count(". ") + 1 <= 2, music.text
        assert (music.evidence["tempo_bpm"] is None) or music.evidence["kind_of_sound"] == "music"

    assert len(set(texts)) == len(texts)
