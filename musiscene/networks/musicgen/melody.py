"""Melody conditioning (Copet et al. 2023, section 2.3): the strongest pitch class of each moment of a reference.

The numbers are those of transformers' `MusicgenMelodyFeatureExtractor`, computed without torchaudio. Like it, this
hears the whole sound; the authors' own code first removes drums and bass with a network of its own (Demucs).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - its usual name
from torch import Tensor


@dataclass(frozen=True, slots=True)
class ChromaSettings:
    """How a melody is heard; the defaults are those of the published model.

    Attributes:
        sample_rate: In Hz.
        fft: Samples of a window.
        hop: Samples from one window to the next.
        classes: Pitch classes.
    """

    sample_rate: int = 32000
    fft: int = 16384
    hop: int = 4096
    classes: int = 12


def chroma(sound: Tensor, settings: ChromaSettings | None = None) -> Tensor:
    """One-hot pitch classes.

    Args:
        sound: `(rows, samples)` at the settings' rate.
        settings: The published model's by default.

    Returns:
        `(rows, moments, classes)` float32 of zeros with a single 1 each.
    """
    settings = settings or ChromaSettings()
    lacking = settings.fft - sound.shape[-1]
    if lacking > 0:
        sound = F.pad(sound, (lacking // 2, lacking - lacking // 2))
    window = torch.hann_window(settings.fft, device=sound.device)
    spectrum = torch.stft(
        sound, settings.fft, settings.hop, window=window, center=True, pad_mode="reflect", return_complex=True
    )
    power = (spectrum / window.square().sum().sqrt()).abs().square()
    strength = torch.einsum("cf,rft->rct", _filters(settings).to(sound.device), power)
    strength = F.normalize(strength, p=float("inf"), dim=-2, eps=1e-6)
    return F.one_hot(strength.argmax(-2), settings.classes).float()


@cache
def _filters(settings: ChromaSettings) -> Tensor:
    from transformers.audio_utils import chroma_filter_bank

    bank = chroma_filter_bank(
        num_frequency_bins=settings.fft, num_chroma=settings.classes, sampling_rate=settings.sample_rate, tuning=0
    )
    return torch.from_numpy(bank).float()


@torch.inference_mode()
def prefix(model: Any, text: Tensor, mask: Tensor, melody: Tensor | None) -> tuple[Tensor, Tensor]:
    """What stands before the codes of a melody model: the melody, then the words.

    Args:
        model: transformers' `MusicgenMelodyForConditionalGeneration`.
        text: `(rows, words, width)` states of the text encoder, projected to the decoder's width.
        mask: `(rows, words)`, 1 for words and 0 for padding.
        melody: `(rows, moments, classes)` from `chroma`; None for no melody, which is the first pitch class throughout.

    Returns:
        For the rows with text, and for those without: `(rows, places, width)` each.
    """
    rows, words, width = text.shape
    none = torch.zeros(rows, 1, model.config.num_chroma, device=text.device, dtype=text.dtype)
    none[..., 0] = 1
    told, untold = (_placed(model, heard) for heard in (none if melody is None else melody.to(text), none))
    return (
        torch.cat([told, text * mask[..., None]], dim=1),
        torch.cat([untold, text.new_zeros(rows, words, width)], dim=1),
    )


def _placed(model: Any, melody: Tensor) -> Tensor:
    """A melody in the decoder's width, repeated or cut to the model's number of moments."""
    places = model.config.chroma_length
    melody = melody.repeat(1, -(-places // melody.shape[1]), 1)[:, :places]
    if hasattr(model, "audio_enc_to_dec_proj"):
        melody = model.audio_enc_to_dec_proj(melody)
    return melody
