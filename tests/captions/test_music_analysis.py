"""What is measured in a sound: pulse, key, kind, character. Sounds are made here, so that the truth is known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from musiscene.captions._music.analysis import analyse, evidence
from musiscene.captions._music.key import NAMES
from musiscene.captions._music.listening import hear
from musiscene.captions._music.onsets import Onsets
from musiscene.captions._music.pulse import find_pulse
from musiscene.captions._music.signal import FRAME_RATE, RATE
from musiscene.captions._music.words import music_sentences
from musiscene.errors import Stopped
from musiscene.media import Audio
from musiscene.types import Job

MAJOR, MINOR = (0, 4, 7), (0, 3, 7)


def tone(hertz: float, seconds: float, attack_s: float = 0.01, decay_s: float = 2.0) -> np.ndarray:
    """A plucked-like tone with five harmonics."""
    at = np.arange(round(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hertz * k * at) / k**1.5 for k in range(1, 6) if hertz * k < RATE / 2)
    return wave * np.minimum(at / attack_s, 1.0) * np.exp(-at / decay_s)


def place(notes: list[tuple[float, np.ndarray]], seconds: float) -> np.ndarray:
    """Sounds at their times, mixed."""
    out = np.zeros(round(seconds * RATE) + RATE * 4)
    for start, wave in notes:
        first = round(start * RATE)
        out[first : first + wave.size] += wave[: max(0, out.size - first)]
    return out[: round(seconds * RATE)]


def hit(rng: np.random.Generator, hertz: float, decay_s: float) -> np.ndarray:
    """A drum-like hit: a falling tone with a burst of noise."""
    at = np.arange(round(0.25 * RATE)) / RATE
    return np.exp(-at / decay_s) * (np.sin(2 * np.pi * hertz * at) + 0.4 * rng.standard_normal(at.size))


def band(
    tempo_bpm: float, tonic: int, mode: str, seconds: float = 12.0, cents: float = 0.0, beats: int = 4
) -> np.ndarray:
    """Drums and the chords of a plain progression, `beats` to the bar."""
    rng = np.random.default_rng(3)
    beat = 60.0 / tempo_bpm
    chords = ((0, MAJOR), (5, MAJOR), (7, MAJOR), (0, MAJOR)) if mode == "major" else (
        (0, MINOR), (5, MINOR), (7, MAJOR), (0, MINOR))  # fmt: skip
    notes = []
    for number in range(int(seconds / beat)):
        bar, step = divmod(number, beats)
        start = number * beat
        if step == 0:
            root, shape = chords[bar % 4]
            for interval in shape:
                pitch = 48 + (tonic + root) % 12 + interval
                hertz = 440 * 2 ** ((pitch - 69 + cents / 100) / 12)
                notes.append((start, 0.2 * tone(hertz, beats * beat)))
            notes.append((start, 0.3 * tone(440 * 2 ** ((36 + (tonic + root) % 12 - 69 + cents / 100) / 12), 2 * beat)))
        drum = (70, 0.09) if step == 0 or (beats == 4 and step == 2) else (240, 0.05)
        notes.append((start, 0.5 * hit(rng, *drum)))
        notes.append((start + beat / 2, 0.08 * hit(rng, 3000, 0.02)))
    return place(notes, seconds)


def listen(wave: np.ndarray):
    """The analysis of a sound at the rate that is analysed."""
    wave = wave / max(1e-9, np.abs(wave).max()) * 0.5 if wave.any() else wave
    return hear([(Audio(wave[None].astype(np.float32), RATE), 0.0)])


@pytest.mark.parametrize("tempo_bpm", [72.0, 96.0, 120.0, 150.0])
def test_the_tempo_of_a_band_is_found_with_its_octave(tempo_bpm: float) -> None:
    """Within two percent, and neither half nor double."""
    found = listen(band(tempo_bpm, 9, "minor"))

    assert found.beats is not None
    assert found.beats.tempo_bpm == pytest.approx(tempo_bpm, rel=0.02)
    assert found.beats.steadiness > 0.8


def test_beats_lie_where_the_drums_are() -> None:
    """Nine of ten beats lie within 50 ms of a drum on the beat."""
    found = listen(band(100.0, 0, "major"))

    assert found.beats is not None
    off = found.beats.times_s / 0.6
    assert np.mean(np.abs(off - np.rint(off)) * 0.6 < 0.05) > 0.9


@pytest.mark.parametrize("beats", [3, 4])
def test_the_meter_is_named_where_bars_are_clear(beats: int) -> None:
    """Three beats to the bar are told from four, and no meter is made up."""
    found = listen(band(126.0, 2, "major", seconds=20.0, beats=beats))

    assert found.beats is not None
    assert found.beats.meter in (beats, None)


@pytest.mark.parametrize("tonic", range(0, 12, 2))
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_the_key_is_found(tonic: int, mode: str) -> None:
    """Tonic and mode of a cadence in twelve keys, every other recording 30 cents sharp."""
    found = listen(band(110.0, tonic, mode, seconds=10.0, cents=30.0 if tonic % 4 else 0.0))

    assert found.key is not None
    assert found.key.name == f"{NAMES[mode][tonic]} {mode}"
    assert found.key.confidence > 0.3


def noise(seconds: float = 6.0) -> np.ndarray:
    """White noise."""
    return np.random.default_rng(1).standard_normal(round(seconds * RATE)) * 0.1


def held(*hertz: float, seconds: float = 6.0) -> np.ndarray:
    """Tones that neither begin nor end."""
    at = np.arange(round(seconds * RATE)) / RATE
    return sum(0.1 * np.sin(2 * np.pi * one * at) * (1 + 0.2 * np.sin(0.5 * at + one)) for one in hertz)


@pytest.mark.parametrize(
    ("wave", "kind"),
    [
        (np.zeros(RATE * 3), "silence"),
        (noise(), "noise"),
        (np.cumsum(noise()) - np.convolve(np.cumsum(noise()), np.ones(999) / 999, "same"), "noise"),
        (held(50, 100, 150, 200, 250), "drone"),
        (held(110, 165, 220, 277.2, 330), "drone"),
        (held(110, 165, 220) + 0.3 * noise(), "drone"),
        (held(440), "drone"),
    ],
    ids=["silence", "white noise", "rumble", "hum", "held chord", "held chord in noise", "tone"],
)
def test_what_is_no_music_is_not_described_as_music(wave: np.ndarray, kind: str) -> None:
    """Silence, noise and drones are named, and have no tempo."""
    found = listen(wave)
    text = music_sentences(found, 0)

    assert found.kind.name == kind
    assert found.beats is None
    assert evidence(found)["tempo_bpm"] is None
    assert "BPM" not in text
    assert "track in" not in text


def test_a_lone_tone_has_no_key() -> None:
    """One pitch belongs to many keys."""
    assert listen(held(440)).key is None


def test_drums_are_percussive_and_held_tones_are_not() -> None:
    """The share of struck sound tells them apart."""
    rng = np.random.default_rng(2)
    drums = place([(0.25 * k, hit(rng, 80 + 150 * (k % 2), 0.05)) for k in range(24)], 6.0)

    assert listen(drums).character.percussive_share > 0.4
    assert listen(held(220, 330, 440)).character.percussive_share < 0.25


def test_a_single_line_is_solo_and_a_band_is_not() -> None:
    """Texture follows how much sounds at once."""
    line = place([(0.4 * k, tone(440 * 2 ** ((0, 2, 4, 7, 9)[k % 5] / 12), 0.5)) for k in range(20)], 8.0)

    assert listen(line).character.texture == "solo"
    assert listen(band(120.0, 0, "major")).character.texture != "solo"


def test_fast_bright_major_feels_higher_than_slow_dark_minor() -> None:
    """Arousal and valence follow the published directions."""
    bright = listen(band(150.0, 0, "major")).mood
    dark = listen(np.convolve(band(66.0, 9, "minor"), np.ones(16) / 16, "same")).mood

    assert bright.arousal > dark.arousal + 0.2
    assert bright.valence > dark.valence + 0.2


def test_the_level_does_not_matter() -> None:
    """One decibel changes neither tempo nor key nor mood, only the loudness."""
    wave = band(120.0, 9, "minor", seconds=8.0)[None].astype(np.float32) * 0.2
    loud, soft = (hear([(Audio(wave * np.float32(gain), RATE), 0.0)]) for gain in (1.0, 10**-0.05))

    assert soft.beats is not None
    assert loud.beats is not None
    assert soft.beats.tempo_bpm == pytest.approx(loud.beats.tempo_bpm, rel=1e-3)
    assert soft.key is not None
    assert loud.key is not None
    assert soft.key.name == loud.key.name
    assert soft.mood.arousal == pytest.approx(loud.mood.arousal, abs=0.02)
    assert soft.loudness_lufs == pytest.approx(loud.loudness_lufs - 1.0, abs=0.05)


def test_opposite_channels_are_heard() -> None:
    """A stereo sound whose sum cancels is still described."""
    wave = band(120.0, 9, "minor", seconds=6.0).astype(np.float32)

    found = hear([(Audio(np.stack([wave, -wave]) * np.float32(0.2), RATE), 0.0)])

    assert found.kind.name == "music"


def test_damaged_samples_count_as_silence() -> None:
    """NaN and infinite samples do not spoil the rest."""
    wave = band(120.0, 9, "minor", seconds=6.0).astype(np.float32) * np.float32(0.2)
    wave[1000:3000], wave[50_000] = np.nan, np.inf

    found = hear([(Audio(wave[None], RATE), 0.0)])

    assert found.beats is not None
    assert found.beats.tempo_bpm == pytest.approx(120.0, rel=0.03)


def test_evidence_is_json_with_bounded_curves() -> None:
    """All numbers are finite JSON; curves are short enough to draw and lie in 0 to 1."""
    facts = evidence(listen(band(120.0, 9, "minor", seconds=8.0)))

    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert 0 < len(facts["energy_curve"]) <= 120
    assert 0 < len(facts["waveform"]) <= 400
    assert all(0 <= value <= 1 for value in facts["energy_curve"])
    assert len(facts["chroma"]) == 12
    assert facts["beats_s"] == sorted(facts["beats_s"])
    assert json.dumps(evidence(listen(np.zeros(RATE))), allow_nan=False)


@pytest.mark.parametrize("samples", [0, 1, 7, 220, 2000, 9000])
def test_very_short_sounds_are_survived(samples: int) -> None:
    """A click of any length gives an analysis without a tempo."""
    wave = np.random.default_rng(0).standard_normal(samples).astype(np.float32) * 0.1

    found = analyse(wave, loudness_lufs=-20.0, true_peak_dbtp=-3.0, job=Job())

    assert found.beats is None
    assert music_sentences(found, 0)


def test_a_stopped_job_stops_the_analysis() -> None:
    """Nothing is analysed for a person who has left."""
    job = Job()
    job.stop.set()

    with pytest.raises(Stopped):
        hear([(Audio(np.zeros((1, RATE), np.float32), RATE), 0.0)], job)


def test_a_loop_tells_its_tempo_by_its_length() -> None:
    """Between rates that are heard as well, the one that fills the file with whole bars is the beat."""
    frames = np.arange(round(5.333 * FRAME_RATE))
    strength = np.zeros(frames.size)
    for step in np.cumsum([0.0, 0.33, 0.5, 0.17, 0.33, 0.67, 0.33, 0.33, 0.5, 0.17, 0.67, 0.33, 0.67]):
        strength += 8.0 * np.exp(-0.5 * np.square(frames - step * FRAME_RATE))
    onsets = Onsets(strength, np.tile(strength, (4, 1)), np.zeros(12), np.ones(12))

    found = find_pulse(onsets, Job(), 5.333)
    alone = find_pulse(onsets, Job())

    assert found is not None and alone is not None
    assert min(abs(found.tempo_bpm / rate - 1) for rate in (90.0, 180.0)) < 0.01
    assert 0 < found.confidence <= 1


def test_a_long_file_is_no_loop() -> None:
    """Beyond forty seconds the length of a file says nothing of its tempo."""
    beats = np.exp(-0.5 * np.square((np.arange(round(45 * FRAME_RATE)) / FRAME_RATE % 0.5) * FRAME_RATE)) * 8.0
    onsets = Onsets(beats, np.tile(beats, (4, 1)), np.arange(0, 45, 0.5), np.ones(90))

    whole, part = find_pulse(onsets, Job(), 45.0), find_pulse(onsets, Job(), None)

    assert whole == part
