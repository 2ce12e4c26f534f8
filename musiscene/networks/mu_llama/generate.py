"""Writing answers: a batch of prompts, a static cache, seeded nucleus sampling, one token per row and step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from musiscene.networks.mu_llama.decoder import Cache, Decoder, TunedRows

EOS = 2


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

    Rows of unequal length are padded on the left and masked. Whoever iterates may stop at any step.

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
    padding = torch.tensor([longest - len(prompt) for prompt in prompts], device=device)
    tokens = torch.tensor([[0] * (longest - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    numbers = _uniforms(seeds, batch, sampling.max_new).to(device)
    terms = None if music_terms is None else music_terms.to(decoder.norm.weight)

    cache = decoder.new_cache(batch, longest + sampling.max_new)
    slots = torch.arange(longest, device=device)
    padded = len({len(prompt) for prompt in prompts}) > 1
    mask = _prefill_mask(padding, slots) if padded else None
    positions = (slots[None] - padding[:, None]).clamp(min=0)
    logits = decoder(tokens, positions, cache, slots, longest, mask, terms, tuned)

    use_graph = device.type == "cuda" if graph is None else graph
    step = Step(decoder, cache, padding if padded else None, terms, tuned, longest, captured=use_graph)
    running = [True] * batch
    for index in range(sampling.max_new):
        chosen = choose(logits, sampling, numbers[:, index])
        ids = chosen.tolist()
        running = [alive and token != eos for alive, token in zip(running, ids, strict=True)]
        if not any(running):
            return
        yield [token if alive else None for token, alive in zip(ids, running, strict=True)]
        if index + 1 < sampling.max_new:
            logits = step(chosen)


def generate(decoder: Decoder, prompts: Sequence[Sequence[int]], **options: object) -> list[list[int]]:
    """All of `stream`'s tokens, row by row."""
    answers: list[list[int]] = [[] for _ in prompts]
    for tokens in stream(decoder, prompts, **options):  # type: ignore[arg-type]
        for answer, token in zip(answers, tokens, strict=True):
            if token is not None:
                answer.append(token)
    return answers


class Step:
    """One decoding step with static shapes: the place in the cache and the position are tensors.

    Eagerly only the part of the cache in use is looked at. Captured as a CUDA graph, the whole cache is, behind a
    mask, and the host launches one graph instead of some hundreds of kernels.
    """

    def __init__(
        self,
        decoder: Decoder,
        cache: Cache,
        padding: Tensor | None,
        terms: Tensor | None,
        tuned: TunedRows | None,
        start: int,
        *,
        captured: bool = False,
    ) -> None:
        self.decoder, self.cache, self.terms, self.tuned = decoder, cache, terms, tuned
        self.start, self.padding = start, padding
        device = cache.keys.device
        _, batch, _, self.length, _ = cache.keys.shape
        self.slots = torch.tensor([start], device=device)
        self.offset = torch.zeros(batch, dtype=torch.long, device=device) if padding is None else padding
        self.columns = torch.arange(self.length, device=device)
        self.graph = self._capture(batch) if captured and device.type == "cuda" else None

    def __call__(self, tokens: Tensor) -> Tensor:
        """Append `tokens` `(batch,)` to the rows; logits `(batch, vocabulary)` of what follows."""
        if self.graph is not None:
            self.tokens.copy_(tokens)
            self.graph.replay()
            logits = self.logits
        else:
            limit = self.start + 1
            mask = None if self.padding is None else (self.columns[:limit] >= self.offset[:, None])[:, None, None]
            logits = self._forward(tokens, limit, mask)
            self.start += 1
        self.slots += 1
        return logits

    def masked(self, tokens: Tensor) -> Tensor:
        """The step as it is captured: over the whole cache, nothing depends on the host."""
        seen = (self.columns >= self.offset[:, None]) & (self.columns <= self.slots)
        return self._forward(tokens, self.length, seen[:, None, None])

    def _forward(self, tokens: Tensor, limit: int, mask: Tensor | None) -> Tensor:
        positions = self.slots - self.offset[:, None]
        logits: Tensor = self.decoder(
            tokens[:, None], positions, self.cache, self.slots, limit, mask, self.terms, self.tuned
        )
        return logits

    def _capture(self, batch: int) -> torch.cuda.CUDAGraph:
        self.tokens = torch.zeros(batch, dtype=torch.long, device=self.cache.keys.device)
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):  # libraries set themselves up outside the capture
            for _ in range(2):
                self.masked(self.tokens)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self.logits = self.masked(self.tokens)
        return graph


def _uniforms(seeds: Sequence[int], batch: int, steps: int) -> Tensor:
    """Each row's own numbers in [0, 1), `(batch, steps)`, drawn on the CPU so that every device sees the same."""
    rows = []
    for row in range(batch):
        generator = torch.Generator().manual_seed(int(seeds[row]) if row < len(seeds) else 0)
        rows.append(torch.rand(steps, generator=generator))
    return torch.stack(rows)


def _prefill_mask(padding: Tensor, slots: Tensor) -> Tensor:
    """Causal order without the padding; a padded position sees itself, as a softmax over nothing is not a number."""
    causal = slots[None, :] <= slots[:, None]
    real = slots[None, :] >= padding[:, None]
    itself = slots[None, :] == slots[:, None]
    return ((causal[None] & real[:, None, :]) | itself[None])[:, None]
