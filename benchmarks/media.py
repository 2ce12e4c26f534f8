"""Muxing against re-encoding, and a long film in bounded memory.

    python benchmarks/media.py [--repeat 5] [--minutes 10] [--json FILE]

1. 10 s of 720p get a soundtrack: `musiscene.mux.mux` (packets copied) and moviepy's `write_videofile` (re-encoded).
2. A 1080p film of `--minutes` (a generated pattern, looped without encoding it again): 16 frames over its length, and
   the small pass at 8 frames a second that finds cuts and motion; each in a process of its own, with its memory.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from _harness import measure, peak_rss_mb, ratio, show, write_json

import musiscene


def film(path: Path, *, size: tuple[int, int], fps: int, duration_s: float, loops: int = 1) -> Path:
    """A moving pattern with a hard cut every second, `loops` times in a row by copying its packets."""
    width, height = size
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "g": str(fps * 10)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        packets = []
        for number in range(round(duration_s * fps)):
            scene = number // fps
            wave = np.sin(rows / (20 + 7 * scene) + number / 5) + np.cos(columns / (30 + 5 * scene) - number / 9)
            image = np.repeat(((wave + 2) * 60).astype(np.uint8)[..., None], 3, axis=2)
            image[..., scene % 3] //= 2
            packets += stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24"))
        packets += stream.encode(None)
        length = round(duration_s * fps)
        for loop in range(loops):
            for packet in packets:
                copy = av.Packet(bytes(packet))
                copy.pts, copy.dts = packet.pts + loop * length, packet.dts + loop * length
                copy.duration, copy.time_base = 1, Fraction(1, fps)
                copy.is_keyframe = packet.is_keyframe
                copy.stream = stream
                container.mux(copy)
    return path


def mux_against_moviepy(folder: Path, repeat: int) -> dict[str, Any]:
    """Seconds of both ways, and their ratio."""
    from moviepy import AudioArrayClip, VideoFileClip

    from musiscene.media import probe, read_audio
    from musiscene.mux import mux

    source = film(folder / "ten.mp4", size=(1280, 720), fps=25, duration_s=10)
    # A real soundtrack: a pure tone would be the one sound that AAC's search takes twice as long for.
    with tempfile.TemporaryDirectory() as scratch:
        made = musiscene.score("lively rock at 120 BPM", out=Path(scratch) / "music.wav", duration_s=10.0)
        music = read_audio(probe(made.audio), sample_rate=48_000, stereo=True).waveform
    clip = probe(source)

    def ours() -> None:
        mux(clip, music, 48_000, folder / "ours.mp4")

    def theirs() -> None:
        with VideoFileClip(str(source)) as video:
            scored = video.with_audio(AudioArrayClip(music.T.copy(), fps=48_000))
            scored.write_videofile(str(folder / "theirs.mp4"), audio_codec="aac", logger=None)

    timings = measure({"musiscene mux": ours, "moviepy write_videofile": theirs}, repeat=repeat)
    show("10 s of 720p get a soundtrack", timings)
    times = ratio(timings, "moviepy write_videofile", "musiscene mux")
    print(f"  {times:.1f} times faster")
    return {"timings": timings, "ratio": times}


def _in_own_process(work: str, path: Path) -> dict[str, float]:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_long_film_work, (work, path))


def _long_film_work(work: str, path: Path) -> dict[str, float]:
    from musiscene.media import iter_frames, probe, sample_frames

    started = time.perf_counter()
    clip = probe(path)
    if work == "sample_frames":
        count = len(sample_frames(clip, 16).images)
    else:
        count = sum(1 for _ in iter_frames(clip, fps=8, max_side=160))
    return {"seconds": time.perf_counter() - started, "peak_rss_mb": peak_rss_mb(), "frames": count}


def long_film(folder: Path, minutes: float) -> dict[str, Any]:
    """Seconds and memory of sampling and of the small pass over a long 1080p film."""
    source = film(folder / "long.mp4", size=(1920, 1080), fps=30, duration_s=20, loops=max(1, round(minutes * 3)))
    figures = {work: _in_own_process(work, source) for work in ("sample_frames", "iter_frames")}
    print(f"{minutes:g} minutes of 1080p")
    for work, figure in figures.items():
        print(f"  {work:<28} {figure['seconds']:.1f} s, {figure['peak_rss_mb']:.0f} MB, {figure['frames']:.0f} frames")
    return {"minutes": minutes, **figures}


def main() -> None:
    """Read the arguments, measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = {
            "mux": mux_against_moviepy(Path(folder), arguments.repeat),
            "long_film": long_film(Path(folder), arguments.minutes),
        }
    write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
