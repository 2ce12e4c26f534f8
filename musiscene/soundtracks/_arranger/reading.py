"""Reads words into a brief: whatever a caption or a person says, something sensible is written."""

from __future__ import annotations

import math
import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from musiscene.soundtracks._arranger import theory
from musiscene.soundtracks._arranger.brief import FASTEST_BPM, SLOWEST_BPM, Brief
from musiscene.soundtracks._arranger.instruments import DRUMS, FAMILY_WORDS, INSTRUMENTS
from musiscene.soundtracks._arranger.language import foreign_language
from musiscene.soundtracks._arranger.leave_outs import Wishes, instrument_pattern, read_wishes
from musiscene.soundtracks._arranger.reading_curve import read_curve
from musiscene.soundtracks._arranger.reading_key import read_key
from musiscene.soundtracks._arranger.reading_pace import Pace, read_pace
from musiscene.soundtracks._arranger.spelling import corrected
from musiscene.soundtracks._arranger.styles import STYLES, Style
from musiscene.soundtracks._arranger.words import (
    ERA_STYLES,
    ERA_WORDS,
    INTENSIFIERS,
    MOODS,
    REGION_WORDS,
    SCENIC,
    SOFTENERS,
    STYLE_WORDS,
    Feeling,
)

if TYPE_CHECKING:
    from musiscene.scenes import Scene

MOST_CHARACTERS = 8000
"""What a person writes beyond this is not read."""


class _Feelings(NamedTuple):
    words: tuple[str, ...]
    valence: float
    arousal: float
    tension: float
    weight: float


def read_brief(text: str) -> Brief:
    """What music the words ask for. Any text gives a brief; nothing is raised."""
    shown = unicodedata.normalize("NFKC", text[:MOST_CHARACTERS]).replace("’", "'").replace("‑", "-")
    remarks = []
    if len(text) > MOST_CHARACTERS:
        remarks.append(f"Only the first {MOST_CHARACTERS} characters were read.")
    if not re.search(r"[^\W_]", shown):
        return Brief(language="none", remarks=("There are no words to read, so the music is neutral.",))
    language = foreign_language(shown)
    if language is not None:
        return _neutral(shown, language, remarks)
    plain = corrected(re.sub(r"\s+", " ", shown.lower()))
    wishes = read_wishes(plain)
    pace = read_pace(plain, wishes.negated)
    if pace.remark:
        remarks.append(pace.remark)
    key, mode = read_key(shown)
    scenes = _scenes(plain, wishes)
    feelings = _feelings(plain, wishes.negated, scenes)
    curve = read_curve(plain)
    region = _first(plain, REGION_WORDS, wishes.negated)
    era = _first(plain, ERA_WORDS, wishes.negated)
    style = _style(plain, wishes, feelings, scenes, era, region, pace)
    if not mode:
        mode = "major" if key and feelings.valence > -0.3 else _mode(style, feelings, scenes, region)
    tempo, low, high, asked = _tempo(style, pace, feelings, scenes)
    return Brief(
        tempo_bpm=round(tempo, 2),
        tempo_range=(round(low, 2), round(high, 2)),
        tempo_asked=asked,
        meter=pace.meter,
        key=key,
        mode=mode,
        style=style.name,
        feel=pace.feel,
        energy=round(_energy(style, feelings, plain), 2),
        energy_curve=curve,
        instruments=wishes.instruments,
        only=wishes.only,
        exclude=wishes.exclude,
        mood=feelings.words,
        valence=round(feelings.valence, 2),
        tension=round(feelings.tension, 2),
        articulation=_articulation(plain),
        region=region,
        era=era,
        scene=tuple(setting for setting, score, _ in scenes[:1] if score > 0.45),
        remarks=tuple(remarks),
    )


def _neutral(text: str, language: str, remarks: list[str]) -> Brief:
    """For another language: numbers are the same in all, so a tempo in BPM is kept."""
    pace = read_pace(text.lower(), [])
    remark = f"The words seem to be {language}; only English is read, so the music is neutral."
    brief = Brief(language="other", remarks=(*remarks, remark))
    return brief.with_overrides({"tempo_bpm": pace.bpm}) if pace.bpm is not None else brief


def _scenes(text: str, wishes: Wishes) -> list[tuple[str, float, Scene]]:
    """Scenes that the words speak of, with how sure that is: (setting, score, scene).

    Words that speak of music itself are taken out first: "folk tune" is a style and no place.
    """
    from musiscene import scenes

    left = list(text)
    for start, end in wishes.negated:
        left[start:end] = " " * (end - start)
    rest = "".join(left)
    for pattern in (_style_patterns()[0], _mood_pattern(), instrument_pattern()):
        rest = pattern.sub(lambda match: match[0] if match[0] in SCENIC else " ", rest)
    rest = re.sub(
        r"\d+\S*|\b(?:hundred|tempo|beat|beats|bpm|minor|major|fades?|builds?|play\w*|videos?|movies?|"
        r"films?|scenes? of|demonstrat\w*|described)\b",
        " ",
        rest,
    )
    return [(scene.setting, score, scene) for scene, score in scenes.find(rest, limit=3)]


@cache
def _mood_pattern() -> re.Pattern[str]:
    return re.compile(
        r"(?<![\w-])(" + "|".join(sorted(map(re.escape, MOODS), key=len, reverse=True)) + r")(?:ly|ness)?(?![\w])"
    )


def _feelings(text: str, negated: list[tuple[int, int]], scenes: list[tuple[str, float, Scene]]) -> _Feelings:
    """The average of the moods that are named; a mood that is denied counts the other way."""
    total = [0.0, 0.0, 0.0]
    weight_sum = 0.0
    named: list[str] = []
    for match in _mood_pattern().finditer(text):
        valence, arousal, tension = MOODS[match[1]]
        before = re.split(r"[,.;:]|\bbut\b", text[max(0, match.start() - 30) : match.start()])[-1].split()[-3:]
        weight = 1.0
        if before and before[-1] in INTENSIFIERS:
            weight = 1.5
        elif before and before[-1] in SOFTENERS:
            weight = 0.5
        denied = any(start <= match.start() < end for start, end in negated) or any(
            word.strip(",") in ("not", "never", "isn't", "hardly", "less", "non", "neither", "nor") for word in before
        )
        if denied:
            valence, arousal, tension, weight = -0.6 * valence, 0.5 + 0.6 * (0.5 - arousal), 0.4 * (1 - tension), 0.6
        elif match[1] not in named:
            named.append(match[1])
        total = [total[0] + weight * valence, total[1] + weight * arousal, total[2] + weight * tension]
        weight_sum += weight
    for _, score, scene in scenes[:1]:
        weight = 1.2 * score if score > 0.45 else 0.4 * score
        felt: Feeling = (scene.valence, (scene.arousal + 1) / 2, (scene.tension + 1) / 2)
        total = [value + weight * part for value, part in zip(total, felt, strict=True)]
        weight_sum += weight
    if weight_sum == 0.0:
        return _Feelings((), 0.1, 0.45, 0.2, 0.0)
    valence, arousal, tension = (value / weight_sum for value in total)
    return _Feelings(tuple(named[:8]), valence, arousal, tension, weight_sum)


@cache
def _style_patterns() -> tuple[re.Pattern[str], dict[str, list[tuple[str, float]]]]:
    votes: dict[str, list[tuple[str, float]]] = {}
    for style, words in STYLE_WORDS.items():
        for word, weight in words:
            votes.setdefault(word, []).append((style, weight))
    pattern = "|".join(sorted(map(re.escape, votes), key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{pattern})(?![\w])"), votes


def _style(
    text: str,
    wishes: Wishes,
    feelings: _Feelings,
    scenes: list[tuple[str, float, Scene]],
    era: str,
    region: str,
    pace: Pace,
) -> Style:
    """The style with the most votes: words count most, then scenes, time and place, then what the feeling suits."""
    pattern, votes = _style_patterns()
    scores = dict.fromkeys(STYLES, 0.0)
    seen: set[str] = set()
    for match in pattern.finditer(text):
        word = match[0]
        if word in seen:
            continue
        seen.add(word)
        sign = 1.0
        if any(start <= match.start() < end for start, end in wishes.negated):
            sign = -3.0
        after = text[match.end() : match.end() + 14]
        if re.match(r"[ -](?:influence|element|touch|tinge|inspired|hint|flavou?r)", after):
            sign *= 0.7
        for style, weight in votes[word]:
            # What is named first is meant most.
            scores[style] += sign * weight * (1.0 - 0.25 * min(1.0, match.start() / max(200.0, len(text))))
    for _, score, scene in scenes[:2]:
        for rank, name in enumerate(scene.styles[:3]):
            if name in scores:
                scores[name] += max(0.0, score - 0.25) * (2.2, 1.3, 0.8)[rank]
    if era:
        for style, weight in ERA_STYLES[era].items():
            scores[style] += weight
    if region:
        scores[
            "world"
            if region not in ("celtic", "french", "spanish", "russian", "hawaiian", "caribbean")
            else {
                "celtic": "folk",
                "french": "waltz",
                "spanish": "latin",
                "russian": "folk",
                "hawaiian": "folk",
                "caribbean": "reggae",
            }[region]
        ] += 1.6
    if pace.meter == "3/4":
        scores["waltz"] += 0.8
    for name in wishes.instruments:
        for one in STYLES.values():
            if any(name in layer.instruments for layer in one.layers if layer.role in ("melody", "comp")):
                scores[one.name] += 0.18
    if wishes.only and wishes.instruments == ("piano",):
        scores["piano_ballad"] += 2.0
    pace_bpm = pace.bpm or (((pace.low or 0) + (pace.high or 0)) / 2 or None)
    for one in STYLES.values():
        far = math.dist(
            (feelings.valence / 2, feelings.arousal, feelings.tension),
            (one.valence / 2, one.arousal, one.tension),
        )
        scores[one.name] -= 1.6 * min(1.0, 0.3 + feelings.weight / 2) * far
        if one.name in _GENERAL:
            scores[one.name] += 0.6
        if pace_bpm is not None:
            outside = max(0.0, one.tempo[0] / pace_bpm - 1.08, pace_bpm / one.tempo[1] - 1.08)
            scores[one.name] -= min(0.8, 1.5 * outside)
        if DRUMS in wishes.exclude and one.groove in ("house", "trailer", "rock", "metal", "hip-hop"):
            scores[one.name] -= 0.5
    return STYLES[max(scores, key=lambda name: (round(scores[name], 6), name))]


_MINOR_BY_HABIT = frozenset({"electronic_dance", "synthwave", "hiphop", "funk", "latin"})
"""Styles that are mostly in minor, cheerful ones included; only plain happiness makes them major."""

_GENERAL = frozenset({"orchestral", "piano_ballad", "pop", "ambient", "folk", "trailer"})
"""Styles that suit a text that names none."""


def _mode(style: Style, feelings: _Feelings, scenes: list[tuple[str, float, Scene]], region: str) -> str:
    if region == "middle eastern":
        return "phrygian dominant"
    if region == "spanish":
        return "harmonic minor"
    lean = feelings.valence - 0.5 * max(0.0, feelings.tension - 0.5)
    if feelings.weight < 0.5:
        lean = min(0.3, style.valence)
    if scenes and scenes[0][1] > 0.5:
        lean += {"minor": -0.2, "major": 0.15}.get(scenes[0][2].mode, 0.0)
    if style.valence < -0.2 and feelings.valence < 0.55:
        return style.modes[1]
    needed = 0.45 if style.name in _MINOR_BY_HABIT else 0.02
    return style.modes[0] if lean > needed else style.modes[1]


def _tempo(
    style: Style, pace: Pace, feelings: _Feelings, scenes: list[tuple[str, float, Scene]]
) -> tuple[float, float, float, bool]:
    """Tempo, the range it may be in, and whether a number was asked."""
    if pace.bpm is not None:
        return pace.bpm, pace.bpm, pace.bpm, True
    if pace.low is not None and pace.high is not None:
        low, high = pace.low, pace.high
        shared_low, shared_high = max(low, style.tempo[0]), min(high, style.tempo[1])
        if shared_high - shared_low >= 4.0:
            low, high = shared_low, shared_high
        return (low + high) / 2, low, high, False
    low, high = style.tempo
    # Feeling chooses within what the style allows; a scene that is certain may narrow it.
    arousal = feelings.arousal if feelings.weight > 0 else style.arousal
    tempo = low + (high - low) * min(1.0, max(0.0, 0.5 + 0.9 * (arousal - style.arousal)))
    if scenes and scenes[0][1] > 0.5:
        wish_low, wish_high = scenes[0][2].tempo_bpm
        tempo = min(high, max(low, 0.5 * tempo + 0.25 * (wish_low + wish_high)))
    tempo = min(FASTEST_BPM, max(SLOWEST_BPM, tempo))
    return tempo, max(low, tempo * 0.92), min(high * 1.04, tempo * 1.08), False


def _energy(style: Style, feelings: _Feelings, text: str) -> float:
    share = min(0.85, 0.35 + 0.3 * feelings.weight) if feelings.weight else 0.0
    energy = share * feelings.arousal + (1 - share) * (0.25 + 0.6 * style.arousal)
    if re.search(r"\b(?:minimal|sparse|simple|understated|subtle|background)\b", text):
        energy -= 0.08
    if re.search(r"\b(?:full|lush|rich|dense|huge|wall of sound|all out)\b", text):
        energy += 0.1
    return min(0.97, max(0.12, energy))


def _articulation(text: str) -> str:
    if re.search(r"\b(?:legato|flowing|sustained|smooth|lyrical|singing line)\b", text):
        return "legato"
    if re.search(r"\b(?:staccato|short notes|plucky|choppy|pointed|spiky|bouncy|pizzicato)\b", text):
        return "staccato"
    return ""


def _first(text: str, table: dict[str, list[str]], negated: list[tuple[int, int]]) -> str:
    """The entry of `table` whose words come first in the text; empty when none does."""
    best: tuple[int, str] | None = None
    for name, words in table.items():
        for word in words:
            match = re.search(rf"(?<![\w-]){re.escape(word)}(?![\w])", text)
            if (
                match
                and not any(start <= match.start() < end for start, end in negated)
                and (best is None or match.start() < best[0])
            ):
                best = (match.start(), name)
    return best[1] if best else ""


def known_instruments() -> dict[str, tuple[str, ...]]:
    """For the page: every instrument and family that can be asked for or left out, with its words."""
    return {**{name: one.words for name, one in INSTRUMENTS.items()}, **FAMILY_WORDS}


def known_modes() -> tuple[str, ...]:
    """For the page: the modes."""
    return tuple(theory.MODES)
