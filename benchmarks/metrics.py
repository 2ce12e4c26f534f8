"""Fréchet audio distance of many clips, against the reference recipe in plain numpy and scipy.

    python benchmarks/metrics.py                  # 500 clips of 10 s; about ten minutes
    python benchmarks/metrics.py --clips 40       # a quick look
    OPENBLAS_NUM_THREADS=1 python benchmarks/metrics.py --clips 40 --group 6 --processor   # on a machine that is shared

Three ways, on the same clips and the same random full-size weights (numbers without meaning, the same work):

- ours: `musiscene.metrics`, with decoding ahead and windows batched over clips;
- plain: every window's spectrogram and the network in numpy, every embedding kept, `scipy.linalg.sqrtm` at the end;
- torch, clip by clip: the same front end, the network by torch, one clip at a time, as the usual packages do.

The three alternate over groups of clips. Memory is the most that a process of its own holds for 50 clips and for all.
"""

from __future__ import annotations

import argparse
import copy
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.linalg
import scipy.signal
import soundfile
import torch
from _harness import measure, peak_rss_mb, ratio, show, write_json

from musiscene.metrics.frechet import Gaussian
from musiscene.metrics.music_tables import Background, Networks, evaluate_music
from musiscene.metrics.sound_files import Sound, list_sounds
from musiscene.networks import vggish
from musiscene.networks.mel import mel_triangles

SECONDS, RATE = 10, 32_000


def make_clips(folder: Path, count: int) -> None:
    """Chords with noise, as 16-bit WAV."""
    time = np.arange(SECONDS * RATE) / RATE
    for number in range(count):
        rng = np.random.default_rng(number)
        wave = sum(np.sin(2 * np.pi * hz * time + phase) for hz, phase in rng.uniform((80, 0), (4000, 6), (5, 2)))
        wave = 0.1 * wave * (1 + 0.5 * np.sin(2 * np.pi * rng.uniform(1, 4) * time))
        wave += 0.02 * rng.standard_normal(time.size)
        soundfile.write(folder / f"clip{number:04}.wav", wave, RATE)


def network() -> vggish.VggishNetwork:
    """Full size, random weights."""
    torch.manual_seed(0)
    return vggish.VggishNetwork().eval().requires_grad_(False)


def background() -> Gaussian:
    """Any saved statistics."""
    gaussian = Gaussian(128)
    gaussian.add(np.random.default_rng(1).standard_normal((1000, 128)))
    return gaussian


def ours(sounds: list[Sound], networks: Networks) -> float:
    """By this package."""
    found = evaluate_music("ours", sounds, Background(gaussian=background()), networks)
    assert found.fad is not None
    return found.fad.value


# -- the reference recipe, written plainly -------------------------------------------------------------------------


def plain_examples(path: Path) -> np.ndarray:
    """Windows of a clip as Google's code makes them, one after another; `(n, 96, 64)`."""
    samples, rate = soundfile.read(path)
    samples = scipy.signal.resample_poly(samples, 16_000, rate)
    written = np.rint(samples * (10 ** (-1 / 20) / np.abs(samples).max() * 32767))
    values = written / max(0.1, written.max())
    triangles = mel_triangles(64, 512, 16_000, 125.0, 7500.0)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    windows = []
    for start in range(0, values.size - 16_000 + 1, 8_000):
        part = values[start : start + 16_000]
        frames = np.stack([part[s : s + 400] for s in range(0, 16_000 - 400 + 1, 160)])
        windows.append(np.log(np.abs(np.fft.rfft(frames * hann, 512)) @ triangles + 0.01)[:96])
    return np.stack(windows).astype(np.float32)


def plain_network(examples: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """VGGish in numpy, `(n, 128)`."""
    maps = examples[:, None]
    for index, pool in ((0, True), (3, True), (6, False), (8, True), (11, False), (13, True)):
        weight, bias = weights[f"features.{index}.weight"], weights[f"features.{index}.bias"]
        padded = np.pad(maps, ((0, 0), (0, 0), (1, 1), (1, 1)))
        patches = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
        n, height, width = patches.shape[:3]
        flat = patches.reshape(n * height * width, -1) @ weight.reshape(len(weight), -1).T + bias
        maps = np.maximum(flat, 0).reshape(n, height, width, -1).transpose(0, 3, 1, 2)
        if pool:
            maps = maps.reshape(n, -1, height // 2, 2, width // 2, 2).max(axis=(3, 5))
    values = maps.transpose(0, 2, 3, 1).reshape(len(maps), -1)
    for index in (0, 2, 4):
        values = values @ weights[f"embeddings.{index}.weight"].T + weights[f"embeddings.{index}.bias"]
        values = np.maximum(values, 0) if index < 4 else values
    return values


def plain_distance(embeddings: np.ndarray, target: Gaussian) -> float:
    """With the covariance of all embeddings and scipy's matrix root, as Google's code does."""
    mean, covariance = embeddings.mean(axis=0), np.cov(embeddings, rowvar=False)
    root: Any = scipy.linalg.sqrtm(covariance @ target.covariance)
    step = mean - target.mean
    return float(step @ step + np.trace(covariance) + np.trace(target.covariance) - 2 * np.trace(root.real))


def plain(sounds: list[Sound], weights: dict[str, np.ndarray]) -> float:
    """Everything in numpy and scipy."""
    found = [plain_network(plain_examples(sound.path), weights) for sound in sounds]
    return plain_distance(np.concatenate(found), background())


def clip_by_clip(sounds: list[Sound], net: vggish.VggishNetwork) -> float:
    """The network by torch, one clip at a time."""
    with torch.inference_mode():
        found = [net(torch.from_numpy(plain_examples(sound.path))[:, None]).numpy() for sound in sounds]
    return plain_distance(np.concatenate(found), background())


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=500)
    parser.add_argument("--group", type=int, default=20, help="clips that the three ways take turns with")
    parser.add_argument("--processor", action="store_true", help="one thread, processor seconds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--memory", type=Path, metavar="DIR", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.processor:
        torch.set_num_threads(1)
    net = network()
    # A copy: the package lays its weights out in another way, and the others take turns with the usual one.
    networks = Networks(vggish.Vggish(copy.deepcopy(net), source="random, for timing"))
    if options.memory is not None:
        sounds = list(list_sounds(options.memory))[: options.clips]
        began = time.perf_counter()
        ours(sounds, networks)
        print(f"{peak_rss_mb():.0f} {time.perf_counter() - began:.2f}")
        return
    weights = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        make_clips(Path(folder), options.clips)
        sounds = list(list_sounds(Path(folder)))
        group = sounds[: options.group]
        values = ours(group, networks), plain(group, weights), clip_by_clip(group, net)
        print("distances of one group:", ", ".join(f"{value:.4f}" for value in values), "(resamplers differ)")
        timings = measure(
            {
                "ours": lambda: ours(group, networks),
                "plain numpy and scipy": lambda: plain(group, weights),
                "torch, clip by clip": lambda: clip_by_clip(group, net),
            },
            repeat=3,
            warm_up=False,
            clock=time.process_time if options.processor else time.perf_counter,
        )
        show(f"FAD of {len(group)} clips of {SECONDS} s{', seconds of the processor' * options.processor}", timings)
        for slower in ("plain numpy and scipy", "torch, clip by clip"):
            print(f"  ours is {ratio(timings, slower, 'ours'):.2f} times as fast as {slower}")
        memory, seconds = {}, {}
        for count in sorted({min(50, len(sounds)), len(sounds)}):
            command = [sys.executable, __file__, "--clips", str(count), "--memory", folder]
            printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            memory[count], seconds[count] = (float(value) for value in printed.split()[:2])
            print(f"  {count} clips in a process of their own: {seconds[count]:.1f} s, at most {memory[count]:.0f} MB")
    write_json(options.json, {"group": timings, "seconds": seconds, "memory_mb": memory, "clips": options.clips})


if __name__ == "__main__":
    main()
