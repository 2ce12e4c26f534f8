"""Does everything with the files that `test_media_nasty.py` names, each in a process of its own.

A line of the input is `[file, folder for results]`; a line of the output is the exit code of its process, which leaves
`report.json` and what it said in `said.txt` beside that folder. Processes are forked once the imports are done.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from musiscene import media
from musiscene.errors import MusisceneError
from musiscene.mux import mux

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from _harness import peak_rss_mb


def everything(path: Path, out: Path) -> None:
    """Probe, frames, sound and mux; how each went, and the most memory, into the report."""
    done: list[tuple[str, str]] = []

    def attempt(name: str, work: Callable[[], Any]) -> Any:
        try:
            result = work()
        except MusisceneError as error:
            done.append((name, str(error)))
            return None
        done.append((name, ""))
        return result

    clip = attempt("probe", lambda: media.probe(path))
    if clip is not None:
        music = np.tile(0.2 * np.sin(np.arange(88200) * 0.05), (2, 1)).astype(np.float32)
        attempt("frames", lambda: media.sample_frames(clip, 16, max_side=320))
        attempt("sound", lambda: media.read_audio(clip, duration_s=60.0))
        attempt("mux", lambda: mux(clip, music, 44100, out / "out.mp4"))
    report = {"done": done, "peak_gb": peak_rss_mb() / 1e3}
    (out.parent / "report.json").write_text(json.dumps(report), encoding="utf-8")


def main() -> None:
    """One file after the other."""
    for line in sys.stdin:
        path, out = map(Path, json.loads(line))
        child = os.fork()
        if not child:
            said = os.open(out.parent / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            for number in (1, 2):
                os.dup2(said, number)
            os.chdir(out.parent)
            signal.alarm(300)
            everything(path, out)
            return  # a traceback ends the process with 1
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
