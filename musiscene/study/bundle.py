"""A frozen study: the design, the media under opaque names, and what they are; nothing else is needed to run it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from musiscene.errors import ConfigError
from musiscene.media.files import content_hash
from musiscene.study.design import REFERENCE, Design, load_design

BUNDLE_FILE = "bundle.json"
DESIGN_FILE = "study.toml"
MEDIA_FOLDER = "media"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class Track:
    """One soundtrack of one video.

    Attributes:
        file: Its opaque name under `media/`.
        sha256: Of the file's bytes.
        source: Where it came from: file name and hash, caption, backend, seed.
    """

    file: str
    sha256: str
    loudness_lufs: float
    true_peak_dbtp: float
    gain_db: float
    source: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Item:
    """One video with all its soundtracks, by condition."""

    name: str
    duration_s: float
    picture: str
    picture_sha256: str
    tracks: Mapping[str, Track]


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything that a running study reads.

    Attributes:
        items: The study's videos; one for practice may follow them.
        sha256: Of `bundle.json`, which has the hash of every file: it names this very study.
    """

    folder: Path
    design: Design
    items: tuple[Item, ...]
    sha256: str

    @property
    def references(self) -> tuple[bool, ...]:
        """For each item whether it has its own soundtrack."""
        return tuple(REFERENCE in item.tracks for item in self.items[: self.design.item_count])

    @property
    def practice_item(self) -> int | None:
        """The video that is kept for practice."""
        return self.design.item_count if len(self.items) > self.design.item_count else None

    def path(self, file: str) -> Path:
        """Where a media file of the bundle is."""
        return self.folder / MEDIA_FOLDER / file


def load_bundle(folder: Path | str) -> Bundle:
    """Read a bundle and compare every file with its hash.

    Raises:
        ConfigError: The folder is no bundle, or a file is missing or has changed since it was frozen.
    """
    folder = Path(folder)
    try:
        raw = (folder / BUNDLE_FILE).read_bytes()
        document = json.loads(raw)
        if document["format"] != FORMAT:
            raise ConfigError(f"{folder.name} was frozen by another version (format {document['format']}).")
        items = tuple(_item(entry) for entry in document["items"])
        design_sha256 = document["design_sha256"]
    except OSError as error:
        raise ConfigError(
            f"{folder} is not a frozen study: {BUNDLE_FILE} cannot be read ({error.strerror}). "
            "Make one with `musiscene study freeze`."
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{folder / BUNDLE_FILE} is damaged ({type(error).__name__}); freeze the study again."
        ) from None
    _check(folder / DESIGN_FILE, design_sha256)
    design = load_design(folder / DESIGN_FILE)
    for item in items:
        _check(folder / MEDIA_FOLDER / item.picture, item.picture_sha256)
        for track in item.tracks.values():
            _check(folder / MEDIA_FOLDER / track.file, track.sha256)
    return Bundle(folder, design, items, hashlib.sha256(raw).hexdigest())


def find_bundles(folder: Path) -> list[Path]:
    """The frozen studies in a folder: itself, or those right inside it."""
    if (folder / BUNDLE_FILE).is_file():
        return [folder]
    return sorted(path.parent for path in folder.glob(f"*/{BUNDLE_FILE}"))


def _check(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise ConfigError(f"The frozen study lacks {path.name}; copy the whole folder again, or freeze anew.")
    if content_hash(path) != sha256:
        raise ConfigError(
            f"{path.name} is not the file that was frozen: it has changed. A study is never run with other media "
            "than it began with; restore the file, or freeze a new study under another name."
        )


def _item(entry: Mapping[str, Any]) -> Item:
    tracks = {name: Track(**track) for name, track in entry["tracks"].items()}
    return Item(entry["name"], float(entry["duration_s"]), entry["picture"], entry["picture_sha256"], tracks)
