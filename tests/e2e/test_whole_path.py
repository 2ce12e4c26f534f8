"""What a person does, from a file to a rating."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from e2e_page import WORK_MS, Server, choose_clip, open_finished, open_page, open_settings, press, token_of
from playwright.sync_api import BrowserContext, Page, Route, expect

pytestmark = pytest.mark.e2e

KINDS = ("video", "music", "fusion", "msi")

SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shifts += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def test_from_a_file_to_a_rating(page: Page, server: Server, clip: Path) -> None:
    """Upload, describe, edit, score, listen, rate: what is said is stored, and everything can be taken away."""
    page.evaluate(SHIFTS)
    choose_clip(page, clip)
    expect(page.locator(".ms-clip-name")).to_have_text(clip.name)

    press(page, "describe")
    for title in ("Video", "Music", "Fusion", "Scene (MSI)"):
        expect(page.get_by_label(f"{title} caption", exact=True)).not_to_be_empty()
    page.get_by_label("Video caption", exact=True).fill("A slow waltz for two cellos in D minor")

    press(page, "score")
    expect(page.locator(".ms-track[data-state=ready]")).to_have_count(4)
    expect(page.locator(".ms-track .ms-prompt").first).to_contain_text("waltz for two cellos")
    expect(page.locator(".ms-question")).to_have_text("How well does the music suit the video?")
    expect(page.locator(".ms-track .ms-downloads").first).to_have_text("MP4WAVMIDI")
    page.get_by_role("link", name="Listen and rate").click()
    expect(page.locator("#ms-compare")).to_be_focused()
    expect(page.locator(".ms-player")).to_be_in_viewport()

    slider = page.locator(".ms-track .ms-score").nth(3)
    slider.focus()
    for _ in range(12):
        slider.press("ArrowRight")
    expect(page.locator(".ms-track .ms-saved").nth(3)).to_have_text("Saved")
    page.locator(".ms-track .ms-comment").nth(3).fill("it fits")
    page.locator(".ms-track .ms-comment").nth(3).press("Enter")
    page.wait_for_function("window.musiscene.parts.player.props.value.tracks[3].comment === 'it fits'")
    expect(page.locator(".ms-summary")).to_contain_text("n = 1")

    with sqlite3.connect(server.data_dir / "ratings.db") as database:
        stored = database.execute("SELECT score, comment, caption_kind, clip_name, seed, loudness_lufs FROM ratings")
        (row,) = [row for row in stored if row[1] == "it fits"]
    assert (row[0], row[2], row[3]) == (62, "msi", clip.name)
    assert row[5] == pytest.approx(-16, abs=0.6)
    assert page.evaluate("window.shifts") < 0.1  # the web vitals' limit for a page that does not jump

    href = page.get_by_role("link", name="Download all").get_attribute("href")
    archive = zipfile.ZipFile(io.BytesIO(page.request.get(f"{server.url}/{href}").body()))
    names = {f"{kind}.{suffix}" for kind in KINDS for suffix in ("mp4", "wav", "mid")}
    assert names | {"captions.txt", "manifest.json"} == set(archive.namelist())
    manifest = json.loads(archive.read("manifest.json"))
    assert manifest["options"]["seed"] == row[4] == manifest["renditions"][0]["seed"]
    assert manifest["captions"]["video"]["backend"] == "edited"


def test_a_locked_seed_gives_the_same_bytes(page: Page, server: Server, clip: Path) -> None:
    """The seed is shown after scoring; kept, it makes the same sound again, byte for byte."""
    choose_clip(page, clip)
    open_settings(page)
    for title in ("Music", "Fusion", "Scene (MSI)"):
        page.get_by_role("checkbox", name=title, exact=True).uncheck()
    sounds = []
    for button in ("both", "score"):
        press(page, button)
        expect(page.locator(".ms-track[data-state=ready]")).to_have_count(1)
        url = page.evaluate("window.musiscene.parts.player.props.value.tracks[0].url")
        sounds.append(page.request.get(f"{server.url}/{url}").body())
        expect(page.get_by_label("Seed", exact=True)).not_to_be_empty()
        page.get_by_role("checkbox", name="Keep this seed").check()

    assert len(sounds[0]) > 100_000
    assert sounds[0] == sounds[1]


def test_stopping_keeps_what_is_finished_and_stops_nobody_else(
    new_context: Callable[..., BrowserContext], server: Server, clip: Path
) -> None:
    """Two people at once: one stops in the middle, the other finishes, and neither sees the other's files."""
    mine, theirs = open_page(new_context(), server.url), open_page(new_context(), server.url)
    for page in (mine, theirs):
        choose_clip(page, clip)
    open_settings(mine)
    mine.get_by_label("Length of the music (seconds)").fill("600")
    mine.click("#ms-both")
    theirs.click("#ms-both")

    mine.wait_for_selector(".ms-track", timeout=WORK_MS)
    mine.get_by_role("button", name="Stop", exact=True).click()
    mine.wait_for_function("!document.body.classList.contains('ms-busy')", timeout=WORK_MS)
    expect(mine.locator(".ms-progress-text")).to_have_text("Stopped. What was finished stays.")
    expect(mine.get_by_label("Video caption", exact=True)).not_to_be_empty()

    theirs.wait_for_function("!document.body.classList.contains('ms-busy')", timeout=WORK_MS)
    expect(theirs.locator(".ms-track[data-state=ready]")).to_have_count(4)
    assert token_of(mine) != token_of(theirs)
    for path in (server.work_dir / token_of(theirs) / "comparison.json", server.data_dir / "ratings.db"):
        assert mine.request.get(f"{server.url}/gradio_api/file={path}").status in (403, 404)


def test_the_comparison_is_there_after_a_reload_and_in_the_history(
    new_context: Callable[..., BrowserContext], server: Server, finished: str
) -> None:
    """A link opens a comparison; it joins this browser's history, can be opened again, and can be deleted."""
    page = open_page(new_context(), f"{server.url}/?c={finished}")
    expect(page.locator(".ms-track[data-state=ready]")).to_have_count(4)

    page.reload()
    expect(page.locator(".ms-track[data-state=ready]")).to_have_count(4)
    page.get_by_role("button", name="Choose another clip").click()
    expect(page.locator(".ms-track")).to_have_count(0)
    assert "?c=" not in page.url

    page.get_by_role("button", name="Open ").click()
    expect(page.locator(".ms-track[data-state=ready]")).to_have_count(4)
    assert finished in page.url


def test_a_deleted_comparison_is_gone(page: Page, server: Server, clip: Path) -> None:
    """Deleting removes the files; its link says so in words, and other browsers' history is their own."""
    choose_clip(page, clip)
    open_settings(page)
    for title in ("Video", "Fusion", "Scene (MSI)"):
        page.get_by_role("checkbox", name=title, exact=True).uncheck()
    press(page, "describe")
    token = token_of(page)

    page.get_by_role("button", name=f"Delete {clip.name}").click()
    page.wait_for_function("!window.musiscene.page().token")
    expect(page.locator(".ms-history-open")).to_have_count(0)

    page.goto(f"{server.url}/?c={token}")
    expect(page.locator(".ms-source .ms-error:visible")).to_contain_text("24 hours")
    assert not (server.work_dir / token).exists()


def test_a_file_that_is_no_media_is_told_in_place(page: Page, tmp_path: Path) -> None:
    """The reason stands beside the upload, and the page goes on working."""
    (tmp_path / "letter.mp4").write_bytes(b"Dear reader, this is no film. " * 50)

    page.set_input_files("#ms-clip-file", str(tmp_path / "letter.mp4"))

    expect(page.locator(".ms-source .ms-error:visible")).to_contain_text("letter.mp4")
    expect(page.locator(".ms-drop")).to_be_visible()


def test_pressing_without_a_clip_says_what_to_do(page: Page) -> None:
    """The sentence is beside the buttons."""
    page.click("#ms-both")

    expect(page.locator(".ms-progress .ms-error")).to_have_text("Choose a clip first.")


def test_an_example_with_a_reference_track(page: Page, server: Server, clip: Path) -> None:
    """A silent example takes its music from another file."""
    silent = page.locator(".ms-example").filter(has_text="silent")
    silent.first.click()
    page.wait_for_selector(".ms-clip .ms-facts dd")
    expect(page.locator(".ms-facts")).to_contain_text("none")

    page.set_input_files("#ms-reference-file", str(clip))
    expect(page.locator(".ms-reference-name")).to_have_text(clip.name)
    page.get_by_role("button", name=f"Remove {clip.name}").click()
    expect(page.locator(".ms-reference-name")).to_be_hidden()


def test_the_last_of_quick_ratings_is_kept(
    new_context: Callable[..., BrowserContext], server: Server, finished: str
) -> None:
    """A rating that is on its way for long neither arrives after a later one nor moves the slider back."""
    page = new_context().new_page()
    open_finished(page, server.url, finished)
    held: list[Route] = []

    def hold(route: Route) -> None:
        if '"score":51' in (route.request.post_data or "") and not held:
            held.append(route)
        else:
            route.continue_()

    page.route("**/queue/join*", hold)
    slider = page.locator(".ms-track .ms-score").first
    for _ in range(3):
        slider.press("ArrowRight")
    expect(page.locator(".ms-track .ms-saved").first).not_to_have_text("Saved")
    held[0].continue_()
    expect(page.locator(".ms-track .ms-saved").first).to_have_text("Saved")
    expect(slider).to_have_value("53")
    page.reload()
    expect(slider).to_have_value("53")


def test_a_rating_that_is_lost_on_its_way_is_sent_again(
    new_context: Callable[..., BrowserContext], server: Server, finished: str
) -> None:
    """The connection fails while somebody rates and the page is loaded anew: the rating is there and is stored."""
    page = new_context().new_page()
    open_finished(page, server.url, finished)
    lost: list[str] = []

    def lose(route: Route) -> None:
        if '"score":' in (sent := route.request.post_data or "") and not lost:
            lost.append(sent)
            route.abort("connectionfailed")
        else:
            route.continue_()

    page.route("**/queue/join*", lose)
    slider = page.locator(".ms-track .ms-score").first
    slider.press("ArrowRight")
    expect(page.locator(".ms-track .ms-saved").first).to_have_text("Saved")
    assert lost
    page.reload()
    expect(slider).to_have_value("51")
