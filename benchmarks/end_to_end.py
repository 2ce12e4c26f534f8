"""The main job, timed: a 10 s 720p clip from file to four captions and four muxed videos.

    python benchmarks/end_to_end.py [--repeat N] [--json FILE]

Two things are compared in each run, alternating: everything through the pipeline (stages side by side, video packets
copied), and the same work one stage after the other with the video encoded anew for each soundtrack, as moviepy does.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import av
import numpy as np
from _harness import measure, ratio, show, write_json
from moviepy import AudioFileClip, VideoFileClip

import musiscene
from musiscene.pipeline import CaptionReady, Event, RenditionReady
from musiscene.settings import Settings


def render_clip(path: Path, seconds: float = 10.0) -> None:
    """Write a 720p clip at 30 fps with four shots that move, and a sound with a pulse."""
    width, height, fps, rate = 1280, 720, 30, 48_000
    rng = np.random.default_rng(0)
    shots = [rng.integers(0, 255, (height // 40 + 1, width // 40 * 2 + 1, 3), np.uint8) for _ in range(4)]
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=fps, options={"preset": "veryfast", "threads": "2"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = container.add_stream("aac", rate=rate, layout="stereo")
        for index in range(round(seconds * fps)):
            texture = np.kron(shots[index * 4 // round(seconds * fps)], np.ones((40, 40, 1), np.uint8))
            shift = index * 3 % (texture.shape[1] - width)
            image = np.ascontiguousarray(texture[:height, shift : shift + width])
            container.mux(video.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(video.encode())
        time_s = np.arange(round(seconds * rate)) / rate
        pulse = np.exp(-12 * (time_s % 0.5))
        chord = sum(np.sin(2 * np.pi * f * time_s) for f in (220.0, 261.63, 329.63)) / 3
        wave = np.tile((0.3 * pulse * chord).astype(np.float32), (2, 1))
        for start in range(0, wave.shape[1] - 1024, 1024):
            block = np.ascontiguousarray(wave[:, start : start + 1024])
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = rate, start
            container.mux(audio.encode(frame))
        container.mux(audio.encode())


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        clip, out = Path(scratch) / "clip.mp4", Path(scratch) / "out"
        render_clip(clip)
        settings = Settings(data_dir=Path(scratch), work_dir=Path(scratch))
        first_caption: list[float] = []
        first_music: list[float] = []

        def ours() -> None:
            started = time.perf_counter()
            seen: set[type] = set()

            def watch(event: Event) -> None:
                for kind, times in ((CaptionReady, first_caption), (RenditionReady, first_music)):
                    if isinstance(event, kind) and kind not in seen:
                        seen.add(kind)
                        times.append(time.perf_counter() - started)

            musiscene.compare(clip, out=out, settings=settings, watch=watch)

        def one_after_the_other() -> None:
            described = musiscene.caption(clip, settings=settings)
            for kind, caption in described.captions.items():
                wav = Path(scratch) / f"{kind}.wav"
                musiscene.score(caption.text, out=wav, duration_s=described.clip.duration_s, settings=settings)
                with VideoFileClip(str(clip)) as picture, AudioFileClip(str(wav)) as sound:
                    picture.with_audio(sound).write_videofile(
                        str(Path(scratch) / f"{kind}.mp4"), codec="libx264", audio_codec="aac", logger=None
                    )

        names = ("side by side, packets copied", "one after the other, encoded anew")
        timings = measure(dict(zip(names, (ours, one_after_the_other), strict=True)), repeat=arguments.repeat)
        first = {
            "first_caption_s": statistics.median(first_caption),
            "first_soundtrack_s": statistics.median(first_music),
        }
        show("10 s of 720p: from file to four muxed videos", timings)
        print(f"  ratio {ratio(timings, names[1], names[0]):.1f}")
        print("  " + ", ".join(f"{name} {value:.2f}" for name, value in first.items()))
        write_json(arguments.json, {"timings": timings, **first})


if __name__ == "__main__":
    main()
