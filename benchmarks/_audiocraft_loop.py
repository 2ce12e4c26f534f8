"""Run by audiocraft's own Python, from musicgen.py: seconds of the package's loop, random weights of a published size.

```sh
.venv-audiocraft/bin/python benchmarks/_audiocraft_loop.py SIZE STEPS REPEATS THREADS
```

REPEATS 0: each once, after a warming up of a few steps, without the four calls.
"""

from __future__ import annotations

import json
import runpy
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _harness import peak_rss_mb

WORKER = Path(__file__).resolve().parents[1] / "musiscene" / "soundtracks" / "_audiocraft" / "worker.py"
runpy.run_path(str(WORKER))["prepare"]()

import torch  # noqa: E402 - audiocraft needs its stand-ins first
from audiocraft.models import MusicGen, builders  # type: ignore[import-not-found]  # noqa: E402
from omegaconf import OmegaConf  # type: ignore[import-not-found]  # noqa: E402

SIZES = {"tiny": (32, 4, 3), "small": (1024, 16, 24), "medium": (1536, 24, 48), "large": (2048, 32, 48)}
"""Width, heads, layers."""

WORDS = " ".join("abcdefghij")
"""The text encoder is left out here (a table of words stands for it); it is a thousandth of the work."""


def build(size: str, device: str) -> Any:
    """A MusicGen of that size with random weights."""
    width, heads, layers = SIZES[size]
    wide = size != "tiny"
    config = OmegaConf.create(
        {
            "device": device,
            "dtype": "float32" if device == "cpu" else "float16",
            "lm_model": "transformer_lm",
            "transformer_lm": {
                "dim": width,
                "num_heads": heads,
                "num_layers": layers,
                "hidden_scale": 4,
                "n_q": 4,
                "card": 2048,
                "causal": True,
                "custom": False,
                "memory_efficient": True,
                "norm_first": True,
                "bias_ff": False,
                "bias_attn": False,
                "bias_proj": False,
            },
            "codebooks_pattern": {"modeling": "delay", "delay": {"delays": [0, 1, 2, 3]}},
            "attribute_dropout": {},
            "classifier_free_guidance": {"training_dropout": 0.1, "inference_coef": 3.0},
            "fuser": {"sum": [], "prepend": [], "cross": ["description"], "input_interpolate": []},
            "conditioners": {
                "args": {},
                "description": {"model": "lut", "lut": {"n_bins": 128, "dim": width, "tokenizer": "whitespace"}},
            },
            "dataset": {"segment_duration": 30},
            "compression_model": "encodec",
            "encodec": {"autoencoder": "seanet", "quantizer": "rvq", "sample_rate": 32000, "channels": 1},
            "seanet": {
                "dimension": 128 if wide else 16,
                "channels": 1,
                "n_filters": 64 if wide else 4,
                "n_residual_layers": 1,
                "ratios": [8, 5, 4, 4],
                "lstm": 2,
                "encoder": {},
                "decoder": {},
            },
            "rvq": {"n_q": 4, "bins": 2048},
        }
    )
    codec = builders.get_compression_model(config).eval()
    return MusicGen(size, codec, builders.get_lm_model(config).eval(), max_duration=30)


def main(size: str, steps: int, repeats: int, threads: int) -> None:
    """Time one soundtrack, four one after the other, and four at once; print JSON."""
    torch.set_num_threads(threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = build(size, device)

    def make(rows: int, frames: int = steps - 3) -> None:
        model.set_generation_params(duration=frames / 50, top_k=250, cfg_coef=3.0)
        with torch.inference_mode():
            model.generate([WORDS] * rows)
        if device == "cuda":
            torch.cuda.synchronize()

    ways: dict[str, Callable[[], object]] = {
        "1": lambda: make(1),
        "four calls": lambda: [make(1) for _ in range(4)],
        "batch 4": lambda: make(4),
    }
    brief = not repeats
    if brief:
        del ways["four calls"]
        make(1, 5)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(brief, repeats + 1 + brief):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            if number:
                seconds[name].append(time.perf_counter() - began)
    peak = torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else peak_rss_mb()
    timings = {
        name: {"median_s": statistics.median(all_s), "min_s": min(all_s), "max_s": max(all_s), "runs": len(all_s)}
        for name, all_s in seconds.items()
    }
    print(json.dumps({"timings": timings, "peak_mb": peak}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
