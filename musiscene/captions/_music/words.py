"""From measurements to one or two sentences of English. Nothing is named that was not measured."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from math import isfinite

from musiscene.captions._music import kind as kinds
from musiscene.captions._music.analysis import Analysis, tempo_confidence
from musiscene.captions._music.mood import WORDS

_PACES = ((66, "very slow"), (84, "slow"), (104, "mid-tempo"), (126, "brisk"), (152, "fast"), (999, "very fast"))


class Voice:
    """Chooses among wordings: the same facts and seed choose the same words."""

    def __init__(self, found: Analysis, seed: int) -> None:
        self._salt = f"{seed}/{fingerprint(found)}"

    def pick(self, topic: str, choices: Sequence[str]) -> str:
        """One of `choices`."""
        return choices[zlib.crc32(f"{self._salt}/{topic}".encode()) % len(choices)]


def fingerprint(found: Analysis) -> str:
    """What stays the same when the same music is encoded anew, and differs between most pieces: the key."""
    return found.key.name if found.key else "no key"


def pace(tempo_bpm: float) -> str:
    """Word for a tempo."""
    return next(word for limit, word in _PACES if tempo_bpm < limit)


def _sure(found: Analysis) -> bool:
    """Whether the tempo is sure enough to call the music slow or fast, and its pulse steady."""
    return tempo_confidence(found) >= 0.2


def music_sentences(found: Analysis, seed: int) -> str:
    """The MUSIC caption."""
    voice = Voice(found, seed)
    if found.kind.name != kinds.MUSIC:
        return _not_music(found, voice)
    return f"{_first(found, voice)} {_second(found, voice)}"


def _first(found: Analysis, voice: Voice) -> str:
    """As in "A brisk, brooding track in E minor at about 110 BPM, densely layered over a clear, steady pulse."."""
    mood = voice.pick("mood", WORDS[found.mood.name])
    tempo = _felt_pace(found)
    noun = voice.pick("noun", ("piece", "track", "piece of music"))
    scoring = {
        "solo": ("a single line", "bare and single-voiced", "little more than one voice"),
        "sparse": ("lightly scored", "sparse", "thinly scored"),
        "full": ("densely layered", "full-bodied", "rich and full", "thickly scored"),
    }[found.character.texture]
    scored = voice.pick("texture", scoring)
    opening = f"{_article(f'{tempo}{mood}')} {noun} {_key(found)}"
    beats = found.beats
    if beats is None:
        free = voice.pick("free", ("free in its phrasing", "without a pulse to follow", "unmeasured"))
        return f"{opening}, without a clear beat: {scored} and {free}."
    sure = tempo_confidence(found)
    meter = ", three beats to the bar" if beats.meter == 3 else ""
    if not _sure(found):
        vague = f"with a pulse that is hard to pin down, perhaps at {round(beats.tempo_bpm)} BPM"
        return f"{opening}, {scored}, {vague}{meter}."
    about = "at about" if sure >= 0.45 else "at roughly"
    weight = "strong" if beats.strength > 0.6 else "clear" if beats.strength > 0.35 else "soft"
    even = "steady" if beats.steadiness > 0.8 else "slightly flexible" if beats.steadiness > 0.5 else "freely bending"
    over = voice.pick("over", ("over", "on"))
    return f"{opening} {about} {round(beats.tempo_bpm)} BPM{meter}, {scored} {over} a {weight}, {even} pulse."


def _felt_pace(found: Analysis) -> str:
    """As in "brisk, "; empty where the tempo is unsure, or where the music feels otherwise than its beats count."""
    if found.beats is None or not _sure(found):
        return ""
    tempo, arousal = found.beats.tempo_bpm, found.mood.arousal
    return "" if (tempo >= 104 and arousal < -0.2) or (tempo < 84 and arousal > 0.3) else f"{pace(tempo)}, "


def _key(found: Analysis) -> str:
    """The key with how sure it is."""
    key = found.key
    if key is None or key.confidence < 0.12:
        return "in no clear key"
    return f"in {key.name}" if key.confidence >= 0.7 else f"{_perhaps(key.confidence)} in {key.name}"


def _perhaps(confidence: float) -> str:
    return "probably" if confidence >= 0.4 else "perhaps"


def _second(found: Analysis, voice: Voice) -> str:
    """What it sounds like, and its course."""
    character = found.character
    light = _word(character.brightness_hz, ((800, "dark"), (1300, "warm"), (1900, "clear"), (9e9, "bright")))
    pitch = {"low": "low", "middle": "mid-range", "high": "high"}[character.register]
    struck = character.percussive_share
    if struck > 0.4:
        subject = voice.pick("struck", ("mostly struck, short sounds", "percussive sounds", "short, percussive sounds"))
    elif struck > 0.12:
        subject = voice.pick("mixed", ("struck and sustained sounds", "sounds both struck and held"))
    else:
        subject = voice.pick("held", ("mostly sustained sounds", "long, sustained sounds", "ringing, sustained sounds"))
    step = sum(character.onset_density_hz >= limit for limit in (1.2, 2.6, 5.0))
    moves, moving = (
        ("change rarely", "few events"),
        ("move without hurry", "unhurried movement"),
        ("move busily", "busy movement"),
        ("crowd close together", "very dense movement"),
    )[step]
    course = _course(found, voice)
    return voice.pick(
        "sound",
        (
            f"{subject.capitalize()} {moves} in {_article(light).lower()}, {pitch} register; {course}.",
            f"The sound is {light} and {pitch}, made of {subject} with {moving}; {course}.",
            f"{light.capitalize()}, {pitch} colours carry {subject} and {moving}; {course}.",
        ),
    )


def _word(value: float, steps: Sequence[tuple[float, str]]) -> str:
    """The word of the first step that `value` lies below."""
    return next(word for limit, word in steps if value < limit)


def _course(found: Analysis, voice: Voice) -> str:
    """How its level moves, as in "it builds towards its end, with quiet and loud far apart (-18 LUFS)"."""
    spread = found.character.loudness_range_lu
    loud = f" ({found.loudness_lufs:.0f} LUFS)" if isfinite(found.loudness_lufs) else ""
    shape = _shape(found)
    if not shape:
        whole = (
            voice.pick("even", ("the level stays even throughout", "it holds one level to the end"))
            if spread < 3.0
            else voice.pick(
                "some", ("its level rises and falls a little", "it keeps its energy, with moderate dynamics")
            )
            if spread < 8.0
            else voice.pick("wide", ("quiet and loud alternate, far apart", "it ranges widely between quiet and loud"))
        )
        return f"{whole}{loud}"
    if spread >= 8.0:
        shape = {"builds": "builds from quiet to loud", "fades": "fades from loud to quiet"}.get(
            shape.split()[0], shape
        )
    return f"it {shape}{loud}"


def _shape(found: Analysis) -> str:
    """What the level does over time, thirds of the energy curve compared; empty when it keeps its place."""
    curve = found.character.energy
    if curve.size < 6:
        return "is only a moment long"
    third = curve.size // 3
    start, middle, end = (float(part.mean()) for part in (curve[:third], curve[third:-third], curve[-third:]))
    if end - start > 0.12:
        return "builds towards its end"
    if start - end > 0.12:
        return "fades towards its end"
    if middle - max(start, end) > 0.1:
        return "swells and recedes"
    if min(start, end) - middle > 0.1:
        return "draws back in its middle"
    return ""


def _not_music(found: Analysis, voice: Voice) -> str:
    """What is said of silence, noise, speech and a drone."""
    seconds = found.analysed_s
    level = f" ({found.loudness_lufs:.0f} LUFS)" if isfinite(found.loudness_lufs) else ""
    probably = "probably " if found.kind.confidence < 0.75 else ""
    if found.kind.name == kinds.SILENCE:
        return f"The track is silent: nothing can be heard in the {seconds:.1f} seconds that were listened to{level}."
    if found.kind.name == kinds.SPEECH:
        return (
            f"The sound is {probably}speech, not music: syllables without a steady beat or a key, "
            f"{_shape_words(found)}{level}."
        )
    if found.kind.name == kinds.NOISE:
        return f"The sound is {probably}noise, not music: {rush(found)} without a beat or a key{level}."
    pitch = f" around {found.key.name.split()[0]}" if found.key else ""
    held = f"one held sound that {_shape(found) or 'stays as it is'}{level}, so no tempo can be given"
    return f"A sustained drone{pitch} without a beat: {held}."


def rush(found: Analysis) -> str:
    """What a noise is like, as in "a bright, unpitched rush"."""
    light = _word(found.character.brightness_hz, ((1100, "dull"), (2200, "broad"), (9e9, "bright")))
    return f"a {light}, unpitched rush"


def _shape_words(found: Analysis) -> str:
    return "with long pauses" if found.character.sounding_share < 0.6 else "with few pauses"


def _article(words: str) -> str:
    return f"{'An' if words[0].lower() in 'aeiou' else 'A'} {words}"
