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
    if found.kind.name != kinds.MUSIC:
        return _not_music(found, Voice(found, seed))
    voice = Voice(found, seed)
    first = f"{_article(_opening(found, voice))} {_tempo_and_key(found)}: {_sound(found, voice)}."
    return f"{first} {_development(found, voice)}"


def _opening(found: Analysis, voice: Voice) -> str:
    """As in "steady, full-bodied track"."""
    mood = voice.pick("mood", WORDS[found.mood.name])
    thickness = {
        "solo": voice.pick("solo", ("single-voiced", "solo", "bare, single-line")),
        "sparse": voice.pick("sparse", ("sparse", "lightly scored", "uncluttered")),
        "full": voice.pick("full", ("full", "densely layered", "full-bodied", "rich")),
    }[found.character.texture]
    tempo = f"{pace(found.beats.tempo_bpm)}, " if found.beats and _sure(found) else ""
    noun = voice.pick("noun", ("piece", "track", "piece of music"))
    return f"{tempo}{mood}, {thickness} {noun}"


def _tempo_and_key(found: Analysis) -> str:
    """As in "in A minor at about 120 BPM", with how sure each is."""
    parts = []
    key = found.key
    if key is None or key.confidence < 0.12:
        parts.append("with no clear key")
    elif key.confidence >= 0.7:
        parts.append(f"in {key.name}")
    elif key.confidence >= 0.4:
        parts.append(f"probably in {key.name}")
    else:
        parts.append(f"perhaps in {key.name}")
    if found.beats is None:
        parts.append("without a clear beat")
    else:
        sure = tempo_confidence(found)
        bpm = round(found.beats.tempo_bpm)
        about = "at about" if sure >= 0.45 else "at roughly" if sure >= 0.2 else "at perhaps"
        meter = ", three beats to the bar" if found.beats.meter == 3 else ""
        parts.append(f"{about} {bpm} BPM{meter}")
    return " ".join(parts) if found.beats else f"{parts[0]} and {parts[1]}"


def _sound(found: Analysis, voice: Voice) -> str:
    """As in "percussive attacks over a strong, steady pulse, with busy movement in a bright, high-lying sound"."""
    character, beats = found.character, found.beats
    if beats is None:
        rhythm = voice.pick("free", ("free-floating phrases", "unmeasured phrases", "phrases that float freely"))
    else:
        weight = "strong" if beats.strength > 0.6 else "clear" if beats.strength > 0.35 else "soft"
        even = (
            "steady" if beats.steadiness > 0.8 else "slightly flexible" if beats.steadiness > 0.5 else "freely bending"
        )
        rhythm = f"a {weight}, {even} pulse" if _sure(found) else "a pulse that is hard to pin down"
    if character.percussive_share > 0.4:
        attack = voice.pick("struck", ("percussive attacks", "mostly struck, short sounds", "a percussive surface"))
    elif character.percussive_share > 0.12:
        attack = voice.pick("mixed", ("a mix of struck and sustained sounds", "struck and held sounds side by side"))
    else:
        attack = voice.pick("held", ("mostly sustained sounds", "long, held sounds", "notes that ring on"))
    light = _word(character.brightness_hz, ((800, "dark"), (1300, "warm"), (1900, "clear"), (9e9, "bright")))
    pitch = {"low": "low-lying", "middle": "mid-range", "high": "high-lying"}[character.register]
    busy = _word(
        character.onset_density_hz,
        ((1.2, "few events"), (2.6, "unhurried movement"), (5.0, "busy movement"), (9e9, "very dense movement")),
    )
    article = _article(light).split()[0].lower()
    return voice.pick(
        "sound",
        (
            f"{rhythm}, {attack} and {busy} in {article} {light}, {pitch} sound",
            f"{attack} over {rhythm}, with {busy} in {article} {light}, {pitch} sound",
            f"{light}, {pitch} colours, {attack}, {rhythm} and {busy}",
            f"{rhythm} under {attack}, {light} and {pitch}, with {busy}",
        ),
    )


def _word(value: float, steps: Sequence[tuple[float, str]]) -> str:
    """The word of the first step that `value` lies below."""
    return next(word for limit, word in steps if value < limit)


def _development(found: Analysis, voice: Voice) -> str:
    """How its level moves, as in "It builds towards its end, with a wide dynamic range (-18 LUFS)."."""
    spread = _word(
        found.character.loudness_range_lu,
        (
            (3.0, voice.pick("even", ("an even level", "hardly any change of level", "a level that stays even"))),
            (8.0, voice.pick("some", ("moderate dynamics", "some rise and fall in level"))),
            (9e9, voice.pick("wide", ("a wide dynamic range", "quiet and loud far apart"))),
        ),
    )
    loud = f" ({found.loudness_lufs:.0f} LUFS)" if isfinite(found.loudness_lufs) else ""
    return f"{voice.pick('it', ('It', 'The music'))} {_shape(found, voice)}, with {spread}{loud}."


def _shape(found: Analysis, voice: Voice) -> str:
    """What the level does over time; thirds of the energy curve compared."""
    curve = found.character.energy
    if curve.size < 6:
        return "is only a moment long"
    start, middle, end = (
        float(part.mean())
        for part in (curve[: curve.size // 3], curve[curve.size // 3 : -(curve.size // 3)], curve[-(curve.size // 3) :])
    )
    if end - start > 0.12:
        return "builds towards its end"
    if start - end > 0.12:
        return "fades towards its end"
    if middle - max(start, end) > 0.1:
        return "swells and recedes"
    if min(start, end) - middle > 0.1:
        return "draws back in its middle"
    return voice.pick(
        "constant", ("keeps its energy throughout", "holds its energy to the end", "stays at one intensity")
    )


def _not_music(found: Analysis, voice: Voice) -> str:
    """What is said of silence, noise, speech and a drone."""
    seconds = found.analysed_s
    level = f" ({found.loudness_lufs:.0f} LUFS)" if isfinite(found.loudness_lufs) else ""
    probably = "probably " if found.kind.confidence < 0.75 else ""
    if found.kind.name == kinds.SILENCE:
        return f"The track is silent: nothing can be heard in the {seconds:.1f} seconds that were listened to{level}."
    if found.kind.name == kinds.SPEECH:
        return (
            f"The sound is {probably}speech, not music: syllables without a steady beat or a key"
            f"{level}, {_shape_words(found)}."
        )
    if found.kind.name == kinds.NOISE:
        light = (
            "bright"
            if found.character.brightness_hz > 2200
            else "dull"
            if found.character.brightness_hz < 1100
            else "broad"
        )
        return f"The sound is {probably}noise, not music: a {light}, unpitched rush without a beat or a key{level}."
    pitch = f" around {found.key.name.split()[0]}" if found.key else ""
    held = f"one held sound that {_shape(found, voice)}{level}, so no tempo can be given"
    return f"A sustained drone{pitch} without a beat: {held}."


def _shape_words(found: Analysis) -> str:
    return "with long pauses" if found.character.sounding_share < 0.6 else "with few pauses"


def _article(words: str) -> str:
    return f"{'An' if words[0].lower() in 'aeiou' else 'A'} {words}"
