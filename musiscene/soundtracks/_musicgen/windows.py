"""Music longer than the model's 30 seconds: windows that go on from the end of the one before."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from musiscene.errors import RequestError

WINDOW_S = 30.0
"""What the model was trained on; its positions are meaningless beyond."""

OVERLAP_S = 10.0
"""How much of the music so far a window goes on from."""


@dataclass(frozen=True, slots=True)
class Window:
    """Frames `known` to `end` are written, going on from `start` to `known`; all count from the beginning."""

    start: int
    known: int
    end: int


def windows(frames: int, frame_rate: float, breaks_s: Iterable[float] = ()) -> list[Window]:
    """Cut `frames` into windows; one is enough up to 30 s exactly.

    Args:
        frames: Of the whole music.
        frame_rate: Frames a second.
        breaks_s: Times at which a window has to begin, because the text changes there.
    """
    longest, overlap = round(WINDOW_S * frame_rate), round(OVERLAP_S * frame_rate)
    breaks = sorted({round(time_s * frame_rate) for time_s in breaks_s})
    cut: list[Window] = []
    known = 0
    while known < frames:
        start = max(0, known - overlap)
        end = min([frames, start + longest, *(at for at in breaks if at > known)])
        cut.append(Window(start, known, end))
        known = end
    return cut


def read_sections(overrides: Mapping[str, Any]) -> list[tuple[float, str]]:
    """Texts that take over from the caption's, as `overrides={"sections": [[start_s, text], ...]}`.

    Raises:
        RequestError: They are not pairs of a time and a text.
    """
    given = overrides.get("sections") or ()
    try:
        sections = [(float(start_s), str(text)) for start_s, text in given]
    except (TypeError, ValueError) as error:
        raise RequestError("Sections are pairs of a start in seconds and a text.") from error
    if not all(math.isfinite(start_s) and start_s >= 0 for start_s, _ in sections):
        raise RequestError("A section begins at 0 seconds or later.")
    return sections


def text_at(sections: list[tuple[float, str]], time_s: float, otherwise: str) -> str:
    """The text of the last section that has begun at `time_s`; `otherwise` before the first."""
    begun = [text for start_s, text in sorted(sections) if start_s <= time_s and text.strip()]
    return begun[-1] if begun else otherwise
