"""The sketch captions against every target: music, video, and how long they take.

    python benchmarks/captions.py --quick
    python benchmarks/captions.py --full --json captions.json
    python benchmarks/captions.py --only speed

The parts are `captions_music.py` and `captions_video.py`, which can be run alone and print more; this one adds speed
and a table of all targets. Speed is told as median, fastest and slowest of three runs on files made here (ten minutes
of full HD are a real clip of MUSISCENE_MEDIA over and over, where there is one). The first run is a new process that
finds no compiled Python, no font cache and no settings, as after an installation. Take speed on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import _montages
import av
import captions_music
import captions_video
import numpy as np
from _harness import Timing, machine, measure, write_json
from rendered_music import SAMPLE_RATE, Item, render

import musiscene

PARTS = ("music", "video", "speed")


@dataclass(frozen=True)
class Target:
    """One figure that was promised: where it stands in the report, and the least (or most) it may be."""

    words: str
    path: str
    bound: float
    least: bool = True

    def value(self, report: Mapping[str, Any]) -> float | None:
        """The figure, or None where this run did not take it."""
        found: Any = report
        for name in self.path.split("/"):
            if not isinstance(found, Mapping) or name not in found:
                return None
            found = found[name]
        number = found.median_s if isinstance(found, Timing) else found
        return None if number != number else float(number)

    def line(self, report: Mapping[str, Any]) -> str:
        """The target, the figure, and whether it is reached."""
        value = self.value(report)
        if value is None:
            return f"  {'not run':8} {self.words}"
        reached = value >= self.bound if self.least else value <= self.bound
        sign = "at least" if self.least else "at most"
        return f"  {'reached' if reached else 'MISSED':8} {self.words}: {value:.3g} ({sign} {self.bound:g})"


TARGETS = (
    Target("tempo of rendered music within 4 %, octave allowed", "music/rendered/tempo_octave", 0.95),
    Target("the same with the octave", "music/rendered/tempo_exact", 0.75),
    Target("key of rendered music exact or relative", "music/rendered/key_relative", 0.90),
    Target("tempo of real clips within 4 %, octave allowed", "music/real/tempo_octave", 0.85),
    Target("key of real clips exact or relative", "music/real/key_relative", 0.70),
    Target("sounds that are no music called so", "music/no_music/right", 0.95),
    Target("no tempo for them", "music/no_music/no_tempo", 1.0),
    *(
        Target(f"{fact} of {sound} music unchanged by level, mp3, rate", f"music/robustness_{sound}/{fact}", 0.95)
        for sound in ("rendered", "real")
        for fact in ("key", "tempo", "scene")
    ),
    Target("share of MSI texts that no other real clip has", "music/real/msi_texts_share", 1.0),
    Target("F1 of cuts on montages with fades, flashes and motion", "video/cuts/sketch/f1", 0.90),
    Target("camera moves named rightly", "video/moves/accuracy", 0.85),
    Target("seconds for four captions of 10 s of 720p", "speed/ten_seconds", 2.0, least=False),
    Target("seconds for music and MSI captions of a 4-minute song", "speed/song", 10.0, least=False),
    Target("seconds for the caption of 10 minutes of 1080p", "speed/ten_minutes", 40.0, least=False),
    Target("seconds of a first run, process and imports included", "speed/first_run", 10.0, least=False),
)  # fmt: skip


def music_part(full: bool, media: Path) -> dict[str, Any]:
    """All that `captions_music.py` measures."""
    report: dict[str, Any] = {
        "rendered": captions_music.rendered(432 if full else 48, captions_music.HELD_OUT_SEED, True)
    }
    report["no_music"] = captions_music.no_music()
    made = captions_music.items(96 if full else 8, captions_music.HELD_OUT_SEED + 1)
    report["robustness_rendered"] = captions_music.robustness(
        captions_music.Audio(render(item), SAMPLE_RATE) for item in made
    )
    if (media / "manifest.json").exists():
        real = captions_music.real(media, True)
        real["msi_texts_share"] = real["msi_texts_different"] / max(1, real["msi_texts"])
        report["real"] = real
        if full:
            report["robustness_real"] = captions_music.robustness(
                audio for _, audio in captions_music.real_clips(media)
            )
    return report


def video_part(full: bool) -> dict[str, Any]:
    """All that `captions_video.py` measures of shots and camera moves; hard montages apart."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {
            "cuts": captions_video.measure_cuts(60 if full else 12, 5000, folder),
            "cuts_hard": captions_video.measure_cuts(30 if full else 4, 5000, folder, hard=True),
            "moves": captions_video.measure_moves(8 if full else 2, 5000, folder),
        }


# -- speed --


def speed_part(media: Path, repeat: int = 3) -> dict[str, Any]:
    """Seconds of each thing that has a limit."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clip, song, film = _ten_seconds(folder), _song(folder), _ten_minutes(folder, media)
        drawn = _over_and_over(_five_seconds(folder), folder / "drawn.mp4")
        sound = frozenset({musiscene.CaptionKind.MUSIC, musiscene.CaptionKind.MSI})
        picture = frozenset({musiscene.CaptionKind.VIDEO})
        timings: dict[str, Any] = dict(
            measure(
                {
                    "ten_seconds": lambda: musiscene.caption(clip, profile="sketch"),
                    "song": lambda: musiscene.caption(song, kinds=sound, profile="sketch"),
                },
                repeat=repeat,
            )
        )
        timings |= measure(
            {"ten_minutes": lambda: musiscene.caption(film, kinds=picture, profile="sketch")},
            repeat=repeat,
            warm_up=False,
        )
        timings |= measure(
            {"ten_minutes_drawn": lambda: musiscene.caption(drawn, kinds=picture, profile="sketch")},
            repeat=1,
            warm_up=False,
        )
        timings["first_run"] = _first_runs(clip, folder, repeat)
        return timings


def _first_runs(clip: Path, folder: Path, repeat: int) -> Timing:
    """A new process each time, with nothing that an earlier one has left."""
    seconds = []
    for number in range(repeat):
        home = folder / f"home-{number}"
        home.mkdir()
        clean = {"HOME": str(home), "PYTHONPYCACHEPREFIX": str(home / "compiled"), "MPLCONFIGDIR": str(home / "plots")}
        code = f"import musiscene; print(len(musiscene.caption({str(clip)!r}, profile='sketch').captions))"
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **clean}, stdout=subprocess.DEVNULL)
        seconds.append(time.perf_counter() - began)
    return Timing(float(np.median(seconds)), min(seconds), max(seconds), repeat)


def _ten_seconds(folder: Path) -> Path:
    """10 s of 720p with music."""
    shot = _montages.one_shot(1, "pan right", seconds=10.0, size=(1280, 720), fps=30.0)
    silent = _montages.encode(
        folder / "silent.mp4", (shot.frame(k).clip(0, 255).astype("uint8") for k in range(shot.frames)), shot.fps
    )
    clip = folder / "clip.mp4"
    wave = render(Item("pop_band", 112.0, 9, "minor", 7, 10.0))
    with av.open(str(silent)) as given, av.open(str(clip), "w") as out:
        picture = out.add_stream_from_template(given.streams.video[0])
        sound = out.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = picture
                out.mux(packet)
        _encode_sound(out, sound, wave)
    return clip


def _song(folder: Path) -> Path:
    """Four minutes of rendered music as AAC."""
    path = folder / "song.m4a"
    wave = np.tile(render(Item("rock", 124.0, 4, "minor", 8, 48.0)), 5)
    with av.open(str(path), "w") as out:
        _encode_sound(out, out.add_stream("aac", rate=SAMPLE_RATE, layout="stereo"), wave)
    return path


def _encode_sound(out: Any, stream: Any, wave: np.ndarray) -> None:
    for start in range(0, wave.shape[1], 1024):
        block = np.ascontiguousarray(wave[:, start : start + 1024], np.float32)
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, start, Fraction(1, SAMPLE_RATE)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def _ten_minutes(folder: Path, media: Path) -> Path:
    """Ten minutes of 1080p: a real clip, else a rendered one, packet by packet again and again."""
    source = None
    if (media / "manifest.json").exists():
        for entry in json.loads((media / "manifest.json").read_text())["files"]:
            picture = (entry.get("video") or [{}])[0]
            if entry["category"].startswith("video") and (picture.get("width"), picture.get("height")) == (1920, 1080):
                source = media / entry["name"]
                break
    return _over_and_over(source or _five_seconds(folder), folder / "film.mp4")


def _five_seconds(folder: Path) -> Path:
    """Five rendered seconds of 1080p, coded as most films are: with pictures that no other refers to."""
    shot = _montages.one_shot(2, "pan left", seconds=5.0, size=(1920, 1080), fps=30.0)
    frames = (shot.frame(k).clip(0, 255).astype("uint8") for k in range(shot.frames))
    return _montages.encode(folder / "short.mp4", frames, shot.fps)


def _over_and_over(source: Path, film: Path) -> Path:
    """The packets of `source` again and again, for ten minutes."""
    with av.open(str(source)) as given, av.open(str(film), "w") as out:
        stream = given.streams.video[0]
        copy = out.add_stream_from_template(stream)
        packets = [packet for packet in given.demux(stream) if packet.dts is not None]
        span = max(packet.pts + packet.duration for packet in packets) - min(packet.pts for packet in packets)
        for turn in range(int(np.ceil(600.0 / float(span * stream.time_base)))):
            for packet in packets:
                again = av.Packet(bytes(packet))
                again.pts, again.dts = packet.pts + turn * span, packet.dts + turn * span
                again.duration, again.time_base = packet.duration, packet.time_base
                again.is_keyframe, again.stream = packet.is_keyframe, copy
                out.mux(again)
    return film


def main() -> None:
    """Run, print the figures that have a target, and write all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a few items of each kind (default)")
    size.add_argument("--full", action="store_true", help="hundreds of items; half an hour and more")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="parts to run")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args()
    media = Path(os.environ.get("MUSISCENE_MEDIA", Path(__file__).parents[2] / "shared" / "media"))
    report: dict[str, Any] = {}
    if "speed" in options.only:  # first, before the other parts have warmed the machine
        report["speed"] = speed_part(media)
    if "music" in options.only:
        report["music"] = music_part(options.full, media)
    if "video" in options.only:
        report["video"] = video_part(options.full)
    facts = machine()
    print(f"{facts['processor']}, {facts['cores']} cores, load {facts['load'][0]}")
    for target in TARGETS:
        print(target.line(report))
    for name, timing in report.get("speed", {}).items():
        print(f"  {name:17} median {timing.median_s:.2f} s, {timing.min_s:.2f} to {timing.max_s:.2f} s")
    for name in ("librosa_tempo_octave", "librosa_tempo_exact", "krumhansl_exact", "krumhansl_relative"):
        for part in ("rendered", "real"):
            if name in report.get("music", {}).get(part, {}):
                print(f"  to compare, {part}: {name} {report['music'][part][name]}")
    write_json(options.json, report)


if __name__ == "__main__":
    main()
