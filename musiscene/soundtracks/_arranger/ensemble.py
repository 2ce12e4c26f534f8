"""Who plays: the style's layers with instruments, as the brief asks and forbids."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

from musiscene.soundtracks._arranger.brief import Brief
from musiscene.soundtracks._arranger.instruments import DRUMS, FAMILY_WORDS, INSTRUMENTS, Instrument, is_excluded
from musiscene.soundtracks._arranger.styles import Layer, Style

_SUBSTITUTES = {
    "melody": (
        "flute",
        "violin",
        "clarinet",
        "piano",
        "vibraphone",
        "acoustic guitar",
        "synth lead",
        "trumpet",
        "marimba",
    ),
    "comp": ("piano", "acoustic guitar", "harp", "strings", "marimba", "synth", "accordion", "french horn"),
    "pad": ("slow strings", "warm pad", "choir", "church organ", "french horn", "clarinet"),
    "arp": ("harp", "vibraphone", "piano", "marimba", "nylon guitar", "synth", "clarinet"),
    "bass": ("double bass", "bass guitar", "cello", "bassoon", "synth bass", "tuba"),
    "counter": ("cello", "french horn", "clarinet", "nylon guitar", "electric piano"),
    "double": ("flute", "violin", "glockenspiel", "clarinet"),
    "hits": ("timpani", "taiko"),
}

_FAMILY_CHOICES = {
    "strings": ("strings", "violin", "cello"),
    "brass": ("brass", "trumpet", "french horn"),
    "woodwinds": ("flute", "clarinet", "oboe"),
    "guitar": ("acoustic guitar", "electric guitar"),
    "piano": ("piano",),
    "synth": ("synth", "synth lead", "warm pad"),
    "bass": ("bass guitar", "double bass"),
    "voice": ("choir", "voice"),
    "bells": ("glockenspiel", "tubular bells"),
    "organ": ("hammond organ", "church organ"),
    "sax": ("saxophone", "alto sax"),
    "flute": ("flute",),
    "mallets": ("marimba", "vibraphone"),
}

REGIONS: dict[str, tuple[str, ...]] = {
    "japanese": ("koto", "shakuhachi", "shamisen"),
    "chinese": ("koto", "fiddle", "flute"),
    "indian": ("sitar", "flute"),
    "middle eastern": ("nylon guitar", "shakuhachi"),
    "african": ("kalimba", "marimba"),
    "celtic": ("tin whistle", "fiddle", "harp"),
    "spanish": ("nylon guitar",),
    "andean": ("pan flute", "nylon guitar"),
    "caribbean": ("steel drums",),
    "russian": ("mandolin", "accordion"),
    "french": ("accordion",),
    "hawaiian": ("acoustic guitar", "marimba"),
}
"""Instruments of a musical tradition, as far as General MIDI has them or their kin."""

_CHORDAL = frozenset({"comp", "pad", "arp"})
_PLUCKED_PATTERNS = frozenset({"strum", "fingerpick", "roll", "boomchick", "scratch", "skank", "power"})


@dataclass(frozen=True, slots=True)
class Seat:
    """One player: what to play and on what."""

    layer: Layer
    instrument: Instrument


@dataclass(frozen=True, slots=True)
class Ensemble:
    """All players.

    Attributes:
        seats: The layers with their instruments.
        drums: Whether the kit plays.
        drums_enter: Energy from which it does.
    """

    seats: tuple[Seat, ...]
    drums: bool
    drums_enter: float


def assemble(brief: Brief, style: Style, rng: random.Random) -> Ensemble:
    """Choose instruments for the style's layers; what was asked plays from the start, what was forbidden never."""
    exclude = brief.exclude
    wanted = _wanted(brief, rng)
    layers = [
        layer for layer in style.layers if not ("melody" in exclude and layer.role in ("melody", "double", "counter"))
    ]
    layers = [layer for layer in layers if not ("bass" in exclude and layer.role == "bass")]
    seats: list[Seat | None] = [None] * len(layers)
    waiting = list(wanted)
    for instrument in list(waiting):
        index = _place(instrument, layers, seats)
        if index is not None:
            layer = layers[index]
            enters = min(layer.enters, 0.05 if brief.instruments else layer.enters)
            seats[index] = Seat(_adapted(replace(layer, enters=enters, leaves=1.01), instrument), instrument)
            waiting.remove(instrument)
    if brief.only and wanted:
        kept = [seat for seat in seats if seat is not None]
        kept += _more_for(wanted, kept, exclude)
        drums = DRUMS in brief.instruments and DRUMS not in exclude
        return Ensemble(tuple(kept), drums, 0.0)
    for index, layer in enumerate(layers):
        if seats[index] is None:
            chosen = _choose(layer, exclude, rng)
            if chosen is not None:
                seats[index] = Seat(_adapted(layer, chosen), chosen)
    found = [seat for seat in seats if seat is not None]
    for instrument in waiting:
        found.append(Seat(_extra_layer(instrument), instrument))
    found = _with_foundation(found, exclude)
    asked_drums = DRUMS in brief.instruments
    drums = bool(style.groove or asked_drums) and DRUMS not in exclude
    return Ensemble(tuple(found), drums, 0.0 if asked_drums else style.drums_enter)


def _wanted(brief: Brief, rng: random.Random) -> list[Instrument]:
    names: list[str] = []
    for name in brief.instruments:
        if name == DRUMS or name == "melody":
            continue
        if name in INSTRUMENTS:
            names.append(name)
        elif name in FAMILY_WORDS:
            names.append(rng.choice(_FAMILY_CHOICES[name]))
    if not brief.only:
        names += [name for name in REGIONS.get(brief.region, ()) if name not in names]
    kept = [name for name in dict.fromkeys(names) if not is_excluded(name, brief.exclude)]
    return [INSTRUMENTS[name] for name in kept[:6]]


def _place(instrument: Instrument, layers: list[Layer], seats: list[Seat | None]) -> int | None:
    """The free layer that suits an instrument best."""
    best: tuple[float, int] | None = None
    for index, layer in enumerate(layers):
        if seats[index] is not None:
            continue
        score = _suits(instrument, layer)
        if score > 0 and (best is None or score > best[0]):
            best = (score, index)
    return best[1] if best else None


def _suits(instrument: Instrument, layer: Layer) -> float:
    is_bass = "bass" in instrument.families
    if (layer.role == "bass") != is_bass:
        return 1.5 if layer.role == "bass" and instrument.name in ("cello", "tuba", "synth", "warm pad") else 0.0
    if instrument.name in layer.instruments:
        return 6.0
    if layer.role == "bass":
        return 4.0
    if layer.role == "hits":
        return 5.0 if "percussion" in instrument.families else 0.0
    if "percussion" in instrument.families:
        return 0.0
    soloist = instrument.sustained and not {"pad", "voice"} & set(instrument.families)
    keys = bool(
        {"piano", "keyboard", "organ", "guitar", "harp", "mallets", "plucked", "pad", "synth"}
        & set(instrument.families)
    )
    section = instrument.name in (
        "strings",
        "slow strings",
        "brass",
        "choir",
        "synth strings",
        "tremolo strings",
        "choir pad",
    )
    if layer.role == "melody":
        return 3.5 if soloist and not section else (2.4 if keys else 1.0)
    if layer.role == "comp":
        if layer.pattern in _PLUCKED_PATTERNS and "guitar" not in instrument.families:
            return 1.6 if keys else 0.5
        return 3.0 if keys else (2.0 if section else 0.0)
    if layer.role == "arp":
        return 2.8 if keys and not instrument.sustained else 1.2
    if layer.role == "pad":
        return (
            3.2
            if section or "pad" in instrument.families or "organ" in instrument.families
            else (1.5 if instrument.sustained else 0.0)
        )
    if layer.role == "counter":
        return 2.2 if soloist else 0.8
    return 0.6 if soloist else 0.0


def _adapted(layer: Layer, instrument: Instrument) -> Layer:
    """A pattern that the instrument can play."""
    if layer.role not in _CHORDAL:
        return layer
    if layer.pattern == "power" and "guitar" not in instrument.families:
        return replace(layer, pattern="pulse")
    if (
        layer.pattern in ("strum", "roll", "scratch", "skank", "boomchick")
        and instrument.sustained
        and "guitar" not in instrument.families
        and "organ" not in instrument.families
    ):
        return replace(layer, pattern="pulse")
    if layer.pattern == "hold" and not instrument.sustained:
        return replace(layer, pattern="arpeggio")
    return layer


def _extra_layer(instrument: Instrument) -> Layer:
    """A layer for an instrument that was asked for and has no place in the style."""
    if "percussion" in instrument.families:
        return Layer("hits", "", (instrument.name,), 0.05, 0.1, -1.0, 0.3)
    if "bass" in instrument.families:
        return Layer("bass", "quarters", (instrument.name,), 0.05, 0.0, 0.0, 0.08)
    if instrument.sustained:
        return Layer("counter", "", (instrument.name,), 0.05, 0.3, -2.0, 0.3)
    return Layer("arp", "arpeggio", (instrument.name,), 0.05, -0.3, -3.0, 0.25, 64)


def _more_for(wanted: list[Instrument], kept: list[Seat], exclude: tuple[str, ...]) -> list[Seat]:
    """With few players, each takes more: melody and chords, and the low end where the range allows."""
    roles = {seat.layer.role for seat in kept}
    extra: list[Seat] = []
    able = [one for one in wanted if "percussion" not in one.families]
    if not able:
        return extra
    melodic = max(able, key=lambda one: one.high)
    if "melody" not in roles and "melody" not in exclude:
        extra.append(Seat(Layer("melody", "", (melodic.name,), 0.0, 0.0, 1.0, 0.3, 74), melodic))
    chordal = next(
        (
            one
            for one in able
            if not one.sustained or {"organ", "strings", "synth", "voice", "reed"} & set(one.families)
        ),
        None,
    )
    if chordal is not None and not roles & _CHORDAL:
        pattern = (
            "ballad"
            if "piano" in chordal.families
            else ("fingerpick" if "guitar" in chordal.families else ("hold" if chordal.sustained else "arpeggio"))
        )
        extra.append(Seat(Layer("comp", pattern, (chordal.name,), 0.0, 0.0, -2.0, 0.3, 57), chordal))
    return extra


def _choose(layer: Layer, exclude: tuple[str, ...], rng: random.Random) -> Instrument | None:
    usual = [name for name in layer.instruments if not is_excluded(name, exclude)]
    if usual:
        # The first is the most typical; it is chosen about half the time.
        index = 0 if len(usual) == 1 or rng.random() < 0.4 else rng.randrange(len(usual))
        return INSTRUMENTS[usual[index]]
    others = [name for name in _SUBSTITUTES[layer.role] if not is_excluded(name, exclude)]
    return INSTRUMENTS[others[0]] if others else None


def _with_foundation(seats: list[Seat], exclude: tuple[str, ...]) -> list[Seat]:
    """Something must play chords, however quiet the music is."""
    if any(seat.layer.role in _CHORDAL and seat.layer.enters <= 0.06 for seat in seats):
        return seats
    for index, seat in enumerate(seats):
        if seat.layer.role in _CHORDAL:
            seats[index] = Seat(replace(seat.layer, enters=0.0), seat.instrument)
            return seats
    for role in ("comp", "pad"):
        for name in _SUBSTITUTES[role]:
            if not is_excluded(name, exclude):
                pattern = "hold" if INSTRUMENTS[name].sustained else "ballad"
                return [*seats, Seat(Layer(role, pattern, (name,), 0.0, 0.0, -2.0, 0.3), INSTRUMENTS[name])]
    return seats
