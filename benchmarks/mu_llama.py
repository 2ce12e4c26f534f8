"""MU-LLaMA's tokens per second: ours, the original's scheme, and transformers' bare Llama of the same size, in one run.

Random weights, greedy, on a CPU, in float32 and with narrow matrices (bfloat16, and 8 bits for ours). A batch is eight
questions on one clip: 90 tokens each, of which the first 40 are the template's and the same. The original answers one
question at a time, so eight are eight times one for it. The bare Llama has neither LoRA, biases nor music: it is what
the network costs at least with transformers' own `generate`.

Every token reads every matrix once, so no scheme can be quicker than its bytes over the bandwidth of the memory. That
bandwidth is measured in the same run (what a plain sum reads), and each scheme's share of what it allows is printed. A
share above 1 is a network that partly stays in the processor's cache, or a machine that was slower at the sum.

On a CUDA device it also times the published 7B size in bfloat16 with random weights: milliseconds per token against
the time that reading every weight once takes, and one clip with four questions in one batch.

    python benchmarks/mu_llama.py [--threads 1] [--repeats 3] [--quick] [--size NAME] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from _harness import measure, show, write_json
from _plain_mu_llama import PlainMuLlama

from musiscene.networks.mu_llama.checkpoint import Checkpoint
from musiscene.networks.mu_llama.decoder import Decoder, load_decoder
from musiscene.networks.mu_llama.generate import Layout, Sampling, Step, generate
from musiscene.networks.mu_llama.listener import Listener, load_listener
from musiscene.networks.mu_llama.model import llama_config
from musiscene.networks.mu_llama.sizes import Sizes
from musiscene.networks.mu_llama.tiny import random_tensors
from musiscene.networks.narrow_linear import narrowed
from musiscene.networks.packed_linear import pack
from musiscene.networks.tensor_files import Entry, TensorFiles

PROMPT = 90
TEMPLATE = 40
BATCH = 8
NEVER = 10**9
PLAIN = {"original's scheme": torch.float32, "original's scheme, bfloat16": torch.bfloat16}
NARROW: dict[str, torch.dtype | None] = {"ours": None, "ours, bfloat16": torch.bfloat16, "ours, 8 bits": torch.int8}
"""What matrices are stored in."""
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
    ours = {name: _ours(checkpoint, kind) for name, kind in NARROW.items()}
    plain = {name: PlainMuLlama(sizes, adapter, base, kind) for name, kind in PLAIN.items()}
    bare = LlamaForCausalLM(llama_config(sizes)).train(False)
    pooled = torch.randn(1, sizes.mert_states, sizes.mert_dim)
    prompts = questions(sizes, BATCH)
    heard = {name: scheme.hear(pooled) for name, scheme in plain.items()}
    terms = {name: listener.terms(decoder, pooled).expand(BATCH, -1, -1) for name, (decoder, listener) in ours.items()}

    def run_ours(name: str, batch: int, count: int) -> list[list[int]]:
        sampling = Sampling(temperature=0.0, max_new=count)
        music = terms[name][:batch]
        return generate(ours[name][0], prompts[:batch], music_terms=music, sampling=sampling, eos=NEVER)

    def run_plain(name: str, count: int) -> list[int]:
        return plain[name].greedy(prompts[0], heard[name], count, eos=None)

    def run_bare(batch: int) -> None:
        ids = torch.tensor(prompts[:batch])
        bare.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            pad_token_id=2,
        )

    things: dict[str, Callable[[], object]] = {}
    for name in plain:
        things[name] = partial(run_plain, name, tokens)
        things[f"{name}: first token"] = partial(run_plain, name, 1)
    for name in ours:
        things[name] = partial(run_ours, name, 1, tokens)
        things[f"{name}: first token"] = partial(run_ours, name, 1, 1)
        things[f"{name}, batch {BATCH}"] = partial(run_ours, name, BATCH, tokens)
    things["bare Llama"] = partial(run_bare, 1)
    things[f"bare Llama, batch {BATCH}"] = partial(run_bare, BATCH)

    same = run_plain("original's scheme", tokens) == run_ours("ours", 1, tokens)[0]
    bandwidth = _bandwidth(torch.device("cpu"))
    timings = measure(things, repeat=repeats)
    show(f"{tokens} tokens after {PROMPT}", timings)
    speeds = {n: tokens * (BATCH if "batch" in n else 1) / t.median_s for n, t in timings.items() if "first" not in n}
    original = speeds["original's scheme"]
    read = {name: scheme.bytes_per_token for name, scheme in plain.items()}
    read |= {name: _bytes_per_token(decoder) for name, (decoder, _) in ours.items()}
    share = {}
    for name, size in read.items():
        per_token = (timings[name].median_s - timings[f"{name}: first token"].median_s) / (tokens - 1)
        floor = size / bandwidth
        share[name] = {
            "floor_ms": round(floor * 1e3, 2),
            "ms_per_token": round(per_token * 1e3, 2),
            "share_of_floor": round(floor / per_token, 2),
        }
    text = torch.randint(3, sizes.vocabulary, (tokens,)).tolist()
    wide = _logits(ours["ours"], terms["ours"], text)
    closeness = {n: _closeness(_logits(scheme, terms[n], text), wide) for n, scheme in ours.items() if n != "ours"}
    return {
        "timings": timings,
        "tokens_per_s": {name: round(rate, 1) for name, rate in speeds.items()},
        "times_original": {name: round(speeds[name] / original, 2) for name in ours},
        "times_original_in_bfloat16": round(speeds["ours, bfloat16"] / speeds["original's scheme, bfloat16"], 2),
        f"times_original_batch_{BATCH}": {n: round(speeds[f"{n}, batch {BATCH}"] / original, 2) for n in ours},
        "times_bare": round(speeds["ours"] / speeds["bare Llama"], 2),
        f"times_bare_batch_{BATCH}": round(speeds[f"ours, batch {BATCH}"] / speeds[f"bare Llama, batch {BATCH}"], 2),
        "read_gb_per_s": round(bandwidth / 1e9, 1),
        "floors": share,
        "against_float32": closeness,
        "same_tokens": same,
    }


def _ours(checkpoint: Checkpoint, kind: torch.dtype | None) -> tuple[Decoder, Listener]:
    """Our network in float32 (None) or with narrow matrices, as the backend loads it on a CPU."""
    if kind is None:
        decoder, listener = load_decoder(checkpoint), load_listener(checkpoint)
        pack(decoder)
        return decoder, listener

    def store(name: str, linear: torch.nn.Linear) -> torch.nn.Module:
        return narrowed(linear, kind)

    return load_decoder(checkpoint, store=store), load_listener(checkpoint, store=store)


def _bytes_per_token(decoder: Decoder) -> int:
    """Bytes of weights that one token reads: all but the embedding, of which it reads a row."""
    tensors = [*decoder.parameters(), *decoder.buffers()]
    return sum(tensor.nbytes for tensor in tensors) - decoder.embedding.weight.nbytes


@torch.inference_mode()
def _logits(scheme: tuple[Decoder, Listener], terms: torch.Tensor, text: list[int]) -> torch.Tensor:
    """Logits after each token of a text that is read token by token, `(len(text), vocabulary)`."""
    decoder = scheme[0]
    step = Step(decoder, decoder.new_cache(1, len(text)), Layout.of(0, [0]), terms[:1], None, 0)
    return torch.cat([step(torch.tensor([token])) for token in text])


def _closeness(narrow: torch.Tensor, wide: torch.Tensor) -> dict[str, float]:
    """How near logits with narrow matrices are to those in float32: error over spread, and equal likeliest tokens."""
    spread = wide - wide.mean(dim=-1, keepdim=True)
    return {
        "logits_error": round(float((narrow - wide).norm() / spread.norm()), 4),
        "same_likeliest": round(float((narrow.argmax(-1) == wide.argmax(-1)).float().mean()), 3),
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
    weight_bytes = _bytes_per_token(decoder)
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
    """Bytes per second that a plain sum reads, over 4 GB on a GPU and 1 GB elsewhere."""
    on_gpu = device.type == "cuda"
    data = torch.ones((4 if on_gpu else 1) * 2**28, dtype=torch.float32, device=device)
    times = []
    for _ in range(5):
        if on_gpu:
            torch.cuda.synchronize()
        began = time.perf_counter()
        data.sum()
        if on_gpu:
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
        print(name)
        for key, value in report[name].items():
            if key != "timings":
                print(f"  {key}: {value}", flush=True)
    if torch.cuda.is_available():
        report["gpu"] = on_gpu()
        print("GPU", json.dumps(report["gpu"], indent=1))
    write_json(given.json, report)


if __name__ == "__main__":
    main()
