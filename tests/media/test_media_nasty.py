"""Every difficult file of the folder of real clips: a result, or one sentence; little memory; nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("MUSISCENE_MEDIA") or Path(__file__).resolve().parents[3] / "shared" / "media")
MANIFEST = ROOT / "manifest.json"
FILES = (
    [entry for entry in json.loads(MANIFEST.read_text("utf-8"))["files"] if entry["category"] == "nasty"]
    if MANIFEST.is_file()
    else []
)

EVERYTHING = """
import json, resource, sys
from pathlib import Path
import numpy as np
from musiscene import media
from musiscene.errors import MusisceneError
from musiscene.mux import mux
done = []
def attempt(name, work):
    try:
        work(); done.append([name, ""])
    except MusisceneError as error:
        done.append([name, str(error)])
clip = None
def probe():
    global clip
    clip = media.probe(Path(sys.argv[1]))
attempt("probe", probe)
if clip is not None:
    music = np.tile(0.2 * np.sin(np.arange(88200) * 0.05), (2, 1)).astype(np.float32)
    attempt("frames", lambda: media.sample_frames(clip, 16, max_side=320))
    attempt("sound", lambda: media.read_audio(clip, duration_s=60.0))
    attempt("mux", lambda: mux(clip, music, 44100, Path(sys.argv[2]) / "out.mp4"))
status = Path("/proc/self/status")
if status.is_file():  # ru_maxrss of Linux would count the memory of the process that started this one
    held_kib = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:")).split()[1]
    peak = int(held_kib) * 1024
else:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"done": done, "peak_gb": peak / 1e9}))
"""


@pytest.mark.slow
@pytest.mark.media
@pytest.mark.skipif(not FILES, reason="no real clips: set MUSISCENE_MEDIA to a folder with a manifest.json")
@pytest.mark.parametrize("entry", FILES, ids=[entry["name"] for entry in FILES])
def test_a_difficult_file_gives_a_result_or_one_sentence(entry: dict[str, object], tmp_path: Path) -> None:
    """Under its real name, in a process of its own: no traceback, at most 1.5 GB, no unfinished file."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    name = str(entry.get("test_as_name") or Path(str(entry["name"])).name)
    shutil.copy(ROOT / str(entry["name"]), source / name)
    command = [sys.executable, "-c", EVERYTHING, str(source / name), str(out)]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=300)

    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    report = json.loads(finished.stdout)
    for step, sentence in report["done"]:
        assert "\n" not in sentence, (step, sentence)
        assert "Traceback" not in sentence
        assert not sentence or sentence.rstrip().endswith((".", "?", ")")), (step, sentence)
    assert report["peak_gb"] < 1.5
    assert [path.name for path in source.iterdir()] == [name]
    muxed = dict(report["done"]).get("mux") == ""
    assert [path.name for path in out.iterdir()] == (["out.mp4"] if muxed else [])
