"""Captions from JSON Lines: one object a line, with an id and a text or a list of texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from musiscene.errors import RequestError
from musiscene.metrics.json_lines import read_objects

ID_KEYS = ("id", "clip", "clip_id", "name", "audio_name", "video_id")
TEXT_KEYS = ("captions", "references", "caption", "text", "reference", "candidate", "prediction", "pred")


@dataclass(frozen=True, slots=True)
class Pairing:
    """References and candidates of the same clips.

    Attributes:
        ids: Of the clips, in the order of the references.
        references: One or more texts for each.
        candidates: One text for each; may be empty.
        missing: Clips that have references and no candidate; they are not scored.
        extra: Candidates without a reference; they are not scored.
        repeated: Clips with more than one candidate, of which the first is scored.
    """

    ids: tuple[str, ...]
    references: tuple[tuple[str, ...], ...]
    candidates: tuple[str, ...]
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()


def read_captions(path: Path) -> dict[str, tuple[str, ...]]:
    """Texts by id, in the order of the file. Lines without an id are numbered; an id that comes again adds a text.

    Raises:
        RequestError: The file is not there, or a line is not as it should be; the message names it.
    """
    texts: dict[str, tuple[str, ...]] = {}
    for number, entry in read_objects(path, '{"id": "a", "caption": "..."}'):
        name, found = _entry(entry, number, path)
        texts[name] = (*texts.get(name, ()), *found)
    if not texts:
        raise RequestError(f"{path} holds no captions.")
    return texts


def _entry(entry: Mapping[str, Any], number: int, path: Path) -> tuple[str, tuple[str, ...]]:
    name = next((str(entry[key]) for key in ID_KEYS if entry.get(key) not in (None, "")), f"line {number}")
    for key in TEXT_KEYS:
        value = entry.get(key)
        if isinstance(value, str):
            return name, (value,)
        if isinstance(value, list) and value and all(isinstance(text, str) for text in value):
            return name, tuple(value)
    raise RequestError(f"Line {number} of {path} has no text: it needs one of the fields {', '.join(TEXT_KEYS)}.")


def pair(references: Mapping[str, Sequence[str]], candidates: Mapping[str, Sequence[str]]) -> Pairing:
    """Bring candidates to the references of the same id; of several candidates for one clip the first counts.

    Raises:
        RequestError: No id is in both.
    """
    ids = tuple(name for name in references if name in candidates)
    if not ids:
        raise RequestError(
            f"No clip is in both files: the references begin with {next(iter(references))!r}, the candidates with "
            f"{next(iter(candidates))!r}. Give both the same ids."
        )
    empty = [name for name in ids if not any(text.strip() for text in references[name])]
    if empty:
        raise RequestError(f"The reference of {empty[0]!r} is empty, so nothing can be compared with it.")
    return Pairing(
        ids=ids,
        references=tuple(tuple(text for text in references[name] if text.strip()) for name in ids),
        candidates=tuple(candidates[name][0] for name in ids),
        missing=tuple(name for name in references if name not in candidates),
        extra=tuple(name for name in candidates if name not in references),
        repeated=tuple(name for name in ids if len(candidates[name]) > 1),
    )
