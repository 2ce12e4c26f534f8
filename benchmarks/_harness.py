"""Two ways of doing one thing, measured side by side.

The runs alternate (A, B, A, B …), so that a machine that slows down slows both; the first run of each warms it up and
is not counted. Reported are the median, the fastest and the slowest, and how often the faster fits into the slower.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds of one thing over several runs."""

    median_s: float
    min_s: float
    max_s: float
    runs: int

    def times(self, factor: float) -> Timing:
        """The same thing done so many times, where that was not measured by itself."""
        return Timing(self.median_s * factor, self.min_s * factor, self.max_s * factor, self.runs)


def measure(
    things: Mapping[str, Callable[[], object]],
    *,
    repeat: int = 5,
    warm_up: bool = True,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Timing]:
    """Run all `things` in turn, `repeat` times, and time each by `clock`."""
    seconds: dict[str, list[float]] = {name: [] for name in things}
    for round_number in range(repeat + warm_up):
        for name, thing in things.items():
            started = clock()
            thing()
            if round_number >= warm_up:
                seconds[name].append(clock() - started)
    return {
        name: Timing(statistics.median(values), min(values), max(values), len(values))
        for name, values in seconds.items()
    }


def ratio(timings: Mapping[str, Timing], slower: str, faster: str) -> float:
    """Median of `slower` over the median of `faster`."""
    return timings[slower].median_s / timings[faster].median_s


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cores": cores,
        "processor": _processor(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "load": [round(load, 2) for load in os.getloadavg()],
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def peak_rss_mb() -> float:
    """Most memory that this process has held so far, in megabytes.

    Linux carries `ru_maxrss` over from the process that started this one, so that a small child of a large parent
    would count as large; `VmHWM` begins anew with the program.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        held_kib = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:")).split()[1]
        return int(held_kib) * 1024 / 1e6
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / 1e6 if sys.platform == "darwin" else used / 1e3


def show(title: str, timings: Mapping[str, Timing]) -> None:
    """Print a small table."""
    print(title)
    for name, timing in timings.items():
        print(
            f"  {name:<28} median {timing.median_s:8.3f} s   min {timing.min_s:8.3f} s   "
            f"max {timing.max_s:8.3f} s   ({timing.runs} runs)"
        )


def write_json(path: Path | None, figures: Mapping[str, Any]) -> None:
    """Write `figures` with the machine's facts; timings become plain numbers."""
    if path is None:
        return

    def plain(value: object) -> object:
        if isinstance(value, Timing):
            return asdict(value)
        raise TypeError(f"{type(value).__name__} is not a figure")

    path.write_text(json.dumps({"machine": machine(), **figures}, indent=2, default=plain) + "\n")
