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


@pytest.fixture(scope="module")
def do_everything() -> Iterator[Callable[[Path, Path], int]]:
    """Does everything with a file in a process of its own, forked where the imports are done; gives its exit code."""
    command = [sys.executable, str(Path(__file__).with_name("file_by_file.py"))]
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
