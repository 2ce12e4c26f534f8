"""The decode loop: from encoded texts to audio codes."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from musiscene.errors import RequestError
from musiscene.networks.musicgen.decoder import Memory, MusicgenDecoder
from musiscene.networks.musicgen.delay import DelayPattern
from musiscene.networks.musicgen.sampling import Sampling, draw

Progress = Callable[[int, int], None]
"""Is told (steps done, steps in all) after each step; what it raises ends the loop."""

Written = Callable[[Tensor], None]
"""Is given the codes `(rows, codebooks, frames)` that were written since it was last told."""

_BUCKET = 256
"""A captured step looks at the memory up to the next multiple of this; one graph serves that many steps."""

_AHEAD = 8
"""Steps that the host may be ahead of the device: enough to keep it busy, few enough to stop at once."""


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
    prefix: tuple[Tensor, Tensor] | None = None,
    progress: Progress | None = None,
    written: Written | None = None,
    written_every: int = 250,
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
        prefix: What stands before the codes in the melody models (see `melody.prefix`), for the rows and for their
            counterparts without text: `(rows, places, width)` each.
        progress: Told after each step.
        written: Given the codes as they are written (those of `prompt` are not).
        written_every: Frames that it is given at once.
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
    if decoder.looks_at_text == (prefix is not None):
        raise RequestError("A melody model needs a prefix before the codes, and another model cannot read one.")
    pattern = DelayPattern(frames, decoder.codebooks, decoder.channels, decoder.pad)
    if prompt is None:
        prompt = torch.zeros(rows, decoder.codebooks, 0, dtype=torch.int64, device=decoder.device)
    loop = _Loop(decoder, text, mask, prefix, pattern, prompt.to(decoder.device), seeds, sampling)
    capture = decoder.device.type == "cuda" if capture is None else capture
    advance = _Captured(loop) if capture else loop.advance
    pace = _Pace(decoder.device)
    steps, told, delay = pattern.length - 1 - known, known, pattern.delays[-1]
    for done in range(1, steps + 1):
        if done == 1:
            loop.begin(known)
        else:
            advance(known + done - 1)
        pace.wait()
        if progress:
            progress(done, steps)
        complete = known + done - delay
        if written and complete > told and (complete - told >= written_every or done == steps):
            written(pattern.codes(loop.tokens)[..., told:complete])
            told = complete
    return pattern.codes(loop.tokens)


class _Loop:
    """What one run of the loop carries; `advance` writes one column of the delayed sequence."""

    def __init__(
        self,
        decoder: MusicgenDecoder,
        text: Tensor,
        mask: Tensor,
        prefix: tuple[Tensor, Tensor] | None,
        pattern: DelayPattern,
        prompt: Tensor,
        seeds: Sequence[int],
        sampling: Sampling,
    ) -> None:
        self.decoder, self.sampling = decoder, sampling
        self.guided = sampling.guidance != 1
        self.tokens, self.free = pattern.delayed(prompt)
        self.prefix: Tensor | None = None
        if prefix is not None:
            self.prefix = (torch.cat(prefix) if self.guided else prefix[0]).to(decoder.dtype)
        self.before = 0 if self.prefix is None else self.prefix.shape[1]
        self.length = self.before + pattern.length
        self.memory: Memory = decoder.memory(text, mask, self.length, guidance=self.guided)
        self.vectors = decoder.positions(self.length)
        self.seeds = torch.tensor(list(seeds), dtype=torch.int64, device=decoder.device)
        self.column = torch.zeros(1, dtype=torch.int64, device=decoder.device)
        """The last column that is known; on the device, where a graph can count it up."""

    def begin(self, known: int) -> None:
        """Read the prefix and all columns up to `known` at once; write the one after."""
        self.column.fill_(known)
        x = self._doubled(self.decoder.embedded(self.tokens[:, :, : known + 1]))
        if self.prefix is not None:
            x = torch.cat([self.prefix, x], dim=1)
        position = torch.arange(x.shape[1], device=x.device)
        causal = self._causal(position, x.shape[1]) if x.shape[1] > 1 else None
        self._write(self.decoder.read(x, position, self.vectors, self.memory, x.shape[1], causal))

    def advance(self, column: int) -> None:
        """Read `column` and write the one after; looks at no more of the memory than is written."""
        self._step(self.before + column + 1, masked=False)

    def advance_within(self, reach: int) -> None:
        """The same in shapes that do not depend on the column: what is not written yet is masked."""
        self._step(reach, masked=True)

    def _step(self, reach: int, *, masked: bool) -> None:
        new = self.tokens.index_select(2, self.column)
        position = self.column + self.before
        hidden = self._causal(position, reach) if masked else None
        self._write(self.decoder.step(self._doubled(new), position, self.vectors, self.memory, reach, hidden))

    def _write(self, logits: Tensor) -> None:
        if self.guided:
            told, untold = logits.chunk(2)
            logits = untold + (told - untold) * self.sampling.guidance
        self.column.add_(1)
        drawn = draw(logits, self.sampling, self.seeds, self.column)[..., None]
        kept = self.tokens.index_select(2, self.column)
        self.tokens.index_copy_(2, self.column, torch.where(self.free.index_select(2, self.column), drawn, kept))

    def _doubled(self, rows: Tensor) -> Tensor:
        return torch.cat([rows, rows]) if self.guided else rows

    def _causal(self, position: Tensor, reach: int) -> Tensor:
        hidden = torch.arange(reach, device=position.device)[None, :] > position[:, None]
        return torch.zeros(hidden.shape, dtype=self.decoder.dtype, device=position.device).masked_fill_(
            hidden, -torch.inf
        )


class _Captured:
    """Runs `advance_within` as CUDA graphs, one for each bucket of the memory; a step is one launch."""

    def __init__(self, loop: _Loop) -> None:
        self._loop = loop
        self._graphs: dict[int, torch.cuda.CUDAGraph] = {}

    def __call__(self, column: int) -> None:
        loop = self._loop
        reach = min(loop.length, ((loop.before + column) // _BUCKET + 1) * _BUCKET)
        if reach not in self._graphs:
            self._graphs[reach] = self._captured(reach)
        self._graphs[reach].replay()

    def _captured(self, reach: int) -> torch.cuda.CUDAGraph:
        loop = self._loop
        column, tokens = loop.column.clone(), loop.tokens.clone()
        if not self._graphs:
            side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):  # libraries set themselves up on first use, which must not be captured
                loop.advance_within(reach)
            torch.cuda.current_stream().wait_stream(side)
            loop.column.copy_(column)
            loop.tokens.copy_(tokens)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):  # nothing runs while it is captured
            loop.advance_within(reach)
        return graph


class _Pace:
    """Keeps the host a few steps ahead of the device, so that progress is true and a stop comes soon."""

    def __init__(self, device: torch.device) -> None:
        self._events: deque[torch.cuda.Event] | None = deque() if device.type == "cuda" else None

    def wait(self) -> None:
        """Called after each step."""
        if self._events is None:
            return
        event = torch.cuda.Event()  # type: ignore[no-untyped-call]
        event.record()
        self._events.append(event)
        if len(self._events) > _AHEAD:
            self._events.popleft().synchronize()
