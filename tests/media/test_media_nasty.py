"""Every difficult file of the folder of real clips: a result, or one sentence; little memory; nothing left behind."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("MUSISCENE_MEDIA") or Path(__file__).resolve().parents[3] / "shared" / "media")
MANIFEST = ROOT / "manifest.json"
FILES = (
    [entry for entry in json.loads(MANIFEST.read_text("utf-8"))["files"] if entry["category"] == "nasty"]
    if MANIFEST.is_file()
    else []
)

FILE_BY_FILE = """
import json, os, resource, signal, sys
from pathlib import Path
import numpy as np
from musiscene import media
from musiscene.errors import MusisceneError
from musiscene.mux import mux

def peak():
    status = Path("/proc/self/status")
    if status.is_file():  # ru_maxrss of Linux would count the memory of the process that started this one
        held_kib = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:")).split()[1]
        return int(held_kib) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

def everything(path, out):
    done = []
    def attempt(name, work):
        try:
            result = work(); done.append([name, ""])
            return result
        except MusisceneError as error:
            done.append([name, str(error)])
    clip = attempt("probe", lambda: media.probe(path))
    if clip is not None:
        music = np.tile(0.2 * np.sin(np.arange(88200) * 0.05), (2, 1)).astype(np.float32)
        attempt("frames", lambda: media.sample_frames(clip, 16, max_side=320))
        attempt("sound", lambda: media.read_audio(clip, duration_s=60.0))
        attempt("mux", lambda: mux(clip, music, 44100, out / "out.mp4"))
    (out.parent / "report.json").write_text(json.dumps({"done": done, "peak_gb": peak() / 1e9}))

for line in sys.stdin:
    path, out = map(Path, json.loads(line))
    child = os.fork()
    if not child:
        for number in (1, 2):
            os.dup2(os.open(out.parent / "said.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
        os.chdir(out.parent)
        signal.alarm(300)
        everything(path, out)
        sys.exit()  # a traceback ends it with 1
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def do_everything() -> Iterator[Callable[[Path, Path], int]]:
    """Does everything with a file in a process of its own, forked where the imports are done; gives its exit code."""
    command = [sys.executable, "-c", FILE_BY_FILE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as server:

        def ask(path: Path, out: Path) -> int:
            assert server.stdin and server.stdout
            print(json.dumps([str(path), str(out)]), file=server.stdin)
            return int(server.stdout.readline())

        yield ask
        assert server.stdin
        server.stdin.close()


@pytest.mark.slow
@pytest.mark.media
@pytest.mark.skipif(not FILES, reason="no real clips: set MUSISCENE_MEDIA to a folder with a manifest.json")
@pytest.mark.parametrize("entry", FILES, ids=[entry["name"] for entry in FILES])
def test_a_difficult_file_gives_a_result_or_one_sentence(
    entry: dict[str, object], tmp_path: Path, do_everything: Callable[[Path, Path], int]
) -> None:
    """Under its real name, in a process of its own: no traceback, at most 1.5 GB, no unfinished file."""
    source, out = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    out.mkdir()
    name = str(entry.get("test_as_name") or Path(str(entry["name"])).name)
    shutil.copy(ROOT / str(entry["name"]), source / name)
    code = do_everything(source / name, out)

    said = (tmp_path / "said.txt").read_text("utf-8", errors="replace")
    assert (code, said) == (0, "")
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    for step, sentence in report["done"]:
        assert "\n" not in sentence, (step, sentence)
        assert "Traceback" not in sentence
        assert not sentence or sentence.rstrip().endswith((".", "?", ")")), (step, sentence)
    assert report["peak_gb"] < 1.5
    assert [path.name for path in source.iterdir()] == [name]
    muxed = dict(report["done"]).get("mux") == ""
    assert [path.name for path in out.iterdir()] == (["out.mp4"] if muxed else [])
