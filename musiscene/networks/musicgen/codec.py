"""EnCodec's decoder on long inputs: exact, in bounded memory."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK_FRAMES = 750
"""Frames whose samples are made at once (15 s); the last layers hold 64 channels of them at the full rate."""

_CONTEXT_FRAMES = 24
"""Frames looked at on both sides of a chunk; more than the convolutions after the LSTM can see (tested)."""


@torch.inference_mode()
def decode(codec: Any, codes: Tensor, channels: int = 1) -> Tensor:
    """Samples of `codes`.

    The quantiser, the first convolution and the LSTM run over the whole length, since an LSTM remembers everything;
    what follows sees a few frames to either side, so it runs in chunks that overlap by more than that.

    Args:
        codec: transformers' `EncodecModel`.
        codes: `(rows, codebooks, frames)`; the codebooks of two channels are interleaved.
        channels: 1 or 2.

    Returns:
        `(rows, channels, samples)` float32.
    """
    if channels == 2:
        left, right = decode(codec, codes[:, ::2]), decode(codec, codes[:, 1::2])
        return torch.cat([left, right], dim=1)
    hidden = codec.quantizer.decode(codes.transpose(0, 1))
    layers = list(codec.decoder.layers)
    for layer in layers[:2]:
        hidden = layer(hidden)
    frames = hidden.shape[-1]
    ratio = 1
    for upsampling in codec.config.upsampling_ratios:
        ratio *= upsampling
    pieces = []
    for start in range(0, frames, CHUNK_FRAMES):
        end = min(start + CHUNK_FRAMES, frames)
        low, high = max(0, start - _CONTEXT_FRAMES), min(frames, end + _CONTEXT_FRAMES)
        piece = hidden[..., low:high]
        for layer in layers[2:]:
            piece = layer(piece)
        pieces.append(piece[..., (start - low) * ratio : (end - low) * ratio].float())
    return torch.cat(pieces, dim=-1)
