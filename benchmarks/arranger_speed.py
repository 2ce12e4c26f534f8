"""How long the arranger takes for 30 s of each style on one core: the first piece of a fresh process, and with the
sounds at hand.

    python benchmarks/arranger_speed.py [STYLE ...] [--seconds 30] [--repeat 5] [--cpu] [--json FILE]

Every first piece has a process of its own, where no sound is made and no room computed yet. Loading (its imports, nine
tenths of it SciPy's, and reading the SoundFont) is told apart: a server does it once. The other pieces are by the same
arranger with other seeds. Energy 0.8, so that nearly all the players of a style are heard. `--cpu` gives processor
seconds instead of the clock's, to compare where other work disturbs.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from _harness import Timing, machine, show, write_json

from musiscene.soundtracks._arranger.styles import STYLES
from musiscene.soundtracks.sketch import load
from musiscene.types import Caption, CaptionKind, Job, ScoreRequest

ONE_CORE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def in_this_process(style: str, seconds: float, repeat: int, clock: Callable[[], float]) -> dict[str, list[float]]:
    """Seconds of loading, of the first piece, and of `repeat` others."""
    started = clock()
    generator = load({})
    found = {"load": [clock() - started], "first": [], "others": []}
    for seed in range(repeat + 1):
        caption = Caption(CaptionKind.FUSION, f"a piece in the style {style}", "benchmark")
        request = ScoreRequest(caption, seconds, seed, overrides={"style": style, "energy": 0.8})
        started = clock()
        for _ in generator.generate([request], Job()):
            pass
        found["others" if seed else "first"].append(clock() - started)
    return found


def in_processes(style: str, given: argparse.Namespace) -> dict[str, Timing]:
    """The same in three fresh processes: loading and first pieces of all, other pieces of the last."""
    command = [sys.executable, __file__, style, "--seconds", str(given.seconds), "--one"] + ["--cpu"] * given.cpu
    runs = []
    for repeat in (0, 0, given.repeat):
        done = subprocess.run(
            [*command, "--repeat", str(repeat)],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, **ONE_CORE},
        )
        runs.append(json.loads(done.stdout))
    return {
        "load": timing([run["load"][0] for run in runs]),
        "first": timing([run["first"][0] for run in runs]),
        "others": timing(runs[-1]["others"]),
    }


def timing(seconds: list[float]) -> Timing:
    """Median, fastest, slowest."""
    return Timing(statistics.median(seconds), min(seconds), max(seconds), len(seconds))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "styles", nargs="*", choices=[*sorted(STYLES), []], metavar="STYLE", help="all when none is named"
    )
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        clock = time.process_time if given.cpu else time.perf_counter
        print(json.dumps(in_this_process(given.styles[0], given.seconds, given.repeat, clock)))
        return
    measured = {style: in_processes(style, given) for style in given.styles or sorted(STYLES)}
    kind = "processor seconds" if given.cpu else "seconds"
    for what, title in (("first", "first piece of a process"), ("others", "sounds at hand")):
        figures = {style: found[what] for style, found in measured.items()}
        show(f"{given.seconds:g} s of music, {title}, {kind}", figures)
        medians = sorted(one.median_s for one in figures.values())
        middle, slowest = statistics.mean(medians), medians[-1]
        print(
            f"  mean {middle:.2f}, fastest {medians[0]:.2f}, slowest {slowest:.2f}: "
            f"{given.seconds / slowest:.0f} to {given.seconds / medians[0]:.0f} times faster than real time"
        )
    print(f"loading: {statistics.median(found['load'].median_s for found in measured.values()):.2f}")
    print("machine:", machine())
    write_json(given.json, measured)


if __name__ == "__main__":
    main()
