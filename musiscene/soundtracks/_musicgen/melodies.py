"""The tune that a melody model follows: a clip's sound, heard window by window."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from musiscene.errors import RequestError
from musiscene.media import read_audio
from musiscene.networks.musicgen.melody import ChromaSettings, chroma
from musiscene.soundtracks._musicgen.windows import WINDOW_S
from musiscene.types import Clip, Job, Waveform


def settings_of(model: Any, given: dict[str, int] | None) -> ChromaSettings:
    """How this model hears: what its files say, else the published model's ways at the codec's rate."""
    plain = {"sample_rate": int(model.audio_encoder.config.sampling_rate), "classes": int(model.config.num_chroma)}
    return ChromaSettings(**(plain | (given or {})))


def listen(clip: Clip, settings: ChromaSettings, duration_s: float, job: Job) -> Waveform:
    """The sound to follow, `(1, samples)` at the settings' rate.

    Raises:
        MissingStreamError: There is no sound.
        RequestError: There is nothing to hear in it.
    """
    sound = read_audio(
        clip,
        sample_rate=settings.sample_rate,
        mono=True,
        duration_s=max(duration_s, WINDOW_S),  # a window is heard whole, as in training, however short the music
        job=Job(stop=job.stop),
    ).waveform
    if not sound.size or not np.abs(sound).max() > 0:
        raise RequestError(f"{clip.path.name} is silent, so there is no tune to follow in it.")
    return sound


def heard(sound: Waveform, start_s: float, settings: ChromaSettings) -> Tensor:
    """The pitch classes `(1, moments, classes)` of a window that begins at `start_s`; a shorter tune begins anew."""
    first = round(start_s * settings.sample_rate)
    length = round(WINDOW_S * settings.sample_rate)
    if first == 0:
        window = sound[0, :length]
    else:
        window = np.take(sound[0], range(first, first + length), mode="wrap")
    return chroma(torch.from_numpy(np.ascontiguousarray(window))[None], settings)
