"""EnCodec's decoder on long inputs and on codes that still come: exact, in bounded memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

CHUNK_FRAMES = 750
"""Frames whose samples are made at once (15 s); the last layers hold 64 channels of them at the full rate."""

CONTEXT_FRAMES = 8
"""Frames looked at on both sides of a chunk at least. In the published codec the convolution before the LSTM sees 3;
those after it fewer than 2, since the first looks one frame to either side and each further one at a finer rate."""

_EVERYTHING = 2**40


def context(config: Any) -> int:
    """Frames that a codec's convolutions see to either side at most; all of them where it norms over time.

    Args:
        config: Its `EncodecConfig`.
    """
    if config.norm_type == "time_group_norm":
        return _EVERYTHING
    widest = (config.residual_kernel_size - 1) * sum(
        config.dilation_growth_rate**layer for layer in range(config.num_residual_layers)
    )
    rate, after = 1, 0.0
    for upsampling in config.upsampling_ratios:
        after += 1 / rate
        rate *= upsampling
        after += widest / rate
    after += (config.last_kernel_size - 1) / rate
    seen: int = max(CONTEXT_FRAMES, config.kernel_size - 1, math.ceil(after) + 1)
    return seen


def settled(codec: Any) -> Any:
    """`codec`, already on its device, changed in place so that the host waits for nothing while it decodes.

    The size and step of each convolution are tensors of the module, and reading them back from a GPU stops the host
    several times in every layer: they are kept on the host.
    """
    for part in codec.modules():
        for name in ("stride", "kernel_size", "padding_total"):
            if isinstance(part._buffers.get(name), Tensor):
                part._buffers[name] = part._buffers[name].cpu()
    return codec


class CodecStream:
    """Samples of codes as they come.

    The LSTM remembers everything, so its state is carried on. The convolutions before and after it see a few frames to
    either side, so samples are given out once the frames that follow are known. All pieces together are, sample by
    sample, what decoding at once gives.

    Args:
        codec: transformers' `EncodecModel`.
        channels: 1 or 2; the codebooks of two channels are interleaved.
        check: Called between layers; what it raises ends the work.
    """

    def __init__(self, codec: Any, channels: int = 1, check: Callable[[], None] = lambda: None) -> None:
        self.codec, self.channels, self.check = codec, channels, check
        self.samples_per_frame = math.prod(codec.config.upsampling_ratios)
        self._context = context(codec.config)
        self._chunk = max(CHUNK_FRAMES, self._context)
        self._vectors: Tensor | None = None
        """Quantised frames from `_first` on."""
        self._first = 0
        self._remembered: Tensor | None = None
        """What the LSTM made of the frames from `_from` on."""
        self._from = 0
        self._state: tuple[Tensor, Tensor] | None = None
        self._given = 0

    @torch.inference_mode()
    def push(self, codes: Tensor, *, last: bool = False) -> Tensor:
        """Take codes; give out the samples that they complete.

        Args:
            codes: `(rows, codebooks, frames)`.
            last: Nothing follows.

        Returns:
            `(rows, channels, samples)` float32; of no samples while too little is known.
        """
        if self.channels == 2:
            codes = torch.cat([codes[:, ::2], codes[:, 1::2]])
        vectors = self.codec.quantizer.decode(codes.transpose(0, 1))
        self._vectors = vectors if self._vectors is None else torch.cat([self._vectors, vectors], dim=-1)
        self._remember(last)
        samples = self._samples(last)
        if self.channels == 2:
            samples = torch.cat(samples.chunk(2), dim=1)
        return samples

    def _remember(self, last: bool) -> None:
        """Convolution and LSTM over the frames whose neighbours are known."""
        assert self._vectors is not None
        convolution, memory = list(self.codec.decoder.layers)[:2]
        done = self._from + (0 if self._remembered is None else self._remembered.shape[-1])
        known = self._first + self._vectors.shape[-1]
        end = known if last else known - self._context
        if end <= done:
            return
        x = convolution(self._vectors)[..., done - self._first : end - self._first].permute(2, 0, 1)
        y, self._state = memory.lstm(x, self._state)
        y = (x + y).permute(1, 2, 0)
        self._remembered = y if self._remembered is None else torch.cat([self._remembered, y], dim=-1)
        keep = max(self._first, end - self._context)
        self._vectors, self._first = self._vectors[..., keep - self._first :], keep

    def _samples(self, last: bool) -> Tensor:
        """What follows the LSTM, in chunks that overlap by more than it can see."""
        assert self._vectors is not None
        ratio = self.samples_per_frame
        pieces = []
        if self._remembered is not None:
            known = self._from + self._remembered.shape[-1]
            final = known if last else known - self._context
            for start in range(self._given, final, self._chunk):
                end = min(start + self._chunk, final)
                low, high = max(self._from, start - self._context), min(known, end + self._context)
                piece = self._remembered[..., low - self._from : high - self._from]
                for layer in list(self.codec.decoder.layers)[2:]:
                    self.check()
                    piece = layer(piece)
                pieces.append(piece[..., (start - low) * ratio : (end - low) * ratio].float())
                self._given = end
            keep = max(self._from, self._given - self._context)
            self._remembered, self._from = self._remembered[..., keep - self._from :], keep
        if not pieces:
            return self._vectors.new_zeros(
                self._vectors.shape[0], self.codec.config.audio_channels, 0, dtype=torch.float32
            )
        return torch.cat(pieces, dim=-1)


def decode(codec: Any, codes: Tensor, channels: int = 1) -> Tensor:
    """Samples `(rows, channels, samples)` float32 of all `codes` `(rows, codebooks, frames)` at once."""
    return CodecStream(codec, channels).push(codes, last=True)
