"""The first seconds of a soundtrack, to be listened to while the rest of it is written."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from musiscene import media
from musiscene.types import Waveform

LONGEST_S = 60.0
"""So much of a soundtrack is kept before it is finished; who has listened for a minute can wait for the rest."""


@dataclass
class Beginning:
    """What is written so far of one soundtrack.

    Attributes:
        sample_rate: In Hz.
        pieces: In their order, each `(channels, samples)`.
        seconds: Length of all pieces.
    """

    sample_rate: int
    pieces: list[Waveform] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, piece: Waveform) -> None:
        """Take the next piece; what comes after `LONGEST_S` is left out."""
        if self.seconds < LONGEST_S:
            self.pieces.append(piece)
            self.seconds += piece.shape[-1] / self.sample_rate

    def peaks(self, duration_s: float, points: int) -> list[int]:
        """Envelope in `points` points over `duration_s`, 0 to 100 of its own peak; what is not written is 0."""
        known = max(1, min(points, round(points * self.seconds / max(duration_s, self.seconds))))
        heights = np.abs(media.waveform_envelope(np.concatenate(self.pieces, axis=-1), known)).max(axis=1)
        top = float(heights.max()) or 1.0
        return [round(100 * float(height) / top) for height in heights] + [0] * (points - known)


def write_beginning(pieces: list[Waveform], sample_rate: int, folder: Path, name: str) -> Path:
    """A WAV file of `pieces`, as loud as the finished soundtracks are; the file's name tells its length.

    Raises:
        StorageError: The disk refused.
    """
    waveform = np.concatenate(pieces, axis=-1)
    path = folder / f"{name}-{waveform.shape[-1]}.wav"
    if not path.is_file():
        levelled, _ = media.normalize_loudness(waveform, sample_rate)
        folder.mkdir(parents=True, exist_ok=True)
        media.write_wav(path, levelled, sample_rate)
    return path
