"""Fine-tuning with caches against the original's scheme, on one tiny network in one run; on a GPU, the size of 7B.

The original's scheme: MERT in the loop, items one by one, padded to 512, logits of all positions. Ours: features and
constants computed once (that time is told apart and spread over the epochs), micro-batches by length, logits where
something is learnt. Both do the same optimiser steps over the same items: on the tiny network of the tests and on a
wider one, with items as long as the published targets are; `--tokens 128` makes them as long as that on average.

On CUDA, `--gpu` trains a network of the published size with random weights and tells tokens per second and the share of
the matrix units' peak (`--device cpu --size tiny` runs the same lines anywhere). `--useful CSV` tells the share of
useful tokens on the scene targets of a captions CSV (`Mixtral Audio`, or a column of your choice), over epochs of
effective batches of 32 on one, two and four GPUs.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `train` is not installed

from _harness import machine, measure, ratio, show, write_json

from musiscene.networks.mert import Mert, load_mert
from musiscene.networks.mu_llama import layout
from musiscene.networks.mu_llama.checkpoint import Checkpoint, open_checkpoint
from musiscene.networks.mu_llama.model import MuLlama, answer_loss, trainable_names
from musiscene.networks.mu_llama.sizes import Sizes
from musiscene.networks.mu_llama.tiny import TINY, write_tiny
from musiscene.networks.mu_llama.tokenizer import load_tokenizer
from train.tuning.batches import effective_batches, micro_batches, share_of_rank, useful_of
from train.tuning.constants import Constants, Item
from train.tuning.estimates import PEAKS, products_of
from train.tuning.examples import Tokens
from train.tuning.network import Trainee
from train.tuning.schedule import parameter_groups
from train.tuning.stores import TensorStore

PADDED = 512
MUSICQA_S = 10.0
SIZES = {
    "tiny": TINY,
    "wider": replace(
        TINY, dim=128, layers=8, heads=4, ffn_dim=344, vocabulary=2000, prefix_layers=5, mert_dim=64, mert_states=5
    ),
    "7b": Sizes(),
}


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=32, help="items of the one effective batch that is timed")
    parser.add_argument("--epochs", type=int, default=20, help="over which the caches' making is spread")
    parser.add_argument("--tokens", type=int, default=224, help="of an item on average, prompt and answer")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--which", default="adapter", choices=["adapter", "lora", "both"])
    parser.add_argument("--gpu", action="store_true", help="one size with random weights, in bfloat16")
    parser.add_argument("--device", default="cuda", help="of --gpu")
    parser.add_argument("--size", default="7b", choices=sorted(SIZES), help="of --gpu")
    parser.add_argument("--useful", type=Path, metavar="CSV", help="share of useful tokens on its lengths, and end")
    parser.add_argument("--column", default="Mixtral Audio", help="of that CSV")
    parser.add_argument("--tokenizer", type=Path, help="folder of LLaMA's; without it 1.25 tokens a word are assumed")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.manual_seed(0)
    if given.useful:
        figures = useful_tokens(given)
    else:
        figures = on_gpu(given) if given.gpu else on_cpu(given)
    write_json(given.json, figures)


def lengths(count: int, tokens: int, seed: int = 0) -> list[tuple[int, int]]:
    """Tokens of prompt and answer, spread as in the published targets: of 224 tokens 75 are the prompt's."""
    generator = np.random.default_rng(seed)
    scale = tokens / 224
    answers = np.clip(generator.lognormal(np.log(150), 0.45, count), 20, 430) * scale
    return [(round(75 * scale), int(answer)) for answer in answers]


def random_items(count: int, vocabulary: int, tokens: int) -> list[Tokens]:
    """Items of such lengths with random tokens."""
    generator = np.random.default_rng(1)
    return [
        Tokens(tuple(generator.integers(3, vocabulary, prompt + answer).tolist()), prompt)
        for prompt, answer in lengths(count, tokens)
    ]


def useful_tokens(given: argparse.Namespace, batch: int = 32, epochs: int = 3) -> dict[str, Any]:
    """Share of what is computed that is no padding, and micro-batches per step, by the number of GPUs."""
    with given.useful.open(encoding="utf-8", newline="") as file:
        texts = [row[given.column] for row in csv.DictReader(file) if row.get(given.column)]
    if given.tokenizer:
        tokenizer = load_tokenizer(given.tokenizer)
        counts = [75 + len(tokenizer.encode(text)) + 1 for text in texts]
    else:
        counts = [75 + round(1.25 * len(re.findall(r"\w+|[^\w\s]", text))) + 1 for text in texts]
    counts = [min(count, PADDED) for count in counts]
    figures: dict[str, Any] = {"items": len(counts), "tokens": float(np.mean(counts))}
    print(f"{len(counts)} items of {np.mean(counts):.0f} tokens")
    for ranks in (1, 2, 4):
        real = padded = 0.0
        groups = steps = 0
        for epoch in range(epochs):
            for drawn in effective_batches(len(counts), batch, 0, epoch, drop_incomplete=False):
                for rank in range(ranks):
                    made = micro_batches(share_of_rank(drawn, counts, rank, ranks), counts, 8192, 64)
                    tokens = sum(counts[item] for group in made for item in group)
                    real, padded = real + tokens, padded + tokens / useful_of(made, counts)
                    groups, steps = groups + len(made), steps + 1
        figures[f"{ranks} GPUs"] = {"useful": real / padded, "micro_batches": groups / steps}
        print(
            f"  {ranks} GPUs: useful {100 * real / padded:.1f} % of attention's tokens, all of the others, "
            f"{groups / steps:.1f} micro-batches a step each"
        )
    return figures


def on_cpu(given: argparse.Namespace) -> dict[str, Any]:
    """Both schemes, alternating, on two networks."""
    torch.set_num_threads(1)
    return {
        "tiny": both_schemes(given, SIZES["tiny"]),
        "wider": both_schemes(given, SIZES["wider"]),
        "tokens": given.tokens,
        "machine": machine(),
    }


def both_schemes(given: argparse.Namespace, sizes: Sizes) -> dict[str, Any]:
    """One network's steps by either scheme."""
    with tempfile.TemporaryDirectory() as folder:
        paths = write_tiny(Path(folder), sizes)
        checkpoint = open_checkpoint(paths["adapter"], paths["base"])
        mert = load_mert(paths["mert"])
        waves = torch.randn(given.items, int(MUSICQA_S * 24_000), generator=torch.Generator().manual_seed(0))
        items = random_items(given.items, sizes.vocabulary, given.tokens)
        original = original_scheme(checkpoint, given.which, mert, waves, items)
        began = time.perf_counter()
        ours, useful = cached_scheme(checkpoint, given.which, mert, waves, items)
        making_s = time.perf_counter() - began
        timings = measure({"original scheme": original, "with caches": ours}, repeat=given.repeat)
    mean = np.mean([len(item.ids) for item in items])
    show(
        f"One step of {given.items} items of {mean:.0f} tokens, dim {sizes.dim}, {sizes.layers} layers, "
        f"trainable = {given.which}",
        timings,
    )
    spread = timings["with caches"].median_s + making_s / given.epochs
    rates = [1 / timings[name].median_s for name in ("original scheme", "with caches")]
    print(f"  steps per second: {rates[0]:.3f} and {rates[1]:.3f}")
    print(f"  {ratio(timings, 'original scheme', 'with caches'):.1f} times; useful tokens {100 * useful:.1f} %")
    print(
        f"  making the caches took {making_s:.1f} s; spread over {given.epochs} epochs "
        f"{timings['original scheme'].median_s / spread:.1f} times"
    )
    return {"timings": timings, "making_s": making_s, "useful": useful}


def original_scheme(
    checkpoint: Checkpoint, which: str, mert: Mert, waves: torch.Tensor, items: list[Tokens]
) -> Callable[[], None]:
    """One optimiser step as the original does it: for each item MERT, 512 positions, all logits."""
    model, adamw = as_published(checkpoint, which)

    def step() -> None:
        for wave, item in zip(waves, items, strict=True):
            pooled = mert.pooled(wave[None])
            ids = list(item.ids) + [0] * (PADDED - len(item.ids))
            labels = [0] * item.prompt + ids[item.prompt :]
            logits = model(torch.tensor([ids]), pooled)
            (answer_loss(logits, torch.tensor([labels])) / len(items)).backward()  # type: ignore[no-untyped-call]
        adamw.step()
        adamw.zero_grad()

    return step


def cached_scheme(
    checkpoint: Checkpoint, which: str, mert: Mert, waves: torch.Tensor, items: list[Tokens]
) -> tuple[Callable[[], None], float]:
    """The same step with features and constants from a store; and the share of useful tokens."""
    network, adamw = trainee(checkpoint, which)
    store = TensorStore(None)
    for index, wave in enumerate(waves):
        store.put(f"clip {index}", mert.pooled(wave[None])[0])
    constants = Constants(network, store, torch.device("cpu"), precision="float32", use=True)
    made = [constants.item(tokens, f"clip {index}") for index, tokens in enumerate(items)]
    constants.prepare(made, tokens=4096, rows=32)
    sizes = [len(item.ids) for item in items]
    groups = micro_batches(range(len(items)), sizes, 8192, 64)

    def step() -> None:
        _step(network, constants, made, groups, len(items))
        adamw.step()
        adamw.zero_grad()

    return step, useful_of(groups, sizes)


def as_published(checkpoint: Checkpoint, which: str) -> tuple[MuLlama, torch.optim.Optimizer]:
    """The network with LoRA apart from the matrices, as the original trains it, and its AdamW."""
    with torch.device("meta"):
        model = MuLlama(checkpoint.sizes)
    model.load(checkpoint)
    wanted = trainable_names(checkpoint.sizes, which)
    trained = {
        name for published, name in layout.module_names(checkpoint.sizes, with_base=False) if published in wanted
    }
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
        parameter.data = parameter.data.clone()
    return model, adamw_of(model)


def trainee(checkpoint: Checkpoint, which: str) -> tuple[Trainee, torch.optim.Optimizer]:
    """A network with a trainable set, and its AdamW."""
    with torch.device("meta"):
        model = MuLlama(checkpoint.sizes)
    network = Trainee(model.load(checkpoint), which)
    return network, adamw_of(network)


def adamw_of(network: torch.nn.Module, **options: Any) -> torch.optim.Optimizer:
    """The original's optimiser of what is trained."""
    named = ((name, p) for name, p in network.named_parameters() if p.requires_grad)
    return torch.optim.AdamW(parameter_groups(named, 0.05), lr=1e-5, betas=(0.9, 0.95), **options)


def _step(network: Trainee, constants: Constants, items: list[Item], groups: list[list[int]], size: int) -> None:
    for group in groups:
        (network(**constants.batch([items[index] for index in group])).sum() / size).backward()


def on_gpu(given: argparse.Namespace) -> dict[str, Any]:
    """One size with random weights in bfloat16: tokens per second, share of the peak, minutes of the paper's run."""
    device, sizes = torch.device(given.device), SIZES[given.size]
    with torch.device("meta"):
        model = MuLlama(sizes)
    model = model.to(torch.bfloat16).to_empty(device=device)
    for name, parameter in model.named_parameters():
        torch.nn.init.ones_(parameter) if "norm" in name else torch.nn.init.normal_(parameter, std=0.02)
    rotary = model.llama.model.rotary_emb
    model.llama.model.rotary_emb = type(rotary)(model.llama.config).to(device)
    network = Trainee(model, given.which)
    adamw = adamw_of(network, fused=True)
    store = TensorStore(None)
    constants = Constants(network, store, device, precision="bf16", use=True)
    items = random_items(given.items, sizes.vocabulary, given.tokens)
    for index in range(given.items):
        store.put(f"clip {index}", torch.randn(sizes.mert_states, sizes.mert_dim))
    made = [constants.item(tokens, f"clip {index}") for index, tokens in enumerate(items)]
    counts = [len(item.ids) for item in items]
    groups = micro_batches(range(len(items)), counts, 8192, 64)
    with torch.autocast(device.type, torch.bfloat16):
        constants.prepare(made, tokens=8192, rows=64)
    cuda = device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats()

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            _step(network, constants, made, groups, len(items))
        adamw.step()
        adamw.zero_grad()
        if cuda:
            torch.cuda.synchronize()

    timings = measure({"step": step}, repeat=given.repeat)
    show(f"One step of {given.items} items, size {given.size}, trainable = {given.which}", timings)
    seconds = timings["step"].median_s
    answers = [len(item.ids) - item.prompt for item in items]
    products = products_of(sizes, given.which, counts, answers, cached=True, recomputed=False)
    name = torch.cuda.get_device_name() if cuda else device.type
    peak = next((peak for known, peak in PEAKS.items() if known in name), float("nan"))
    figures = {
        "device": name,
        "tokens_per_s": sum(counts) / seconds,
        "useful": useful_of(groups, counts),
        "share_of_peak": products / seconds / peak,
        "minutes_for_the_paper": 20 * 2697 / given.items * seconds / 60,
        "memory_gb": torch.cuda.max_memory_allocated() / 1e9 if cuda else float("nan"),
    }
    for what, value in figures.items():
        print(f"  {what}: {value if isinstance(value, str) else round(value, 4)}")
    return {"timings": timings, **figures}


if __name__ == "__main__":
    main()
