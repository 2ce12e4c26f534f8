"""Brings the players together: a brief becomes a piece."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from musiscene.soundtracks._arranger import theory
from musiscene.soundtracks._arranger.brief import Brief, describe_curve
from musiscene.soundtracks._arranger.chance import Chance, weighted
from musiscene.soundtracks._arranger.ensemble import assemble
from musiscene.soundtracks._arranger.form import Phrase, bar_energies, level_curve, phrases
from musiscene.soundtracks._arranger.harmony import Harmony
from musiscene.soundtracks._arranger.modulation import with_keys
from musiscene.soundtracks._arranger.piece import METERS, Part, Piece
from musiscene.soundtracks._arranger.session import Session
from musiscene.soundtracks._arranger.styles import STYLES, Style
from musiscene.soundtracks._arranger.timing import Frame, plan, share_on_beats

_SECTION_NAMES = {"I": "Intro", "A": "A", "B": "B", "C": "C"}


def compose(
    brief: Brief,
    *,
    text: str,
    seed: int,
    duration_s: float,
    cuts_s: tuple[float, ...] = (),
    motion: tuple[float, ...] = (),
    check: Callable[[], None] = lambda: None,
) -> Piece:
    """Write the music of a brief; the same arguments always give the same piece. `check` is called often, to stop."""
    chance = Chance(text, seed)
    style = STYLES[brief.style]
    meter = METERS[brief.meter or style.meter]
    brief = _varied_tempo(brief, chance.stream("tempo"))
    frame = plan(brief, meter, duration_s, cuts_s, motion, style.slows)
    form = phrases(frame.bars, chance.stream("form"), _bars_on_cuts(frame))
    form = with_keys(form, brief, style, chance.stream("keys"))
    energies = bar_energies(brief, frame, form, motion)
    tonic = _tonic(brief, style, chance.stream("key"))
    harmony = Harmony(style, brief.mode, tonic, frame, form, chance.stream("harmony"))
    ensemble = assemble(brief, style, chance.stream("ensemble"))
    session = Session(brief, style, frame, form, energies, harmony, ensemble, chance)
    parts = session.parts(check)
    levels = level_curve(brief, frame, energies)
    facts = _facts(brief, style, frame, form, harmony, parts, cuts_s)
    markers = tuple(
        (float(phrase.start * meter.beats), _SECTION_NAMES[phrase.section]) for phrase in form if phrase.new_section
    )
    return Piece(
        title=f"{style.title} in {facts['key']}",
        duration_s=duration_s,
        meter=meter,
        clock=frame.clock,
        tonic=tonic,
        mode=brief.mode,
        parts=parts,
        levels=levels,
        level_depth_db=8.0 if brief.energy_curve else 4.0,
        room=style.room,
        pumps_db=style.pumps_db,
        last_chord_s=max(0.0, frame.clock.at(frame.final_beat)),
        facts=facts,
        markers=markers,
        keys=tuple(harmony.keys),
    )


def _bars_on_cuts(frame: Frame) -> dict[int, float]:
    """Bars that begin on a cut, and how much it matters."""
    beats = frame.meter.beats
    pairs = zip(frame.cut_beats, frame.cut_weights, strict=True)
    return {int(beat // beats): weight for beat, weight in pairs if beat % beats == 0}


def _varied_tempo(brief: Brief, rng: random.Random) -> Brief:
    """Takes of a brief that leaves the tempo open differ in it."""
    low, high = brief.tempo_range
    if brief.tempo_asked or high <= low:
        return brief
    spread = min(high - brief.tempo_bpm, brief.tempo_bpm - low)
    return replace(brief, tempo_bpm=brief.tempo_bpm + rng.uniform(-0.8, 0.8) * max(0.0, spread))


def _tonic(brief: Brief, style: Style, rng: random.Random) -> int:
    if brief.key:
        return theory.pitch_class(brief.key)
    keys = [
        (0, 1.0),
        (2, 1.0),
        (7, 1.0),
        (9, 1.0),
        (5, 0.8),
        (4, 0.7),
        (10, 0.6),
        (3, 0.5),
        (11, 0.3),
        (8, 0.3),
        (6, 0.2),
        (1, 0.2),
    ]
    if style.name in ("rock", "metal", "blues", "bluegrass", "folk"):
        keys = [(4, 1.0), (9, 1.0), (2, 1.0), (7, 1.0), (0, 0.4)]
    return weighted(rng, keys)


def _facts(
    brief: Brief,
    style: Style,
    frame: Frame,
    form: list[Phrase],
    harmony: Harmony,
    parts: list[Part],
    cuts_s: tuple[float, ...],
) -> dict[str, object]:
    tonic = brief.key or theory.key_name(harmony.tonic, brief.mode)
    inside = tuple(cut for cut in cuts_s if 0 <= cut < frame.duration_s)
    return {
        "style": style.name,
        "key": f"{tonic} {brief.mode}",
        "tempo_bpm": round(frame.clock.usual_bpm(), 2),
        "meter": frame.meter.name,
        "bars": frame.bars + 1,
        "form": "".join(phrase.section for phrase in form),
        "keys": [f"{theory.key_name(tonic, mode)} {mode}" for _, tonic, mode in harmony.keys],
        "chords": " | ".join(span.chord.symbol for span in harmony.spans[:64]),
        "instruments": [part.name for part in parts],
        "curve": describe_curve(brief.energy_curve) if brief.energy_curve else "",
        "final_chord_s": round(frame.clock.at(frame.final_beat), 3),
        "cuts_on_beats": round(share_on_beats(frame.clock, inside), 3) if inside else None,
    }
