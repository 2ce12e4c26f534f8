"""Comparisons become one folder: `index.html`, and beside it what is seen and heard."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from musiscene import media
from musiscene.errors import MusisceneError, RequestError
from musiscene.media.encoding import AUDIO_RATE
from musiscene.showcase import sounds
from musiscene.showcase.ratings import Ratings, read_ratings
from musiscene.showcase.reading import Shown, Track, read_folders
from musiscene.types import Job, Waveform

DECODED_AT_MOST_S = 900.0
"""Sounds of one comparison that a browser holds decoded, in seconds (0.4 MB each); past it they play from files."""

_SAME_LENGTH_S = 0.25


@dataclass(frozen=True, slots=True)
class Voice:
    """One button of the player.

    Attributes:
        name: Of its files.
        track: The soundtrack; None for the clip's own sound.
        file: What plays it, relative to the page.
        bars: Its waveform, 0 to 100.
        scores: What people gave it.
    """

    name: str
    track: Track | None
    file: str
    bars: Sequence[int]
    scores: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One comparison as the page shows it; file names are relative to the page.

    Attributes:
        name: Its folder.
        shown: What the manifest told.
        voices: What can be listened to.
        duration_s: Of the longest of them.
        picture: The video that is seen; empty for a music track.
        poster: A JPEG of it; empty when there is none.
        size: Width and height of the poster.
        script: The sounds as a script; empty when they are too long to be held decoded.
    """

    name: str
    shown: Shown
    voices: Sequence[Voice]
    duration_s: float
    picture: str = ""
    poster: str = ""
    size: tuple[int, int] = (16, 9)
    script: str = ""


@dataclass(frozen=True, slots=True)
class Showcase:
    """What was written.

    Attributes:
        page: The page to open.
        exhibits: In the order of the folders.
        size_bytes: Of everything together.
    """

    page: Path
    exhibits: Sequence[Exhibit] = field(default_factory=tuple)
    size_bytes: int = 0


def build_showcase(
    folders: Sequence[Path],
    out: Path,
    *,
    title: str = "",
    language: str = "",
    ratings: Path | None = None,
    job: Job | None = None,
) -> Showcase:
    """Write the comparisons in `folders` as one page with its files to `out`; `index.html` last.

    Args:
        folders: Made by `musiscene compare`, or zips of the page, unpacked.
        out: A new folder, or that of an earlier showcase.
        title: Heading of the page.
        language: Of the page's own words, "en", "es" or "zh"; empty for the one that the browser asks for.
        ratings: The page's ratings, as CSV or as its SQLite database.
        job: Told how far it is, and asked to stop.

    Raises:
        RequestError: There is nothing to show, the language is none of ours, or `out` is a folder of something else.
        MediaError: A file cannot be read.
        StorageError: The disk refused.
        Stopped: `job` was stopped.
    """
    from musiscene.showcase.page import render
    from musiscene.showcase.words import WORDS

    if language and language not in WORDS:
        raise RequestError(
            f"A showcase speaks {', '.join(WORDS)}, not {language!r}; leave it out for the browser's own."
        )
    job = job or Job()
    comparisons = read_folders(folders)
    given = read_ratings(ratings) if ratings else Ratings()
    page = out / "index.html"
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not page.is_file())):
        raise RequestError(f"{out} is there already and is no showcase; give the name of a new folder.")
    exhibits: list[Exhibit] = []
    for index, shown in enumerate(comparisons):
        job.progress(index / len(comparisons), shown.title)
        exhibits.append(_exhibit(shown, out, f"{index + 1:02d}-{_slug(shown.title)}", given, job))
    with media.atomic_path(page) as part:
        part.write_text(render(exhibits, title, language), "utf-8")
    job.progress(1.0, "")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return Showcase(page, tuple(exhibits), size)


def _exhibit(shown: Shown, out: Path, name: str, ratings: Ratings, job: Job) -> Exhibit:
    folder = out / "media" / name
    if shown.original is not None and not shown.sha256 and ratings.scores:
        shown = Shown(
            shown.title, shown.clip, shown.captions, shown.tracks, shown.unavailable, shown.profile, shown.original,
            media.content_hash(shown.original),
        )  # fmt: skip
    heard: dict[str, tuple[Track | None, Path, Waveform]] = {}
    for track in shown.tracks:
        job.check()
        label = track.kind.value + (f"-{track.take}" if track.take > 1 else "")
        waveform = sounds.read_stereo(track.video or track.audio)
        sounds.write_m4a(track.video or waveform, folder / f"{label}.m4a", job)
        if track.video:
            sounds.copy_into(track.video, folder / f"{label}.mp4")
        heard[label] = (track, folder / f"{label}.m4a", waveform)
    duration_s = max(waveform.shape[1] for _, _, waveform in heard.values()) / AUDIO_RATE
    original = _original(shown, duration_s)
    if original is not None:
        job.check()
        sounds.write_m4a(original, folder / "original.m4a", job)
        heard["original"] = (None, folder / "original.m4a", original)
    ceiling = max(float(np.abs(waveform).max(initial=0.0)) for _, _, waveform in heard.values())
    voices = [
        Voice(
            label, track, f"media/{name}/{label}.m4a", sounds.bars(waveform, ceiling),
            tuple(ratings.of(shown, track)) if track else (),
        )
        for label, (track, _, waveform) in heard.items()
    ]  # fmt: skip
    script = ""
    if duration_s * len(voices) <= DECODED_AT_MOST_S:
        script = f"media/{name}/sounds.js"
        sounds.write_sound_script(name, {label: path for label, (_, path, _) in heard.items()}, out / script)
    picture = next((track for track in shown.tracks if track.video), None)
    size = sounds.write_poster(picture.video, folder / "poster.jpg") if picture and picture.video else None
    return Exhibit(
        name=name,
        shown=shown,
        voices=voices,
        duration_s=duration_s,
        picture="" if picture is None else f"media/{name}/{next(iter(heard))}.mp4",
        poster=f"media/{name}/poster.jpg" if size else "",
        size=size or (16, 9),
        script=script,
    )


def _original(shown: Shown, duration_s: float) -> Waveform | None:
    """The clip's own sound, as loud as the soundtracks are; None where it is gone, silent, or another file by now."""
    if shown.original is None:
        return None
    try:
        clip = media.probe(shown.original)
        if not clip.has_sound or abs(clip.duration_s - float(shown.clip.get("duration_s") or 0)) > _SAME_LENGTH_S:
            return None
        waveform = sounds.read_stereo(shown.original, duration_s)
        levelled, _ = media.normalize_loudness(waveform, AUDIO_RATE)
    except MusisceneError:
        return None  # the showcase is about the soundtracks; they are all here
    return levelled


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii").lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "clip"
