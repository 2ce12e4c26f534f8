"""How the arranger's notes become sound."""

from __future__ import annotations

import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from musiscene.errors import Stopped
from musiscene.settings import Settings
from musiscene.soundtracks._arranger.mix import _dips
from musiscene.soundtracks._arranger.piece import Clock, Meter, Note, Part, Piece
from musiscene.soundtracks._arranger.sampler import SAMPLE_RATE, PlayedNote, Sampler
from musiscene.soundtracks._arranger.soundfont import SoundFont
from musiscene.soundtracks.sketch import SketchArranger, default_soundfont, load
from musiscene.types import Caption, CaptionKind, Job, ScoreRequest


@pytest.fixture(scope="module")
def sampler() -> Sampler:
    """The default SoundFont."""
    path = default_soundfont()
    assert path is not None
    return Sampler(SoundFont(path))


def brightness(wave: np.ndarray) -> float:
    """Centre of gravity of the spectrum in Hz."""
    power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    return float(np.sum(np.fft.rfftfreq(len(wave), 1 / SAMPLE_RATE) * power) / power.sum())


def write_soundfont(path: Path, *, cutoff_cents: int = 13500, opens_cents: int = 0, decay_timecents: int = 0) -> Path:
    """A font (specification 2.04, sections 5 and 7) whose program 0 is a bright saw of 220.5 Hz at key 57, looped.

    Args:
        path: Where.
        cutoff_cents: Initial cutoff of the filter (generator 8).
        opens_cents: How far its envelope opens it (generator 11).
        decay_timecents: Decay of that envelope (generator 28), down to nothing.
    """
    period = 22050 // 220
    wave = np.tile(np.linspace(-0.6, 0.6, period), 40)
    samples = np.concatenate([(wave * 32767).astype("<i2"), np.zeros(46, "<i2")])
    generators = [
        (8, cutoff_cents),
        (11, opens_cents),
        (28, decay_timecents),
        (29, 1000),
        (38, -3000),
        (54, 1),
        (53, 0),
    ]
    chunks = {
        b"phdr": struct.pack("<20sHHHIII", b"Saw", 0, 0, 0, 0, 0, 0)
        + struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0),
        b"pbag": struct.pack("<HHHH", 0, 0, 1, 0),
        b"pmod": bytes(10),
        b"pgen": struct.pack("<HHHH", 41, 0, 0, 0),
        b"inst": struct.pack("<20sH", b"Saw", 0) + struct.pack("<20sH", b"EOI", 1),
        b"ibag": struct.pack("<HHHH", 0, 0, len(generators), 0),
        b"imod": bytes(10),
        b"igen": b"".join(struct.pack("<Hh", *one) for one in generators) + bytes(4),
        b"shdr": struct.pack("<20sIIIIIBbHH", b"saw", 0, len(wave), period * 10, period * 39, 22050, 57, 0, 0, 1)
        + struct.pack("<20sIIIIIBbHH", b"EOS", 0, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    records = b"pdta" + b"".join(_chunk(name, content) for name, content in chunks.items())
    info = b"INFO" + _chunk(b"ifil", struct.pack("<HH", 2, 4)) + _chunk(b"INAM", b"tiny\0\0")
    sound = b"sdta" + _chunk(b"smpl", samples.tobytes())
    body = b"sfbk" + b"".join(_chunk(b"LIST", part) for part in (info, sound, records))
    path.write_bytes(_chunk(b"RIFF", body))
    return path


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def test_another_soundfont_is_played_by_setting(tmp_path: Path) -> None:
    """The file that MUSISCENE_SOUNDFONT names is what sounds, and provenance says so."""
    path = write_soundfont(tmp_path / "tiny.sf2")
    settings = Settings.from_env({"MUSISCENE_SOUNDFONT": str(path)})
    assert settings.soundfont == path

    request = ScoreRequest(Caption(CaptionKind.MUSIC, "slow piano in A minor", "test"), 4.0, 1)
    theirs = next(iter(load({"soundfont": settings.soundfont}).generate([request], Job())))
    usual = next(iter(load({}).generate([request], Job())))

    assert theirs.provenance["soundfont"] == "tiny.sf2"
    assert np.abs(theirs.waveform).max() > 0.1
    assert theirs.midi == usual.midi
    assert not np.allclose(theirs.waveform, usual.waveform, atol=0.05)


def test_the_filters_envelope_opens_and_closes_a_sound(tmp_path: Path) -> None:
    """A dull font whose envelope opens the filter begins bright and darkens; without the envelope it is dull."""
    opened = Sampler(SoundFont(write_soundfont(tmp_path / "a.sf2", cutoff_cents=6000, opens_cents=5000)))
    closed = Sampler(SoundFont(write_soundfont(tmp_path / "b.sf2", cutoff_cents=6000)))
    note = [PlayedNote(0.0, 1.6, 57, 120)]
    bright = opened.render(note, 0, 2 * SAMPLE_RATE)[0]
    dull = closed.render(note, 0, 2 * SAMPLE_RATE)[0]
    early, late = slice(1000, 9000), slice(60000, 68000)

    assert brightness(bright[early]) > 1.5 * brightness(bright[late])
    assert brightness(bright[early]) > 1.5 * brightness(dull[early])


def test_a_note_is_in_tune_and_harder_is_louder_and_brighter(sampler: Sampler) -> None:
    """A flute's A is 440 Hz within 20 cents; a harder stroke is louder, as the standard says, and brighter."""
    soft, hard = (sampler.render([PlayedNote(0.0, 1.4, 69, velocity)], 0, 2 * SAMPLE_RATE)[0] for velocity in (50, 110))
    flute = sampler.render([PlayedNote(0.0, 1.9, 69, 100)], 73, 2 * SAMPLE_RATE)[0][8000:73536]
    spectrum = np.abs(np.fft.rfft(flute * np.hanning(len(flute)), 1 << 20))
    peak = np.argmax(spectrum[: 1 << 16]) * SAMPLE_RATE / (1 << 20)

    assert abs(1200 * np.log2(peak / 440.0)) < 20 or abs(1200 * np.log2(peak / 880.0)) < 20
    assert 9.0 < 20 * np.log10(np.std(hard) / np.std(soft)) < 18.0
    assert brightness(hard[:8000]) > brightness(soft[:8000])


@pytest.mark.parametrize("program", [0, 30, 48, 56, 61, 73])
def test_every_key_sounds_and_nothing_is_left_hanging(sampler: Sampler, program: int) -> None:
    """From low to high there is sound while a key is held, and silence two seconds after."""
    for pitch in (40, 60, 76):
        sound = sampler.render([PlayedNote(0.0, 0.5, pitch, 90)], program, 3 * SAMPLE_RATE)

        assert np.isfinite(sound).all()
        assert np.abs(sound[:, :20000]).max() > 1e-3
        assert np.abs(sound[:, -20000:]).max() == 0.0


def test_dance_music_dips_at_the_bass_drum() -> None:
    """The side chain is down at each stroke and back before the next; without it nothing moves."""
    drums = Part("Drums", "drums", 24, True, notes=[Note(float(beat), 0.25, 36, 110) for beat in range(8)])
    clock = Clock((0.0,), (0.0,), 120.0)
    facts = ("x", 4.0, Meter("4/4", 4, 4, 1.0), clock, 0, "major", [drums], (), 0.0, "room", 3.5, {}, ())
    gain = _dips(Piece(*facts, pumps_db=6.0), 4 * SAMPLE_RATE)

    assert gain is not None and _dips(Piece(*facts), 4 * SAMPLE_RATE) is None
    at = SAMPLE_RATE / 32 * 0.5
    assert 20 * np.log10(gain[round(at * 2) + 12]) < -4
    assert gain[round(at * 2.9)] > 0.99


@pytest.mark.slow(seconds=2)
def test_ten_minutes_stop_when_they_are_told_to() -> None:
    """Asked to stop while it plays, a long piece ends at the next check, and no second more is rendered."""
    arranger: SketchArranger = load({})
    stop = threading.Event()
    seen: list[float] = []

    def report(fraction: float, note: str) -> None:
        seen.append(fraction)
        if fraction > 0.15:
            stop.set()

    started = time.monotonic()
    with pytest.raises(Stopped):
        list(arranger.generate([ScoreRequest(Caption(CaptionKind.MUSIC, "ambient", "test"), 600.0)], Job(report, stop)))

    assert max(seen) < 0.6
    assert time.monotonic() > started


@pytest.mark.slow
def test_ten_minutes_are_written_and_played() -> None:
    """The longest piece is as exact, as loud and as varied as a short one."""
    request = ScoreRequest(Caption(CaptionKind.MUSIC, "orchestral documentary", "test"), 600.0, 3)
    track = next(iter(load({}).generate([request], Job())))

    assert track.waveform.shape == (2, 600 * SAMPLE_RATE)
    assert len(set(str(track.provenance["written"]["form"]))) >= 3
    for second in range(0, 590, 30):
        assert np.abs(track.waveform[:, second * SAMPLE_RATE : (second + 5) * SAMPLE_RATE]).max() > 0.02
