"""The application as it is served."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from musiscene.ui.app import free_port
from musiscene.ui.examples import find_examples

BUILD = """
import os, sys
from pathlib import Path
from musiscene.settings import Settings
from musiscene.ui import build_app, launch_options
from musiscene.ui.head import head
folder = Path(sys.argv[1])
app = build_app(Settings(data_dir=folder / "data", work_dir=folder / "work", profile="sketch"))
options = launch_options(app)
heavy = {"torch", "transformers", "matplotlib.pyplot", "cv2"} & sys.modules.keys()
assert not heavy, heavy
assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
assert options["run_history"] is False and options["share"] is False
assert str(folder / "work") in options["blocked_paths"]
assert "http" not in head(app.assets.url)
assert set(options["i18n"].translations) == {"en", "es", "zh-CN"}
assert not any("googleapis" in sheet for sheet in options["theme"]._stylesheets)
public = {fn.api_name for fn in app.fns.values() if fn.api_visibility == "public"}
assert public == {"describe", "score", "compare", "rate"}, public
print("built")
"""


@pytest.mark.slow(seconds=5)
def test_the_page_is_built_without_anything_heavy(tmp_path: Path) -> None:
    """No torch before it is used, no other host, and Gradio serves none of our folders."""
    built = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)], capture_output=True, text=True, timeout=300, check=False
    )

    assert built.stdout.strip() == "built", built.stderr
    assert not (tmp_path / "data").exists()  # nothing is written before there is something to keep


def test_the_next_free_port_is_taken() -> None:
    """A port that is in use is not an error: the page comes up on the next one."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        assert free_port("127.0.0.1", port) > port


def test_examples_are_listed_when_they_are_there(tmp_path: Path) -> None:
    """A list that is broken, or names files that are gone, costs no page."""
    assert find_examples(tmp_path) == {}
    (tmp_path / "examples.json").write_text('[{"file": "a.mp4", "title": "A", "kind": "video", "about": "x"}]')
    assert find_examples(tmp_path) == {}
    (tmp_path / "a.mp4").write_bytes(b"x")
    assert find_examples(tmp_path)["a.mp4"].title == "A"
    (tmp_path / "examples.json").write_text("{broken")
    assert find_examples(tmp_path) == {}
