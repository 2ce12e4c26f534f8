"""MU-LLaMA on CUDA, on paper: devices, types, waiting for the host, and kernels."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from transformers import HubertConfig

from musiscene.networks.mert import Mert, build
from musiscene.networks.mu_llama.adapter import KnnBlend
from musiscene.networks.mu_llama.decoder import FUSED, Decoder, LayerTuning, TunedRows, Tuning
from musiscene.networks.mu_llama.generate import Layout, Sampling, Step, _read_prompts, choose
from musiscene.networks.mu_llama.listener import Listener
from musiscene.networks.mu_llama.tiny import TINY, mert_options
from tests.networks.cuda_on_paper import Kernels, cuda_on_paper, on_cuda

pytestmark = pytest.mark.slow

HALVES = (torch.bfloat16, torch.float16)
PROMPTS = [[1, 2, 3, 4], [1, 2, 3], [1, 2]]
PER_LAYER = 15
PER_STEP = 10


def networks(dtype: torch.dtype) -> tuple[Any, Any]:
    """A decoder and a listener on CUDA."""
    with torch.device("meta"):
        decoder, listener = Decoder(TINY), Listener(TINY)
    return on_cuda(decoder, dtype), on_cuda(listener, dtype)


def tuning(dtype: torch.dtype) -> Tuning:
    """Another adapter's difference."""

    def there(*shape: int) -> Tensor:
        return torch.empty(shape, dtype=dtype, device="cuda")

    sizes = {"qkv": (TINY.dim, 3 * TINY.dim), "out": (TINY.dim, TINY.dim), "gate_up": (TINY.dim, 2 * TINY.ffn_dim)}
    sizes["down"] = (TINY.ffn_dim, TINY.dim)
    layer = LayerTuning(
        {name: there(8, sizes[name][0]) for name in FUSED},
        {name: there(sizes[name][1], 8) for name in FUSED},
        {name: there(sizes[name][1]) for name in FUSED},
        there(TINY.dim),
        there(TINY.dim),
    )
    return Tuning((layer,) * TINY.layers, there(TINY.dim))


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("tuned", [False, True])
def test_an_answer_stays_on_the_device(dtype: torch.dtype, tuned: bool) -> None:
    """Listening, padded prompts, steps as they are captured, and draws: no other device or type, and no waiting."""
    with cuda_on_paper():
        decoder, listener = networks(dtype)
        pooled = torch.empty(1, TINY.mert_states, TINY.mert_dim, device="cuda")
        other = tuning(dtype) if tuned else None
        terms = listener.terms(decoder, pooled, tuning=other, blend=KnnBlend()).expand(3, -1, -1)
        rows = TunedRows(other, slice(1, 3)) if other else None
        cache = decoder.new_cache(3, 64)
        layout = Layout.of(0, [4 - len(prompt) for prompt in PROMPTS], "cuda")
        logits = _read_prompts(decoder, PROMPTS, cache, layout, terms, rows)
        step = Step(decoder, cache, layout, terms, rows, 4)
        for _ in range(2):
            chosen = choose(logits, Sampling(), torch.empty(3, device="cuda"))
            logits = step.masked(chosen)
        assert (chosen.device.type, chosen.dtype, chosen.shape) == ("cuda", torch.int64, (3,))
        assert (logits.device.type, logits.dtype, logits.shape) == ("cuda", torch.float32, (3, TINY.vocabulary))
        assert (cache.pairs.device.type, cache.pairs.dtype) == ("cuda", dtype)


def test_a_shared_beginning_stays_on_the_device() -> None:
    """What all prompts begin with is read once and spread over the rows."""
    with cuda_on_paper():
        decoder, _ = networks(torch.bfloat16)
        cache = decoder.new_cache(3, 32)
        logits = _read_prompts(decoder, PROMPTS, cache, Layout.of(1, [0, 1, 2], "cuda"), None, None)
        assert logits.device.type == "cuda"


@pytest.mark.parametrize("dtype", (torch.float32, *HALVES))
def test_mert_listens_on_the_device(dtype: torch.dtype) -> None:
    """Sound comes from the host; the states' means are float32 on the device."""
    with cuda_on_paper():
        network: Any = on_cuda(build(HubertConfig(**mert_options())), dtype)
        pooled = Mert(network.eval()).pooled(torch.empty(2, 24_000))
        assert (pooled.device.type, pooled.dtype) == ("cuda", torch.float32)


def test_a_step_launches_few_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Norm and attention are one kernel each there, which this build takes apart; the rest is counted as it is."""
    monkeypatch.setattr(functional, "rms_norm", lambda x, *rest: x.clone())
    monkeypatch.setattr(functional, "scaled_dot_product_attention", lambda query, *rest, **kw: query.clone())
    with cuda_on_paper():
        decoder, listener = networks(torch.bfloat16)
        pooled = torch.empty(3, TINY.mert_states, TINY.mert_dim, device="cuda")
        terms = listener.terms(decoder, pooled)
        step = Step(decoder, decoder.new_cache(3, 64), Layout.of(0, [0, 1, 2], "cuda"), terms, None, 4)
        tokens = torch.zeros(3, dtype=torch.int64, device="cuda")
        with Kernels() as kernels:
            step.masked(tokens)
    assert kernels.total <= PER_LAYER * TINY.layers + TINY.prefix_layers + PER_STEP, kernels.by_name
