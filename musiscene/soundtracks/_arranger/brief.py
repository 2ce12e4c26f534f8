"""The brief: what the arranger understood, shown to people and editable by them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from musiscene.errors import RequestError
from musiscene.soundtracks._arranger import theory
from musiscene.soundtracks._arranger.instruments import FAMILY_WORDS, INSTRUMENTS
from musiscene.soundtracks._arranger.piece import METERS

CURVES: dict[str, tuple[float, ...]] = {
    "steady": (1.0, 1.0),
    "build": (0.1, 0.3, 0.55, 0.8, 1.0),
    "fade": (1.0, 0.8, 0.55, 0.3, 0.08),
    "arch": (0.15, 0.6, 1.0, 0.6, 0.12),
    "valley": (1.0, 0.5, 0.12, 0.5, 1.0),
    "drop": (1.0, 1.0, 1.0, 0.12, 0.12, 0.12),
    "burst": (0.12, 0.15, 0.18, 1.0, 1.0, 1.0),
    "build and drop": (0.25, 0.5, 0.75, 0.2, 1.0, 1.0, 1.0),
}
"""Named shapes of energy over the whole length, 0 to 1."""

SLOWEST_BPM, FASTEST_BPM = 30.0, 260.0


@dataclass(frozen=True, slots=True)
class Brief:
    """What music to write. An empty text or tuple means that the arranger is free.

    Attributes:
        tempo_bpm: Beats per minute (dotted quarters in 6/8, 9/8 and 12/8).
        tempo_range: The slowest and fastest tempo that fit, for meeting the picture and the exact length.
        tempo_asked: The words gave a number.
        meter: A name of `METERS`; empty when the style decides.
        key: Tonic, such as "F#"; empty when the seed decides.
        mode: A name of `theory.MODES`.
        style: A name of `styles.STYLES`.
        feel: "half-time", "double-time", "swing" or empty.
        energy: 0 (barely there) to 1 (everything).
        energy_curve: Energy over the whole length, evenly spaced, 0 to 1; empty when nothing was asked.
        instruments: Names of `INSTRUMENTS`, or "drums".
        only: Nothing but `instruments` may play.
        exclude: Instruments or families that must not play.
        mood: Mood words that were understood.
        valence: -1 (sad, dark) to 1 (happy, bright).
        tension: 0 (at ease) to 1 (afraid, urgent).
        articulation: "legato", "staccato" or empty.
        region: A musical tradition ("japanese", "celtic" …) or empty.
        era: A time ("1980s", "medieval" …) or empty.
        scene: Scenes of the scene bank that were recognised.
        language: "en", or why the words were not read ("other", "none").
        remarks: What the reader should know, one sentence each.
    """

    tempo_bpm: float = 96.0
    tempo_range: tuple[float, float] = (84.0, 112.0)
    tempo_asked: bool = False
    meter: str = ""
    key: str = ""
    mode: str = "major"
    style: str = "orchestral"
    feel: str = ""
    energy: float = 0.5
    energy_curve: tuple[float, ...] = ()
    instruments: tuple[str, ...] = ()
    only: bool = False
    exclude: tuple[str, ...] = ()
    mood: tuple[str, ...] = ()
    valence: float = 0.1
    tension: float = 0.3
    articulation: str = ""
    region: str = ""
    era: str = ""
    scene: tuple[str, ...] = ()
    language: str = "en"
    remarks: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready: numbers, strings, booleans and lists."""
        document: dict[str, Any] = {}
        for part in fields(self):
            value = getattr(self, part.name)
            document[part.name] = list(value) if isinstance(value, tuple) else value
        return document

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Brief:
        """Read what `as_dict` wrote.

        Raises:
            RequestError: A field is unknown or does not hold what it should.
        """
        return cls().with_overrides(document)

    def with_overrides(self, overrides: Mapping[str, Any]) -> Brief:
        """Put the fields that a person edited in the place of those that were read.

        Raises:
            RequestError: A field is unknown or does not hold what it should.
        """
        changed = self
        for name, value in overrides.items():
            changed = replace(changed, **_checked(name, value, changed, overrides))
        return changed

    def sentence(self) -> str:
        """What will be written, in plain English."""
        from musiscene.soundtracks._arranger.styles import STYLES

        style = STYLES[self.style]
        feel = f" {self.feel}" if self.feel else ""
        about = "" if self.tempo_asked else "about "
        text = f"{style.title[0].upper()}{style.title[1:]} at {about}{self.tempo_bpm:.0f} BPM{feel}"
        text += f" in {self.meter or style.meter}, "
        mode = self.mode.replace("phrygian dominant", "Phrygian dominant")
        text += f"{self.key} {mode}" if self.key else f"in a {mode} key"
        text += f"; energy {self.energy * 100:.0f} %"
        if self.energy_curve:
            text += f", {describe_curve(self.energy_curve)}"
        text += "."
        if self.mood:
            text += f" Mood: {', '.join(self.mood[:5])}."
        if self.scene:
            text += f" Scene: {', '.join(self.scene[:2])}."
        if self.instruments:
            text += f" {'Only' if self.only else 'With'} {', '.join(self.instruments)}."
        if self.exclude:
            text += f" Without {', '.join(self.exclude)}."
        return " ".join([text, *self.remarks])


def describe_curve(curve: Sequence[float]) -> str:
    """A word or two for a curve of energy."""
    for name, shape in CURVES.items():
        if tuple(curve) == shape:
            return {"build": "building", "fade": "fading", "arch": "swelling and calming"}.get(name, name)
    first, last, low, high = curve[0], curve[-1], min(curve), max(curve)
    if high - low < 0.15:
        return "steady"
    if last - first > 0.3:
        return "building"
    if first - last > 0.3:
        return "fading"
    return "swelling and calming" if high - max(first, last) > 0.2 else "with a quiet middle"


def _checked(name: str, value: Any, brief: Brief, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that setting `name` to `value` changes."""
    if name in ("tempo_bpm",):
        tempo = _number(name, value, SLOWEST_BPM, FASTEST_BPM)
        changed: dict[str, Any] = {"tempo_bpm": tempo}
        if "tempo_range" not in overrides:
            changed |= {"tempo_range": (tempo, tempo), "tempo_asked": True}
        return changed
    if name == "tempo_range":
        ends = _list(name, value)
        if len(ends) != 2:
            raise RequestError(f"The brief's tempo_range must be two numbers, got {value!r}.")
        low, high = sorted(_number(name, end, SLOWEST_BPM, FASTEST_BPM) for end in ends)
        return {name: (low, high)}
    if name in ("energy", "tension"):
        return {name: _number(name, value, 0.0, 1.0)}
    if name == "valence":
        return {name: _number(name, value, -1.0, 1.0)}
    if name == "energy_curve":
        return {name: _curve(value)}
    if name in ("only", "tempo_asked"):
        if not isinstance(value, bool):
            raise RequestError(f"The brief's {name} must be true or false, got {value!r}.")
        return {name: value}
    if name in ("instruments", "exclude"):
        return {name: tuple(_instrument(name, item) for item in _list(name, value))}
    if name in ("mood", "scene", "remarks"):
        return {name: tuple(str(item)[:200] for item in _list(name, value))}
    if name == "key":
        return _key(value)
    known: dict[str, tuple[str, ...]] = {
        "meter": ("", *METERS),
        "mode": tuple(theory.MODES),
        "style": _style_names(),
        "feel": ("", "half-time", "double-time", "swing"),
        "articulation": ("", "legato", "staccato"),
    }
    if name in known:
        return {name: _choice(name, value, known[name])}
    if name in ("region", "era", "language"):
        return {name: str(value)[:40]}
    raise RequestError(f"The brief has no field {name!r}. Its fields: {', '.join(f.name for f in fields(Brief))}.")


def _style_names() -> tuple[str, ...]:
    from musiscene.soundtracks._arranger.styles import STYLES

    return tuple(STYLES)


def _number(name: str, value: Any, low: float, high: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(value, bool) or not low <= number <= high:
        raise RequestError(f"The brief's {name} must be a number from {low:g} to {high:g}, got {value!r}.")
    return number


def _list(name: str, value: Any) -> list[Any]:
    if isinstance(value, str):
        return [item.strip() for item in value.split(",") if item.strip()]
    if isinstance(value, (list, tuple)):
        return list(value)
    if value is None:
        return []
    raise RequestError(f"The brief's {name} must be a list, got {value!r}.")


def _curve(value: Any) -> tuple[float, ...]:
    if isinstance(value, str):
        if not value.strip():
            return ()
        if value in CURVES:
            return CURVES[value]
        if "," not in value:
            raise RequestError(f"The brief's energy_curve is one of {', '.join(CURVES)} or numbers, got {value!r}.")
    points = tuple(_number("energy_curve", point, 0.0, 1.0) for point in _list("energy_curve", value))
    if len(points) == 1 or len(points) > 1000:
        raise RequestError(f"The brief's energy_curve needs 2 to 1000 numbers, got {len(points)}.")
    return points


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    text = "" if value is None else str(value).strip().lower()
    text = {"ionian": "major", "aeolian": "minor"}.get(text, text)
    if text not in choices and text.replace(" ", "_") in choices:
        text = text.replace(" ", "_")
    if text not in choices:
        shown = ", ".join(choice or "(empty)" for choice in choices)
        raise RequestError(f"The brief's {name} cannot be {value!r}. Choose one of: {shown}.")
    return text


def _key(value: Any) -> dict[str, Any]:
    words = str(value or "").strip().split(maxsplit=1)
    if not words:
        return {"key": ""}
    try:
        theory.pitch_class(words[0])
    except ValueError:
        raise RequestError(f"The brief's key must be a note such as C, F# or Bb, got {value!r}.") from None
    tonic = words[0][0].upper() + words[0][1:].replace("♯", "#").replace("♭", "b")
    if len(words) == 2:
        return {"key": tonic, "mode": _choice("mode", words[1], tuple(theory.MODES))}
    return {"key": tonic}


def _instrument(name: str, value: Any) -> str:
    text = str(value).strip().lower()
    if text in INSTRUMENTS or text in FAMILY_WORDS:
        return text
    for instrument in INSTRUMENTS.values():
        if text in instrument.words:
            return instrument.name
    for family, words in FAMILY_WORDS.items():
        if text in words:
            return family
    raise RequestError(
        f"The brief's {name} do not know {value!r}. Try piano, strings, acoustic guitar, flute or drums."
    )
