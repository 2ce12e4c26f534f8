"""From segment lists, folders, caption tables and conversations to rows: what each clip is, before any work."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from musiscene.errors import ConfigError
from train.conversations import read_conversations
from train.dataset.config import Dataset, Source

Row = dict[str, Any]
"""One clip on its way: plain values, JSON-ready but for `audio` (bytes)."""

MUSIC = "/m/04rlf"
_PICTURE_WORDS = "3g2 3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts ogv ts webm wmv"
_SOUND_WORDS = "aac aif aifc aiff au caf flac m4a mka mp3 oga ogg opus wav wma wv"
PICTURES = frozenset(f".{word}" for word in _PICTURE_WORDS.split())
MEDIA_SUFFIXES = PICTURES | {f".{word}" for word in _SOUND_WORDS.split()}
TEXTS = ("video_caption", "music_caption_1", "music_caption_2", "fusion_caption", "msi_target")
_AUTHORS = {
    "Music Caption 1": "music_caption_1",
    "Music Caption 2": "music_caption_2",
    "Video Caption": "video_caption",
    "Mixtral Audio": "fusion_caption",
    "Mixtral Video": "msi_target",
}
"""Columns of the published CSV -> ours. Mixtral described the music and the video from the same two captions."""


def read_rows(config: Dataset) -> list[Row]:
    """All rows of a dataset, each with a unique `clip_id`, in a fixed order.

    Raises:
        ConfigError: A file cannot be read or is not what it should be.
    """
    source = config.source
    made = {"audioset": _audioset, "folder": _folder, "captions": _captions, "conversations": _conversations}
    rows = list(made[source.kind](source, config))
    seen: dict[str, int] = {}
    for row in rows:
        count = seen[row["clip_id"]] = seen.get(row["clip_id"], 0) + 1
        if count > 1:
            row["clip_id"] = f"{row['clip_id']}#{count}"
    if config.captions.known:
        _add_known(rows, config.captions.known)
    if 0 < source.limit < len(rows):
        step = len(rows) / source.limit
        rows = [rows[int(index * step)] for index in range(source.limit)]
    if not rows:
        raise ConfigError(f"There is no clip in this {source.kind} source: look at its classes and paths.")
    return rows


def class_filter(names: Iterable[str], labels: Path | None, ontology: Path | None) -> frozenset[str]:
    """AudioSet ids of some classes, and of all below them when the ontology is given.

    Raises:
        ConfigError: A class is not known, or a file cannot be read.
    """
    known = {"music": MUSIC}
    if labels is not None:
        for row in csv.DictReader(io.StringIO(_text(labels), newline="")):
            known[str(row.get("display_name", "")).lower()] = str(row.get("mid", ""))
    children: dict[str, list[str]] = {}
    if ontology is not None:
        try:
            for entry in json.loads(_text(ontology)):
                known.setdefault(entry["name"].lower(), entry["id"])
                children[entry["id"]] = entry["child_ids"]
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{ontology} is not AudioSet's ontology.json.") from error
    found: set[str] = set()
    for name in names:
        waiting = [name if name.startswith("/") else known.get(name.lower(), "")]
        if not waiting[0]:
            raise ConfigError(
                f"The class {name!r} is not known. Name AudioSet's class_labels_indices.csv in source.labels, or give "
                "its id (as /m/04rlf)."
            )
        while waiting:
            current = waiting.pop()
            if current not in found:
                found.add(current)
                waiting += children.get(current, [])
    return frozenset(found)


def read_segments(path: Path) -> Iterator[tuple[str, float, float, tuple[str, ...]]]:
    """Video id, start and end in seconds, and class ids of each line of an AudioSet segment CSV.

    Raises:
        ConfigError: It cannot be read, or a line is no segment.
    """
    lines = (line for line in _text(path).splitlines() if line.strip() and not line.startswith("#"))
    for number, fields in enumerate(csv.reader(lines, skipinitialspace=True), start=1):
        try:
            video_id, start, end, labels = fields[0], float(fields[1]), float(fields[2]), fields[3]
        except (IndexError, ValueError) as error:
            raise ConfigError(
                f'{path}: segment {number} is not `video id, start, end, "class ids"`: {",".join(fields)[:80]}'
            ) from error
        if not video_id or not 0 <= start < end:
            raise ConfigError(f"{path}: segment {number} has no length: {video_id!r} from {start:g} to {end:g}.")
        yield video_id, start, end, tuple(label for label in labels.split(",") if label)


def read_captions(path: Path) -> list[Row]:
    """Rows of a captions CSV, in the authors' columns or in ours (`clip_id` or `video_id`, and captions).

    Raises:
        ConfigError: It cannot be read, or has no column that is known.
    """
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))  # a caption may hold line breaks of any kind
    columns = {name: _AUTHORS.get(name.strip(), name.strip()) for name in reader.fieldnames or ()}
    ours = (*TEXTS, "clip_id", "video_id", "start_s", "end_s", "path", "question", "labels")
    if not set(columns.values()) & set(TEXTS):
        raise ConfigError(f"{path} has none of the columns {', '.join((*_AUTHORS, *TEXTS))}.")
    rows = []
    for entry in reader:
        row = {columns[name]: " ".join((value or "").split()) for name, value in entry.items() if name in columns}
        rows.append({name: value for name, value in row.items() if name in ours and value})
    return rows


def _audioset(source: Source, config: Dataset) -> Iterator[Row]:
    wanted = class_filter(source.classes, source.labels, source.ontology)
    unwanted = class_filter(source.exclude, source.labels, source.ontology)
    for path in source.segments:
        for video_id, start, end, labels in read_segments(path):
            if wanted & set(labels) and not unwanted & set(labels):
                end = min(end, start + config.clips.length_s)
                yield _row(f"{video_id}_{start:g}", video_id, path.name, start_s=start, end_s=end, labels=list(labels))


def _folder(source: Source, config: Dataset) -> Iterator[Row]:
    assert source.media is not None
    if not source.media.is_dir():
        raise ConfigError(f"There is no folder {source.media} (source.media).")
    for path in sorted(source.media.rglob("*")):
        if path.suffix.lower() in MEDIA_SUFFIXES and path.is_file():
            name = path.relative_to(source.media).with_suffix("").as_posix()
            yield _row(name, name, "folder", end_s=config.clips.length_s, path=str(path))


def _captions(source: Source, config: Dataset) -> Iterator[Row]:
    assert source.file is not None
    found = read_captions(source.file)
    ids = _ids(source.ids) if source.ids else []
    if ids and len(ids) < len(found):
        raise ConfigError(f"{source.ids} has {len(ids)} ids for the {len(found)} rows of {source.file}.")
    for number, known in enumerate(found):
        video = known.get("video_id") or (ids[number] if ids else "") or f"{source.file.stem}-{number:06d}"
        start = float(known.get("start_s") or 0.0)
        end = float(known.get("end_s") or start + config.clips.length_s)
        row = _row(known.get("clip_id") or video, video, source.file.name, start_s=start, end_s=end)
        if known.get("path"):
            row["path"] = str(source.file.parent / known["path"])
        yield row | {name: known[name] for name in (*TEXTS, "question") if name in known}


def _conversations(source: Source, config: Dataset) -> Iterator[Row]:
    assert source.file is not None and source.media is not None
    for number, (name, question, answer) in enumerate(read_conversations(source.file)):
        # a track's questions belong together: its name is the video's
        alone = f"text {number}"
        row = _row(name or alone, Path(name).stem or alone, source.file.name, end_s=60.0, question=question)
        if name:
            row["path"] = str(source.media / name)
        yield row | {"msi_target": "", "answer": answer}


def _row(clip_id: str, video_id: str, source: str, **facts: Any) -> Row:
    return {"clip_id": clip_id, "video_id": video_id, "source": source, "start_s": 0.0, "labels": [], **facts}


def _add_known(rows: list[Row], path: Path) -> None:
    """Captions of a table for the rows of the same clip or video."""
    known: dict[str, Mapping[str, Any]] = {}
    for entry in read_captions(path):
        name = entry.get("clip_id") or entry.get("video_id")
        if not name:
            raise ConfigError(f"{path} needs a column clip_id or video_id, so that its captions find their clips.")
        known[name] = entry
    for row in rows:
        found: Mapping[str, Any] = known.get(row["clip_id"]) or known.get(row["video_id"]) or {}
        row.update({name: found[name] for name in (*TEXTS, "question") if name in found})


def _ids(path: Path) -> list[str]:
    try:
        return [str(name) for name in json.loads(_text(path))]
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{path} is no JSON object or list of ids.") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
