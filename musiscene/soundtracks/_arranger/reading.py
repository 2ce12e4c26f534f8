"""Reads words into a brief."""

from __future__ import annotations

import re

from musiscene.soundtracks._arranger.brief import Brief


def read_brief(text: str) -> Brief:
    """What music the words ask for."""
    match = re.search(r"(\d{2,3})\s*bpm", text.lower())
    if match:
        tempo = float(match.group(1))
        return Brief(tempo_bpm=tempo, tempo_range=(tempo, tempo), tempo_asked=True)
    return Brief()
