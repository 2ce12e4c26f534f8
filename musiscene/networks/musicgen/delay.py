"""The delay pattern: codebook k of a frame is predicted k steps after codebook 0 (Copet et al. 2023, section 2.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class DelayPattern:
    """Where each code of `frames` audio frames stands in the sequence that the language model writes.

    Position p of codebook k holds the code of frame `p - 1 - delay(k)`; positions without a frame hold the padding
    token. Position 0 is the start. The two channels of a stereo model are interleaved and share their delay.
    """

    frames: int
    codebooks: int
    channels: int = 1
    pad: int = 2048

    @property
    def delays(self) -> tuple[int, ...]:
        """Delay of each codebook, in steps."""
        return tuple(k // self.channels for k in range(self.codebooks))

    @property
    def length(self) -> int:
        """Positions of the sequence, the start included."""
        return 1 + self.frames + self.delays[-1]

    def delayed(self, codes: Tensor) -> tuple[Tensor, Tensor]:
        """The sequence with the codes known so far in their places.

        Args:
            codes: `(rows, codebooks, known)` codes of the first `known` frames; `known` may be 0.

        Returns:
            Tokens `(rows, codebooks, length)`, and a mask of that shape, true where a code is to be predicted.
        """
        rows, _, known = codes.shape
        tokens = codes.new_full((rows, self.codebooks, self.length), self.pad)
        free = torch.zeros_like(tokens, dtype=torch.bool)
        for k, delay in enumerate(self.delays):
            tokens[:, k, 1 + delay : 1 + delay + known] = codes[:, k]
            free[:, k, 1 + delay + known : 1 + delay + self.frames] = True
        return tokens, free

    def codes(self, tokens: Tensor) -> Tensor:
        """The codes `(rows, codebooks, frames)` of a full sequence `(rows, codebooks, length)`."""
        return torch.stack(
            [tokens[:, k, 1 + delay : 1 + delay + self.frames] for k, delay in enumerate(self.delays)], dim=1
        )
