"""The step on a GPU as far as it can be seen without one: devices, types, waiting, memory; and bfloat16."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from musiscene.networks.mu_llama.model import MuLlama
from musiscene.networks.mu_llama.sizes import Sizes
from musiscene.networks.mu_llama.tiny import TINY
from train.tuning.constants import Constants, Item
from train.tuning.estimates import kept_per_token
from train.tuning.examples import Tokens
from train.tuning.network import Trainee
from train.tuning.packing import pack
from train.tuning.stores import TensorStore

pytestmark = pytest.mark.slow

SETS = ("adapter", "lora", "both")
LENGTHS = (60, 48, 47, 30, 12)


def items(vocabulary: int = 300) -> list[Tokens]:
    """Items of several lengths, a third of each a question."""
    generator = torch.Generator().manual_seed(0)
    return [
        Tokens(tuple(torch.randint(3, vocabulary, (length,), generator=generator).tolist()), length // 3)
        for length in LENGTHS
    ]


def built(sizes: Sizes, which: str, device: str) -> Trainee:
    """A network of this size in bfloat16, whose weights hold nothing; made where only shapes are kept."""
    with torch.device("meta"), torch.no_grad():
        model = MuLlama(sizes)
    rotary = model.llama.model.rotary_emb
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                value = torch.empty(parameter.shape, dtype=torch.bfloat16, device=device)
                module._parameters[name] = torch.nn.Parameter(value)
    for name, buffer in rotary.named_buffers():
        setattr(rotary, name, torch.empty(buffer.shape, device=device))
    return Trainee(model, which)


def batch(sizes: Sizes, which: str, device: str, rows: list[Tokens]) -> dict[str, Any]:
    """A micro-batch's arguments without values."""

    def like(thing: Any) -> Any:
        if isinstance(thing, Tensor):
            return torch.empty(thing.shape, dtype=thing.dtype, device=device)
        return type(thing)(map(like, thing)) if isinstance(thing, (list, tuple)) else thing

    made = {name: like(value) for name, value in pack(rows).items()}
    half: dict[str, Any] = {"dtype": torch.bfloat16, "device": device}
    if which == "lora":
        made["gated"] = torch.empty(len(rows), sizes.prefix_layers, sizes.dim, **half)
    else:
        made["pooled"] = torch.empty(len(rows), sizes.mert_states, sizes.mert_dim, device=device)
    if which == "adapter":
        made["lower"] = torch.empty(sum(len(row.ids) for row in rows), sizes.dim, **half)
    return made


@contextmanager
def cuda_autocast() -> Iterator[None]:
    """What `torch.autocast("cuda")` does where there is CUDA."""
    torch.set_autocast_dtype("cuda", torch.bfloat16)
    torch.set_autocast_enabled("cuda", True)
    try:
        yield
    finally:
        torch.set_autocast_enabled("cuda", False)


@pytest.mark.parametrize("which", SETS)
def test_a_micro_batch_stays_on_the_gpu(which: str) -> None:
    """Nothing mixes devices or types, and nothing waits for a value: any of these is an error of the stand-in."""
    given = items()
    with FakeTensorMode(), torch.no_grad(), cuda_autocast():
        network = built(TINY, which, "cuda").requires_grad_(False)
        losses = network(**batch(TINY, which, "cuda", given))
    assert losses.shape == (len(given),) and losses.dtype == torch.float32 and losses.device.type == "cuda"


def test_as_many_values_are_trained_as_are_published() -> None:
    """At 7B, in float32; of the adapter all but the 384 gates of layers that hear nothing."""
    with FakeTensorMode():
        model = built(Sizes(), "lora", "cpu").model
        for which, values in (("lora", 41_340_928), ("both", 649_613_978), ("adapter", 608_273_050)):
            trained = [p for p in Trainee(model, which).parameters() if p.requires_grad]
            assert sum(parameter.numel() for parameter in trained) == values
            assert {parameter.dtype for parameter in trained} == {torch.float32}


@pytest.mark.parametrize("which", SETS)
def test_memory_is_estimated_as_pytorch_keeps_it(which: str) -> None:
    """What two and four layers of full width keep for the way back differs by what the estimate says of two more."""
    given = items()
    kept = []
    for more in (2, 4):
        sizes = replace(Sizes(), layers=1 + more, prefix_layers=1 + more)
        held: dict[int, tuple[int, Any]] = {}
        with FakeTensorMode():
            network = built(sizes, which, "cpu")
            weights = {frozenset(parameter.shape) for parameter in network.parameters()}  # and copies in bfloat16

            def keep(tensor: Tensor, weights: Any = weights, held: Any = held) -> Tensor:
                if frozenset(tensor.shape) not in weights:
                    storage = tensor.untyped_storage()
                    held[storage._cdata] = (storage.nbytes(), storage)
                return tensor

            arguments = batch(sizes, which, "cpu", given)
            hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
            with torch.autocast("cpu", torch.bfloat16), hooks:
                network(**arguments).sum()
        kept.append(sum(size for size, _ in held.values()))
    measured = (kept[1] - kept[0]) / 2 / sum(LENGTHS) / 2  # of two layers, two bytes each
    assert kept_per_token(Sizes(), which) == pytest.approx(measured, rel=0.15)


def learnt(which: str, precision: str, steps: int = 4) -> tuple[list[float], Trainee]:
    """The losses of a few steps over the same items, from the same weights."""
    torch.manual_seed(0)
    model = MuLlama(TINY)
    for name, parameter in model.named_parameters():
        torch.nn.init.ones_(parameter) if "norm" in name else torch.nn.init.normal_(parameter, std=0.1)
    half = precision == "bf16"
    network = Trainee(model.to(torch.bfloat16) if half else model.to(torch.bfloat16).float(), which)
    store = TensorStore(None)
    constants = Constants(network, store, torch.device("cpu"), precision=precision, use=True)
    made: list[Item] = []
    for number, tokens in enumerate(items(TINY.vocabulary)):
        store.put(f"clip {number}", torch.randn(TINY.mert_states, TINY.mert_dim))
        made.append(constants.item(tokens, f"clip {number}"))
    adamw = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=5e-3, fused=True)
    losses = []
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        constants.prepare(made, tokens=512, rows=8)
    for _ in range(steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = network(**constants.batch(made)).mean()
        loss.backward()
        adamw.step()
        adamw.zero_grad()
        losses.append(loss.item())
    return losses, network


@pytest.mark.parametrize("which", SETS)
def test_bfloat16_learns_as_float32_does(which: str) -> None:
    """The losses of a few steps agree to the rounding of bfloat16; what is trained stays in float32, only that."""
    whole, _ = learnt(which, "float32")
    half, network = learnt(which, "bf16")
    assert whole[-1] < whole[0]
    assert half == pytest.approx(whole, rel=0.02)
    for parameter in network.parameters():
        assert parameter.dtype == (torch.float32 if parameter.requires_grad else torch.bfloat16)


def test_packed_items_do_not_hear_each_other() -> None:
    """An item's loss is the same alone and among others, in any order."""
    torch.manual_seed(0)
    network = Trainee(MuLlama(TINY), "both").double()
    given = items(TINY.vocabulary)
    pooled = torch.randn(len(given), TINY.mert_states, TINY.mert_dim, dtype=torch.float64)
    together = network(**pack(given), pooled=pooled)
    alone = torch.cat([network(**pack([row]), pooled=pooled[n : n + 1]) for n, row in enumerate(given)])
    torch.testing.assert_close(together, alone)
    turned = network(**pack(given[::-1]), pooled=pooled.flip(0)).flip(0)
    torch.testing.assert_close(turned, together)
