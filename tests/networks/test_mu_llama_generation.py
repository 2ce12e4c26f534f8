"""Generating: the merged decoder against the plain scheme, batches, seeds, sampling, tunings, static steps."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy.stats import chisquare
from torch import Tensor

from musiscene.networks.mu_llama.checkpoint import Checkpoint, open_checkpoint
from musiscene.networks.mu_llama.decoder import TunedRows, hidden, load_decoder, load_tuning
from musiscene.networks.mu_llama.generate import (
    GREEDY,
    Layout,
    Sampling,
    Step,
    _read_prompts,
    choose,
    generate,
    nucleus,
    stream,
)
from musiscene.networks.mu_llama.listener import load_listener
from musiscene.networks.mu_llama.tiny import TINY, random_tensors

PROMPTS = [[1, 50, 60, 70], [1, 300, 301], [1, 12, 13, 14, 15, 16, 17]]
NEVER = 10**6
"""An end token that no vocabulary has."""


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """A tiny random network on disk."""
    folder = tmp_path_factory.mktemp("tiny")
    adapter, base = random_tensors()
    save_file(adapter, folder / "adapter.safetensors")
    save_file(base, folder / "base.safetensors")
    return open_checkpoint(folder / "adapter.safetensors", folder / "base.safetensors")


@pytest.fixture(scope="module")
def pooled() -> Tensor:
    """What MERT heard of three clips."""
    return torch.randn(3, TINY.mert_states, TINY.mert_dim, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def plain_scheme() -> ModuleType:
    """The original's scheme, written plainly for the benchmark."""
    path = Path(__file__).parents[2] / "benchmarks" / "_plain_mu_llama.py"
    spec = importlib.util.spec_from_file_location("plain_mu_llama", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_fast_decoder_writes_what_the_plain_scheme_writes(
    checkpoint: Checkpoint, pooled: Tensor, plain_scheme: ModuleType
) -> None:
    """Merged LoRA, fused projections, constant music terms and batching change no token."""
    adapter, base = random_tensors()
    plain = plain_scheme.PlainMuLlama(TINY, adapter, base)
    decoder, listener = load_decoder(checkpoint), load_listener(checkpoint)
    expected = [plain.greedy(prompt, plain.hear(pooled[i : i + 1]), 24) for i, prompt in enumerate(PROMPTS)]
    terms = listener.terms(decoder, pooled)
    sampling = Sampling(temperature=0.0, max_new=24)
    assert generate(decoder, PROMPTS, music_terms=terms, sampling=sampling) == expected
    deaf = [plain.greedy(prompt, None, 24) for prompt in PROMPTS]
    assert generate(decoder, PROMPTS, sampling=sampling) == deaf
    assert deaf != expected


def test_a_rows_answer_does_not_depend_on_its_batch(checkpoint: Checkpoint, pooled: Tensor) -> None:
    """The same seed gives the same answer alone and among others; another seed gives another."""
    decoder, listener = load_decoder(checkpoint), load_listener(checkpoint)
    terms = listener.terms(decoder, pooled)
    sampling = Sampling(temperature=1.0, top_p=0.95, max_new=20)
    batch = generate(decoder, PROMPTS, music_terms=terms, sampling=sampling, seeds=[7, 8, 9], eos=NEVER)
    for i, prompt in enumerate(PROMPTS):
        row = generate(decoder, [prompt], music_terms=terms[i : i + 1], sampling=sampling, seeds=[7 + i], eos=NEVER)
        assert row == [batch[i]]
    assert generate(decoder, PROMPTS, music_terms=terms, sampling=sampling, seeds=[1, 2, 3], eos=NEVER) != batch


def test_a_shared_beginning_is_read_once(checkpoint: Checkpoint, pooled: Tensor) -> None:
    """Prompts with a common beginning, of equal or unequal length, get the answers they get alone."""
    decoder, listener = load_decoder(checkpoint), load_listener(checkpoint)
    terms = listener.terms(decoder, pooled[:1])
    beginning = [1, *range(100, 130)]
    sampling = Sampling(temperature=0.0, max_new=16)
    lengths: list[tuple[int, ...]] = []
    decoder.register_forward_pre_hook(lambda module, given: lengths.append(tuple(given[0].shape)))
    for tails in ([[7, 8], [9], [10, 11, 12, 13]], [[7, 8], [9, 10], [11, 12]], [[], [9], [9, 10]]):
        prompts = [beginning + tail for tail in tails]
        expected = [
            generate(decoder, [prompt], music_terms=terms, sampling=sampling, eos=NEVER)[0] for prompt in prompts
        ]
        lengths.clear()
        batch = generate(decoder, prompts, music_terms=terms.expand(3, -1, -1), sampling=sampling, eos=NEVER)
        assert batch == expected
        shared = len(beginning) - (not all(tails))
        assert lengths[:2] == [(1, shared), (3, max(map(len, prompts)) - shared)]
    lengths.clear()
    generate(decoder, prompts, music_terms=listener.terms(decoder, pooled), sampling=sampling)
    assert lengths[0][0] == 3  # different music: nothing can be shared


def test_samples_follow_the_nucleus() -> None:
    """Draws have the distribution that temperature and nucleus define (chi-square), and none lies outside it."""
    logits = torch.tensor([[2.0, 1.0, 0.5, 0.0, -1.0, -3.0]])
    sampling = Sampling(temperature=0.8, top_p=0.85)
    count = 20_000
    uniform = torch.rand(count, generator=torch.Generator().manual_seed(1))
    drawn = choose(logits.expand(count, -1), sampling, uniform)
    probabilities, tokens = nucleus(logits, 0.8, 0.85)
    expected = torch.zeros(6).scatter(0, tokens[0], probabilities[0]).double().numpy()
    observed = np.bincount(drawn.numpy(), minlength=6)
    assert not observed[expected == 0].any()
    kept = expected > 0
    assert kept.sum() < 6
    assert chisquare(observed[kept], expected[kept] / expected[kept].sum() * count).pvalue > 1e-3


def test_the_nucleus_keeps_tokens_whose_preceding_mass_is_at_most_p() -> None:
    """The token that crosses p is kept; with p = 0 only the likeliest is; with p = 1 all are."""
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]]))
    assert (nucleus(logits, 1.0, 0.6)[0] > 0).sum() == 2
    assert (nucleus(logits, 1.0, 0.0)[0] > 0).sum() == 1
    assert (nucleus(logits, 1.0, 1.0)[0] > 0).sum() == 4


@pytest.mark.parametrize("uniform", [0.0, 0.999999, float(np.nextafter(np.float32(1), np.float32(0)))])
def test_a_draw_at_the_edge_stays_inside(uniform: float) -> None:
    """Rounding never leads to a token outside the nucleus."""
    logits = torch.randn(1, 1000, generator=torch.Generator().manual_seed(2))
    probabilities, tokens = nucleus(logits, 0.6, 0.8)
    chosen = choose(logits, Sampling(), torch.tensor([uniform]))
    assert chosen.item() in tokens[0, probabilities[0] > 0].tolist()


def test_tokens_come_one_by_one_and_may_be_stopped(checkpoint: Checkpoint) -> None:
    """A consumer sees each step as it is written, None for ended rows, and may leave at any time."""
    decoder = load_decoder(checkpoint)
    full = generate(decoder, PROMPTS, sampling=Sampling(temperature=0.0, max_new=12), eos=NEVER)
    ends = full[0][3]
    steps = list(stream(decoder, PROMPTS, sampling=Sampling(temperature=0.0, max_new=12), eos=ends))
    first = [step[0] for step in steps]
    stop = full[0].index(ends)
    assert first[:stop] == full[0][:stop]
    assert all(token is None for token in first[stop:])
    walker = stream(decoder, PROMPTS, sampling=GREEDY, eos=NEVER)
    next(walker)
    walker.close()


def overlaid(checkpoint: Checkpoint, folder: Path) -> Checkpoint:
    """The network with another random adapter over it."""
    other, _ = random_tensors(seed=77)
    save_file(other, folder / "scene.safetensors")
    return checkpoint.overlaid(folder / "scene.safetensors")


def test_two_tunings_share_one_llama_in_one_batch(checkpoint: Checkpoint, pooled: Tensor, tmp_path: Path) -> None:
    """Rows of a second adapter are answered as if its own LLaMA had been merged, next to rows of the first."""
    scene = overlaid(checkpoint, tmp_path)
    decoder, listener = load_decoder(checkpoint), load_listener(checkpoint)
    alone, alone_listener = load_decoder(scene), load_listener(scene)
    sampling = Sampling(temperature=0.0, max_new=16)
    terms = listener.terms(decoder, pooled)
    scene_terms = alone_listener.terms(alone, pooled)
    expected = generate(alone, PROMPTS, music_terms=scene_terms, sampling=sampling, eos=NEVER)
    own = generate(decoder, PROMPTS, music_terms=terms, sampling=sampling, eos=NEVER)
    assert own != expected

    tuning = load_tuning(checkpoint, scene, decoder.norm.weight)
    shared = load_listener(scene, loaded=checkpoint).terms(decoder, pooled, tuning=tuning)
    torch.testing.assert_close(shared, scene_terms, atol=2e-5, rtol=1e-4)
    mixed = generate(
        decoder,
        PROMPTS,
        music_terms=torch.cat([terms[:1], shared[1:]]),
        tuned=TunedRows(tuning, slice(1, 3)),
        sampling=sampling,
        eos=NEVER,
    )
    assert mixed == own[:1] + expected[1:]


@pytest.mark.parametrize("padded", [True, False])
def test_the_static_step_equals_the_eager_one(checkpoint: Checkpoint, pooled: Tensor, padded: bool) -> None:
    """The step that a GPU captures, over the whole cache behind a mask, gives the logits of the eager one."""
    decoder, listener = load_decoder(checkpoint), load_listener(checkpoint)
    prompts = PROMPTS if padded else [PROMPTS[0]] * 3
    longest = max(map(len, prompts))
    terms = listener.terms(decoder, pooled)
    layout = Layout.of(0, [longest - len(prompt) for prompt in prompts])
    outputs = []
    with torch.inference_mode():
        for static in (False, True):
            cache = decoder.new_cache(3, longest + 6)
            _read_prompts(decoder, prompts, cache, layout, terms, None)
            step = Step(decoder, cache, layout, terms, None, longest)
            logits = []
            for token in range(6):
                row = torch.tensor([token, token + 1, token + 2])
                if static:
                    logits.append(step.masked(row).clone())
                    step.slots += 1
                else:
                    logits.append(step(row))
            outputs.append(torch.stack(logits))
    torch.testing.assert_close(outputs[0], outputs[1], atol=1e-5, rtol=1e-5)


@pytest.mark.slow(seconds=2)
def test_the_static_step_has_no_branch_on_data(checkpoint: Checkpoint, pooled: Tensor) -> None:
    """It can be exported as one graph, so it can be captured as one."""
    decoder, listener = load_decoder(checkpoint), load_listener(checkpoint)

    class Exported(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.decoder = decoder
            self.terms = listener.terms(decoder, pooled).clone()
            cache = decoder.new_cache(3, 12)
            self.pairs = torch.nn.Buffer(cache.pairs)
            self.cosines, self.sines = torch.nn.Buffer(cache.cosines), torch.nn.Buffer(cache.sines)

        def forward(self, tokens: Tensor, slots: Tensor, offset: Tensor) -> Tensor:
            columns = torch.arange(12)
            seen = (columns >= offset[:, None]) & (columns <= slots)
            out: Tensor = self.decoder(
                tokens[:, None],
                slots - offset[:, None],
                self,
                slots,
                12,
                hidden(seen[:, None, None], torch.float32),
                self.terms,
            )
            return out

    inputs = (torch.tensor([5, 6, 7]), torch.tensor([4]), torch.tensor([0, 1, 2]))
    with torch.no_grad():
        module = Exported()
        program = torch.export.export(module, inputs)
        torch.testing.assert_close(program.module()(*inputs), module(*inputs))


def test_half_precision_stays_close(checkpoint: Checkpoint, pooled: Tensor) -> None:
    """In bfloat16 the network still says nearly the same: its first logits correlate with float32's."""
    first = []
    for dtype in (torch.float32, torch.bfloat16):
        decoder = load_decoder(checkpoint, dtype=dtype)
        terms = load_listener(checkpoint, dtype=dtype).terms(decoder, pooled)
        slots = torch.arange(4)
        with torch.inference_mode():
            cache = decoder.new_cache(1, 4)
            first.append(decoder(torch.tensor([PROMPTS[0]]), slots[None], cache, slots, 4, None, terms[:1].to(dtype)))
    assert torch.corrcoef(torch.cat(first))[0, 1] > 0.999
