"""What a folder of `musiscene compare`, or an unpacked zip of the page, has to show."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from musiscene.errors import RequestError
from musiscene.types import CaptionKind

_ABSOLUTE = re.compile(r"(?:/|[A-Za-z]:[\\/]|\\\\|~[\\/]).*[\\/]")
_ORDER = {kind.value: place for place, kind in enumerate(CaptionKind)}


@dataclass(frozen=True, slots=True)
class Track:
    """One soundtrack of a comparison.

    Attributes:
        kind: Of the caption it was made from.
        take: 1 for the first soundtrack of that caption.
        audio: The soundtrack alone.
        video: The clip with it; None for a music track.
        facts: The rendition's part of the manifest.
    """

    kind: CaptionKind
    take: int
    audio: Path
    video: Path | None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shown:
    """One comparison.

    Attributes:
        title: Name of the clip.
        clip: Facts of the clip.
        captions: Kind -> its part of the manifest.
        tracks: In the order of the kinds, then of the takes.
        unavailable: Kind -> why there is no caption, or no soundtrack.
        profile: Name of the profile; empty when the manifest does not tell.
        original: The clip itself, where it still is.
        sha256: Of the clip; empty when it is not known.
    """

    title: str
    clip: Mapping[str, Any]
    captions: Mapping[CaptionKind, Mapping[str, Any]]
    tracks: Sequence[Track]
    unavailable: Mapping[CaptionKind, str] = field(default_factory=dict)
    profile: str = ""
    original: Path | None = None
    sha256: str = ""


def read_folders(folders: Sequence[Path]) -> list[Shown]:
    """The comparisons in `folders`; a folder may be one, or hold some.

    Raises:
        RequestError: There is none, or a manifest is damaged.
    """
    found: list[Shown] = []
    for folder in folders:
        manifests = sorted(_manifests(folder))
        if not manifests:
            raise RequestError(f"{folder} holds no comparison: it needs a manifest.json of `musiscene compare`.")
        found += [_read(path) for path in manifests]
    return found


def _manifests(folder: Path) -> Iterator[Path]:
    own = folder / "manifest.json"
    if own.is_file():
        yield own
    elif folder.is_dir():
        yield from (path for path in folder.rglob("manifest.json") if path.is_file())


def _read(path: Path) -> Shown:
    folder = path.parent
    try:
        document = json.loads(path.read_text("utf-8"))
        clip = dict(document["clip"])
        tracks = [_track(folder, kind, facts) for kind, facts in _renditions(document)]
        captions = {CaptionKind(kind): dict(value) for kind, value in document["captions"].items()}
        captions = {kind: captions[kind] for kind in CaptionKind if kind in captions}
        reasons = {**(document.get("unavailable") or {}), **(document.get("failed") or {})}
        unavailable = {CaptionKind(kind): str(reason) for kind, reason in reasons.items()}
        profile = str(document.get("profile") or (document.get("options") or {}).get("profile") or "")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RequestError(f"{path} is damaged ({type(error).__name__}); compare the clip again.") from None
    if not tracks:
        raise RequestError(f"{path} has no soundtracks to show; compare the clip again.")
    tracks.sort(key=lambda track: (track.take, _ORDER[track.kind.value]))
    given = Path(str(clip.get("path") or ""))
    # A zip of the page carries only the clip's name, which must not find some other file of the current folder.
    beside = folder / given.name
    original = next((p for p in (given if given.parts[1:] else beside, beside) if given.name and p.is_file()), None)
    clip.pop("path", None)
    title = given.stem or folder.name
    return Shown(title, clip, captions, tracks, unavailable, profile, original, str(clip.pop("sha256", "") or ""))


def _renditions(document: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    renditions = document["renditions"]
    if not isinstance(renditions, dict):  # the page's zip
        yield from ((str(rendition["kind"]), rendition) for rendition in renditions)
    elif document.get("takes"):
        yield from ((kind, rendition) for kind, takes in document["takes"].items() for rendition in takes)
    else:
        yield from renditions.items()


def _track(folder: Path, kind: str, facts: Mapping[str, Any]) -> Track:
    audio, video = _inside(folder, facts["audio"]), facts.get("video")
    return Track(
        CaptionKind(kind), int(facts.get("take") or 1), audio, _inside(folder, video) if video else None, dict(facts)
    )


def _inside(folder: Path, name: Any) -> Path:
    path = (folder / str(name)).resolve()
    # Manifests travel; one that names another file of this machine must not publish it.
    if not path.is_relative_to(folder.resolve()):
        raise RequestError(f"{folder / 'manifest.json'} names {str(name)!r}, which is outside its folder.")
    if not path.is_file():
        raise RequestError(f"{path} is missing, though the manifest beside it names it; compare the clip again.")
    return path


def without_paths(value: Any) -> Any:
    """`value` with every absolute path cut to its last part: a page is for people who have other machines."""
    if isinstance(value, Mapping):
        return {str(key): without_paths(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_paths(item) for item in value]
    if isinstance(value, str) and "\n" not in value and _ABSOLUTE.match(value):
        return re.split(r"[\\/]", value.rstrip("\\/"))[-1]
    return value
