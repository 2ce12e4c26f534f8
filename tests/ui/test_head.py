"""What stands in the page's head, how gradio is imported, and what is made ready while nobody waits."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from musiscene.pipeline import Pipeline
from musiscene.settings import Settings
from musiscene.ui.head import Head, head
from musiscene.ui.texts import LANGUAGES
from musiscene.ui.translation import Markers
from musiscene.ui.warming import warm


def test_our_head_comes_first_in_gradio_s_pages_and_in_no_other() -> None:
    """Style, script and language are there before Gradio starts; other answers pass as they are."""
    gradio = "<html><head><title>x</title></head><script>window.gradio_config = {}</script></html>"
    app = Starlette(
        routes=[
            Route("/", lambda _: HTMLResponse(gradio)),
            Route("/study", lambda _: HTMLResponse("<html><head></head></html>")),
            Route("/words", lambda _: PlainTextResponse("<head> window.gradio_config")),
        ],
        middleware=[Middleware(Head, text=head(lambda name: f"static/{name}"))],
    )
    browser = TestClient(app)

    page = browser.get("/").text

    assert page.startswith("<html><head><meta")
    assert 'href="static/musiscene.css"' in page and 'defer src="static/musiscene.js"' in page
    assert browser.get("/study").text == "<html><head></head></html>"
    assert browser.get("/words").text == "<head> window.gradio_config"
    assert browser.head("/").text == ""


@pytest.mark.slow
def test_gradio_is_imported_whole_but_writes_no_stubs() -> None:
    """Its components work; the function that rewrites stub files at every import is not run."""
    code = (
        "import musiscene.ui.light_gradio, gradio, gradio.component_meta as meta; "
        "print(meta.create_or_modify_pyi.__name__, gradio.Textbox(label='x').label, bool(gradio.Button().click))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["<lambda>", "x", "True"]


def test_markers_refuse_what_gradio_would_read_as_a_pattern() -> None:
    """A text with braces would be a broken message in the browser; only texts that are used travel with the page."""
    marked = Markers()

    assert "__i18n__" in marked("both")
    assert marked.i18n().translations == {
        "en": {"both": "Describe and score"},
        "es": {"both": LANGUAGES["es"]["both"]},
        "zh-CN": {"both": LANGUAGES["zh"]["both"]},
    }
    with pytest.raises(ValueError, match="engine_of"):
        marked("engine_of")


def test_warming_up_loads_the_sketch_and_can_be_ended(tmp_path: Path) -> None:
    """Afterwards the arranger is in memory; a server that stops at once does not wait for it."""
    pipeline = Pipeline(Settings(data_dir=tmp_path / "data", work_dir=tmp_path / "work", profile="sketch"))
    stop = threading.Event()
    stop.set()
    warm(pipeline, stop).join(timeout=30)
    assert not pipeline.pool._loaded

    warm(pipeline).join(timeout=60)

    assert pipeline.pool._loaded
    assert not (tmp_path / "work").exists()
