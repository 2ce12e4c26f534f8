"""Music longer than the model's 30 seconds: windows that go on from the end of the one before."""

from __future__ import annotations

from dataclasses import dataclass

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


def windows(frames: int, frame_rate: float) -> list[Window]:
    """Cut `frames` into windows; one is enough up to 30 s exactly."""
    longest, overlap = round(WINDOW_S * frame_rate), round(OVERLAP_S * frame_rate)
    cut = [Window(0, 0, min(frames, longest))]
    while cut[-1].end < frames:
        known = cut[-1].end
        start = known - overlap
        cut.append(Window(start, known, min(frames, start + longest)))
    return cut


def text_at(sections: list[tuple[float, str]], time_s: float, otherwise: str) -> str:
    """The text of the last section that has begun at `time_s`; `otherwise` before the first."""
    begun = [text for start_s, text in sorted(sections) if start_s <= time_s and text.strip()]
    return begun[-1] if begun else otherwise
