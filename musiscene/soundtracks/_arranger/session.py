"""One recording: the players of the ensemble with everything they read from."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from musiscene.soundtracks._arranger import theory
from musiscene.soundtracks._arranger.bass import Bassist
from musiscene.soundtracks._arranger.brief import Brief
from musiscene.soundtracks._arranger.chance import Chance
from musiscene.soundtracks._arranger.comping import Accompanist
from musiscene.soundtracks._arranger.counter import counter_line
from musiscene.soundtracks._arranger.drums import Drummer
from musiscene.soundtracks._arranger.ensemble import Ensemble, Seat
from musiscene.soundtracks._arranger.form import Phrase
from musiscene.soundtracks._arranger.grooves import GROOVES
from musiscene.soundtracks._arranger.harmony import Harmony
from musiscene.soundtracks._arranger.humanise import perform, phrased, without_collisions, without_overlaps
from musiscene.soundtracks._arranger.melody import Composer
from musiscene.soundtracks._arranger.piece import Note, Part
from musiscene.soundtracks._arranger.styles import Style
from musiscene.soundtracks._arranger.timing import Frame

_MONOPHONIC = frozenset({"melody", "counter", "double", "bass"})


class Session:
    """One recording: the players with everything they read from."""

    def __init__(
        self,
        brief: Brief,
        style: Style,
        frame: Frame,
        form: list[Phrase],
        energies: list[float],
        harmony: Harmony,
        ensemble: Ensemble,
        chance: Chance,
    ) -> None:
        self.brief, self.style, self.frame, self.form = brief, style, frame, form
        self.energies, self.harmony, self.ensemble, self.chance = energies, harmony, ensemble, chance
        self.swing = _swing(brief, style)
        self.melody_notes: list[Note] = []

    def parts(self, check: Callable[[], None]) -> list[Part]:
        """All parts, played."""
        seats = sorted(enumerate(self.ensemble.seats), key=lambda pair: (pair[1].layer.role != "melody", pair[0]))
        written: dict[int, tuple[Seat, list[Note]]] = {}
        for index, seat in seats:
            check()
            rng = self.chance.stream(f"{seat.layer.role} {index}")
            written[index] = (seat, self._write(seat, rng))
        parts = []
        for index in sorted(written):
            check()
            seat, notes = written[index]
            if not notes:
                continue
            role = seat.layer.role
            rng = self.chance.stream(f"play {role} {index}")
            notes = self._cropped(notes)
            if seat.instrument.sustained:
                notes = self._released(notes)
            played = perform(notes, role, self.style, self.frame, self.energies, rng, self.swing)
            played = without_overlaps(played) if role in _MONOPHONIC else without_collisions(played)
            parts.append(self._part(seat, played))
        if self.ensemble.drums:
            parts += self._drum_part()
        return _merged(parts)

    def _write(self, seat: Seat, rng: random.Random) -> list[Note]:
        role = seat.layer.role
        if role == "melody":
            return self._melody(seat, rng)
        if role == "double":
            return self._double(seat)
        if role == "counter":
            return self._counter(seat)
        if role == "bass":
            return self._bass(seat, rng)
        if role == "hits":
            return self._hits(seat)
        return self._chords(seat, rng)

    def active(self, seat: Seat, bar: int) -> bool:
        """Whether a layer plays in a bar: it comes and goes with the energy, at the seams of the form."""
        energy = self._gate(bar)
        return seat.layer.enters <= energy + 1e-6 and energy <= seat.layer.leaves

    def _gate(self, bar: int) -> float:
        """Energy that decides who plays: of half a phrase where a curve was asked, else of the whole phrase."""
        phrase = self._phrase_of(bar)
        if phrase is None:
            return self.energies[min(bar, len(self.energies) - 1)]
        start, end = phrase.start, phrase.end
        if self.brief.energy_curve:
            start = phrase.start + (bar - phrase.start) // 2 * 2
            end = min(phrase.end, start + 2)
        values = self.energies[start:end]
        total: float = sum(values)
        return total / len(values)

    def _phrase_of(self, bar: int) -> Phrase | None:
        return next((phrase for phrase in self.form if phrase.start <= bar < phrase.end), None)

    def _melody(self, seat: Seat, rng: random.Random) -> list[Note]:
        instrument = seat.instrument
        high = min(instrument.high, seat.layer.register + 12)
        composer = Composer(
            self.style,
            self.frame,
            self.harmony,
            max(instrument.low, min(seat.layer.register - 14, high - 16)),
            high,
            rng,
            density=self._density(),
            pentatonic=self.brief.region in ("japanese", "chinese", "african", "andean"),
        )
        notes: list[Note] = []
        for phrase in self.form:
            energy = sum(self.energies[phrase.start : phrase.end]) / phrase.bars
            written = composer.phrase(phrase, energy)  # always, so that a silent phrase changes nothing later
            if phrase.section == "I" and len(self.form) > 1:
                continue
            notes += [note for note in written if self.active(seat, int(note.beat // self.frame.meter.beats))]
        if self.frame.pickup >= 1 and (notes or not self.form):
            first = (
                notes[0].pitch
                if notes
                else theory.nearest(seat.layer.register, self.harmony.scale, instrument.low, instrument.high)
            )
            notes = composer.pickup(first) + notes
        if notes or not self.form:
            notes += composer.final(notes[-1].pitch if notes else None)
        notes = phrased(notes)
        if not self.melody_notes:
            self.melody_notes = notes
        return notes

    def _density(self) -> float:
        density = self.style.density
        if self.brief.articulation == "legato":
            density *= 0.8
        pace = self.brief.tempo_bpm / (0.5 * (self.style.tempo[0] + self.style.tempo[1]))
        busy = 0.85 + 0.4 * (self.brief.energy - 0.5)
        return max(0.3, min(2.2, density * busy / max(0.7, math.pow(pace, 0.6))))

    def _double(self, seat: Seat) -> list[Note]:
        """The melody an octave up (or where it fits), when the music is at its fullest."""
        low, high = seat.instrument.low, seat.instrument.high
        found = []
        for note in self.melody_notes:
            bar = int(note.beat // self.frame.meter.beats)
            if not self.active(seat, bar):
                continue
            pitch = note.pitch + 12
            while pitch > high:
                pitch -= 12
            while pitch < low:
                pitch += 12
            found.append(note._replace(pitch=pitch, velocity=max(30, note.velocity - 8)))
        return found

    def _counter(self, seat: Seat) -> list[Note]:
        beats = self.frame.meter.beats
        active: list[tuple[float, float]] = []
        for bar in range(self.frame.bars + 1):
            if self.active(seat, bar):
                begin = float(bar * beats)
                end = begin + beats if bar < self.frame.bars else self.frame.end_beat
                if active and abs(active[-1][1] - begin) < 1e-6:
                    active[-1] = (active[-1][0], end)
                else:
                    active.append((begin, end))
        low = max(seat.instrument.low, seat.layer.register - 9)
        high = min(seat.instrument.high, seat.layer.register + 9)
        if high - low < 11:
            low, high = seat.instrument.low, min(seat.instrument.high, seat.instrument.low + 18)
        return counter_line(self.melody_notes, self.harmony, self.frame, low, high, active)

    def _bass(self, seat: Seat, rng: random.Random) -> list[Note]:
        bassist = Bassist(seat.layer, seat.instrument, self.harmony, self.frame, rng)
        notes: list[Note] = []
        for bar in range(self.frame.bars):
            written = bassist.bar(bar, self._gate(bar))
            if self.active(seat, bar):
                notes += written
        if self.active(seat, self.frame.bars) or not self.form:
            notes += bassist.final()
        return notes

    def _chords(self, seat: Seat, rng: random.Random) -> list[Note]:
        # What is little energy for one style is plenty for another.
        busier = 0.45 * max(0.0, 0.5 - self.style.arousal)
        player = Accompanist(seat.layer, seat.instrument, self.harmony, self.frame, rng, busier=busier)
        notes: list[Note] = []
        for bar in range(self.frame.bars):
            written = player.bar(bar, self._gate(bar))
            if self.active(seat, bar):
                notes += written
        if self.active(seat, self.frame.bars) or not self.form:
            notes += player.final()
        return notes

    def _hits(self, seat: Seat) -> list[Note]:
        """Timpani and their like: where sections begin, before them as a roll, at the end and on cuts."""
        low, high = seat.instrument.low, seat.instrument.high
        notes: list[Note] = []

        def pitch_at(beat: float) -> int:
            return theory.nearest((low + high) / 2, (self.harmony.at(beat).bass,), low, high)

        for phrase in self.form:
            start = float(phrase.start * self.frame.meter.beats)
            if self.active(seat, phrase.start):
                notes.append(Note(start, 1.0, pitch_at(start), 92))
                if self.energies[phrase.start] > 0.6:
                    for bar in range(phrase.start + 1, phrase.end):
                        beat = float(bar * self.frame.meter.beats)
                        notes.append(Note(beat, 0.5, pitch_at(beat), 80))
                end = float(phrase.end * self.frame.meter.beats)
                if self.energies[phrase.end - 1] > 0.5:
                    for step in range(8):
                        beat = end - 1.0 + step / 8
                        notes.append(Note(beat, 0.125, pitch_at(beat), 58 + 4 * step))
        if self.active(seat, self.frame.bars):
            notes.append(Note(self.frame.final_beat, 2.0, pitch_at(self.frame.final_beat), 96))
        return notes

    def _drum_part(self) -> list[Part]:
        name = self.style.groove or ("world" if self.brief.region else "pop")
        groove = GROOVES[name]
        rng = self.chance.stream("drums")
        drummer = Drummer(groove, self.frame, rng, half_time=self.brief.feel == "half-time")
        notes: list[Note] = []
        enters = self.ensemble.drums_enter
        playing = False
        for bar in range(self.frame.bars):
            energy = self._gate(bar)
            was, playing = playing, energy >= enters
            if not playing:
                continue
            phrase = self._phrase_of(bar)
            ends = phrase is not None and bar == phrase.end - 1 and (phrase.closing or phrase.last)
            begins = phrase is not None and bar == phrase.start and (phrase.new_section or not was)
            level = max(energy, 0.35) if enters == 0.0 else energy
            notes += drummer.bar(bar, level, phrase, fill=ends, crash=begins and bar > 0)
        if playing:
            notes += drummer.final(self.frame.final_beat, self.energies[-1])
        for beat in self._accents():
            if self._gate(max(0, int(beat // self.frame.meter.beats))) >= enters:
                notes += drummer.accent(beat, self.energies[max(0, int(beat // self.frame.meter.beats))])
        notes = self._cropped(notes)
        played = perform(
            notes, "drums", self.style, self.frame, self.energies, self.chance.stream("play drums"), self.swing
        )
        if not played:
            return []
        return [
            Part(
                "Drums", "drums", groove.kit, True, 0.0, self.style.drums_gain_db, 0.12, 0.0, without_collisions(played)
            )
        ]

    def _accents(self) -> list[float]:
        """The cuts that get a hit: the important ones, and those on strong beats, not closer than two bars."""
        beats = self.frame.meter.beats
        ranked = sorted(
            (-weight - (0.3 if beat % beats == 0 else 0.0), beat)
            for beat, weight in zip(self.frame.cut_beats, self.frame.cut_weights, strict=True)
            if 0 < beat < self.frame.final_beat and (beat % beats == 0 or weight >= 0.6)
        )
        found: list[float] = []
        for _, beat in ranked:
            if all(abs(beat - other) >= 2 * beats for other in found):
                found.append(beat)
        return sorted(found)

    def _cropped(self, notes: list[Note]) -> list[Note]:
        """Nothing before the sound begins or after it ends; cuts lean on whatever falls there."""
        begin, end = -self.frame.pickup, self.frame.end_beat
        cuts = self.frame.cut_beats
        found = []
        for note in notes:
            if not begin - 1e-6 <= note.beat < end:
                continue
            velocity = note.velocity
            if cuts and any(abs(note.beat - cut) < 0.05 for cut in cuts):
                velocity = min(124, velocity + 14)
            found.append(note._replace(length=min(note.length, end - note.beat), velocity=velocity))
        return found

    def _released(self, notes: list[Note]) -> list[Note]:
        """Bows and breaths end the last chord before the sound does: the room answers, and nothing is cut off."""
        until = self.frame.final_beat + 0.72 * (self.frame.end_beat - self.frame.final_beat)
        return [
            note._replace(length=min(note.length, max(0.1, until - note.beat)))
            if note.beat >= self.frame.final_beat - 0.01
            else note
            for note in notes
        ]

    def _part(self, seat: Seat, notes: list[Note]) -> Part:
        layer, instrument = seat.layer, seat.instrument
        name = f"{instrument.name[0].upper()}{instrument.name[1:]}"
        if layer.role in ("melody", "bass", "counter"):
            name += f" ({layer.role})"
        return Part(
            name=name,
            role=layer.role,
            program=instrument.program,
            pan=layer.pan,
            gain_db=layer.gain_db,
            reverb=layer.reverb,
            swell=self.style.swells_db if instrument.sustained and layer.role in ("pad", "counter") else 0.0,
            notes=notes,
        )


def _merged(parts: list[Part]) -> list[Part]:
    """Two layers of one keyboard are one track, as they are two hands."""
    found: list[Part] = []
    for part in parts:
        twin = next(
            (
                p
                for p in found
                if p.program == part.program
                and p.drums == part.drums
                and p.pan == part.pan
                and not part.drums
                and part.gain_db == p.gain_db
            ),
            None,
        )
        if twin is not None:
            twin.notes = without_collisions(twin.notes + part.notes)
        else:
            found.append(part)
    return found


def _swing(brief: Brief, style: Style) -> float:
    if brief.feel == "swing" and style.swing < 0.6:
        return 0.62
    if style.swing > 0.6 and brief.tempo_bpm > 170:
        return 0.57  # fast swing is nearly even
    return style.swing
