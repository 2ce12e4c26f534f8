"""The decode loop: from encoded texts to audio codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from musiscene.errors import BackendUnavailableError, RequestError
from musiscene.networks.musicgen.capture import Captured, Pace
from musiscene.networks.musicgen.decoder import Memory, MusicgenDecoder
from musiscene.networks.musicgen.delay import DelayPattern
from musiscene.networks.musicgen.sampling import Sampling, chosen, gumbel

Progress = Callable[[int, int], None]
"""Is told (steps done, steps in all) after each step; what it raises ends the loop."""

Written = Callable[[Tensor], None]
"""Is given the codes `(rows, codebooks, frames)` that were written since it was last told."""

_NOISY_STEPS = 64
_NOISY_NUMBERS = 2**22
"""On a GPU noise is made for so many steps at once, and no more than so many numbers: it takes some eighty small
kernels, a tenth of a captured step. On a processor it is made step by step, which stays in its cache."""


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
        BackendUnavailableError: The network computes no numbers (NaN).
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
    steps, told, delay = pattern.length - 1 - known, known, pattern.delays[-1]
    advance = Captured(loop, last=known + steps - 1) if capture else loop.advance
    pace = Pace(decoder.device)
    for done in range(1, steps + 1):
        loop.prepare(known + done)
        if done == 1:
            _check(loop.begin(known))  # once a window the host waits for a value: here, where nothing is queued yet
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


def _check(logits: Tensor) -> None:
    """Refuse what would be drawn from as if it were music: broken weights, or numbers too large for the precision."""
    if not bool(logits.isfinite().all()):
        raise BackendUnavailableError(
            f"MusicGen's weights give no numbers in {str(logits.dtype).removeprefix('torch.')}. Run `musiscene weights "
            "verify`; if they are right, set MUSISCENE_MUSICGEN_PRECISION to float32."
        )


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
        self.memory: Memory = decoder.memory(text, mask, self.before + pattern.length, guidance=self.guided)
        self.length = self.memory.length
        self.vectors = decoder.positions(self.length)
        self.seeds = torch.tensor(list(seeds), dtype=torch.int64, device=decoder.device)
        self.column = torch.zeros(1, dtype=torch.int64, device=decoder.device)
        """The last column that is known; on the device, where a graph can count it up."""
        numbers = len(seeds) * decoder.codebooks * decoder.codes
        self.at_once = max(1, min(_NOISY_STEPS, _NOISY_NUMBERS // numbers)) if decoder.device.type == "cuda" else 1
        self.noise: Tensor | None = None
        """That of the columns from a multiple of `at_once` on: `(at_once, rows, codebooks, codes)`."""
        self._noise_from = -1

    def prepare(self, column: int) -> None:
        """Make the noise with which `column` will be drawn, unless it is there; before every step."""
        first = column - column % self.at_once
        if self.sampling.temperature == 0 or first == self._noise_from:
            return
        columns = torch.arange(first, first + self.at_once, device=self.seeds.device)[:, None]
        noise = gumbel(self.seeds, columns, self.decoder.codebooks, self.decoder.codes)
        self.noise = noise if self.noise is None else self.noise.copy_(noise)  # a graph knows its address
        self._noise_from = first

    def begin(self, known: int) -> Tensor:
        """Read the prefix and all columns up to `known` at once; write the one after. Returns its logits."""
        self.column.fill_(known)
        x = self.decoder.embedded(self.tokens[:, :, : known + 1])
        if self.prefix is not None:
            x = torch.cat([self.prefix, x.repeat(self.prefix.shape[0] // x.shape[0], 1, 1)], dim=1)
        position = torch.arange(x.shape[1], device=x.device)
        logits = self.decoder.read(x, position, self.vectors, self.memory, x.shape[1], masked=False)
        self._write(logits)
        return logits

    def advance(self, column: int) -> None:
        """Read `column` and write the one after; looks at no more of the memory than is written."""
        self._step(self.before + column + 1, masked=False)

    def advance_within(self, reach: int) -> None:
        """The same in shapes that do not depend on the column: what is not written yet is masked."""
        self._step(reach, masked=True)

    def _step(self, reach: int, *, masked: bool) -> None:
        new = self.tokens.index_select(2, self.column)
        position = self.column + self.before if self.before else self.column
        self._write(self.decoder.step(new, position, self.vectors, self.memory, reach, masked=masked))

    def _write(self, logits: Tensor) -> None:
        if self.guided:
            told, untold = logits.float().chunk(2)
            logits = torch.lerp(untold, told, self.sampling.guidance)
        self.column.add_(1)
        noise = None
        if self.noise is not None:
            noise = self.noise.index_select(0, self.column % self.at_once).squeeze(0)
        drawn = chosen(logits, self.sampling, noise)[..., None]
        kept = self.tokens.index_select(2, self.column)
        self.tokens.index_copy_(2, self.column, torch.where(self.free.index_select(2, self.column), drawn, kept))
