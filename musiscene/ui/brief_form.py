"""The arranger's reading of a caption as a few fields that a person can overrule."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from musiscene.errors import MusisceneError

FREE = ""
"""Value of a choice that is left to the arranger."""

_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@lru_cache(maxsize=512)
def _read(text: str) -> tuple[str, tuple[dict[str, Any], ...]]:
    # Reading takes milliseconds, and a view is made many times a second while work goes on.
    from musiscene.soundtracks._arranger.piece import METERS
    from musiscene.soundtracks._arranger.reading import known_modes
    from musiscene.soundtracks._arranger.styles import STYLES
    from musiscene.soundtracks.sketch import read_brief

    brief = read_brief(text)
    free = [[FREE, "free"]]
    fields: tuple[dict[str, Any], ...] = (
        {"name": "tempo_bpm", "value": round(brief.tempo_bpm), "min": 40, "max": 220, "step": 1},
        {"name": "key", "value": brief.key, "choices": free + [[tonic, tonic] for tonic in _TONICS]},
        {"name": "mode", "value": brief.mode, "choices": [[mode, mode] for mode in known_modes()]},
        {"name": "style", "value": brief.style, "choices": [[name, STYLES[name].title] for name in STYLES]},
        {"name": "meter", "value": brief.meter, "choices": free + [[meter, meter] for meter in METERS]},
        {"name": "energy", "value": round(brief.energy, 2), "min": 0, "max": 1, "step": 0.05},
    )
    return brief.sentence(), fields


def brief_form(text: str, labels: dict[str, str]) -> dict[str, Any]:
    """What the arranger understands of `text`: a "sentence", and "fields" with name, label, value and limits.

    A value that is none of the offered choices (a rare key, say) is offered as well.
    """
    try:
        sentence, fields = _read(text)
    except MusisceneError as error:
        return {"sentence": str(error), "fields": []}
    shown = []
    for field in fields:
        field = {**field, "label": labels.get(field["name"], field["name"])}
        choices = field.get("choices")
        if choices is not None and field["value"] not in [choice[0] for choice in choices]:
            field["choices"] = [[field["value"], str(field["value"])], *choices]
        shown.append(field)
    return {"sentence": sentence, "fields": shown}
