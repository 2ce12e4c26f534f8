"""A comparison as it is kept: written beside its files, and opened again.

Several page processes may share a folder: each knows which version of the file its own is, and ratings are merged.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any

from musiscene import media
from musiscene.errors import StorageError
from musiscene.types import Caption, CaptionKind, CaptionSet, Rendition
from musiscene.ui.comparison import STOPPED, Comparison, Track
from musiscene.ui.exchange import Exchange
from musiscene.ui.sharing import merged_scores, scores_in, stamp_of, writing

STATE_FILE = "comparison.json"


def save(comparison: Comparison) -> None:
    """Write its state beside the files, so that it can be opened again.

    Raises:
        StorageError: The disk refused.
    """
    path = comparison.folder / STATE_FILE
    with comparison.saving, writing(comparison.folder):
        theirs = None if stamp_of(path) == comparison.saved else scores_in(path)
        with comparison.changing_nothing():
            if theirs is not None:  # rated in another page process meanwhile
                comparison.scores = merged_scores(comparison.scores_before, comparison.scores, theirs)
            comparison.scores_before = {person: dict(given) for person, given in comparison.scores.items()}
            document = document_of(comparison)
        with media.atomic_path(path) as part:
            part.write_text(json.dumps(document, ensure_ascii=False, indent=1), "utf-8")
        comparison.saved = stamp_of(path)


def outdated(comparison: Comparison) -> bool:
    """Whether another page process has written it since, and nothing of it is under way here."""
    if comparison.active or not comparison.saving.acquire(blocking=False):
        return False
    try:
        return stamp_of(comparison.folder / STATE_FILE) != comparison.saved
    finally:
        comparison.saving.release()


def document_of(comparison: Comparison) -> dict[str, Any]:
    """Everything that is needed to open it again, JSON-ready; paths are relative to the folder."""
    return {
        "clip": {"path": comparison.clip.path.relative_to(comparison.folder).as_posix(), "name": comparison.clip_name},
        "clip_hash": comparison.clip_hash,
        "reference": None
        if comparison.reference is None
        else {
            "path": comparison.reference.path.relative_to(comparison.folder).as_posix(),
            "name": comparison.reference_name,
        },
        "captions": {kind: _caption_dict(caption) for kind, caption in comparison.captions.items()},
        "written": {kind: _caption_dict(caption) for kind, caption in comparison.written.items()},
        "unavailable": dict(comparison.unavailable),
        "tracks": [
            {
                "id": track.id,
                "letter": track.letter,
                "kind": track.kind,
                "take": track.take,
                "state": track.state,
                "reason": track.reason,
                "peaks": track.peaks,
                "rendition": None if track.rendition is None else _rendition_dict(track.rendition, comparison.folder),
            }
            for track in comparison.tracks
        ],
        "original": comparison.original,
        "options": comparison.options,
        "briefs": dict(comparison.briefs),
        "seed": comparison.seed,
        "questions": [exchange.as_dict() for exchange in comparison.questions],
        "blind": comparison.blind,
        "scores": comparison.scores,
        "made_at": comparison.made_at,
    }


def open_folder(folder: Path, probe: Any) -> Comparison:
    """The comparison that was saved in `folder`.

    Args:
        folder: Of one comparison.
        probe: Path -> Clip.

    Raises:
        StorageError: It is not there, or cannot be read.
        MediaError: Its clip cannot be read any more.
    """
    saved = stamp_of(folder / STATE_FILE)
    try:
        document = json.loads((folder / STATE_FILE).read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise StorageError("These results are not here any more.") from error
    clip = probe(folder / document["clip"]["path"])
    comparison = Comparison(folder, clip, document["clip"]["name"], document.get("clip_hash", ""))
    if document["reference"]:
        comparison.reference = probe(folder / document["reference"]["path"])
        comparison.reference_name = document["reference"]["name"]
    comparison.captions = CaptionSet(_caption(kind, value) for kind, value in document["captions"].items())
    comparison.written = CaptionSet(_caption(kind, value) for kind, value in document["written"].items())
    comparison.unavailable = {CaptionKind(kind): reason for kind, reason in document["unavailable"].items()}
    comparison.tracks = [_track(value, folder) for value in document["tracks"]]
    comparison.original = document["original"]
    comparison.options = document["options"]
    comparison.briefs = {CaptionKind(kind): value for kind, value in document["briefs"].items()}
    comparison.seed, comparison.blind = document["seed"], document["blind"]
    comparison.questions = [Exchange.read(value) for value in document.get("questions", ())]
    comparison.scores, comparison.made_at = document["scores"], document["made_at"]
    comparison.scores_before = {person: dict(given) for person, given in comparison.scores.items()}
    comparison.saved = saved
    if comparison.tracks:
        comparison.work.phase = "done"
    return comparison


def take_file(source: Path, folder: Path, name: str) -> Path:
    """Put `source` into `folder` under a safe form of `name`; a link where the disk can, else a copy.

    Raises:
        StorageError: The disk refused.
    """
    plain = PureWindowsPath(name).name
    safe = "".join(char if char.isprintable() and char not in '<>:"/\\|?*' else "_" for char in plain).strip(". ")
    stem, suffix = Path(safe).stem[:80] or "clip", Path(safe).suffix[:12]
    target = folder / f"{stem}{suffix}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            target.hardlink_to(source)
        except OSError:
            shutil.copyfile(source, target)
    except OSError as error:
        raise StorageError(f"{plain} cannot be kept for working on it: {error.strerror}.") from error
    return target


def _rendition_dict(rendition: Rendition, folder: Path) -> dict[str, Any]:
    return {
        **rendition.as_dict(folder),
        "caption": {"kind": rendition.kind, **_caption_dict(rendition.caption)},
    }


def _caption_dict(caption: Caption) -> dict[str, Any]:
    return {**caption.as_dict(), "prompt": caption.prompt}


def _caption(kind: str, value: Mapping[str, Any]) -> Caption:
    return Caption(
        CaptionKind(kind), value["text"], value["backend"], value["prompt"], value["seconds"], value["evidence"]
    )


def _track(value: Mapping[str, Any], folder: Path) -> Track:
    kind = CaptionKind(value["kind"])
    track = Track(value["id"], value["letter"], kind, value["take"], value["state"], reason=value["reason"])
    track.peaks = value["peaks"]
    if track.state in ("waiting", "working"):  # the work ended with the server
        track.state, track.reason = "failed", STOPPED
    stored = value["rendition"]
    if stored:
        track.rendition = Rendition(
            kind=kind,
            caption=_caption(kind, stored["caption"]),
            backend=stored["backend"],
            seed=stored["seed"],
            loudness_lufs=float("-inf") if stored["loudness_lufs"] is None else stored["loudness_lufs"],
            true_peak_dbtp=float("-inf") if stored["true_peak_dbtp"] is None else stored["true_peak_dbtp"],
            duration_s=stored["duration_s"],
            seconds=stored["seconds"],
            audio=folder / stored["audio"],
            video=folder / stored["video"] if stored["video"] else None,
            midi=folder / stored["midi"] if stored["midi"] else None,
            take=value["take"],
            provenance=stored["provenance"],
        )
    return track
