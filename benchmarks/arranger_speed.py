"""How long the arranger takes for a style's 30 s: with all sounds made anew, and with the sounds at hand, on one core.

    python benchmarks/arranger_speed.py [--seconds 30] [--repeat 5] [--json FILE]

Each style's first piece is made by a new arranger (its SoundFont read, its rooms computed: that is the process's
first soundtrack, imports aside); the others by the same one with other seeds. Wall-clock seconds of one thread.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from _harness import Timing, machine, show, write_json

from musiscene.soundtracks.sketch import load
from musiscene.types import Caption, CaptionKind, Job, ScoreRequest

WORDS = {
    "orchestral": "epic orchestral, 100 bpm",
    "trailer": "huge trailer percussion, 120 bpm",
    "pop": "bright pop song, 110 bpm",
    "rock": "driving rock, 130 bpm",
    "dance": "electronic dance, 128 bpm",
    "jazz": "late night jazz trio, 92 bpm",
    "ballad": "sad piano ballad, 66 bpm",
    "ambient": "calm ambient pads, very slow",
}


def made(generator: object, words: str, seconds: float, seed: int) -> float:
    """Seconds for one soundtrack."""
    request = ScoreRequest(Caption(CaptionKind.FUSION, words, "words"), seconds, seed)
    started = time.perf_counter()
    for _ in generator.generate([request], Job()):  # type: ignore[attr-defined]
        pass
    return time.perf_counter() - started


def timing(seconds: list[float]) -> Timing:
    """Median, fastest, slowest."""
    return Timing(statistics.median(seconds), min(seconds), max(seconds), len(seconds))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    made(load({}), "anything", 1.0, 0)  # imports
    anew: dict[str, Timing] = {}
    ready: dict[str, Timing] = {}
    for style, words in WORDS.items():
        anew[style] = timing([made(load({}), words, given.seconds, seed) for seed in range(given.repeat)])
        generator = load({})
        made(generator, words, given.seconds, 99)
        ready[style] = timing([made(generator, words, given.seconds, seed) for seed in range(given.repeat)])
    show(f"{given.seconds:g} s, sounds made anew", anew)
    show(f"{given.seconds:g} s, sounds at hand", ready)
    for title, found in (("anew", anew), ("at hand", ready)):
        slowest = max(one.median_s for one in found.values())
        print(f"{title}: slowest style {slowest:.2f} s, {given.seconds / slowest:.0f} times faster than real time")
    print("machine:", machine())
    write_json(given.json, {"anew": anew, "at_hand": ready})


if __name__ == "__main__":
    main()
