"""Sets of sound files: what is in a folder or a manifest, which belong together, and their sound as one channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from musiscene import media
from musiscene.errors import RequestError, UnreadableMediaError
from musiscene.metrics.json_lines import read_objects
from musiscene.types import Job, Limits

_TEXTS = frozenset(
    {".json", ".jsonl", ".txt", ".csv", ".tsv", ".md", ".html", ".log", ".vtt", ".srt", ".toml", ".yaml"}
)
_PICTURES = frozenset({".svg", ".png", ".jpg", ".jpeg", ".gif", ".pdf"})
_NOT_SOUND = _TEXTS | _PICTURES | {".mid", ".midi", ".npz", ".npy", ".part", ".zip", ".yaml", ".yml"}


@dataclass(frozen=True, slots=True)
class Sound:
    """A file of a set.

    Attributes:
        name: What it is called in its set: its path there without the ending, or its id in the manifest.
        path: Where it is.
    """

    name: str
    path: Path


@dataclass(frozen=True, slots=True)
class Failure:
    """A clip that some metric could not use.

    Attributes:
        name: Of the clip.
        path: Where it is.
        reason: Why, in a sentence.
        metric: Name of the listener; empty when the file could not be read at all.
    """

    name: str
    path: Path
    reason: str
    metric: str = ""

    def as_dict(self) -> dict[str, str]:
        """JSON layout."""
        return {"name": self.name, "path": str(self.path), "metric": self.metric, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Remark:
    """What is to be known about a clip that is scored.

    Attributes:
        name: Of the clip.
        path: Where it is.
        text: In a sentence.
    """

    name: str
    path: Path
    text: str

    def as_dict(self) -> dict[str, str]:
        """JSON layout."""
        return {"name": self.name, "path": str(self.path), "remark": self.text}


@dataclass(frozen=True, slots=True)
class Pairs:
    """Generated clips with their references.

    Attributes:
        both: Those that belong together, by name.
        alone: Names that one of the sets lacks.
    """

    both: tuple[tuple[Sound, Sound], ...]
    alone: tuple[str, ...]


def file_facts(path: Path) -> list[object]:
    """What tells a file from others and from what it was before it changed.

    Raises:
        OSError: It is not there.
    """
    stat = path.stat()
    return [str(path.resolve()), stat.st_size, stat.st_mtime_ns]


def list_sounds(source: Path) -> tuple[Sound, ...]:
    """The sound files of a folder (with what is below it) or of a manifest, sorted by name.

    A manifest is JSON Lines: `{"id": "clip1", "path": "music/clip1.wav"}`, paths relative to it. In a folder hidden
    files and files that cannot be sound (texts, pictures, notes) are passed over; anything else is taken, and whether
    it can be read turns out later.

    Raises:
        RequestError: There is nothing there, or two files have one name.
    """
    if source.is_dir():
        sounds = [
            Sound(path.relative_to(source).with_suffix("").as_posix(), path)
            for path in source.rglob("*")
            if path.is_file()
            and path.suffix.lower() not in _NOT_SOUND
            and not any(part.startswith(".") for part in path.relative_to(source).parts)
        ]
    elif source.is_file():
        sounds = _manifest(source)
    else:
        raise RequestError(f"There is no folder or manifest {source}.")
    if not sounds:
        raise RequestError(f"{source} holds no sound files.")
    sounds.sort(key=lambda sound: (sound.name, sound.path))
    for one, other in pairwise(sounds):
        if one.name == other.name:
            raise RequestError(f"{one.path} and {other.path} have one name; rename one of them, or list them by id.")
    return tuple(sounds)


def _manifest(path: Path) -> list[Sound]:
    example = '{"id": "a", "path": "a.wav"}'
    sounds = []
    for number, entry in read_objects(path, example):
        if not {"id", "path"} <= entry.keys():
            raise RequestError(f"Line {number} of {path} is not like {example}.")
        sounds.append(Sound(str(entry["id"]), path.parent / str(entry["path"])))
    return sounds


def pair_sounds(generated: Sequence[Sound], reference: Sequence[Sound]) -> Pairs:
    """Clips of the same name, in the order of the generated ones."""
    partners = {sound.name: sound for sound in reference}
    both = tuple((sound, partners[sound.name]) for sound in generated if sound.name in partners)
    paired = {sound.name for sound, _ in both}
    alone = sorted({sound.name for sound in (*generated, *reference)} - paired)
    return Pairs(both, tuple(alone))


@dataclass(frozen=True, slots=True)
class Mono:
    """Sound in one channel.

    Attributes:
        samples: `(samples,)` float32.
        sample_rate: In Hz.
        remark: What is wrong with the file that could be read all the same, as the end of "the clip …"; mostly empty.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    remark: str = ""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.samples.size / self.sample_rate

    def cut(self, duration_s: float) -> Mono:
        """Its first `duration_s` seconds."""
        return replace(self, samples=self.samples[: round(duration_s * self.sample_rate)])

    def at(self, sample_rate: int) -> NDArray[np.float32]:
        """Its samples at another rate (soxr, high quality)."""
        from musiscene.media.audio import resample

        resampled: NDArray[np.float32] = resample(self.samples[None], self.sample_rate, sample_rate)[0]
        return resampled


def read_mono(path: Path, job: Job, limits: Limits | None = None) -> Mono:
    """The sound of any media file, its channels mixed to one, at its own rate.

    Raises:
        MusisceneError: It cannot be read; the message says why.
        Stopped: `job` was stopped.
    """
    clip = media.probe(path, limits)
    audio = media.read_audio(clip, mono=True, job=Job(stop=job.stop))
    samples = audio.waveform[0]
    if not samples.size:
        raise UnreadableMediaError(f"{path.name} holds no sound that can be decoded.")
    if audio.not_numbers and not samples.any():
        raise UnreadableMediaError(f"{path.name} holds nothing but samples that are no numbers (NaN or infinite).")
    return Mono(samples, audio.sample_rate, _remark(audio, media.missing_end_s(clip, audio.duration_s)))


def _remark(audio: media.Audio, missing_s: float) -> str:
    parts = []
    if missing_s:
        whole_s = audio.duration_s + missing_s
        parts.append(f"ends early: of the {whole_s:.2f} s that its header promises there are {audio.duration_s:.2f} s")
    if audio.not_numbers:
        parts.append(f"holds {audio.not_numbers} samples that are no numbers (NaN or infinite) and count as 0")
    return ", and ".join(parts)
