"""From finished comparisons to a frozen study: opaque names, equal loudness, hashes, provenance."""

from __future__ import annotations

import json
import math
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from musiscene.errors import ConfigError, MediaError, StorageError
from musiscene.media.audio import read_audio, resample
from musiscene.media.files import atomic_path, content_hash
from musiscene.media.levelling import normalize_loudness
from musiscene.media.loudness import Loudness, measure_loudness
from musiscene.media.probing import probe
from musiscene.media.waveforms import fit_duration
from musiscene.study.bundle import BUNDLE_FILE, DESIGN_FILE, FORMAT, MEDIA_FOLDER, Bundle, load_bundle
from musiscene.study.design import ANCHOR, REFERENCE, Design, load_design
from musiscene.types import Clip, Job, Limits, Waveform

PictureWriter = Callable[[Clip, Path, Job], None]
"""Writes a clip's picture without sound and without tags (`musiscene.mux.picture_only`)."""

SAMPLE_RATE = 48_000
TOLERANCE_LU = 0.5
"""Soundtracks of a study are no further apart in loudness than this."""
_SOUNDS = (".wav", ".flac", ".mp3", ".m4a", ".ogg", ".opus", ".mp4", ".mov", ".webm", ".mkv")
_PICTURES = (".mp4", ".mov", ".webm", ".mkv")


@dataclass(slots=True)
class _Source:
    """A folder that has one video and a file for each condition."""

    name: str
    picture: Path
    tracks: dict[str, Path]
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    original: Path | None = None
    """The clip with its own sound, for the hidden reference."""


def freeze(
    design_file: Path | str,
    folders: Sequence[Path | str],
    out: Path | str,
    *,
    write_picture: PictureWriter,
    job: Job | None = None,
) -> Bundle:
    """Copy the renditions in `folders` into a bundle that a study can run from, for ever the same.

    A folder is a result of `musiscene compare`, or has `picture.mp4` and one sound or video file named for each
    condition, and perhaps `reference.*`; or it is a folder of such folders. More folders than the design has items
    give a video for practice. Files appear in `out` when everything is complete.

    Raises:
        ConfigError: The design is not valid, or the folders lack something that it names.
        MediaError: A file cannot be read, or a soundtrack is silent.
        StorageError: `out` is there already, or cannot be written.
        Stopped: `job` was stopped.
    """
    job = job or Job()
    design = load_design(design_file)
    sources = _chosen(design, [source for folder in folders for source in _sources(Path(folder))])
    out = Path(out)
    if out.exists():
        raise StorageError(f"{out} is there already; a frozen study is never overwritten. Choose another folder.")
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        (part / MEDIA_FOLDER).mkdir(parents=True)
        document = _fill(part, design, sources, write_picture, job)
        shutil.copyfile(design_file, part / DESIGN_FILE)
        document["design_sha256"] = content_hash(part / DESIGN_FILE)
        text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
        (part / BUNDLE_FILE).write_text(text + "\n", "utf-8")
        part.rename(out)
    except OSError as error:
        raise StorageError(f"{out} cannot be written ({error.strerror}).") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return load_bundle(out)


def _fill(
    folder: Path, design: Design, sources: list[_Source], write_picture: PictureWriter, job: Job
) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    sounds: dict[tuple[int, str], Waveform] = {}
    about: dict[tuple[int, str], dict[str, Any]] = {}
    for number, source in enumerate(sources):
        job.check()
        job.progress(0.6 * number / len(sources), f"Reading {source.name}")
        clip = probe(source.picture, _generous())
        picture = f"{secrets.token_hex(12)}.mp4"
        write_picture(clip, folder / MEDIA_FOLDER / picture, Job(stop=job.stop))
        duration_s = probe(folder / MEDIA_FOLDER / picture, _generous()).duration_s
        entries.append(
            {
                "name": source.name,
                "duration_s": round(duration_s, 3),
                "picture": picture,
                "picture_sha256": content_hash(folder / MEDIA_FOLDER / picture),
                "tracks": {},
            }
        )
        for condition in design.conditions:
            sounds[number, condition] = _sound(source.tracks[condition], duration_s, job)
            about[number, condition] = {**source.about.get(condition, {}), **_identity(source.tracks[condition])}
        if design.checks.reference and source.original is not None and number < design.item_count:
            sounds[number, REFERENCE] = _sound(source.original, duration_s, job)
            about[number, REFERENCE] = _identity(source.original)
    if design.checks.anchor:
        _add_anchors(design, entries, sounds, about)
    levelled = _levelled(sounds, design.loudness_lufs, sources, job)
    for (number, condition), (waveform, loudness, gain_db) in levelled.items():
        job.check()
        file = f"{secrets.token_hex(12)}.flac"
        _write_flac(folder / MEDIA_FOLDER / file, waveform)
        entries[number]["tracks"][condition] = {
            "file": file,
            "sha256": content_hash(folder / MEDIA_FOLDER / file),
            "loudness_lufs": round(loudness.integrated_lufs, 2),
            "true_peak_dbtp": round(loudness.true_peak_dbtp, 2),
            "gain_db": round(gain_db, 2),
            "source": about[number, condition],
        }
    return {
        "format": FORMAT,
        "name": design.name,
        "frozen_at": datetime.now(UTC).isoformat("T", "seconds"),
        "items": entries,
    }


def _levelled(
    sounds: Mapping[tuple[int, str], Waveform], target_lufs: float, sources: Sequence[_Source], job: Job
) -> dict[tuple[int, str], tuple[Waveform, Loudness, float]]:
    """Every sound within `TOLERANCE_LU` of every other; untouched where they are already.

    Where peaks keep one from the target, all come down to what that one can reach.
    """
    measured = {key: measure_loudness(sound, SAMPLE_RATE) for key, sound in sounds.items()}
    for (number, condition), loudness in measured.items():
        if not math.isfinite(loudness.integrated_lufs):
            raise MediaError(f"The soundtrack {condition!r} of {sources[number].name} is silent; it cannot be rated.")
    levels = [loudness.integrated_lufs for loudness in measured.values()]
    if max(levels) - min(levels) <= TOLERANCE_LU and abs(float(np.mean(levels)) - target_lufs) <= 1.0:
        return {key: (sounds[key], measured[key], 0.0) for key in sounds}
    for _ in range(4):
        made: dict[tuple[int, str], tuple[Waveform, Loudness, float]] = {}
        for number, (key, sound) in enumerate(sounds.items()):
            job.check()
            job.progress(0.6 + 0.4 * number / len(sounds), "Levelling")
            levelled, reached = normalize_loudness(sound, SAMPLE_RATE, target_lufs=target_lufs)
            made[key] = (levelled, reached, reached.integrated_lufs - measured[key].integrated_lufs)
        levels = [reached.integrated_lufs for _, reached, _ in made.values()]
        if max(levels) - min(levels) <= TOLERANCE_LU:
            return made
        target_lufs = min(levels)
    number, condition = min(made, key=lambda key: made[key][1].integrated_lufs)
    raise MediaError(f"The soundtrack {condition!r} of {sources[number].name} cannot be made as loud as the others.")


def _add_anchors(
    design: Design,
    entries: Sequence[Mapping[str, Any]],
    sounds: dict[tuple[int, str], Waveform],
    about: dict[tuple[int, str], dict[str, Any]],
) -> None:
    """The low anchor of a video: a soundtrack of another one, half of the study away, repeated to the length."""
    if design.item_count < 2:
        raise ConfigError(
            "A mismatched anchor needs a second video to take the soundtrack from; set checks.anchor = 0."
        )
    for number in range(design.item_count):
        other = (number + max(1, design.item_count // 2)) % design.item_count
        sound = sounds[other, design.conditions[0]]
        wanted = round(entries[number]["duration_s"] * SAMPLE_RATE)
        repeated = np.tile(sound, (1, -(-wanted // sound.shape[1])))
        sounds[number, ANCHOR] = fit_duration(repeated, SAMPLE_RATE, entries[number]["duration_s"], fade_out_s=0.3)
        about[number, ANCHOR] = {**about[other, design.conditions[0]], "mismatched_from": entries[other]["name"]}


def _sound(path: Path, duration_s: float, job: Job) -> Waveform:
    clip = probe(path, _generous())
    audio = read_audio(clip, stereo=True, job=Job(stop=job.stop))
    waveform = resample(audio.waveform, audio.sample_rate, SAMPLE_RATE)
    return fit_duration(waveform, SAMPLE_RATE, duration_s, fade_out_s=0.3)


def _write_flac(path: Path, waveform: Waveform) -> None:
    """Lossless, so that no codec is between a condition and its rating; without tags."""
    import soundfile

    with atomic_path(path) as temporary:
        soundfile.write(temporary, np.clip(waveform, -1, 1).T, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        # The encoder signs as "reference libFLAC". Every file does, but the word must not be anywhere in a study.
        content = temporary.read_bytes()
        head, rest = content[:1024], content[1024:]
        temporary.write_bytes(head.replace(b"reference", b"         ") + rest)


def _identity(path: Path) -> dict[str, Any]:
    return {"file": path.name, "source_sha256": content_hash(path)}


def _generous() -> Limits:
    return Limits(max_duration_s=3600.0)


# -- what the folders have --------------------------------------------------------------------------------------------


def _sources(folder: Path) -> list[_Source]:
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder with renditions.")
    if (folder / "manifest.json").is_file():
        return [_from_manifest(folder)]
    if plain := _plain(folder):
        return [plain]
    found = [source for child in sorted(folder.iterdir()) if child.is_dir() for source in _sources(child)]
    if not found:
        raise ConfigError(f"{folder} has neither a manifest.json of `musiscene compare` nor a picture.mp4.")
    return found


def _plain(folder: Path) -> _Source | None:
    files = {path.stem: path for path in sorted(folder.iterdir()) if path.suffix.lower() in _SOUNDS}
    picture = files.pop("picture", None)
    if picture is None or picture.suffix.lower() not in _PICTURES:
        return None
    original = files.pop(REFERENCE, None)
    if original is None and probe(picture, _generous()).has_sound:
        original = picture
    return _Source(folder.name, picture, files, original=original)


def _from_manifest(folder: Path) -> _Source:
    try:
        document = json.loads((folder / "manifest.json").read_text("utf-8"))
        renditions = document["renditions"]
        named = renditions.items() if isinstance(renditions, dict) else [(r["kind"], r) for r in renditions]
        tracks: dict[str, Path] = {}
        about: dict[str, dict[str, Any]] = {}
        picture: Path | None = None
        for kind, rendition in named:
            if kind in tracks:
                continue  # a further take
            tracks[kind] = folder / rendition["audio"]
            if rendition.get("video"):
                picture = picture or folder / rendition["video"]
            caption = document.get("captions", {}).get(kind, {})
            kept = {name: rendition.get(name) for name in ("backend", "seed", "take", "provenance")}
            about[kind] = {"caption": caption, **kept}
        clip = document.get("clip") or {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{folder / 'manifest.json'} is damaged ({type(error).__name__}).") from None
    if picture is None:
        raise ConfigError(f"{folder} has no video; a study needs renditions of videos.")
    path = Path(str(clip.get("path", "")))
    original = next((p for p in (path, folder / path.name) if path.name and p.is_file()), None)
    if original is not None and not probe(original, _generous()).has_sound:
        original = None
    return _Source(folder.name, picture, tracks, about, original)


def _chosen(design: Design, sources: list[_Source]) -> list[_Source]:
    """The study's sources in order, and one more for practice if there is one."""
    names = [source.name for source in sources]
    if len(set(names)) < len(names):
        raise ConfigError(f"Two folders have the same name: {next(n for n in names if names.count(n) > 1)}.")
    if design.item_names:
        missing = [name for name in design.item_names if name not in names]
        if missing:
            raise ConfigError(f"The design names videos that no folder has: {', '.join(missing)}.")
        wanted = [sources[names.index(name)] for name in design.item_names]
        wanted += [source for source in sources if source.name not in design.item_names]
    else:
        wanted = sources
    if len(wanted) < design.item_count:
        raise ConfigError(f"The design has {design.item_count} videos, the folders have {len(wanted)}.")
    chosen = wanted[: design.item_count + 1]
    for source in chosen:
        missing = [condition for condition in design.conditions if condition not in source.tracks]
        if missing:
            raise ConfigError(f"{source.name} has no soundtrack for the condition {', '.join(missing)}.")
    return chosen
