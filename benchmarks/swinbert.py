"""SwinBERT at full size with random weights: one caption, ours against the original's scheme.

    python benchmarks/swinbert.py [--repeat N] [--frames 32|64] [--clips N] [--device cpu|cuda] [--bf16] [--json FILE]

Each variant runs in a process of its own, in turns, so that its peak memory is its own; the first caption of each
process warms it up and is not counted. The words of both must be equal. In bfloat16 the share of equal words
is told; random weights decide words by smaller margins than trained ones, so it is a lower bound.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from _harness import Timing, machine, peak_rss_mb, ratio, show, write_json

VARIANTS = {"original": "the original's scheme", "ours": "ours, float32", "ours-bf16": "ours, bfloat16"}
PARTS = {"seeing_s": "Frames to video tokens", "words_s": "Video tokens to words", "total_s": "One caption"}


def run_variant(variant: str, *, frames: int, clips: int, device: str) -> dict[str, Any]:
    """Times of one caption (or one batch), its ids and this process's peak memory."""
    import _plain_swinbert as plain
    import torch
    from torch import Tensor

    from musiscene.networks.swinbert import SwinBert, SwinBertConfig, build, generate
    from musiscene.networks.swinbert.checkpoint import published_shapes

    config = replace(SwinBertConfig(), max_num_frames=frames)
    draw = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        shapes = published_shapes(SwinBert(config))

    def tensor(name: str, shape: tuple[int, ...]) -> Tensor:
        if name == "learn_vid_att.weight":
            return torch.randn(shape, generator=draw) * 4
        if "norm" in name.lower():
            return torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
        return torch.randn(shape, generator=draw).mul_(0.03)

    model = build(config, {name: tensor(name, shape) for name, shape in shapes.items()}, Path("random weights"))
    if variant == "ours-bf16":
        model.in_precision(torch.bfloat16)
    model.to(device)
    if variant != "original":
        model.ready()
    video = torch.randn(clips, frames, 3, 224, 224, generator=draw)

    def timed(work: Callable[[], Any]) -> tuple[Any, float]:
        started = time.perf_counter()
        result = work()
        if device != "cpu":
            torch.cuda.synchronize()
        return result, time.perf_counter() - started

    def once() -> dict[str, Any]:
        if variant == "original":
            tokens, seeing_s = timed(lambda: plain.visual_tokens(model, video))
            ids, words_s = timed(lambda: plain.greedy(model, tokens))
        else:
            tokens, seeing_s = timed(lambda: model.visual_tokens(video))
            ids, words_s = timed(lambda: generate(model, tokens, beams=1).ids)
        return {"seeing_s": seeing_s, "words_s": words_s, "total_s": seeing_s + words_s, "ids": ids.tolist()}

    with torch.inference_mode():
        once()
        result = once()
    peak = torch.cuda.max_memory_allocated() / 1e6 if device != "cpu" else peak_rss_mb()
    return result | {"peak_mb": peak}


def has_bf16(device: str) -> bool:
    """Whether bfloat16 is computed in hardware there."""
    import torch

    if device != "cpu":
        return torch.cuda.is_bf16_supported()
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported() and "avx512_bf16" in _cpu_flags())


def _cpu_flags() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--frames", type=int, choices=(32, 64), default=32)
    parser.add_argument("--clips", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--bf16", action="store_true", help="also where the processor has no bfloat16 arithmetic")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--variant", choices=VARIANTS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    sizes = {"frames": given.frames, "clips": given.clips, "device": given.device}
    if given.variant:
        print(json.dumps(run_variant(given.variant, **sizes)))
        return
    variants = ["original", "ours"] + (["ours-bf16"] if given.bf16 or has_bf16(given.device) else [])
    runs: dict[str, list[dict[str, Any]]] = {variant: [] for variant in variants}
    for _ in range(given.repeat):
        for variant in variants:
            command = [sys.executable, __file__, "--variant", variant, "--device", given.device]
            command += ["--frames", str(given.frames), "--clips", str(given.clips)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            runs[variant].append(json.loads(done.stdout.strip().splitlines()[-1]))
    timings: dict[str, dict[str, Timing]] = {}
    for part, title in PARTS.items():
        timings[part] = {variant: _timing([run[part] for run in results]) for variant, results in runs.items()}
        show(f"{title}, {given.clips} clip(s) of {given.frames} frames on {given.device}", timings[part])
    figures: dict[str, Any] = {"sizes": sizes, "timings": timings, "variants": {}}
    for variant in variants[1:]:
        faster = {part: round(ratio(timings[part], "original", variant), 2) for part in PARTS}
        equal = _equal_words(runs["original"][0]["ids"], runs[variant][0]["ids"])
        figures["variants"][variant] = {"times_faster": faster, "equal_words": equal}
        print(f"{VARIANTS[variant]}: {faster} times faster, {equal:.0%} of the words equal")
    figures["peak_mb"] = {variant: max(run["peak_mb"] for run in results) for variant, results in runs.items()}
    print("peak memory:", ", ".join(f"{variant} {mb:.0f} MB" for variant, mb in figures["peak_mb"].items()))
    print("machine:", machine())
    write_json(given.json, figures)


def _timing(seconds: list[float]) -> Timing:
    return Timing(statistics.median(seconds), min(seconds), max(seconds), len(seconds))


def _equal_words(ours: list[list[int]], theirs: list[list[int]]) -> float:
    pairs = [pair for a, b in zip(ours, theirs, strict=True) for pair in zip(a, b, strict=True)]
    return sum(a == b for a, b in pairs) / len(pairs)


if __name__ == "__main__":
    main()
