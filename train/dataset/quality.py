"""Which rows are kept: a target that is one, and each sound once."""

from __future__ import annotations

from collections.abc import Iterable

from musiscene.captions._language.guards import why_unusable
from musiscene.captions._language.prompts import Template, find_template
from train.dataset.config import Dataset
from train.dataset.sources import Row

REASONS = {
    "gave an empty answer": "empty",
    "answered with next to nothing": "too short",
    "refused to answer": "refusal",
    "repeated the question instead of answering it": "prompt echo",
    "copied what it was given instead of answering": "prompt echo",
    "repeated itself over and over": "loop",
}
"""What the guards say -> the report's word."""


class Judge:
    """Judges rows one after the other; it remembers the sounds it has seen."""

    def __init__(self, config: Dataset) -> None:
        self._quality = config.quality
        known = {"scene-target/paper", config.captions.template}
        self._templates: tuple[Template, ...] = tuple(find_template(name) for name in sorted(known))
        self._seen: set[tuple[str, str]] = set()

    def why_not(self, row: Row) -> str:
        """Why a row is left out, in one word or two; empty when it is kept."""
        if row.get("error"):
            return "failed"
        text, quality = row["answer"], self._quality
        words = len(text.split())
        if not text.strip():
            return "empty"
        if not row.get("short_answer") and words < quality.min_words:
            return "too short"
        if words > quality.max_words:
            return "too long"
        problem = self._problem(row)
        if problem:
            return problem
        sound = (row.get("audio_sha256") or f"text {row['clip_id']}", row["question"])
        if quality.duplicates and sound in self._seen:
            return "duplicate"
        self._seen.add(sound)
        return ""

    def _problem(self, row: Row) -> str:
        quality = self._quality
        allowed = {"refusal": quality.refusals, "prompt echo": quality.echoes, "loop": quality.loops}
        if row.get("short_answer"):  # "120 bpm" is a whole answer to a question about tempo
            return "prompt echo" if quality.echoes and _echoes(row["answer"], row["question"]) else ""
        given = [row[name] for name in ("video_caption", "music_caption_1") if row.get(name)]
        for template in self._templates:
            said = why_unusable(row["answer"], template, given)
            problem = REASONS.get(said or "", "")
            if allowed.get(problem):
                return problem
        if quality.echoes and _echoes(row["answer"], row["question"]):
            return "prompt echo"
        return ""


def _echoes(answer: str, question: str) -> bool:
    flat = " ".join(answer.lower().split()).strip(" .?!")
    return flat == " ".join(question.lower().split()).strip(" .?!")


def counted(reasons: Iterable[str]) -> dict[str, int]:
    """How often each reason came, most frequent first."""
    counts: dict[str, int] = {}
    for reason in reasons:
        counts[reason] = counts.get(reason, 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
