"""One optimisation step and short runs of fine-tuning against the reference implementation's numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.checkpoint import Checkpoint, open_checkpoint
from musiscene.networks.mu_llama.model import MuLlama
from train.tuning.config import Optimiser
from train.tuning.constants import Constants, Item
from train.tuning.examples import Tokens
from train.tuning.network import Trainee
from train.tuning.schedule import learning_rate, parameter_groups
from train.tuning.stores import TensorStore

SETS = ("adapter", "lora", "both")


@dataclass(frozen=True)
class Reference:
    """The parity set."""

    inputs: dict[str, Tensor]
    expected: dict[str, Tensor]
    training: dict[str, Any]
    checkpoint: Checkpoint

    def items(self) -> list[Tokens]:
        """The reference's items without their padding."""
        lengths, prompts = self.inputs["sequence_lengths"].tolist(), self.inputs["prompt_lengths"].tolist()
        rows = self.inputs["tokens"].tolist()
        return [Tokens(tuple(row[:n]), p) for row, n, p in zip(rows, lengths, prompts, strict=True)]


@pytest.fixture(scope="module")
def reference(parity_root: Path) -> Reference:
    """Everything of `parity/mu_llama` that training needs."""
    folder = parity_root / "mu_llama"
    sizes = json.loads((folder / "tiny_config.json").read_text())
    return Reference(
        load_file(folder / "tiny_inputs.safetensors"),
        load_file(folder / "tiny_expected.safetensors"),
        json.loads((folder / "tiny_expected_training.json").read_text()),
        open_checkpoint(
            folder / "tiny_adapter_checkpoint.safetensors",
            folder / "tiny_llama_meta.safetensors",
            norm_eps=sizes["norm_eps"],
        ),
    )


def trainee(checkpoint: Checkpoint, which: str, *, checkpointing: bool = False) -> Trainee:
    """A network with a trainable set."""
    with torch.device("meta"):
        model = MuLlama(checkpoint.sizes)
    return Trainee(model.load(checkpoint), which, checkpointing=checkpointing)


def prepared(network: Trainee, reference: Reference, *, use: bool) -> tuple[Constants, list[Item]]:
    """The reference's items, with what is constant computed beforehand or not."""
    store = TensorStore(None)
    constants = Constants(network, store, torch.device("cpu"), precision="float32", use=use)
    for index, pooled in enumerate(reference.inputs["mert_pooled"]):
        store.put(f"clip {index}", pooled.to(next(network.parameters()).dtype))
    items = [constants.item(tokens, f"clip {index}") for index, tokens in enumerate(reference.items())]
    constants.prepare(items, tokens=4096, rows=8)
    return constants, items


def pretrain_phase(checkpoint: Checkpoint) -> Checkpoint:
    """The same weights as a checkpoint of the pretraining phase: without LoRA and biases."""
    adapter = checkpoint.adapter.renamed(
        lambda name: None if "lora" in name or (name.startswith("llama.") and name.endswith(".bias")) else name
    )
    return replace(checkpoint, adapter=adapter, sizes=replace(checkpoint.sizes, lora_rank=0))


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("use", [False, True])
@pytest.mark.parametrize("which", SETS)
def test_parity_loss_of_each_item(reference: Reference, which: str, use: bool, checkpointing: bool) -> None:
    """The loss on the answers is the reference's, with and without caches, for every trainable set."""
    network = trainee(reference.checkpoint, which, checkpointing=checkpointing)
    constants, items = prepared(network, reference, use=use)
    losses = network(**constants.batch(items))
    torch.testing.assert_close(losses, reference.expected["loss_per_item"], atol=1e-5, rtol=0)


@pytest.mark.parametrize("use", [False, True])
@pytest.mark.parametrize(("phase", "which"), [("finetune", "lora"), ("pretrain", "adapter")])
def test_parity_gradients_of_one_step(reference: Reference, phase: str, which: str, use: bool) -> None:
    """One step's loss and the gradient of every trained tensor are the reference's, and nothing else gets one."""
    checkpoint = reference.checkpoint if phase == "finetune" else pretrain_phase(reference.checkpoint)
    network = trainee(checkpoint, which)
    constants, items = prepared(network, reference, use=use)
    batch = constants.batch(items)
    counted = torch.bincount(batch["owners"][batch["learnt"]])
    # the reference's loss is the mean over all tokens of the batch
    loss = (network(**batch) * counted).sum() / counted.sum()
    loss.backward()
    assert abs(loss.item() - reference.training[f"loss_{phase}"]) < 1e-5
    parameters = dict(network.model.named_parameters())
    names = network.trained_names()
    expected = reference.training[f"grad_norms_{phase}"]
    assert set(names) == set(expected)
    for published, norm in expected.items():
        gradient = parameters[names[published]].grad
        assert gradient is not None and gradient.norm().item() == pytest.approx(norm, rel=1e-4, abs=1e-7), published
    for key, wanted in reference.expected.items():
        if key.startswith(f"grad_{phase}/"):
            published = key.partition("/")[2]
            gradient = parameters[names[published]].grad
            assert gradient is not None
            gradient = layout.to_pairs(gradient, checkpoint.sizes.heads) if layout.is_rotated(published) else gradient
            torch.testing.assert_close(gradient.view(wanted.shape), wanted, atol=1e-6, rtol=1e-4)
    trained = set(names.values())
    assert all((parameter.grad is not None) == (name in trained) for name, parameter in parameters.items())


@pytest.mark.parametrize(("phase", "which"), [("finetune", "lora"), ("pretrain", "adapter")])
def test_parity_of_a_short_run(reference: Reference, phase: str, which: str) -> None:
    """Schedule, weight decay, accumulation and AdamW give the reference's learning rates, losses and final weights."""
    stated = reference.training[f"trajectory_{phase}"]
    checkpoint = reference.checkpoint if phase == "finetune" else pretrain_phase(reference.checkpoint)
    network = trainee(checkpoint, which)
    constants, items = prepared(network, reference, use=True)
    optimiser = Optimiser(
        epochs=stated["epochs"],
        effective_batch=stated["effective_batch"],
        blr=stated["blr"],
        warmup_epochs=stated["warmup_epochs"],
        min_lr=stated["min_lr"],
        weight_decay=stated["weight_decay"],
    )
    named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
    adamw = torch.optim.AdamW(
        parameter_groups(named, optimiser.weight_decay), lr=0.0, betas=tuple(stated["betas"]), eps=stated["eps"]
    )
    told, size = [], stated["effective_batch"]
    for epoch in range(optimiser.epochs):
        for start in range(0, len(items) - size + 1, size):
            rate = learning_rate(optimiser, epoch + start / len(items))
            losses = network(**constants.batch(items[start : start + size]))
            (losses.sum() / size).backward()
            for group in adamw.param_groups:
                group["lr"] = rate
            adamw.step()
            adamw.zero_grad()
            told += [[loss, rate] for loss in losses.tolist()]
    assert len(told) == len(stated["loss_and_lr"])
    for (loss, rate), (wanted_loss, wanted_rate) in zip(told, stated["loss_and_lr"], strict=True):
        assert rate == pytest.approx(wanted_rate, abs=1e-12)
        assert loss == pytest.approx(wanted_loss, abs=1e-3)
    parameters = dict(network.model.named_parameters())
    names = network.trained_names()
    for published, (norm, _) in stated["final_param_norm_and_sum"].items():
        if published in names:
            assert parameters[names[published]].norm().item() == pytest.approx(norm, rel=1e-3, abs=1e-4), published


@pytest.mark.parametrize("which", SETS)
def test_gradients_go_only_where_the_trainable_set_says(reference: Reference, which: str) -> None:
    """Frozen weights get no gradient, trained ones all do."""
    network = trainee(reference.checkpoint, which)
    constants, items = prepared(network, reference, use=True)
    network(**constants.batch(items)).sum().backward()
    trained = set(network.trained_names().values())
    for name, parameter in network.model.named_parameters():
        assert (parameter.grad is not None) == (name in trained), name
        assert parameter.requires_grad == (name in trained), name


@pytest.mark.parametrize("which", ["adapter", "lora"])
def test_constants_are_cached_and_change_nothing(reference: Reference, which: str) -> None:
    """With the cache the layers or matrices behind it are not run, and loss and gradients stay the same."""
    gradients = []
    for use in (False, True):
        network = trainee(reference.checkpoint, which).double()  # batches of other sizes round otherwise in float32
        constants, items = prepared(network, reference, use=use)
        batch = constants.batch(items)
        assert ("lower" in batch) == (use and which == "adapter")
        assert ("gated" in batch) == (use and which == "lora")
        network(**batch).sum().backward()
        gradients.append({n: p.grad for n, p in network.model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, atol=1e-6, rtol=1e-4)
