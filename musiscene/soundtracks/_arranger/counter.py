"""The counter-line: a second voice in long notes that answers the melody."""

from __future__ import annotations

from musiscene.soundtracks._arranger import theory
from musiscene.soundtracks._arranger.harmony import Harmony
from musiscene.soundtracks._arranger.piece import Note
from musiscene.soundtracks._arranger.timing import Frame


def counter_line(
    melody: list[Note], harmony: Harmony, frame: Frame, low: int, high: int, active: list[tuple[float, float]]
) -> list[Note]:
    """A second voice in long notes: chord tones that move by step and differ from the melody's, changing where the
    harmony does; it answers with a passing note where the melody holds still.

    Args:
        melody: What it goes with.
        harmony: The chords.
        frame: The bars.
        low: Lowest pitch.
        high: Highest pitch.
        active: Stretches of beats where it plays.
    """
    notes: list[Note] = []
    centre = (low + high) / 2
    previous = centre
    for begin, end in active:
        for index, span in enumerate(harmony.spans):
            if span.beat < begin or span.beat >= end:
                continue
            length = min(span.length, end - span.beat)
            taken = {note.pitch % 12 for note in melody if span.beat <= note.beat < span.beat + 1.0}
            colour = span.chord.tones[1:3] if len(span.chord.tones) < 4 else (span.chord.tones[1], span.chord.tones[3])
            choices = tuple(tone for tone in colour if tone not in taken) or span.chord.tones
            pull = previous + 0.15 * (centre - previous)
            pitch = theory.nearest(pull, choices, low, high)
            busy = sum(1 for note in melody if span.beat + length / 2 <= note.beat < span.beat + length)
            following = harmony.spans[index + 1].chord if index + 1 < len(harmony.spans) else None
            if following is not None and length >= 3 and busy <= 1 and span.beat + length < end:
                target = theory.nearest(pitch, following.tones[1:2] or following.tones, low, high)
                passing = theory.steps_from(
                    pitch, 1 if target >= pitch else -1, harmony.local_scale(span.chord, span.beat)
                )
                if low <= passing <= high and passing != pitch:
                    notes.append(Note(span.beat, length - 1.0, pitch, 72))
                    notes.append(Note(span.beat + length - 1.0, 1.0, passing, 68))
                    previous = passing
                    continue
            notes.append(Note(span.beat, length, pitch, 72))
            previous = pitch
    return notes
