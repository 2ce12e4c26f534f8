"""MU-LLaMA's tokens per second: ours, the original's scheme, and transformers' bare Llama of the same size, in one run.

Random weights, greedy, float32 on a CPU. A batch is eight questions on one clip: 90 tokens each, of which the first 40
are the template's and the same. The original answers one question at a time, so eight are eight times one for it. The
bare Llama has neither LoRA, biases nor music: it is what the network costs at least with transformers' own `generate`.

On a CUDA device it also times the published 7B size in bfloat16 with random weights: milliseconds per token against
the time that reading every weight once takes, and one clip with four questions in one batch.

    python benchmarks/mu_llama.py [--threads 1] [--repeats 3] [--quick] [--size NAME] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from _harness import measure, show, write_json
from _plain_mu_llama import PlainMuLlama

from musiscene.networks.mu_llama.checkpoint import Checkpoint
from musiscene.networks.mu_llama.decoder import Decoder, load_decoder
from musiscene.networks.mu_llama.generate import Sampling, generate
from musiscene.networks.mu_llama.listener import Listener, load_listener
from musiscene.networks.mu_llama.model import llama_config
from musiscene.networks.mu_llama.sizes import Sizes
from musiscene.networks.mu_llama.tiny import random_tensors
from musiscene.networks.packed_linear import pack
from musiscene.networks.tensor_files import Entry, TensorFiles

PROMPT = 90
TEMPLATE = 40
BATCH = 8
NEVER = 10**9
SMALL = {
    "dim 512, 8 layers": (
        Sizes(dim=512, layers=8, heads=8, ffn_dim=1376, prefix_layers=5, mert_dim=64, adapter_dim=256),
        96,
    ),
    "dim 1024, 16 layers": (
        Sizes(dim=1024, layers=16, heads=16, ffn_dim=2752, prefix_layers=10, mert_dim=64, adapter_dim=256),
        40,
    ),
    # As wide as the published network, where a token waits for weights from memory; two layers of 32, and an output
    # matrix whose share of the weights is that of the published one.
    "dim 4096, 2 layers": (Sizes(layers=2, prefix_layers=1, vocabulary=2000, mert_dim=64, adapter_dim=256), 96),
}


def questions(sizes: Sizes, count: int) -> list[list[int]]:
    """Random prompts that begin alike."""
    beginning = torch.randint(3, sizes.vocabulary, (TEMPLATE,)).tolist()
    rest = torch.randint(3, sizes.vocabulary, (count, PROMPT - TEMPLATE)).tolist()
    return [beginning + tail for tail in rest]


def on_processor(sizes: Sizes, tokens: int, repeats: int) -> dict[str, Any]:
    """All schemes at one small size."""
    from transformers import LlamaForCausalLM

    adapter, base = random_tensors(sizes, scale=0.03)
    checkpoint = Checkpoint(sizes, _files(adapter), _files(base))
    decoder, listener = load_decoder(checkpoint), load_listener(checkpoint)
    pack(decoder)
    plain = PlainMuLlama(sizes, adapter, base)
    bare = LlamaForCausalLM(llama_config(sizes)).train(False)
    pooled = torch.randn(1, sizes.mert_states, sizes.mert_dim)
    terms = listener.terms(decoder, pooled).expand(BATCH, -1, -1)
    prompts = questions(sizes, BATCH)
    sampling = Sampling(temperature=0.0, max_new=tokens)
    heard = plain.hear(pooled)

    def ours(batch: int) -> None:
        generate(decoder, prompts[:batch], music_terms=terms[:batch], sampling=sampling, eos=NEVER)

    def original() -> None:
        plain.greedy(prompts[0], heard, tokens, eos=None)

    def llama(batch: int) -> None:
        ids = torch.tensor(prompts[:batch])
        bare.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            pad_token_id=2,
        )

    same = plain.greedy(prompts[0], heard, tokens, eos=None) == generate(
        decoder, prompts[:1], music_terms=terms[:1], sampling=sampling, eos=NEVER
    )[0]  # fmt: skip
    timings = measure(
        {
            "original's scheme": original,
            "bare Llama": lambda: llama(1),
            "ours": lambda: ours(1),
            f"bare Llama, batch {BATCH}": lambda: llama(BATCH),
            f"ours, batch {BATCH}": lambda: ours(BATCH),
        },
        repeat=repeats,
    )
    show(f"{tokens} tokens after {PROMPT}", timings)
    rates = {n: tokens * (BATCH if "batch" in n else 1) / timing.median_s for n, timing in timings.items()}
    return {
        "timings": timings,
        "tokens_per_s": {name: round(rate, 1) for name, rate in rates.items()},
        "times_original": round(rates["ours"] / rates["original's scheme"], 2),
        f"times_original_batch_{BATCH}": round(rates[f"ours, batch {BATCH}"] / rates["original's scheme"], 2),
        "times_bare": round(rates["ours"] / rates["bare Llama"], 2),
        f"times_bare_batch_{BATCH}": round(rates[f"ours, batch {BATCH}"] / rates[f"bare Llama, batch {BATCH}"], 2),
        "same_tokens": same,
    }


def on_gpu() -> dict[str, Any]:
    """The published size in bfloat16 with random weights."""
    sizes = Sizes()
    device = torch.device("cuda")
    with torch.device("meta"):
        decoder, listener = Decoder(sizes), Listener(sizes)
    for network in (decoder, listener):
        network.to(torch.bfloat16).to_empty(device=device).requires_grad_(False).train(False)
        for parameter in network.parameters():
            parameter.normal_(0.0, 0.02)
    prompts = questions(sizes, 4)
    pooled = torch.randn(1, sizes.mert_states, sizes.mert_dim, device=device)
    terms = listener.terms(decoder, pooled)
    weight_bytes = sum(p.numel() * p.element_size() for p in decoder.parameters()) - decoder.embedding.weight.nbytes
    bandwidth = _bandwidth(device)
    report: dict[str, Any] = {
        "device": torch.cuda.get_device_name(device),
        "read_gb_per_s": round(bandwidth / 1e9),
        "floor_ms": round(weight_bytes / bandwidth * 1e3, 2),
    }
    for batch in (1, 4, 8):
        rows = (prompts * 2)[:batch]
        for graph in (True, False):
            times = {}
            for count in (16, 144):  # the difference leaves out the prompt and the capture
                sampling = Sampling(temperature=0.6, max_new=count)
                for _ in range(2):
                    torch.cuda.synchronize()
                    began = time.perf_counter()
                    expanded = terms.expand(batch, -1, -1)
                    generate(
                        decoder,
                        rows,
                        music_terms=expanded,
                        sampling=sampling,
                        seeds=range(batch),
                        eos=NEVER,
                        graph=graph,
                    )
                    torch.cuda.synchronize()
                    times[count] = time.perf_counter() - began
            per_token = (times[144] - times[16]) / 128 * 1e3
            report[f"ms_per_step_batch_{batch}_{'graph' if graph else 'eager'}"] = round(per_token, 2)
    began = time.perf_counter()
    terms = listener.terms(decoder, pooled).expand(4, -1, -1)
    generate(decoder, prompts, music_terms=terms, sampling=Sampling(max_new=80), seeds=range(4), eos=NEVER)
    torch.cuda.synchronize()
    report["four_questions_of_80_tokens_s"] = round(time.perf_counter() - began, 2)
    report["peak_memory_gb"] = round(torch.cuda.max_memory_allocated() / 1e9, 1)
    return report


def _bandwidth(device: torch.device) -> float:
    """Bytes per second that a plain sum over 4 GB reads."""
    data = torch.ones(2 * 1024**3, dtype=torch.bfloat16, device=device)
    times = []
    for _ in range(5):
        torch.cuda.synchronize()
        began = time.perf_counter()
        data.sum()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return data.nbytes / min(times)


def _files(tensors: dict[str, torch.Tensor]) -> TensorFiles:
    here = Path("random")
    return TensorFiles(here, {n: Entry(tuple(t.shape), here, lambda t=t: t) for n, t in tensors.items()})


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--size", choices=list(SMALL), action="append", help="only this one (may be repeated)")
    parser.add_argument("--quick", action="store_true", help="the smaller size only, a quarter of the tokens")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    report: dict[str, Any] = {"torch": torch.__version__, "threads": given.threads}
    for name in given.size or list(SMALL)[: 1 if given.quick else None]:
        sizes, tokens = SMALL[name]
        tokens = tokens // 4 if given.quick else tokens
        report[name] = on_processor(sizes, tokens, given.repeats)
        print(name, {key: value for key, value in report[name].items() if key != "timings"}, flush=True)
    if torch.cuda.is_available():
        report["gpu"] = on_gpu()
        print("GPU", json.dumps(report["gpu"], indent=1))
    write_json(given.json, report)


if __name__ == "__main__":
    main()
