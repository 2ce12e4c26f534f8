"""Music Scene Imagination: the scene that a sound suits, from the sound alone."""

from __future__ import annotations

from math import isfinite
from typing import Any

from musiscene.captions._music import kind as kinds
from musiscene.captions._music.analysis import Analysis, tempo_confidence
from musiscene.captions._music.words import fingerprint, pace, rush
from musiscene.errors import MissingStreamError
from musiscene.scenes import Scene, nearest


def imagine(found: Analysis, seed: int) -> list[tuple[Scene, float]]:
    """The scenes that suit the sound, best first, with their fit.

    Raises:
        MissingStreamError: The sound is silence: there is nothing to imagine a scene from.
    """
    if found.kind.name == kinds.SILENCE:
        raise MissingStreamError(
            "The sound is silent, so no scene can be imagined from it. Add a music track, or use a clip with sound."
        )
    return nearest(
        arousal=found.mood.arousal,
        valence=found.mood.valence,
        tension=found.mood.tension,
        tempo_bpm=found.beats.tempo_bpm if found.beats else None,
        texture=found.character.fullness,
        mode=found.key.mode if found.key and found.key.confidence > 0.5 else None,
        seed=f"{seed}/{fingerprint(found)}",
        limit=4,
    )


def msi_sentences(found: Analysis, scenes: list[tuple[Scene, float]]) -> str:
    """The MSI caption, in the paper's form; of what is no music it says so, and how little the scene rests on."""
    best, second = scenes[0][0], scenes[1][0]
    if found.kind.name == kinds.MUSIC:
        return f"{best.sentence} {_why(found)} would also suit {second.setting}."
    level = f" at {found.loudness_lufs:.0f} LUFS" if isfinite(found.loudness_lufs) else ""
    centre = f"{found.character.brightness_hz / 1000:.1f} kHz"
    what, basis = {
        kinds.NOISE: (
            f"This is noise rather than music, {rush(found)}{level} centred near {centre}",
            "energy and colour",
        ),
        kinds.SPEECH: (f"This is speech rather than music{level}, centred near {centre}", "pace and colour"),
    }.get(found.kind.name, (f"This is one held sound without a beat{level}, centred near {centre}", "colour"))
    scene = f"{best.setting}, where {best.action}, with a feeling of {best.feeling}"
    return f"{what}. From its {basis} alone, the nearest scene is {scene}."


def _why(found: Analysis) -> str:
    sure = tempo_confidence(found) >= 0.2
    tempo = "free, beatless flow"
    if found.beats:
        tempo = f"{pace(found.beats.tempo_bpm)} pulse" if sure else "loose pulse"
    colour = f"{found.key.name} colour" if found.key and found.key.confidence > 0.4 else "open harmony"
    return f"Its {tempo} and {colour}"


def msi_evidence(found: Analysis, scenes: list[tuple[Scene, float]]) -> dict[str, Any]:
    """Which scene was chosen, how well it fits, and what else was near; JSON-ready."""
    best, fit = scenes[0]
    return {
        "scene_id": best.id,
        "fit": round(fit, 3),
        "setting": best.setting,
        "action": best.action,
        "feeling": best.feeling,
        "styles": list(best.styles),
        "alternatives": [
            {"scene_id": one.id, "setting": one.setting, "feeling": one.feeling, "fit": round(score, 3)}
            for one, score in scenes[1:]
        ],
    }
