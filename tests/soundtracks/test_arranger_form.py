"""Form, keys and time of what the arranger writes; nothing is played."""

from __future__ import annotations

import io
import random
from itertools import pairwise

import mido
import numpy as np
import pretty_midi
import pytest
import symusic

from musiscene.soundtracks._arranger import midi
from musiscene.soundtracks._arranger.compose import compose
from musiscene.soundtracks._arranger.cuts import importance
from musiscene.soundtracks._arranger.form import phrases
from musiscene.soundtracks._arranger.piece import Note, Piece
from musiscene.soundtracks._arranger.styles import STYLES
from musiscene.soundtracks.sketch import read_brief

CUTS = (3.1, 9.7, 13.3, 20.8, 21.9, 31.2, 40.4)


def write(text: str, seconds: float, seed: int = 0, cuts: tuple[float, ...] = (), **edits: object) -> Piece:
    """One piece."""
    return compose(read_brief(text).with_overrides(edits), text=text, seed=seed, duration_s=seconds, cuts_s=cuts)


@pytest.mark.parametrize("bars", [1, 2, 3, 4, 7, 13, 30, 97])
def test_phrases_fill_the_bars_whatever_the_cuts(bars: int) -> None:
    """Phrase follows phrase from the first bar to the last, and the last one is told to close."""
    for cuts in ({}, {2: 0.9}, {1: 0.4, 5: 0.8, 6: 0.3, 11: 1.0}):
        plan = phrases(bars, random.Random(bars), cuts)

        assert plan[0].start == 0 and plan[-1].end == bars and plan[-1].last
        assert all(one.end == following.start for one, following in pairwise(plan))


def test_sections_begin_on_important_cuts() -> None:
    """With cuts in the picture, new sections fall on them more often than not; without, they would not."""
    on_cuts, by_chance = [], []
    for text in ("rock at 120 BPM", "orchestral score", "pop song"):
        for seed in range(3):
            for cuts, found in ((CUTS, on_cuts), ((), by_chance)):
                piece = write(text, 46.0, seed, cuts)
                starts = [piece.clock.at(beat) for beat, _ in piece.markers if beat > 0]
                found += [min(abs(start - cut) for cut in CUTS) <= 0.09 for start in starts]

    assert np.mean(on_cuts) >= 0.6 > 3 * np.mean(by_chance)


def test_a_cut_matters_more_where_a_long_shot_begins_or_motion_changes() -> None:
    """Quick cuts in a row matter least."""
    long_shot = importance((10.0, 11.0, 12.0, 13.0), (), 14.0)
    motion = (0.1,) * 50 + (0.9,) * 50
    calm, change = importance((2.5, 5.0, 7.5), motion, 10.0)[:2]

    assert long_shot[0] > max(long_shot[1:])
    assert change > calm


def test_a_long_piece_leaves_its_key_and_comes_home() -> None:
    """With a key asked it visits the relative, ends where it began, and the file's key signatures follow."""
    travelled = []
    for seed in range(4):
        piece = write("orchestral film score in D minor", 100.0, seed)
        keys = [(tonic, mode) for _, tonic, mode in piece.keys]
        travelled.append(len(keys) > 1)
        signatures = [
            message
            for message in mido.MidiFile(file=io.BytesIO(midi.write(piece))).tracks[0]
            if message.type == "key_signature"
        ]

        assert keys[0] == keys[-1] == (2, "minor")
        assert set(keys) <= {(2, "minor"), (5, "major")}
        assert len(signatures) == len(keys)
    assert any(travelled)


def test_a_short_piece_stays_in_its_key() -> None:
    """Half a minute is no time for a journey."""
    assert all(len(write(style.title, 30.0).keys) == 1 for style in STYLES.values())


def test_an_ending_slows_down_where_the_style_does_and_the_picture_allows() -> None:
    """A ballad takes its time at the end, dance music does not, and cuts hold the tempo within 6 %."""
    slowest = {
        name: min(tempo for _, tempo in piece.clock.tempi()) / piece.clock.usual_bpm()
        for name, piece in {
            "ballad": write("piano ballad at 70 BPM", 40.0),
            "dance": write("techno at 124 BPM", 40.0),
            "cut": write("piano ballad at 70 BPM", 46.0, 0, CUTS),
        }.items()
    }

    assert slowest["ballad"] < 0.85
    assert slowest["dance"] > 0.999
    assert slowest["cut"] > 0.9


def test_the_left_hand_of_a_ballad_rings_until_the_harmony_changes() -> None:
    """The pedal is down: low notes sound on under the melody."""
    piece = write("slow piano ballad at 60 BPM in 4/4", 30.0)
    left = [note for part in piece.parts if part.role == "comp" for note in part.notes]
    low = [note for note in left if note.pitch < 48]

    assert low and np.median([note.length for note in low]) >= 1.9


def test_melodies_move_as_melodies_do() -> None:
    """Mostly steps, few leaps, no leap beyond an octave, and motifs that come back."""
    moves: list[int] = []
    returning = []
    for style in STYLES:
        piece = write("music", 32.0, 3, style=style, meter="4/4")
        melody: list[Note] = next((part.notes for part in piece.parts if part.role == "melody"), [])
        moves += [abs(b.pitch - a.pitch) for a, b in pairwise(melody)]
        rhythms: dict[int, list[float]] = {}
        for note in melody:
            rhythms.setdefault(int((note.beat + 0.2) // 4), []).append(round((note.beat % 4) * 2) / 2 % 4)
        bars = [tuple(beats) for beats in rhythms.values()]
        returning.append(len(set(bars)) < len(bars))

    assert np.mean([0 < move <= 2 for move in moves]) > 0.4
    assert np.mean([move > 5 for move in moves]) < 0.2
    assert max(moves) <= 12
    assert np.mean(returning) > 0.8


def test_three_readers_find_the_same_notes_in_the_file() -> None:
    """pretty_midi, symusic and mido open the file and count the notes that were written."""
    piece = write("busy latin salsa with brass", 20.0)
    content = midi.write(piece)
    written = sum(len(part.notes) for part in piece.parts)
    messages = [message for track in mido.MidiFile(file=io.BytesIO(content)).tracks for message in track]

    assert sum(len(one.notes) for one in pretty_midi.PrettyMIDI(io.BytesIO(content)).instruments) == written
    assert sum(len(track.notes) for track in symusic.Score.from_midi(content).tracks) == written
    assert sum(message.type == "note_on" and message.velocity > 0 for message in messages) == written


def test_styles_differ_in_instruments_groove_and_harmony() -> None:
    """No two styles share what they play, how they drum and their chords."""
    seen = set()
    for name, style in STYLES.items():
        instruments = tuple(sorted(layer.instruments[0] for layer in style.layers))
        seen.add((instruments, style.groove, style.vocabulary))
        assert len(instruments) >= 3, name

    assert len(seen) == len(STYLES) >= 16
