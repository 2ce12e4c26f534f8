"""MusicGen's seconds: transformers' generate, audiocraft's loop (if its environment is here), ours, in one run.

Random weights of the published sizes, built without a download; texts of four captions' length, guidance 3, sampling
with top-k 250, EnCodec included. "Four default calls" is what a program does that calls `generate` once for each
caption; "batch 4" is all of them at once. Few steps are written by default, so that it ends in minutes on a processor;
a second of music is 50 of them. Beside each time stands the most memory that the process held while it ran.

On a CUDA device it runs in bfloat16, adds the captured graph, the time of one step against the time that reading every
weight once takes (the bandwidth floor), and four soundtracks of 10 s. Beside each figure that has an aim stands the aim
and whether it holds; the aims for CUDA are meant for an H200. `--json` is written anew after each size.

`--seconds 2` writes so much music once with each, audiocraft's loop included, and prints the ratios: minutes on two
cores, where the package's loop is too slow for several runs. Four calls are then counted as four times one.

    python benchmarks/musicgen.py [--seconds S] [--sizes small] [--steps 40] [--repeats 2] [--threads N] [--int8]
"""

from __future__ import annotations

import argparse
import copy
import gc
import json
import math
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from _harness import Timing, measure, ratio, show, write_json

from musiscene.networks.musicgen.codec import decode, settled
from musiscene.networks.musicgen.decoder import MusicgenDecoder
from musiscene.networks.musicgen.generate import generate_codes
from musiscene.networks.musicgen.random_model import random_musicgen
from musiscene.networks.musicgen.sampling import Sampling

HERE = Path(__file__).resolve().parent
AUDIOCRAFT = HERE.parent / ".venv-audiocraft" / "bin" / "python"
WORDS = (38, 22, 55, 31)
"""Tokens of four captions."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure of the report is to reach: `limit` at least, or at most where less is better."""

    figure: str
    words: str
    limit: float
    at_most: bool = False

    def judged(self, report: dict[str, Any]) -> dict[str, Any]:
        """Print the aim beside its figure; return both."""
        value = report[self.figure]
        holds = value <= self.limit if self.at_most else value >= self.limit
        sense = "at most" if self.at_most else "at least"
        print(f"  aim, {self.words}: {sense} {self.limit:g}; {value:g} {'HOLDS' if holds else 'DOES NOT HOLD'}")
        return {"figure": self.figure, "value": value, sense.replace(" ", "_"): self.limit, "holds": holds}


_TWELVE = Aim("times_four_default_calls", "times as fast as four default calls", 12.0)
AIMS: dict[tuple[str, str], tuple[Aim, ...]] = {
    ("cpu", "small"): (Aim("times_four_default_calls", "times as fast as four default calls", 2.5),),
    ("cuda", "small"): (_TWELVE, Aim("four_of_10_s", "seconds for four soundtracks of 10 s", 1.5, at_most=True)),
    ("cuda", "medium"): (_TWELVE, Aim("times_floor", "a step in bandwidth floors", 3.0, at_most=True)),
    ("cuda", "large"): (Aim("times_floor", "a step in bandwidth floors", 2.2, at_most=True),),
}
"""By device and size."""


class Watched:
    """Notes the most memory that was held while something ran."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.peak_mb: dict[str, float] = {}

    def __call__(self, name: str, thing: Callable[[], object]) -> Callable[[], None]:
        """`thing`, watched under a name."""

        def run() -> None:
            if self.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
                thing()
                torch.cuda.synchronize()
                peak = torch.cuda.max_memory_allocated() / 1e6
            else:
                peak = self._sampled(thing)
            self.peak_mb[name] = round(max(peak, self.peak_mb.get(name, 0.0)))

        return run

    def _sampled(self, thing: Callable[[], object]) -> float:
        peak, over = 0.0, threading.Event()

        def look() -> None:
            nonlocal peak
            while not over.wait(0.02):
                peak = max(peak, resident_mb())

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        thing()
        over.set()
        looking.join()
        return max(peak, resident_mb())


def resident_mb() -> float:
    """Memory that this process holds, in megabytes (Linux)."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * 4096 / 1e6 if statm.exists() else math.nan


def compare(size: str, steps: int, repeats: int, device: torch.device, int8: bool, brief: bool) -> dict[str, Any]:
    """All ways at one size; `brief` leaves out what is four times another, and warms up with a few steps."""
    model = random_musicgen(size).to(device)
    if device.type == "cuda":
        model = model.to(torch.bfloat16)
    codec = settled(copy.deepcopy(model.audio_encoder).float())  # ours decodes in float32 always
    ids = torch.randint(5, 32000, (len(WORDS), max(WORDS)), device=device)
    mask = (torch.arange(max(WORDS), device=device)[None] < torch.tensor(WORDS, device=device)[:, None]).long()
    ids = ids * mask
    decoders = {"eager": MusicgenDecoder(model.decoder, packed=True)}
    if int8 and device.type == "cpu":
        decoders["eager, int8"] = MusicgenDecoder(model.decoder, int8=True)

    def theirs(rows: slice, steps: int = steps) -> None:
        words = int(mask[rows].sum(-1).max())
        model.generate(
            input_ids=ids[rows, :words],
            attention_mask=mask[rows, :words],
            do_sample=True,
            top_k=250,
            guidance_scale=3.0,
            max_new_tokens=steps,
        )

    def ours(decoder: MusicgenDecoder, rows: slice, frames: int, capture: bool) -> None:
        words = int(mask[rows].sum(-1).max())
        with torch.inference_mode():
            states = model.text_encoder(input_ids=ids[rows, :words], attention_mask=mask[rows, :words])[0]
            states = model.enc_to_dec_proj(states)
        codes = generate_codes(
            decoder, states, mask[rows, :words], frames, seeds=range(len(states)), capture=capture, sampling=Sampling()
        )
        decode(codec, codes)

    frames = steps - 3  # the delay takes three steps
    one, four = slice(0, 1), slice(0, 4)
    ways: dict[str, Callable[[], object]] = {
        "transformers, 1": lambda: theirs(one),
        "transformers, four default calls": lambda: [theirs(slice(row, row + 1)) for row in range(4)],
        "transformers, batch 4": lambda: theirs(four),
    }
    if brief:
        del ways["transformers, four default calls"]
        theirs(one, 8)
        ours(decoders["eager"], one, 5, device.type == "cuda")
    for name, decoder in decoders.items():
        ways[f"ours {name}, 1"] = lambda decoder=decoder: ours(decoder, one, frames, False)  # type: ignore[misc]
        ways[f"ours {name}, batch 4"] = lambda decoder=decoder: ours(decoder, four, frames, False)  # type: ignore[misc]
    if device.type == "cuda":
        plain = decoders["eager"]
        ways["ours graph, 1"] = lambda: ours(plain, one, frames, True)
        ways["ours graph, batch 4"] = lambda: ours(plain, four, frames, True)
    watched = Watched(device)
    timings = measure({name: watched(name, way) for name, way in ways.items()}, repeat=repeats, warm_up=not brief)
    if brief:
        timings["transformers, four default calls"] = timings["transformers, 1"].times(4)
    best = "ours graph, batch 4" if device.type == "cuda" else "ours eager, batch 4"
    report: dict[str, Any] = {
        "steps": steps,
        "timings": timings,
        "peak_mb": watched.peak_mb,
        "times_four_default_calls": round(ratio(timings, "transformers, four default calls", best), 2),
    }
    if "ours eager, int8, batch 4" in timings:
        report["int8_times_four_default_calls"] = round(
            ratio(timings, "transformers, four default calls", "ours eager, int8, batch 4"), 2
        )
    show(f"musicgen-{size}, {steps} steps on {device.type}", timings)
    print("  most memory:", ", ".join(f"{name} {mb:.0f} MB" for name, mb in watched.peak_mb.items()))
    print(f"  {best} is {report['times_four_default_calls']} times as fast as four default calls")
    if device.type == "cuda":
        report |= against_the_floor(decoders["eager"], ours, device)
    report["aims"] = [aim.judged(report) for aim in AIMS.get((device.type, size), ())]
    return report


def against_the_floor(decoder: MusicgenDecoder, ours: Any, device: torch.device) -> dict[str, Any]:
    """Milliseconds of a captured step, and of reading all weights once; seconds of four soundtracks of 10 s."""
    matrices: list[Any] = [decoder._heads_out]
    for layer in decoder._layers:
        matrices += [layer.qkv, layer.self_out, layer.fc1, layer.fc2]
        matrices += [layer.cross.q, layer.cross.out] if layer.cross else []
    weights = sum(matrix.numel() * matrix.element_size() for matrix in matrices)
    floor_s = weights / bandwidth(device)
    step_s = {}
    text = torch.randn(4, 40, decoder.width, device=device, dtype=decoder.dtype)
    mask = torch.ones(4, 40, dtype=torch.int64, device=device)
    for rows in (1, 4):
        spent = {}
        for frames in (270, 500):  # the difference is steps alone: both read the text and record two graphs
            best = math.inf
            for _ in range(4):  # the first sets up libraries
                torch.cuda.synchronize()
                began = time.perf_counter()
                generate_codes(decoder, text[:rows], mask[:rows], frames, seeds=range(rows))
                torch.cuda.synchronize()
                best = min(best, time.perf_counter() - began)
            spent[frames] = best
        step_s[rows] = (spent[500] - spent[270]) / 230
    ours(decoder, slice(0, 4), 500, True)
    torch.cuda.synchronize()
    began = time.perf_counter()
    ours(decoder, slice(0, 4), 500, True)
    torch.cuda.synchronize()
    ten_s = time.perf_counter() - began
    one_ms, four_ms = step_s[1] * 1e3, step_s[4] * 1e3
    print(f"  a step: {one_ms:.2f} ms (batch 1), {four_ms:.2f} ms (batch 4); floor {floor_s * 1e3:.2f} ms")
    print(f"  four soundtracks of 10 s: {ten_s:.2f} s")
    return {
        "floor_ms": round(floor_s * 1e3, 3),
        "step_ms": {rows: round(seconds * 1e3, 3) for rows, seconds in step_s.items()},
        "times_floor": round(step_s[1] / floor_s, 2),
        "four_of_10_s": round(ten_s, 3),
    }


def bandwidth(device: torch.device) -> float:
    """Bytes a second that the device reads: the best of several sums over a gigabyte."""
    data = torch.ones(2**28, device=device)
    best = math.inf
    for _ in range(8):
        torch.cuda.synchronize()
        began = time.perf_counter()
        data.sum()
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return data.numel() * 4 / best


def audiocraft(size: str, steps: int, repeats: int, brief: bool, ours: dict[str, Any]) -> dict[str, Any]:
    """The same by the package's own loop, in its own environment; `ours` is what was measured here."""
    if not AUDIOCRAFT.exists():
        print("audiocraft is left out: its environment is not here (make audiocraft)")
        return {}
    done = subprocess.run(
        [
            str(AUDIOCRAFT),
            str(HERE / "_audiocraft_loop.py"),
            size,
            str(steps),
            str(0 if brief else repeats),
            str(torch.get_num_threads()),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print(f"audiocraft is left out: {(done.stderr.strip().splitlines() or ['it ended without a word'])[-1]}")
        return {}
    figures: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    timings = {f"audiocraft, {name}": Timing(**values) for name, values in figures["timings"].items()}
    show(f"audiocraft, {size}, {steps} steps", timings)
    print(f"  most memory: {figures['peak_mb']:.0f} MB")
    way = "graph" if "ours graph, 1" in ours["timings"] else "eager"
    pairs = {"1": f"ours {way}, 1", "batch 4": f"ours {way}, batch 4"}
    times = {
        name: round(ratio(timings | ours["timings"], f"audiocraft, {name}", own), 2) for name, own in pairs.items()
    }
    print(f"  ours, {way}, is {times['1']} times as fast for one, {times['batch 4']} times for a batch of 4")
    return {"timings": timings, "peak_mb": figures["peak_mb"], "times_audiocraft": times}


def main() -> None:
    """Measure, print, and write the figures if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="", help="small,medium,large,tiny (default: small; on CUDA all three)")
    parser.add_argument("--steps", type=int, default=0, help="steps to write (default 40; on CUDA 503, which is 10 s)")
    parser.add_argument(
        "--seconds", type=float, default=0.0, help="so much music, once with each (2 to 4 on a processor)"
    )
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=0, help="one on a busy machine, where several wait")
    parser.add_argument("--int8", action="store_true", help="also the opt-in eight bits of a processor")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sizes = arguments.sizes or ("small,medium,large" if device.type == "cuda" else "small")
    brief = arguments.seconds > 0
    steps = round(50 * arguments.seconds) + 3 if brief else arguments.steps or (503 if device.type == "cuda" else 40)
    repeats = 1 if brief else arguments.repeats
    figures: dict[str, Any] = {"threads": torch.get_num_threads(), "device": device.type}
    if device.type == "cuda":
        figures["device"] = torch.cuda.get_device_name()
    for size in sizes.split(","):
        figures[size] = compare(size, steps, repeats, device, arguments.int8, brief)
        figures[f"audiocraft {size}"] = audiocraft(size, steps, repeats, brief, figures[size])
        write_json(arguments.json, figures)
        gc.collect()
        if device.type == "cuda":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
