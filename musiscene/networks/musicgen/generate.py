"""The decode loop: from encoded texts to audio codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from musiscene.errors import RequestError
from musiscene.networks.musicgen.decoder import Memory, MusicgenDecoder
from musiscene.networks.musicgen.delay import DelayPattern
from musiscene.networks.musicgen.sampling import Sampling, draw

Progress = Callable[[int, int], None]
"""Is told (steps done, steps in all) after each step; what it raises ends the loop."""

_BUCKET = 256
"""A captured step looks at the memory up to the next multiple of this; one graph serves that many steps."""


@torch.inference_mode()
def generate_codes(
    decoder: MusicgenDecoder,
    text: Tensor,
    mask: Tensor,
    frames: int,
    *,
    seeds: Sequence[int],
    sampling: Sampling | None = None,
    prompt: Tensor | None = None,
    progress: Progress | None = None,
    capture: bool | None = None,
) -> Tensor:
    """Write `frames` frames of codes for each text.

    Args:
        decoder: The language model.
        text: `(rows, words, width)` states of the text encoder, projected to the decoder's width.
        mask: `(rows, words)`, 1 for words and 0 for padding.
        frames: Audio frames wanted (50 a second), those of `prompt` included.
        seeds: One for each row; a row's codes depend on its own seed and text alone.
        sampling: How codes are drawn.
        prompt: `(rows, codebooks, known)` codes to continue from; kept as they are.
        progress: Told after each step.
        capture: Run the step as a captured CUDA graph; by default wherever there is CUDA.

    Returns:
        Codes `(rows, codebooks, frames)` int64.

    Raises:
        RequestError: A size does not fit.
    """
    sampling = sampling or Sampling()
    rows = text.shape[0]
    known = 0 if prompt is None else prompt.shape[-1]
    if len(seeds) != rows:
        raise RequestError(f"{rows} texts need {rows} seeds, not {len(seeds)}.")
    if not known < frames:
        raise RequestError(f"There is nothing to write: {frames} frames are wanted and {known} are known.")
    pattern = DelayPattern(frames, decoder.codebooks, decoder.channels, decoder.pad)
    if prompt is None:
        prompt = torch.zeros(rows, decoder.codebooks, 0, dtype=torch.int64, device=decoder.device)
    tokens, free = pattern.delayed(prompt.to(decoder.device))
    guided = sampling.guidance != 1
    memory = decoder.memory(text, mask, pattern.length, guidance=guided)
    vectors = decoder.positions(pattern.length)
    if capture is None:
        capture = decoder.device.type == "cuda"
    stepper = (_CapturedSteps if capture else _EagerSteps)(decoder, memory, vectors, pattern.length)
    seed_row = torch.tensor(list(seeds), dtype=torch.int64, device=decoder.device)
    for position in range(pattern.length - 1):
        if position < known:  # these are known in every codebook's past: one pass over all of them
            continue
        first = 0 if position == known else position
        new = tokens[:, :, first : position + 1]
        logits = stepper(torch.cat([new, new]) if guided else new, first)
        if guided:
            told, untold = logits[:rows], logits[rows:]
            logits = untold + (told - untold) * sampling.guidance
        step = torch.full((), position + 1, dtype=torch.int64, device=decoder.device)
        drawn = draw(logits, sampling, seed_row, step)
        tokens[:, :, position + 1] = torch.where(free[:, :, position + 1], drawn, tokens[:, :, position + 1])
        if progress:
            progress(position + 1 - known, pattern.length - 1 - known)
    return pattern.codes(tokens)


class _EagerSteps:
    """Runs each step as it comes; looks at no more of the memory than is written."""

    def __init__(self, decoder: MusicgenDecoder, memory: Memory, vectors: Tensor, length: int) -> None:
        self.decoder, self.memory, self.vectors, self.length = decoder, memory, vectors, length

    def __call__(self, tokens: Tensor, first: int) -> Tensor:
        new = tokens.shape[-1]
        position = torch.arange(first, first + new, device=tokens.device)
        mask = None if new == 1 else self._causal(position, first + new)
        return self.decoder.step(tokens, position, self.vectors, self.memory, first + new, mask)

    def _causal(self, position: Tensor, reach: int) -> Tensor:
        hidden = torch.arange(reach, device=position.device)[None, :] > position[:, None]
        return torch.zeros(hidden.shape, dtype=self.decoder.dtype, device=position.device).masked_fill_(
            hidden, -torch.inf
        )


class _CapturedSteps(_EagerSteps):
    """Runs single steps as CUDA graphs, one for each bucket of the memory; prompts run eagerly."""

    def __init__(self, decoder: MusicgenDecoder, memory: Memory, vectors: Tensor, length: int) -> None:
        super().__init__(decoder, memory, vectors, length)
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}
        self._tokens = torch.zeros(memory.rows, decoder.codebooks, 1, dtype=torch.int64, device=decoder.device)
        self._position = torch.zeros(1, dtype=torch.int64, device=decoder.device)

    def __call__(self, tokens: Tensor, first: int) -> Tensor:
        if tokens.shape[-1] > 1:
            return super().__call__(tokens, first)
        self._tokens.copy_(tokens)
        self._position.fill_(first)
        reach = min(self.length, (first // _BUCKET + 1) * _BUCKET)
        if reach not in self._graphs:
            self._graphs[reach] = self._captured(reach)
        graph, logits = self._graphs[reach]
        graph.replay()
        return logits

    def _captured(self, reach: int) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):  # libraries set themselves up on first use, which must not be captured
            self._fixed(reach)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = self._fixed(reach)
        return graph, logits

    def _fixed(self, reach: int) -> Tensor:
        """The step with shapes that do not depend on the position: what is not written yet is masked."""
        mask = self._causal(self._position, reach)
        return self.decoder.step(self._tokens, self._position, self.vectors, self.memory, reach, mask)
