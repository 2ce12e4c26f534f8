"""The arranger as a music generator."""

from __future__ import annotations

import hashlib
import io
import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import mido
import numpy as np
import pretty_midi
import pytest

from musiscene.errors import ConfigError, RequestError, Stopped
from musiscene.registry import find_generator
from musiscene.soundtracks._arranger.instruments import INSTRUMENTS
from musiscene.soundtracks._arranger.styles import STYLES
from musiscene.soundtracks.sketch import SketchArranger, load
from musiscene.types import Caption, CaptionKind, Job, ScoreRequest, Soundtrack


@pytest.fixture(scope="module")
def arranger() -> SketchArranger:
    """One loaded arranger for all."""
    return load({})


def make(arranger: SketchArranger, text: str, seconds: float = 6.0, seed: int = 0, **more: object) -> Soundtrack:
    """One soundtrack."""
    request = ScoreRequest(Caption(CaptionKind.MUSIC, text, "test"), seconds, seed, **more)  # type: ignore[arg-type]
    return next(iter(arranger.generate([request], Job())))


def notes_of(track: Soundtrack) -> pretty_midi.PrettyMIDI:
    """The file, as other software reads it."""
    assert track.midi is not None
    return pretty_midi.PrettyMIDI(io.BytesIO(track.midi))


def test_it_is_found_by_name() -> None:
    """The registry lists it, and it can run wherever the core is installed."""
    assert find_generator("sketch").why_unavailable() is None


@pytest.mark.parametrize("seconds", [0.05, 1.0, 2.345, 7.0, 31.2])
def test_the_length_is_exact_and_the_sound_is_sound(arranger: SketchArranger, seconds: float) -> None:
    """Stereo, exactly as many samples as asked, finite, not silent, not clipped, and quiet at both ends."""
    track = make(arranger, "cheerful pop", seconds)

    assert track.waveform.shape == (2, round(seconds * 44100))
    assert track.waveform.dtype == np.float32
    assert np.isfinite(track.waveform).all()
    assert 0.05 < np.abs(track.waveform).max() < 1.0
    assert np.abs(track.waveform[:, 0]).max() < 0.01
    assert np.abs(track.waveform[:, -1]).max() < 0.01


@pytest.mark.parametrize("style", sorted(STYLES))
def test_every_style_plays_in_range_and_in_valid_midi(arranger: SketchArranger, style: str) -> None:
    """Each style gives several instruments, within their ranges, in a file whose end is the sound's end."""
    track = make(arranger, f"take of {style}", 8.0, overrides={"style": style, "energy": 0.7})
    midi = notes_of(track)

    assert len(midi.instruments) >= 3
    for instrument in midi.instruments:
        assert instrument.notes
        if not instrument.is_drum:
            same = [one for one in INSTRUMENTS.values() if one.program == instrument.program]
            low, high = min(one.low for one in same), max(one.high for one in same)
            assert all(low <= note.pitch <= high for note in instrument.notes), instrument.name
    file = mido.MidiFile(file=io.BytesIO(track.midi or b""))
    assert file.length == pytest.approx(8.0, abs=0.02)
    kinds = {message.type for message in file.tracks[0]}
    assert {"set_tempo", "time_signature", "key_signature", "end_of_track"} <= kinds


def test_no_note_hangs_in_the_file(arranger: SketchArranger) -> None:
    """Each note that is struck is released, and no key is struck while it is down."""
    track = make(arranger, "busy latin salsa with piano and brass", 15.0)
    for part in mido.MidiFile(file=io.BytesIO(track.midi or b"")).tracks:
        down: set[int] = set()
        for message in part:
            if message.type == "note_on" and message.velocity > 0:
                assert message.note not in down
                down.add(message.note)
            elif message.type in ("note_off", "note_on"):
                down.discard(message.note)
        assert not down


@pytest.mark.slow(seconds=3)
def test_the_same_request_gives_the_same_bytes_in_another_process(arranger: SketchArranger) -> None:
    """Words, seed and length decide every note and every sample, however the process orders its sets."""
    track = make(arranger, "mysterious world music, no drums", 4.0, 7)
    code = (
        "import hashlib\nfrom musiscene.soundtracks.sketch import load\nfrom musiscene.types import *\n"
        "r = ScoreRequest(Caption(CaptionKind.MUSIC, 'mysterious world music, no drums', 'x'), 4.0, 7)\n"
        "t = next(iter(load({}).generate([r], Job())))\n"
        "print(hashlib.sha256(t.waveform.tobytes() + t.midi).hexdigest())"
    )
    environ = {**os.environ, "PYTHONHASHSEED": "12345"}
    theirs = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environ)

    assert track.midi is not None
    assert theirs.stdout.strip() == hashlib.sha256(track.waveform.tobytes() + track.midi).hexdigest()


def test_what_was_played_before_changes_nothing(arranger: SketchArranger) -> None:
    """A warm pad that was a bass an hour ago, and longer notes of the same keys, leave the next piece as it was."""
    fresh = load({})
    first = make(fresh, "mysterious world music, no drums", 4.0, 7)
    for text in ("ambient with a warm pad bass", "very slow world music with sitar, marimba and nylon guitar, held"):
        make(fresh, text, 20.0, 1)
        make(fresh, text, 12.0, 2, overrides={"style": "ambient", "instruments": ["warm pad"], "only": True})
    again = make(fresh, "mysterious world music, no drums", 4.0, 7)

    assert first.waveform.tobytes() == again.waveform.tobytes()
    assert first.midi == again.midi


def test_another_seed_gives_other_notes_of_the_same_brief(arranger: SketchArranger) -> None:
    """Takes differ in their notes and keep what was asked."""
    first = make(arranger, "jazz at 120 BPM in F major", 8.0, 1)
    second = make(arranger, "jazz at 120 BPM in F major", 8.0, 2)

    assert first.midi != second.midi
    assert first.provenance["brief"] == second.provenance["brief"]
    assert first.provenance["written"]["key"] == second.provenance["written"]["key"] == "F major"


@pytest.mark.parametrize(
    ("text", "programs", "drums"),
    [
        ("rock without drums", range(0), True),
        ("orchestral, no strings, no brass", [*range(40, 46), *range(48, 52), *range(56, 64)], False),
        ("jazz without piano or drums", range(6), True),
        ("synthwave without bass", range(32, 40), False),
        ("folk, no guitar", range(24, 32), False),
    ],
)
def test_what_is_left_out_never_plays(arranger: SketchArranger, text: str, programs: object, drums: bool) -> None:
    """In no take does a denied instrument have a note."""
    for seed in range(3):
        for instrument in notes_of(make(arranger, text, 8.0, seed)).instruments:
            assert not (drums and instrument.is_drum)
            assert instrument.is_drum or instrument.program not in programs  # type: ignore[operator]


def test_what_is_asked_plays_and_only_that_when_so_said(arranger: SketchArranger) -> None:
    """A named instrument is heard; "nothing but" leaves it alone."""
    asked = {i.program for i in notes_of(make(arranger, "rock with flute and harp", 12.0)).instruments if not i.is_drum}
    alone = notes_of(make(arranger, "nothing but a cello, slow", 12.0)).instruments

    assert {73, 46} <= asked
    assert {i.program for i in alone} == {42}


@pytest.mark.parametrize(
    ("text", "sign"), [("trailer that starts quietly and builds", 1), ("rock that fades away", -1)]
)
def test_a_curve_that_is_asked_is_heard(arranger: SketchArranger, text: str, sign: int) -> None:
    """The level of the sound rises, or falls, over the length."""
    sound = make(arranger, text, 20.0).waveform
    level = [float(np.sqrt(np.mean(part**2))) for part in np.array_split(sound, 8, axis=1)]

    assert np.corrcoef(np.argsort(np.argsort(level)), np.arange(8))[0, 1] * sign > 0.6


def test_motion_shapes_energy_when_the_words_do_not(arranger: SketchArranger) -> None:
    """A picture that comes to rest takes the music with it."""
    sound = make(arranger, "orchestral score", 24.0, motion=tuple([0.9] * 50 + [0.05] * 50)).waveform
    middle = sound.shape[1] // 2

    assert np.mean(sound[:, :middle] ** 2) > 1.2 * np.mean(sound[:, middle:-44100] ** 2)


def test_strong_beats_fall_on_cuts(arranger: SketchArranger) -> None:
    """With three cuts or more, most lie within 80 ms of a beat of the file."""
    cuts = (2.13, 4.9, 6.35, 9.71, 12.2, 15.05, 17.4)
    for text in ("rock at 120 BPM", "calm piano", "trailer"):
        beats = notes_of(make(arranger, text, 20.0, cuts_s=cuts)).get_beats()
        near = [np.min(np.abs(beats - cut)) <= 0.085 for cut in cuts]

        assert np.mean(near) >= 0.7


def test_cuts_do_not_bend_the_tempo_by_more_than_six_percent(arranger: SketchArranger) -> None:
    """The picture may pull the tempo a little, never far."""
    midi = notes_of(make(arranger, "pop at 110 BPM", 20.0, cuts_s=(1.3, 3.9, 5.2, 8.8, 13.1, 16.6)))
    _, tempi = midi.get_tempo_changes()

    assert all(110 / 1.075 <= tempo <= 110 * 1.075 for tempo in tempi)


@pytest.mark.parametrize("seconds", [0.0, -1.0, 600.5, math.nan, math.inf])
def test_a_length_that_cannot_be_made_is_refused(arranger: SketchArranger, seconds: float) -> None:
    """The sentence tells what is possible."""
    with pytest.raises(RequestError, match="600"):
        make(arranger, "pop", seconds)


def test_a_bad_edit_is_refused_before_anything_is_made(arranger: SketchArranger) -> None:
    """The second request's mistake is found before the first is played."""
    caption = Caption(CaptionKind.MUSIC, "pop", "test")
    requests = [ScoreRequest(caption, 2.0), ScoreRequest(caption, 2.0, overrides={"style": "none"})]

    with pytest.raises(RequestError):
        next(iter(arranger.generate(requests, Job())))


def test_it_can_be_stopped_and_reports_its_progress(arranger: SketchArranger) -> None:
    """Progress never goes back, and a stop is obeyed from within."""
    seen: list[float] = []
    stop = threading.Event()

    def report(fraction: float, note: str) -> None:
        seen.append(fraction)
        if fraction > 0.3:
            stop.set()

    request = ScoreRequest(Caption(CaptionKind.MUSIC, "orchestral", "test"), 20.0)
    with pytest.raises(Stopped):
        list(arranger.generate([request], Job(report, stop)))

    assert seen == sorted(seen)


def test_provenance_tells_what_was_understood(arranger: SketchArranger) -> None:
    """The brief, in JSON and in a sentence, and what was written."""
    provenance = make(arranger, "slow blues in E, no brass", 6.0).provenance

    assert provenance["brief"]["style"] == "blues"
    assert "Without brass" in provenance["sentence"]
    assert provenance["written"]["key"] == "E major"
    assert provenance["soundfont"].endswith(".sf2")


@pytest.mark.parametrize("content", [b"", b"not a soundfont at all", b"RIFF\x00\x00\x00\x00sfbkLIST"])
def test_a_broken_soundfont_is_told_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    """Whatever the file holds, the message names it and says what to do."""
    path = tmp_path / "broken.sf2"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match=r"broken\.sf2.*another"):
        load({"soundfont": path})


def test_a_missing_soundfont_is_told_in_a_sentence(tmp_path: Path) -> None:
    """A path that leads nowhere is named."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load({"soundfont": tmp_path / "nowhere.sf2"})
