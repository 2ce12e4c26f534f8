"""Writing answers: a batch of prompts, a static cache, seeded nucleus sampling, one token per row and step."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from musiscene.networks.capturing import aside, recorded, side_stream
from musiscene.networks.mu_llama.decoder import Cache, Decoder, TunedRows, hidden

_LOG = logging.getLogger(__name__)
EOS = 2
_WORTH_SHARING = 16
"""Shorter common beginnings are not worth a pass of their own."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is drawn; the defaults are those of MusiScene's scripts.

    Attributes:
        temperature: 0 takes the likeliest token.
        top_p: Nucleus: tokens are kept while the mass before them is at most this.
        max_new: Most tokens per answer.
    """

    temperature: float = 0.6
    top_p: float = 0.8
    max_new: int = 512


GREEDY = Sampling(temperature=0.0)


def nucleus(logits: Tensor, temperature: float, top_p: float) -> tuple[Tensor, Tensor]:
    """The sampling distribution, likeliest token first (Holtzman et al., 2020).

    Args:
        logits: `(batch, vocabulary)`.
        temperature: Above 0.
        top_p: See `Sampling`.

    Returns:
        Probabilities and token ids, `(batch, vocabulary)` each.
    """
    probabilities, tokens = torch.softmax(logits / temperature, dim=-1).sort(dim=-1, descending=True, stable=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    probabilities = probabilities.masked_fill(before > top_p, 0.0)
    return probabilities / probabilities.sum(dim=-1, keepdim=True), tokens


def choose(logits: Tensor, sampling: Sampling, uniform: Tensor) -> Tensor:
    """The next token of each row, `(batch,)`.

    Args:
        logits: `(batch, vocabulary)`.
        sampling: How to draw.
        uniform: One number in [0, 1) for each row: the draw is the inverse of the cumulative distribution, so a row's
            answer depends on its own numbers only.
    """
    if sampling.temperature <= 0:
        return logits.argmax(dim=-1)
    probabilities, tokens = nucleus(logits, sampling.temperature, sampling.top_p)
    place = (probabilities.cumsum(dim=-1) <= uniform[:, None]).sum(dim=-1, keepdim=True)
    last = (probabilities > 0).sum(dim=-1, keepdim=True) - 1  # rounding may leave the sum just below 1
    return tokens.gather(1, torch.minimum(place, last)).squeeze(1)


@torch.inference_mode()
def stream(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    *,
    music_terms: Tensor | None = None,
    tuned: TunedRows | None = None,
    sampling: Sampling = GREEDY,
    seeds: Sequence[int] = (),
    eos: int = EOS,
    graph: bool | None = None,
) -> Iterator[list[int | None]]:
    """Generate, yielding after each step one token per row; None for rows that have ended.

    Rows of unequal length are padded and masked. What all prompts begin with is read once, if all rows hear the same:
    the template is most of a prompt. Whoever iterates may stop at any step.

    Args:
        decoder: The network.
        prompts: Token ids, with the beginning-of-sequence token.
        music_terms: `(batch, prefix_layers, dim)` from `Listener.terms`.
        tuned: Rows that answer by another tuning.
        sampling: How tokens are drawn.
        seeds: One for each row; 0 where absent.
        eos: The token that ends an answer; it is not yielded.
        graph: Capture the step as a CUDA graph; None does so wherever CUDA is.
    """
    device = decoder.norm.weight.device
    batch, longest = len(prompts), max(len(prompt) for prompt in prompts)
    numbers = _uniforms(seeds, batch, sampling.max_new).to(device)
    terms = None if music_terms is None else music_terms.to(decoder.norm.weight)
    use_graph = device.type == "cuda" if graph is None else graph
    cache = decoder.new_cache(batch, _aligned(longest + sampling.max_new))
    layout = Layout.of(_shared_length(prompts, terms, tuned), [longest - len(p) for p in prompts], device)
    logits = _read_prompts(decoder, prompts, cache, layout, terms, tuned)
    step = Step(decoder, cache, layout, terms, tuned, longest, captured=use_graph)
    running = [True] * batch
    for index in range(sampling.max_new):
        chosen = choose(logits, sampling, numbers[:, index])
        known = _Known(chosen)
        if step.ahead and index + 1 < sampling.max_new:
            logits = step(chosen)
        ids = known.tolist()
        running = [alive and token != eos for alive, token in zip(running, ids, strict=True)]
        if not any(running):
            return
        yield [token if alive else None for token, alive in zip(ids, running, strict=True)]
        if not step.ahead and index + 1 < sampling.max_new:
            logits = step(chosen)


def generate(decoder: Decoder, prompts: Sequence[Sequence[int]], **options: object) -> list[list[int]]:
    """All of `stream`'s tokens, row by row."""
    answers: list[list[int]] = [[] for _ in prompts]
    for tokens in stream(decoder, prompts, **options):  # type: ignore[arg-type]
        for answer, token in zip(answers, tokens, strict=True):
            if token is not None:
                answer.append(token)
    return answers


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows lie in the cache: a shared beginning, then padding, then the rest of each, all ending together.

    Attributes:
        shared: Length of the shared beginning; 0 when there is none.
        pads: Padding of each row.
        padding: The same where the network is, `(batch,)`.
    """

    shared: int
    pads: tuple[int, ...]
    padding: Tensor

    @classmethod
    def of(cls, shared: int, pads: Sequence[int], device: torch.device | str = "cpu") -> Layout:
        """The layout of rows with these paddings."""
        return cls(shared, tuple(pads), torch.tensor(pads, device=device))

    def positions(self, slots: Tensor) -> Tensor:
        """Rotary positions of cache places behind the shared beginning, `(batch, len(slots))`."""
        return (slots[None] - self.padding[:, None]).clamp(min=0)

    def visible(self, columns: Tensor) -> Tensor:
        """Whether a cache place holds a token, `(batch, len(columns))`."""
        return (columns < self.shared) | (columns >= self.shared + self.padding[:, None])


class Step:
    """One decoding step with static shapes: the place in the cache and the position are tensors.

    Eagerly only the part of the cache in use is looked at. Captured as a CUDA graph, the whole cache is, behind a
    mask, and the host launches one graph instead of some hundreds of kernels.
    """

    def __init__(
        self,
        decoder: Decoder,
        cache: Cache,
        layout: Layout,
        terms: Tensor | None,
        tuned: TunedRows | None,
        start: int,
        *,
        captured: bool = False,
    ) -> None:
        self.decoder, self.cache, self.layout, self.terms, self.tuned = decoder, cache, layout, terms, tuned
        self.start, self.padded = start, any(layout.pads)
        device = cache.pairs.device
        batch, self.length = cache.shape
        self.slots = torch.tensor([start], device=device)
        columns = torch.arange(self.length, device=device)
        seen = layout.visible(columns) & (columns < start)
        self.mask = hidden(seen[:, None, None], cache.pairs.dtype)  # every step uncovers its own place
        self.graph: torch.cuda.CUDAGraph | None = None
        if captured and device.type == "cuda":
            try:
                self.graph = self._capture(batch)
            except RuntimeError as error:  # another library's kernel that cannot be captured: slower, not wrong
                _LOG.warning("The decoding step could not be captured as a CUDA graph: %s", error)

    @property
    def ahead(self) -> bool:
        """Whether a step is better begun before the host knows the token: the device then never waits for the host.

        It costs one step too many at the end of an answer; a processor would only be later with the token.
        """
        return self.graph is not None

    def __call__(self, tokens: Tensor) -> Tensor:
        """Append `tokens` `(batch,)` to the rows; logits `(batch, vocabulary)` of what follows."""
        if self.graph is not None:
            self.tokens.copy_(tokens)
            self.graph.replay()
            return self.logits
        if self.padded:
            self.mask.index_fill_(3, self.slots, 0.0)
        limit = self.start + 1
        logits = self._forward(tokens, limit, self.mask[..., :limit] if self.padded else None)
        self.start += 1
        self.slots += 1
        return logits

    def masked(self, tokens: Tensor) -> Tensor:
        """The step as it is captured: over the whole cache, nothing depends on the host."""
        self.mask.index_fill_(3, self.slots, 0.0)
        return self._forward(tokens, self.length, self.mask)

    def _forward(self, tokens: Tensor, limit: int, mask: Tensor | None) -> Tensor:
        positions = self.layout.positions(self.slots)
        logits: Tensor = self.decoder(
            tokens[:, None], positions, self.cache, self.slots, limit, mask, self.terms, self.tuned
        )
        return logits

    def _capture(self, batch: int) -> torch.cuda.CUDAGraph:
        """The step as a graph over inputs and outputs that stay where they are; its memory is given back with it."""
        device = self.cache.pairs.device
        with torch.cuda.device(device):
            self.tokens = torch.zeros(batch, dtype=torch.long, device=device)
            stream = side_stream(torch.cuda.current_device())
            with aside(stream):  # libraries set themselves up outside the recording, on the stream that is recorded
                self.masked(self.tokens)
            graph = torch.cuda.CUDAGraph()
            with recorded(graph, stream):
                self.logits = self.masked(self.tokens)
                self.slots += 1
        return graph


class _Known:
    """Tokens on their way from the device to the host; work that is queued after them is not waited for."""

    def __init__(self, tokens: Tensor) -> None:
        self._tokens, self._arrived = tokens, None
        if tokens.device.type == "cuda":
            self._tokens = torch.empty(tokens.shape, dtype=tokens.dtype, pin_memory=True)
            self._tokens.copy_(tokens, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record()

    def tolist(self) -> list[int]:
        """Wait for them, not for what comes after."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return [int(token) for token in self._tokens.tolist()]


def _aligned(positions: int) -> int:
    """Rounded up: attention kernels on a GPU copy a mask whose rows do not begin at multiples of 16 numbers."""
    return -(-positions // 16) * 16


def _uniforms(seeds: Sequence[int], batch: int, steps: int) -> Tensor:
    """Each row's own numbers in [0, 1), `(batch, steps)`, drawn on the CPU so that every device sees the same."""
    rows = []
    for row in range(batch):
        generator = torch.Generator().manual_seed(int(seeds[row]) if row < len(seeds) else 0)
        rows.append(torch.rand(steps, generator=generator))
    return torch.stack(rows)


def _shared_length(prompts: Sequence[Sequence[int]], terms: Tensor | None, tuned: TunedRows | None) -> int:
    """Number of tokens that all prompts begin with, if they are heard alike; each keeps at least one of its own."""
    if len(prompts) == 1 or tuned is not None or (terms is not None and not bool((terms == terms[:1]).all())):
        return 0
    length = 0
    for column in zip(*(prompt[:-1] for prompt in prompts), strict=False):
        if len(set(column)) > 1:
            break
        length += 1
    return length if length >= _WORTH_SHARING else 0


def _read_prompts(
    decoder: Decoder,
    prompts: Sequence[Sequence[int]],
    cache: Cache,
    layout: Layout,
    terms: Tensor | None,
    tuned: TunedRows | None,
) -> Tensor:
    """Fill the cache with the prompts; logits `(batch, vocabulary)` of what follows them."""
    device, shared = cache.pairs.device, layout.shared
    if shared:
        slots = torch.arange(shared, device=device)
        beginning = torch.tensor([prompts[0][:shared]], device=device)
        one = None if terms is None else terms[:1]
        decoder(beginning, slots[None], cache.first_row(), slots, shared, None, one)
        cache.spread(shared)
    pads = layout.pads
    tokens = torch.tensor([[0] * pad + list(p[shared:]) for p, pad in zip(prompts, pads, strict=True)], device=device)
    longest = shared + tokens.shape[1]
    slots = torch.arange(shared, longest, device=device)
    mask = None
    if shared or any(pads):
        columns = torch.arange(longest, device=device)
        causal = columns[None, :] <= slots[:, None]
        # A padded place sees itself, as a softmax over nothing is not a number.
        itself = columns[None, :] == slots[:, None]
        mask = hidden(((causal & layout.visible(columns)[:, None]) | itself)[:, None], cache.pairs.dtype)
    logits: Tensor = decoder(tokens, layout.positions(slots), cache, slots, longest, mask, terms, tuned)
    return logits
