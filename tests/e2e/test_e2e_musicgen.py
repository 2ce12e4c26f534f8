"""The whole application with a tiny MusicGen of random weights: the loop behind the page is the real one."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from e2e_page import WORK_MS, Server, choose_clip, open_page, open_settings, press, running_server
from playwright.sync_api import BrowserContext, Page, expect

from musiscene.networks.musicgen.random_model import random_musicgen, save_with_tokenizer

pytestmark = pytest.mark.e2e

KINDS = ("video", "music", "fusion", "msi")
SECONDS = 40
"""Long enough to be heard before it is finished, and more than one window of the model."""


@pytest.fixture(scope="module")
def musicgen_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The application with the weights of a MusicGen that can follow a tune in a folder."""
    folder = save_with_tokenizer(random_musicgen("tiny", melody=True), tmp_path_factory.mktemp("weights"))
    with running_server(
        tmp_path_factory.mktemp("musicgen"), MUSISCENE_MUSICGEN=str(folder), OMP_NUM_THREADS="1"
    ) as server:
        yield server


def choose_musicgen(page: Page, seconds: int) -> None:
    """Choose the generator and a length under Settings."""
    if not page.get_by_label("Length of the music (seconds)").is_visible():
        open_settings(page)
    page.get_by_label("Length of the music (seconds)").fill(str(seconds))
    generator = page.get_by_label("Music generator", exact=True)
    generator.click()
    page.get_by_role("option", name="musicgen", exact=True).click()
    expect(generator).to_have_value("musicgen")


def manifest_of(page: Page, server: Server) -> tuple[dict[str, Any], set[str]]:
    """What Download all gives: the manifest, and the names of the files."""
    href = page.get_by_role("link", name="Download all").get_attribute("href")
    archive = zipfile.ZipFile(io.BytesIO(page.request.get(f"{server.url}/{href}").body()))
    return json.loads(archive.read("manifest.json")), set(archive.namelist())


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
    page.get_by_role("button", name="Stop", exact=True).click(timeout=WORK_MS)  # the machine is busy composing
    page.wait_for_function("!document.body.classList.contains('ms-busy')", timeout=WORK_MS)
    expect(page.locator(".ms-progress-text")).to_have_text("Stopped. What was finished stays.")
    expect(page.get_by_label("Video caption", exact=True)).not_to_be_empty()

    choose_musicgen(page, 3)
    press(page, "score")
    expect(page.locator(".ms-track[data-state=ready]")).to_have_count(4)

    manifest, names = manifest_of(page, musicgen_server)
    assert {f"{kind}.{suffix}" for kind in KINDS for suffix in ("mp4", "wav")} <= names
    for rendition in manifest["renditions"]:
        assert rendition["backend"] == "musicgen"
        assert rendition["duration_s"] == pytest.approx(3.0, abs=0.05)
        assert rendition["provenance"]["license"] == "CC-BY-NC-4.0"
        assert rendition["provenance"]["precision"] == "float32"
        assert "melody" not in rendition["provenance"]


HEARD = """() => {
  const { switcher } = window.musiscene;
  const active = switcher.sounds.get(switcher.active);
  return { playing: switcher.playing, position: switcher.position, whole: Boolean(active?.whole),
           busy: document.body.classList.contains("ms-busy"), active: switcher.active };
}"""


ALIKE = """() => {
  const { switcher } = window.musiscene;
  const one = window.beginning.getChannelData(0);
  const other = switcher.sounds.get(switcher.active).buffer.getChannelData(0);
  let [both, first, second] = [0, 0, 0];
  for (let i = 0; i < 1.5 * window.beginning.sampleRate; i++) {
    both += one[i] * other[i]; first += one[i] ** 2; second += other[i] ** 2;
  }
  return both / Math.sqrt(first * second);
}"""
"""Correlation of the first samples of what was heard before and after, sample on sample."""


def test_the_beginning_plays_while_the_rest_is_written(
    new_context: Callable[..., BrowserContext], musicgen_server: Server, clip: Path
) -> None:
    """Music after the clip's tune is heard before it is finished, and the whole takes its place while it plays."""
    page = open_page(new_context(), musicgen_server.url)
    choose_clip(page, clip)
    choose_musicgen(page, SECONDS)
    page.get_by_label("Follow the tune").check()
    page.click("#ms-both")
    first = page.locator(".ms-track").first
    expect(first.locator(".ms-track-facts")).to_contain_text("can be heard; the rest is being written", timeout=WORK_MS)
    assert first.get_attribute("data-state") != "ready"
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("window.musiscene.switcher.position > 0.3")
    begun = page.evaluate(HEARD)
    assert begun["playing"] and begun["busy"] and not begun["whole"]
    expect(page.locator(".ms-player [role=status]")).to_have_text("Playing the beginning; the rest is being written.")
    page.evaluate(
        """() => {
          const { switcher } = window.musiscene;
          window.heard = [];
          window.beginning = switcher.sounds.get(switcher.active).buffer;
          switcher.addEventListener("time", () => window.heard.push(switcher.position));
        }"""
    )
    page.wait_for_function(
        "window.musiscene.switcher.sounds.get(window.musiscene.switcher.active)?.whole", timeout=WORK_MS
    )
    at = page.evaluate("window.musiscene.switcher.position")
    page.wait_for_function("(at) => window.musiscene.switcher.position > at + 0.5", arg=at)
    ended, heard = page.evaluate(HEARD), page.evaluate("window.heard")
    assert ended["playing"] and ended["active"] == begun["active"]
    assert all(later >= earlier - 0.02 for earlier, later in pairwise(heard)), "something was heard twice"
    expect(page.locator(".ms-player [role=status]")).to_have_text("")
    assert page.evaluate(ALIKE) > 0.95, "the whole does not begin as its beginning did"

    expect(page.locator(".ms-track[data-state=ready]")).to_have_count(4, timeout=WORK_MS)
    page.wait_for_function("!document.body.classList.contains('ms-busy')", timeout=WORK_MS)
    manifest, _ = manifest_of(page, musicgen_server)
    assert manifest["options"]["melody"] is True
    for rendition in manifest["renditions"]:
        assert rendition["duration_s"] == pytest.approx(SECONDS, abs=0.05)
        assert rendition["provenance"]["melody"]
