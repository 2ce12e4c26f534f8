"""The whole application with a tiny MusicGen of random weights: the loop behind the page is the real one."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from e2e_page import WORK_MS, Server, choose_clip, open_page, press, running_server
from playwright.sync_api import BrowserContext, Page, expect

from musiscene.networks.musicgen.random_model import random_musicgen, save_with_tokenizer

pytestmark = pytest.mark.e2e

KINDS = ("video", "music", "fusion", "msi")


@pytest.fixture(scope="module")
def musicgen_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The application with MusicGen's weights in a folder."""
    folder = save_with_tokenizer(random_musicgen("tiny"), tmp_path_factory.mktemp("weights"))
    with running_server(
        tmp_path_factory.mktemp("musicgen"), MUSISCENE_MUSICGEN=str(folder), OMP_NUM_THREADS="1"
    ) as server:
        yield server


def choose_musicgen(page: Page, seconds: int) -> None:
    """Choose the generator and a length under Settings."""
    if not page.get_by_label("Length of the music (seconds)").is_visible():
        page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Length of the music (seconds)").fill(str(seconds))
    generator = page.get_by_label("Music generator", exact=True)
    generator.click()
    page.get_by_role("option", name="musicgen", exact=True).click()
    expect(generator).to_have_value("musicgen")


def test_musicgen_through_the_page(
    new_context: Callable[..., BrowserContext], musicgen_server: Server, clip: Path
) -> None:
    """Progress while it writes, a stop in the middle, then four players and where their music comes from."""
    page = open_page(new_context(), musicgen_server.url)
    choose_clip(page, clip)
    choose_musicgen(page, 600)
    page.click("#ms-both")
    page.wait_for_function(
        "(() => { const state = window.musiscene.parts.progress.props.value;"
        " return state.phase === 'soundtracks' && state.fraction > 0.005; })()",
        timeout=WORK_MS,
    )
    page.get_by_role("button", name="Stop", exact=True).click()
    page.wait_for_function("!document.body.classList.contains('ms-busy')", timeout=WORK_MS)
    expect(page.locator(".ms-progress-text")).to_have_text("Stopped. What was finished stays.")
    expect(page.get_by_label("Video caption", exact=True)).not_to_be_empty()

    choose_musicgen(page, 3)
    press(page, "score")
    expect(page.locator(".ms-track[data-state=ready]")).to_have_count(4)

    href = page.get_by_role("link", name="Download all").get_attribute("href")
    archive = zipfile.ZipFile(io.BytesIO(page.request.get(f"{musicgen_server.url}/{href}").body()))
    manifest = json.loads(archive.read("manifest.json"))
    assert {f"{kind}.{suffix}" for kind in KINDS for suffix in ("mp4", "wav")} <= set(archive.namelist())
    for rendition in manifest["renditions"]:
        assert rendition["backend"] == "musicgen"
        assert rendition["duration_s"] == pytest.approx(3.0, abs=0.05)
        assert rendition["provenance"]["license"] == "CC-BY-NC-4.0"
        assert rendition["provenance"]["precision"] == "float32"
