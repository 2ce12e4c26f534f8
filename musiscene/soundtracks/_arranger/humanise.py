"""What players add to the page: accents, breathing, and never being exactly on the grid."""

from __future__ import annotations

import random

from musiscene.soundtracks._arranger.piece import Note
from musiscene.soundtracks._arranger.styles import Style
from musiscene.soundtracks._arranger.timing import Frame

_FEEL = {"drums": 0.5, "bass": 0.7, "hits": 0.6}
"""How loose a role is, compared to the others."""


def perform(
    notes: list[Note], role: str, style: Style, frame: Frame, energies: list[float], rng: random.Random, swing: float
) -> list[Note]:
    """Turn written notes into played ones: swing, dynamics by energy and metre, articulation, small deviations."""
    low, high = style.velocity
    meter = frame.meter
    feel = _FEEL.get(role, 1.0)
    # The faster the music, the plainer the beat has to be made.
    plain = 1.0 + min(2.0, max(0.0, (frame.clock.usual_bpm() - 130.0) / 20.0))
    played: list[Note] = []
    drift = 0.0
    for note in notes:
        bar = min(len(energies) - 1, max(0, int(note.beat // meter.beats)))
        energy = energies[bar]
        level = low + (high - low) * energy
        accent = plain * 16.0 * (meter.weight(note.beat) - 0.45)
        shape = (note.velocity - 80) * 0.8
        if role == "drums":
            on_beat = plain * (4.0 if meter.weight(note.beat) > 0.5 else -3.0)
            velocity = note.velocity * (0.62 + 0.42 * energy) + on_beat + rng.gauss(0.0, 3.0)
        elif role in ("pad", "counter"):
            velocity = level + shape * 0.5 + rng.gauss(0.0, 2.0)
        else:
            velocity = level + shape + accent + rng.gauss(0.0, 3.5)
        beat = _swung(note.beat, swing, style.swing_sixteenths, meter.compound)
        end = _swung(note.beat + note.length, swing, style.swing_sixteenths, meter.compound)
        drift = 0.8 * drift + rng.gauss(0.0, 0.45)
        late_s = style.loose_ms * feel * (0.6 * drift + rng.gauss(0.0, 0.5)) / 1000.0
        on_final = abs(note.beat - frame.final_beat) < 0.3
        if on_final or note.beat in frame.cut_beats:
            late_s *= 0.3
        at_s = max(0.0, frame.clock.at(beat) + max(-0.03, min(0.03, late_s)))
        start = frame.clock.beat_at(at_s)
        length = max(0.05, end - start)
        if role == "melody" and not on_final:
            length *= style.articulation + rng.uniform(-0.03, 0.03)
        elif role in ("bass", "comp", "arp", "double") and not on_final:
            length *= 0.94
        played.append(Note(start, length, note.pitch, max(8, min(127, round(velocity)))))
    return played


def phrased(notes: list[Note]) -> list[Note]:
    """Lean into high and long notes, grow towards the middle of each phrase, and ease off at its end (a rest of
    half a beat or more; N. P. Todd, "The dynamics of dynamics", Journal of the Acoustical Society of America 91, 1992).
    """
    if not notes:
        return notes
    middle = sum(note.pitch for note in notes) / len(notes)
    rests = [
        index + 1 == len(notes) or notes[index + 1].beat - (note.beat + note.length) >= 0.45
        for index, note in enumerate(notes)
    ]
    found = []
    begin = 0
    for end in (index for index, rest in enumerate(rests) if rest):
        first, span = notes[begin].beat, max(1.0, notes[end].beat - notes[begin].beat)
        for index in range(begin, end + 1):
            note = notes[index]
            along = (note.beat - first) / span
            boost = 1.1 * (note.pitch - middle) + 3.0 * min(2.0, note.length) + 16.0 * along * (1.0 - along) - 2.0
            boost -= 7.0 if rests[index] else 0.0
            found.append(note._replace(velocity=max(40, min(115, round(82 + boost)))))
        begin = end + 1
    return found


def without_overlaps(notes: list[Note]) -> list[Note]:
    """A voice that plays one note at a time: each stops where the next begins; a key never restarts while it sounds."""
    found: list[Note] = []
    for note in sorted(notes):
        if found and found[-1].beat + found[-1].length > note.beat:
            found[-1] = found[-1]._replace(length=max(0.05, note.beat - found[-1].beat))
        found.append(note)
    return found


def without_collisions(notes: list[Note]) -> list[Note]:
    """The same key twice at once is one note; a key still down is released just before it is struck again."""
    by_pitch: dict[int, list[Note]] = {}
    for note in sorted(notes):
        line = by_pitch.setdefault(note.pitch, [])
        if line and note.beat - line[-1].beat < 0.06:
            line[-1] = line[-1]._replace(
                length=max(line[-1].length, note.length), velocity=max(line[-1].velocity, note.velocity)
            )
            continue
        if line and line[-1].beat + line[-1].length > note.beat - 0.02:
            line[-1] = line[-1]._replace(length=max(0.04, note.beat - 0.02 - line[-1].beat))
        line.append(note)
    return sorted(note for line in by_pitch.values() for note in line)


def _swung(beat: float, ratio: float, sixteenths: bool, compound: bool) -> float:
    """Delay what falls in the second half of each pair of eighths (or sixteenths)."""
    if ratio == 0.5 or compound:
        return beat
    unit = 0.5 if sixteenths else 1.0
    whole = beat // unit
    inside = (beat - whole * unit) / unit
    bent = inside * ratio / 0.5 if inside <= 0.5 else ratio + (inside - 0.5) * (1 - ratio) / 0.5
    return (whole + bent) * unit
