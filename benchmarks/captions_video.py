"""How well the sketch video captioner finds cuts and names camera moves, and how fast it is.

    python benchmarks/captions_video.py [--montages 40] [--moves 6] [--seed 5000] [--json FILE]

Montages and moves are rendered from seeds (`_montages.py`), so that the truth is known; thresholds were set on seeds
below 2000, so that others verify. Cuts are compared with PySceneDetect's `ContentDetector` as it comes, on the same
files in the same run. A cut counts as found when it lies within two frames of the transition (of its extent, for
gradual ones); each prediction may serve once.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import _montages
from _harness import write_json
from scenedetect import ContentDetector, detect

from musiscene import media
from musiscene.captions._video.analysis import analyse
from musiscene.types import Job


@dataclass
class Score:
    """Cuts found, invented and missed, and by how many frames hard cuts are off."""

    found: int = 0
    invented: int = 0
    missed: Counter[str] = field(default_factory=Counter)
    off_frames: list[float] = field(default_factory=list)

    def count(self, predicted_s: Sequence[float], truth: _montages.Truth, fps: float) -> None:
        """Compare one montage."""
        used: set[int] = set()
        for (begin, end), kind in zip(truth.cuts_s, truth.kinds, strict=True):
            slack, middle = 2.5 / fps, (begin + end) / 2
            near = [
                (abs(time_s - middle), k)
                for k, time_s in enumerate(predicted_s)
                if begin - slack <= time_s <= end + slack and k not in used
            ]
            if near:
                apart, k = min(near)
                used.add(k)
                self.found += 1
                if kind == "cut":
                    self.off_frames.append(apart * fps)
            else:
                self.missed[kind] += 1
        self.invented += len(predicted_s) - len(used)

    def figures(self) -> dict[str, Any]:
        """Precision, recall and F1, and what was missed."""
        missed = sum(self.missed.values())
        return {
            "precision": round(self.found / max(1, self.found + self.invented), 4),
            "recall": round(self.found / max(1, self.found + missed), 4),
            "f1": round(2 * self.found / max(1, 2 * self.found + self.invented + missed), 4),
            "found": self.found,
            "invented": self.invented,
            "missed": dict(self.missed),
            "hard_cuts_off_frames_mean": round(sum(self.off_frames) / max(1, len(self.off_frames)), 3),
            "hard_cuts_off_frames_max": round(max(self.off_frames, default=0.0), 3),
        }


def measure_cuts(count: int, seed: int, folder: Path, *, hard: bool = False) -> dict[str, Any]:
    """Cuts of `count` montages, ours and PySceneDetect's, and our seconds for a second of video.

    Hard montages have moving shots and mostly long, gradual transitions.
    """
    ours, plain = Score(), Score()
    seconds = length_s = 0.0
    for number in range(seed, seed + count):
        frames, fps, truth = _montages.montage(number, hard=hard)
        path = _montages.encode(folder / f"montage-{number}.mp4", frames, fps, crf=(18, 23, 30)[number % 3])
        clip = media.probe(path)
        began = time.perf_counter()
        picture = analyse(clip, Job())
        seconds, length_s = seconds + time.perf_counter() - began, length_s + clip.duration_s
        ours.count([cut.time_s for cut in picture.cuts], truth, fps)
        scenes = detect(str(path), ContentDetector())
        plain.count([start.seconds for start, _ in scenes[1:]], truth, fps)
        path.unlink()
    return {
        "montages": count,
        "sketch": ours.figures(),
        "pyscenedetect_content_default": plain.figures(),
        "seconds_per_second_of_320x180": round(seconds / max(length_s, 1e-6), 4),
    }


def measure_moves(each: int, seed: int, folder: Path) -> dict[str, Any]:
    """What is said of `each` rendered shots of every camera move: rows are the truth."""
    confusion: dict[str, Counter[str]] = {move: Counter() for move in _montages.MOVES}
    for move in _montages.MOVES:
        for number in range(seed, seed + each):
            shot = _montages.one_shot(number, move)
            frames = (shot.frame(k).clip(0, 255).astype("uint8") for k in range(shot.frames))
            path = _montages.encode(folder / "move.mp4", frames, shot.fps)
            confusion[move][analyse(media.probe(path), Job()).motion.kind] += 1
    right = sum(said[move] for move, said in confusion.items())
    return {
        "accuracy": round(right / max(1, each * len(_montages.MOVES)), 4),
        "confusion": {move: dict(said) for move, said in confusion.items()},
    }


def measure_speed(folder: Path) -> dict[str, float]:
    """Seconds for ten seconds of 720p, after a first run."""
    shot = _montages.one_shot(1, "pan right", seconds=10.0, size=(1280, 720), fps=30.0)
    frames = (shot.frame(k).clip(0, 255).astype("uint8") for k in range(shot.frames))
    clip = media.probe(_montages.encode(folder / "speed.mp4", frames, shot.fps))
    analyse(clip, Job())
    began, used = time.perf_counter(), time.process_time()
    analyse(clip, Job())
    return {
        "seconds_10s_720p": round(time.perf_counter() - began, 3),
        "cpu_seconds_10s_720p": round(time.process_time() - used, 3),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--montages", type=int, default=40, help="montages to render")
    parser.add_argument("--moves", type=int, default=6, help="shots of each camera move")
    parser.add_argument("--seed", type=int, default=5000, help="first seed")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures: dict[str, Any] = {"speed": measure_speed(folder)}
        figures["cuts"] = measure_cuts(given.montages, given.seed, folder)
        figures["cuts, hard montages"] = measure_cuts(given.montages // 4, given.seed, folder, hard=True)
        figures["moves"] = measure_moves(given.moves, given.seed, folder)
    for title, values in figures.items():
        print(title)
        for key, value in values.items():
            print(f"  {key}: {value}")
    write_json(given.json, figures)


if __name__ == "__main__":
    main()
